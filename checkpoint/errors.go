package checkpoint

import "errors"

// The ways a safetensors file can be wrong. [Open], [Parse], [Write] and
// [File.Verify] wrap them with the details; test with errors.Is.
var (
	// ErrTooShort: the file ends before its header does.
	ErrTooShort = errors.New("the file ends inside its header")
	// ErrHeaderTooLarge: the header claims more than 100 MB.
	ErrHeaderTooLarge = errors.New("the header is larger than 100 MB")
	// ErrHeader: the header is not the JSON object the format asks for.
	ErrHeader = errors.New("the header is not valid safetensors JSON")
	// ErrDuplicate: a key occurs twice in one object of the header.
	ErrDuplicate = errors.New("the header has a key twice")
	// ErrDType: an element type is unknown, or unfit for what was asked.
	ErrDType = errors.New("unsupported element type")
	// ErrShape: a side is negative, or the number of bytes overflows.
	ErrShape = errors.New("impossible tensor shape")
	// ErrOffsets: a tensor begins after its end or ends outside the data section.
	ErrOffsets = errors.New("tensor offsets lie outside the data")
	// ErrSize: a tensor's bytes do not agree with its type and shape.
	ErrSize = errors.New("tensor size does not match its type and shape")
	// ErrLayout: two tensors overlap, or there is a gap between them.
	ErrLayout = errors.New("tensors do not lie end to end")
	// ErrTrailing: the file goes on after its last tensor.
	ErrTrailing = errors.New("the file has bytes that belong to no tensor")
	// ErrName: a tensor cannot be written under this name.
	ErrName = errors.New("unusable tensor name")
	// ErrNoTensor: the file holds no tensor of the name asked for.
	ErrNoTensor = errors.New("no such tensor")
	// ErrNoChecksum: the file was not written by this package and cannot be verified.
	ErrNoChecksum = errors.New("the file carries no sha256 to verify")
	// ErrChecksum: the file's content is not what was written.
	ErrChecksum = errors.New("the content does not match its sha256")
)
