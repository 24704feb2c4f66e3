// Tensors' lives, data in and out, gradients.
#include "shim.hpp"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <cstdlib>

using namespace pagoda;

std::atomic<int64_t> pagoda::live{0};

char *pagoda::message(const std::exception &e) {
  std::string text = e.what();
  if (auto *c = dynamic_cast<const c10::Error *>(&e)) text = c->what_without_backtrace();
  if (auto end = text.find('\n'); end != std::string::npos) text.resize(end);
  return strdup(text.c_str());
}

char *pg_setup(int threads, pg_recompute recompute, pg_forget forget) {
  return run([&] {
    on_checkpoint(recompute, forget);
#if TORCH_VERSION_MAJOR < 2
    // Its oneDNN, which reads this at the first operator, picks AMX where the system has not enabled it, and dies.
    setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16", 0);
#endif
    at::set_num_threads(threads);
    // Float32 means float32 on CUDA too: no products of 10-bit mantissas (TF32). And the same step is the same
    // again: no sums in the order in which threads happen to arrive, where libtorch has another way.
    auto &context = at::globalContext();
    context.setAllowTF32CuDNN(false);
    context.setAllowTF32CuBLAS(false);
    context.setDeterministicCuDNN(true);
#if TORCH_VERSION_MAJOR >= 2
    context.setDeterministicAlgorithms(true, true);
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 2
    context.setDeterministicFillUninitializedMemory(false); // meant for finding faults
#endif
#endif
  });
}

char *pg_info(char *text, int64_t size, int64_t *cuda) {
  return run([&] {
    *cuda = static_cast<int64_t>(torch::cuda::device_count());
    std::atomic<int> threads{0}; // that a loop of the shim's own runs on
    at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) { threads++; });
    std::string s = std::string("libtorch ") + TORCH_VERSION + "\nthreads " + std::to_string(threads) +
                    "\n" + at::show_config();
    strncpy(text, s.c_str(), size - 1);
    text[size - 1] = 0;
  });
}

char *pg_live(int64_t *out) {
  *out = live.load(std::memory_order_relaxed);
  return nullptr;
}

char *pg_release(int64_t n, pg_tensor *t) {
  return run([&] {
    for (int64_t i = 0; i < n; i++) {
      if (t[i] == nullptr) continue;
      delete static_cast<at::Tensor *>(t[i]);
      live.fetch_sub(1, std::memory_order_relaxed);
    }
  });
}

// Data as a tensor of this machine; for a device a copy from which it reads without waiting for what it was told before.
static at::Tensor staged(const void *data, at::IntArrayRef shape, at::ScalarType type, bool device) {
  auto there = at::from_blob(const_cast<void *>(data), shape, at::TensorOptions().dtype(type));
  return device ? at::empty(shape, there.options().pinned_memory(true)).copy_(there) : there;
}

char *pg_from_bytes(pg_tensor *out, const void *data, int dtype, const int64_t *shape, int n, int device) {
  return run([&] {
    auto t = staged(data, {shape, static_cast<size_t>(n)}, scalar_type(dtype), device >= 0);
    put(out, t.to(device_of(device), t.scalar_type(), true, true));
  });
}

char *pg_to_bytes(void *data, int64_t size, pg_tensor x, int dtype) {
  return run([&] {
    auto t = deref(x).detach().to(at::kCPU, scalar_type(dtype)).contiguous();
    TORCH_CHECK(static_cast<int64_t>(t.nbytes()) == size, "a buffer of ", size, " bytes for ", t.nbytes());
    if (size > 0) memcpy(data, t.data_ptr(), size);
  });
}

char *pg_describe(int64_t *shape, int *n, int *dtype, int *device, int *requires_grad, pg_tensor x) {
  return run([&] {
    const auto &t = deref(x);
    TORCH_CHECK(t.dim() <= 8, "a tensor of ", t.dim(), " dimensions");
    *n = static_cast<int>(t.dim());
    for (int i = 0; i < *n; i++) shape[i] = t.size(i);
    *dtype = -1;
    for (int code = PG_FLOAT32; code <= PG_BOOL; code++)
      if (scalar_type(code) == t.scalar_type()) *dtype = code;
    *device = t.is_cuda() ? t.get_device() : -1;
    *requires_grad = t.requires_grad();
  });
}

char *pg_full(pg_tensor *out, double value, int dtype, const int64_t *shape, int n, int device, int channels_last) {
  return run([&] {
    auto options = at::TensorOptions().dtype(scalar_type(dtype)).device(device_of(device));
    auto format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    put(out, at::empty({shape, static_cast<size_t>(n)}, options, format).fill_(value));
  });
}

char *pg_write(pg_tensor h, const void *data, int64_t size, int dtype) {
  return run([&] {
    c10::AutoGradMode off(false);
    auto &x = deref(h);
    auto type = scalar_type(dtype);
    TORCH_CHECK(x.numel() * static_cast<int64_t>(c10::elementSize(type)) == size, size, " bytes for ", x.numel(),
                " elements");
    x.copy_(staged(data, x.sizes(), type, x.is_cuda()), true);
  });
}

char *pg_to(int mode, pg_tensor *out, pg_tensor x, int dtype, int device) {
  return op(mode, out, [&] { return deref(x).to(device_of(device), scalar_type(dtype)); });
}

char *pg_copy(pg_tensor dst, pg_tensor src) {
  return run([&] {
    c10::AutoGradMode off(false);
    TORCH_CHECK(deref(dst).sizes() == deref(src).sizes(), "copy of ", deref(src).sizes(), " into ", deref(dst).sizes());
    deref(dst).copy_(deref(src));
  });
}

char *pg_require_grad(pg_tensor x, int on) {
  return run([&] { deref(x).requires_grad_(on != 0); });
}

#if TORCH_VERSION_MAJOR >= 2
// Silent drops the notices that the order of a sum is not fixed: docs/design/cuda.md has them.
struct Silent : c10::WarningHandler {
  void process(const c10::Warning &) override {}
};
#endif

char *pg_grad(pg_tensor *out, pg_tensor y, pg_tensor dy, const pg_tensor *x, int n, int retain) {
  return run([&] {
#if TORCH_VERSION_MAJOR >= 2
    Silent silent;
    c10::WarningUtils::WarningHandlerGuard guard(&silent);
#endif
    auto inputs = list(x, n);
    std::vector<at::Tensor> cotangents;
    if (dy != nullptr) cotangents.push_back(deref(dy));
    auto grads = torch::autograd::grad({deref(y)}, inputs, cotangents, retain != 0, false, true);
    for (int i = 0; i < n; i++) {
      auto &g = grads[i];
      bool shared = dy != nullptr && g.defined() && g.is_same(deref(dy)); // callers change gradients in place
      for (int j = 0; j < i; j++) shared = shared || (g.defined() && g.is_same(grads[j]));
      for (int64_t d = 0; g.defined() && d < g.dim(); d++) shared = shared || (g.stride(d) == 0 && g.size(d) > 1);
      put(out + i, !g.defined() ? at::zeros_like(inputs[i]) : shared ? g.clone(at::MemoryFormat::Contiguous) : g);
    }
  });
}
