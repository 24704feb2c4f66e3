// Package pytorch reads the weight files of the PyTorch world and writes the
// commonest of them, without Python and without running anything a file says.
//
//	f, err := pytorch.Open("edm-imagenet-64x64-cond-adm.pkl")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	for _, name := range f.Names() { // ema.model.enc.64x64_conv.weight …
//		t, err := f.Tensor(name) // a checkpoint.Tensor: type, shape, bytes
//	}
//	kind := f.Objects()["ema"].Class // EDMPrecond
//
// # Formats
//
// [Open] looks at the content, not at the file's name:
//
//   - [Zip]: torch.save since PyTorch 1.6 (.pt, .pth);
//   - [Legacy]: torch.save before, or with _use_new_zipfile_serialization=False;
//   - [Pickle]: pickle.dump of objects with tensors in them, among them the
//     networks of EDM and its relatives (.pkl), which torch_utils.persistence
//     saves together with their source code;
//   - [Safetensors]: one file;
//   - [Sharded]: the index (.safetensors.index.json) of several.
//
// Big-endian files, TorchScript programs, and sparse or quantised tensors are
// refused. So are pickles of protocols 0 and 1, which torch.save never chose.
//
// # Names
//
// Nested dicts and lists are flattened: the keys on the way to a tensor are
// joined by dots, as in "ema.model.map_layer0.weight" or
// "optimizer.state.0.exp_avg". Wrappers such as "state_dict", "model" or "ema"
// remain as prefixes; which of them to use is the caller's choice. A module that
// was pickled whole has the names of its state_dict. A file that is one bare
// tensor has it under the empty name. Whatever is no tensor is left out, except
// that [File.Objects] tells what persistent objects were made from.
//
// # Memory
//
// A file is mapped, not read: tensors are views of the mapping, also those in
// bytes objects inside a pickle. Memory is taken only for the pickle without its
// tensors, for a tensor whose elements do not lie in row-major order (a copy in
// that order is made each time it is asked for), and for members that somebody
// compressed (inflated each time likewise).
//
// # Safety
//
// A pickle is a program for a small stack machine whose one dangerous
// instruction fetches a Python callable by name. Here the names on a short list
// become inert records or rebuild tensors, and every other is refused by name:
//
//	model.pt names the callable posix.system, which weight files have no need of; refused
//
// Source code in a file is skipped text. Lengths are checked against the bytes
// that are there before anything is allocated; what a pickle can make the
// program allocate is bounded by the file's size and by 512 MiB, what tensors
// and compressed members unpack to by 16 times the file's size. Malformed input
// is an error, never a panic: the package is fuzzed.
//
// Damage to the tensors themselves is not noticed: pickles and the legacy format
// carry no checksum, and the CRCs of uncompressed zip members are not compared,
// which would read the whole file.
//
// # Writing
//
// [Write] makes a zip file that torch.load reads as an OrderedDict of tensors,
// also with weights_only=True.
package pytorch
