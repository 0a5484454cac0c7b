// Several doubles at a time, whatever the processor has for it: eight with AVX-512, else four. Nothing that decides or
// returns anything depends on how many: sums over lanes are those of four.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace jaxgeom {

#if defined(__AVX512F__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef double Vec __attribute__((vector_size(8 * kLanes), aligned(8 * kLanes)));
constexpr unsigned kAllLanes = (1u << kLanes) - 1;
inline int padded(int n) { return (n + kLanes - 1) & -kLanes; }
inline Vec load(const double *p) { return *reinterpret_cast<const Vec *>(p); }
inline void store(double *p, Vec v) { *reinterpret_cast<Vec *>(p) = v; }
typedef double LooseVec __attribute__((vector_size(8 * kLanes), aligned(8)));
inline Vec load_from(const double *p) { return *reinterpret_cast<const LooseVec *>(p); }  // anywhere
inline void store_at(double *p, Vec v) { *reinterpret_cast<LooseVec *>(p) = v; }
#if defined(__AVX512F__)
inline Vec all(double x) { return Vec{x, x, x, x, x, x, x, x}; }
#else
inline Vec all(double x) { return Vec{x, x, x, x}; }
#endif

typedef double Four __attribute__((vector_size(32), aligned(32)));  // what sums over many numbers are made in
inline Four load_four(const double *p) { return *reinterpret_cast<const Four *>(p); }
inline void add_to(Four &sum, Vec x) {
#if defined(__AVX512F__)
    sum += Four{x[0], x[1], x[2], x[3]}, sum += Four{x[4], x[5], x[6], x[7]};
#else
    sum += x;
#endif
}
inline double total(Four x) { return (x[0] + x[1]) + (x[2] + x[3]); }

typedef int64_t Ints __attribute__((vector_size(8 * kLanes), aligned(8 * kLanes)));
inline Vec magnitude(Vec x) { return reinterpret_cast<Vec>(reinterpret_cast<Ints>(x) & INT64_MAX); }
#if defined(__AVX512F__)
inline Vec larger(Vec a, Vec b) { return _mm512_max_pd(a, b); }
inline Vec smaller(Vec a, Vec b) { return _mm512_min_pd(a, b); }
#elif defined(__AVX__)
inline Vec larger(Vec a, Vec b) { return _mm256_max_pd(a, b); }
inline Vec smaller(Vec a, Vec b) { return _mm256_min_pd(a, b); }
#else
inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }
inline Vec smaller(Vec a, Vec b) { return a < b ? a : b; }
#endif
inline unsigned sign_bits(Vec x) {
#if defined(__AVX512F__)
    return static_cast<unsigned>(_mm512_movepi64_mask(reinterpret_cast<__m512i>(x)));
#elif defined(__AVX__)
    return static_cast<unsigned>(_mm256_movemask_pd(reinterpret_cast<__m256d>(x)));
#else
    unsigned bits = 0;
    for (int i = 0; i < kLanes; i++) bits |= static_cast<unsigned>(std::signbit(x[i])) << i;
    return bits;
#endif
}

// The numbers of the bits that are set, of up to 64 numbers, and how many. Room for so many more is needed behind them.
constexpr int kListed = 16;
inline int list_bits(uint64_t bits, const int *numbers, int *list) {
    int n = 0;
#if defined(__AVX512F__)
    for (; bits; bits >>= 16, numbers += 16) {
        const __mmask16 own = static_cast<__mmask16>(bits);
        _mm512_storeu_si512(list + n, _mm512_maskz_compress_epi32(own, _mm512_maskz_loadu_epi32(own, numbers)));
        n += __builtin_popcount(own);
    }
#else
    for (; bits; bits &= bits - 1) list[n++] = numbers[__builtin_ctzll(bits)];
#endif
    return n;
}

// n bits from the first-th on as bytes of 0 and 1.
inline void spread_bits(const uint64_t *bits, int first, int n, uint8_t *bytes) {
    for (int i = 0; i < n; i += 8) {
        const int at = first + i, shift = at & 63, num = n - i < 8 ? n - i : 8;
        uint64_t own = bits[at >> 6] >> shift;
        if (shift + num > 64) own |= bits[(at >> 6) + 1] << (64 - shift);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        const uint64_t one_each = (own & 255) * 0x0101010101010101ull & 0x8040201008040201ull;
        const uint64_t spread = (one_each + 0x7f7f7f7f7f7f7f7full) >> 7 & 0x0101010101010101ull;
        std::memcpy(bytes + i, &spread, num);
#else
        for (int k = 0; k < num; k++) bytes[i + k] = own >> k & 1;
#endif
    }
}

}  // namespace jaxgeom
