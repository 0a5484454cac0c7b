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
// one. The sign of a x + b y + c w at p is certain if it exceeds t + (|a| + |b| + |c|) e.
#pragma once

#include <atomic>

#include "builder.h"
#include "crossings.h"
#include "sums.h"

namespace jaxgeom {

// From which share of the gradients on errors are too large.
constexpr double kBlurred = 0x1p-16, kRounded = 0x1p-36;

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
    // Whether some unit's sign at the vertices of a cell is not certain, or changes.
    bool is_open(const Layer &layer, const double *functions, int nv, const Vertex *v) const {
        const int p = layer.stride;
        for (int i = 0; i < layer.num_candidates; i++) {
            const int unit = layer.candidates[i];
            const double a = functions[unit], b = functions[p + unit], c = functions[2 * p + unit], t = functions[3 * p + unit];
            const double size = std::fabs(a) + std::fabs(b) + std::fabs(c);
            int num_above = 0, num_below = 0;
            for (int k = 0; k < nv; k++) {
                const double z = value<Plane>(a, b, c, v[k]), tolerance = t + size * v[k].e;
                num_above += z > tolerance, num_below += -z > tolerance;
            }
            if (num_above < nv && num_below < nv) return true;
        }
        return false;
    }

    // ---- the recursion

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

    int64_t enter(int l, int nv, Vertex *v, double *rows, double delta, double squares, const Entry *before, const uint64_t *active) {
        if (l == net.num_layers) return leaf(nv, v);
        const Layer &layer = net.layers[l];
        const int p = layer.stride;
        if (Build && l == net.depth) {
            auto mark = arena.mark();
            const Entry last{before, l, rows, active, nullptr, sharp.place_of_rows(p)};
            if (claim()) {
                if (claims) builder.begin_part((*parts)[number - 1], nv, v);
                builder.emit(nv, v, last, delta, squares);
                if (claims) builder.end_part((*parts)[number - 1]);
            }
            exact.forget(last);
            arena.release(mark);
            return 1;
        }
        auto mark = arena.mark();
        double *a = rows, *b = rows + p, *c = rows + 2 * p, *t = rows + 3 * p;
        const double g = (layer.terms + 6) * kEps, h = l ? g * std::sqrt(3 * squares) * 1.0001 + kFloor : 0;
        delta *= l ? net.layers[l - 1].steepest : 1;
        const bool is_safe = squares < 1e280 && delta < 1e280;
        const auto rounding = [&](int j) { return 8 * kEps * (magnitude(load(a + j)) + magnitude(load(b + j)) + magnitude(load(c + j))) + kFloor; };
        for (int j = 0; j < p; j += kLanes) {
            Vec bound = all(0);
            if (net.has_runs) bound = 1.0001 * ((l ? load(t + j) : bound) + g * magnitude(load(layer.bias + j)));
            else if (l) bound = load(layer.column_norm + j) * (delta + h) + g * magnitude(load(layer.bias + j));
            store(t + j, bound + rounding(j));
        }
        if (!is_safe)
            for (int j = 0; j < p; j++) a[j] = b[j] = c[j] = 0, t[j] = 1e280;
        const Entry entry{before, l, rows, active, nullptr, sharp.place_of_rows(p)};
        if (l > 1 && is_safe && entry.sharp && sharp.is_blurred(layer, rows, delta + h, kBlurred, kRounded) && is_open(layer, rows, nv, v)) {
            sharp.sharpen(entry);
            std::memcpy(rows, entry.sharp, sizeof(double) * 3 * p);
            Four size{};
            for (int j = 0; j < p; j += kLanes) {
                const Vec bound = net.has_runs ? load(entry.sharp + 6 * p + j) : load(layer.column_norm + j) * entry.sharp_input + sharp_rounding(layer.in) * magnitude(load(layer.bias + j));
                store(t + j, bound + rounding(j));
                add_to(size, load(a + j) * load(a + j) + load(b + j) * load(b + j) + load(c + j) * load(c + j));
            }
            delta = entry.sharp_delta + 2 * kEps * std::sqrt(total(size)) + kFloor;
        } else {
            delta = l ? layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor : kFloor;
        }
        if (net.has_runs) delta = kFloor;  // bounds are known unit by unit
        if (!is_safe) delta = 1e290;  // nothing is known of these functions, nor of those above
        double *next = nullptr;
        if (l + 1 < net.num_layers) {
            const Layer &above = net.layers[l + 1];
            next = arena.take<double>(4 * above.stride);
            std::memset(next, 0, sizeof(double) * 2 * above.stride);
            std::memcpy(next + 2 * above.stride, above.bias, sizeof(double) * above.stride);
            if (net.has_runs) std::memset(next + 3 * above.stride, 0, sizeof(double) * above.stride);
        }
        const int words = (layer.out + 63) >> 6;
        uint64_t *bits = arena.take<uint64_t>(words);
        std::memset(bits, 0, sizeof(uint64_t) * words);
        double sum = 0;
        if (next) for (int i = 0; i < layer.num_linear; i++) sum += contribute(net, entry, layer.linear[i], 1.0, next);
        const double *candidates = rows;
        int stride = p;
        if (!layer.is_whole) {
            stride = padded(layer.num_candidates);
            double *some = arena.take<double>(4 * stride);
            for (int i = 0; i < layer.num_candidates; i++)
                for (int s = 0; s < 4; s++) some[s * stride + i] = rows[s * p + layer.candidates[i]];
            for (int i = layer.num_candidates; i < stride; i++)
                for (int s = 0; s < 4; s++) some[s * stride + i] = 0;
            candidates = some;
        }
        const int64_t n = cut(entry, nv, v, layer.num_candidates, candidates, stride, layer.candidates, next, bits, delta, sum);
        exact.forget(entry);
        arena.release(mark);
        return n;
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
    const Line *relabelled(const Vertex &vertex, int l, int unit) {
        Line *line = arena.take<Line>(1);  // released with the frame that looks at the cell
        *line = *vertex.line;
        line->is_artificial = false;
        if (Build) builder.label(vertex.edge, l, unit);
        return line;
    }

    int64_t cut(const Entry &entry, int nv, Vertex *v, int units, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
        if (stop && stop->load(std::memory_order_relaxed)) return 0;
        const int l = entry.layer;
        const Layer &layer = net.layers[l];
        const bool is_last = !Build && l + 1 == net.num_layers;
        auto mark = arena.mark();
        const double *A = rows, *B = rows + stride, *C = rows + 2 * stride, *T = rows + 3 * stride;
        const int p = padded(units), q = layer.is_whole ? p : layer.stride;
        double *left = arena.take<double>(4 * p), *on = next ? arena.take<double>(4 * q) : nullptr;
        int *kept_unit = arena.take<int>(p), *on_unit = next ? arena.take<int>(q) : nullptr;
        int kept = 0, num_on = 0;
        double e = 0;
        for (int i = 0; i < nv; i++) e = std::max(e, v[i].e);
        const bool is_plain = next && !layer.has_twins && !layer.has_slopes;
        Four squares_above{};
        const auto add = [&](int m, double factor) {
            const double a = factor * entry.rows[m], b = factor * entry.rows[layer.stride + m], c = factor * entry.rows[2 * layer.stride + m];
            if (net.has_runs) on[3 * q + num_on] = std::fabs(factor) * entry.rows[3 * layer.stride + m];
            on[num_on] = a, on[q + num_on] = b, on[2 * q + num_on] = c, on_unit[num_on++] = m;
            squares += a * a + b * b + c * c;
        };
        const auto settle = [&](int j, bool is_on, bool is_zero = false) {
            if (!layer.has_twins) {
                if (is_on) bits[j >> 6] |= uint64_t(1) << (j & 63);
                if (next && (is_on || layer.slope[j] != 0)) add(j, is_on ? 1 : layer.slope[j]);
                return;
            }
            for (int m = j; m >= 0; m = m == j ? layer.first_twin[j] : layer.next_twin[m]) {
                const bool with = is_on == (layer.twin_sign[m] == layer.twin_sign[j]) && !is_zero;
                if (with) bits[m >> 6] |= uint64_t(1) << (m & 63);
                if (next && (with || layer.slope[m] != 0)) add(m, with ? 1 : layer.slope[m]);
            }
        };
        for (int j = 0; j < p; j += kLanes) {
            const Vec a = load(A + j), b = load(B + j), c = load(C + j);
            Vec high, low;
            if (Plane) high = a * v[0].x + (b * v[0].y + c * v[0].w); else high = a * v[0].x + (b * v[0].y + c);
            low = high;
            for (int i = 1; i < nv; i++) {
                Vec z;
                if (Plane) z = a * v[i].x + (b * v[i].y + c * v[i].w); else z = a * v[i].x + (b * v[i].y + c);
                high = larger(z, high), low = smaller(z, low);
            }
            const Vec tolerance = load(T + j) + (magnitude(a) + magnitude(b) + magnitude(c)) * e;
            const unsigned valid = units - j >= kLanes ? kAllLanes : (1u << (units - j)) - 1;
            const unsigned below = sign_bits(high + tolerance) & valid, above = sign_bits(tolerance - low) & valid & ~below;
            const unsigned crossing = sign_bits(tolerance - high) & sign_bits(low + tolerance) & valid;
            for (unsigned m = valid & ~below & ~above; m; m &= m - 1) {
                const int s = __builtin_ctz(m), i = j + s;
                if (!(crossing >> s & 1)) {
                    const int side = side_of_cell(entry, unit[i], A[i], B[i], C[i], T[i], nv, v);
                    if (side) { settle(unit[i], side > 0, side == -2); continue; }
                }
                left[kept] = A[i], left[p + kept] = B[i], left[2 * p + kept] = C[i], left[3 * p + kept] = T[i];
                kept_unit[kept++] = unit[i];
            }
            if (is_last) continue;
            if (is_plain && above) {
                add_to(squares_above, low > tolerance ? a * a + b * b + c * c : all(0));
                for (unsigned m = above; m; m &= m - 1) {
                    const int i = j + __builtin_ctz(m), of = unit[i];
                    bits[of >> 6] |= uint64_t(1) << (of & 63);
                    on[num_on] = A[i], on[q + num_on] = B[i], on[2 * q + num_on] = C[i];
                    if (net.has_runs) on[3 * q + num_on] = T[i];
                    on_unit[num_on++] = of;
                }
            } else if (!is_plain) {
                for (unsigned m = above; m; m &= m - 1) settle(unit[j + __builtin_ctz(m)], true);
                if (layer.has_slopes || layer.has_twins)
                    for (unsigned m = below; m; m &= m - 1) settle(unit[j + __builtin_ctz(m)], false);
            }
        }
        squares += total(squares_above);
        if (num_on) contribute_all(net, l, num_on, on_unit, on, on + q, on + 2 * q, on + 3 * q, next);
        int64_t n;
        if (!kept) {
            n = enter(l + 1, nv, v, next, delta, squares, &entry, bits);
            arena.release(mark);
            return n;
        }
        for (int i = kept; i < padded(kept); i++)
            for (int s = 0; s < 4; s++) left[s * p + i] = 0;
        int cutter = kept - 1;
        if (is_last) {
            n = chords(layer, nv, v, e, kept, left, p, kept_unit, cutter);
            if (n >= 0) { arena.release(mark); return n; }
            if (cutter != kept - 1) {
                for (int s = 0; s < 4; s++) std::swap(left[s * p + cutter], left[s * p + kept - 1]);
                std::swap(kept_unit[cutter], kept_unit[kept - 1]);
                cutter = kept - 1;
            }
        }
        const double a = left[cutter], b = left[p + cutter], c = left[2 * p + cutter], t = left[3 * p + cutter];
        const int which = kept_unit[cutter];
        double *z = arena.take<double>(nv);
        int8_t *sign = arena.take<int8_t>(nv);
        for (int i = 0; i < nv; i++) z[i] = value<Plane>(a, b, c, v[i]), sign[i] = static_cast<int8_t>(sign_at(entry, which, a, b, c, t, v[i]));
        if (layer.first_twin[which] >= 0) tally.is_degenerate = true;  // its twins are zero on the line
        Line line = line_of(a, b, c, t, &entry, which);
        Point points[2];
        Vertex *negative = arena.take<Vertex>(nv + 2), *positive = arena.take<Vertex>(nv + 2);
        int num_negative, num_positive;
        halve(nv, v, z, sign, line, points, negative, num_negative, positive, num_positive);
        double *copy = nullptr;
        if (next) {
            const int s = net.layers[l + 1].stride;
            copy = arena.take<double>(4 * s);
            std::memcpy(copy, next, sizeof(double) * (net.has_runs ? 4 : 3) * s);
        }
        const int words = (layer.out + 63) >> 6;
        uint64_t *other_bits = arena.take<uint64_t>(words);
        std::memcpy(other_bits, bits, sizeof(uint64_t) * words);
        double below_squares = squares, above_squares = squares;
        if (!is_last) {
            below_squares += decide(entry, which, false, copy, other_bits);
            above_squares += decide(entry, which, true, next, bits);
        }
        n = half(entry, num_negative, negative, cutter, left, p, kept_unit, copy, other_bits, delta, below_squares);
        n += half(entry, num_positive, positive, cutter, left, p, kept_unit, next, bits, delta, above_squares);
        delete points[0].known;
        delete points[1].known;
        arena.release(mark);
        return n;
    }

    int64_t half(const Entry &entry, int nv, Vertex *v, int units, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
        if (claims && ++level == split_level) {  // threads share the subtrees at this level
            int64_t n = 0;
            if (claim()) {
                auto *all = claims;
                if (Build) builder.begin_part((*parts)[number - 1], nv, v);
                claims = nullptr;
                n = below(entry, nv, v, units, rows, stride, unit, next, bits, delta, squares);
                claims = all;
                if (Build) builder.end_part((*parts)[number - 1]);
            }
            level--;
            return n;
        }
        const int64_t n = below(entry, nv, v, units, rows, stride, unit, next, bits, delta, squares);
        if (claims) level--;
        return n;
    }
    int64_t below(const Entry &entry, int nv, Vertex *v, int units, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
        if (!units) return enter(entry.layer + 1, nv, v, next, delta, squares, &entry, bits);
        return cut(entry, nv, v, units, rows, stride, unit, next, bits, delta, squares);
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
                v[i] = Vertex{c.x / scale, c.y / scale, c.w, 0, &lines[i], &points[cycle[i]], cycle[i], -1};
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
            n += enter(0, nv, v, rows, 0, 0, nullptr, nullptr);
            arena.release(inner);
        }
        for (int i = 0; i < num_corners; i++) delete points[i].known;
        arena.release(mark);
        tally.cells += n;
        return n;
    }
};

}  // namespace jaxgeom

