// Four doubles at a time, whatever the processor has for it.
#pragma once

#include <cmath>
#include <cstdint>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace jaxgeom {

typedef double Vec __attribute__((vector_size(32), aligned(32)));
constexpr int kLanes = 4;
inline Vec load(const double *p) { return *reinterpret_cast<const Vec *>(p); }
inline void store(double *p, Vec v) { *reinterpret_cast<Vec *>(p) = v; }
inline Vec all(double x) { return Vec{x, x, x, x}; }

typedef int64_t Ints __attribute__((vector_size(32), aligned(32)));
inline Vec magnitude(Vec x) { return reinterpret_cast<Vec>(reinterpret_cast<Ints>(x) & INT64_MAX); }
inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }
inline Vec smaller(Vec a, Vec b) { return a < b ? a : b; }
inline unsigned sign_bits(Vec x) {
#if defined(__AVX__)
    return static_cast<unsigned>(_mm256_movemask_pd(reinterpret_cast<__m256d>(x)));
#else
    unsigned bits = 0;
    for (int i = 0; i < kLanes; i++) bits |= static_cast<unsigned>(std::signbit(x[i])) << i;
    return bits;
#endif
}

}  // namespace jaxgeom
