// Long loops in pieces that a processor's caches hold.
#pragma once
#include <ATen/Parallel.h>

#include <algorithm>
#include <memory>

namespace pagoda {

// f(part, from, to) over [0,count) in chunks: as many parts as there are threads, each on one of them.
template <typename F> void chunks(int64_t count, int64_t chunk, int64_t parts, F f) {
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; part++)
      for (int64_t i = count * part / parts, end = count * (part + 1) / parts; i < end; i += chunk)
        f(part, i, std::min(end, i + chunk));
  });
}

typedef std::unique_ptr<float[]> Buffer;
inline Buffer buffer(int64_t n) { return Buffer(new float[n]); }

} // namespace pagoda
