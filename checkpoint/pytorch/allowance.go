package pytorch

import "fmt"

// allowance is how many bytes of memory a file's pickles may still take. It is
// spent in advance, by what the pickle library allocates at most for what is in
// the stream, so that a small file cannot ask for much: an honest one holds each
// operation once, a malicious one could also have them repeated.
type allowance int

const (
	pickleCost    = 16 << 10 // the library's tables for one pickle
	operationCost = 512      // one operation, besides its argument

	maxAllowance     = 512 << 20
	allowancePerByte = 4096
)

func newAllowance(fileSize int) *allowance {
	a := allowance(min(maxAllowance, pickleCost+allowancePerByte*fileSize))
	return &a
}

func (a *allowance) take(n int) error {
	if *a -= allowance(n); *a < 0 {
		return fmt.Errorf("%w: its pickle has too many operations", ErrTooLarge)
	}
	return nil
}
