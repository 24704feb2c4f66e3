package diffusion

import "math"

// Weighting is the loss weight lambda at a signal-to-noise ratio alpha²/beta²,
// for data of standard deviation sigmaData.
type Weighting func(snr, sigmaData float64) float64

// Weightings are the weight schedules of sony/pagoda (get_weightings) by their
// names there. "karras" and "karras_weight" are EDM's.
var Weightings = map[string]Weighting{
	"uniform":       func(_, _ float64) float64 { return 1 },
	"snr":           func(snr, _ float64) float64 { return snr },
	"snr+1":         func(snr, _ float64) float64 { return snr + 1 },
	"truncated-snr": func(snr, _ float64) float64 { return max(snr, 5) },
	"sq-t-inverse":  func(snr, _ float64) float64 { return math.Pow(snr, -0.25) },
	"karras":        karras,
	"karras_weight": karras,
	"scaled_karras_weight": func(snr, sigmaData float64) float64 {
		d := 1 - 1/math.Sqrt(snr)
		return 1/(sigmaData*sigmaData) + d*d*snr
	},
}

func karras(snr, sigmaData float64) float64 { return snr + 1/(sigmaData*sigmaData) }
