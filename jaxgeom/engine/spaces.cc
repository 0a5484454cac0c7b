// The cells of a network on a box in any dimension: the recursion of cells.h with polytopes in place of polygons. A cell
// knows the affine functions of the current layer's units on it; it is cut by a unit that changes sign on it, and both
// parts go on with the units that may still change sign there.
//
// Signs are decided in float64 where they are certain, and exactly where they are not. Bounds of errors of functions are
// those of cells.h, with as many coefficients as there are dimensions. A vertex on hyperplanes with normals N, of length
// 1, has residuals r against them; the true vertex has residuals of at most the hyperplanes' own errors t, so that it lies
// within |inverse of N| (|r| + t). Exact vertices are ratios of determinants of exact functions.
#include "spaces.h"

#include "assemble.h"
#include "exact.h"
#include "sharp.h"

namespace jaxgeom {

struct KnownPoint { std::vector<Exact> at; };  // homogeneous, the last entry positive

namespace {

// From which share of the gradients on errors of functions are too large.
constexpr double kBlurred = 0x1p-16, kMapDigits = 1e8;
// How far vertices of complexes may be from where they are; most are a thousand times nearer.
constexpr double kPlace = 1e-11;

typedef std::vector<Exact> ExactFunction;  // coefficients, the constant last

struct Entry {  // a cell on its way into a layer: where the functions of the layer's units come from
    const Entry *before;
    int layer;
    const double *rows;      // coefficients, constants and bounds of all units, each of the layer's stride
    const uint64_t *active;  // which units of the layer before are active; behind them, which are zero on all of the cell
    double *sharp;           // rows in twice the precision, null where these are of no use
    mutable bool is_sharp = false;
    mutable double sharp_input = 0, sharp_delta = 0;
    mutable std::vector<std::unique_ptr<ExactFunction>> exact{};
};

// The point that lies on as many hyperplanes as there are dimensions, by determinants; entries are all 0 if there is none.
ExactFunction meet_of(const std::vector<const ExactFunction *> &rows) {
    const int d = static_cast<int>(rows.size());
    std::vector<Exact> minors(size_t(1) << (d + 1));  // of the first rows, under the set of their columns
    minors[0] = Exact(1.0);
    for (unsigned set = 1; set + 1 < 1u << (d + 1); set++) {
        const int k = __builtin_popcount(set);
        int place = 0;
        Exact sum;
        for (unsigned m = set; m; m &= m - 1, place++) {
            const int j = __builtin_ctz(m);
            Exact product = (*rows[k - 1])[j] * minors[set & ~(1u << j)];
            if ((k - 1 + place) & 1) product.negate();
            sum += product;
        }
        minors[set] = std::move(sum);
    }
    ExactFunction point(d + 1);
    const unsigned all = (1u << (d + 1)) - 1;
    for (int j = 0; j <= d; j++) {
        point[j] = std::move(minors[all & ~(1u << j)]);
        if (j & 1) point[j].negate();
    }
    if (point[d].sign() < 0) for (Exact &entry : point) entry.negate();
    return point;
}

// Which of some functions have gradients of full rank together, the first ones first.
std::vector<const ExactFunction *> independent(const std::vector<const ExactFunction *> &rows, int dim) {
    std::vector<const ExactFunction *> found;
    std::vector<ExactFunction> reduced;
    std::vector<int> pivots;
    for (const ExactFunction *row : rows) {
        ExactFunction rest(row->begin(), row->begin() + dim);
        for (size_t k = 0; k < reduced.size(); k++) {
            if (rest[pivots[k]].is_zero()) continue;
            const Exact factor = rest[pivots[k]], lead = reduced[k][pivots[k]];
            for (int i = 0; i < dim; i++) rest[i] = rest[i] * lead - reduced[k][i] * factor;
        }
        int pivot = 0;
        while (pivot < dim && rest[pivot].is_zero()) pivot++;
        if (pivot == dim) continue;
        found.push_back(row), reduced.push_back(std::move(rest)), pivots.push_back(pivot);
        if (static_cast<int>(found.size()) == dim) break;
    }
    return found;
}

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
    bool is_degenerate = false;
    Sparse sparse{};
    int dim() const { return shape.dim(); }
    int plane_of(int l, int unit) const { return 2 * dim() + net.unit_offsets[l] + unit; }

    // ---- exact decisions

    static double factor_below(const Entry &entry, const Layer &below, int i) {
        return below.slope[i] == 1 || has_bit(entry.active, i) ? 1 : below.slope[i];
    }
    const ExactFunction &exact_row(const Entry *entry, int unit) {
        const Layer &layer = net.layers[entry->layer];
        if (entry->exact.empty()) entry->exact.resize(layer.out);
        if (entry->exact[unit]) return *entry->exact[unit];
        std::unique_ptr<ExactFunction> row(new ExactFunction(dim() + 1));
        row->back() = Exact(layer.offsets[unit]);
        for (const auto &[i, weight] : sparse.column(net, entry->layer, unit)) {
            if (entry->layer == 0) {
                (*row)[i] = Exact(weight);
                continue;
            }
            const double slope = factor_below(*entry, net.layers[entry->layer - 1], i);
            if (slope == 0) continue;
            const Exact factor = slope == 1 ? Exact(weight) : Exact(weight) * Exact(slope);
            const ExactFunction &below = exact_row(entry->before, i);
            for (int s = 0; s <= dim(); s++) (*row)[s] += factor * below[s];
        }
        entry->exact[unit] = std::move(row);
        return *entry->exact[unit];
    }
    double end_of(int side) const { return side % 2 ? box.high[side / 2] : box.low[side / 2]; }
    ExactFunction side(int i) const {
        ExactFunction row(dim() + 1);
        row[i / 2] = Exact(1.0);
        row.back() = Exact(-end_of(i));
        return row;
    }
    const ExactFunction &exact_point(const Polytope &cell, int v) {
        SpacePoint &point = *cell.point[v];
        if (point.known) return point.known->at;
        const uint64_t *on = cell.on + v * shape.words();
        std::vector<ExactFunction> sides;
        sides.reserve(2 * dim());  // so that they stay where they are
        const auto function = [&](const Plane &plane) {
            if (plane.entry) return &exact_row(static_cast<const Entry *>(plane.entry), plane.unit);
            sides.push_back(side(plane.unit));
            return static_cast<const ExactFunction *>(&sides.back());
        };
        const Plane *chosen[kMostDimensions];
        shape.choose(on, planes, chosen, arena);
        std::vector<const ExactFunction *> rows;
        for (int k = 0; k < dim(); k++) rows.push_back(function(*chosen[k]));
        ExactFunction at = meet_of(rows);
        if (at.back().is_zero()) {
            rows.clear(), sides.clear();
            shape.for_each(on, [&](int plane) { rows.push_back(function(planes[plane])); });
            at = meet_of(independent(rows, dim()));
        }
        point.known = new KnownPoint{std::move(at)};
        return point.known->at;
    }
    int exact_sign(const Entry &entry, int unit, const Polytope &cell, int v) {
        const ExactFunction &row = exact_row(&entry, unit), &at = exact_point(cell, v);
        Exact sum;
        for (int s = 0; s <= dim(); s++) sum += row[s] * at[s];
        if (sum.sign() == 0) is_degenerate = true;
        return sum.sign();
    }
    bool is_zero_row(const Entry &entry, int unit) {
        for (const Exact &number : exact_row(&entry, unit)) if (!number.is_zero()) return false;
        return true;
    }
    static void forget(SpacePoint *points, int num) {
        for (int i = 0; i < num; i++) delete points[i].known;
    }

    double value(const double *row, int stride, const double *x) const {
        double sum = row[dim() * stride];
        for (int i = 0; i < dim(); i++) sum += row[i * stride] * x[i];
        return sum;
    }
    double size_of(const double *row, int stride) const {  // of the gradient, or more
        double sum = 0;
        for (int i = 0; i < dim(); i++) sum += std::fabs(row[i * stride]);
        return sum;
    }
    int sign_at(const Entry &entry, int unit, const double *row, int stride, const Polytope &cell, int v) {
        const double z = value(row, stride, cell.x + v * dim()), tolerance = row[(dim() + 1) * stride] + size_of(row, stride) * cell.e[v];
        return z > tolerance ? 1 : -z > tolerance ? -1 : exact_sign(entry, unit, cell, v);
    }

    // ---- functions in twice the precision

    void sharpen(const Entry &entry) {
        if constexpr (D > 0) {
            if (entry.is_sharp) return;
            constexpr int N = D + 1;
            const Layer &layer = net.layers[entry.layer];
            const int p = layer.stride;
            entry.is_sharp = true;
            if (entry.layer == 0) {
                std::memcpy(entry.sharp, layer.kernel, sizeof(double) * D * p);
                std::memcpy(entry.sharp + D * p, layer.bias, sizeof(double) * p);
                std::memset(entry.sharp + N * p, 0, sizeof(double) * N * p);
                entry.sharp_delta = kFloor;
                return;
            }
            sharpen(*entry.before);
            const Layer &below = net.layers[entry.layer - 1];
            const double *parts = entry.before->sharp;
            const int q = below.stride;
            const auto mark = arena.mark();
            Input<N> *inputs = arena.take<Input<N>>(below.out);
            int n = 0;
            double squares = 0;
            for (int i = 0; i < below.out; i++) {
                const double factor = factor_below(entry, below, i);
                if (factor == 0) continue;
                Input<N> &input = inputs[n++];
                input.unit = i;
                for (int s = 0; s < N; s++) {
                    input.value[s] = times(factor, parts[s * q + i], parts[(N + s) * q + i]);
                    squares += input.value[s].high * input.value[s].high;
                }
            }
            const bool is_safe = squares < 1e250;
            if (is_safe) sharp_rows<N>(layer, n, inputs, entry.sharp);
            else std::memset(entry.sharp, 0, sizeof(double) * 2 * N * p);
            arena.release(mark);
            const double g = sharp_rounding(layer.in), h = g * std::sqrt(N * squares) * 1.0001 + kFloor, delta = entry.before->sharp_delta * below.steepest;
            entry.sharp_input = is_safe ? delta + h : 1e290;
            entry.sharp_delta = is_safe ? layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor : 1e290;
        }
    }
    // Rows rounded from twice the precision, with their bounds; returns that of the errors of all of them.
    double use_sharp(const Entry &entry, double *rows) {
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        sharpen(entry);
        std::memcpy(rows, entry.sharp, sizeof(double) * (dim() + 1) * p);
        double squares = 0;
        for (int j = 0; j < p; j++) {
            double size = 0;
            for (int s = 0; s <= dim(); s++) size += std::fabs(rows[s * p + j]), squares += rows[s * p + j] * rows[s * p + j];
            rows[(dim() + 1) * p + j] = layer.column_norm[j] * entry.sharp_input + sharp_rounding(layer.in) * std::fabs(layer.bias[j]) + rounding() * size + kFloor;
        }
        return entry.sharp_delta + 2 * kEps * std::sqrt(squares) + kFloor;
    }
    bool can_sharpen = false;
    double rounding() const { return (dim() + 6) * kEps; }  // of a function's value, relative to its coefficients

    bool is_blurred(const Layer &layer, const double *rows, double input) const {
        double slope = 0, bound = 0;
        for (int j = 0; j < layer.out; j++) slope += size_of(rows + j, layer.stride), bound += layer.column_norm[j];
        return input * bound > kBlurred * slope;
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
    int64_t enter(int l, Polytope &cell, double *rows, double delta, double squares, const Entry *before, const uint64_t *active) {
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
            bound[j] = !is_safe ? 1e280 : (l ? layer.column_norm[j] * (delta + h) + g * std::fabs(layer.bias[j]) : 0) + rounding() * size + kFloor;
        }
        const double input = delta + h;
        const Entry entry{before, l, rows, active, can_sharpen && (Build || net.num_layers > 2) ? arena.take<double>(2 * N * p) : nullptr};
        if (!is_safe) delta = 1e290;
        else if (l > 1 && entry.sharp && is_blurred(layer, rows, input)) delta = use_sharp(entry, rows);
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
    double contribute(const Entry &entry, int unit, double factor, double *next) {
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
    double decide(const Entry &entry, int unit, int side, double *next, uint64_t *bits) {
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
    int side_of(const Entry &entry, int unit, const double *row, int stride, Polytope &cell) {
        if (size_of(row, stride) == 0 && row[dim() * stride] == 0 && is_zero_row(entry, unit)) {
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
    int make_plane(const Entry &entry, int unit, const double *row, int stride) {
        const int number = plane_of(entry.layer, unit);
        Plane &plane = planes[number];
        double squares = 0;
        for (int i = 0; i < dim(); i++) squares += row[i * stride] * row[i * stride];
        const double inverse = squares > 0 ? 1 / std::sqrt(squares) : 1;
        for (int i = 0; i < dim(); i++) plane.normal[i] = row[i * stride] * inverse;
        plane.offset = row[dim() * stride] * inverse;
        plane.tolerance = row[(dim() + 1) * stride] * inverse * 1.001 + rounding() * (2 + std::fabs(plane.offset));
        plane.entry = &entry, plane.unit = unit;
        return number;
    }

    int64_t cut(const Entry &entry, Polytope &cell, int units, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
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
    bool touches(const Entry &entry, int unit, const double *row, int stride, const Polytope &cell) {
        bool found = false;
        for (int v = 0; v < cell.num_vertices; v++) found |= sign_at(entry, unit, row, stride, cell, v) == 0;
        return found;
    }
    // A cell cut by the last of some units.
    int64_t halves(const Entry &entry, Polytope &cell, int last, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
        const int which = unit[last], l = entry.layer;
        const Layer &layer = net.layers[l];
        const double *row = rows + last;
        double *z = arena.take<double>(cell.num_vertices);
        int8_t *sign = arena.take<int8_t>(cell.num_vertices);
        const int plane = make_plane(entry, which, row, stride);
        for (int v = 0; v < cell.num_vertices; v++) {
            z[v] = value(row, stride, cell.x + v * dim()), sign[v] = static_cast<int8_t>(sign_at(entry, which, row, stride, cell, v));
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
    int64_t half(const Entry &entry, Polytope &cell, int units, const double *rows, int stride, const int *unit, double *next, uint64_t *bits, double delta, double squares) {
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
            const ExactFunction &at = exact_point(fresh, v);
            for (int i = 0; i < dim(); i++) fresh.x[v * dim() + i] = ratio(at[i], at.back()) / net.unit;
            fresh.e[v] = 8 * kEps;
        }
    }
    bool is_at_surface(const Polytope &cell, const Entry &last) const {
        const int plane = plane_of(net.depth - 1, 0), words = (net.layers[net.depth - 1].out + 63) >> 6;
        if (has_bit(last.active + words, 0)) return true;
        for (int v = 0; v < cell.num_vertices; v++) if (has_bit(cell.on + v * shape.words(), plane)) return true;
        return false;
    }
    // Whether the first unit of the last hidden layer is certainly not zero on a cell that units of the layer before may
    // still cut: by the range of what is settled, and of each of the others.
    bool is_off_surface(const Entry &entry, const Polytope &cell, int units, const double *rows, int stride, const int *unit, const double *next, double delta) const {
        const Layer &layer = net.layers[entry.layer], &above = net.layers[entry.layer + 1];
        double low = 1e300, high = -1e300, size = std::fabs(above.bias[0]);
        for (int v = 0; v < cell.num_vertices; v++) {
            const double z = value(next, above.stride, cell.x + v * dim());
            low = std::min(low, z), high = std::max(high, z);
        }
        for (int s = 0; s <= dim(); s++) size += std::fabs(next[s * above.stride]);
        for (int k = 0; k < units; k++) {
            double least = 0, most = 0;  // of its activation; it is zero somewhere
            const double weight = above.kernel[static_cast<size_t>(unit[k]) * above.stride], slope = layer.slope[unit[k]];
            for (int v = 0; v < cell.num_vertices; v++) {
                const double z = value(rows + k, stride, cell.x + v * dim()), activation = z > 0 ? z : slope * z;
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
    void emit(const Polytope &cell, const Entry &last) {
        if (at_surface && !is_at_surface(cell, last)) return;
        const Layer &output = net.layers[net.depth];
        const int p = output.stride, N = dim() + 1;
        const Entry *above = &last;
        for (int l = net.depth - 1; l >= 0; l--, above = above->before) writer->set_layer(l, above->active);
        cells->num_cells.fetch_add(1, std::memory_order_relaxed);
        writer->add(cell);
        for (int j = 0; j < output.out; j++) {
            const double *row = last.rows + j;
            double size = 0;
            for (int s = 0; s < N; s++) size = std::max(size, std::fabs(row[s * p]));
            if (size > kMapDigits * row[N * p] && size < 1e280) {
                for (int s = 0; s < N; s++) writer->list->maps.push_back(std::ldexp(row[s * p], net.output_exponent - (s < dim() ? net.unit_exponent : 0)));
            } else {
                const Exact one(1.0);
                for (const Exact &number : exact_row(&last, j)) writer->list->maps.push_back(ratio(number, one));
            }
        }
    }

    int64_t run() {
        const int d = dim();
        can_sharpen = D > 0 && !net.is_sparse;
        for (int l = 0; l < net.depth; l++) can_sharpen = can_sharpen && net.layers[l].steepest < 1e100;
        const auto mark = arena.mark();
        const int corners = 1 << d;
        Polytope cell = shape.take(arena, corners, d * corners / 2);
        SpacePoint *points = arena.take<SpacePoint>(corners);
        for (int i = 0; i < 2 * d; i++) {
            Plane &plane = planes[i];
            std::fill(plane.normal, plane.normal + d, 0.0);
            plane.normal[i / 2] = 1, plane.offset = -end_of(i) / net.unit;
            plane.tolerance = 2 * kEps + kFloor, plane.entry = nullptr, plane.unit = i;
        }
        cell.num_vertices = corners;
        for (int v = 0; v < corners; v++) {
            ExactFunction at;
            std::fill(cell.on + v * shape.words(), cell.on + (v + 1) * shape.words(), 0);
            for (int i = 0; i < d; i++) {
                const int end = v >> (d - 1 - i) & 1;
                const double x = end_of(2 * i + end);
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

struct Ready {  // a network on a box
    Arena &arena = own_arena();
    const Arena::Mark mark = arena.mark();
    const int dim;
    Network net;
    int words;
    Plane *planes = nullptr;
    Ready(const Source &source, int64_t index, const Box &box) : dim(static_cast<int>(source.widths[0])) {
        double size = 0;
        for (int i = 0; i < dim; i++) size = std::max({size, std::fabs(box.low[i]), std::fabs(box.high[i])});
        net = load_network(source, index, unit_exponent_of(size), arena);
        const int num = 2 * dim + static_cast<int>(num_units(source));
        words = (num + 63) >> 6;
        if (net.is_finite) planes = arena.take<Plane>(num);
    }
    ~Ready() { arena.release(mark); }
};

// job(shape), with the dimension known to the compiler for the most frequent ones.
template <class Job>
auto with_shape(int dim, int words, const Job &job) {
    if (dim == 3) return job(Shape<3, 0>{dim, words});
    if (dim == 4) return job(Shape<4, 0>{dim, words});
    return job(Shape<0, 0>{dim, words});
}

// How often a complex is cut before threads share what is left of it: lists should have many cells, since what they have
// in common is found twice.
int split_level_of(const Source &source) {
    return static_cast<int>(std::clamp<int64_t>(num_units(source) / 8, 2, kSplitLevel));
}

}  // namespace

Counted count_in_box(const Source &source, int64_t index, const Box &box, const std::atomic<int> *stop, SpaceShare *share) {
    const Ready ready(source, index, box);
    if (!ready.net.is_finite) {
        if (share) share->is_finite = false;
        return {-1, false};
    }
    return with_shape(ready.dim, ready.words, [&](auto shape) {
        Walk<decltype(shape)::kDim, decltype(shape)::kWords, false> walk{ready.net, box, shape, ready.arena, stop, ready.planes};
        if (share) walk.claims = share->claims.get();
        const int64_t cells = walk.run();
        if (share) {
            share->cells += cells;
            if (walk.is_degenerate) share->is_degenerate = true;
        }
        return Counted{cells, walk.is_degenerate};
    });
}

SpaceArrays cells_in_box(const Source &source, int64_t index, const Box &box, int64_t max_cells, bool at_surface, int threads, const std::atomic<int> *stop) {
    const Ready ready(source, index, box);
    SpaceArrays out;
    out.is_finite = ready.net.is_finite;
    if (!out.is_finite) return out;
    with_shape(ready.dim, ready.words, [&](auto shape) {
        constexpr int D = decltype(shape)::kDim, W = decltype(shape)::kWords;
        CellShare share{max_cells};
        const auto walk = [&](const Ready &own, bool is_shared) {
            CellWriter<D, W> writer(own.net, box, shape);
            Walk<D, W, true> walk{own.net, box, shape, own.arena, stop, own.planes};
            walk.writer = &writer, walk.cells = &share, walk.at_surface = at_surface && source.depth > 0;
            if (is_shared) {
                walk.claims = share.claims.get(), walk.split_level = split_level_of(source);
            } else {
                share.lists[0].reset(new CellList(shape.words()));
                writer.list = share.lists[0].get();
            }
            walk.run();
            if (walk.is_degenerate) share.is_degenerate = true;
        };
        if (threads == 1 || !share_among(threads, [&] { walk(Ready(source, index, box), true); })) walk(ready, false);
        out.is_degenerate = share.is_degenerate;
        out.is_part = at_surface && source.depth > 0;
        out.num_cells = share.num_cells;
        out.is_complete = out.num_cells <= max_cells;
        if (!out.is_complete) out.num_cells = max_cells + 1;
        if (!out.is_complete || (stop && *stop)) return 0;
        std::vector<CellList> lists;
        for (auto &list : share.lists) if (list && !list->cells.empty()) lists.push_back(std::move(*list)), list.reset();
        if (lists.empty()) lists.emplace_back(shape.words());
        assemble(ready.net, shape, lists, threads, out);
        return 0;
    });
    return out;
}

}  // namespace jaxgeom
