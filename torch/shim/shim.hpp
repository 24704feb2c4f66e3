// Helpers shared by the C++ files of the shim: handles, modes and errors. Every
// file includes this first: it is compiled once, libtorch's large headers with it.
#pragma once
#include "shim.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <atomic>
#include <cstring>
#include <string>

namespace pagoda {

extern std::atomic<int64_t> live;

inline at::ScalarType scalar_type(int code) {
  switch (code) {
  case PG_FLOAT32: return at::kFloat;
  case PG_FLOAT64: return at::kDouble;
  case PG_BFLOAT16: return at::kBFloat16;
  case PG_FLOAT16: return at::kHalf;
  case PG_UINT8: return at::kByte;
  case PG_INT64: return at::kLong;
  case PG_BOOL: return at::kBool;
  }
  TORCH_CHECK(false, "unknown dtype code ", code);
}

inline at::Device device_of(int index) {
  return index < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

inline const at::Tensor &deref(pg_tensor t) {
  TORCH_CHECK(t != nullptr, "a tensor is used after its scope was closed");
  return *static_cast<at::Tensor *>(t);
}

// An absent operand is an undefined tensor.
inline at::Tensor optional(pg_tensor t) { return t == nullptr ? at::Tensor() : *static_cast<at::Tensor *>(t); }

inline void put(pg_tensor *out, at::Tensor t) {
  *out = new at::Tensor(std::move(t));
  live.fetch_add(1, std::memory_order_relaxed);
}

inline std::vector<at::Tensor> list(const pg_tensor *x, int n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  for (int i = 0; i < n; i++) out.push_back(deref(x[i]));
  return out;
}

char *message(const std::exception &e);

// run executes f and turns C++ exceptions into messages.
template <typename F> char *run(F f) {
  try {
    f();
    return nullptr;
  } catch (const std::exception &e) {
    return message(e);
  }
}

// op executes an operator that makes one tensor, under the given mode.
template <typename F> char *op(int mode, pg_tensor *out, F f) {
  return run([&] {
    c10::AutoGradMode grad(mode & 1);
    put(out, f());
  });
}

// compute casts an operand of a convolution or matrix product to the mode's dtype.
inline at::Tensor compute(int mode, const at::Tensor &x) {
  return x.defined() && x.scalar_type() != at::kDouble ? x.to(scalar_type(mode >> 1)) : x;
}

at::Tensor group_norm(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, const at::Tensor &scale,
                      const at::Tensor &shift, int64_t groups, double eps, bool silu);

// The same by kernels for CUDA devices, for those x that they suit; x in channels-last memory, the others float32.
bool device_group_norm_suits(const at::Tensor &x);
at::Tensor device_group_norm(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, const at::Tensor &scale,
                             const at::Tensor &shift, int64_t groups, double eps, bool silu);

// Convolutions of float32 by other algorithms than libtorch's, for those x and w that they suit.
bool winograd_suits(const at::Tensor &x, const at::Tensor &w, int64_t stride, int64_t pad_h, int64_t pad_w, int64_t groups);
at::Tensor winograd(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b);
bool narrow_suits(const at::Tensor &x, const at::Tensor &w, int64_t stride, int64_t pad_h, int64_t pad_w, int64_t groups);
at::Tensor narrow(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b);
bool columns_suit(const at::Tensor &x, const at::Tensor &w, int64_t pad_h, int64_t pad_w, int64_t groups);
at::Tensor columns(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, int64_t stride, int64_t pad_h, int64_t pad_w);

// min(x,high) where x is positive, slope·x elsewhere, 0 ≤ slope.
at::Tensor rectified(const at::Tensor &x, double slope, double high);

// on_checkpoint sets what checkpoints call when gradients pass them and when they are gone.
void on_checkpoint(pg_recompute recompute, pg_forget forget);

} // namespace pagoda
