// Gradient checkpointing: a node of the graph that holds its inputs and asks the
// caller to compute its inside again when gradients come by.
#include "shim.hpp"

#include <torch/custom_class.h>

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

pg_recompute recompute;
pg_forget forget;

// Ticket lives as long as the graph's node.
struct Ticket : torch::CustomClassHolder {
  int64_t id;
  explicit Ticket(int64_t id) : id(id) {}
  ~Ticket() override { forget(id); }
};

struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &y, at::TensorList x, int64_t id) {
    ctx->saved_data["ticket"] = c10::IValue::make_capsule(c10::make_intrusive<Ticket>(id));
    ctx->save_for_backward(x.vec());
    return y.detach();
  }

  static variable_list backward(AutogradContext *ctx, variable_list dy) {
    auto x = ctx->get_saved_variables();
    auto id = static_cast<Ticket *>(ctx->saved_data["ticket"].toCapsule().get())->id;
    std::vector<pg_tensor> handles, gradients(x.size());
    for (auto &t : x) handles.push_back(&t);
    if (char *text = recompute(id, &dy[0], handles.data(), static_cast<int>(x.size()), gradients.data())) {
      std::string why = text;
      free(text);
      TORCH_CHECK(false, why);
    }
    variable_list out{at::Tensor()}; // none for y
    for (auto g : gradients) out.push_back(g ? deref(g) : at::Tensor());
    for (auto g : gradients) pg_release(1, &g);
    out.push_back(at::Tensor()); // none for id
    return out;
  }
};

} // namespace

void pagoda::on_checkpoint(pg_recompute r, pg_forget f) {
  recompute = r;
  forget = f;
}

char *pg_checkpoint(pg_tensor *out, pg_tensor y, const pg_tensor *x, int n, int64_t id) {
  return op(1, out, [&] {
    auto operands = list(x, n);
    return Checkpoint::apply(deref(y), at::TensorList(operands), id);
  });
}
