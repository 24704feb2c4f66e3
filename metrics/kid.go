package metrics

import "github.com/pagoda-go/pagoda/torch"

// KID is the Kernel Inception Distance (Bińkowski et al. 2018): the unbiased
// estimate of the squared maximum mean discrepancy with the kernel
// (x·y/D + 1)³, over whole sets of any two sizes rather than random subsets.
// Around 0 (it may be negative) for equal distributions. At least two vectors each.
func KID(real, generated Features) (kid float64, err error) {
	defer torch.Recover(&err)
	if err := checkPair(real, generated, 2); err != nil {
		return 0, err
	}
	ofReal, _ := ownSimilarity(real, nil) // without a step nothing ends early
	ofGenerated, _ := ownSimilarity(generated, nil)
	between, _ := similarity(real, generated, nil)
	return ofReal + ofGenerated - 2*between, nil
}

// similarity is the mean of the kernel over all pairs of a vector of a and one of b.
func similarity(a, b Features, w *work) (float64, error) {
	sum := 0.
	err := eachBlock(a, b, w, func(int) int { return 0 }, func(s *torch.Scope, _ int, x *torch.Tensor, _ int, y *torch.Tensor) {
		sum += kernelSum(s, x, y)
	})
	return sum / float64(a.N) / float64(b.N), err
}

// ownSimilarity is the mean of the kernel over all pairs of different vectors of f.
func ownSimilarity(f Features, w *work) (float64, error) {
	sum := 0.
	err := eachBlock(f, f, w, func(i int) int { return i }, func(s *torch.Scope, i int, x *torch.Tensor, j int, y *torch.Tensor) {
		k := kernelSum(s, x, y)
		if i < j { // and the same again below the diagonal
			k *= 2
		}
		sum += k
	})
	return (sum - kernelDiagonal(f)) / float64(f.N) / float64(f.N-1), err
}

// kernelSum is the sum of the kernel over all pairs of a row of x and one of y.
func kernelSum(s *torch.Scope, x, y *torch.Tensor) float64 {
	k := s.Affine(s.Linear(x, y, nil), 1/float64(x.Dim(1)), 1)
	return s.Sum(s.Mul(s.Square(k), k)).Item()
}

// kernelDiagonal is the sum of the kernel of every vector with itself.
func kernelDiagonal(f Features) float64 {
	sum := 0.
	for i := range f.N {
		dot := 0.
		for _, v := range f.Row(i) {
			dot += float64(v) * float64(v)
		}
		k := dot/float64(f.D) + 1
		sum += k * k * k
	}
	return sum
}

// eachBlock calls visit for the pairs of a block of a and a block of b that does
// not begin before row from(first row of a's), in float64, with the first row of
// each; the scope closes after the call.
func eachBlock(a, b Features, w *work, from func(i int) int, visit func(s *torch.Scope, i int, x *torch.Tensor, j int, y *torch.Tensor)) error {
	rows := torch.NewScope(torch.CPU)
	defer rows.Close()
	for i, n := range blocks(a.N, blockRows) {
		if err := w.next(n); err != nil {
			return err
		}
		outer := rows.Child()
		x := a.tensor64(outer, i, n)
		for j, m := range blocks(b.N, blockRows) {
			if j < from(i) {
				continue
			}
			inner := outer.Child()
			visit(inner, i, x, j, b.tensor64(inner, j, m))
			inner.Close()
		}
		outer.Close()
	}
	return nil
}
