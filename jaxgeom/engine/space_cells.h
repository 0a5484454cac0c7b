// The cells of a network on a box in any dimension: the recursion of cells.h with polytopes in place of polygons. A cell
// knows the affine functions of the current layer's units on it; it is cut by a unit that changes sign on it, and both
// parts go on with the units that may still change sign there.
//
// Signs are decided in float64 where they are certain, and exactly (space_signs.h) where they are not. Bounds of errors of
// functions are those of cells.h, with as many coefficients as there are dimensions. A vertex on hyperplanes with normals
// N, of length 1, has residuals r against them; the true vertex has residuals of at most the hyperplanes' own errors t, so
// that it lies within |inverse of N| (|r| + t).
#pragma once

#include <atomic>

#include "cell_list.h"
#include "space_sharp.h"
#include "space_signs.h"

namespace jaxgeom {

// How far vertices of complexes may be from where they are; most are a thousand times nearer.
constexpr double kPlace = 1e-11;
// Digits of maps, as bounds of errors have it.
constexpr double kMapDigitsInSpace = 1e8;

struct CellShare {  // of one complex, among threads: a list of cells for each subtree
    const int64_t max_cells;
    std::unique_ptr<std::atomic<uint8_t>[]> claims{new std::atomic<uint8_t>[(size_t(1) << kSplitLevel) + 2]()};
    std::vector<std::unique_ptr<CellList>> lists{(size_t(1) << kSplitLevel) + 2};
    std::atomic<int64_t> num_cells{0};
    std::atomic<bool> is_degenerate{false};
};

template <int D, int W, bool Build>
struct Walk {
    const Network &net;
    const Box &box;
    const Shape<D, W> shape;
    Arena &arena;
    const std::atomic<int> *stop;
    Plane *planes;                           // by number: sides of the box, then units
    CellWriter<D, W> *writer = nullptr;      // when building
    CellShare *cells = nullptr;
    std::atomic<uint8_t> *claims = nullptr;  // subtrees that threads share
    int level = 0, number = 0, split_level = kSplitLevel;
    bool at_surface = false;                 // only cells at which the first unit of the last hidden layer is zero somewhere
    bool is_degenerate = false, can_sharpen = false;
    SpaceSigns<D, W> exact{net, box, shape, arena, planes};
    SharpFunctions<D, W> sharp{net, shape, arena};
    int dim() const { return shape.dim(); }
    int plane_of(int l, int unit) const { return 2 * dim() + net.unit_offsets[l] + unit; }

    int sign_at(const SpaceEntry &entry, int unit, const double *row, int stride, const Polytope &cell, int v) {
        const double z = shape.value(row, stride, cell.x + v * dim()), tolerance = row[(dim() + 1) * stride] + shape.size_of(row, stride) * cell.e[v];
        return z > tolerance ? 1 : -z > tolerance ? -1 : undecided_sign(entry, unit, cell, v);
    }
    int undecided_sign(const SpaceEntry &entry, int unit, const Polytope &cell, int v) {
        const int sign = exact.sign(entry, unit, cell, v);
        if (sign == 0) is_degenerate = true;
        return sign;
    }

    // ---- the recursion

    // Whether a subtree that threads share is this one's.
    bool claim() {
        if (!claims) return true;
        const int own = number++;
        if (claims[own].exchange(1, std::memory_order_relaxed)) return false;
        if (Build) {
            cells->lists[own].reset(new CellList(shape.words()));
            writer->list = cells->lists[own].get();
        }
        return true;
    }

    // rows: coefficients and constants of the layer's units. delta, squares: of what the layer gets.
    int64_t enter(int l, Polytope &cell, double *rows, double delta, double squares, const SpaceEntry *before, const uint64_t *active) {
        if (l == net.num_layers) return claim() ? 1 : 0;
        const auto mark = arena.mark();
        const Layer &layer = net.layers[l];
        const int p = layer.stride, N = dim() + 1;
        double *bound = rows + N * p;
        const double g = (layer.in + 6) * kEps, h = l ? g * std::sqrt(N * squares) * 1.0001 + kFloor : 0;
        delta *= l ? net.layers[l - 1].steepest : 1;
        const bool is_safe = squares < 1e280 && delta < 1e280;
        if (!is_safe) std::memset(rows, 0, sizeof(double) * N * p);
        for (int j = 0; j < p; j++) {
            double size = 0;
            for (int s = 0; s < N; s++) size += std::fabs(rows[s * p + j]);
            bound[j] = !is_safe ? 1e280 : (l ? layer.column_norm[j] * (delta + h) + g * std::fabs(layer.bias[j]) : 0) + rounding_in(dim()) * size + kFloor;
        }
        const double input = delta + h;
        const SpaceEntry entry{before, l, rows, active, can_sharpen && (Build || net.num_layers > 2) ? arena.take<double>(2 * N * p) : nullptr};
        if (!is_safe) delta = 1e290;
        else if (l > 1 && entry.sharp && sharp.is_blurred(layer, rows, input)) delta = sharp.use(entry, rows);
        else delta = l ? layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor : kFloor;
        int64_t n;
        if (Build && l == net.depth) {
            n = claim();
            if (n) emit(cell, entry);
        } else {
            const int words = (layer.out + 63) >> 6, num = layer.num_candidates, stride = padded(num);
            uint64_t *bits = arena.take<uint64_t>(2 * words);
            std::memset(bits, 0, sizeof(uint64_t) * 2 * words);
            double *next = nullptr, sum = 0;
            if (l + 1 < net.num_layers) {
                const Layer &above = net.layers[l + 1];
                next = arena.take<double>((N + 1) * above.stride);
                std::memset(next, 0, sizeof(double) * dim() * above.stride);
                std::memcpy(next + dim() * above.stride, above.bias, sizeof(double) * above.stride);
                for (int i = 0; i < layer.num_linear; i++) sum += contribute(entry, layer.linear[i], 1, next);
            }
            const double *candidates = rows;
            if (!layer.is_whole) {
                double *some = arena.take<double>((N + 1) * stride);
                for (int s = 0; s <= N; s++)
                    for (int i = 0; i < stride; i++) some[s * stride + i] = i < num ? rows[s * p + layer.candidates[i]] : 0;
                candidates = some;
            }
            n = cut(entry, cell, num, candidates, layer.is_whole ? p : stride, layer.candidates, next, bits, delta, sum);
        }
        arena.release(mark);
        return n;
    }
    // Adds factor times a unit's activation to the next layer's functions; returns its squares.
    double contribute(const SpaceEntry &entry, int unit, double factor, double *next) {
        const Layer &layer = net.layers[entry.layer], &above = net.layers[entry.layer + 1];
        const int p = above.stride;
        const double *k = above.kernel + static_cast<size_t>(unit) * p;
        double squares = 0;
        for (int s = 0; s <= dim(); s++) {
            const double a = factor * entry.rows[s * layer.stride + unit];
            squares += a * a;
            for (int j = 0; j < p; j += kLanes) store(next + s * p + j, load(next + s * p + j) + load(k + j) * a);
        }
        return squares;
    }
    // One unit and its twins, once its sign on the cell is known; side 0: it is zero on all of the cell.
    double decide(const SpaceEntry &entry, int unit, int side, double *next, uint64_t *bits) {
        const Layer &layer = net.layers[entry.layer];
        const int words = (layer.out + 63) >> 6;
        double squares = 0;
        for (int j = unit; j >= 0; j = j == unit ? layer.first_twin[unit] : layer.next_twin[j]) {
            const bool on = side != 0 && (side > 0) == (layer.twin_sign[j] == layer.twin_sign[unit]);
            if (on) set_bit(bits, j);
            if (side == 0) set_bit(bits + words, j);
            if (next && side != 0 && (on || layer.slope[j] != 0)) squares += contribute(entry, j, on ? 1 : layer.slope[j], next);
        }
        return squares;
    }
    // Whether a unit is positive (1), negative (-1) or zero (0) on all of a cell, or changes sign there (2). Vertices at
    // which it is zero are marked if it does not change sign.
    int side_of(const SpaceEntry &entry, int unit, const double *row, int stride, Polytope &cell) {
        if (shape.size_of(row, stride) == 0 && row[dim() * stride] == 0 && exact.is_zero_row(entry, unit)) {
            is_degenerate = true;
            return 0;
        }
        const auto mark = arena.mark();
        int8_t *sign = arena.take<int8_t>(cell.num_vertices);
        int low = 1, high = -1, zeros = 0;
        for (int v = 0; v < cell.num_vertices; v++) {
            const int s = sign[v] = static_cast<int8_t>(sign_at(entry, unit, row, stride, cell, v));
            low = std::min(low, s), high = std::max(high, s), zeros += s == 0;
        }
        const bool is_settled = low >= 0 || high <= 0;
        if (is_settled && zeros && (low || high)) {
            const int plane = make_plane(entry, unit, row, stride);
            for (int v = 0; v < cell.num_vertices; v++) if (sign[v] == 0) set_bit(cell.on + v * shape.words(), plane);
        }
        arena.release(mark);
        return !is_settled ? 2 : high > 0 ? 1 : low < 0 ? -1 : 0;
    }
    int make_plane(const SpaceEntry &entry, int unit, const double *row, int stride) {
        const int number = plane_of(entry.layer, unit);
        Plane &plane = planes[number];
        double squares = 0;
        for (int i = 0; i < dim(); i++) squares += row[i * stride] * row[i * stride];
        const double inverse = squares > 0 ? 1 / std::sqrt(squares) : 1;
        for (int i = 0; i < dim(); i++) plane.normal[i] = row[i * stride] * inverse;
        plane.offset = row[dim() * stride] * inverse;
        plane.tolerance = row[(dim() + 1) * stride] * inverse * 1.001 + rounding_in(dim()) * (2 + std::fabs(plane.offset));
        plane.entry = &entry, plane.unit = unit;
        return number;
    }

    int64_t cut(const SpaceEntry &entry, Polytope &cell, int units, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
        if (stop && stop->load(std::memory_order_relaxed)) return 0;
        if (Build && cells->num_cells.load(std::memory_order_relaxed) > cells->max_cells) return 0;  // there are more cells than allowed
        const int l = entry.layer, d = dim();
        const Layer &layer = net.layers[l];
        const bool is_last = !Build && l + 1 == net.num_layers;
        const auto mark = arena.mark();
        const int p = padded(units);
        double *left = arena.take<double>((d + 2) * p);
        int *kept_unit = arena.take<int>(p), kept = 0;
        double e = 0;
        for (int v = 0; v < cell.num_vertices; v++) e = std::max(e, cell.e[v]);
        for (int j = 0; j < p; j += kLanes) {
            Vec size = all(0), high = all(-1e300), low = all(1e300);
            for (int i = 0; i < d; i++) size += magnitude(load(rows + i * stride + j));
            const Vec constant = load(rows + d * stride + j);
            for (int v = 0; v < cell.num_vertices; v++) {
                Vec z = constant;
                for (int i = 0; i < d; i++) z += load(rows + i * stride + j) * cell.x[v * d + i];
                high = larger(z, high), low = smaller(z, low);
            }
            const Vec tolerance = load(rows + (d + 1) * stride + j) + size * e;
            const unsigned valid = units - j >= kLanes ? (1u << kLanes) - 1 : (1u << (units - j)) - 1;
            const unsigned below = sign_bits(high + tolerance) & valid, above = sign_bits(tolerance - low) & valid & ~below;
            const unsigned crossing = sign_bits(tolerance - high) & sign_bits(low + tolerance) & valid;
            for (unsigned m = valid; m; m &= m - 1) {
                const int s = __builtin_ctz(m), i = j + s;
                int side = below >> s & 1 ? -1 : above >> s & 1 ? 1 : crossing >> s & 1 ? 2 : side_of(entry, unit[i], rows + i, stride, cell);
                if (side != 2) {
                    if (!is_last) squares += decide(entry, unit[i], side, next, bits);
                    continue;
                }
                for (int r = 0; r < d + 2; r++) left[r * p + kept] = rows[r * stride + i];
                kept_unit[kept++] = unit[i];
            }
        }
        int64_t n;
        if (!kept) {
            n = enter(l + 1, cell, next, delta, squares, &entry, bits);
        } else if (is_last && kept == 1) {
            if (layer.first_twin[kept_unit[0]] >= 0 || touches(entry, kept_unit[0], left, p, cell)) is_degenerate = true;
            n = claim() ? 2 : 0;
        } else if (at_surface && l + 2 == net.depth && !layer.has_twins && is_off_surface(entry, cell, kept, left, p, kept_unit, next, delta)) {
            n = 0;
        } else {
            for (int i = kept; i < padded(kept); i++)
                for (int r = 0; r < d + 2; r++) left[r * p + i] = 0;
            n = halves(entry, cell, kept - 1, left, p, kept_unit, next, bits, delta, squares);
        }
        arena.release(mark);
        return n;
    }
    // Whether a unit is zero at some vertex of a cell on which it changes sign.
    bool touches(const SpaceEntry &entry, int unit, const double *row, int stride, const Polytope &cell) {
        bool found = false;
        for (int v = 0; v < cell.num_vertices; v++) found |= sign_at(entry, unit, row, stride, cell, v) == 0;
        return found;
    }
    // A cell cut by the last of some units.
    int64_t halves(const SpaceEntry &entry, Polytope &cell, int last, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
        const int which = unit[last], l = entry.layer;
        const Layer &layer = net.layers[l];
        const double *row = rows + last;
        double *z = arena.take<double>(cell.num_vertices);
        int8_t *sign = arena.take<int8_t>(cell.num_vertices);
        const int plane = make_plane(entry, which, row, stride);
        for (int v = 0; v < cell.num_vertices; v++) {
            z[v] = shape.value(row, stride, cell.x + v * dim()), sign[v] = static_cast<int8_t>(sign_at(entry, which, row, stride, cell, v));
            if (sign[v] == 0) set_bit(cell.on + v * shape.words(), plane);
        }
        if (layer.first_twin[which] >= 0) is_degenerate = true;  // its twins are zero where it is
        int num_new = 0;
        for (int k = 0; k < cell.num_edges; k++) num_new += sign[cell.edges[2 * k]] * sign[cell.edges[2 * k + 1]] < 0;
        SpacePoint *points = arena.take<SpacePoint>(num_new);
        Polytope fresh = shape.take(arena, num_new, 0);
        int *ends = arena.take<int>(2 * num_new), *wall;
        shape.new_vertices(cell, z, sign, plane, planes, points, fresh, ends, arena);
        if (Build) refine(fresh);
        const int num_wall = shape.wall_edges(cell, sign, fresh, wall, arena);
        const int words = (layer.out + 63) >> 6;
        int64_t n = 0;
        for (const int side : {-1, 1}) {
            const auto mark = arena.mark();
            double *own_next = next, own_squares = squares;
            uint64_t *own_bits = bits;
            if (side < 0) {
                if (next) {
                    const size_t size = static_cast<size_t>(dim() + 2) * net.layers[l + 1].stride;
                    own_next = arena.take<double>(size);
                    std::memcpy(own_next, next, sizeof(double) * size);
                }
                own_bits = arena.take<uint64_t>(2 * words);
                std::memcpy(own_bits, bits, sizeof(uint64_t) * 2 * words);
            }
            Polytope part = shape.part(cell, sign, side, fresh, ends, num_wall, wall, arena);
            own_squares += decide(entry, which, side, own_next, own_bits);
            n += half(entry, part, last, rows, stride, unit, own_next, own_bits, delta, own_squares);
            arena.release(mark);
        }
        forget(points, num_new);
        return n;
    }
    int64_t half(const SpaceEntry &entry, Polytope &cell, int units, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
        const auto below = [&] {
            return units ? cut(entry, cell, units, rows, stride, unit, next, bits, delta, squares) : enter(entry.layer + 1, cell, next, delta, squares, &entry, bits);
        };
        if (!claims) return below();
        int64_t n = 0;
        if (++level < split_level) {
            n = below();
        } else if (claim()) {  // threads share the subtrees at this level
            auto *own = claims;
            claims = nullptr;
            n = below();
            claims = own;
        }
        level--;
        return n;
    }

    // ---- building

    // New vertices whose computed place is uncertain, as where hyperplanes are nearly parallel, put to where they are.
    void refine(Polytope &fresh) {
        for (int v = 0; v < fresh.num_vertices; v++) {
            if (fresh.e[v] <= kPlace) continue;
            const ExactFunction &at = exact.point(fresh, v);
            for (int i = 0; i < dim(); i++) fresh.x[v * dim() + i] = ratio(at[i], at.back()) / net.unit;
            fresh.e[v] = 8 * kEps;
        }
    }
    bool is_at_surface(const Polytope &cell, const SpaceEntry &last) const {
        const int plane = plane_of(net.depth - 1, 0), words = (net.layers[net.depth - 1].out + 63) >> 6;
        if (has_bit(last.active + words, 0)) return true;
        for (int v = 0; v < cell.num_vertices; v++) if (has_bit(cell.on + v * shape.words(), plane)) return true;
        return false;
    }
    // Whether the first unit of the last hidden layer is certainly not zero on a cell that units of the layer before may
    // still cut: by the range of what is settled, and of each of the others.
    bool is_off_surface(const SpaceEntry &entry, const Polytope &cell, int units, const double *rows, int stride, const int *unit, const double *next, double delta) const {
        const Layer &layer = net.layers[entry.layer], &above = net.layers[entry.layer + 1];
        double low = 1e300, high = -1e300, size = std::fabs(above.bias[0]);
        for (int v = 0; v < cell.num_vertices; v++) {
            const double z = shape.value(next, above.stride, cell.x + v * dim());
            low = std::min(low, z), high = std::max(high, z);
        }
        for (int s = 0; s <= dim(); s++) size += std::fabs(next[s * above.stride]);
        for (int k = 0; k < units; k++) {
            double least = 0, most = 0;  // of its activation; it is zero somewhere
            const double weight = above.kernel[static_cast<size_t>(unit[k]) * above.stride], slope = layer.slope[unit[k]];
            for (int v = 0; v < cell.num_vertices; v++) {
                const double z = shape.value(rows + k, stride, cell.x + v * dim()), activation = z > 0 ? z : slope * z;
                least = std::min(least, activation), most = std::max(most, activation);
            }
            low += weight > 0 ? weight * least : weight * most, high += weight > 0 ? weight * most : weight * least;
            size += std::fabs(weight) * (most - least);
        }
        double e = 0;
        for (int v = 0; v < cell.num_vertices; v++) e = std::max(e, cell.e[v]);
        const double margin = (1e-9 + 4 * e * layer.steepest) * size + 4 * above.column_norm[0] * layer.steepest * delta;
        return low > margin || -high > margin;
    }
    void emit(const Polytope &cell, const SpaceEntry &last) {
        if (at_surface && !is_at_surface(cell, last)) return;
        const Layer &output = net.layers[net.depth];
        const int p = output.stride, N = dim() + 1;
        const SpaceEntry *above = &last;
        for (int l = net.depth - 1; l >= 0; l--, above = above->before) writer->set_layer(l, above->active);
        cells->num_cells.fetch_add(1, std::memory_order_relaxed);
        writer->add(cell);
        for (int j = 0; j < output.out; j++) {
            const double *row = last.rows + j;
            double size = 0;
            for (int s = 0; s < N; s++) size = std::max(size, std::fabs(row[s * p]));
            if (size > kMapDigitsInSpace * row[N * p] && size < 1e280) {
                for (int s = 0; s < N; s++) writer->list->maps.push_back(std::ldexp(row[s * p], net.output_exponent - (s < dim() ? net.unit_exponent : 0)));
            } else {
                const Exact one(1.0);
                for (const Exact &number : exact.row(&last, j)) writer->list->maps.push_back(ratio(number, one));
            }
        }
    }

    int64_t run() {
        const int d = dim();
        can_sharpen = sharp.can_serve();
        const auto mark = arena.mark();
        const int corners = 1 << d;
        Polytope cell = shape.take(arena, corners, d * corners / 2);
        SpacePoint *points = arena.take<SpacePoint>(corners);
        for (int i = 0; i < 2 * d; i++) {
            Plane &plane = planes[i];
            std::fill(plane.normal, plane.normal + d, 0.0);
            plane.normal[i / 2] = 1, plane.offset = -end_of(box, i) / net.unit;
            plane.tolerance = 2 * kEps + kFloor, plane.entry = nullptr, plane.unit = i;
        }
        cell.num_vertices = corners;
        for (int v = 0; v < corners; v++) {
            ExactFunction at;
            std::fill(cell.on + v * shape.words(), cell.on + (v + 1) * shape.words(), 0);
            for (int i = 0; i < d; i++) {
                const int end = v >> (d - 1 - i) & 1;
                const double x = end_of(box, 2 * i + end);
                cell.x[v * d + i] = x / net.unit, at.push_back(Exact(x));
                set_bit(cell.on + v * shape.words(), 2 * i + end);
                if (!end) {
                    cell.edges[2 * cell.num_edges] = v, cell.edges[2 * cell.num_edges + 1] = v | 1 << (d - 1 - i);
                    cell.num_edges++;
                }
            }
            at.push_back(Exact(1.0));
            points[v] = SpacePoint{new KnownPoint{std::move(at)}};
            cell.point[v] = points + v, cell.e[v] = kEps;
        }
        double *rows = nullptr;
        if (net.num_layers > 0) {
            const Layer &first = net.layers[0];
            rows = arena.take<double>(static_cast<size_t>(d + 2) * first.stride);
            std::memcpy(rows, first.kernel, sizeof(double) * d * first.stride);
            std::memcpy(rows + d * first.stride, first.bias, sizeof(double) * first.stride);
        }
        const int64_t n = enter(0, cell, rows, 0, 0, nullptr, nullptr);
        forget(points, corners);
        arena.release(mark);
        return n;
    }
};

}  // namespace jaxgeom
