// Package eval says how good generated images are, and how that was measured:
// images from anywhere, seen by a feature network, compared with real ones by
// the metrics of package metrics.
//
// A [Source] gives images, a [Network] answers to them, and [Evaluate] compares
// the answers of two sources in one pass over each. Every result carries its
// [Protocol].
package eval
