// A network on a cell: the few units that may change sign there, and how they follow from one another.
//
// A unit that certainly keeps its sign on a cell hands on what it is, or nothing. One that may change sign there, with
// values z between low < 0 and high > 0, hands on slope z + shift + d, where slope z + shift is the line in the middle
// between its chord and the parallel through zero, and d is what is left: (1 - slope) z - shift where it is positive and
// -slope z - shift elsewhere, at most `half` in magnitude. That is no approximation, but the definition of d. So each unit
// further up is a x + b y + c plus a sum of weights times the d of units below, and what all layers do to the cell's parts
// follows from these units alone, however wide and deep the network is: a cell that is on one side of a unit adds that
// unit's d, which is affine there, to those above.
//
// Bounds of errors. Of a unit, t bounds |da| + |db| + |dc| + sum |dk| w, where dk are the errors of the weights of the d of
// units below, and w bounds the sizes |a| + |b| + |c| of these d on any part of the cell: d is one of two multiples, at
// most 1, of a function whose size is at most that of its own a, b, c and, for each unit below, |k| w; and the shift. So
// when all units below have their signs, t bounds what the errors of a, b, c and of all k do to the coefficients. It goes
// through a layer by the absolute weights of the units that hand something on, and each sum of n products rounds by at most
// (n + 2) eps / 2 of the sizes of what is added up (below, as many more as rounding in bounds could take). What the errors
// of the d themselves do, and rounding in sums of them, is added as they are (add_deviations).
#pragma once

#include "tails.h"

namespace jaxgeom {

constexpr int kReduced = 64;  // units at most: one word

inline double furthest(int nv, const Vertex *v) {
    double e = v[0].e;
    for (int i = 1; i < nv; i++) e = std::max(e, v[i].e);
    return e;
}
// Whether all units are either linear, or zero where they are not positive, and none is zero everywhere.
inline bool can_reduce(const Network &net) {
    if (net.has_runs || net.is_sparse || net.num_layers < 2) return false;
    for (int l = 0; l < net.num_layers; l++)
        if (!net.layers[l].is_plain || net.layers[l].num_candidates + net.layers[l].num_linear != net.layers[l].out) return false;
    return true;
}

struct Reduced {
    int level;                     // of how many networks it was made, one from the other
    int num, num_groups, base;     // units, and layers of these; the lowest of them is a layer whose units are decided in part
    int first[kReduced + 1], layer[kReduced];  // of each group
    int unit[kReduced];            // its number in its layer
    double slope[kReduced + kLanes], shift[kReduced + kLanes];
    int order[kReduced];           // 0, 1, 2, ...
    double *functions;             // a, b, c and t
    double *kernel;                // what a unit's d adds to those of later groups; (num, kReduced)
    const Entry *entry;            // of the lowest layer
    uint64_t *patterns;            // of the layers from there on, one after the other: units that are certainly active
    // Or, where it was made from a reduced network of a larger cell: that one, which of its units are active, and which are these.
    const Reduced *from;
    uint64_t from_on;
    int origin[kReduced];
};

// What units at hand add to those of later groups, once they have signs: their d.
struct Deviations {
    int num = 0, unit[kReduced];
    alignas(64) double a[kReduced + kLanes], b[kReduced + kLanes], c[kReduced + kLanes], e[kReduced + kLanes];
};
constexpr int kLevels = 3;  // of networks that are made from others, one after the other
constexpr double kRoundsReduced = ((kLevels + 1) * kReduced + 12) * (0.5 * kEps);
// The d of as many units as fit into a vector, from place i on.
inline void deviate(Vec share, Vec shift, Vec a, Vec b, Vec c, Vec t, int i, Deviations &to) {
    a *= share, b *= share, c *= share;
    store_at(to.a + i, a), store_at(to.b + i, b), store_at(to.c + i, c - shift);
    store_at(to.e + i, 1.0001 * (magnitude(share) * t + kRoundsReduced * (magnitude(a) + magnitude(b) + magnitude(c) + 2 * magnitude(shift))));
}
inline void deviate(const Reduced &net, int u, bool is_on, const double *f, int stride, Deviations &to) {
    const double share = is_on ? 1 - net.slope[u] : -net.slope[u], shift = net.shift[u], size = std::fabs(share);
    const double a = share * f[0], b = share * f[stride], c = share * f[2 * stride];
    to.unit[to.num] = u, to.a[to.num] = a, to.b[to.num] = b, to.c[to.num] = c - shift;
    to.e[to.num++] = 1.0001 * (size * f[3 * stride] + kRoundsReduced * (std::fabs(a) + std::fabs(b) + std::fabs(c) + 2 * std::fabs(shift)));
}
// Of each unit of a later group, at most kReduced products are added up: t has kRoundsReduced of its own size from the
// beginning, and gets that of each product.
inline void add_deviations(const Reduced &net, int group, int num, const int *unit, const Deviations &all_of, double *functions) {
    for (int j = net.first[group + 1] & -kLanes; j < net.num; j += kLanes) {
        double *to = functions + j;
        Vec a = load(to), b = load(to + kReduced), c = load(to + 2 * kReduced), t = load(to + 3 * kReduced);
        const double *kernel = net.kernel + j;
        for (int i = 0; i < num; i++) {
            const Vec k = load(kernel + unit[i] * kReduced);
            a += k * all_of.a[i], b += k * all_of.b[i], c += k * all_of.c[i], t += magnitude(k) * all_of.e[i];
        }
        store(to, a), store(to + kReduced, b), store(to + 2 * kReduced, c), store(to + 3 * kReduced, t);
    }
}
// The sides of a group's units on a cell, and the d of those that are not open, each at its place in the group.
inline Sides sides_of_group(const Reduced &net, int group, int nv, const Vertex *v, double far, const double *functions, uint64_t *bits, Deviations &to) {
    const int first = net.first[group], num = net.first[group + 1] - first;
    uint64_t above = 0, below = 0, crossing = 0;
    for (int i = 0; i < num; i += kLanes) {
        const double *f = functions + first + i;
        const Vec a = load_from(f), b = load_from(f + kReduced), c = load_from(f + 2 * kReduced), t = load_from(f + 3 * kReduced);
        Vec high = a * v[0].x + (b * v[0].y + c), low = high;
        for (int k = 1; k < nv; k++) {
            const Vec z = a * v[k].x + (b * v[k].y + c);
            high = larger(z, high), low = smaller(z, low);
        }
        const Vec tolerance = t + (magnitude(a) + magnitude(b) + magnitude(c)) * far;
        above |= uint64_t(sign_bits(tolerance - low)) << i, below |= uint64_t(sign_bits(high + tolerance)) << i;
        crossing |= uint64_t(sign_bits(tolerance - high) & sign_bits(low + tolerance)) << i;
        const Vec slope = load_from(net.slope + first + i);
        deviate(low > tolerance ? 1 - slope : -slope, load_from(net.shift + first + i), a, b, c, t, i, to);
    }
    const uint64_t valid = ~uint64_t(0) >> (64 - num);
    bits[0] = above & valid, bits[1] = crossing & valid, bits[2] = valid & ~above & ~below;
    return {bits, bits + 1, bits + 2};
}

// Its units, as they are found.
struct Growing {
    Reduced &out;
    int limit;
    double half[kReduced], weight[kReduced];  // bounds of the d: of their values on the cell, of their coefficients
    double of_weights[kReduced];              // and what those of units below add to a unit's size
    // The weights of a group's units, zero where vectors begin before later units do.
    void close_group() {
        if (!out.num_groups) return;
        const int first = out.first[out.num_groups - 1], begin = first & -kLanes;
        for (int u = first; u < out.num; u++) std::fill(out.kernel + u * kReduced + begin, out.kernel + u * kReduced + padded(out.num), 0.0);
    }
    void finish() {  // also where they end behind the last one
        close_group();
        for (int u = 0; u < out.num; u++) std::fill(out.kernel + u * kReduced + out.num, out.kernel + u * kReduced + padded(out.num), 0.0);
        for (int k = 0; k < 4; k++) std::fill(out.functions + k * kReduced + out.num, out.functions + k * kReduced + padded(out.num), 0.0);
    }
    void begin_group(int l) { close_group(), out.first[out.num_groups] = out.num, out.layer[out.num_groups++] = l, out.first[out.num_groups] = out.num; }
    // A unit that may change sign, with these values on the cell; its number, or -1. of_those: what the d of units below add to
    // its size.
    int add(int unit, double a, double b, double c, double t, double of_those, double low, double high) {
        const int u = out.num;
        if (u == limit) return -1;
        const double slope = high / (high - low), shift = -0.5 * slope * low;
        double *f = out.functions + u;
        f[0] = a, f[kReduced] = b, f[2 * kReduced] = c, f[3 * kReduced] = t;
        out.unit[u] = unit, out.order[u] = u, out.slope[u] = slope, out.shift[u] = shift;
        half[u] = std::max({std::fabs(slope * low + shift), std::fabs((1 - slope) * high - shift), std::fabs(shift)}) * (1 + 1e-9) + 8 * kEps * (high - low);
        weight[u] = 1.0001 * (std::fabs(a) + std::fabs(b) + std::fabs(c) + of_those + t + std::fabs(shift)) + kFloor, of_weights[u] = of_those;
        out.first[out.num_groups] = ++out.num;
        return u;
    }
};

// What a layer's units are on a cell: functions a, b, c and the weights of the d of units below, each of the layer's stride.
class Reducing : Growing {
  public:
    Reducing(const Network &net, const Entry &entry, int nv, const Vertex *v, Arena &arena, Reduced &out) : Growing{out, 0, {}, {}, {}}, net(net), nv(nv), v(v), arena(arena) {
        out.num = out.num_groups = 0, out.base = entry.layer, out.entry = &entry, out.from = nullptr;
        far = furthest(nv, v);
    }
    // units: of the lowest layer, those without a sign on the cell; functions: the sums of what the others hand to the next
    // one; delta, squares: what belongs to these sums (cells.h). False if there are more than `most`, or too little is known.
    bool run(const Units &units, const uint64_t *active, const double *functions, bool is_empty, double delta, double squares, int end, int most) {
        const int l = out.base;
        limit = most;
        if (units.num > limit) return false;
        pattern = out.patterns;
        const int words = (net.layers[l].out + 63) >> 6;
        std::copy_n(active, words, pattern), pattern += words;
        begin_group(l);
        const Layer &layer = net.layers[l + 1];
        p = layer.stride;
        const int most_units = widest(l, end);
        rows = arena.take<double>((3 + limit) * most_units), other = arena.take<double>((3 + limit) * most_units);
        radius = arena.take<double>(most_units), other_radius = arena.take<double>(most_units);
        double *own_radius = other_radius;
        if (is_empty) std::fill_n(rows, 2 * p, 0.0), std::copy_n(layer.bias, p, rows + 2 * p);
        else std::copy_n(functions, 3 * p, rows);
        std::fill_n(own_radius, p, 0.0);
        for (int i = 0; i < units.num; i++) {
            const double *f = units.rows + i;
            const int s = units.stride;
            const double a = f[0], b = f[s], c = f[2 * s], t = f[3 * s], size = std::fabs(a) + std::fabs(b) + std::fabs(c);
            double high = value<false>(a, b, c, v[0]), low = high;
            for (int k = 1; k < nv; k++) {
                const double z = value<false>(a, b, c, v[k]);
                high = std::max(high, z), low = std::min(low, z);
            }
            const double tolerance = t + size * far;
            const int u = add(units.unit[i], a, b, c, t, 0, low - tolerance, high + tolerance);
            if (u < 0) return false;
            const double slope = out.slope[u], shift = out.shift[u], x = slope * a, y = slope * b, z = slope * c + shift;
            squares += x * x + y * y + z * z;
            const double of_rounding = 4 * kEps * (size + std::fabs(shift));
            const double *weights = layer.kernel + static_cast<size_t>(units.unit[i]) * p;
            for (int j = 0; j < p; j += kLanes) {
                const Vec k = load(weights + j);
                store(rows + j, load(rows + j) + k * x), store(rows + p + j, load(rows + p + j) + k * y), store(rows + 2 * p + j, load(rows + 2 * p + j) + k * z);
                store(rows + (3 + u) * p + j, k);
                store(own_radius + j, load(own_radius + j) + magnitude(k) * of_rounding);
            }
        }
        // as cells.h has them; what units without a sign hand on is at most as wrong as they are
        const double g = (layer.terms + 8) * kEps, h = g * std::sqrt(3 * squares) * 1.0001 + kFloor;
        if (!(squares < 1e280 && delta < 1e280)) return false;
        for (int j = 0; j < p; j += kLanes) store(radius + j, load(layer.column_norm + j) * (delta + h) * 1.0001 + load(layer.bias_error + j) * 1.5 + load(own_radius + j) * 1.0001 + kFloor);
        for (int m = l + 1; m < end; m++)
            if (!pass(m, m + 1 < end)) return false;
        finish();
        for (int u = 0; u < out.num; u++) {  // of the sums that follow, of functions and of weights
            double *f = out.functions + u;
            f[3 * kReduced] = 1.0001 * (f[3 * kReduced] + kRoundsReduced * (std::fabs(f[0]) + std::fabs(f[kReduced]) + std::fabs(f[2 * kReduced]) + of_weights[u]));
        }
        return true;
    }

  private:
    const Network &net;
    const int nv;
    const Vertex *v;
    Arena &arena;
    double far = 0;
    double *rows = nullptr, *radius = nullptr, *other = nullptr, *other_radius = nullptr;
    uint64_t *pattern = nullptr;
    int p = 0;

    int widest(int l, int end) const {
        int most = 0;
        for (int m = l; m < end; m++) most = std::max(most, net.layers[m].stride);
        return most;
    }
    // A layer: its units that may change sign, and the functions of the next one.
    bool pass(int m, bool goes_on) {
        const Layer &layer = net.layers[m], &above = net.layers[goes_on ? m + 1 : m];
        const int num_below = out.num, q = above.stride;
        const double rounding = (above.terms + 8) * kEps;
        const double *a = rows, *b = a + p, *c = b + p;
        const auto mark = arena.mark();
        int *unit = arena.take<int>(p), num = 0;
        double *of_unit = arena.take<double>(p), *lows = arena.take<double>(p), *highs = arena.take<double>(p), *of_weights = arena.take<double>(p);
        Four sizes{}, errors{}, widths{};
        bool has_group = false;
        for (int first = 0; first < layer.out; first += 64) {
            const int count = std::min(64, layer.out - first);
            uint64_t positive = 0, negative = 0;
            for (int shift = 0; shift < count; shift += kLanes) {
                const int j = first + shift;
                const Vec ja = load(a + j), jb = load(b + j), jc = load(c + j);
                Vec high = ja * v[0].x + (jb * v[0].y + jc), low = high, unknown = all(0), coefficients = all(0);
                for (int i = 1; i < nv; i++) {
                    const Vec z = ja * v[i].x + (jb * v[i].y + jc);
                    high = larger(z, high), low = smaller(z, low);
                }
                for (int s = 0; s < num_below; s++) {
                    const Vec k = magnitude(load(rows + (3 + s) * p + j));
                    unknown += k * half[s], coefficients += k * weight[s];
                }
                const Vec size = magnitude(ja) + magnitude(jb) + magnitude(jc), own = load(radius + j);
                const Vec tolerance = (own + unknown) * (1 + 1e-9) + size * far;
                low -= tolerance, high += tolerance;
                store(lows + j, low), store(highs + j, high), store(of_weights + j, coefficients), store(of_unit + j, own + (size + coefficients) * rounding);
                positive |= uint64_t(sign_bits(all(0) - low)) << shift, negative |= uint64_t(sign_bits(high)) << shift;
                add_to(sizes, size + coefficients + own);
            }
            const uint64_t valid = ~uint64_t(0) >> (64 - count);
            pattern[first >> 6] = positive & valid;
            for (uint64_t bits = valid & ~negative; bits; bits &= bits - 1) {
                const int j = first + __builtin_ctzll(bits);
                unit[num++] = j;
                if ((positive >> (j - first) & 1) || layer.slope[j] == 1) continue;
                if (!has_group) begin_group(m), has_group = true;
                if (out.num == limit) return false;
                for (int s = 0; s < num_below; s++) out.kernel[s * kReduced + out.num] = rows[(3 + s) * p + j];
                const int u = add(j, a[j], b[j], c[j], radius[j], of_weights[j], lows[j], highs[j]);
                if (u < 0) return false;
                errors += Four{radius[j], 0, 0, 0}, widths += Four{highs[j] - lows[j], 0, 0, 0};
                const double slope = out.slope[u];
                for (int r = 0; r < 3 + num_below; r++) rows[r * p + j] *= slope;
                rows[2 * p + j] += out.shift[u];
                of_unit[j] += 4 * kEps * (weight[u] + std::fabs(out.shift[u])) + rounding * std::fabs(out.shift[u]);
            }
            if (layer.num_linear)
                for (uint64_t bits = valid & negative; bits; bits &= bits - 1)
                    if (const int j = first + __builtin_ctzll(bits); layer.slope[j] == 1) unit[num++] = j;
        }
        pattern += (layer.out + 63) >> 6;
        if (!(total(sizes) < 1e140) || total(errors) > 0x1p-10 * total(widths)) return false;
        if (!goes_on) return true;
        hand_on(above, num, unit, 3 + num_below, rows, p, other);
        for (int j = 0; j < q; j += kLanes) {
            Vec sum = load(above.bias_error + j) * 1.5 + kFloor;
            for (int i = 0; i < num; i++) sum += magnitude(load(above.kernel + static_cast<size_t>(unit[i]) * q + j)) * of_unit[unit[i]];
            store(other_radius + j, sum * (1 + 1e-9));
            store(other + 2 * q + j, load(other + 2 * q + j) + load(above.bias + j));
            for (int s = num_below; s < out.num; s++) store(other + (3 + s) * q + j, load(above.kernel + static_cast<size_t>(out.unit[s]) * q + j));
        }
        arena.release(mark);
        std::swap(rows, other), std::swap(radius, other_radius), p = q;
        return true;
    }
};

// The reduced network of a part of a cell, on which fewer units may change sign, from that of the cell. units: those of a group
// that have no sign there, with their functions; functions: of the units of later groups; on: which units below are active.
// A unit's d is a multiple of what it is now, and a shift, and where it may change sign also its new d. Bounds of errors
// are as before: t has what the errors of weights do, as the d of units below are bounded by the same w on this part. False
// if numbers are too large, as they become where it is not known where a vertex is: then nothing is known.
inline bool reduce_again(const Reduced &from, int group, int nv, const Vertex *v, double far, const Units &units, const double *functions, uint64_t on, Arena &arena, Reduced &out) {
    Growing growing{out, kReduced, {}, {}, {}};
    out.num = out.num_groups = 0, out.base = from.layer[group], out.entry = nullptr, out.patterns = nullptr, out.from = &from, out.from_on = on;
    const auto mark = arena.mark();
    double *f = arena.take<double>(4 * kReduced + kLanes), *weights = arena.take<double>(kReduced * kReduced);
    const int begin = from.first[group + 1] & -kLanes, end = padded(from.num);
    for (int k = 0; k < 4; k++)
        for (int j = begin; j < end; j += kLanes) store(f + k * kReduced + j, load(functions + k * kReduced + j));
    // What the d of a group's units are now: multiples of their functions and of the weights in these, and shifts.
    int num_given = 0, *given = arena.take<int>(kReduced);
    double *factors = arena.take<double>((kReduced + 4) * kReduced), *errors = factors + 3 * kReduced;  // a, b, c, errors, weights
    const auto give = [&](int u, double factor, double shift, double was, double a, double b, double c, double t, double of_weights, int num_below) {
        const double by = std::fabs(factor), size = std::fabs(a) + std::fabs(b) + std::fabs(c) + of_weights;
        double *to = factors + num_given;
        to[0] = factor * a, to[kReduced] = factor * b, to[2 * kReduced] = factor * c + shift;
        to[3 * kReduced] = 1.0001 * (by * t + kRoundsReduced * (by * size + 2 * (std::fabs(shift) + was)));
        for (int s = 0; s < num_below; s++) to[(4 + s) * kReduced] = factor * weights[s * kReduced + u];
        given[num_given++] = u;
    };
    // That, added to the units of later groups.
    const auto hand_on = [&](int g, int num_below) {
        for (int j = from.first[g + 1] & -kLanes; j < end; j += kLanes) {
            const double *kernel = from.kernel + j;
            double *to = f + j;
            Vec a = load(to), b = load(to + kReduced), c = load(to + 2 * kReduced), t = load(to + 3 * kReduced);
            for (int i = 0; i < num_given; i++) {
                const Vec k = load(kernel + given[i] * kReduced);
                a += k * factors[i], b += k * factors[kReduced + i], c += k * factors[2 * kReduced + i], t += magnitude(k) * errors[i];
            }
            store(to, a), store(to + kReduced, b), store(to + 2 * kReduced, c), store(to + 3 * kReduced, t);
            for (int s = 0; s < num_below; s++) {
                const double *by = factors + (4 + s) * kReduced;
                Vec sum = load(weights + s * kReduced + j);
                for (int i = 0; i < num_given; i++) sum += load(kernel + given[i] * kReduced) * by[i];
                store(weights + s * kReduced + j, sum);
            }
        }
        num_given = 0;
    };
    const auto begin_row = [&](int u, int g, int s) {
        for (int j = from.first[g + 1] & -kLanes; j < end; j += kLanes) store(weights + s * kReduced + j, load(from.kernel + u * kReduced + j));
    };
    growing.begin_group(from.layer[group]);
    bool is_safe = true;
    for (int i = 0; i < units.num; i++) {
        const int u = units.unit[i];
        const double *row = units.rows + i;
        const double a = row[0], b = row[units.stride], c = row[2 * units.stride], t = row[3 * units.stride];
        double high = value<false>(a, b, c, v[0]), low = high;
        for (int k = 1; k < nv; k++) {
            const double z = value<false>(a, b, c, v[k]);
            high = std::max(high, z), low = std::min(low, z);
        }
        const double tolerance = t + (std::fabs(a) + std::fabs(b) + std::fabs(c)) * far;
        const int own = growing.add(from.unit[u], a, b, c, t, 0, low - tolerance, high + tolerance);
        out.origin[own] = u;
        give(u, out.slope[own] - from.slope[u], out.shift[own] - from.shift[u], std::fabs(from.shift[u]) + std::fabs(out.shift[own]), a, b, c, t, 0, 0);
        begin_row(u, group, own);
    }
    hand_on(group, 0);
    for (int g = group + 1; g < from.num_groups; g++) {
        const int first = from.first[g], num = from.first[g + 1] - first, num_below = out.num;
        bool has_group = false;
        for (int i = 0; i < num; i += kLanes) {
            const double *at = f + first + i;
            const Vec a = load_from(at), b = load_from(at + kReduced), c = load_from(at + 2 * kReduced), t = load_from(at + 3 * kReduced);
            Vec high = a * v[0].x + (b * v[0].y + c), low = high, unknown = all(0), of_weights = all(0);
            for (int k = 1; k < nv; k++) {
                const Vec z = a * v[k].x + (b * v[k].y + c);
                high = larger(z, high), low = smaller(z, low);
            }
            for (int s = 0; s < num_below; s++) {
                const Vec k = magnitude(load_from(weights + s * kReduced + first + i));
                unknown += k * growing.half[s], of_weights += k * growing.weight[s];
            }
            const Vec tolerance = (t + unknown) * (1 + 1e-9) + (magnitude(a) + magnitude(b) + magnitude(c)) * far;
            low -= tolerance, high += tolerance;
            const unsigned positive = sign_bits(all(0) - low), negative = sign_bits(high);
            for (int lane = 0; lane < kLanes && i + lane < num; lane++) {
                is_safe = is_safe && std::fabs(a[lane]) + std::fabs(b[lane]) + std::fabs(c[lane]) + t[lane] + of_weights[lane] < 1e140;
                const int u = first + i + lane;
                const bool is_on = positive >> lane & 1;
                double factor = is_on ? 1 - from.slope[u] : -from.slope[u], shift = -from.shift[u], was = 0;
                if (!is_on && !(negative >> lane & 1)) {
                    if (!has_group) growing.begin_group(from.layer[g]), has_group = true;
                    for (int s = 0; s < num_below; s++) out.kernel[s * kReduced + out.num] = weights[s * kReduced + u];
                    const int own = growing.add(from.unit[u], a[lane], b[lane], c[lane], t[lane], of_weights[lane], low[lane], high[lane]);
                    out.origin[own] = u;
                    factor = out.slope[own] - from.slope[u], shift = out.shift[own] - from.shift[u], was = std::fabs(from.shift[u]) + std::fabs(out.shift[own]);
                } else if (is_on) {
                    out.from_on |= uint64_t(1) << u;
                }
                if (g + 1 < from.num_groups) give(u, factor, shift, was, a[lane], b[lane], c[lane], t[lane], of_weights[lane], num_below);
            }
        }
        if (!is_safe || g + 1 == from.num_groups) break;
        hand_on(g, num_below);
        for (int s = num_below; s < out.num; s++) begin_row(out.origin[s], g, s);
    }
    growing.finish();
    arena.release(mark);
    return is_safe;
}

}  // namespace jaxgeom
