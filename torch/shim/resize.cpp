// Resampling of images. On CUDA libtorch adds up most gradients of it in the order in which threads happen to arrive;
// here they are products with the filter's matrices, the same every time.
#include "shim.hpp"

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

at::Tensor resample(const at::Tensor &x, int64_t height, int64_t width, int64_t filter, bool align) {
  bool antialias = filter == PG_BILINEAR_ANTIALIAS || filter == PG_BICUBIC_ANTIALIAS;
  if (antialias && x.is_cpu() && (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf)) // libtorch 1.13 cannot
    return resample(x.to(at::kFloat), height, width, filter, align).to(x.scalar_type());
  switch (filter) {
  case PG_NEAREST: return at::upsample_nearest2d(x, {height, width});
  case PG_BILINEAR: return at::upsample_bilinear2d(x, {height, width}, align);
  case PG_BICUBIC: return at::upsample_bicubic2d(x, {height, width}, align);
  case PG_AREA: return at::adaptive_avg_pool2d(x, {height, width});
  case PG_BILINEAR_ANTIALIAS: return at::_upsample_bilinear2d_aa(x, {height, width}, align);
  case PG_BICUBIC_ANTIALIAS: return at::_upsample_bicubic2d_aa(x, {height, width}, align);
  }
  TORCH_CHECK(false, "unknown filter ", filter);
}

// The filter from so many pixels of a side to so many others as a matrix (to,from): what it makes of the unit vectors.
at::Tensor matrix(int64_t from, int64_t to, int64_t filter, bool align, const at::TensorOptions &options) {
  return resample(at::eye(from, options).view({1, 1, from, from}), to, from, filter, align).view({to, from});
}

struct Resize : torch::autograd::Function<Resize> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, int64_t height, int64_t width, int64_t filter, int64_t align) {
    ctx->saved_data["call"] = std::vector<int64_t>{x.size(2), x.size(3), height, width, filter, align};
    return resample(x, height, width, filter, align != 0);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto c = ctx->saved_data["call"].toIntVector();
    auto &dy = grads[0];
    auto wide = dy.to(dy.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    auto rows = matrix(c[0], c[2], c[4], c[5] != 0, wide.options()), columns = matrix(c[1], c[3], c[4], c[5] != 0, wide.options());
    auto dx = at::matmul(at::matmul(rows.t(), wide), columns).to(dy.scalar_type());
    return {dx.contiguous(dy.suggest_memory_format()), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

} // namespace

char *pg_resize(int mode, pg_tensor *out, pg_tensor h, int64_t height, int64_t width, int filter, int align_corners) {
  return op(mode, out, [&]() -> at::Tensor {
    const auto &x = deref(h);
    if (x.size(2) == height && x.size(3) == width) return x; // as every filter leaves it
    bool plain = x.is_cpu() && x.scalar_type() != at::kDouble; // which goes a device's way, for the tests
    if (!plain && filter != PG_NEAREST) return Resize::apply(x, height, width, filter, align_corners);
    return resample(x, height, width, filter, align_corners != 0);
  });
}
