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
	n, m := float64(real.N), float64(generated.N)
	return (kernelSum(real, real)-kernelDiagonal(real))/(n*(n-1)) +
		(kernelSum(generated, generated)-kernelDiagonal(generated))/(m*(m-1)) -
		2*kernelSum(real, generated)/(n*m), nil
}

// kernelSum is the sum of the kernel over all pairs of a vector of a and one of b.
func kernelSum(a, b Features) float64 {
	sum := 0.
	eachBlock(a, b, func(s *torch.Scope, _ int, x *torch.Tensor, _ int, y *torch.Tensor) {
		k := s.Affine(s.Linear(x, y, nil), 1/float64(a.D), 1)
		sum += s.Sum(s.Mul(s.Square(k), k)).Item()
	})
	return sum
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

// eachBlock calls visit for all pairs of a block of a and a block of b, in
// float64, with the first row of each; the scope closes after the call.
func eachBlock(a, b Features, visit func(s *torch.Scope, i int, x *torch.Tensor, j int, y *torch.Tensor)) {
	rows := torch.NewScope(torch.CPU)
	defer rows.Close()
	for i, n := range blocks(a.N) {
		outer := rows.Child()
		x := a.tensor64(outer, i, n)
		for j, m := range blocks(b.N) {
			inner := outer.Child()
			visit(inner, i, x, j, b.tensor64(inner, j, m))
			inner.Close()
		}
		outer.Close()
	}
}
