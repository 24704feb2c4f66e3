// Matrix products of float32 small enough for a processor's caches, in registers.
#pragma once
#include <cstdint>

namespace pagoda {

// A vector register, and how many columns of them a tile has: 6 rows of these fill the registers.
#ifdef __AVX512F__
constexpr int lane = 16, wide = 4;
#else
constexpr int lane = 8, wide = 2;
#endif
typedef float lanes __attribute__((vector_size(4 * lane), aligned(4)));

// Columns come in sixteens.
inline int64_t padded(int64_t x) { return (x + 15) / 16 * 16; }

// C (M rows, V·lane columns) = or += A·B with A[m][k] at a + m·am + k·ak and rows of B and C of ldb and ldc floats. What
// is added was summed by itself: float32 keeps its precision over as many terms as a product is deep, not over all products.
template <int M, int V>
void tile(int64_t depth, const float *a, int64_t am, int64_t ak, const float *b, int64_t ldb, float *c, int64_t ldc,
          bool add) {
  lanes sum[M][V];
  for (int m = 0; m < M; m++)
    for (int v = 0; v < V; v++) sum[m][v] = lanes{};
  for (int64_t k = 0; k < depth; k++) {
    lanes row[V];
    for (int v = 0; v < V; v++) row[v] = *reinterpret_cast<const lanes *>(b + k * ldb + lane * v);
    for (int m = 0; m < M; m++) {
      float x = a[m * am + k * ak];
      for (int v = 0; v < V; v++) sum[m][v] += x * row[v];
    }
  }
  for (int m = 0; m < M; m++)
    for (int v = 0; v < V; v++) {
      lanes *at = reinterpret_cast<lanes *>(c + m * ldc + lane * v);
      *at = add ? *at + sum[m][v] : sum[m][v];
    }
}

template <int V>
void strip(int64_t rows, int64_t depth, const float *a, int64_t am, int64_t ak, const float *b, int64_t ldb, float *c,
           int64_t ldc, bool add) {
  int64_t m = 0;
  for (; m + 6 <= rows; m += 6) tile<6, V>(depth, a + m * am, am, ak, b, ldb, c + m * ldc, ldc, add);
  a += m * am, c += m * ldc;
  switch (rows - m) {
  case 1: return tile<1, V>(depth, a, am, ak, b, ldb, c, ldc, add);
  case 2: return tile<2, V>(depth, a, am, ak, b, ldb, c, ldc, add);
  case 3: return tile<3, V>(depth, a, am, ak, b, ldb, c, ldc, add);
  case 4: return tile<4, V>(depth, a, am, ak, b, ldb, c, ldc, add);
  case 5: return tile<5, V>(depth, a, am, ak, b, ldb, c, ldc, add);
  }
}

// multiply is tile for any number of rows, and of columns in sixteens.
inline void multiply(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t am, int64_t ak,
                     const float *b, int64_t ldb, float *c, int64_t ldc, bool add) {
  constexpr int narrow = 16 / lane;
  int64_t j = 0;
  for (; j + wide * lane <= columns; j += wide * lane) strip<wide>(rows, depth, a, am, ak, b + j, ldb, c + j, ldc, add);
  for (; j < columns; j += 16) strip<narrow>(rows, depth, a, am, ak, b + j, ldb, c + j, ldc, add);
}

} // namespace pagoda
