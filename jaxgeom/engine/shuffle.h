// The order of the points, and rows of numbers as columns of vectors.
#pragma once

#include <cstdint>

#include "lanes.h"

namespace jaxgeom::training {

// The order of the points: the bijection of jaxgeom/training/shuffle.py.
struct Order {
    uint32_t num_points, high_base, low_base;
    int num_rounds = 0;
    explicit Order(int64_t num = 1, int rounds = 0) : num_points(static_cast<uint32_t>(num)), num_rounds(rounds) {
        uint32_t root = 0;
        while (uint64_t(root) * root < uint64_t(num)) root++;
        high_base = root, low_base = static_cast<uint32_t>((num + root - 1) / root);
        for (uint32_t base = root; base > root / 2; base--)
            if (num % base == 0) { high_base = base, low_base = static_cast<uint32_t>(num / base); break; }
    }
    static uvec mixed(uvec x, uint32_t factor) { return (x ^ (x >> 16)) * factor; }
    static uvec epoch_key(uvec key, uint32_t epoch) {
        const uvec x = mixed(mixed(key + epoch * 0x9E3779B9u, 0x85EBCA6Bu), 0xC2B2AE35u);
        return x ^ (x >> 16);
    }
    // keys: two for each round. Digits of the position in, of its place in the order out.
    void permute(const uvec *keys, uvec &high, uvec &low) const {
        const auto random = [](uvec digit, const uvec *key, uint32_t base) {
            const uvec x = mixed((digit + key[0]) * (key[1] | 1), 0x85EBCA6Bu);
            return ((x >> 16) * base) >> 16;
        };
        const auto add = [](uvec a, uvec b, uint32_t base) {
            const uvec sum = a + b;
            return (pvec)sum >= static_cast<int32_t>(base) ? sum - base : sum;
        };
        for (int round = 0; round < num_rounds; round += 2) {
            high = add(high, random(low, keys + 2 * round, high_base), high_base);
            low = add(low, random(high, keys + 2 * round + 2, low_base), low_base);
        }
    }
    // The points at positions of the order.
    pvec at(const uvec *keys, uvec high, uvec low) const {
        permute(keys, high, low);
        for (;;) {  // positions outside of the range walk on
            const uvec place = high * low_base + low;
            const pvec outside = (pvec)place >= static_cast<int32_t>(num_points);
            if (!any(outside)) return (pvec)place;
            uvec next_high = high, next_low = low;
            permute(keys, next_high, next_low);
            high = outside ? next_high : high, low = outside ? next_low : low;
        }
    }
};

// Four columns of a table from number `at` on: one row of it for each lane.
JAXGEOM_INLINE void four_columns(const real *const *rows, size_t at, vec *column) {
#define JAXGEOM_PART(l) _mm_loadu_ps(rows[l] + at)
#if defined(JAXGEOM_DOUBLE)
    for (int j = 0; j < 4; j++)
        for (int l = 0; l < LANES; l++) column[j][l] = rows[l][at + j];
#elif defined(__AVX512F__)
    __m512 part[4];
    for (int j = 0; j < 4; j++) {
        part[j] = _mm512_castps128_ps512(JAXGEOM_PART(j));
        part[j] = _mm512_insertf32x4(part[j], JAXGEOM_PART(j + 4), 1);
        part[j] = _mm512_insertf32x4(part[j], JAXGEOM_PART(j + 8), 2);
        part[j] = _mm512_insertf32x4(part[j], JAXGEOM_PART(j + 12), 3);
    }
    __m512d low[2], high[2];
    for (int j = 0; j < 2; j++) {
        low[j] = (__m512d)_mm512_unpacklo_ps(part[2 * j], part[2 * j + 1]);
        high[j] = (__m512d)_mm512_unpackhi_ps(part[2 * j], part[2 * j + 1]);
    }
    column[0] = (vec)_mm512_unpacklo_pd(low[0], low[1]), column[1] = (vec)_mm512_unpackhi_pd(low[0], low[1]);
    column[2] = (vec)_mm512_unpacklo_pd(high[0], high[1]), column[3] = (vec)_mm512_unpackhi_pd(high[0], high[1]);
#elif defined(__AVX2__)
    __m256 part[4];
    for (int j = 0; j < 4; j++) part[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(JAXGEOM_PART(j)), JAXGEOM_PART(j + 4), 1);
    __m256d low[2], high[2];
    for (int j = 0; j < 2; j++) {
        low[j] = (__m256d)_mm256_unpacklo_ps(part[2 * j], part[2 * j + 1]);
        high[j] = (__m256d)_mm256_unpackhi_ps(part[2 * j], part[2 * j + 1]);
    }
    column[0] = (vec)_mm256_unpacklo_pd(low[0], low[1]), column[1] = (vec)_mm256_unpackhi_pd(low[0], low[1]);
    column[2] = (vec)_mm256_unpacklo_pd(high[0], high[1]), column[3] = (vec)_mm256_unpackhi_pd(high[0], high[1]);
#else
    for (int j = 0; j < 4; j++)
        for (int l = 0; l < LANES; l++) column[j][l] = rows[l][at + j];
#endif
#undef JAXGEOM_PART
}

// Points of a packed split, one row for each lane, as columns of vectors.
inline void gather(const real *const *bases, const int32_t *chosen, int num_columns, int num_inputs, int num_targets, vec *inputs, vec *targets, int stride) {
    const real *rows[LANES];
    for (int l = 0; l < LANES; l++) rows[l] = bases[l] + size_t(chosen[l]) * num_columns;
    for (int c = 0; c < num_columns; c += 4) {
        vec column[4];
        four_columns(rows, c, column);
        for (int j = 0; j < 4; j++) {
            const int i = c + j;
            if (i < num_inputs) inputs[i * stride] = column[j];
            else if (i < num_inputs + num_targets) targets[(i - num_inputs) * stride] = column[j];
        }
    }
}

}  // namespace jaxgeom::training
