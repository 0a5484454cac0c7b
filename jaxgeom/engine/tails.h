// How far up a network units change sign on a cell at all.
//
// The pre-activations of a layer on a cell are a x + b y + c + symbols within a radius: each symbol is a vector over the
// units times an unknown number between -1 and 1. A unit that is certainly positive, or certainly negative, hands on what
// it is. One that may change sign, between low and high, lies between its chord there and the parallel through zero: it
// hands on the line in the middle, and half the distance is a new symbol. So what is unknown goes through the layers as
// gradients do. What rounding does is part of the radii. If no unit of the last layers may change sign on a cell, these
// layers do not cut it, nor any part of it.
#pragma once

#include "sides.h"

namespace jaxgeom {

constexpr int kSymbols = 32;  // at most

// Every loop over vectors is unrolled, so that sums stay in registers.
#define JAXGEOM_UNROLL _Pragma("GCC unroll 4")
// V vectors of G rows of sums over the units that hand something on, from the j-th unit of the next layer on.
template <int G, int V>
void hand_on_block(const Layer &above, int j, int n, const int *unit, const double *from, ptrdiff_t p, double *to) {
    const ptrdiff_t q = above.stride;
    const double *const kernel = above.kernel + j;
    Vec sum[G][V];
    JAXGEOM_UNROLL for (int g = 0; g < G; g++)
        JAXGEOM_UNROLL for (int v = 0; v < V; v++) sum[g][v] = all(0);
    for (int s = 0; s < n; s++) {
        const double *row = kernel + unit[s] * q, *factor = from + unit[s];
        Vec k[V];
        JAXGEOM_UNROLL for (int v = 0; v < V; v++) k[v] = load(row + v * kLanes);
        JAXGEOM_UNROLL for (int g = 0; g < G; g++) {
            const Vec f = all(factor[g * p]);
            JAXGEOM_UNROLL for (int v = 0; v < V; v++) sum[g][v] += k[v] * f;
        }
    }
    JAXGEOM_UNROLL for (int g = 0; g < G; g++)
        JAXGEOM_UNROLL for (int v = 0; v < V; v++) store(to + g * q + j + v * kLanes, sum[g][v]);
}
#undef JAXGEOM_UNROLL
template <int G>
void hand_on_rows(const Layer &above, int n, const int *unit, const double *from, ptrdiff_t p, double *to) {
    constexpr int V = kLanes == 8 ? 3 : 2;  // as registers allow
    int j = 0;
    for (; j + V * kLanes <= above.stride; j += V * kLanes) hand_on_block<G, V>(above, j, n, unit, from, p, to);
    if (above.stride - j == 2 * kLanes) hand_on_block<G, 2>(above, j, n, unit, from, p, to);
    else if (above.stride > j) hand_on_block<G, 1>(above, j, n, unit, from, p, to);
}
// The same of any number of rows.
inline void hand_on(const Layer &above, int n, const int *unit, int rows, const double *from, ptrdiff_t p, double *to) {
    int r = 0;
    for (; r + 4 <= rows; r += 4) hand_on_rows<4>(above, n, unit, from + r * p, p, to + r * above.stride);
    from += r * p, to += r * above.stride, r = rows - r;
    if (r == 3) hand_on_rows<3>(above, n, unit, from, p, to);
    else if (r == 2) hand_on_rows<2>(above, n, unit, from, p, to);
    else if (r == 1) hand_on_rows<1>(above, n, unit, from, p, to);
}

struct Bounds {  // of the units of a layer on a cell: functions a, b, c and then symbols, each of the layer's stride
    int num;
    double *rows, *radius, *low, *high;
};

// Between what numbers the units are, and which are certainly positive or may change sign; false if numbers are too large.
// Radii become those of what units hand on.
inline bool find_range(const Layer &layer, double rounding, int nv, const Vertex *v, const Bounds &bounds, uint64_t *above, uint64_t *open) {
    const int p = layer.stride;
    const double *a = bounds.rows, *b = a + p, *c = b + p;
    double e = 0;
    for (int i = 0; i < nv; i++) e = std::max(e, v[i].e);
    Four sizes{};
    for (int first = 0; first < layer.out; first += 64) {
        const int num = std::min(64, layer.out - first);
        uint64_t positive = 0, negative = 0;
        for (int shift = 0; shift < num; shift += kLanes) {
            const int j = first + shift;
            const Vec ja = load(a + j), jb = load(b + j), jc = load(c + j);
            Vec high = ja * v[0].x + (jb * v[0].y + jc), low = high, unknown = all(0);
            for (int i = 1; i < nv; i++) {
                const Vec z = ja * v[i].x + (jb * v[i].y + jc);
                high = larger(z, high), low = smaller(z, low);
            }
            for (int r = 3; r < bounds.num; r++) unknown += magnitude(load(bounds.rows + r * p + j));
            const Vec size = magnitude(ja) + magnitude(jb) + magnitude(jc), radius = load(bounds.radius + j);
            const Vec tolerance = (radius + unknown) * (1 + 1e-9) + size * e, own = radius + (size + unknown) * rounding;
            low -= tolerance, high += tolerance;
            store(bounds.low + j, low), store(bounds.high + j, high), store(bounds.radius + j, own);
            positive |= uint64_t(sign_bits(all(0) - low)) << shift, negative |= uint64_t(sign_bits(high)) << shift;
            add_to(sizes, size + unknown + own);
        }
        const uint64_t valid = ~uint64_t(0) >> (64 - num);
        above[first >> 6] = positive & valid, open[first >> 6] = valid & ~positive & ~negative;
    }
    return total(sizes) < 1e140;
}

// Whether a unit that may cut is among these.
inline bool may_cut(const Layer &layer, const uint64_t *open) {
    for (int i = 0; i < layer.num_candidates; i++) {
        const int unit = layer.candidates[i];
        if (open[unit >> 6] >> (unit & 63) & 1) return true;
    }
    return false;
}

// Behind which layer no unit changes sign on a bounded cell, of the layers from l up to `end`; `end` if that is not known.
// functions: of layer l, with the bounds of their errors.
inline int end_on_cell(const Network &net, int l, int end, int nv, const Vertex *v, const double *functions, Arena &arena) {
    const auto mark = arena.mark();
    const auto take = [&](int p) {
        double *rows = arena.take<double>((6 + kSymbols) * p), *rest = rows + (3 + kSymbols) * p;
        return Bounds{3, rows, rest, rest + p, rest + 2 * p};
    };
    int found = l + 1, p = net.layers[l].stride;
    Bounds own = take(p);
    std::memcpy(own.rows, functions, sizeof(double) * 3 * p);
    std::memcpy(own.radius, functions + 3 * p, sizeof(double) * p);
    for (int m = l; m < end; m++) {
        const Layer &layer = net.layers[m], &above = net.layers[std::min(m + 1, end - 1)];
        const int words = (layer.out + 63) >> 6, q = above.stride;
        const double rounding = (above.terms + 6) * kEps;
        uint64_t *positive = arena.take<uint64_t>(2 * words), *open = positive + words;
        const bool is_safe = find_range(layer, rounding, nv, v, own, positive, open);
        if (is_safe && may_cut(layer, open)) found = m + 1;
        if (is_safe && m + 1 == end) break;
        int *unit = arena.take<int>(p), num = 0, symbol[kSymbols], num_symbols = 0;
        double half[kSymbols];
        bool is_known = is_safe;
        const auto scale = [&](int i, double factor) {
            for (int r = 0; r < own.num; r++) own.rows[r * p + i] *= factor;
            own.radius[i] *= std::fabs(factor);
        };
        for_bits(positive, words, [&](int i) { unit[num++] = i; });
        for_bits(open, words, [&](int i) {
            const double slope = layer.slope[i], low = own.low[i], high = own.high[i];
            unit[num++] = i;
            if (slope == 1) return;
            is_known = is_known && own.num + num_symbols < 3 + kSymbols;
            if (!is_known) return;
            const double factor = (high - slope * low) / (high - low), shift = 0.5 * (slope - factor) * low;
            scale(i, factor);
            own.rows[2 * p + i] += shift;
            own.radius[i] += (rounding + 8 * kEps) * (1 + std::fabs(slope)) * (high - low);
            symbol[num_symbols] = i, half[num_symbols++] = std::fabs(shift);
        });
        if (!is_known) {
            found = end;
            break;
        }
        for (int i = 0; i < layer.out && (layer.has_slopes || layer.num_linear); i++) {
            if (layer.slope[i] == 0 || ((positive[i >> 6] | open[i >> 6]) >> (i & 63) & 1)) continue;
            scale(i, layer.slope[i]);
            unit[num++] = i;
        }
        Bounds next = take(q);
        hand_on(above, num, unit, own.num, own.rows, p, next.rows);
        for (int j = 0; j < q; j += kLanes) {
            Vec sum = load(above.bias_error + j) + kFloor;
            for (int s = 0; s < num; s++) sum += magnitude(load(above.kernel + static_cast<size_t>(unit[s]) * q + j)) * own.radius[unit[s]];
            store(next.radius + j, sum * (1 + 1e-9));
            store(next.rows + 2 * q + j, load(next.rows + 2 * q + j) + load(above.bias + j));
            for (int s = 0; s < num_symbols; s++) store(next.rows + (own.num + s) * q + j, load(above.kernel + static_cast<size_t>(symbol[s]) * q + j) * half[s]);
        }
        next.num = own.num + num_symbols;
        own = next, p = q;
    }
    arena.release(mark);
    return found;
}

}  // namespace jaxgeom
