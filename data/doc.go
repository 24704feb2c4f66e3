// Package data brings images in and out: data sets in memory from IDX files,
// folders and zip archives, the order in which training sees them, and the
// pictures and arrays that results are shown as. All pixels are uint8, 0 to 255.
package data
