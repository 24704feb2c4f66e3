// Package layers holds the test that the project's packages depend on each
// other in one direction only; docs/design/layers.md lists them.
package layers
