// The C interface between package torch and libtorch.
//
// Every function returns NULL, or a message allocated with malloc that the
// caller frees. Results go through the leading out pointer. `mode` carries what
// libtorch keeps per thread, so that it never depends on which thread runs a
// goroutine: bit 0 records gradients, the bits above hold the compute dtype of
// convolutions and matrix products.
#ifndef PAGODA_SHIM_H
#define PAGODA_SHIM_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *pg_tensor;
typedef void *pg_script;

// pg_recompute answers the gradients dx of sum(y*dy) for the checkpoint id, whose inputs are x; NULL or a message.
// pg_forget says that the checkpoint will not be asked for again.
typedef char *(*pg_recompute)(int64_t id, pg_tensor dy, pg_tensor *x, int n, pg_tensor *dx);
typedef void (*pg_forget)(int64_t id);

enum { PG_FLOAT32, PG_FLOAT64, PG_BFLOAT16, PG_FLOAT16, PG_UINT8, PG_INT64, PG_BOOL };

enum {
  PG_NEG, PG_EXP, PG_LOG, PG_SQRT, PG_RSQRT, PG_SQUARE, PG_ABS, PG_SIN, PG_COS, PG_TANH,
  PG_SILU, PG_GELU, PG_RELU, PG_RELU6, PG_SOFTPLUS, PG_DETACH, PG_CLONE, PG_CHANNELS_LAST
};

enum { PG_ADD, PG_SUB, PG_MUL, PG_DIV, PG_MATMUL, PG_EQUAL };

enum { PG_SUM, PG_MEAN };

enum { PG_NEAREST, PG_BILINEAR, PG_BICUBIC, PG_AREA, PG_BILINEAR_ANTIALIAS, PG_BICUBIC_ANTIALIAS };

// F(name, parameters, arguments)
#define PG_API(F)                                                                                                      \
  F(setup, (int threads, pg_recompute recompute, pg_forget forget), (threads, recompute, forget))                      \
  F(info, (char *text, int64_t size, int64_t *cuda), (text, size, cuda))                                               \
  F(live, (int64_t *out), (out))                                                                                       \
  F(release, (int64_t n, pg_tensor *t), (n, t))                                                                        \
  F(from_bytes, (pg_tensor *out, const void *data, int dtype, const int64_t *shape, int n, int device),                \
    (out, data, dtype, shape, n, device))                                                                              \
  F(to_bytes, (void *data, int64_t size, pg_tensor x, int dtype), (data, size, x, dtype))                              \
  F(describe, (int64_t *shape, int *n, int *dtype, int *device, int *requires_grad, pg_tensor x),                      \
    (shape, n, dtype, device, requires_grad, x))                                                                       \
  F(full, (pg_tensor *out, double value, int dtype, const int64_t *shape, int n, int device, int channels_last),       \
    (out, value, dtype, shape, n, device, channels_last))                                                              \
  F(write, (pg_tensor dst, const void *data, int64_t size, int dtype), (dst, data, size, dtype))                       \
  F(to, (int mode, pg_tensor *out, pg_tensor x, int dtype, int device), (mode, out, x, dtype, device))                 \
  F(copy, (pg_tensor dst, pg_tensor src), (dst, src))                                                                  \
  F(require_grad, (pg_tensor x, int on), (x, on))                                                                      \
  F(grad, (pg_tensor *out, pg_tensor y, pg_tensor dy, const pg_tensor *x, int n, int retain),                          \
    (out, y, dy, x, n, retain))                                                                                        \
  F(unary, (int mode, pg_tensor *out, int op, pg_tensor x), (mode, out, op, x))                                        \
  F(binary, (int mode, pg_tensor *out, int op, pg_tensor a, pg_tensor b), (mode, out, op, a, b))                       \
  F(affine, (int mode, pg_tensor *out, pg_tensor x, double scale, double shift), (mode, out, x, scale, shift))         \
  F(clamp, (int mode, pg_tensor *out, pg_tensor x, double low, double high), (mode, out, x, low, high))                \
  F(leaky_relu, (int mode, pg_tensor *out, pg_tensor x, double slope), (mode, out, x, slope))                          \
  F(reduce, (int mode, pg_tensor *out, int op, pg_tensor x, const int64_t *dims, int n, int keep),                     \
    (mode, out, op, x, dims, n, keep))                                                                                 \
  F(softmax, (int mode, pg_tensor *out, pg_tensor x, int64_t dim, int log), (mode, out, x, dim, log))                  \
  F(argmax, (pg_tensor *out, pg_tensor x, int64_t dim), (out, x, dim))                                                 \
  F(reshape, (int mode, pg_tensor *out, pg_tensor x, const int64_t *shape, int n), (mode, out, x, shape, n))           \
  F(expand, (int mode, pg_tensor *out, pg_tensor x, const int64_t *shape, int n), (mode, out, x, shape, n))            \
  F(permute, (int mode, pg_tensor *out, pg_tensor x, const int64_t *dims, int n), (mode, out, x, dims, n))             \
  F(narrow, (int mode, pg_tensor *out, pg_tensor x, int64_t dim, int64_t start, int64_t length),                       \
    (mode, out, x, dim, start, length))                                                                                \
  F(cat, (int mode, pg_tensor *out, const pg_tensor *x, int n, int64_t dim), (mode, out, x, n, dim))                   \
  F(pad, (int mode, pg_tensor *out, pg_tensor x, const int64_t *pads, int n, double value),                            \
    (mode, out, x, pads, n, value))                                                                                    \
  F(index_select, (int mode, pg_tensor *out, pg_tensor x, int64_t dim, pg_tensor index), (mode, out, x, dim, index))   \
  F(gather, (int mode, pg_tensor *out, pg_tensor x, int64_t dim, pg_tensor index), (mode, out, x, dim, index))         \
  F(linear, (int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b), (mode, out, x, w, b))                   \
  F(conv2d, (int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b, int64_t stride, int64_t pad_h,           \
             int64_t pad_w, int64_t groups, int transposed), (mode, out, x, w, b, stride, pad_h, pad_w, groups, transposed)) \
  F(gathered_rows, (int on), (on))                                                                                     \
  F(avg_pool2d, (int mode, pg_tensor *out, pg_tensor x, int64_t size, int64_t stride, int64_t padding),                \
    (mode, out, x, size, stride, padding))                                                                             \
  F(max_pool2d, (int mode, pg_tensor *out, pg_tensor x, int64_t size, int64_t stride, int64_t padding),                \
    (mode, out, x, size, stride, padding))                                                                             \
  F(resize, (int mode, pg_tensor *out, pg_tensor x, int64_t h, int64_t w, int filter, int align_corners),              \
    (mode, out, x, h, w, filter, align_corners))                                                                       \
  F(group_norm, (int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b, pg_tensor scale, pg_tensor shift,    \
                 int64_t groups, double eps, int silu), (mode, out, x, w, b, scale, shift, groups, eps, silu))         \
  F(layer_norm, (int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b, double eps),                         \
    (mode, out, x, w, b, eps))                                                                                         \
  F(dropout, (int mode, pg_tensor *out, pg_tensor x, double share, int64_t seed), (mode, out, x, share, seed))         \
  F(checkpoint, (pg_tensor *out, pg_tensor y, const pg_tensor *x, int n, int64_t id), (out, y, x, n, id))              \
  F(script_load, (pg_script *out, const char *path, int device), (out, path, device))                                  \
  F(script_run, (int mode, pg_tensor *out, int *n, pg_script script, pg_tensor x, const char **names,                  \
                 const int *values, int options), (mode, out, n, script, x, names, values, options))                   \
  F(script_free, (pg_script script), (script))                                                                         \
  F(batch_norm, (int mode, pg_tensor *out, pg_tensor x, pg_tensor w, pg_tensor b, pg_tensor mean, pg_tensor var,       \
                 int train, double momentum, double eps), (mode, out, x, w, b, mean, var, train, momentum, eps))       \
  F(spectral_norm, (int mode, pg_tensor *out, pg_tensor w, pg_tensor u, pg_tensor v, int iterate),                     \
    (mode, out, w, u, v, iterate))                                                                                     \
  F(unit_distance, (int mode, pg_tensor *out, pg_tensor a, pg_tensor b, pg_tensor weights), (mode, out, a, b, weights)) \
  F(self_attention, (int mode, pg_tensor *out, pg_tensor qkv, int64_t heads, int64_t head, int64_t part,               \
                     int64_t channel), (mode, out, qkv, heads, head, part, channel))                                   \
  F(adam, (int n, const pg_tensor *p, const pg_tensor *g, const pg_tensor *m, const pg_tensor *v,                      \
           const double *hyper), (n, p, g, m, v, hyper))                                                               \
  F(lerp, (int n, const pg_tensor *target, const pg_tensor *source, double weight), (n, target, source, weight))       \
  F(multiply, (int n, const pg_tensor *x, double factor), (n, x, factor))                                              \
  F(norm, (double *out, int n, const pg_tensor *x), (out, n, x))                                                       \
  F(eigh, (pg_tensor *values, pg_tensor *vectors, pg_tensor x), (values, vectors, x))                                  \
  F(svd, (pg_tensor *u, pg_tensor *s, pg_tensor *vh, pg_tensor x), (u, s, vh, x))

#ifdef __cplusplus
#define PG_DECLARE(name, params, args) char *pg_##name params;
PG_API(PG_DECLARE)
#undef PG_DECLARE
}
#endif
#endif
