// 3×3 convolutions of float32 by Winograd's F(2×2,3×3) (Lavin and Gray 2016):
// images are cut into windows of 4×4 pixels, two apart; in a transformed domain a
// window's 2×2 results take 16 products a channel pair instead of 36. Everything
// is channels-last, so that transforms add whole vectors of channels.
#include "chunks.hpp"
#include "convolution.hpp"
#include "product.hpp"

using namespace pagoda;

namespace {

inline lanes get(const float *p) { return *reinterpret_cast<const lanes *>(p); }
inline void put(float *p, lanes v) { *reinterpret_cast<lanes *>(p) = v; }

// The windows of images (N,H,W): each starts a pixel above and left of its 2×2 results.
struct Windows {
  int64_t n, h, w, down, across;
  explicit Windows(const at::Tensor &x)
      : n(x.size(0)), h(x.size(2)), w(x.size(3)), down((h + 1) / 2), across((w + 1) / 2) {}
  int64_t count() const { return n * down * across; }

  // The size×size pixels of c channels from offset (up,left of the results), outside the image those at nothing.
  template <int size, typename P> void pixels(int64_t i, P *x, int64_t c, P *nothing, P *(*at)[size]) const {
    int64_t image = i / (down * across), top = i / across % down * 2, left = i % across * 2, margin = (size - 2) / 2;
    for (int64_t a = 0; a < size; a++)
      for (int64_t b = 0; b < size; b++) {
        int64_t y = top + a - margin, z = left + b - margin;
        bool inside = y >= 0 && y < h && z >= 0 && z < w;
        at[a][b] = inside ? x + ((image * h + y) * w + z) * c : nothing;
      }
  }

  // So many windows at a time: each time the whole kernel is read, so larger kernels go with more windows.
  static int64_t chunk(int64_t in, int64_t out) { return std::min<int64_t>(std::max<int64_t>(in * out / 400, 24), 192) / 6 * 6; }
};

// The transforms of four vectors, along rows and then along columns.
inline void of_window(const lanes *d, lanes *v) {
  v[0] = d[0] - d[2], v[1] = d[1] + d[2], v[2] = d[2] - d[1], v[3] = d[1] - d[3];
}
inline void of_kernel(const lanes *g, lanes *u) { // of three
  lanes ends = g[0] + g[2];
  u[0] = g[0], u[1] = 0.5f * (ends + g[1]), u[2] = 0.5f * (ends - g[1]), u[3] = g[2];
}
inline void to_result(const lanes *m, lanes *y) { y[0] = m[0] + m[1] + m[2], y[1] = m[1] - m[2] - m[3]; }
inline void from_result(const lanes *y, lanes *m) { m[0] = y[0], m[1] = y[0] + y[1], m[2] = y[0] - y[1], m[3] = -y[1]; }
inline void to_kernel(const lanes *u, lanes *g) {
  lanes sum = 0.5f * (u[1] + u[2]);
  g[0] = u[0] + sum, g[1] = 0.5f * (u[1] - u[2]), g[2] = sum + u[3];
}

// A transform of in×in vectors to out×out, read(a,b) and write(a,b,v).
template <int in, int out, void (*along)(const lanes *, lanes *), typename R, typename W>
inline void both_ways(R read, W write) {
  lanes half[in][out], column[in], result[out];
  for (int a = 0; a < in; a++) {
    lanes row[in];
    for (int b = 0; b < in; b++) row[b] = read(a, b);
    along(row, half[a]);
  }
  for (int b = 0; b < out; b++) {
    for (int a = 0; a < in; a++) column[a] = half[a][b];
    along(column, result);
    for (int a = 0; a < out; a++) write(a, b, result[a]);
  }
}

// Windows [from,to) of x, size×size pixels each, transformed to rows of 16 matrices, a plane apart, of c columns.
template <int size, void (*along)(const lanes *, lanes *)>
void transform(const Windows &s, const float *x, int64_t c, const float *zeros, int64_t from, int64_t to, float *v, int64_t plane) {
  for (int64_t i = from; i < to; i++, v += c) {
    const float *at[size][size];
    s.pixels<size>(i, x, c, zeros, at);
    for (int64_t j = 0; j < c; j += lane)
      both_ways<size, 4, along>([&](int a, int b) { return get(at[a][b] + j); },
                                [&](int a, int b, lanes u) { put(v + (4 * a + b) * plane + j, u); });
  }
}

constexpr int64_t gap = 80; // between planes, keeps the 16 of them from meeting in the same few lines of a cache
constexpr int64_t panel = 16; // columns of a kernel that lie together

// A kernel from in to out channels where it lies: the distances of its neighbours along each axis.
struct Kernel {
  const float *w;
  int64_t in, out, along_in, along_out, down, across;

  // Of a convolution's weights (out,in,3,3), or the kernel turned round that takes gradients of its results to those of its images.
  Kernel(const at::Tensor &t, bool back)
      : w(t.data_ptr<float>()), in(t.size(1)), out(t.size(0)), along_in(t.stride(1)), along_out(t.stride(0)), down(t.stride(2)), across(t.stride(3)) {
    if (!back) return;
    std::swap(in, out), std::swap(along_in, along_out);
    w += 2 * (down + across), down = -down, across = -across;
  }
  lanes read(int64_t i, int64_t j, int a, int b) const {
    const float *p = w + i * along_in + j * along_out + a * down + b * across;
    if (along_out == 1) return get(p);
    lanes v;
    for (int k = 0; k < lane; k++) v[k] = p[k * along_out];
    return v;
  }
};

// A kernel transformed to (16, out/panel, in, panel).
Buffer prepare(const Kernel &kernel) {
  int64_t in = kernel.in, out = kernel.out;
  auto u = buffer(16 * in * out);
  at::parallel_for(0, in, 8, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++)
      for (int64_t j = 0; j < out; j += lane)
        both_ways<3, 4, of_kernel>([&](int a, int b) { return kernel.read(i, j, a, b); },
                                   [&](int a, int b, lanes v) {
                                     int64_t at = ((4 * a + b) * (out / panel) + j / panel) * in + i;
                                     put(u.get() + at * panel + j % panel, v);
                                   });
  });
  return u;
}

// y (N,H,W,out) = x (N,H,W,in) convolved with a kernel, + bias (out) unless it is null.
void convolve(const Windows &s, const float *x, const Kernel &kernel, const float *bias, float *y) {
  int64_t in = kernel.in, out = kernel.out, parts = at::get_num_threads();
  auto u = prepare(kernel);
  std::vector<float> zeros(std::max(in, out), 0.f);
  std::vector<Buffer> vs(parts), ms(parts), bin(parts);
  chunks(s.count(), s.chunk(in, out), parts, [&](int64_t part, int64_t from, int64_t to) {
    if (!vs[part]) vs[part] = buffer(16 * (s.chunk(in, out) * in + gap)), ms[part] = buffer(16 * (s.chunk(in, out) * out + gap)), bin[part] = buffer(out);
    float *v = vs[part].get(), *m = ms[part].get();
    int64_t rows = to - from, x_plane = rows * in + gap, y_plane = rows * out + gap;
    transform<4, of_window>(s, x, in, zeros.data(), from, to, v, x_plane);
    for (int64_t p = 0; p < 16; p++)
      for (int64_t j = 0; j < out; j += panel)
        strip<panel / lane>(rows, in, v + p * x_plane, in, 1, u.get() + (p * out + j) * in, panel, m + p * y_plane + j, out, false);
    for (int64_t i = from; i < to; i++, m += out) {
      float *at[2][2];
      s.pixels<2>(i, y, out, bin[part].get(), at);
      for (int64_t j = 0; j < out; j += lane) {
        lanes b = get((bias ? bias : zeros.data()) + j);
        both_ways<4, 2, to_result>([&](int a, int c) { return get(m + (4 * a + c) * y_plane + j); },
                                   [&](int a, int c, lanes r) { put(at[a][c] + j, r + b); });
      }
    }
  });
}

// What windows [begin,end) give to the transformed gradient of a kernel (16,in,out) and to that of a bias (out). They are
// transformed in batches, by all threads; then every thread adds to its part of the kernel.
void gather(const Windows &s, const float *x, const float *dy, int64_t in, int64_t out, int64_t begin, int64_t end, int64_t batch, float *u, float *dbias) {
  constexpr int64_t depth = 96, columns = wide * lane; // of a product that caches hold
  int64_t blocks = (out + columns - 1) / columns;
  batch = std::max(batch / depth, int64_t(1)) * depth;
  std::vector<float> zeros(std::max(in, out), 0.f);
  auto v = buffer(16 * (batch * in + gap)), m = buffer(16 * (batch * out + gap));
  if (begin == end) std::fill(u, u + 16 * in * out, 0.f);
  for (int64_t from = begin; from < end; from += batch) {
    int64_t rows = std::min(batch, end - from), x_plane = rows * in + gap, y_plane = rows * out + gap;
    at::parallel_for(0, rows, 16, [&](int64_t first, int64_t last) {
      transform<4, of_window>(s, x, in, zeros.data(), from + first, from + last, v.get() + first * in, x_plane);
      transform<2, from_result>(s, dy, out, zeros.data(), from + first, from + last, m.get() + first * out, y_plane);
    });
    at::parallel_for(0, 16 * blocks, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        int64_t p = i / blocks, j = i % blocks * columns, width = std::min(columns, out - j);
        float *to = m.get() + p * y_plane + j, *sum = u + p * in * out + j;
        for (int64_t k = 0; k < rows; k += depth)
          multiply(in, width, std::min(depth, rows - k), v.get() + p * x_plane + k * in, 1, in, to + k * out, out, sum, out, from + k > begin);
        if (p == 5) // in the middle of a transform stands the sum of its results
          for (int64_t k = 0; k < rows; k++)
            for (int64_t c = 0; c < width; c++) dbias[j + c] += to[k * out + c];
      }
    });
  }
}

// The gradients of a kernel (3,3,in,out) and a bias (out), x (N,H,W,in) and dy (N,H,W,out) given. Small kernels are summed
// by each thread for itself, out of batches in its own cache; of larger ones there is one, which all add to.
void of_parameters(const Windows &s, const float *x, const float *dy, int64_t in, int64_t out, float *dkernel, float *dbias) {
  bool own = in * out <= 4096;
  int64_t size = 16 * in * out, parts = own ? at::get_num_threads() : 1, batch = (own ? 8192 : 65536) / (in + out);
  auto u = buffer(parts * size);
  std::vector<float> biases(parts * out, 0.f);
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++)
      gather(s, x, dy, in, out, s.count() * i / parts, s.count() * (i + 1) / parts, batch, u.get() + i * size, biases.data() + i * out);
  });
  at::parallel_for(0, in, 8, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++)
      for (int64_t j = 0; j < out; j += lane) {
        auto sum = [&](int a, int b) {
          const float *at = u.get() + ((4 * a + b) * in + i) * out + j;
          lanes total = get(at);
          for (int64_t part = 1; part < parts; part++) total += get(at + part * size);
          return total;
        };
        both_ways<4, 3, to_kernel>(sum, [&](int a, int b, lanes g) { put(dkernel + ((3 * a + b) * in + i) * out + j, g); });
      }
  });
  for (int64_t j = 0; j < out; j++) {
    dbias[j] = 0;
    for (int64_t part = 0; part < parts; part++) dbias[j] += biases[part * out + j];
  }
}

const float *values(const at::Tensor &t) { return t.data_ptr<float>(); }

struct Winograd {
  static at::Tensor results(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, at::IntArrayRef) {
    auto y = at::empty({x.size(0), w.size(0), x.size(2), x.size(3)}, x.options(), at::MemoryFormat::ChannelsLast);
    convolve(Windows(x), values(x), Kernel(w, false), b.numel() > 0 ? values(b) : nullptr, y.data_ptr<float>());
    return y;
  }

  static Gradients gradients(const at::Tensor &x, const at::Tensor &w, const at::Tensor &dy, at::IntArrayRef, bool images, bool parameters) {
    Gradients d;
    if (images) {
      d.x = at::empty_like(x);
      convolve(Windows(x), values(dy), Kernel(w, true), nullptr, d.x.data_ptr<float>());
    }
    if (parameters) {
      auto kernel = at::empty({3, 3, w.size(1), w.size(0)}, w.options());
      d.b = at::empty({w.size(0)}, w.options());
      of_parameters(Windows(x), values(x), values(dy), w.size(1), w.size(0), kernel.data_ptr<float>(), d.b.data_ptr<float>());
      d.w = kernel.permute({3, 2, 0, 1}).contiguous(w.suggest_memory_format());
    }
    return d;
  }
};

} // namespace

bool pagoda::winograd_suits(const at::Tensor &x, const at::Tensor &w, int64_t stride, int64_t pad_h, int64_t pad_w, int64_t groups) {
  return stride == 1 && pad_h == 1 && pad_w == 1 && groups == 1 && x.dim() == 4 && w.dim() == 4 &&
         w.size(2) == 3 && w.size(3) == 3 && x.size(1) == w.size(1) && w.size(1) % panel == 0 && w.size(0) % panel == 0 &&
         x.is_cpu() && x.scalar_type() == at::kFloat && w.scalar_type() == at::kFloat && Windows(x).count() >= 64;
}

at::Tensor pagoda::winograd(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b) { return convolution<Winograd>(x, w, b); }
