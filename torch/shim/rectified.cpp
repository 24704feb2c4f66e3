// Piecewise linear activations whose gradient is told from the output alone: the
// input need not be kept, which halves what such layers hold. libtorch keeps the
// input, and 1.13 lacks the gradient of ReLU6 in bfloat16.
#include "shim.hpp"

#include <cmath>

#include "numeric.hpp"

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

template <typename T> void forward(int64_t n, const T *__restrict x, T *__restrict y, float slope, float high) {
  for (int64_t i = 0; i < n; i++) {
    float v = load(x + i), low = v > 0 ? v : v * slope;
    store(y + i, low > high ? high : low);
  }
}

template <typename T>
void backward(int64_t n, const T *__restrict y, const T *__restrict dy, T *__restrict dx, float slope, float high) {
  for (int64_t i = 0; i < n; i++) {
    float v = load(y + i), factor = v > 0 ? 1.f : slope;
    store(dx + i, load(dy + i) * (v < high ? factor : 0.f));
  }
}

// f(first element, elements) over n elements on all threads. What a lambda captures by reference is read
// from memory for every element, and nothing is vectorised: the loops are in functions of their own.
template <typename F> void split(int64_t n, F f) {
  at::parallel_for(0, n, 32768, [&](int64_t from, int64_t to) { f(from, to - from); });
}

struct Rectified : torch::autograd::Function<Rectified> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, double slope, double high) {
    auto y = at::empty_like(x);
    float s = static_cast<float>(slope), h = static_cast<float>(high);
    typed(x, [&](auto element) {
      using T = decltype(element);
      const T *in = x.data_ptr<T>();
      T *out = y.data_ptr<T>();
      split(x.numel(), [&](int64_t i, int64_t n) { ::forward(n, in + i, out + i, s, h); });
    });
    ctx->save_for_backward({y});
    ctx->saved_data["slope"] = slope;
    ctx->saved_data["high"] = high;
    return y;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto y = ctx->get_saved_variables()[0];
    auto dy = grads[0].to(y.scalar_type()), dx = at::empty_like(y);
    if (dy.strides() != y.strides()) dy = at::empty_like(y).copy_(dy);
    float s = static_cast<float>(ctx->saved_data["slope"].toDouble()), h = static_cast<float>(ctx->saved_data["high"].toDouble());
    typed(y, [&](auto element) {
      using T = decltype(element);
      const T *at = y.data_ptr<T>(), *in = dy.data_ptr<T>();
      T *out = dx.data_ptr<T>();
      split(y.numel(), [&](int64_t i, int64_t n) { ::backward(n, at + i, in + i, out + i, s, h); });
    });
    return {dx, at::Tensor(), at::Tensor()};
  }
};

} // namespace

at::Tensor pagoda::rectified(const at::Tensor &x, double slope, double high) {
  TORCH_CHECK(std::isinf(high) || slope == 0, "a rectifier with both a slope and a bound");
  bool here = x.is_cpu() && slope >= 0 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  if (here) return Rectified::apply(x.is_non_overlapping_and_dense() ? x : x.contiguous(), slope, high);
  return std::isinf(high) ? at::leaky_relu(x, slope) : at::hardtanh(x, 0, high);
}
