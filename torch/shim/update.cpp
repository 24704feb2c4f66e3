// Updates of all parameters in one call: Adam's family, averages, gradients' norm.
#include "shim.hpp"

#include <cmath>
#include <functional>

using namespace pagoda;

namespace {

// Whether loops over the elements in memory can stand for operators.
bool plain(const at::Tensor &t) { return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_non_overlapping_and_dense(); }

void lerp(int64_t n, float *__restrict to, const float *__restrict from, float weight) {
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

void adam(int64_t n, float *__restrict p, const float *__restrict g, float *__restrict m, float *__restrict v, AdamStep s) {
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
char *pg_adam(int n, const pg_tensor *p, const pg_tensor *g, const pg_tensor *m, const pg_tensor *v,
              const double *hyper) {
  return run([&] {
    c10::AutoGradMode off(false);
    double lr = hyper[0], b1 = hyper[1], b2 = hyper[2], eps = hyper[3], decay = hyper[4], l2 = hyper[5];
    double c1 = hyper[6], c2 = hyper[7], rect = hyper[8];
    for (int i = 0; i < n; i++) {
      at::Tensor tp = deref(p[i]), tm = deref(m[i]), tv = deref(v[i]);
      at::Tensor tg = deref(g[i]).to(at::kFloat);
      if (!tp.device().is_cpu()) {
        if (l2 != 0) tg = tg + l2 * tp;
        if (decay != 0) tp.mul_(1 - lr * decay);
        tm.lerp_(tg, 1 - b1);
        tv.mul_(b2).addcmul_(tg, tg, 1 - b2);
        if (rect < 0)
          tp.add_(tm, -lr / c1);
        else
          tp.addcdiv_(tm, (tv.sqrt() / c2).add_(eps), -lr * rect / c1);
        continue;
      }
      if (tg.strides() != tp.strides()) tg = at::empty_like(tp).copy_(tg);
      float *P = tp.data_ptr<float>(), *M = tm.data_ptr<float>(), *V = tv.data_ptr<float>();
      const float *G = tg.data_ptr<float>();
      AdamStep step{float(b1), float(b2), float(1 - b1), float(1 - b2), float(eps), float(l2), float(1 - lr * decay), float(1 / c2),
                    float(rect < 0 ? lr / c1 : lr * rect / c1), rect >= 0};
      at::parallel_for(0, tp.numel(), 32768, [&](int64_t from, int64_t to) {
        adam(to - from, P + from, G + from, M + from, V + from, step);
      });
    }
  });
}

char *pg_lerp(int n, const pg_tensor *target, const pg_tensor *source, double weight) {
  return run([&] {
    c10::AutoGradMode off(false);
    for (int i = 0; i < n; i++) {
      at::Tensor t = deref(target[i]), s = deref(source[i]);
      if (!plain(t) || !plain(s) || t.strides() != s.strides()) {
        t.lerp_(s, weight);
        continue;
      }
      float *to = t.data_ptr<float>();
      const float *from = s.data_ptr<float>();
      at::parallel_for(0, t.numel(), 32768, [&](int64_t i, int64_t end) { lerp(end - i, to + i, from + i, weight); });
    }
  });
}

char *pg_multiply(int n, const pg_tensor *x, double factor) {
  return run([&] {
    c10::AutoGradMode off(false);
    for (int i = 0; i < n; i++) deref(x[i]).mul_(factor);
  });
}

char *pg_norm(double *out, int n, const pg_tensor *x) {
  return run([&] {
    c10::AutoGradMode off(false);
    std::vector<at::Tensor> norms;
    double sum = 0;
    for (int i = 0; i < n; i++) {
      const at::Tensor &t = deref(x[i]);
      if (plain(t))
        sum += at::parallel_reduce(0, t.numel(), 32768, 0., [&](int64_t i, int64_t end, double part) { return part + squares(end - i, t.data_ptr<float>() + i); }, std::plus<double>());
      else
        norms.push_back(t.to(at::kFloat).norm());
    }
    if (!norms.empty()) sum += at::stack(norms).to(at::kDouble).square().sum().item<double>(); // a single wait for the device
    *out = std::sqrt(sum);
  });
}
