// Which units of a layer change sign on a cell.
#pragma once

#include "cell.h"

namespace jaxgeom {

struct Units {  // that may change sign on a cell, and their functions
    int num;
    double *rows;  // a, b, c and the bounds of their errors, each of the stride
    int stride;
    int *unit;
};
struct Sides {  // a bit for each of them
    uint64_t *above;     // certainly positive on all of the cell
    uint64_t *crossing;  // certainly positive at one vertex and negative at another one
    uint64_t *open;      // neither certainly positive on all of the cell nor certainly negative
};

// The sides of units on a cell; whether any is open. squares: the sum of a² + b² + c² of those above, if asked for.
template <bool Plane>
bool sides_on(int nv, const Vertex *v, const Units &units, const Sides &sides, double *squares) {
    const double *A = units.rows, *B = A + units.stride, *C = B + units.stride, *T = C + units.stride;
    double e = 0;
    for (int i = 0; i < nv; i++) e = std::max(e, v[i].e);
    Four sum{};
    uint64_t any = 0;
    for (int first = 0; first < units.num; first += 64) {
        const int num = std::min(64, units.num - first);
        uint64_t above = 0, below = 0, crossing = 0;
        for (int shift = 0; shift < num; shift += kLanes) {
            const int j = first + shift;
            const Vec a = load(A + j), b = load(B + j), c = load(C + j);
            const auto at = [&](const Vertex &p) {
                if (Plane) return a * p.x + (b * p.y + c * p.w);
                return a * p.x + (b * p.y + c);
            };
            Vec high = at(v[0]), low = high;
            for (int i = 1; i < nv; i++) {
                const Vec z = at(v[i]);
                high = larger(z, high), low = smaller(z, low);
            }
            const Vec tolerance = load(T + j) + (magnitude(a) + magnitude(b) + magnitude(c)) * e;
            above |= uint64_t(sign_bits(tolerance - low)) << shift, below |= uint64_t(sign_bits(high + tolerance)) << shift;
            crossing |= uint64_t(sign_bits(tolerance - high) & sign_bits(low + tolerance)) << shift;
            if (squares) add_to(sum, low > tolerance ? a * a + b * b + c * c : all(0));
        }
        const uint64_t valid = ~uint64_t(0) >> (64 - num);
        sides.above[first >> 6] = above & valid, sides.crossing[first >> 6] = crossing & valid;
        any |= sides.open[first >> 6] = valid & ~above & ~below;
    }
    if (squares) *squares += total(sum);
    return any;
}

// f(i) for each bit that is set, in order.
template <class F>
void for_bits(const uint64_t *words, int num, const F &f) {
    for (int w = 0; w < num; w++)
        for (uint64_t m = words[w]; m; m &= m - 1) f(64 * w + __builtin_ctzll(m));
}

}  // namespace jaxgeom
