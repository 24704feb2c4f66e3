// Makes maps.pt, the feature network of the tests, two maps of RGB images of
// 1/8 and 1/16 of their size: c++ -std=c++17 maps.cpp -ltorch -ltorch_cpu -lc10 && ./a.out
#include <cmath>
#include <torch/script.h>

int main() {
  torch::jit::Module m("Maps");
  // Values in [-1/4,1/4] that look random.
  auto kernel = [](int64_t out, int64_t in) {
    auto k = torch::arange(out * in * 9, torch::kFloat64);
    return (torch::sin(k * k) / 4).to(torch::kFloat32).reshape({out, in, 3, 3});
  };
  m.register_parameter("first", kernel(6, 3), false);
  m.register_parameter("second", kernel(10, 6), false);
  m.define(R"(
    def forward(self, x):
        a = torch.relu(torch.conv2d(torch.avg_pool2d(x, [8, 8]), self.first, None, [1, 1], [1, 1]))
        b = torch.relu(torch.conv2d(a, self.second, None, [2, 2], [1, 1]))
        return (a, b)
  )");
  m.save("maps.pt");
}
