// Products of the layers of small networks: sums over k of a[i, k] b[k, j], every number a vector with a lane for each
// network, or one factor single numbers that all lanes share. Tiles of the result stay in registers, and what follows a
// product is done as a tile is written. Sums are over k in its order, whatever the tiles: so bits do not depend on them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lanes.h"

namespace jaxgeom::training {

enum Kind {
    FORWARD,       // bias + product
    FORWARD_RELU,  // the same, and the units that are not positive set to zero
    BACK_LINEAR,   // product
    BACK_RELU,     // product, zero where the result's old number is not positive
    BACK_SLOPE,    // product times the slopes that lie `slope` vectors further on
    GRADIENT,      // product, added to what is there if asked for
};

// Which factor is single numbers.
enum Shared { NEITHER, SHARED_A, SHARED_B };

struct Strides {
    int count_k, a_i, a_k, b_j, b_k, c_i;
    Kind kind;
    int slope;
    bool has_bias;  // of FORWARD: number count_k of a row of a
};

template <bool IS_SHARED>
JAXGEOM_INLINE vec number(const void *from, int64_t at) {
    if constexpr (IS_SHARED) return all(static_cast<const real *>(from)[at]);
    else return static_cast<const vec *>(from)[at];
}

// Every loop over a tile is unrolled, so that it stays in registers.
#define JAXGEOM_UNROLL _Pragma("GCC unroll 32")

template <int I, int J, Shared S, int K>
__attribute__((noinline)) void tile(const Strides &s, const void *a, const void *b, vec *c, bool is_added) {
    vec sum[I * J];
    const int count_k = K ? K : s.count_k, a_i = s.a_i, a_k = s.a_k, b_j = s.b_j, b_k = s.b_k, c_i = s.c_i;
    const Kind kind = s.kind;
    const auto start = [&](const auto &of) __attribute__((always_inline)) {
        JAXGEOM_UNROLL for (int i = 0; i < I; i++)
            JAXGEOM_UNROLL for (int j = 0; j < J; j++) sum[i * J + j] = of(i, j);
    };
    const auto write = [&](const auto &of) __attribute__((always_inline)) {
        JAXGEOM_UNROLL for (int i = 0; i < I; i++)
            JAXGEOM_UNROLL for (int j = 0; j < J; j++) c[i * c_i + j] = of(sum[i * J + j], c + i * c_i + j);
    };
    if (kind <= FORWARD_RELU && s.has_bias) start([&](int i, int) __attribute__((always_inline)) { return number<S == SHARED_A>(a, i * a_i + count_k * a_k); });
    else if (is_added) start([&](int i, int j) __attribute__((always_inline)) { return c[i * c_i + j]; });
    else start([](int, int) __attribute__((always_inline)) { return vec{}; });
#pragma GCC unroll 4
    for (int k = 0; k < count_k; k++) {
        vec row[I];
        JAXGEOM_UNROLL for (int i = 0; i < I; i++) row[i] = number<S == SHARED_A>(a, i * a_i + k * a_k);
        JAXGEOM_UNROLL for (int j = 0; j < J; j++) {
            const vec v = number<S == SHARED_B>(b, j * b_j + k * b_k);
            JAXGEOM_UNROLL for (int i = 0; i < I; i++) sum[i * J + j] += row[i] * v;
        }
    }
    if (kind == FORWARD_RELU) write([](vec v, const vec *) __attribute__((always_inline)) { return larger(vec{}, v); });
    else if (kind == BACK_RELU) write([](vec v, const vec *to) __attribute__((always_inline)) { return pick(*to > real(0), v, vec{}); });
    else if (kind == BACK_SLOPE) write([&](vec v, const vec *to) __attribute__((always_inline)) { return v * to[s.slope]; });
    else write([](vec v, const vec *) __attribute__((always_inline)) { return v; });
}
#undef JAXGEOM_UNROLL
typedef void (*Tile)(const Strides &, const void *, const void *, vec *, bool);

// One k takes the loop: without one, GCC may add in another block than it multiplies, and round twice.
template <Shared S>
Tile tile_of(int i, int j, int k) {
#if defined(JAXGEOM_DOUBLE)  // compiled in half the time
#define JAXGEOM_TILE(I, J) \
    if (i == I && j == J) return tile<I, J, S, 0>;
#else
#define JAXGEOM_TILE(I, J) \
    if (i == I && j == J) return k == 2 ? tile<I, J, S, 2> : k == 3 ? tile<I, J, S, 3> : k == 4 ? tile<I, J, S, 4> : tile<I, J, S, 0>;
#endif
#define JAXGEOM_TILES(I) JAXGEOM_TILE(I, 1) JAXGEOM_TILE(I, 2) JAXGEOM_TILE(I, 3) JAXGEOM_TILE(I, 4) JAXGEOM_TILE(I, 5)
    JAXGEOM_TILES(1) JAXGEOM_TILES(2) JAXGEOM_TILES(3) JAXGEOM_TILES(4) JAXGEOM_TILES(5)
    JAXGEOM_TILE(1, 8) JAXGEOM_TILE(2, 8) JAXGEOM_TILE(3, 6) JAXGEOM_TILE(1, 16)
    return nullptr;
}

// A product of known sizes, cut into tiles.
class Product {
  public:
    Product() = default;
    Product(Kind kind, int count_i, int count_j, int count_k, int a_i, int a_k, int b_j, int b_k, Shared shared, int c_i, int slope = 0, bool has_bias = false)
        : count_i_(count_i), count_j_(count_j), strides_{count_k, a_i, a_k, b_j, b_k, c_i, kind, slope, has_bias} {
        if (count_i == 1) step_j_ = count_j >= 16 ? 16 : count_j >= 8 ? 8 : std::min(count_j, 5);
        else if (count_i == 2) step_j_ = count_j >= 8 ? 8 : std::min(count_j, 5);
        else {
            const int parts = (count_j + 4) / 5;
            step_j_ = count_i == 3 && count_j % 6 == 0 ? 6 : (count_j + parts - 1) / parts;
        }
        const int most = step_j_ == 16 ? 1 : step_j_ == 8 ? 2 : step_j_ == 6 ? 3 : 5, parts = (count_i + most - 1) / most;
        step_i_ = (count_i + parts - 1) / parts;
        if (count_j % step_j_ > 5) step_j_ = 5;
        rest_i_ = count_i % step_i_, rest_j_ = count_j % step_j_;
        size_a_ = shared == SHARED_A ? sizeof(real) : sizeof(vec), size_b_ = shared == SHARED_B ? sizeof(real) : sizeof(vec);
        const auto found = [&](int i, int j) -> Tile {
            if (!i || !j) return nullptr;
            return shared == SHARED_A ? tile_of<SHARED_A>(i, j, count_k) : shared == SHARED_B ? tile_of<SHARED_B>(i, j, count_k) : tile_of<NEITHER>(i, j, count_k);
        };
        full_ = found(step_i_, step_j_), right_ = found(step_i_, rest_j_), below_ = found(rest_i_, step_j_), corner_ = found(rest_i_, rest_j_);
    }
    // Of so many parts, each some rows of tiles, one.
    void run(const void *a, const void *b, vec *c, bool is_added = false, int part = 0, int num_parts = 1) const {
        const int64_t num_rows = (count_i_ + step_i_ - 1) / step_i_;
        const int begin = static_cast<int>(num_rows * part / num_parts) * step_i_, end = std::min(count_i_, static_cast<int>(num_rows * (part + 1) / num_parts) * step_i_);
        const char *start_a = static_cast<const char *>(a) + size_t(strides_.a_i) * begin * size_a_, *b_at = static_cast<const char *>(b);
        c += size_t(strides_.c_i) * begin;
        const size_t step_a = size_t(strides_.a_i) * step_i_ * size_a_, step_b = size_t(strides_.b_j) * step_j_ * size_b_, step_c = size_t(strides_.c_i) * step_i_;
        for (int j = 0; j < count_j_; j += step_j_, b_at += step_b) {
            const bool is_rest = j + step_j_ > count_j_;
            const Tile full = is_rest ? right_ : full_;
            const char *a_at = start_a;
            vec *to = c + j;
            int i = begin;
            for (; i + step_i_ <= end; i += step_i_, a_at += step_a, to += step_c) full(strides_, a_at, b_at, to, is_added);
            if (i < end) (is_rest ? corner_ : below_)(strides_, a_at, b_at, to, is_added);
        }
    }

    int64_t work() const { return int64_t(count_i_) * count_j_ * strides_.count_k; }

  private:
    int count_i_ = 0, count_j_ = 0, step_i_ = 0, step_j_ = 0, rest_i_ = 0, rest_j_ = 0;
    size_t size_a_ = 0, size_b_ = 0;
    Strides strides_{};
    Tile full_ = nullptr, right_ = nullptr, below_ = nullptr, corner_ = nullptr;
};

}  // namespace jaxgeom::training
