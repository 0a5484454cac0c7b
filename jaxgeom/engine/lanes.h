// Vectors of single-precision numbers, one lane for each network, and the functions that training needs of them.
//
// A lane's results do not depend on how many lanes there are, so that all sets of instructions with multiply-adds give
// the same bits: division and roots are the exact ones. NaN goes through every function.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace jaxgeom::training {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4 * LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4 * LANES)));

#define JAXGEOM_INLINE static inline __attribute__((always_inline))

JAXGEOM_INLINE ivec all_bits(int32_t x) { return ivec{} + x; }
JAXGEOM_INLINE vec all(float x) {  // bit by bit: integers among the numbers would be subnormal, and be lost in a sum
    int32_t bits;
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
    int32_t found = 0;
    for (int l = 0; l < LANES; l++) found |= mask[l];
    return found != 0;
}
#endif

// The larger, the smaller: y where either is NaN. The square root.
#if defined(__AVX512F__)
JAXGEOM_INLINE vec larger(vec x, vec y) { return (vec)_mm512_max_ps((__m512)x, (__m512)y); }
JAXGEOM_INLINE vec smaller(vec x, vec y) { return (vec)_mm512_min_ps((__m512)x, (__m512)y); }
JAXGEOM_INLINE vec root(vec x) { return (vec)_mm512_sqrt_ps((__m512)x); }
#elif defined(__AVX2__)
JAXGEOM_INLINE vec larger(vec x, vec y) { return (vec)_mm256_max_ps((__m256)x, (__m256)y); }
JAXGEOM_INLINE vec smaller(vec x, vec y) { return (vec)_mm256_min_ps((__m256)x, (__m256)y); }
JAXGEOM_INLINE vec root(vec x) { return (vec)_mm256_sqrt_ps((__m256)x); }
#else
JAXGEOM_INLINE vec larger(vec x, vec y) { return pick(x > y, x, y); }
JAXGEOM_INLINE vec smaller(vec x, vec y) { return pick(x < y, x, y); }
JAXGEOM_INLINE vec root(vec x) {
    vec r;
    for (int l = 0; l < LANES; l++) r[l] = std::sqrt(x[l]);
    return r;
}
#endif
// x y + z, rounded once where the processor can: asked for, as a compiler fuses only what it sees in one block.
#if defined(__AVX512F__)
JAXGEOM_INLINE vec multiply_add(vec x, vec y, vec z) { return (vec)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z); }
#elif defined(__FMA__)
JAXGEOM_INLINE vec multiply_add(vec x, vec y, vec z) { return (vec)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z); }
#else
JAXGEOM_INLINE vec multiply_add(vec x, vec y, vec z) { return x * y + z; }
#endif
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
JAXGEOM_INLINE vec magnitude(vec x) { return (vec)((ivec)x & 0x7fffffff); }
JAXGEOM_INLINE vec sign(vec x) { return pick(x > 0.0f, all(1.0f), pick(x < 0.0f, all(-1.0f), x)); }
JAXGEOM_INLINE vec to_float(ivec x) { return __builtin_convertvector(x, vec); }
JAXGEOM_INLINE ivec to_int(vec x) { return __builtin_convertvector(x, ivec); }

// 2^n for whole n from -252 to 254, as a product, so that every result that is a number is reached.
struct Power { vec low, high; };
JAXGEOM_INLINE Power power_of_two(vec n) {
    const ivec i = to_int(n), half = i >> 1;
    return {(vec)((half + 127) << 23), (vec)((i - half + 127) << 23)};
}
// x = n log 2 + rest with a whole n, by Cody and Waite; and exp(rest) - 1 - rest by a minimax polynomial of Cephes.
JAXGEOM_INLINE vec reduced(vec x, vec &n) {
    const vec shifted = x * 1.44269504f + 12582912.0f;
    n = shifted - 12582912.0f;
    return (x - n * 0.693359375f) + n * 2.12194440e-4f;
}
JAXGEOM_INLINE vec curved(vec r) {
    vec p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r);
}
JAXGEOM_INLINE vec exponential(vec x) {
    vec n;
    const vec r = reduced(larger(all(-104.0f), smaller(all(89.0f), x)), n);
    const Power two = power_of_two(n);
    return (curved(r) + r + 1.0f) * two.low * two.high;
}
JAXGEOM_INLINE vec exponential_minus_one(vec x) {
    vec n;
    const vec r = reduced(larger(all(-104.0f), smaller(all(89.0f), x)), n);
    const Power two = power_of_two(n);
    const vec p = curved(r) + r, q = two.low * (p * two.high) + (two.low * two.high - 1.0f);
    return pick(n == 0.0f, p, pick(n > 126.0f, (p + 1.0f) * two.low * two.high, q));
}
// log(x) + lost
JAXGEOM_INLINE vec logarithm(vec x, vec lost = vec{}) {
    const ivec bits = (ivec)x - 0x3f3504f3;
    const vec n = to_float(bits >> 23), f = (vec)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
    vec p = all(7.0376836292e-2f);
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const vec square = f * f, low = p * f * square - n * 2.12194440e-4f - 0.5f * square;
    vec r = f + (low + lost) + n * 0.693359375f;
    r = pick(x == all(INFINITY), x, r);
    r = pick(x == 0.0f, all(-INFINITY), r);
    return pick(x >= 0.0f, r, all(NAN));
}
JAXGEOM_INLINE vec logarithm_of_one_plus(vec x) {
    const vec sum = 1.0f + x, lost = x - (sum - 1.0f), part = lost / sum;
    return logarithm(sum, pick(part == part, part, vec{}));
}
// The rational function of Eigen and XLA.
JAXGEOM_INLINE vec hyperbolic_tangent(vec x) {
    const vec c = larger(all(-7.90531111f), smaller(all(7.90531111f), x)), z = c * c;
    vec p = all(-2.76076847742355e-16f), q = all(1.19825839466702e-06f);
    p = p * z + 2.00018790482477e-13f;
    p = p * z - 8.60467152213735e-11f;
    p = p * z + 5.12229709037114e-08f;
    p = p * z + 1.48572235717979e-05f;
    p = p * z + 6.37261928875436e-04f;
    p = p * z + 4.89352455891786e-03f;
    q = q * z + 1.18534705686654e-04f;
    q = q * z + 2.26843463243900e-03f;
    q = q * z + 4.89352518554385e-03f;
    return pick(magnitude(x) < 0.0004f, x, p * c / q);
}
JAXGEOM_INLINE vec logistic(vec x) { return 1.0f / (1.0f + exponential(-x)); }

// Functions that are rarely met, lane by lane in double precision.
template <double (*FUNCTION)(double)>
JAXGEOM_INLINE vec each(vec x) {
    vec r;
    for (int l = 0; l < LANES; l++) r[l] = static_cast<float>(FUNCTION(x[l]));
    return r;
}
JAXGEOM_INLINE vec power(vec x, vec y) {
    vec r;
    for (int l = 0; l < LANES; l++) r[l] = static_cast<float>(std::pow(static_cast<double>(x[l]), static_cast<double>(y[l])));
    return r;
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
