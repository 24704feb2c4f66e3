// Package convert brings weights of the PyTorch world into this program's files,
// and this program's weights out.
//
//	f, err := convert.Open("edm-imagenet-64x64-cond-adm.pkl")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	n, err := f.Recognise(convert.Options{})
//	if err != nil {
//		return err // says what the file is instead, and in what it differs
//	}
//	return n.Save("teacher.safetensors", false)
//
// # Recognition
//
// Some files say what they are: this program's own, and EDM's pickles, which keep
// what their networks were made from. Of any other, the names and shapes of the
// tensors are compared with those of the networks of every preset, the teacher and
// the generator after each growth, for as many classes as the file has. What shapes
// do not tell (the input's resolution, the order of attention heads, whether
// weights at base resolution are a teacher's or a generator's) comes from the
// preset and from [Options].
//
// # Memory
//
// Files are mapped and tensors are written one at a time: the memory a conversion
// takes is less than the file's size.
package convert

import "errors"

// The ways a file of weights cannot be converted. Errors that wrap them say more.
var (
	// ErrUnknown: the weights are of no network that was asked for.
	ErrUnknown = errors.New("not a network that was looked for")
	// ErrAmbiguous: the weights fit several networks and do not tell which they are of.
	ErrAmbiguous = errors.New("the weights do not tell")
)
