// GroupNorm, the FiLM modulation and SiLU in two passes over channels-last memory
// forwards and two backwards; libtorch takes seven.
#include "shim.hpp"
#include "numeric.hpp"

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

inline float sigmoid(float x) { return 1.f / (1.f + fast_exp(-x)); }

// Shape of one call: n images of p pixels by c channels in g groups. Every image
// is cut into `parts` runs of pixels, so that small batches use all threads too.
struct Shape {
  int64_t n, p, c, g, parts;
  int64_t begin(int64_t part) const { return p * part / parts; }
};

Shape shape_of(const at::Tensor &x, int64_t groups) {
  Shape s{x.size(0), x.size(2) * x.size(3), x.size(1), groups, 1};
  int64_t threads = at::get_num_threads();
  if (s.n % threads != 0 && s.n < 4 * threads) s.parts = std::min<int64_t>(s.p, threads);
  return s;
}

// Three phases: add(image, from, to, part) over runs of pixels, then finish(image), then apply(image, from, to). An
// image in one part goes through all of them at once, while caches hold it.
template <typename A, typename F, typename P> void phases(const Shape &s, A add, F finish, P apply) {
  auto over_parts = [&](auto f) {
    at::parallel_for(0, s.n * s.parts, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; i++) f(i / s.parts, s.begin(i % s.parts), s.begin(i % s.parts + 1), i);
    });
  };
  if (s.parts == 1)
    return over_parts([&](int64_t i, int64_t from, int64_t to, int64_t part) { add(i, from, to, part), finish(i), apply(i, from, to); });
  over_parts(add);
  for (int64_t i = 0; i < s.n; i++) finish(i);
  over_parts([&](int64_t i, int64_t from, int64_t to, int64_t) { apply(i, from, to); });
}

// Two sums per part and channel; the first part of each image collects the others.
struct Sums {
  const Shape &s;
  std::vector<double> values;
  explicit Sums(const Shape &s) : s(s), values(s.n * s.parts * 2 * s.c, 0.) {}
  double *of(int64_t image) { return values.data() + image * s.parts * 2 * s.c; }

  // f(pixel, a, b) adds to float32 sums, in runs so short that they keep their precision.
  template <typename F> void add(int64_t from, int64_t to, int64_t part, F f) {
    std::vector<float> a(s.c), b(s.c);
    double *sum = values.data() + part * 2 * s.c;
    for (int64_t chunk = from; chunk < to; chunk += 32) {
      std::fill(a.begin(), a.end(), 0.f);
      std::fill(b.begin(), b.end(), 0.f);
      for (int64_t p = chunk; p < std::min(to, chunk + 32); p++) f(p, a.data(), b.data());
      for (int64_t c = 0; c < s.c; c++) sum[c] += a[c], sum[s.c + c] += b[c];
    }
  }
  double *collect(int64_t image) {
    double *sum = of(image);
    for (int64_t part = 1; part < s.parts; part++)
      for (int64_t c = 0; c < 2 * s.c; c++) sum[c] += sum[part * 2 * s.c + c];
    return sum;
  }
};

// Folds normalisation, affine parameters and modulation of an image into y = act(k x + d) per channel.
void coefficients(const Shape &s, int64_t i, const float *mean, const float *rstd, const float *w, const float *b,
                  const float *scale, const float *shift, float *k, float *d) {
  for (int64_t g = 0, width = s.c / s.g; g < s.g; g++)
    for (int64_t c = g * width; c < (g + 1) * width; c++) {
      float m = scale ? 1.f + scale[i * s.c + c] : 1.f, r = rstd[i * s.g + g];
      k[c] = r * w[c] * m;
      d[c] = (b[c] - mean[i * s.g + g] * r * w[c]) * m + (shift ? shift[i * s.c + c] : 0.f);
    }
}

template <typename T, bool silu>
void forward(const Shape &s, const T *x, T *y, const float *w, const float *b, const float *scale, const float *shift,
             float *mean, float *rstd, double eps) {
  Sums sums(s);
  std::vector<float> ks(s.n * s.c), ds(s.n * s.c);
  auto add = [&](int64_t i, int64_t from, int64_t to, int64_t part) {
    sums.add(from, to, part, [&](int64_t p, float *__restrict a, float *__restrict q) {
      const T *__restrict row = x + (i * s.p + p) * s.c;
      for (int64_t c = 0, n = s.c; c < n; c++) {
        float v = load(row + c);
        a[c] += v;
        q[c] += v * v;
      }
    });
  };
  auto finish = [&](int64_t i) {
    const double *total = sums.collect(i);
    int64_t width = s.c / s.g;
    for (int64_t g = 0; g < s.g; g++) {
      double a = 0, q = 0;
      for (int64_t c = g * width; c < (g + 1) * width; c++) a += total[c], q += total[s.c + c];
      double count = static_cast<double>(width * s.p), m = a / count;
      mean[i * s.g + g] = static_cast<float>(m);
      rstd[i * s.g + g] = static_cast<float>(1 / std::sqrt(std::max(q / count - m * m, 0.) + eps));
    }
    coefficients(s, i, mean, rstd, w, b, scale, shift, ks.data() + i * s.c, ds.data() + i * s.c);
  };
  auto apply = [&](int64_t i, int64_t from, int64_t to) {
    const float *__restrict k = ks.data() + i * s.c, *__restrict d = ds.data() + i * s.c;
    for (int64_t p = from; p < to; p++) {
      const T *__restrict in = x + (i * s.p + p) * s.c;
      T *__restrict o = y + (i * s.p + p) * s.c;
      for (int64_t c = 0, n = s.c; c < n; c++) {
        float u = k[c] * load(in + c) + d[c];
        store(o + c, silu ? u * sigmoid(u) : u);
      }
    }
  };
  phases(s, add, finish, apply);
}

// The gradient in front of the activation of u = k x + d, given that behind it.
template <bool silu> inline float before(float u, float g) {
  if (!silu) return g;
  float z = sigmoid(u);
  return g * z * (1.f + u * (1.f - z));
}

template <typename T, bool silu>
void backward(const Shape &s, const T *x, const T *dy, T *dx, const float *w, const float *b, const float *scale,
              const float *shift, const float *mean, const float *rstd, float *dw, float *db, float *dscale,
              float *dshift) {
  Sums sums(s); // x enters them raw and is normalised afterwards
  std::vector<float> ks(s.n * s.c), ds(s.n * s.c), e0(s.n * s.c), e1(s.n * s.c); // dx = k du + e1 x + e0
  for (int64_t i = 0; i < s.n; i++) coefficients(s, i, mean, rstd, w, b, scale, shift, ks.data() + i * s.c, ds.data() + i * s.c);
  auto add = [&](int64_t i, int64_t from, int64_t to, int64_t part) {
    sums.add(from, to, part, [&](int64_t p, float *__restrict a, float *__restrict q) {
      const T *__restrict in = x + (i * s.p + p) * s.c, *__restrict g = dy + (i * s.p + p) * s.c;
      const float *__restrict k = ks.data() + i * s.c, *__restrict d = ds.data() + i * s.c;
      for (int64_t c = 0, n = s.c; c < n; c++) {
        float v = load(in + c), t = before<silu>(k[c] * v + d[c], load(g + c));
        a[c] += t;
        q[c] += t * v;
      }
    });
  };
  auto finish = [&](int64_t i) {
    double *total = sums.collect(i), count = static_cast<double>(s.c / s.g * s.p);
    for (int64_t g = 0, width = s.c / s.g; g < s.g; g++) {
      double m = mean[i * s.g + g], r = rstd[i * s.g + g], sum1 = 0, sum2 = 0;
      for (int64_t c = g * width; c < (g + 1) * width; c++) {
        int64_t j = i * s.c + c;
        double a = total[c], q = (total[s.c + c] - m * a) * r, mod = scale ? 1. + scale[j] : 1.;
        if (dshift) dshift[j] = static_cast<float>(a);
        if (dscale) dscale[j] = static_cast<float>(q * w[c] + a * b[c]);
        total[c] = a * mod, total[s.c + c] = q * mod; // this image's part of db and dw
        sum1 += a * mod * w[c];
        sum2 += q * mod * w[c];
      }
      double c1 = -r * r * sum2 / count, c0 = -r * sum1 / count - c1 * m;
      for (int64_t c = g * width; c < (g + 1) * width; c++) {
        e1[i * s.c + c] = static_cast<float>(c1);
        e0[i * s.c + c] = static_cast<float>(c0);
      }
    }
  };
  auto apply = [&](int64_t i, int64_t from, int64_t to) {
    const float *__restrict k = ks.data() + i * s.c, *__restrict d = ds.data() + i * s.c;
    const float *__restrict z0 = e0.data() + i * s.c, *__restrict z1 = e1.data() + i * s.c;
    for (int64_t p = from; dx != nullptr && p < to; p++) {
      const T *__restrict in = x + (i * s.p + p) * s.c, *__restrict g = dy + (i * s.p + p) * s.c;
      T *__restrict o = dx + (i * s.p + p) * s.c;
      for (int64_t c = 0, n = s.c; c < n; c++) {
        float v = load(in + c);
        store(o + c, k[c] * before<silu>(k[c] * v + d[c], load(g + c)) + z1[c] * v + z0[c]);
      }
    }
  };
  phases(s, add, finish, apply);
  std::vector<double> all(2 * s.c, 0.);
  for (int64_t i = 0; i < s.n; i++)
    for (int64_t c = 0; c < 2 * s.c; c++) all[c] += sums.of(i)[c];
  for (int64_t c = 0; c < s.c; c++) db[c] = static_cast<float>(all[c]), dw[c] = static_cast<float>(all[s.c + c]);
}

// Absent operands reach the autograd function as empty tensors.
bool present(const at::Tensor &t) { return t.defined() && t.numel() > 0; }
// The instance of a kernel for the activations' type and the presence of SiLU.
template <typename F> void dispatch(const at::Tensor &x, bool silu, F f) {
  typed(x, [&](auto element) { silu ? f(element, std::true_type()) : f(element, std::false_type()); });
}
template <typename T> T *data(const at::Tensor &t) { return present(t) ? t.data_ptr<T>() : nullptr; }

struct GroupNorm : torch::autograd::Function<GroupNorm> {
  static at::Tensor forward(AutogradContext *ctx, at::Tensor x, at::Tensor w, at::Tensor b, at::Tensor scale,
                            at::Tensor shift, int64_t groups, double eps, bool silu) {
    auto s = shape_of(x, groups);
    auto mean = at::empty({s.n, groups}, w.options()), rstd = at::empty_like(mean);
    auto y = at::empty_like(x);
    dispatch(x, silu, [&](auto t, auto act) {
      using T = decltype(t);
      ::forward<T, act.value>(s, data<T>(x), data<T>(y), data<float>(w), data<float>(b), data<float>(scale),
                              data<float>(shift), data<float>(mean), data<float>(rstd), eps);
    });
    ctx->save_for_backward({x, w, b, scale, shift, mean, rstd});
    ctx->saved_data["groups"] = groups;
    ctx->saved_data["silu"] = silu;
    ctx->saved_data["need_x"] = x.requires_grad();
    return y;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto v = ctx->get_saved_variables();
    auto &x = v[0], &w = v[1], &b = v[2], &scale = v[3], &shift = v[4], &mean = v[5], &rstd = v[6];
    bool silu = ctx->saved_data["silu"].toBool();
    auto s = shape_of(x, ctx->saved_data["groups"].toInt());
    auto dy = grads[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    auto dx = ctx->saved_data["need_x"].toBool() ? at::empty_like(x) : at::Tensor();
    auto dw = at::empty_like(w), db = at::empty_like(b);
    auto dscale = present(scale) ? at::empty_like(scale) : at::Tensor();
    auto dshift = present(shift) ? at::empty_like(shift) : at::Tensor();
    dispatch(x, silu, [&](auto t, auto act) {
      using T = decltype(t);
      ::backward<T, act.value>(s, data<T>(x), data<T>(dy), data<T>(dx), data<float>(w), data<float>(b),
                               data<float>(scale), data<float>(shift), data<float>(mean), data<float>(rstd),
                               data<float>(dw), data<float>(db), data<float>(dscale), data<float>(dshift));
    });
    return {dx, dw, db, dscale, dshift, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor composed_group_norm(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, const at::Tensor &scale,
                               const at::Tensor &shift, int64_t groups, double eps, bool silu) {
  auto wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
  auto y = at::group_norm(wide, groups, w.to(wide.scalar_type()), b.to(wide.scalar_type()), eps);
  if (scale.defined()) y = y * (1 + scale.view({scale.size(0), scale.size(1), 1, 1}));
  if (shift.defined()) y = y + shift.view({shift.size(0), shift.size(1), 1, 1});
  return (silu ? at::silu(y) : y).to(x.scalar_type());
}

} // namespace

at::Tensor pagoda::group_norm(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, const at::Tensor &scale,
                              const at::Tensor &shift, int64_t groups, double eps, bool silu) {
  TORCH_CHECK(x.dim() == 4 && w.numel() == x.size(1) && b.numel() == x.size(1) && groups > 0 && x.size(1) % groups == 0, "group norm of ",
              x.sizes(), " with ", w.numel(), " weights and ", b.numel(), " biases in ", groups, " groups");
  bool plain = x.numel() > 0;
  for (auto &t : {w, b, scale, shift}) plain = plain && (!t.defined() || t.device() == x.device());
  plain = plain && w.scalar_type() == at::kFloat && b.scalar_type() == at::kFloat;
  bool here = plain && x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  if (!here && !(plain && device_group_norm_suits(x))) return composed_group_norm(x, w, b, scale, shift, groups, eps, silu);
  auto wide = [&](const at::Tensor &t) {
    return t.defined() ? t.to(at::kFloat).expand({x.size(0), x.size(1)}).contiguous() : at::empty({0}, w.options());
  };
  auto last = x.contiguous(at::MemoryFormat::ChannelsLast);
  if (here) return GroupNorm::apply(last, w.contiguous(), b.contiguous(), wide(scale), wide(shift), groups, eps, silu);
  return device_group_norm(last, w.contiguous(), b.contiguous(), wide(scale), wide(shift), groups, eps, silu);
}
