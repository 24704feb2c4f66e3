// Spectral normalisation: a power iteration and the division by the largest
// singular value in one pass over the weight each, instead of a dozen operators.
#include "shim.hpp"

#include <cmath>

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

// A matrix (rows,columns) as it lies in memory.
struct Matrix {
  const float *w;
  int64_t rows, columns;
};

// f over the rows, or the columns, of which one costs so many operations.
template <typename F> void over(int64_t count, int64_t each, F f) {
  at::parallel_for(0, count, std::max<int64_t>(32768 / each, 1), f);
}

float dot(int64_t n, const float *__restrict a, const float *__restrict b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

void scale(int64_t n, const float *__restrict x, float by, float *__restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] * by;
}

void add(int64_t n, const float *__restrict x, float times, float *__restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] += x[i] * times;
}

void normalise(std::vector<float> &x) {
  float length = std::max(std::sqrt(dot(x.size(), x.data(), x.data())), 1e-12f);
  for (float &e : x) e /= length;
}

std::vector<float> times(const Matrix &m, const float *v) {
  std::vector<float> out(m.rows);
  over(m.rows, m.columns, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) out[r] = dot(m.columns, m.w + r * m.columns, v);
  });
  return out;
}

std::vector<float> transposed_times(const Matrix &m, const float *u) {
  std::vector<float> out(m.columns, 0.f);
  over(m.columns, m.rows, [&](int64_t from, int64_t to) {
    for (int64_t r = 0; r < m.rows; r++) add(to - from, m.w + r * m.columns + from, u[r], out.data() + from);
  });
  return out;
}

// The axes (In,kh,kw) of v in the order in which a weight of that format has them in memory, or back.
at::Tensor reorder(const at::Tensor &v, const at::Tensor &w, bool back) {
  if (w.is_contiguous()) return v;
  int64_t in = w.size(1), kh = w.size(2), kw = w.size(3);
  return back ? v.view({kh, kw, in}).permute({2, 0, 1}).reshape(-1) : v.view({in, kh, kw}).permute({1, 2, 0}).reshape(-1);
}

struct Spectral : torch::autograd::Function<Spectral> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &w, at::Tensor u, at::Tensor v, bool iterate) {
    Matrix m{w.data_ptr<float>(), w.size(0), w.numel() / w.size(0)};
    auto right = reorder(v, w, false).contiguous(), start = u.contiguous();
    std::vector<float> left(start.data_ptr<float>(), start.data_ptr<float>() + m.rows), along(right.data_ptr<float>(), right.data_ptr<float>() + m.columns);
    if (iterate) along = transposed_times(m, left.data()), normalise(along);
    auto image = times(m, along.data());
    if (iterate) {
      left = image, normalise(left);
      u.copy_(at::from_blob(left.data(), {m.rows}));
      v.copy_(reorder(at::from_blob(along.data(), {m.columns}), w, true));
    }
    float sigma = dot(m.rows, left.data(), image.data());
    auto y = at::empty_like(w);
    over(m.rows, m.columns, [&](int64_t from, int64_t to) {
      scale((to - from) * m.columns, m.w + from * m.columns, 1 / sigma, y.data_ptr<float>() + from * m.columns);
    });
    ctx->save_for_backward({y, at::from_blob(left.data(), {m.rows}).clone(), at::from_blob(along.data(), {m.columns}).clone()});
    ctx->saved_data["sigma"] = static_cast<double>(sigma);
    return y;
  }

  // With y = w/sigma and sigma = uᵀwv: dw = (dy - <dy,y> uvᵀ)/sigma.
  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto &y = saved[0];
    auto dy = grads[0].strides() == y.strides() ? grads[0] : at::empty_like(y).copy_(grads[0]);
    auto dw = at::empty_like(y);
    const float *u = saved[1].data_ptr<float>(), *v = saved[2].data_ptr<float>(), *g = dy.data_ptr<float>(), *of = y.data_ptr<float>();
    float *out = dw.data_ptr<float>(), by = 1 / static_cast<float>(ctx->saved_data["sigma"].toDouble());
    int64_t rows = saved[1].numel(), columns = saved[2].numel();
    double inner = 0;
    for (int64_t r = 0; r < rows; r++) inner += dot(columns, g + r * columns, of + r * columns);
    over(rows, columns, [&](int64_t from, int64_t to) {
      for (int64_t r = from; r < to; r++) {
        scale(columns, g + r * columns, by, out + r * columns);
        add(columns, v, -by * static_cast<float>(inner) * u[r], out + r * columns);
      }
    });
    return {dw, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor composed(const at::Tensor &w, at::Tensor u, at::Tensor v, bool iterate) {
  auto matrix = w.reshape({w.size(0), -1});
  auto left = u.clone(), right = v.clone(); // the graph must not see the buffers change
  if (iterate) {
    c10::AutoGradMode off(false);
    right = at::mv(matrix.t(), left), right = right / right.norm().clamp_min(1e-12);
    left = at::mv(matrix, right), left = left / left.norm().clamp_min(1e-12);
    u.copy_(left), v.copy_(right);
  }
  return w / at::dot(left, at::mv(matrix, right));
}

} // namespace

char *pg_spectral_norm(int mode, pg_tensor *out, pg_tensor weight, pg_tensor u, pg_tensor v, int iterate) {
  return op(mode, out, [&] {
    auto &w = deref(weight);
    TORCH_CHECK(w.dim() >= 2 && deref(u).numel() == w.size(0) && deref(v).numel() == w.numel() / w.size(0), "spectral norm of ", w.sizes(),
                " with vectors of ", deref(u).numel(), " and ", deref(v).numel());
    bool dense = w.is_contiguous() || (w.dim() == 4 && w.is_contiguous(at::MemoryFormat::ChannelsLast));
    bool fused = dense && w.numel() > 0;
    for (auto &t : {w, deref(u), deref(v)}) fused = fused && t.is_cpu() && t.scalar_type() == at::kFloat;
    return fused ? Spectral::apply(w, deref(u), deref(v), iterate != 0) : composed(w, deref(u), deref(v), iterate != 0);
  });
}
