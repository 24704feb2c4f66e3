// Element types of the kernels, and an exponential the compiler can vectorise.
#pragma once
#include <ATen/ATen.h>

#include <cstring>

namespace pagoda {

inline float load(const float *p) { return *p; }
inline float load(const at::BFloat16 *p) {
  uint32_t bits = static_cast<uint32_t>(p->x) << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
inline void store(float *p, float f) { *p = f; }
inline void store(at::BFloat16 *p, float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  p->x = static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// f with the element type of x, float32 or bfloat16.
template <typename F> void typed(const at::Tensor &x, F f) {
  if (x.scalar_type() == at::kFloat)
    f(float());
  else
    f(at::BFloat16());
}

// exp for the compiler to vectorise: 2^n times a polynomial on [-ln2/2, ln2/2]
// (coefficients of Cephes expf), relative error below 2e-7.
inline float fast_exp(float x) {
  x = x < -87.f ? -87.f : x > 88.f ? 88.f : x;
  float n = __builtin_floorf(x * 1.44269504f + 0.5f);
  float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float s;
  memcpy(&s, &bits, 4);
  return p * s;
}

} // namespace pagoda
