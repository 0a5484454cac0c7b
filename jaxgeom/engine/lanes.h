// Vectors of numbers, one lane for each network, and what training needs of them but for functions (functions.h). The
// numbers are of single precision, or double where JAXGEOM_DOUBLE is defined: a library has one or the other.
//
// A lane's results do not depend on how many lanes there are, so that all sets of instructions with multiply-adds give
// the same bits: division and roots are the exact ones. NaN goes through every function.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace jaxgeom::training {

#if defined(JAXGEOM_DOUBLE)
typedef double real;
typedef int64_t word;  // as wide: conditions and whole numbers
#else
typedef float real;
typedef int32_t word;
#endif

#if defined(__AVX512F__)
constexpr int BYTES = 64;  // of a vector
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
constexpr int LANES = BYTES / sizeof(real);

typedef real vec __attribute__((vector_size(BYTES), aligned(BYTES)));
typedef word ivec __attribute__((vector_size(BYTES), aligned(BYTES)));
// What orders of points are made of, whatever the numbers are.
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4 * LANES)));
typedef int32_t pvec __attribute__((vector_size(4 * LANES), aligned(4 * LANES)));

#define JAXGEOM_INLINE static inline __attribute__((always_inline))

JAXGEOM_INLINE ivec all_bits(word x) { return ivec{} + x; }
JAXGEOM_INLINE vec all(real x) {  // bit by bit: integers among the numbers would be subnormal, and be lost in a sum
    word bits;
    std::memcpy(&bits, &x, sizeof bits);
    return (vec)all_bits(bits);
}
JAXGEOM_INLINE vec pick(ivec mask, vec yes, vec no) { return mask ? yes : no; }

// Whether any bit is set.
#if defined(__AVX512F__)
JAXGEOM_INLINE bool any(ivec mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }
#elif defined(__AVX2__)
JAXGEOM_INLINE bool any(ivec mask) { return !_mm256_testz_si256((__m256i)mask, (__m256i)mask); }
#else
JAXGEOM_INLINE bool any(ivec mask) {
    word found = 0;
    for (int l = 0; l < LANES; l++) found |= mask[l];
    return found != 0;
}
#endif
#if defined(JAXGEOM_DOUBLE)
JAXGEOM_INLINE bool any(pvec mask) {
    int32_t found = 0;
    for (int l = 0; l < LANES; l++) found |= mask[l];
    return found != 0;
}
#endif

// The larger, the smaller: y where either is NaN. The square root.
#if defined(__AVX512F__)
#define JAXGEOM_OF(name) _mm512_##name
typedef __m512 Singles;
typedef __m512d Doubles;
#elif defined(__AVX2__)
#define JAXGEOM_OF(name) _mm256_##name
typedef __m256 Singles;
typedef __m256d Doubles;
#endif
#if !defined(JAXGEOM_OF)
JAXGEOM_INLINE vec larger(vec x, vec y) { return pick(x > y, x, y); }
JAXGEOM_INLINE vec smaller(vec x, vec y) { return pick(x < y, x, y); }
JAXGEOM_INLINE vec root(vec x) {
    vec r;
    for (int l = 0; l < LANES; l++) r[l] = std::sqrt(x[l]);
    return r;
}
#elif defined(JAXGEOM_DOUBLE)
JAXGEOM_INLINE vec larger(vec x, vec y) { return (vec)JAXGEOM_OF(max_pd)((Doubles)x, (Doubles)y); }
JAXGEOM_INLINE vec smaller(vec x, vec y) { return (vec)JAXGEOM_OF(min_pd)((Doubles)x, (Doubles)y); }
JAXGEOM_INLINE vec root(vec x) { return (vec)JAXGEOM_OF(sqrt_pd)((Doubles)x); }
#else
JAXGEOM_INLINE vec larger(vec x, vec y) { return (vec)JAXGEOM_OF(max_ps)((Singles)x, (Singles)y); }
JAXGEOM_INLINE vec smaller(vec x, vec y) { return (vec)JAXGEOM_OF(min_ps)((Singles)x, (Singles)y); }
JAXGEOM_INLINE vec root(vec x) { return (vec)JAXGEOM_OF(sqrt_ps)((Singles)x); }
#endif
// x y + z, rounded once where the processor can: asked for, as a compiler fuses only what it sees in one block.
#if !defined(__FMA__)
JAXGEOM_INLINE vec multiply_add(vec x, vec y, vec z) { return x * y + z; }
#elif defined(JAXGEOM_DOUBLE)
JAXGEOM_INLINE vec multiply_add(vec x, vec y, vec z) { return (vec)JAXGEOM_OF(fmadd_pd)((Doubles)x, (Doubles)y, (Doubles)z); }
#else
JAXGEOM_INLINE vec multiply_add(vec x, vec y, vec z) { return (vec)JAXGEOM_OF(fmadd_ps)((Singles)x, (Singles)y, (Singles)z); }
#endif
#undef JAXGEOM_OF
JAXGEOM_INLINE real multiply_add(real x, real y, real z) {
#if defined(__FMA__)
    return std::fma(x, y, z);
#else
    return x * y + z;
#endif
}
// A product that is rounded before anything is added to it.
JAXGEOM_INLINE vec rounded(vec x) {
#if defined(__x86_64__) || defined(_M_X64)
    asm("" : "+v"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#endif
    return x;
}
JAXGEOM_INLINE vec maximum(vec x, vec y) { return pick(x != x, x, larger(x, y)); }
JAXGEOM_INLINE vec minimum(vec x, vec y) { return pick(x != x, x, smaller(x, y)); }
JAXGEOM_INLINE vec magnitude(vec x) { return (vec)((ivec)x & std::numeric_limits<word>::max()); }
JAXGEOM_INLINE vec sign(vec x) { return pick(x > real(0), all(1), pick(x < real(0), all(-1), x)); }
JAXGEOM_INLINE vec to_float(ivec x) { return __builtin_convertvector(x, vec); }
JAXGEOM_INLINE ivec to_int(vec x) { return __builtin_convertvector(x, ivec); }
// Whole numbers as those of 32 bits, which wrap around.
#if defined(JAXGEOM_DOUBLE)
JAXGEOM_INLINE ivec wrapped(ivec x) { return __builtin_convertvector(__builtin_convertvector(x, pvec), ivec); }
#else
JAXGEOM_INLINE ivec wrapped(ivec x) { return x; }
#endif
// Numbers of double precision rounded to single.
JAXGEOM_INLINE vec to_single(vec x) {
    typedef float Single __attribute__((vector_size(4 * LANES)));
    return __builtin_convertvector(__builtin_convertvector(x, Single), vec);
}

// Subnormal numbers taken for zero, as XLA does, for as long as one of these lives: they would take 100 times as long.
class NoSubnormals {
  public:
#if defined(__x86_64__) || defined(_M_X64)
    NoSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~NoSubnormals() { _mm_setcsr(before_); }

  private:
    unsigned before_;
#else
    NoSubnormals() {}
#endif
  public:
    NoSubnormals(const NoSubnormals &) = delete;
    NoSubnormals &operator=(const NoSubnormals &) = delete;
};

}  // namespace jaxgeom::training
