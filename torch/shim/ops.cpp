// Operators: each is one call of libtorch, under the caller's mode.
#include "shim.hpp"

#include <limits>

using namespace pagoda;

static at::IntArrayRef ints(const int64_t *p, int n) { return {p, static_cast<size_t>(n)}; }

char *pg_unary(int mode, pg_tensor *out, int code, pg_tensor h) {
  return op(mode, out, [&]() -> at::Tensor {
    const auto &x = deref(h);
    switch (code) {
    case PG_NEG: return -x;
    case PG_EXP: return x.exp();
    case PG_LOG: return x.log();
    case PG_SQRT: return x.sqrt();
    case PG_RSQRT: return x.rsqrt();
    case PG_SQUARE: return x.square();
    case PG_ABS: return x.abs();
    case PG_SIN: return x.sin();
    case PG_COS: return x.cos();
    case PG_TANH: return x.tanh();
    case PG_SILU: return at::silu(x);
    case PG_GELU: return at::gelu(x);
    case PG_RELU: return x.relu();
    case PG_RELU6: return rectified(x, 0, 6);
    case PG_SOFTPLUS: return at::softplus(x);
    case PG_DETACH: return x.detach();
    case PG_CLONE: return x.clone();
    case PG_CHANNELS_LAST: return x.contiguous(at::MemoryFormat::ChannelsLast);
    }
    TORCH_CHECK(false, "unknown operator ", code);
  });
}

char *pg_binary(int mode, pg_tensor *out, int code, pg_tensor ha, pg_tensor hb) {
  return op(mode, out, [&]() -> at::Tensor {
    const auto &a = deref(ha), &b = deref(hb);
    switch (code) {
    case PG_ADD: return a + b;
    case PG_SUB: return a - b;
    case PG_MUL: return a * b;
    case PG_DIV: return a / b;
    case PG_MATMUL: return at::matmul(compute(mode, a), compute(mode, b));
    case PG_EQUAL: return a.eq(b);
    }
    TORCH_CHECK(false, "unknown operator ", code);
  });
}

char *pg_affine(int mode, pg_tensor *out, pg_tensor x, double scale, double shift) {
  return op(mode, out, [&] {
    auto y = scale == 1 ? deref(x) : deref(x) * scale;
    return shift == 0 ? y : y + shift;
  });
}

char *pg_clamp(int mode, pg_tensor *out, pg_tensor x, double low, double high) {
  return op(mode, out, [&] { return deref(x).clamp(low, high); });
}

char *pg_leaky_relu(int mode, pg_tensor *out, pg_tensor x, double slope) {
  return op(mode, out, [&] { return rectified(deref(x), slope, std::numeric_limits<float>::infinity()); });
}

char *pg_reduce(int mode, pg_tensor *out, int code, pg_tensor h, const int64_t *dims, int n, int keep) {
  return op(mode, out, [&]() -> at::Tensor {
    const auto &x = deref(h);
    std::vector<int64_t> d(dims, dims + n);
    for (int64_t i = 0; n == 0 && i < x.dim(); i++) d.push_back(i);
    switch (code) {
    case PG_SUM: return x.sum(d, keep != 0);
    case PG_MEAN: return x.mean(d, keep != 0);
    }
    TORCH_CHECK(false, "unknown reduction ", code);
  });
}

char *pg_softmax(int mode, pg_tensor *out, pg_tensor x, int64_t dim, int log) {
  return op(mode, out, [&] { return log ? deref(x).log_softmax(dim) : deref(x).softmax(dim); });
}

char *pg_argmax(pg_tensor *out, pg_tensor x, int64_t dim) {
  return op(0, out, [&] { return deref(x).argmax(dim); });
}

char *pg_reshape(int mode, pg_tensor *out, pg_tensor x, const int64_t *shape, int n) {
  return op(mode, out, [&] { return deref(x).reshape(ints(shape, n)); });
}

char *pg_expand(int mode, pg_tensor *out, pg_tensor x, const int64_t *shape, int n) {
  return op(mode, out, [&] { return deref(x).expand(ints(shape, n)); });
}

char *pg_permute(int mode, pg_tensor *out, pg_tensor x, const int64_t *dims, int n) {
  return op(mode, out, [&] { return deref(x).permute(ints(dims, n)); });
}

char *pg_narrow(int mode, pg_tensor *out, pg_tensor x, int64_t dim, int64_t start, int64_t length) {
  return op(mode, out, [&] { return deref(x).narrow(dim, start, length); });
}

char *pg_cat(int mode, pg_tensor *out, const pg_tensor *x, int n, int64_t dim) {
  return op(mode, out, [&] { return at::cat(list(x, n), dim); });
}

char *pg_pad(int mode, pg_tensor *out, pg_tensor x, const int64_t *pads, int n, double value) {
  return op(mode, out, [&] { return at::constant_pad_nd(deref(x), ints(pads, n), value); });
}

char *pg_index_select(int mode, pg_tensor *out, pg_tensor x, int64_t dim, pg_tensor index) {
  return op(mode, out, [&] { return deref(x).index_select(dim, deref(index)); });
}

char *pg_gather(int mode, pg_tensor *out, pg_tensor x, int64_t dim, pg_tensor index) {
  return op(mode, out, [&] { return deref(x).gather(dim, deref(index)); });
}

char *pg_linear(int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b) {
  return op(mode, out, [&] {
    return at::linear(compute(mode, deref(x)), compute(mode, deref(w)), compute(mode, optional(b)));
  });
}

#ifdef __AVX512F__
static bool gathered_rows = false; // libtorch is no slower on these processors
#else
static bool gathered_rows = true;
#endif

char *pg_gathered_rows(int on) {
  gathered_rows = on != 0;
  return nullptr;
}

char *pg_conv2d(int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b, int64_t stride, int64_t pad_h,
                int64_t pad_w, int64_t groups, int transposed) {
  return op(mode, out, [&] {
    const int64_t padding[] = {pad_h, pad_w};
    auto in = compute(mode, deref(x)), weight = compute(mode, deref(w)), bias = compute(mode, optional(b));
    if (transposed) { // libtorch 1.13 answers wrongly in bfloat16 on processors
      auto wide = [&](const at::Tensor &t) {
        return t.defined() && t.is_cpu() && t.scalar_type() == at::kBFloat16 ? t.to(at::kFloat) : t;
      };
      return at::conv_transpose2d(wide(in), wide(weight), wide(bias), stride, padding, 0, groups).to(in.scalar_type());
    }
    bool fits = weight.device() == in.device() &&
                (!bias.defined() || (bias.device() == in.device() && bias.dim() == 1 && bias.size(0) == weight.size(0)));
    if (fits && winograd_suits(in, weight, stride, pad_h, pad_w, groups)) return winograd(in, weight, bias);
    if (fits && narrow_suits(in, weight, stride, pad_h, pad_w, groups)) return narrow(in, weight, bias);
    if (fits && gathered_rows && columns_suit(in, weight, pad_h, pad_w, groups)) return columns(in, weight, bias, stride, pad_h, pad_w);
    return at::conv2d(in, weight, bias, stride, padding, 1, groups);
  });
}

char *pg_avg_pool2d(int mode, pg_tensor *out, pg_tensor x, int64_t size, int64_t stride, int64_t padding) {
  return op(mode, out, [&] { return at::avg_pool2d(deref(x), size, stride, padding, false, false); });
}

char *pg_max_pool2d(int mode, pg_tensor *out, pg_tensor x, int64_t size, int64_t stride, int64_t padding) {
  return op(mode, out, [&] { return at::max_pool2d(deref(x), size, stride, padding); });
}

char *pg_group_norm(int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b, pg_tensor scale, pg_tensor shift,
                    int64_t groups, double eps, int silu) {
  return op(mode, out, [&] {
    return group_norm(deref(x), deref(w), deref(b), optional(scale), optional(shift), groups, eps, silu != 0);
  });
}

char *pg_layer_norm(int mode, pg_tensor *out, pg_tensor h, pg_tensor w, pg_tensor b, double eps) {
  return op(mode, out, [&] {
    const auto &x = deref(h);
    auto type = x.scalar_type();
    return at::layer_norm(x, {x.size(-1)}, deref(w).to(type), deref(b).to(type), eps);
  });
}

char *pg_dropout(int mode, pg_tensor *out, pg_tensor h, double share, int64_t seed) {
  return op(mode, out, [&] {
    const auto &x = deref(h);
    auto generator = at::globalContext().defaultGenerator(x.device()).clone();
    generator.set_current_seed(static_cast<uint64_t>(seed));
    auto kept = at::empty_like(x.detach()).bernoulli_(1 - share, generator);
    return x * kept.div_(1 - share);
  });
}

char *pg_batch_norm(int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b, pg_tensor mean, pg_tensor var,
                    int train, double momentum, double eps) {
  return op(mode, out, [&] {
    if (!train)
      return at::batch_norm(deref(x), optional(w), optional(b), deref(mean), deref(var), false, momentum, eps, false);
    // Work on copies, of which only finite values are kept.
    at::Tensor m = deref(mean).clone(), v = deref(var).clone();
    auto y = at::batch_norm(deref(x), optional(w), optional(b), m, v, true, momentum, eps, false);
    for (auto [now, then] : {std::pair{m, deref(mean)}, std::pair{v, deref(var)}})
      then.copy_(at::where(at::isfinite(now), now, then));
    return y;
  });
}

char *pg_eigh(pg_tensor *values, pg_tensor *vectors, pg_tensor x) {
  return run([&] {
    c10::AutoGradMode off(false);
    auto [w, v] = at::linalg_eigh(deref(x), "L");
    put(values, w);
    put(vectors, v);
  });
}

char *pg_svd(pg_tensor *u, pg_tensor *s, pg_tensor *vh, pg_tensor x) {
  return run([&] {
    c10::AutoGradMode off(false);
    auto [a, b, c] = at::linalg_svd(deref(x), false);
    put(u, a);
    put(s, b);
    put(vh, c);
  });
}
