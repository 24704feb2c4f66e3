// Self-attention in blocks of queries: the T×T weights exist only a few rows at
// a time, forwards and backwards (Dao et al. 2022), and q, k and v are read from
// where the projection left them.
#include "shim.hpp"
#include "numeric.hpp"
#include "product.hpp"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/version.h>

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

// Where channel i of part p (q, k, v) of head h lies in a row of qkv.
struct Layout {
  int64_t n, t, heads, d, head, part, channel;
  int64_t at(int64_t h, int64_t p) const { return h * head + p * part; }
  int64_t width() const { return heads * d; }
};

constexpr int64_t block = 24; // queries at a time

// A matrix (T,d) of one head as float32, rows padded with zeros to sixteens.
struct Matrix {
  int64_t rows, stride;
  std::vector<float> data;
  Matrix(int64_t rows, int64_t columns) : rows(rows), stride(padded(columns)), data(rows * stride, 0.f) {}
  float *row(int64_t i) { return data.data() + i * stride; }

  template <typename T> void read(const T *from, int64_t columns, int64_t step, int64_t channel, float scale) {
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++) row(i)[j] = load(from + i * step + j * channel) * scale;
  }
  template <typename T> void write(T *to, int64_t columns, int64_t step, int64_t channel, float scale) {
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++) store(to + i * step + j * channel, row(i)[j] * scale);
  }
  void transpose(Matrix &from, int64_t columns) {
    for (int64_t i = 0; i < from.rows; i++)
      for (int64_t j = 0; j < columns; j++) row(j)[i] = from.row(i)[j];
  }
  void clear() { std::fill(data.begin(), data.end(), 0.f); }
};

template <typename T> void forward(const Layout &l, const T *qkv, T *out, float *lse) {
  int64_t step = 3 * l.width();
  float scale = 1 / std::sqrt(static_cast<float>(l.d));
  at::parallel_for(0, l.n * l.heads, 1, [&](int64_t from, int64_t to) {
    Matrix q(l.t, l.d), k(l.t, l.d), v(l.t, l.d), o(l.t, l.d), s(block, l.t), kt(q.stride, l.t);
    for (int64_t i = from; i < to; i++) {
      int64_t h = i % l.heads;
      const T *in = qkv + i / l.heads * l.t * step;
      q.read(in + l.at(h, 0), l.d, step, l.channel, scale);
      k.read(in + l.at(h, 1), l.d, step, l.channel, 1);
      v.read(in + l.at(h, 2), l.d, step, l.channel, 1);
      kt.transpose(k, l.d);
      for (int64_t r = 0; r < l.t; r += block) {
        int64_t rows = std::min(block, l.t - r);
        multiply(rows, s.stride, l.d, q.row(r), q.stride, 1, kt.row(0), kt.stride, s.row(0), s.stride, false);
        for (int64_t m = 0; m < rows; m++) {
          float *__restrict w = s.row(m), top = w[0], sum = 0;
#pragma omp simd reduction(max : top)
          for (int64_t j = 1; j < l.t; j++) top = std::max(top, w[j]);
#pragma omp simd reduction(+ : sum)
          for (int64_t j = 0; j < l.t; j++) sum += w[j] = fast_exp(w[j] - top);
          for (int64_t j = 0; j < l.t; j++) w[j] *= 1 / sum;
          lse[i * l.t + r + m] = top + std::log(sum);
        }
        multiply(rows, o.stride, l.t, s.row(0), s.stride, 1, v.row(0), v.stride, o.row(r), o.stride, false);
      }
      o.write(out + (i / l.heads * l.t * l.heads + h) * l.d, l.d, l.width(), 1, 1);
    }
  });
}

template <typename T>
void backward(const Layout &l, const T *qkv, const T *out, const T *dout, const float *lse, T *dqkv) {
  int64_t step = 3 * l.width();
  float scale = 1 / std::sqrt(static_cast<float>(l.d));
  at::parallel_for(0, l.n * l.heads, 1, [&](int64_t from, int64_t to) {
    Matrix q(l.t, l.d), k(l.t, l.d), v(l.t, l.d), o(l.t, l.d), g(l.t, l.d), kt(q.stride, l.t), vt(q.stride, l.t);
    Matrix dq(l.t, l.d), dk(l.t, l.d), dv(l.t, l.d), p(block, l.t), dp(block, l.t);
    for (int64_t i = from; i < to; i++) {
      int64_t h = i % l.heads, offset = (i / l.heads * l.t * l.heads + h) * l.d;
      const T *in = qkv + i / l.heads * l.t * step;
      T *grad = dqkv + i / l.heads * l.t * step;
      q.read(in + l.at(h, 0), l.d, step, l.channel, scale);
      k.read(in + l.at(h, 1), l.d, step, l.channel, 1);
      v.read(in + l.at(h, 2), l.d, step, l.channel, 1);
      o.read(out + offset, l.d, l.width(), 1, 1);
      g.read(dout + offset, l.d, l.width(), 1, 1);
      kt.transpose(k, l.d), vt.transpose(v, l.d), dk.clear(), dv.clear();
      for (int64_t r = 0; r < l.t; r += block) {
        int64_t rows = std::min(block, l.t - r);
        multiply(rows, p.stride, l.d, q.row(r), q.stride, 1, kt.row(0), kt.stride, p.row(0), p.stride, false);
        multiply(rows, dp.stride, l.d, g.row(r), g.stride, 1, vt.row(0), vt.stride, dp.row(0), dp.stride, false);
        for (int64_t m = 0; m < rows; m++) {
          float *__restrict w = p.row(m), *__restrict dw = dp.row(m), log = lse[i * l.t + r + m], dot = 0;
#pragma omp simd reduction(+ : dot)
          for (int64_t j = 0; j < l.d; j++) dot += g.row(r + m)[j] * o.row(r + m)[j];
          for (int64_t j = 0; j < l.t; j++) {
            w[j] = fast_exp(w[j] - log);
            dw[j] = w[j] * (dw[j] - dot);
          }
        }
        multiply(l.t, dv.stride, rows, p.row(0), 1, p.stride, g.row(r), g.stride, dv.row(0), dv.stride, true);
        multiply(l.t, dk.stride, rows, dp.row(0), 1, dp.stride, q.row(r), q.stride, dk.row(0), dk.stride, true);
        multiply(rows, dq.stride, l.t, dp.row(0), dp.stride, 1, k.row(0), k.stride, dq.row(r), dq.stride, false);
      }
      dq.write(grad + l.at(h, 0), l.d, step, l.channel, scale);
      dk.write(grad + l.at(h, 1), l.d, step, l.channel, 1);
      dv.write(grad + l.at(h, 2), l.d, step, l.channel, 1);
    }
  });
}

struct SelfAttention : torch::autograd::Function<SelfAttention> {
  static at::Tensor forward(AutogradContext *ctx, at::Tensor qkv, int64_t heads, int64_t head, int64_t part,
                            int64_t channel) {
    Layout l{qkv.size(0), qkv.size(1), heads, qkv.size(2) / 3 / heads, head, part, channel};
    auto out = at::empty({l.n, l.t, l.width()}, qkv.options());
    auto lse = at::empty({l.n, heads, l.t}, qkv.options().dtype(at::kFloat));
    typed(qkv, [&](auto element) {
      using T = decltype(element);
      ::forward(l, qkv.data_ptr<T>(), out.data_ptr<T>(), lse.data_ptr<float>());
    });
    ctx->save_for_backward({qkv, out, lse});
    ctx->saved_data["layout"] = std::vector<int64_t>{heads, head, part, channel};
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto &qkv = saved[0], &out = saved[1], &lse = saved[2];
    auto a = ctx->saved_data["layout"].toIntVector();
    Layout l{qkv.size(0), qkv.size(1), a[0], qkv.size(2) / 3 / a[0], a[1], a[2], a[3]};
    auto dout = grads[0].to(qkv.scalar_type()).contiguous(), dqkv = at::empty_like(qkv);
    typed(qkv, [&](auto element) {
      using T = decltype(element);
      ::backward(l, qkv.data_ptr<T>(), out.data_ptr<T>(), dout.data_ptr<T>(), lse.data_ptr<float>(), dqkv.data_ptr<T>());
    });
    return {dqkv, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

#if TORCH_VERSION_MAJOR >= 2
// libtorch's attention adds up gradients in a fixed order only while it may not do otherwise. What else it may not do
// then it refuses, so that this is said for the operator alone, forwards and backwards.
void strict(bool on) { at::globalContext().setDeterministicAlgorithms(true, !on); }

struct BeforeGradient : torch::autograd::FunctionPreHook {
  variable_list operator()(const variable_list &grads) override { return strict(true), grads; }
};
struct AfterGradient : torch::autograd::FunctionPostHook {
  variable_list operator()(const variable_list &grads, const variable_list &) override { return strict(false), grads; }
};

at::Tensor deterministic_attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
  strict(true);
  at::Tensor y;
  try {
    y = at::scaled_dot_product_attention(q, k, v);
  } catch (...) {
    strict(false);
    throw;
  }
  strict(false);
  if (auto node = y.grad_fn()) {
    node->add_pre_hook(std::make_unique<BeforeGradient>());
    node->add_post_hook(std::make_unique<AfterGradient>());
  }
  return y;
}
#endif

} // namespace

char *pg_self_attention(int mode, pg_tensor *out, pg_tensor x, int64_t heads, int64_t head, int64_t part,
                        int64_t channel) {
  return op(mode, out, [&] {
    auto qkv = deref(x).contiguous();
    TORCH_CHECK(qkv.dim() == 3 && qkv.size(2) % (3 * heads) == 0, "self-attention of ", qkv.sizes(), " in ", heads, " heads");
    if (qkv.is_cpu() && (qkv.scalar_type() == at::kFloat || qkv.scalar_type() == at::kBFloat16))
      return SelfAttention::apply(qkv, heads, head, part, channel);
    int64_t n = qkv.size(0), t = qkv.size(1), d = qkv.size(2) / 3 / heads;
    auto pick = [&](int64_t p) { // (N,heads,T,d)
      return qkv.as_strided({n, heads, t, d}, {t * 3 * heads * d, head, 3 * heads * d, channel},
                            qkv.storage_offset() + p * part);
    };
#if TORCH_VERSION_MAJOR >= 2
    if (!qkv.is_cpu()) {
      auto part = [&](int64_t p) { return channel == 1 ? pick(p) : pick(p).contiguous(); };
      return deterministic_attention(part(0), part(1), part(2)).transpose(1, 2).reshape({n, t, heads * d});
    }
#endif
    auto weight = at::matmul(pick(0), pick(1).transpose(-2, -1)) * (1 / std::sqrt(static_cast<double>(d)));
    auto wide = qkv.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    auto y = at::matmul(weight.softmax(-1, wide).to(qkv.scalar_type()), pick(2));
    return y.transpose(1, 2).reshape({n, t, heads * d});
  });
}
