// Kernels in CUDA C++, compiled for the device at run time by NVRTC, a library
// that comes with every libtorch for CUDA. Neither CUDA's headers nor its
// compiler are needed.
#pragma once
#include "shim.hpp"

#include <array>

namespace pagoda {

// A kernel's arguments, in order; each must outlive the launch.
template <typename... T> std::array<void *, sizeof...(T)> arguments(T &...values) { return {const_cast<void *>(static_cast<const void *>(&values))...}; }

struct Grid {
  int64_t blocks[3], threads[2];
};

// Program is a source with the kernels it defines, each as extern "C", for one set of macros.
class Program {
public:
  // Whether the device of x can compile and run kernels of this source; compiles it the first time.
  static const Program *find(const char *source, const std::string &macros, const at::Tensor &x);

  // launch runs a kernel on the default stream of the current device, which libtorch uses too.
  template <size_t n> void launch(const char *name, Grid grid, int64_t shared, std::array<void *, n> arguments) const {
    start(name, grid, shared, arguments.data());
  }

private:
  void *context, *module;
  Program(const char *source, const std::string &macros, int device);
  void start(const char *name, const Grid &grid, int64_t shared, void **arguments) const;
};

} // namespace pagoda
