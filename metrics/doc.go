// Package metrics judges generated images: the Fréchet distance (FID and its
// relatives), KID, precision and recall, density and coverage, Inception Score,
// PSNR, SSIM, class accuracy and diversity.
//
// Its functions take features, logits or pixels and know nothing of the
// networks they come from. What decides is computed in float64; memory does not
// grow with the product of the set sizes.
package metrics
