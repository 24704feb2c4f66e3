// The place of a convolution's loops in libtorch's graph of gradients.
#pragma once
#include "shim.hpp"

namespace pagoda {

// The gradients of a convolution's images, kernel and bias. Those nobody wants stay undefined.
struct Gradients {
  at::Tensor x, w, b;
};

// Convolution is what Loops compute from channels-last x (N,c,H,W), w (out,c,kh,kw), b (out) or empty, and a shape of the
// loops' own (stride and the like):
//   static at::Tensor results(x, w, b, shape);
//   static Gradients gradients(x, w, dy, shape, bool images, bool parameters); dy channels-last too
template <typename Loops> struct Convolution : torch::autograd::Function<Convolution<Loops>> {
  static at::Tensor forward(torch::autograd::AutogradContext *ctx, at::Tensor x, at::Tensor w, at::Tensor b, at::IntArrayRef shape) {
    ctx->save_for_backward({x, w});
    ctx->saved_data["shape"] = shape;
    ctx->saved_data["images"] = x.requires_grad();
    ctx->saved_data["parameters"] = w.requires_grad() || b.requires_grad();
    return Loops::results(x, w, b, shape);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *ctx, torch::autograd::variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto dy = grads[0].contiguous(at::MemoryFormat::ChannelsLast);
    auto d = Loops::gradients(saved[0], saved[1], dy, ctx->saved_data["shape"].toIntVector(), ctx->saved_data["images"].toBool(),
                              ctx->saved_data["parameters"].toBool());
    return {d.x, d.w, d.b, at::Tensor()};
  }
};

template <typename Loops>
at::Tensor convolution(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, at::IntArrayRef shape = {}) {
  return Convolution<Loops>::apply(x.contiguous(at::MemoryFormat::ChannelsLast), w, b.defined() ? b.contiguous() : at::empty({0}, w.options()), shape);
}

} // namespace pagoda
