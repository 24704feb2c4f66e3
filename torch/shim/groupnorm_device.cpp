// The group norm of groupnorm.cpp for CUDA devices: the same three phases, add, finish and apply, each a kernel.
#include "device.hpp"

using namespace pagoda;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

// ELEMENT is the type by number, LANES how many channels a thread takes. Rows are pixels; threads (x,y) take the
// x-th LANES channels of every y-th row of the run of rows that blockIdx.x names, of image blockIdx.y.
const char *source = R"cuda(
#if ELEMENT == 0
typedef float element;
__device__ inline float load(element v) { return v; }
__device__ inline element store(float f) { return f; }
#elif ELEMENT == 1
typedef unsigned short element; // bfloat16
__device__ inline float load(element v) { return __uint_as_float((unsigned)v << 16); }
__device__ inline element store(float f) {
  unsigned bits = __float_as_uint(f);
  return f != f ? 0x7FC0 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
}
#else
typedef unsigned short element; // float16
__device__ inline float load(element v) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v)); return f; }
__device__ inline element store(float f) { element v; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(v) : "f"(f)); return v; }
#endif
struct alignas(sizeof(element) * LANES) Vector { element at[LANES]; };

__device__ inline float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

// The gradient in front of the activation of u, given that behind it.
__device__ inline float before(float u, float g, int silu) {
  if (!silu) return g;
  float z = sigmoid(u);
  return g * z * (1.f + u * (1.f - z));
}

struct Rows {
  long long from, to;
  int column, step;
  __device__ Rows(long long rows) {
    from = rows * blockIdx.x / gridDim.x + threadIdx.y;
    to = rows * (blockIdx.x + 1) / gridDim.x;
    column = (blockIdx.z * blockDim.x + threadIdx.x) * LANES;
    step = blockDim.y;
  }
};

// Sums of a and b over the threads of a column, to sums[image][run][0 and 1][channel].
__device__ void gather(float *a, float *b, float *sums, int channels, int column) {
  extern __shared__ float shared[];
  float *mine = shared + (threadIdx.y * blockDim.x + threadIdx.x) * 2 * LANES;
  for (int i = 0; i < LANES; i++) mine[i] = a[i], mine[LANES + i] = b[i];
  __syncthreads();
  if (threadIdx.y != 0 || column >= channels) return;
  for (int y = 1; y < blockDim.y; y++) {
    const float *other = shared + (y * blockDim.x + threadIdx.x) * 2 * LANES;
    for (int i = 0; i < LANES; i++) a[i] += other[i], b[i] += other[LANES + i];
  }
  float *out = sums + (blockIdx.y * (long long)gridDim.x + blockIdx.x) * 2 * channels + column;
  for (int i = 0; i < LANES; i++) out[i] = a[i], out[channels + i] = b[i];
}

extern "C" __global__ void add(const element *x, float *sums, long long rows, int channels) {
  Rows r(rows);
  float a[LANES] = {}, b[LANES] = {};
  if (r.column < channels)
    for (long long p = r.from; p < r.to; p += r.step) {
      Vector v = *(const Vector *)(x + (blockIdx.y * rows + p) * channels + r.column);
      for (int i = 0; i < LANES; i++) {
        float f = load(v.at[i]);
        a[i] += f;
        b[i] += f * f;
      }
    }
  gather(a, b, sums, channels, r.column);
}

// Sums over an image's runs, and then of what f makes of them over each group, in shared memory.
struct Totals {
  double *a, *b; // by channel
  __device__ Totals(const float *sums, int runs, int channels) {
    extern __shared__ double totals[];
    a = totals, b = totals + channels;
    for (int c = threadIdx.x; c < channels; c += blockDim.x) {
      double first = 0, second = 0;
      for (int run = 0; run < runs; run++) {
        const float *at = sums + (blockIdx.x * (long long)runs + run) * 2 * channels + c;
        first += at[0], second += at[channels];
      }
      a[c] = first, b[c] = second;
    }
    __syncthreads();
  }
};

// Of each image: mean and inverse deviation of its groups (moments), and y = act(k x + d).
extern "C" __global__ void finish(const float *sums, int runs, long long rows, int channels, int groups, double eps, const float *w,
                                  const float *b, const float *scale, const float *shift, float *moments, float *k, float *d) {
  Totals total(sums, runs, channels);
  int width = channels / groups;
  for (int g = threadIdx.x; g < groups; g += blockDim.x) {
    double a = 0, q = 0;
    for (int c = g * width; c < (g + 1) * width; c++) a += total.a[c], q += total.b[c];
    double count = (double)width * rows, m = a / count, variance = q / count - m * m;
    moments[(blockIdx.x * groups + g) * 2] = m;
    moments[(blockIdx.x * groups + g) * 2 + 1] = rsqrt((variance > 0 ? variance : 0) + eps);
  }
  __syncthreads();
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    long long j = blockIdx.x * (long long)channels + c;
    float mean = moments[(blockIdx.x * groups + c / width) * 2], r = moments[(blockIdx.x * groups + c / width) * 2 + 1] * w[c];
    float m = scale ? 1.f + scale[j] : 1.f;
    k[j] = r * m;
    d[j] = (b[c] - mean * r) * m + (shift ? shift[j] : 0.f);
  }
}

extern "C" __global__ void apply(const element *x, element *y, const float *k, const float *d, long long rows, int channels, int silu) {
  Rows r(rows);
  if (r.column >= channels) return;
  float kc[LANES], dc[LANES];
  for (int i = 0; i < LANES; i++) kc[i] = k[blockIdx.y * channels + r.column + i], dc[i] = d[blockIdx.y * channels + r.column + i];
  for (long long p = r.from; p < r.to; p += r.step) {
    long long at = (blockIdx.y * rows + p) * channels + r.column;
    Vector v = *(const Vector *)(x + at);
    for (int i = 0; i < LANES; i++) {
      float u = kc[i] * load(v.at[i]) + dc[i];
      v.at[i] = store(silu ? u * sigmoid(u) : u);
    }
    *(Vector *)(y + at) = v;
  }
}

extern "C" __global__ void add_gradient(const element *x, const element *dy, const float *k, const float *d, float *sums, long long rows,
                                        int channels, int silu) {
  Rows r(rows);
  float a[LANES] = {}, b[LANES] = {};
  if (r.column < channels) {
    float kc[LANES], dc[LANES];
    for (int i = 0; i < LANES; i++) kc[i] = k[blockIdx.y * channels + r.column + i], dc[i] = d[blockIdx.y * channels + r.column + i];
    for (long long p = r.from; p < r.to; p += r.step) {
      long long at = (blockIdx.y * rows + p) * channels + r.column;
      Vector v = *(const Vector *)(x + at), g = *(const Vector *)(dy + at);
      for (int i = 0; i < LANES; i++) {
        float f = load(v.at[i]), t = before(kc[i] * f + dc[i], load(g.at[i]), silu);
        a[i] += t;
        b[i] += t * f;
      }
    }
  }
  gather(a, b, sums, channels, r.column);
}

// Of each image: its parts of dw and db (parts), dscale and dshift where they are wanted, and dx = k du + e1 x + e0.
extern "C" __global__ void finish_gradient(const float *sums, int runs, long long rows, int channels, int groups, const float *w,
                                           const float *b, const float *scale, const float *moments, float *parts, float *dscale,
                                           float *dshift, float *e0, float *e1) {
  Totals total(sums, runs, channels);
  int width = channels / groups;
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    long long j = blockIdx.x * (long long)channels + c;
    double m = moments[(blockIdx.x * groups + c / width) * 2], r = moments[(blockIdx.x * groups + c / width) * 2 + 1];
    double a = total.a[c], q = (total.b[c] - m * a) * r, mod = scale ? 1. + scale[j] : 1.;
    if (dshift) dshift[j] = a;
    if (dscale) dscale[j] = q * w[c] + a * b[c];
    total.a[c] = a * mod, total.b[c] = q * mod;
    parts[blockIdx.x * 2LL * channels + c] = q * mod;
    parts[(blockIdx.x * 2LL + 1) * channels + c] = a * mod;
  }
  __syncthreads();
  for (int g = threadIdx.x; g < groups; g += blockDim.x) {
    double m = moments[(blockIdx.x * groups + g) * 2], r = moments[(blockIdx.x * groups + g) * 2 + 1], sum1 = 0, sum2 = 0;
    for (int c = g * width; c < (g + 1) * width; c++) sum1 += total.a[c] * w[c], sum2 += total.b[c] * w[c];
    double count = (double)width * rows, c1 = -r * r * sum2 / count, c0 = -r * sum1 / count - c1 * m;
    for (int c = g * width; c < (g + 1) * width; c++) e1[blockIdx.x * channels + c] = c1, e0[blockIdx.x * channels + c] = c0;
  }
}

extern "C" __global__ void apply_gradient(const element *x, const element *dy, element *dx, const float *k, const float *d, const float *e0,
                                          const float *e1, long long rows, int channels, int silu) {
  Rows r(rows);
  if (r.column >= channels) return;
  float kc[LANES], dc[LANES], z0[LANES], z1[LANES];
  for (int i = 0; i < LANES; i++) {
    int j = blockIdx.y * channels + r.column + i;
    kc[i] = k[j], dc[i] = d[j], z0[i] = e0[j], z1[i] = e1[j];
  }
  for (long long p = r.from; p < r.to; p += r.step) {
    long long at = (blockIdx.y * rows + p) * channels + r.column;
    Vector v = *(const Vector *)(x + at), g = *(const Vector *)(dy + at);
    for (int i = 0; i < LANES; i++) {
      float f = load(v.at[i]);
      v.at[i] = store(kc[i] * before(kc[i] * f + dc[i], load(g.at[i]), silu) + z1[i] * f + z0[i]);
    }
    *(Vector *)(dx + at) = v;
  }
}
)cuda";

// How many channels a thread takes: 16 bytes, or as many as divide all.
int64_t vector_of(const at::Tensor &x) {
  int64_t v = 16 / x.element_size();
  while (x.size(1) % v != 0) v /= 2;
  return v;
}

const Program *program_for(const at::Tensor &x) {
  int type = x.scalar_type() == at::kFloat ? 0 : x.scalar_type() == at::kBFloat16 ? 1 : 2;
  return Program::find(source, "ELEMENT=" + std::to_string(type) + " LANES=" + std::to_string(vector_of(x)), x);
}

// Shape of one call and the grids that work on it.
struct Shape {
  long long rows;
  int channels, groups, runs;
  Grid over, images;
  int64_t shared, totals; // bytes of shared memory that gather and Totals take
  Shape(const at::Tensor &x, int64_t g) : rows(x.size(2) * x.size(3)), channels(static_cast<int>(x.size(1))), groups(static_cast<int>(g)) {
    int64_t v = vector_of(x), columns = channels / v, wide = std::min<int64_t>(columns, 256), high = 256 / wide;
    int64_t wanted = (1024 + x.size(0) - 1) / x.size(0); // blocks that fill the largest devices several times
    runs = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>({wanted, rows / (4 * high), 128})));
    over = {{runs, x.size(0), (columns + wide - 1) / wide}, {wide, high}};
    images = {{x.size(0), 1, 1}, {256, 1}};
    shared = wide * high * 2 * v * static_cast<int64_t>(sizeof(float));
    totals = 2 * channels * static_cast<int64_t>(sizeof(double));
  }
};

// Absent operands reach the autograd function as empty tensors, and kernels as null.
bool present(const at::Tensor &t) { return t.defined() && t.numel() > 0; }
void *data(const at::Tensor &t) { return present(t) ? t.data_ptr() : nullptr; }

struct GroupNorm : torch::autograd::Function<GroupNorm> {
  static at::Tensor forward(AutogradContext *ctx, at::Tensor x, at::Tensor w, at::Tensor b, at::Tensor scale, at::Tensor shift,
                            int64_t groups, double eps, int64_t silu) {
    c10::DeviceGuard guard(x.device());
    Shape s(x, groups);
    auto program = program_for(x);
    auto sums = at::empty({x.size(0), s.runs, 2, s.channels}, w.options());
    auto moments = at::empty({x.size(0), groups, 2}, w.options()), k = at::empty({x.size(0), s.channels}, w.options()), d = at::empty_like(k);
    auto y = at::empty_like(x);
    void *X = data(x), *Y = data(y), *S = data(sums), *W = data(w), *B = data(b), *scales = data(scale), *shifts = data(shift), *M = data(moments),
         *K = data(k), *D = data(d);
    int act = silu != 0;
    program->launch("add", s.over, s.shared, arguments(X, S, s.rows, s.channels));
    program->launch("finish", s.images, s.totals, arguments(S, s.runs, s.rows, s.channels, s.groups, eps, W, B, scales, shifts, M, K, D));
    program->launch("apply", s.over, 0, arguments(X, Y, K, D, s.rows, s.channels, act));
    ctx->save_for_backward({x, w, b, scale, shift, moments, k, d});
    ctx->saved_data["groups"] = groups;
    ctx->saved_data["silu"] = silu;
    ctx->saved_data["need_x"] = x.requires_grad();
    return y;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    auto v = ctx->get_saved_variables();
    auto &x = v[0], &w = v[1], &b = v[2], &scale = v[3], &shift = v[4], &moments = v[5], &k = v[6], &d = v[7];
    c10::DeviceGuard guard(x.device());
    Shape s(x, ctx->saved_data["groups"].toInt());
    auto program = program_for(x);
    int act = ctx->saved_data["silu"].toInt() != 0;
    auto dy = grads[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    auto sums = at::empty({x.size(0), s.runs, 2, s.channels}, w.options()), parts = at::empty({x.size(0), 2, s.channels}, w.options());
    auto dscale = present(scale) ? at::empty_like(scale) : at::Tensor(), dshift = present(shift) ? at::empty_like(shift) : at::Tensor();
    auto e0 = at::empty_like(k), e1 = at::empty_like(k), dx = at::Tensor();
    void *X = data(x), *G = data(dy), *S = data(sums), *W = data(w), *B = data(b), *scales = data(scale), *M = data(moments), *K = data(k),
         *D = data(d), *P = data(parts), *DS = data(dscale), *DT = data(dshift), *E0 = data(e0), *E1 = data(e1);
    program->launch("add_gradient", s.over, s.shared, arguments(X, G, K, D, S, s.rows, s.channels, act));
    program->launch("finish_gradient", s.images, s.totals, arguments(S, s.runs, s.rows, s.channels, s.groups, W, B, scales, M, P, DS, DT, E0, E1));
    if (ctx->saved_data["need_x"].toBool()) {
      dx = at::empty_like(x);
      void *DX = data(dx);
      program->launch("apply_gradient", s.over, 0, arguments(X, G, DX, K, D, E0, E1, s.rows, s.channels, act));
    }
    auto sum = parts.sum(0);
    return {dx, sum[0], sum[1], dscale, dshift, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

} // namespace

bool pagoda::device_group_norm_suits(const at::Tensor &x) {
  auto type = x.scalar_type();
  return x.is_cuda() && x.size(1) <= 3072 && (type == at::kFloat || type == at::kBFloat16 || type == at::kHalf) && program_for(x) != nullptr;
}

at::Tensor pagoda::device_group_norm(const at::Tensor &x, const at::Tensor &w, const at::Tensor &b, const at::Tensor &scale,
                                     const at::Tensor &shift, int64_t groups, double eps, bool silu) {
  return GroupNorm::apply(x, w, b, scale, shift, groups, eps, silu ? 1 : 0);
}
