// The distance of feature maps whose pixels' vectors are brought to length 1: one
// pass over channels-last memory forwards and one backwards, nothing kept between.
#include "shim.hpp"
#include "numeric.hpp"

#include <cmath>

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

constexpr float eps = 1e-10f;

// 1/(|x|+eps), and 1/|x|; vectors of zeros count as of length 1.
struct Length {
  float inverse, gradient;
  template <typename T> Length(int64_t c, const T *__restrict x) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < c; j++) sum += load(x + j) * load(x + j);
    float norm = std::sqrt(sum > 0 ? sum : 1.f);
    inverse = 1 / (norm + eps), gradient = 1 / norm;
  }
};

// The difference is a - b·ratio in units of a's length: exactly zero for a = b, also where products are fused with sums.
template <typename T> float forward(int64_t c, const T *__restrict a, const T *__restrict b, const float *__restrict w) {
  float la = Length(c, a).inverse, ratio = Length(c, b).inverse / la, sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < c; j++) {
    float d = load(a + j) - load(b + j) * ratio;
    sum += w[j] * d * d;
  }
  return sum * la * la;
}

// da of a pixel whose distance has the gradient g.
template <typename T>
void backward(int64_t c, const T *__restrict a, const T *__restrict b, const float *__restrict w, float g, T *__restrict da) {
  Length of_a(c, a);
  float la = of_a.inverse, ratio = Length(c, b).inverse / la, along = 0;
#pragma omp simd reduction(+ : along)
  for (int64_t j = 0; j < c; j++) along += w[j] * (load(a + j) - load(b + j) * ratio) * load(a + j);
  float straight = 2 * g * la * la, back = straight * along * la * of_a.gradient;
  for (int64_t j = 0; j < c; j++) store(da + j, straight * w[j] * (load(a + j) - load(b + j) * ratio) - back * load(a + j));
}

// f(pixel, offset of its channels), pixels over all images.
template <typename F> void over_pixels(const at::Tensor &x, F f) {
  int64_t c = x.size(1);
  at::parallel_for(0, x.numel() / c, std::max<int64_t>(16384 / c, 1), [&](int64_t from, int64_t to) {
    for (int64_t p = from; p < to; p++) f(p, p * c);
  });
}

struct UnitDistance : torch::autograd::Function<UnitDistance> {
  static at::Tensor forward(AutogradContext *ctx, at::Tensor a, at::Tensor b, at::Tensor weights) {
    auto pixels = at::empty({a.size(0), a.size(2) * a.size(3)}, a.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous));
    typed(a, [&](auto element) {
      using T = decltype(element);
      const T *at = a.data_ptr<T>(), *bt = b.data_ptr<T>();
      const float *w = weights.data_ptr<float>();
      float *out = pixels.data_ptr<float>();
      over_pixels(a, [&](int64_t p, int64_t i) { out[p] = ::forward(a.size(1), at + i, bt + i, w); });
    });
    ctx->save_for_backward({a, b, weights});
    ctx->saved_data["needs"] = std::vector<int64_t>{a.requires_grad(), b.requires_grad()};
    return pixels.mean(1);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto needs = ctx->saved_data["needs"].toIntVector();
    auto g = grads[0].contiguous();
    at::Tensor out[2];
    for (int side = 0; side < 2; side++) {
      if (!needs[side]) continue;
      auto &a = saved[side], &b = saved[1 - side];
      out[side] = at::empty_like(a);
      typed(a, [&](auto element) {
        using T = decltype(element);
        const T *at = a.data_ptr<T>(), *bt = b.data_ptr<T>();
        const float *w = saved[2].data_ptr<float>(), *gt = g.data_ptr<float>();
        T *to = out[side].data_ptr<T>();
        int64_t c = a.size(1), area = a.size(2) * a.size(3);
        over_pixels(a, [&](int64_t p, int64_t i) { ::backward(c, at + i, bt + i, w, gt[p / area] / area, to + i); });
      });
    }
    return {out[0], out[1], at::Tensor()};
  }
};

at::Tensor composed(const at::Tensor &a, const at::Tensor &b, const at::Tensor &weights) {
  auto unit = [](const at::Tensor &x) {
    auto square = x.square().sum(1, true);
    return x / ((square + (square == 0)).sqrt() + eps);
  };
  auto wide = a.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  auto d = (unit(a.to(wide)) - unit(b.to(wide))).square();
  return (d * weights.to(wide).view({1, -1, 1, 1})).sum(1).mean({1, 2});
}

} // namespace

char *pg_unit_distance(int mode, pg_tensor *out, pg_tensor x, pg_tensor y, pg_tensor weights) {
  return op(mode, out, [&] {
    auto &a = deref(x), &b = deref(y);
    TORCH_CHECK(a.dim() == 4 && a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type(), "unit distance of ", a.sizes(), " and ", b.sizes());
    auto w = weights == nullptr ? at::ones({a.size(1)}, a.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous))
                                : deref(weights).reshape(-1).contiguous();
    TORCH_CHECK(w.numel() == a.size(1), "unit distance of ", a.sizes(), " with ", w.numel(), " weights");
    bool fused = a.is_cpu() && b.is_cpu() && w.is_cpu() && a.numel() > 0 && !w.requires_grad() && (a.scalar_type() == at::kFloat || a.scalar_type() == at::kBFloat16) && w.scalar_type() == at::kFloat;
    if (!fused) return composed(a, b, w);
    auto format = at::MemoryFormat::ChannelsLast;
    return UnitDistance::apply(a.contiguous(format), b.contiguous(format), w);
  });
}
