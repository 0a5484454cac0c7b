// The cells of a network in the plane, one after the other: a recursion that cuts a convex polygon by one unit after the
// other, layer by layer. A cell knows the affine functions of the current layer's units on it; it is cut by a unit that
// changes sign on it, and each half goes on with the units that may still change sign there.
//
// Signs are decided in float64 where they are certain, and exactly (exact_signs.h) where they are not.
//
// Bounds of errors. On a cell, the pre-activations are a x + b y + c w with vectors a, b, c over the units; points are
// homogeneous with entries of at most 1, so that w = 1 on bounded domains and w = 0 at infinity. delta bounds
// |da| + |db| + |dc| (Euclidean lengths over the units): it follows from that of the layer before by the spectral norm
// of the kernel and by the rounding of the sums. A unit's own bound t follows by the length of its column. Edges know
// the unit normal n of their line, computed from such functions: dn bounds its distance from the true one. A computed
// vertex p has residuals |n . p| against both of its lines, and so lies within e = (sum of residuals) / sine of the true
// one. The sign of a x + b y + c w at p is certain if it exceeds t + (|a| + |b| + |c|) e; e is at least 8 kEps, which is
// more than rounding in this sum takes.
#pragma once

#include <atomic>

#include "builder.h"
#include "crossings.h"
#include "reduced_cells.h"
#include "sums.h"

namespace jaxgeom {

// From which share of the gradients on errors are too large.
constexpr double kBlurred = 0x1p-8, kRounded = 0x1p-36;
constexpr int kLookedUp = 4;  // undecided units, from which on looking up what is known of vertices pays

struct Next {  // what is known of the next layer on a cell, as the units of this one are decided
    double *functions;  // sums of what has been added so far; null behind the last layer
    uint64_t *active;   // the units of this layer that are
    double delta, squares;
    bool is_empty;      // nothing has been added, not even biases
    int end;            // behind the last layer that may cut the cell
    int most = kAsked;  // undecided units, from which down it is asked what network remains on the cell (reduced_cells.h)
};

template <bool Plane, bool Build>
struct Cutter {
    const Network &net;
    const Domain &domain;
    Arena &arena;
    const std::atomic<int> *stop;
    Tally tally{};
    ExactSigns exact{net, domain, Build};
    SharpSigns sharp{net, domain, arena, Build};
    Builder<Plane> builder{net, arena, exact, sharp};
    std::vector<Part> *parts = nullptr;      // of the complex, one for each subtree
    std::atomic<uint8_t> *claims = nullptr;  // subtrees that threads share
    Share *share = nullptr;  // where threads share the lines of the one cell of a single layer
    int split_level = 0, level = 0, number = 0;
    ReducedCells<Cutter> reduced{*this, net, arena, exact};
    const bool is_reducible = !Plane && !Build && can_reduce(net);
    int64_t num_asked_about = 0, num_left_out = 0, num_waived = 0;  // layers above cells; and questions not asked

    int sign_at(const Entry &entry, int unit, double a, double b, double c, double t, const Vertex &v) {
        const double z = value<Plane>(a, b, c, v), tolerance = t + (std::fabs(a) + std::fabs(b) + std::fabs(c)) * v.e;
        if (z > tolerance) return 1;
        if (-z > tolerance) return -1;
        return undecided_sign(entry, unit, v.point);
    }
    int undecided_sign(const Entry &entry, int unit, Point *point) {
        if (!point->known) {  // what is known exactly of a point serves all units
            const int found = sharp.sign(entry, unit, point);
            if (found) return found;
        }
        const int sign = exact.sign(entry, unit, point);
        if (sign == 0) tally.is_degenerate = true;
        return sign;
    }
    // ---- the recursion

    bool is_stopped() const { return stop && stop->load(std::memory_order_relaxed); }
    bool claim() { return !claims || !claims[number++].exchange(1, std::memory_order_relaxed); }

    int64_t leaf(int nv, const Vertex *v) {
        if (!claim()) return 0;
        if (Plane) count_artificial(nv, v);
        return 1;
    }
    void count_artificial(int nv, const Vertex *v) {
        bool has_center = false;
        for (int i = 0; i < nv; i++) {
            const int k = i + 1 < nv ? i + 1 : 0;
            const bool is_center = v[i].point->corner == 0, is_next = v[k].point->corner == 0;
            has_center |= is_center;
            if (v[i].line->is_artificial) {
                tally.artificial++;
                if (is_center || is_next) tally.central_edges++;
            }
        }
        if (has_center) tally.central_cells++;
    }

    // Takes a cell through layers until units cut it. rows: the functions of the first of these layers.
    int64_t enter(int l, int nv, Vertex *v, double *rows, double delta, double squares, const Entry *before, const uint64_t *active, int end) {
        const auto mark = arena.mark();
        const Entry *last = before;
        int64_t n = -1;
        for (; n < 0; l++) {
            if (l == end) { n = leaf(nv, v); break; }
            const Layer &layer = net.layers[l];
            Entry &entry = *arena.take<Entry>(1);
            new (&entry) Entry{last, l, rows, active, nullptr, sharp.place_of_rows(layer.stride)};
            last = &entry;
            if (Build && l == net.depth) {
                n = 1;
                if (!claim()) break;
                if (claims) builder.begin_part((*parts)[number - 1], nv, v);
                builder.emit(nv, v, entry, delta, squares);
                if (claims) builder.end_part((*parts)[number - 1]);
                break;
            }
            const int words = (layer.out + 63) >> 6;
            const Sides sides = take_sides(words);
            Units units;
            Next next{nullptr, arena.take<uint64_t>(words), delta, squares, false, end};
            const bool is_open = find_candidates(entry, nv, v, sides, units, next);
            for (int w = 0; w < words; w++) next.active[w] = 0;
            begin_sums(entry, next);
            settle(entry, nv, v, sides, is_open, units, next);
            if (is_worth_asking(l, end, units.num)) next.end = end_above(l, end, nv, v, rows);
            if (next.end == l + 1) next.functions = nullptr;
            if (units.num) n = halves(entry, nv, v, units, next);
            rows = next.functions, delta = next.delta, squares = next.squares, active = next.active;
        }
        for (; last != before; last = last->before) exact.forget(*last);
        arena.release(mark);
        return n;
    }
    // Whether to ask how far up units change sign on a cell, which takes about as long as one cell's way up there. How many
    // cells profit follows from the lines that cut it. Where less than half of these layers could be left out so far, only
    // every eighth time; but above the subtrees that threads share by the cell alone, so that all number these alike.
    bool is_worth_asking(int l, int end, int num_cuts) {
        if (Plane || Build || is_reducible || net.has_runs || end - l < 3 || num_cuts <= net.layers[l].out / 20) return false;
        return claims || 2 * num_left_out >= num_asked_about - 64 || num_waived++ % 8 == 7;
    }
    int end_above(int l, int end, int nv, const Vertex *v, const double *rows) {
        const int found = end_on_cell(net, l, end, nv, v, rows, arena);
        num_asked_about += end - l - 1, num_left_out += end - found;
        return found;
    }
    // What rounding does to a unit's function at most, relative to the sizes of the products in it. Of n products added to
    // a bias one after the other, in any order, each is rounded once and added to at most n times, by kEps / 2 each: less
    // than (n + 1) kEps / 2 (1 + n kEps) in all, which is less than (n + 2) kEps / 2 for any number of units below 10^7. As
    // many as units below hand something on. Rounding in bounds has room in the norms.
    double rounding_of_sums(const Entry &entry) const {
        const Layer &layer = net.layers[entry.layer];
        if (entry.layer == 0 || !net.layers[entry.layer - 1].is_plain) return (layer.terms + 6) * kEps;
        int n = net.layers[entry.layer - 1].num_linear;
        for (int w = 0; w < (layer.in + 63) >> 6; w++) n += __builtin_popcountll(entry.active[w]);
        return (n + 2) * (0.5 * kEps);
    }
    // The units of a layer that may cut, and their sides on a cell; whether any of these is open. delta and squares of
    // `next` are those of this layer, and become those of the next one.
    bool find_candidates(const Entry &entry, int nv, Vertex *v, const Sides &sides, Units &units, Next &next) {
        const int l = entry.layer;
        const Layer &layer = net.layers[l];
        const int p = layer.stride;
        double *a = const_cast<double *>(entry.rows), *b = a + p, *c = b + p, *t = c + p;
        const double squares = next.squares, delta = next.delta * (l ? net.layers[l - 1].steepest : 1);
        const double g = rounding_of_sums(entry), of_biases = g / ((layer.terms + 6) * kEps), h = l ? g * std::sqrt(3 * squares) * 1.0001 + kFloor : 0;
        const bool is_safe = squares < 1e280 && delta < 1e280;
        for (int j = 0; j < p && (layer.num_candidates || net.has_runs); j += kLanes) {
            if (net.has_runs) store(t + j, 1.0001 * ((l ? load(t + j) : all(0)) + load(layer.bias_error + j)) + kFloor);
            else store(t + j, load(layer.column_norm + j) * (l ? delta + h : 0) + load(layer.bias_error + j) * of_biases + kFloor);
        }
        if (!is_safe)
            for (int j = 0; j < p; j++) a[j] = b[j] = c[j] = 0, t[j] = 1e280;
        bool is_open = find_sides(entry, nv, v, sides, units, next);
        if (is_open && l > 1 && is_safe && entry.sharp && sharp.is_blurred(layer, a, delta + h, kBlurred, kRounded)) {
            sharp.sharpen(entry);
            std::memcpy(a, entry.sharp, sizeof(double) * 3 * p);
            Four size{};
            for (int j = 0; j < p; j += kLanes) {
                const Vec bound = net.has_runs ? load(entry.sharp + 6 * p + j) : load(layer.column_norm + j) * entry.sharp_input + sharp_rounding(layer.in) * magnitude(load(layer.bias + j));
                store(t + j, bound + kFloor);
                add_to(size, load(a + j) * load(a + j) + load(b + j) * load(b + j) + load(c + j) * load(c + j));
            }
            next.delta = entry.sharp_delta + 2 * kEps * std::sqrt(total(size)) + kFloor;
            is_open = find_sides(entry, nv, v, sides, units, next);
        } else {
            next.delta = l ? layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor : kFloor;
        }
        if (net.has_runs) next.delta = kFloor;  // bounds are known unit by unit
        if (!is_safe) next.delta = 1e290;  // nothing is known of these functions, nor of those above
        return is_open;
    }
    bool find_sides(const Entry &entry, int nv, Vertex *v, const Sides &sides, Units &units, Next &next) {
        const Layer &layer = net.layers[entry.layer];
        units = candidates(layer, const_cast<double *>(entry.rows));
        next.squares = 0;
        return sides_on<Plane>(nv, v, units, sides, layer.is_plain && entry.layer + 1 < next.end ? &next.squares : nullptr);
    }
    void begin_sums(const Entry &entry, Next &next) {
        if (entry.layer + 1 == next.end) return;
        const Layer &layer = net.layers[entry.layer], &above = net.layers[entry.layer + 1];
        next.functions = arena.take<double>(4 * above.stride);
        next.is_empty = !net.has_runs;
        if (next.is_empty) return;
        std::memset(next.functions, 0, sizeof(double) * 2 * above.stride);
        std::memcpy(next.functions + 2 * above.stride, above.bias, sizeof(double) * above.stride);
        if (net.has_runs) std::memset(next.functions + 3 * above.stride, 0, sizeof(double) * above.stride);
        for (int i = 0; i < layer.num_linear; i++) next.squares += contribute(net, entry, layer.linear[i], 1.0, next.functions);
    }
    Sides take_sides(int words) {
        uint64_t *bits = arena.take<uint64_t>(3 * words);
        return {bits, bits + words, bits + 2 * words};
    }
    // The units of a layer that may cut.
    Units candidates(const Layer &layer, double *rows) {
        const int p = layer.stride, num = layer.num_candidates, stride = padded(num);
        int *unit = const_cast<int *>(layer.candidates);
        if (layer.is_whole) return {num, rows, p, unit};
        double *some = arena.take<double>(4 * stride);
        for (int s = 0; s < 4; s++) {
            for (int i = 0; i < num; i++) some[s * stride + i] = rows[s * p + layer.candidates[i]];
            for (int i = num; i < stride; i++) some[s * stride + i] = 0;
        }
        return {num, some, stride, unit};
    }

    // One unit and its twins, once its sign on the cell is known.
    double decide(const Entry &entry, int unit, bool is_on, double *next, uint64_t *bits) {
        const Layer &layer = net.layers[entry.layer];
        double squares = 0;
        for (int j = unit; j >= 0; j = j == unit ? layer.first_twin[unit] : layer.next_twin[j]) {
            const bool on = is_on == (layer.twin_sign[j] == layer.twin_sign[unit]);
            if (on) bits[j >> 6] |= uint64_t(1) << (j & 63);
            if (next && (on || layer.slope[j] != 0)) squares += contribute(net, entry, j, on ? 1.0 : layer.slope[j], next);
        }
        return squares;
    }

    // Whether a unit changes sign on a cell (0), or is positive (1), negative (-1) or zero (-2) on all of it.
    int side_of_cell(const Entry &entry, int unit, double a, double b, double c, double t, int nv, Vertex *v) {
        int low = 1, high = -1;
        // what is zero by structure, or by exact arithmetic, where that is cheap
        const bool is_zero = a == 0 && b == 0 && c == 0 && ((net.has_runs && t == kFloor && exact.has_no_terms(entry, unit)) || ((net.has_runs || net.is_sparse) && exact.is_zero_row(&entry, unit)));
        if (is_zero) {
            tally.is_degenerate = true;
            return -2;
        }
        for (int i = 0; i < nv; i++) {
            const int s = sign_at(entry, unit, a, b, c, t, v[i]);
            low = std::min(low, s), high = std::max(high, s);
            if (low < 0 && high > 0) return 0;
        }
        if (Plane && (low < 0 || high > 0)) {  // an edge between faces of the domain that runs along the unit's line
            for (int i = 0; i < nv; i++) {
                const int k = i + 1 < nv ? i + 1 : 0;
                if (v[i].line->is_artificial && sign_at(entry, unit, a, b, c, t, v[i]) == 0 && sign_at(entry, unit, a, b, c, t, v[k]) == 0) {
                    v[i].line = relabelled(v[i], entry.layer, unit);
                }
            }
        }
        return high > 0 ? 1 : low < 0 ? -1 : -2;
    }
    // The sides of units at the vertices of which exact arithmetic knows nothing, if many are undecided at the others, as
    // at a point that all lines run through; else null.
    Sides sides_elsewhere(int nv, const Vertex *v, const Units &units, const Sides &sides) {
        int num_undecided = 0, num = 0;
        for (int w = 0; w < (units.num + 63) >> 6; w++) num_undecided += __builtin_popcountll(sides.open[w] & ~sides.crossing[w]);
        if (Plane || num_undecided < kLookedUp) return {nullptr, nullptr, nullptr};
        Vertex *others = arena.take<Vertex>(nv);
        for (int i = 0; i < nv; i++)
            if (!v[i].point->known) others[num++] = v[i];
        if (num == 0 || num == nv) return {nullptr, nullptr, nullptr};
        const Sides found = take_sides((units.num + 63) >> 6);
        sides_on<Plane>(num, others, units, found, nullptr);
        return found;
    }
    // The side of a cell that a unit is on which is certain of it at these vertices.
    int looked_up(const Entry &entry, int unit, bool is_above, double a, double b, double c, double t, int nv, const Vertex *v) {
        const int side = is_above ? 1 : -1;
        bool crosses = false;
        for (int i = 0; i < nv; i++)
            if (v[i].point->known && sign_at(entry, unit, a, b, c, t, v[i]) == -side) crosses = true;
        return crosses ? 0 : side;
    }
    const Line *relabelled(const Vertex &vertex, int l, int unit) {
        Line *line = arena.take<Line>(1);  // released with the frame that looks at the cell
        *line = *vertex.line;
        line->is_artificial = false;
        if (Build) builder.label(vertex.edge, l, unit);
        return line;
    }

    // The cells of half a cell, on which these units may change sign.
    int64_t cut(const Entry &entry, int nv, Vertex *v, Units units, Next &next) {
        const auto mark = arena.mark();
        if (units.num) {
            const Sides sides = take_sides((units.num + 63) >> 6);
            const bool is_open = sides_on<Plane>(nv, v, units, sides, next.functions && net.layers[entry.layer].is_plain ? &next.squares : nullptr);
            settle(entry, nv, v, sides, is_open, units, next);
        }
        const int64_t n = units.num ? halves(entry, nv, v, units, next) : enter(entry.layer + 1, nv, v, next.functions, next.delta, next.squares, &entry, next.active, next.end);
        arena.release(mark);
        return n;
    }
    // Units whose sides are known have their share in the next layer's functions; those that cut are left.
    void settle(const Entry &entry, int nv, Vertex *v, const Sides &sides, bool is_open, Units &units, Next &next) {
        const int l = entry.layer, words = (units.num + 63) >> 6;
        const Layer &layer = net.layers[l];
        const int q = layer.is_whole ? padded(units.num) : layer.stride;
        int *on_unit = nullptr, num_on = 0;
        double *on = nullptr;  // where layers are not plain, times factors
        if (next.functions) {
            on_unit = arena.take<int>(q + kListed);
            if (!layer.is_plain) on = arena.take<double>(4 * q);
        }
        const auto hand_on = [&](int m, double factor) {
            const double *row = entry.rows + m;
            const double a = factor * row[0], b = factor * row[layer.stride], c = factor * row[2 * layer.stride];
            if (on) on[num_on] = a, on[q + num_on] = b, on[2 * q + num_on] = c;
            if (net.has_runs) on[3 * q + num_on] = std::fabs(factor) * row[3 * layer.stride];
            on_unit[num_on++] = m;
            next.squares += a * a + b * b + c * c;
        };
        const auto settle = [&](int j, bool is_on, bool is_zero = false) {
            for (int m = j; m >= 0; m = !layer.has_twins ? -1 : m == j ? layer.first_twin[j] : layer.next_twin[m]) {
                const bool with = is_on == (layer.twin_sign[m] == layer.twin_sign[j]) && !is_zero;
                if (with) next.active[m >> 6] |= uint64_t(1) << (m & 63);
                if (next.functions && (with || layer.slope[m] != 0)) hand_on(m, with ? 1 : layer.slope[m]);
            }
        };
        for (int i = 0; i < layer.num_linear && next.is_empty; i++) hand_on(layer.linear[i], 1);
        if (next.functions && layer.is_plain) {
            const bool is_all = units.num == layer.out;
            const int num_linear = num_on;
            for (int w = 0; w < words; w++) num_on += list_bits(sides.above[w], units.unit + 64 * w, on_unit + num_on);
            for (int w = 0; w < words && is_all; w++) next.active[w] |= sides.above[w];
            for (int s = num_linear; s < num_on && !is_all; s++) next.active[on_unit[s] >> 6] |= uint64_t(1) << (on_unit[s] & 63);
        } else if (next.functions) {
            for_bits(sides.above, words, [&](int i) { settle(units.unit[i], true); });
            for (int i = 0; i < units.num && (layer.has_slopes || layer.has_twins); i++)
                if (!((sides.above[i >> 6] | sides.open[i >> 6]) >> (i & 63) & 1)) settle(units.unit[i], false);
        }
        double *rows = nullptr;  // of the units that cut
        int *kept_unit = nullptr, kept = 0, p = 0;
        if (is_open) {
            int num_open = 0;
            for (int w = 0; w < words; w++) num_open += __builtin_popcountll(sides.open[w]);
            p = padded(num_open), rows = arena.take<double>(4 * p), kept_unit = arena.take<int>(p);
            const Sides elsewhere = sides_elsewhere(nv, v, units, sides);
            for_bits(sides.open, words, [&](int i) {
                const double *row = units.rows + i;
                const int s = units.stride;
                if (!(sides.crossing[i >> 6] >> (i & 63) & 1)) {
                    const bool looks_up = elsewhere.open && !(elsewhere.open[i >> 6] >> (i & 63) & 1);
                    const int side = looks_up ? looked_up(entry, units.unit[i], elsewhere.above[i >> 6] >> (i & 63) & 1, row[0], row[s], row[2 * s], row[3 * s], nv, v)
                                              : side_of_cell(entry, units.unit[i], row[0], row[s], row[2 * s], row[3 * s], nv, v);
                    if (side) return settle(units.unit[i], side > 0, side == -2);
                }
                for (int k = 0; k < 4; k++) rows[k * p + kept] = row[k * s];
                kept_unit[kept++] = units.unit[i];
            });
            for (int k = 0; k < 4; k++) std::fill(rows + k * p + kept, rows + (k + 1) * p, 0.0);
        }
        if (next.functions && (num_on || next.is_empty)) {
            const double *functions = entry.rows;
            const int s = layer.stride;
            if (layer.is_plain) contribute_rows<true>(net.layers[l + 1], num_on, on_unit, functions, functions + s, functions + 2 * s, next.functions, next.is_empty);
            else contribute_all(net, l, num_on, on_unit, on, on + q, on + 2 * q, on + 3 * q, next.functions, next.is_empty);
            next.is_empty = false;
        }
        units = {kept, rows, p, kept_unit};
    }
    // The cells of a cell that units cut: it is cut by the last one of them.
    int64_t halves(const Entry &entry, int nv, Vertex *v, const Units &units, Next &below) {
        if (is_stopped()) return 0;
        const int l = entry.layer, num = units.num, p = units.stride;
        if constexpr (!Plane && !Build) {
            if (num <= below.most && is_reducible && below.functions && !claims && is_worth_reducing(net, l, below.end)) {
                const int64_t n = reduced.halves(entry, nv, v, units, below);
                if (n >= 0) return n;
                below.most = num / kAskedAgain;
            }
        }
        double *rows = units.rows;
        int *unit = units.unit;
        const Layer &layer = net.layers[l];
        int cutter = num - 1;
        if (!Build && !below.functions) {
            const double e = std::max_element(v, v + nv, [](const Vertex &a, const Vertex &b) { return a.e < b.e; })->e;
            const int64_t n = chords(layer, nv, v, e, num, rows, p, unit, cutter);
            if (n >= 0) return n;
            for (int s = 0; s < 4; s++) std::swap(rows[s * p + cutter], rows[s * p + num - 1]);
            std::swap(unit[cutter], unit[num - 1]);
            cutter = num - 1;
        }
        const int which = unit[cutter];
        Halves both = take_halves(nv);
        bisect(entry, which, rows + cutter, p, nv, v, both);
        Next above = below;
        const int words = (layer.out + 63) >> 6;
        above.active = arena.take<uint64_t>(words);
        std::memcpy(above.active, below.active, sizeof(uint64_t) * words);
        if (below.functions) {
            const int s = net.layers[l + 1].stride, size = (net.has_runs ? 4 : 3) * s;
            above.functions = arena.take<double>(4 * s);
            std::memcpy(above.functions, below.functions, sizeof(double) * size);
            below.squares += decide(entry, which, false, below.functions, below.active);
            above.squares += decide(entry, which, true, above.functions, above.active);
        }
        const Units others{cutter, rows, p, unit};
        const int64_t n = half(entry, both.num_negative, both.negative, others, below) + half(entry, both.num_positive, both.positive, others, above);
        forget(both);
        return n;
    }

    struct Halves {  // of a cell, and what they refer to
        Line line;
        Point points[2];
        Vertex *negative, *positive;
        int num_negative, num_positive;
    };
    Halves take_halves(int nv) {
        Halves both;
        both.negative = arena.take<Vertex>(nv + 2), both.positive = arena.take<Vertex>(nv + 2);
        return both;
    }
    void forget(Halves &both) {
        delete both.points[0].known;
        delete both.points[1].known;
    }
    // Cuts a cell by a unit. row: its function and the bound of its errors, p apart.
    void bisect(const Entry &entry, int which, const double *row, int p, int nv, Vertex *v, Halves &both) {
        const double a = row[0], b = row[p], c = row[2 * p], t = row[3 * p];
        double *z = arena.take<double>(nv);
        int8_t *sign = arena.take<int8_t>(nv);
        const double size = std::fabs(a) + std::fabs(b) + std::fabs(c);
        bool is_certain = true;
        for (int i = 0; i < nv; i++) {
            const double tolerance = t + size * v[i].e;
            z[i] = value<Plane>(a, b, c, v[i]);
            sign[i] = static_cast<int8_t>((z[i] > tolerance) - (-z[i] > tolerance));
            is_certain &= sign[i] != 0;
        }
        for (int i = 0; i < nv && !is_certain; i++)
            if (sign[i] == 0) sign[i] = static_cast<int8_t>(undecided_sign(entry, which, v[i].point));
        if (net.layers[entry.layer].first_twin[which] >= 0) tally.is_degenerate = true;  // its twins are zero on the line
        both.line = line_of(a, b, c, t, &entry, which);
        halve(nv, v, z, sign, both.line, both.points, both.negative, both.num_negative, both.positive, both.num_positive);
    }

    int64_t half(const Entry &entry, int nv, Vertex *v, const Units &units, Next &next) {
        if (!claims) return cut(entry, nv, v, units, next);
        int64_t n = 0;
        if (++level < split_level) {
            n = cut(entry, nv, v, units, next);
        } else if (claim()) {  // threads share the subtrees at this level
            auto *all = claims;
            if (Build) builder.begin_part((*parts)[number - 1], nv, v);
            claims = nullptr;
            n = cut(entry, nv, v, units, next);
            claims = all;
            if (Build) builder.end_part((*parts)[number - 1]);
        }
        level--;
        return n;
    }

    // Both halves of a cell. Vertices where the unit is zero belong to both.
    void halve(int nv, const Vertex *v, const double *z, const int8_t *sign, const Line &line, Point *points, Vertex *negative, int &num_negative, Vertex *positive, int &num_positive) {
        num_negative = num_positive = 0;
        points[0] = points[1] = Point{nullptr, nullptr, -1, nullptr, kNotAsked, 0, {}};
        int num_points = 0, chord_ends[2] = {-1, -1}, num_ends = 0;
        for (int i = 0; i < nv; i++) {
            const int k = i + 1 < nv ? i + 1 : 0;
            const int s = sign[i], r = sign[k];
            if (s >= 0) {
                positive[num_positive] = v[i];
                if (s == 0 && r <= 0) positive[num_positive].line = &line, positive[num_positive].edge = -1;
                num_positive++;
            }
            if (s <= 0) {
                negative[num_negative] = v[i];
                if (s == 0 && r >= 0) negative[num_negative].line = &line, negative[num_negative].edge = -1;
                num_negative++;
            }
            if (s == 0 && num_ends < 2) chord_ends[num_ends++] = v[i].id;
            if (s * r < 0 && num_points < 2) {
                Point *point = &points[num_points++];
                *point = Point{&line, v[i].line, -1, nullptr, kNotAsked, 0, {}};
                Vertex on = v[i];
                on.point = point;
                int first = -1;
                if (Build && builder.is_placed(v[i])) {
                    builder.place_again(v[i], line, on, first);
                } else {
                    meet<Plane>(v[i], v[k], z[i], z[k], line, on);
                    if (Build) builder.place(v[i], line, on, first);
                }
                if (num_ends < 2) chord_ends[num_ends++] = on.id;
                Vertex along = on;
                along.line = &line, along.edge = -1;
                if (s > 0) {
                    positive[num_positive - 1].edge = first;
                    positive[num_positive++] = along, negative[num_negative++] = on;
                } else {
                    negative[num_negative - 1].edge = first;
                    negative[num_negative++] = along, positive[num_positive++] = on;
                }
            }
        }
        if (Build) {
            const int chord = builder.add_chord(chord_ends, line), other = claims ? builder.add_chord_again(chord) : chord;
            for (int i = 0; i < num_negative; i++) if (negative[i].edge < 0) negative[i].edge = chord;
            for (int i = 0; i < num_positive; i++) if (positive[i].edge < 0) positive[i].edge = other;
        }
    }

    // ---- the last layer is counted, not built

    // The cells that lines of the last layer cut a cell into; -1 if these must be cut one by one, `trouble` first.
    int64_t chords(const Layer &layer, int nv, const Vertex *v, double e, int k, const double *rows, int stride, const int *unit, int &trouble) {
        if (k == 1 && !Plane) {  // two halves, wherever the line runs through
            if (layer.has_twins && layer.first_twin[unit[0]] >= 0) tally.is_degenerate = true;
            bool is_certain = true;
            for (int s = 0; s < nv; s++) {
                const double size = std::fabs(rows[0]) + std::fabs(rows[stride]) + std::fabs(rows[2 * stride]);
                is_certain &= std::fabs(value<Plane>(rows[0], rows[stride], rows[2 * stride], v[s])) > rows[3 * stride] + size * v[s].e;
            }
            if (is_certain) return claim() ? 2 : 0;
            trouble = 0;
            return -1;
        }
        Share *shared = share && claims && level == 0 && k >= 256 ? share : nullptr;
        const Crossings found = crossings<Plane>(nv, v, e, k, rows, stride, arena, shared, stop);
        trouble = found.trouble;
        if (!found.is_certain) return -1;
        if (layer.has_twins)
            for (int i = 0; i < k; i++) if (layer.first_twin[unit[i]] >= 0) tally.is_degenerate = true;
        if (!claim()) return 0;
        if (Plane) {
            count_artificial(nv, v);
            tally.artificial += found.ends;
        }
        return 1 + k + found.pairs;
    }

    // ---- from the domain's faces on

    int64_t run() {
        const int num_corners = domain.num_corners;
        auto mark = arena.mark();
        Point *points = arena.take<Point>(num_corners);
        for (int i = 0; i < num_corners; i++) points[i] = Point{nullptr, nullptr, i, nullptr, kNotAsked, 0, {}};
        if (Build) for (int i = 0; i < num_corners; i++) builder.add_corner(domain.corners[i]);
        int64_t n = 0;
        for (int face = 0; face < domain.num_faces; face++) {
            auto inner = arena.mark();
            const int *cycle = domain.face_corners + domain.face_offsets[face];
            const int nv = domain.face_offsets[face + 1] - domain.face_offsets[face];
            Vertex *v = arena.take<Vertex>(nv);
            Line *lines = arena.take<Line>(nv);
            for (int i = 0; i < nv; i++) {
                const Corner &c = domain.corners[cycle[i]];
                const double scale = c.w != 0 ? net.unit : 1;
                v[i] = Vertex{c.x / scale, c.y / scale, c.w, 8 * kEps, &lines[i], &points[cycle[i]], cycle[i], -1};
            }
            for (int i = 0; i < nv; i++) {
                const int k = i + 1 < nv ? i + 1 : 0;
                const double cx = v[i].y * v[k].w - v[i].w * v[k].y, cy = v[i].w * v[k].x - v[i].x * v[k].w, cw = v[i].x * v[k].y - v[i].y * v[k].x;
                const double inverse = 1 / std::sqrt(cx * cx + cy * cy + cw * cw), dn = 8 * kEps * inverse + 8 * kEps;
                const bool is_artificial = Plane && (cycle[i] == 0 || cycle[k] == 0);
                lines[i] = Line{cx * inverse, cy * inverse, cw * inverse, dn, 2 * dn + 8 * kEps, nullptr, i, cycle[i], cycle[k], is_artificial, kNotAsked, 0, {}};
                if (Build) v[i].edge = builder.side(cycle[i], cycle[k], is_artificial);
            }
            double *rows = nullptr;
            if (net.num_layers > 0) {
                const Layer &first = net.layers[0];
                const int p = first.stride;
                rows = arena.take<double>(4 * p);
                std::memcpy(rows, first.kernel, sizeof(double) * 2 * p);
                std::memcpy(rows + 2 * p, first.bias, sizeof(double) * p);
            }
            n += enter(0, nv, v, rows, 0, 0, nullptr, nullptr, net.num_layers);
            arena.release(inner);
        }
        for (int i = 0; i < num_corners; i++) delete points[i].known;
        arena.release(mark);
        tally.cells += n;
        return n;
    }
};

}  // namespace jaxgeom

