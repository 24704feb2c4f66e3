// TorchScript modules: foreign networks in one file.
#include "shim.hpp"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

using namespace pagoda;

// flatten appends the tensors of a result, which may be a tensor, a tuple or a list of them.
static void flatten(const c10::IValue &value, std::vector<at::Tensor> &out) {
  if (value.isTensor()) {
    out.push_back(value.toTensor());
  } else if (value.isTuple()) {
    for (const auto &v : value.toTupleRef().elements()) flatten(v, out);
  } else if (value.isTensorList()) {
    for (const at::Tensor &t : value.toTensorList()) out.push_back(t);
  } else {
    TORCH_CHECK(false, "the module answers ", value.tagKind(), ", not tensors");
  }
}

char *pg_script_load(pg_script *out, const char *path, int device) {
  return run([&] {
    auto module = torch::jit::load(path, device_of(device));
    module.eval();
    for (at::Tensor p : module.parameters()) p.requires_grad_(false);
    *out = new torch::jit::Module(std::move(module));
  });
}

char *pg_script_run(int mode, pg_tensor *out, int *n, pg_script script, pg_tensor x, const char **names,
                    const int *values, int options) {
  return run([&] {
    TORCH_CHECK(script != nullptr, "the module is closed");
    c10::AutoGradMode grad(mode & 1);
    std::unordered_map<std::string, c10::IValue> named;
    for (int i = 0; i < options; i++) named.emplace(names[i], values[i] != 0);
    std::vector<at::Tensor> answers;
    auto &module = *static_cast<torch::jit::Module *>(script);
    flatten(module.get_method("forward")({deref(x)}, named), answers);
    TORCH_CHECK(answers.size() <= static_cast<size_t>(*n), "the module answers ", answers.size(), " tensors");
    *n = static_cast<int>(answers.size());
    for (int i = 0; i < *n; i++) put(out + i, answers[i]);
  });
}

char *pg_script_free(pg_script script) {
  return run([&] { delete static_cast<torch::jit::Module *>(script); });
}
