// Package data brings images in and out: data sets from IDX files, folders, zip
// archives and files of images prepared once, the order in which training sees
// them, and the pictures and arrays that results are shown as. All pixels are
// uint8, 0 to 255.
package data
