// The few functions of NVRTC and of the CUDA driver that compile a source and launch its kernels.
#include "device.hpp"

#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>

using namespace pagoda;

namespace {

// CUDA's functions, found at run time: a binding for CPUs alone has none of them.
struct Driver {
  int (*create)(void **program, const char *source, const char *name, int headers, const char **texts, const char **names);
  int (*compile)(void *program, int count, const char **options);
  int (*log_size)(void *program, size_t *size);
  int (*log)(void *program, char *text);
  int (*size)(void *program, size_t *size);
  int (*code)(void *program, char *cubin);
  int (*destroy)(void **program);
  int (*context)(void **context, int device);
  int (*enter)(void *context);
  int (*load)(void **module, const void *image);
  int (*function)(void **function, void *module, const char *name);
  int (*launch)(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                void *stream, void **arguments, void **extra);
  int (*attribute)(int *value, int attribute, int device);
  bool found = false;

  Driver() {
    void *library = dlopen("libcaffe2_nvrtc.so", RTLD_NOW | RTLD_LOCAL); // libtorch's own door to both
    if (library == nullptr) return;
    auto find = [&](auto &f, const char *name) { return (*reinterpret_cast<void **>(&f) = dlsym(library, name)) != nullptr; };
    found = find(create, "nvrtcCreateProgram") && find(compile, "nvrtcCompileProgram") && find(log_size, "nvrtcGetProgramLogSize") &&
            find(log, "nvrtcGetProgramLog") && find(size, "nvrtcGetCUBINSize") && find(code, "nvrtcGetCUBIN") &&
            find(destroy, "nvrtcDestroyProgram") && find(context, "cuDevicePrimaryCtxRetain") && find(enter, "cuCtxSetCurrent") &&
            find(load, "cuModuleLoadData") && find(function, "cuModuleGetFunction") && find(launch, "cuLaunchKernel") &&
            find(attribute, "cuDeviceGetAttribute");
  }
};

const Driver &driver() {
  static const Driver d;
  return d;
}

void check(int code, const char *what) { TORCH_CHECK(code == 0, what, " failed with CUDA's code ", code); }

// The machine code of a source for a device.
std::vector<char> compile(const char *source, const std::string &macros, int device) {
  auto &d = driver();
  constexpr int major_capability = 75, minor_capability = 76; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
  int major, minor;
  check(d.attribute(&major, major_capability, device), "asking for the compute capability");
  check(d.attribute(&minor, minor_capability, device), "asking for the compute capability");
  std::vector<std::string> options{"--std=c++17", "--gpu-architecture=sm_" + std::to_string(major) + std::to_string(minor)};
  for (size_t from = 0, to; from < macros.size(); from = to + 1) {
    to = std::min(macros.find(' ', from), macros.size());
    options.push_back("-D" + macros.substr(from, to - from));
  }
  std::vector<const char *> texts;
  for (auto &o : options) texts.push_back(o.c_str());
  void *program;
  check(d.create(&program, source, "pagoda.cu", 0, nullptr, nullptr), "NVRTC");
  std::unique_ptr<void *, void (*)(void **)> destroy(&program, [](void **p) { driver().destroy(p); });
  size_t size;
  if (d.compile(program, static_cast<int>(texts.size()), texts.data()) != 0) {
    check(d.log_size(program, &size), "NVRTC");
    std::string text(size, 0);
    check(d.log(program, text.data()), "NVRTC");
    TORCH_CHECK(false, "compiling a kernel: ", text);
  }
  check(d.size(program, &size), "NVRTC");
  std::vector<char> code(size);
  check(d.code(program, code.data()), "NVRTC");
  return code;
}

} // namespace

Program::Program(const char *source, const std::string &macros, int device) {
  auto &d = driver();
  auto code = compile(source, macros, device);
  check(d.context(&context, device), "entering the device's context"); // libtorch's own
  check(d.enter(context), "entering the device's context");
  check(d.load(&module, code.data()), "loading a kernel");
}

const Program *Program::find(const char *source, const std::string &macros, const at::Tensor &x) {
  if (!x.is_cuda() || !driver().found) return nullptr;
  static std::mutex mutex;
  static std::map<std::tuple<const char *, std::string, int>, Program> programs;
  std::lock_guard<std::mutex> lock(mutex);
  auto key = std::make_tuple(source, macros, static_cast<int>(x.get_device()));
  auto at = programs.find(key);
  if (at == programs.end()) at = programs.emplace(key, Program(source, macros, x.get_device())).first;
  return &at->second;
}

void Program::start(const char *name, const Grid &g, int64_t shared, void **arguments) const {
  void *function;
  check(driver().enter(context), "entering the device's context"); // which a thread new to CUDA is not in
  check(driver().function(&function, module, name), name);
  auto u = [](int64_t n) { return static_cast<unsigned>(n); };
  check(driver().launch(function, u(g.blocks[0]), u(g.blocks[1]), u(g.blocks[2]), u(g.threads[0]), u(g.threads[1]), 1, u(shared),
                        nullptr, arguments, nullptr),
        name);
}
