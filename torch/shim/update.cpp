// Updates of all parameters in one call: Adam's family, averages, gradients' norm.
#include "shim.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

using namespace pagoda;

namespace {

// Whether loops over the elements in memory can stand for operators.
bool plain(const std::vector<at::Tensor> &list) {
  return std::all_of(list.begin(), list.end(), [](const at::Tensor &t) { return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_non_overlapping_and_dense(); });
}

// Whether two lists are also in the same order in memory. Their shapes must be the same.
bool alike(const std::vector<at::Tensor> &a, const std::vector<at::Tensor> &b) {
  bool same = true;
  for (size_t i = 0; i < a.size(); i++) {
    TORCH_CHECK(a[i].sizes() == b[i].sizes(), "an update of ", a[i].sizes(), " by ", b[i].sizes());
    same = same && a[i].strides() == b[i].strides();
  }
  return same;
}

// A tensor without gaps in memory, in the order of another.
at::Tensor like(const at::Tensor &t, const at::Tensor &order) {
  return t.strides() == order.strides() ? t : at::empty_like(order).copy_(t);
}

// The loops stay functions of their own: inlined, they lose what __restrict says, and with it vectors.
[[gnu::noinline]] void lerp(int64_t n, float *__restrict to, const float *__restrict from, float weight) {
  for (int64_t i = 0; i < n; i++) to[i] = weight < 0.5f ? to[i] + weight * (from[i] - to[i]) : from[i] - (from[i] - to[i]) * (1 - weight);
}

double squares(int64_t n, const float *x) {
  double sum = 0;
  for (int64_t from = 0; from < n; from += 1024) { // float32 keeps its precision over so many
    float part = 0;
    const int64_t end = std::min(n, from + 1024);
#pragma omp simd reduction(+ : part)
    for (int64_t i = from; i < end; i++) part += x[i] * x[i];
    sum += part;
  }
  return sum;
}

struct AdamStep {
  float b1, b2, rest1, rest2, eps, l2, keep, inv2, step;
  bool divide;
};

[[gnu::noinline]] void adam(int64_t n, float *__restrict p, const float *__restrict g, float *__restrict m, float *__restrict v, AdamStep s) {
  for (int64_t j = 0; j < n; j++) {
    float grad = g[j] + s.l2 * p[j];
    float mj = s.b1 * m[j] + s.rest1 * grad, vj = s.b2 * v[j] + s.rest2 * grad * grad;
    m[j] = mj;
    v[j] = vj;
    float update = s.divide ? mj / (__builtin_sqrtf(vj) * s.inv2 + s.eps) : mj;
    p[j] = p[j] * s.keep - s.step * update;
  }
}

} // namespace

// One Adam or RAdam step over all parameters. hyper: lr, beta1, beta2, eps, weight decay of AdamW (0 off), weight
// decay added to the gradient (0 off), bias correction of m, sqrt of that of v, rectification (negative: no division
// by the second moment, RAdam's first steps).
char *pg_adam(int n, const pg_tensor *hp, const pg_tensor *hg, const pg_tensor *hm, const pg_tensor *hv,
              const double *hyper) {
  return run([&] {
    c10::AutoGradMode off(false);
    double lr = hyper[0], b1 = hyper[1], b2 = hyper[2], eps = hyper[3], decay = hyper[4], l2 = hyper[5];
    double c1 = hyper[6], c2 = hyper[7], rect = hyper[8];
    auto p = list(hp, n), g = list(hg, n), m = list(hm, n), v = list(hv, n);
    alike(p, g);
    for (int i = 0; i < n; i++) g[i] = like(g[i].to(p[i].scalar_type()), p[i]);
    bool ordered = alike(p, m) & alike(p, v);
    if (!ordered || !plain(p) || !plain(m) || !plain(v)) {
      if (l2 != 0) g = at::_foreach_add(g, p, l2);
      if (decay != 0) at::_foreach_mul_(p, 1 - lr * decay);
      at::_foreach_mul_(m, b1);
      at::_foreach_add_(m, g, 1 - b1);
      at::_foreach_mul_(v, b2);
      at::_foreach_addcmul_(v, g, g, 1 - b2);
      if (rect < 0) return at::_foreach_add_(p, m, -lr / c1);
      auto root = at::_foreach_sqrt(v);
      at::_foreach_div_(root, c2);
      at::_foreach_add_(root, eps);
      return at::_foreach_addcdiv_(p, m, root, -lr * rect / c1);
    }
    for (int i = 0; i < n; i++) {
      float *P = p[i].data_ptr<float>(), *M = m[i].data_ptr<float>(), *V = v[i].data_ptr<float>();
      const float *G = g[i].data_ptr<float>();
      AdamStep step{float(b1), float(b2), float(1 - b1), float(1 - b2), float(eps), float(l2), float(1 - lr * decay), float(1 / c2),
                    float(rect < 0 ? lr / c1 : lr * rect / c1), rect >= 0};
      at::parallel_for(0, p[i].numel(), 32768, [&](int64_t from, int64_t to) {
        adam(to - from, P + from, G + from, M + from, V + from, step);
      });
    }
  });
}

char *pg_lerp(int n, const pg_tensor *target, const pg_tensor *source, double weight) {
  return run([&] {
    c10::AutoGradMode off(false);
    auto t = list(target, n), from = list(source, n);
    alike(t, from);
    if (!plain(t) || !plain(from)) {
      at::_foreach_mul_(t, 1 - weight);
      return at::_foreach_add_(t, from, weight);
    }
    for (int i = 0; i < n; i++) {
      auto source = like(from[i], t[i]);
      float *to = t[i].data_ptr<float>();
      const float *in = source.data_ptr<float>();
      at::parallel_for(0, t[i].numel(), 32768, [&](int64_t j, int64_t end) { lerp(end - j, to + j, in + j, weight); });
    }
  });
}

char *pg_multiply(int n, const pg_tensor *x, double factor) {
  return run([&] {
    c10::AutoGradMode off(false);
    if (n > 0) at::_foreach_mul_(list(x, n), factor);
  });
}

char *pg_norm(double *out, int n, const pg_tensor *h) {
  return run([&] {
    c10::AutoGradMode off(false);
    auto x = list(h, n);
    double sum = 0;
    if (!std::all_of(x.begin(), x.end(), [](const at::Tensor &t) { return t.is_cpu() && t.scalar_type() == at::kFloat; })) {
      for (auto &t : x)
        if (t.scalar_type() != at::kDouble) t = t.to(at::kFloat);
      sum = at::stack(at::_foreach_norm(x, 2)).to(at::kDouble).square().sum().item<double>(); // a single wait for the device
    } else
      for (auto &t : x) {
        if (!t.is_non_overlapping_and_dense()) t = t.contiguous();
        const float *in = t.data_ptr<float>();
        auto part = [&](int64_t i, int64_t end, double before) { return before + squares(end - i, in + i); };
        sum += at::parallel_reduce(0, t.numel(), 32768, 0., part, std::plus<double>());
      }
    *out = std::sqrt(sum);
  });
}
