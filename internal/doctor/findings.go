package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Finding is something wrong, and its cure.
type Finding struct{ Problem, Cure string }

// enough is the share of the peak below which something is wrong.
const enough = 0.25

// modern are OpenBLAS's kernels for processors with AVX2 and later.
var modern = []string{"haswell", "zen", "skylakex", "cooperlake", "sapphirerapids"}

// Findings says what is wrong, the most costly first.
func (r Report) Findings() []Finding {
	var list []Finding
	add := func(wrong bool, cure, problem string, args ...any) {
		if wrong {
			list = append(list, Finding{fmt.Sprintf(problem, args...), cure})
		}
	}
	m, kernel := r.Machine, r.Engine.BLAS
	avx2 := strings.HasPrefix(m.SIMD, "AVX2") || strings.HasPrefix(m.SIMD, "AVX-512")
	add(avx2 && kernel != "" && !slices.Contains(modern, strings.ToLower(kernel)),
		"unset OPENBLAS_CORETYPE, or set it to Haswell; if that changes nothing: apt-get install libopenblas0-openmp",
		"OpenBLAS runs its kernel for %s, made for much older processors", kernel)
	add(strings.Contains(r.BLAS, "/blas/libblas"), "apt-get install libopenblas0-openmp",
		"matrix products run in the reference BLAS, which is not made for speed")
	add(r.Engine.Threads < m.Cores, "unset GOMAXPROCS, or set it to the number of cores",
		"the engine uses %d of %d cores", r.Engine.Threads, m.Cores)
	add(strings.Contains(r.BLAS, "openblas-pthread"), "apt-get install libopenblas0-openmp",
		"OpenBLAS has threads of its own, which compete with libtorch's for the cores")
	add(r.NVIDIA && r.Engine.CUDA == 0, "set LIBTORCH to the folder of a libtorch with CUDA (https://pytorch.org), and see that nvidia-smi works",
		"there is an NVIDIA GPU, and this libtorch cannot use it")
	var slow []string
	for _, s := range r.Speeds {
		if s.Share() < enough {
			slow = append(slow, fmt.Sprintf("%s (%.0f %%)", s.Work, 100*s.Share()))
		}
	}
	add(len(slow) > 0, "cure what is above, if anything is; else stop other programs that use the processor, and look again",
		"far from the peak: %s", strings.Join(slow, "; "))
	add(!m.BFloat16 && r.Engine.CUDA == 0, "none but another machine (Intel from Cooper Lake, AMD from Zen 4, or a GPU); training uses float32 and takes longer",
		"this processor does not multiply bfloat16 in hardware")
	return list
}
