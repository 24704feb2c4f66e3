// Convolutions of float32 as matrix products: what a result depends on is laid
// out as a row, a few rows at a time, and multiplied with the kernel. For those
// that Winograd's algorithm does not take, on processors without AVX-512.
#include "chunks.hpp"
#include "convolution.hpp"
#include "product.hpp"

using namespace pagoda;

namespace {

// A convolution of images (N,H,W,c) to (N,H',W',out) with a kernel (kh,kw,c,out).
struct Geometry {
  int64_t n, c, h, w, out, kh, kw, stride, pad_h, pad_w, down, across;
  Geometry(const at::Tensor &x, const at::Tensor &kernel, at::IntArrayRef s)
      : n(x.size(0)), c(x.size(1)), h(x.size(2)), w(x.size(3)), out(kernel.size(0)), kh(kernel.size(2)), kw(kernel.size(3)),
        stride(s[0]), pad_h(s[1]), pad_w(s[2]), down((h + 2 * pad_h - kh) / stride + 1),
        across((w + 2 * pad_w - kw) / stride + 1) {}
  int64_t image() const { return down * across; }
  int64_t depth() const { return kh * kw * c; }
  int64_t row() const { return padded(depth()); }
  int64_t chunk() const { return std::min<int64_t>(std::max<int64_t>(32768 / row(), 6), 240) / 6 * 6; }

  // f(pixels or null where there is no image, place in a row, values) for the runs of values that result i depends on.
  template <typename P, typename F> void runs(int64_t i, P *x, F f) const {
    int64_t top = i / across % down * stride - pad_h, left = i % across * stride - pad_w;
    P *from = x + i / image() * h * w * c;
    for (int64_t a = 0; a < kh; a++) {
      int64_t y = top + a, first = std::min(std::max<int64_t>(-left, 0), kw), last = std::max(std::min(kw, w - left), first);
      if (y < 0 || y >= h) first = last = kw;
      int64_t at = a * kw * c;
      if (first > 0) f(static_cast<P *>(nullptr), at, first * c);
      if (last > first) f(from + (y * w + left + first) * c, at + first * c, (last - first) * c);
      if (kw > last) f(static_cast<P *>(nullptr), at + last * c, (kw - last) * c);
    }
  }

  // The rows of results [from,to).
  void gather(const float *x, int64_t from, int64_t to, float *rows) const {
    for (int64_t i = from; i < to; i++, rows += row()) {
      runs(i, x, [&](const float *pixels, int64_t at, int64_t values) {
        if (pixels)
          memcpy(rows + at, pixels, values * sizeof(float));
        else
          memset(rows + at, 0, values * sizeof(float));
      });
      std::fill(rows + depth(), rows + row(), 0.f);
    }
  }
};

// A matrix (rows,columns) with columns padded, as (columns/16, rows, 16).
at::Tensor panels(const at::Tensor &matrix) {
  int64_t rows = matrix.size(0), columns = matrix.size(1);
  auto whole = at::constant_pad_nd(matrix, {0, padded(columns) - columns});
  return whole.view({rows, -1, 16}).permute({1, 0, 2}).contiguous();
}

// C (rows, ldc) = or += A (rows, lda) times those panels, depth deep.
void times(int64_t rows, int64_t depth, const float *a, int64_t lda, const at::Tensor &b, float *c, int64_t ldc, bool add) {
  const float *panel = b.data_ptr<float>();
  for (int64_t j = 0; j < b.size(0); j++, panel += depth * 16)
    strip<16 / lane>(rows, depth, a, lda, 1, panel, 16, c + 16 * j, ldc, add);
}

struct Columns {
  static at::Tensor results(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, at::IntArrayRef shape) {
    Geometry g(x, w, shape);
    auto kernel = panels(w.permute({2, 3, 1, 0}).reshape({g.depth(), g.out}));
    auto y = at::empty({g.n, g.out, g.down, g.across}, x.options(), at::MemoryFormat::ChannelsLast);
    float *out = y.data_ptr<float>();
    std::vector<Buffer> rows(at::get_num_threads());
    chunks(g.n * g.image(), g.chunk(), rows.size(), [&](int64_t part, int64_t from, int64_t to) {
      if (!rows[part]) rows[part] = buffer(g.chunk() * g.row());
      g.gather(x.data_ptr<float>(), from, to, rows[part].get());
      for (int64_t i = from; b.numel() > 0 && i < to; i++) memcpy(out + i * g.out, b.data_ptr<float>(), g.out * sizeof(float));
      times(to - from, g.depth(), rows[part].get(), g.row(), kernel, out + from * g.out, g.out, b.numel() > 0);
    });
    return y;
  }

  static Gradients gradients(const at::Tensor &x, const at::Tensor &w, const at::Tensor &dy, at::IntArrayRef shape, bool images, bool parameters) {
    Geometry g(x, w, shape);
    Gradients d;
    if (images) d.x = of_images(g, x, w, dy);
    if (parameters) {
      d.w = of_kernel(g, x, dy).view({g.kh, g.kw, g.c, g.out}).permute({3, 2, 0, 1}).contiguous(w.suggest_memory_format());
      d.b = dy.sum({0, 2, 3});
    }
    return d;
  }

  // The gradient of the images: rows of it are added to the pixels they came from.
  static at::Tensor of_images(const Geometry &g, const at::Tensor &x, const at::Tensor &w, const at::Tensor &dy) {
    auto kernel = panels(w.permute({0, 2, 3, 1}).reshape({g.out, g.depth()}));
    auto dx = at::zeros_like(x);
    std::vector<Buffer> rows(at::get_num_threads());
    chunks(g.n, 1, rows.size(), [&](int64_t part, int64_t image, int64_t) { // neighbours share pixels: an image on one thread
      if (!rows[part]) rows[part] = buffer(g.chunk() * g.row());
      float *r = rows[part].get();
      for (int64_t from = image * g.image(), end = from + g.image(); from < end; from += g.chunk()) {
        int64_t to = std::min(end, from + g.chunk());
        times(to - from, g.out, dy.data_ptr<float>() + from * g.out, g.out, kernel, r, g.row(), false);
        for (int64_t i = from; i < to; i++)
          g.runs(i, dx.data_ptr<float>(), [&](float *__restrict pixels, int64_t at, int64_t values) {
            const float *__restrict add = r + (i - from) * g.row() + at;
            for (int64_t j = 0; pixels && j < values; j++) pixels[j] += add[j];
          });
      }
    });
    return dx;
  }

  // The gradient of the kernel, (kh·kw·c, out).
  static at::Tensor of_kernel(const Geometry &g, const at::Tensor &x, const at::Tensor &dy) {
    int64_t parts = at::get_num_threads();
    auto sums = at::zeros({parts, g.depth(), g.out}, x.options());
    std::vector<Buffer> rows(parts);
    chunks(g.n * g.image(), g.chunk(), parts, [&](int64_t part, int64_t from, int64_t to) {
      if (!rows[part]) rows[part] = buffer(g.chunk() * g.row());
      g.gather(x.data_ptr<float>(), from, to, rows[part].get());
      multiply(g.depth(), g.out, to - from, rows[part].get(), 1, g.row(), dy.data_ptr<float>() + from * g.out, g.out,
               sums.data_ptr<float>() + part * g.depth() * g.out, g.out, true);
    });
    return parts == 1 ? sums[0] : sums.sum(0);
  }
};

} // namespace

bool pagoda::columns_suit(const at::Tensor &x, const at::Tensor &w, int64_t pad_h, int64_t pad_w, int64_t groups) {
  return groups == 1 && x.dim() == 4 && w.dim() == 4 && w.size(2) * w.size(3) > 1 && x.size(1) == w.size(1) && x.size(2) + 2 * pad_h >= w.size(2) && x.size(3) + 2 * pad_w >= w.size(3) &&
         w.size(0) % 16 == 0 && x.is_cpu() && x.scalar_type() == at::kFloat && w.scalar_type() == at::kFloat &&
         x.size(0) >= at::get_num_threads();
}

at::Tensor pagoda::columns(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, int64_t stride, int64_t pad_h, int64_t pad_w) {
  return convolution<Columns>(x, w, b, {stride, pad_h, pad_w});
}
