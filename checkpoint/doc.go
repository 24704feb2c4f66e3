// Package checkpoint keeps weights and runs on disk.
//
// Weights are safetensors files ([Open], [Parse], [Write]): a JSON header that
// names the tensors, then their raw bytes. A training run is a folder ([Run])
// with the configuration, the log and the newest checkpoints of each stage.
// Whatever the project writes goes through [WriteFileAtomic], so that a
// process killed at any moment leaves either the old file or the new one.
package checkpoint
