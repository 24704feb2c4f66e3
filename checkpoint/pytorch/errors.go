package pytorch

import "errors"

// The ways a file can be wrong. [Open] and [File.Tensor] wrap them with the
// details, as they do the errors of package checkpoint for impossible shapes,
// types and offsets; test with errors.Is.
var (
	// ErrFormat: the content is of none of the formats this package reads.
	ErrFormat = errors.New("it is in none of the formats torch.save zip, torch.save legacy, pickle, safetensors, safetensors index")
	// ErrRefused: a pickle names a callable that is not on the list of known ones.
	ErrRefused = errors.New("which weight files have no need of; refused")
	// ErrPickle: a pickle breaks off or contradicts itself.
	ErrPickle = errors.New("its pickle is malformed")
	// ErrArchive: the zip archive is damaged or not laid out as torch.save does.
	ErrArchive = errors.New("its zip archive is malformed")
	// ErrStorage: the bytes that tensors refer to are missing or of the wrong size.
	ErrStorage = errors.New("the bytes of a tensor are not there")
	// ErrTooLarge: little content unpacks to much, as in a zip bomb.
	ErrTooLarge = errors.New("it unpacks to far more than weights would; refused")
	// ErrName: two tensors have the same name, or one is absurdly long.
	ErrName = errors.New("unusable tensor name")
	// ErrShard: an index disagrees with the files it lists.
	ErrShard = errors.New("its index does not match its shards")
)
