// Convolutions of float32 to a few channels, as at a network's end, where libtorch computes sixteen. The images times all
// of the kernel's taps are one matrix product, which shifting and adding brings together.
#include "chunks.hpp"
#include "convolution.hpp"
#include "product.hpp"

using namespace pagoda;

namespace {

// A convolution of images (N,H,W,c) to (N,H,W,out) with a kernel of kh×kw taps. A row of shares has, for a pixel, what
// belongs to each tap and channel of the result: (kh,kw,out), padded.
struct Geometry {
  int64_t n, c, h, w, out, kh, kw;
  Geometry(const at::Tensor &x, const at::Tensor &kernel)
      : n(x.size(0)), c(x.size(1)), h(x.size(2)), w(x.size(3)), out(kernel.size(0)), kh(kernel.size(2)), kw(kernel.size(3)) {}
  int64_t image() const { return h * w; }
  int64_t depth() const { return kh * kw * out; }
  int64_t row() const { return padded(depth()); }

  // f(result, share) for the values of an image's results and the shares that belong to them.
  template <typename F> void pairs(F f) const {
    for (int64_t a = 0; a < kh; a++)
      for (int64_t b = 0; b < kw; b++) {
        int64_t up = a - kh / 2, left = b - kw / 2, tap = (a * kw + b) * out;
        for (int64_t i = std::max<int64_t>(-up, 0); i < std::min(h, h - up); i++)
          for (int64_t j = std::max<int64_t>(-left, 0); j < std::min(w, w - left); j++)
            for (int64_t o = 0; o < out; o++) f((i * w + j) * out + o, ((i + up) * w + j + left) * row() + tap + o);
      }
  }
};

// The kernel as a matrix (kh·kw·out, c).
at::Tensor taps(const Geometry &g, const at::Tensor &w) { return w.permute({2, 3, 0, 1}).reshape({g.depth(), g.c}); }

struct Narrow {
  static at::Tensor results(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, at::IntArrayRef) {
    Geometry g(x, w);
    auto kernel = at::constant_pad_nd(taps(g, w).t(), {0, g.row() - g.depth()}).contiguous();
    auto y = at::empty({g.n, g.out, g.h, g.w}, x.options(), at::MemoryFormat::ChannelsLast);
    const float *X = x.data_ptr<float>(), *K = kernel.data_ptr<float>(), *B = b.numel() > 0 ? b.data_ptr<float>() : nullptr;
    float *Y = y.data_ptr<float>();
    chunks(g.n, 1, at::get_num_threads(), [&](int64_t, int64_t image, int64_t) {
      auto kept = buffer(g.image() * g.row());
      float *shares = kept.get(), *out = Y + image * g.image() * g.out;
      multiply(g.image(), g.row(), g.c, X + image * g.image() * g.c, g.c, 1, K, g.row(), shares, g.row(), false);
      for (int64_t i = 0; i < g.image() * g.out; i++) out[i] = B ? B[i % g.out] : 0.f;
      g.pairs([=](int64_t result, int64_t share) { out[result] += shares[share]; });
    });
    return y;
  }

  static Gradients gradients(const at::Tensor &x, const at::Tensor &w, const at::Tensor &dy, at::IntArrayRef, bool images, bool parameters) {
    Geometry g(x, w);
    auto kernel = taps(g, w).contiguous();
    int64_t parts = at::get_num_threads();
    auto dx = images ? at::empty_like(x) : at::Tensor();
    auto sums = at::zeros({parts, g.depth(), g.c}, w.options());
    const float *X = x.data_ptr<float>(), *DY = dy.data_ptr<float>(), *K = kernel.data_ptr<float>();
    float *DX = images ? dx.data_ptr<float>() : nullptr, *S = sums.data_ptr<float>();
    chunks(g.n, 1, parts, [&](int64_t part, int64_t image, int64_t) {
      std::vector<float> kept(g.image() * g.row(), 0.f);
      float *shares = kept.data();
      const float *in = DY + image * g.image() * g.out;
      g.pairs([=](int64_t result, int64_t share) { shares[share] = in[result]; });
      int64_t at = image * g.image() * g.c;
      if (images) multiply(g.image(), g.c, g.depth(), shares, g.row(), 1, K, g.c, DX + at, g.c, false);
      if (parameters) multiply(g.depth(), g.c, g.image(), shares, 1, g.row(), X + at, g.c, S + part * g.depth() * g.c, g.c, true);
    });
    if (!parameters) return {dx, {}, {}};
    auto dw = sums.sum(0).view({g.kh, g.kw, g.out, g.c}).permute({2, 3, 0, 1}).contiguous(w.suggest_memory_format());
    return {dx, dw, dy.sum({0, 2, 3})};
  }
};

} // namespace

bool pagoda::narrow_suits(const at::Tensor &x, const at::Tensor &w, int64_t stride, int64_t pad_h, int64_t pad_w, int64_t groups) {
  return x.dim() == 4 && w.dim() == 4 && w.size(0) <= 3 && stride == 1 && groups == 1 && w.size(2) == 2 * pad_h + 1 &&
         w.size(3) == 2 * pad_w + 1 && x.size(1) == w.size(1) && w.size(1) % 16 == 0 && x.is_cpu() &&
         x.scalar_type() == at::kFloat && w.scalar_type() == at::kFloat && x.size(0) >= at::get_num_threads();
}

at::Tensor pagoda::narrow(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b) { return convolution<Narrow>(x, w, b); }
