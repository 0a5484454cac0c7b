// The cells of a network in the plane, one after the other: a recursion that cuts a convex polygon by one unit after the
// other, layer by layer. A cell knows the affine functions of the current layer's units on it; it is cut by a unit that
// changes sign on it, and each half goes on with the units that may still change sign there.
//
// Signs are decided in float64 where they are certain, and exactly (exact.h) where they are not.
//
// Bounds of errors. On a cell, the pre-activations are a x + b y + c w with vectors a, b, c over the units; points are
// homogeneous with entries of at most 1, so that w = 1 on bounded domains and w = 0 at infinity. delta bounds
// |da| + |db| + |dc| (Euclidean lengths over the units): it follows from that of the layer before by the spectral norm
// of the kernel and by the rounding of the sums. A unit's own bound t follows by the length of its column. Edges know
// the unit normal n of their line, computed from such functions: dn bounds its distance from the true one. A computed
// vertex p has residuals |n . p| against both of its lines, and so lies within e = (sum of residuals) / sine of the true
// one. The sign of a x + b y + c w at p is certain if it exceeds t + (|a| + |b| + |c|) e.
//
// The sign of a unit at a point is the same seen from all cells around the point, since pre-activations are continuous.
// Exact signs therefore belong to points: the network is evaluated there in exact arithmetic, once.
#pragma once

#include <atomic>
#include <thread>

#include "exact.h"
#include "network.h"
#include "planes.h"
#include "sharp.h"

namespace jaxgeom {

// From which share of the gradients on errors are too large.
constexpr double kBlurred = 0x1p-16, kRounded = 0x1p-36;

struct Row {  // a unit's function on a cell, without rounding
    double a, b, c;
    bool is_plain;  // whether these are it
    bool is_built;  // whether the next ones are
    ExactVector exact;
};

class Rows {  // exact rows of cells, used again and again
  public:
    Row *take() {
        if (free_.empty()) {
            all_.emplace_back(new Row);
            return all_.back().get();
        }
        Row *row = free_.back();
        free_.pop_back();
        return row;
    }
    Row **take(int l, int n) {  // one place for each unit of a layer
        if (static_cast<int>(free_places_.size()) <= l) free_places_.resize(l + 1);
        if (free_places_[l].empty()) {
            all_places_.emplace_back(new Row *[n]());
            return all_places_.back().get();
        }
        Row **places = free_places_[l].back();
        free_places_[l].pop_back();
        return places;
    }
    void give_back(int l, int n, Row **places) {
        for (int i = 0; i < n; i++) {
            if (places[i]) free_.push_back(places[i]);
            places[i] = nullptr;
        }
        free_places_[l].push_back(places);
    }

  private:
    std::vector<std::unique_ptr<Row>> all_;
    std::vector<Row *> free_;
    std::vector<std::unique_ptr<Row *[]>> all_places_;
    std::vector<std::vector<Row **>> free_places_;
};

struct Entry {  // a cell on its way into a layer: where the functions of the layer's units come from
    const Entry *before;
    int layer;
    const double *rows;          // a, b, c of all units, each of the layer's stride
    const uint64_t *active;      // which units of the layer before are active
    mutable Row **exact; // rows without rounding, each made when first needed
    double *sharp;       // rows in twice the precision (sharp.h), null where these are of no use
    mutable bool is_sharp = false;                    // whether they are known
    mutable double sharp_input = 0, sharp_delta = 0;  // bounds of errors: of what the layer gets, and of its rows
};

enum Sharpness : int8_t { kNotAsked, kNotSharp, kIsSharp };  // of what has been asked for in twice the precision

struct Line {
    double nx, ny, nw, dn, tolerance;  // tolerance: of |n . p| for a point p with entries of at most 1
    const Entry *entry;  // null: a side of the domain's faces, from corner to corner
    int unit, from, to;
    bool is_artificial;  // between two faces of the domain
    // The function in twice the precision and a bound of its errors, once they have been asked for.
    mutable Sharpness sharpness = kNotAsked;
    mutable double sharp_error;
    mutable Pair sharp[3];
};

struct Knowledge {  // what exact arithmetic knows of a point
    ExactVector at;
    std::vector<int8_t> signs;                         // of the pre-activations of all hidden units; 2: not known
    std::vector<std::unique_ptr<Exact>> activations;   // of the units of all hidden layers but the last, as far as needed
};

struct Point {
    const Line *first, *second;
    int corner;
    Knowledge *known;
    // Where it is in twice the precision and a bound of errors, once that has been asked for.
    mutable Sharpness sharpness = kNotAsked;
    mutable double sharp_error;
    mutable Pair sharp[2];
};

struct Vertex {
    double x, y, w, e;
    const Line *line;  // to the following vertex
    Point *point;
    int id, edge;      // when building
};

struct Edge {
    int begin, end, layer, unit;
    int middle = -1, first = -1, second = -1, by_layer = -1, by_unit = -1;  // after its split
};

struct Complex {  // what building collects
    std::vector<double> x, y, w, e;
    std::vector<Edge> edges;
    std::vector<int64_t> face_offsets{0};
    std::vector<int> face_vertices, face_edges;
    std::vector<uint8_t> patterns;
    std::vector<double> maps, area, centroid;
    std::vector<double> outputs;  // at each vertex, NaN until a face needs them
    std::vector<int> chords;      // of two halves that are built apart: each is followed by itself as the other half sees it
    bool is_consistent = true;
};
struct Part {  // of a complex, which is built by itself
    Complex complex;
    std::vector<int> vertices, edges;  // of the whole: the first vertices and edges of the part
};

struct Tally {
    int64_t cells = 0, artificial = 0, central_cells = 0, central_edges = 0;
    bool is_degenerate = false;
};

// What one of several threads that share the lines of a cell has found, made that of all of them.
inline bool agree(Share &share, const std::atomic<int> *stop, bool is_certain, int &trouble, int64_t &pairs, int64_t &ends) {
    if (!is_certain) {
        share.row = INT32_MAX / 2;  // the others need not go on
        int seen = share.trouble;
        while (trouble < seen && !share.trouble.compare_exchange_weak(seen, trouble)) {}
    }
    share.pairs += pairs, share.ends += ends;
    share.finished++;
    while (share.finished < share.threads && !(stop && *stop)) std::this_thread::yield();  // one that was stopped early never comes
    trouble = share.trouble, pairs = share.pairs, ends = share.ends;
    return trouble == INT32_MAX;
}

template <bool Plane, bool Build>
struct Cutter {
    const Network &net;
    const Domain &domain;
    Arena &arena;
    const std::atomic<int> *stop;
    Tally tally{};
    Complex *complex = nullptr;
    std::vector<Part> *parts = nullptr;      // of the complex, one for each subtree
    std::atomic<uint8_t> *claims = nullptr;  // subtrees that threads share
    Share *share = nullptr;  // where threads share the lines of the one cell of a single layer
    int split_level = 0, level = 0, number = 0;
    int num_units = 0;

    // ---- exact decisions

    // The function of a unit on a cell without rounding: as doubles where these hold it, which they do where weights are
    // short (as of lattices, minima and maxima), and else exactly.
    Row &row(const Entry *entry, int unit) {
        const Layer &layer = net.layers[entry->layer];
        if (!entry->exact) entry->exact = rows.take(entry->layer, layer.out);
        if (entry->exact[unit]) return *entry->exact[unit];
        Row *row = rows.take();
        row->a = row->b = 0, row->c = layer.offsets[unit], row->is_plain = true, row->is_built = false;
        if (entry->layer == 0) {
            row->a = layer.weights[unit], row->b = layer.weights[layer.out + unit];
            row->is_plain = is_moderate(row->a) && is_moderate(row->b) && is_moderate(row->c);
            if (!row->is_plain) row->exact = {Exact(row->a), Exact(row->b), Exact(row->c)}, row->is_built = true;
        } else {
            const Layer &below = net.layers[entry->layer - 1];
            const auto &column = sparse.column(net, entry->layer, unit);
            for (const auto &[i, weight] : column) {
                const double factor = factor_below(*entry, below, i);
                if (factor == 0) continue;
                const Row &other = this->row(entry->before, i);
                row->is_plain = row->is_plain && other.is_plain && factor == 1 && is_power_of_two(weight) && add_plainly(row->a, weight * other.a) &&
                                add_plainly(row->b, weight * other.b) && add_plainly(row->c, weight * other.c);
                if (!row->is_plain) break;
            }
            if (!row->is_plain) {
                row->exact = {Exact(), Exact(), Exact(layer.offsets[unit])};
                for (const auto &[i, weight] : column) {
                    const double slope = factor_below(*entry, below, i);
                    if (slope == 0) continue;
                    const Exact factor = slope == 1 ? Exact(weight) : Exact(weight) * Exact(slope);
                    const ExactVector &other = exact_row(entry->before, i);
                    row->exact.x += factor * other.x, row->exact.y += factor * other.y, row->exact.w += factor * other.w;
                }
                row->is_built = true;
            }
        }
        entry->exact[unit] = row;
        return *row;
    }
    const ExactVector &exact_row(const Entry *entry, int unit) {
        Row &found = row(entry, unit);
        if (!found.is_built) found.exact = {Exact(found.a), Exact(found.b), Exact(found.c)}, found.is_built = true;
        return found.exact;
    }
    bool is_zero_row(const Entry *entry, int unit) {
        const Row &found = row(entry, unit);
        return found.is_plain ? found.a == 0 && found.b == 0 && found.c == 0 : is_zero(found.exact);
    }
    static double factor_below(const Entry &entry, const Layer &below, int i) {
        return below.slope[i] == 1 || (entry.active[i >> 6] >> (i & 63) & 1) ? 1 : below.slope[i];
    }
    static bool is_power_of_two(double weight) {
        int exponent;
        return std::fabs(std::frexp(weight, &exponent)) == 0.5 && exponent > -500 && exponent < 500;
    }
    static bool add_plainly(double &sum, double term) {  // false if that rounds
        const double total = sum + term, part = total - sum, error = (sum - (total - part)) + (term - part);
        sum = total;
        return error == 0 && is_moderate(total) && is_moderate(term);
    }
    static bool is_moderate(double x) { return x == 0 || (std::fabs(x) > 1e-150 && std::fabs(x) < 1e150); }
    ExactVector corner(int index) const {
        const Corner &c = domain.corners[index];
        return {Exact(c.x), Exact(c.y), Exact(c.w)};
    }
    ExactVector exact_line(const Line *line) {
        return line->entry ? exact_row(line->entry, line->unit) : cross(corner(line->from), corner(line->to));
    }
    Knowledge &knowledge(Point *point) {
        if (point->known) return *point->known;
        auto *known = new Knowledge;
        point->known = known;
        if (point->corner >= 0) {
            known->at = corner(point->corner);
        } else {
            known->at = cross(exact_line(point->first), exact_line(point->second));
            bool is_opposite = known->at.w.sign() < 0;
            if (known->at.w.is_zero()) {  // on a side at infinity, between two directions less than 180 degrees apart
                const Line *side = point->first->entry ? point->second : point->first;
                const ExactVector from = corner(side->from), to = corner(side->to);
                is_opposite = (known->at.x * (from.x + to.x) + known->at.y * (from.y + to.y)).sign() < 0;
            }
            if (is_opposite) known->at.x.negate(), known->at.y.negate(), known->at.w.negate();
        }
        known->signs.assign(num_units, 2);
        known->activations.resize(net.unit_offsets[Build ? net.depth : std::max(net.depth - 1, 0)]);
        return *known;
    }
    Exact pre_activation(Knowledge &known, int l, int unit) {
        const Layer &layer = net.layers[l];
        Exact sum = Exact(layer.offsets[unit]) * known.at.w;
        if (l == 0) {
            return sum + Exact(layer.weights[unit]) * known.at.x + Exact(layer.weights[layer.out + unit]) * known.at.y;
        }
        for (const auto &[i, weight] : sparse.column(net, l, unit)) {
            const Exact &value = activation(known, l - 1, i);
            if (!value.is_zero()) sum += Exact(weight) * value;
        }
        return sum;
    }
    const Exact &activation(Knowledge &known, int l, int unit) {
        std::unique_ptr<Exact> &place = known.activations[net.unit_offsets[l] + unit];
        if (!place) {
            const double slope = net.layers[l].slope[unit];
            int8_t &sign = known.signs[net.unit_offsets[l] + unit];
            if (sign == 0 || (sign < 0 && slope == 0)) {
                place.reset(new Exact);
            } else {
                place.reset(new Exact(pre_activation(known, l, unit)));
                sign = static_cast<int8_t>(place->sign());
                if (sign < 0 && slope != 1) *place = slope == 0 ? Exact() : *place * Exact(slope);
            }
        }
        return *place;
    }
    // Two ways to the same sign: through the network at the point, which pays where many units are zero there, or by the
    // unit's own function on the cell, which pays where weights are few.
    int exact_sign(const Entry &entry, int unit, Point *point) {
        const int l = entry.layer;
        if (!point->known) {  // what is known exactly of a point serves all units
            const int found = sharp_sign(entry, unit, point);
            if (found) return found;
        }
        Knowledge &known = knowledge(point);
        int8_t &sign = known.signs[net.unit_offsets[l] + unit];
        if (sign == 2) {
            if (net.is_sparse || net.has_runs) sign = static_cast<int8_t>(dot(exact_row(&entry, unit), known.at).sign());
            else if (l + 1 < net.depth) activation(known, l, unit);
            if (sign == 2) sign = static_cast<int8_t>(pre_activation(known, l, unit).sign());
        }
        if (sign == 0) tally.is_degenerate = true;
        return sign;
    }
    Sparse sparse{};
    Rows rows{};

    static double value(double a, double b, double c, const Vertex &v) {
        return Plane ? a * v.x + (b * v.y + c * v.w) : a * v.x + (b * v.y + c);
    }
    int sign_at(const Entry &entry, int unit, double a, double b, double c, double t, const Vertex &v) {
        const double z = value(a, b, c, v), tolerance = t + (std::fabs(a) + std::fabs(b) + std::fabs(c)) * v.e;
        if (z > tolerance) return 1;
        if (-z > tolerance) return -1;
        return exact_sign(entry, unit, v.point);
    }

    // ---- functions in twice the precision

    bool can_sharpen = false;  // not where weights are few, nor where slopes are so steep that products overflow
    double *place_of_sharp_rows(int stride) { return can_sharpen && (Build || net.num_layers > 1) ? arena.take<double>((net.has_runs ? 7 : 6) * stride) : nullptr; }
    void sharpen(const Entry &entry) {
        if (entry.is_sharp) return;
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        entry.is_sharp = true;
        if (entry.layer == 0) {
            std::memcpy(entry.sharp, layer.kernel, sizeof(double) * 2 * p);
            std::memcpy(entry.sharp + 2 * p, layer.bias, sizeof(double) * p);
            std::memset(entry.sharp + 3 * p, 0, sizeof(double) * 3 * p);
            entry.sharp_delta = kFloor;
            if (net.has_runs) std::fill(entry.sharp + 6 * p, entry.sharp + 7 * p, kFloor);
            return;
        }
        sharpen(*entry.before);
        if (net.has_runs) return sharpen_by_runs(entry);
        const Layer &below = net.layers[entry.layer - 1];
        const double *parts = entry.before->sharp;
        const int q = below.stride;
        auto mark = arena.mark();
        Input<3> *inputs = arena.take<Input<3>>(below.out);
        int n = 0;
        double squares = 0;
        for (int i = 0; i < below.out; i++) {
            const double factor = factor_below(entry, below, i);
            if (factor == 0) continue;
            Input<3> &input = inputs[n++];
            input.unit = i;
            for (int s = 0; s < 3; s++) {
                input.value[s] = times(factor, parts[s * q + i], parts[(3 + s) * q + i]);
                squares += input.value[s].high * input.value[s].high;
            }
        }
        const bool is_safe = squares < 1e250;  // else nothing is known, as of functions in float64
        if (is_safe) sharp_rows(layer, n, inputs, entry.sharp);
        else std::memset(entry.sharp, 0, sizeof(double) * 6 * p);
        arena.release(mark);
        if (!is_safe) {
            entry.sharp_input = entry.sharp_delta = 1e290;
            return;
        }
        const double g = sharp_rounding(layer.in), h = g * std::sqrt(3 * squares) * 1.0001 + kFloor, delta = entry.before->sharp_delta * below.steepest;
        entry.sharp_input = delta + h;
        entry.sharp_delta = layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor;
    }
    // The same of networks with sparse kernels; behind the functions there is a bound of the error of each.
    void sharpen_by_runs(const Entry &entry) {
        const Layer &layer = net.layers[entry.layer], &below = net.layers[entry.layer - 1];
        const int p = layer.stride, q = below.stride;
        const double *parts = entry.before->sharp, g = sharp_rounding(layer.terms);
        double *bound = entry.sharp + 6 * p, squares = 0;
        std::memset(entry.sharp, 0, sizeof(double) * 6 * p);
        std::memcpy(entry.sharp + 2 * p, layer.bias, sizeof(double) * p);
        for (int j = 0; j < p; j++) bound[j] = g * std::fabs(layer.bias[j]) + kFloor;
        for (int i = 0; i < below.out; i++) {
            const double factor = factor_below(entry, below, i);
            if (factor == 0) continue;
            Input<3> input{i, {}};
            double size = 0;
            for (int s = 0; s < 3; s++) {
                input.value[s] = times(factor, parts[s * q + i], parts[(3 + s) * q + i]);
                size += std::fabs(input.value[s].high);
            }
            squares += size * size;
            add_sharp_runs(*layer.runs, input, std::fabs(factor) * parts[6 * q + i] + g * size, p, entry.sharp);
        }
        entry.sharp_input = entry.sharp_delta = squares < 1e250 ? kFloor : 1e290;
        if (!(squares < 1e250)) std::memset(entry.sharp, 0, sizeof(double) * 6 * p), std::fill(bound, bound + p, 1e280);
    }
    // Whether a bound of the error of what a layer gets is large beside the gradients of its functions, and beside their
    // rounding, which stays.
    bool is_blurred(const Layer &layer, const double *functions, double input, double of_gradients, double of_rounding) const {
        Four slope{}, size{}, bound{};
        const int p = layer.stride;
        const double *bounds = net.has_runs ? functions + 3 * p : layer.column_norm;
        if (net.has_runs) input = 1;
        for (int j = 0; j < p; j += kLanes) {
            add_to(slope, magnitude(load(functions + j)) + magnitude(load(functions + p + j)));
            add_to(size, magnitude(load(functions + 2 * p + j))), add_to(bound, load(bounds + j));
        }
        const double errors = input * total(bound), gradients = total(slope);
        return errors > of_gradients * gradients && errors > of_rounding * (gradients + total(size));
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
                const double z = value(a, b, c, v[k]), tolerance = t + size * v[k].e;
                num_above += z > tolerance, num_below += -z > tolerance;
            }
            if (num_above < nv && num_below < nv) return true;
        }
        return false;
    }

    // A line's function in twice the precision, with a bound of its coefficients' errors, kept in the line; false if
    // nothing is known.
    bool sharpen(const Line &line) {
        if (line.sharpness == kNotAsked) line.sharpness = find_sharp_line(line, line.sharp, line.sharp_error) ? kIsSharp : kNotSharp;
        return line.sharpness == kIsSharp;
    }
    bool find_sharp_line(const Line &line, Pair *function, double &error) {
        if (!line.entry) {
            double p[3], q[3];
            scaled_corner(line.from, p), scaled_corner(line.to, q);
            double size = 0;
            for (int s = 0; s < 3; s++) {
                const int i = (s + 1) % 3, j = (s + 2) % 3;
                function[s] = minus(product_of(p[i], q[j]), product_of(p[j], q[i]));
                size = std::max({size, std::fabs(p[s]), std::fabs(q[s])});
            }
            error = kSharp * size * size;
            return size < 1e60;
        }
        const Entry &entry = *line.entry;
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        if (entry.layer == 0) {
            for (int s = 0; s < 2; s++) function[s] = {layer.kernel[s * p + line.unit], 0};
            function[2] = {layer.bias[line.unit], 0};
            error = kFloor;
            return true;
        }
        if (!entry.sharp) return false;
        sharpen(*entry.before);
        const double delta = entry.before->sharp_delta;
        if (!(delta < 1e280)) return false;
        const Layer &below = net.layers[entry.layer - 1];
        if (net.has_runs) return find_sharp_sum(entry, line.unit, function, error);
        const double squares = sharp_row<3>(layer, line.unit, below, entry.before->sharp, [&](int i) { return factor_below(entry, below, i); }, function);
        const double g = sharp_rounding(layer.in), h = g * std::sqrt(3 * squares) * 1.0001 + kFloor;
        error = layer.column_norm[line.unit] * (delta * below.steepest + h) + g * std::fabs(layer.bias[line.unit]) + kFloor;
        return squares < 1e250;
    }
    bool find_sharp_sum(const Entry &entry, int unit, Pair *function, double &error) {
        const Layer &layer = net.layers[entry.layer], &below = net.layers[entry.layer - 1];
        const double *parts = entry.before->sharp, g = sharp_rounding(layer.terms);
        const int q = below.stride;
        double squares = 0;
        for (int s = 0; s < 3; s++) function[s] = {s == 2 ? layer.bias[unit] : 0, 0};
        error = g * std::fabs(layer.bias[unit]) + kFloor;
        const auto add = [&](int i, double weight) {
            const double factor = factor_below(entry, below, i);
            if (factor == 0 || weight == 0) return;
            double size = 0;
            for (int s = 0; s < 3; s++) {
                const Pair value = times(factor, parts[s * q + i], parts[(3 + s) * q + i]);
                size += std::fabs(value.high);
                function[s] = plus(function[s], times(value, {weight, 0}));
            }
            squares += size * size;
            error += 1.0001 * std::fabs(weight) * (std::fabs(factor) * parts[6 * q + i] + g * size);
        };
        const Runs &runs = *layer.runs;
        if (!runs.column_offsets) {
            for (int i = 0; i < below.out; i++) add(i, layer.kernel[static_cast<size_t>(i) * layer.stride + unit]);
        } else {
            for (int64_t k = runs.column_offsets[unit]; k < runs.column_offsets[unit + 1]; k++) add(runs.column_inputs[k], std::ldexp(runs.column_weights[k], runs.shift));
        }
        return squares < 1e250;
    }
    // Where a point is, in the units of vertices, kept in the point; false if that is not known much better than in float64.
    bool sharpen(const Point &point) {
        if (point.sharpness == kNotAsked) point.sharpness = find_sharp_point(&point, point.sharp[0], point.sharp[1], point.sharp_error) ? kIsSharp : kNotSharp;
        return point.sharpness == kIsSharp;
    }
    bool find_sharp_point(const Point *point, Pair &x, Pair &y, double &error) {
        if (point->corner >= 0) {
            double p[3];
            scaled_corner(point->corner, p);
            x = {p[0], 0}, y = {p[1], 0}, error = 0;
            return p[2] == 1;
        }
        if (!sharpen(*point->first) || !sharpen(*point->second)) return false;
        const Pair *f = point->first->sharp, *g = point->second->sharp;
        const double f_error = point->first->sharp_error, g_error = point->second->sharp_error;
        const double f_size = std::max({std::fabs(f[0].high), std::fabs(f[1].high), std::fabs(f[2].high)});
        const double g_size = std::max({std::fabs(g[0].high), std::fabs(g[1].high), std::fabs(g[2].high)});
        if (!(f_size < 1e60 && g_size < 1e60 && f_size > 1e-60 && g_size > 1e-60)) return false;
        const Pair across = minus(times(f[1], g[2]), times(f[2], g[1])), up = minus(times(f[2], g[0]), times(f[0], g[2]));
        const Pair w = minus(times(f[0], g[1]), times(f[1], g[0]));
        const double of_products = 3 * (f_size * g_error + g_size * f_error + f_error * g_error) + 4 * kSharp * f_size * g_size;
        const double size_of_w = std::fabs(w.high);
        if (!(size_of_w > 1e6 * of_products)) return false;
        x = quotient(across, w), y = quotient(up, w);
        const double size = std::max({std::fabs(x.high), std::fabs(y.high), 1.0});
        error = 3 * size * (of_products / size_of_w + kSharp);
        return error < kEps * size && size < 1e60;
    }
    // The sign of a unit at a point in twice the precision; 0 where that does not decide.
    int sharp_sign(const Entry &entry, int unit, const Point *point) {
        const Line line{0, 0, 0, 0, 0, &entry, unit, 0, 0, false, kNotAsked, 0, {}};
        if (Plane || !can_sharpen || !sharpen(line) || !sharpen(*point)) return 0;
        double bound;
        const double z = sharp_value(line.sharp, line.sharp_error, *point, bound);
        return z > bound ? 1 : -z > bound ? -1 : 0;
    }
    void scaled_corner(int index, double *p) const {
        const Corner &c = domain.corners[index];
        const double scale = c.w != 0 ? net.unit : 1;
        p[0] = c.x / scale, p[1] = c.y / scale, p[2] = c.w;
    }

    // ---- geometry

    static Line line_of(double a, double b, double c, double t, const Entry *entry, int unit) {
        const double inverse = 1 / std::sqrt(a * a + b * b + c * c), dn = 2 * t * inverse + 8 * kEps;
        return {a * inverse, b * inverse, c * inverse, dn, 2 * dn + 8 * kEps, entry, unit, 0, 0, false, kNotAsked, 0, {}};
    }
    // Where a line meets the edge from u to v, between values of opposite signs.
    static void meet(const Vertex &u, const Vertex &v, double zu, double zv, const Line &f, Vertex &p) {
        double share = zu / (zu - zv);
        if (!(share >= 0 && share <= 1)) share = 0.5;  // signs were decided exactly, against rounding
        p.x = u.x + share * (v.x - u.x), p.y = u.y + share * (v.y - u.y), p.w = 1;
        if (Plane) {
            p.w = u.w + share * (v.w - u.w);
            const double inverse = 1 / std::max({std::fabs(p.x), std::fabs(p.y), p.w});
            p.x *= inverse, p.y *= inverse, p.w *= inverse;
        }
        const Line &g = *u.line;
        const double rf = std::fabs(f.nx * p.x + (f.ny * p.y + f.nw * p.w)) + f.tolerance;
        const double rg = std::fabs(g.nx * p.x + (g.ny * p.y + g.nw * p.w)) + g.tolerance;
        const double cx = f.ny * g.nw - f.nw * g.ny, cy = f.nw * g.nx - f.nx * g.nw, cw = f.nx * g.ny - f.ny * g.nx;
        const double sine = std::sqrt(cx * cx + cy * cy + cw * cw) - 1.01 * (f.dn + g.dn) - 8 * kEps;
        p.e = sine > 0 ? 1.0001 * (rf + rg) / sine : 1e30;
        if (!(p.e < 0.5)) p.e = 1e30;  // on the whole plane, it might be the opposite point
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
            const Entry last{before, l, rows, active, nullptr, place_of_sharp_rows(p)};
            if (claim()) {
                if (claims) begin_part(nv, v);
                emit(nv, v, last, delta, squares);
                if (claims) end_part();
            }
            forget(last);
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
        const Entry entry{before, l, rows, active, nullptr, place_of_sharp_rows(p)};
        if (l > 1 && is_safe && entry.sharp && is_blurred(layer, rows, delta + h, kBlurred, kRounded) && is_open(layer, rows, nv, v)) {
            sharpen(entry);
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
        if (next) for (int i = 0; i < layer.num_linear; i++) sum += contribute(entry, layer.linear[i], 1.0, next);
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
        forget(entry);
        arena.release(mark);
        return n;
    }
    void forget(const Entry &entry) {
        if (entry.exact) rows.give_back(entry.layer, net.layers[entry.layer].out, entry.exact);
    }

    // Adds factor times a unit's activation to the next layer's functions; returns its squares.
    double contribute(const Entry &entry, int unit, double factor, double *next) {
        const Layer &layer = net.layers[entry.layer], &above = net.layers[entry.layer + 1];
        const int p = above.stride;
        const double a = factor * entry.rows[unit], b = factor * entry.rows[layer.stride + unit], c = factor * entry.rows[2 * layer.stride + unit];
        if (net.has_runs) {
            add_runs(above, unit, a, b, c, std::fabs(factor) * entry.rows[3 * layer.stride + unit], next);
            return a * a + b * b + c * c;
        }
        const double *k = above.kernel + static_cast<size_t>(unit) * p;
        for (int j = 0; j < p; j += kLanes) {
            const Vec kernel = load(k + j);
            store(next + j, load(next + j) + kernel * a);
            store(next + p + j, load(next + p + j) + kernel * b);
            store(next + 2 * p + j, load(next + 2 * p + j) + kernel * c);
        }
        return a * a + b * b + c * c;
    }
    // The same through the runs of a kernel; behind the functions, bounds of their errors are added up. e: that of a, b and c.
    void add_runs(const Layer &above, int unit, double a, double b, double c, double e, double *next) {
        const Runs &all_runs = *above.runs;
        const int p = above.stride;
        e += (above.terms + 6) * kEps * (std::fabs(a) + std::fabs(b) + std::fabs(c));
        for (int64_t r = all_runs.offsets[unit]; r < all_runs.offsets[unit + 1]; r++) {
            const Run &run = all_runs.runs[r];
            double *to = next + run.begin;
            int j = 0;
            for (; j + kLanes <= run.length; j += kLanes) {
                const Vec weight = load_from(run.weights + j);
                store_at(to + j, load_from(to + j) + weight * a);
                store_at(to + p + j, load_from(to + p + j) + weight * b);
                store_at(to + 2 * p + j, load_from(to + 2 * p + j) + weight * c);
                store_at(to + 3 * p + j, load_from(to + 3 * p + j) + magnitude(weight) * e);
            }
            for (; j < run.length; j++) {
                const double weight = run.weights[j];
                to[j] += weight * a, to[p + j] += weight * b, to[2 * p + j] += weight * c, to[3 * p + j] += std::fabs(weight) * e;
            }
        }
    }
    // The same for several units at once, so that the sums stay in registers. e: bounds of the errors of a, b and c.
    void contribute_all(int l, int n, const int *unit, const double *a, const double *b, const double *c, const double *e, double *next) {
        const Layer &above = net.layers[l + 1];
        if (net.has_runs && above.runs->column_offsets) {
            for (int s = 0; s < n; s++) add_runs(above, unit[s], a[s], b[s], c[s], e[s], next);
            return;
        }
        contribute_rows(above, n, unit, a, b, c, next);
        if (!net.has_runs) return;
        double squares = 0;  // of errors; what they do to a unit follows by the length of its column
        for (int s = 0; s < n; s++) {
            const double own = e[s] + (above.terms + 6) * kEps * (std::fabs(a[s]) + std::fabs(b[s]) + std::fabs(c[s]));
            squares += own * own;
        }
        const double length = 1.0001 * std::sqrt(squares) + kFloor;
        double *errors = next + 3 * above.stride;
        for (int j = 0; j < above.stride; j += kLanes) store(errors + j, load(errors + j) + load(above.column_norm + j) * length);
    }
    static void contribute_rows(const Layer &above, int n, const int *unit, const double *a, const double *b, const double *c, double *next) {
        const int p = above.stride;
        int j = 0;
        for (; kLanes == 4 && j + 2 * kLanes <= p; j += 2 * kLanes) {  // two at once, which is slower with AVX-512
            double *to = next + j, *beyond = to + kLanes;
            Vec x = load(to), y = load(to + p), z = load(to + 2 * p), u = load(beyond), v = load(beyond + p), w = load(beyond + 2 * p);
            for (int s = 0; s < n; s++) {
                const double *kernel = above.kernel + static_cast<size_t>(unit[s]) * p + j;
                const Vec k = load(kernel), m = load(kernel + kLanes);
                x += k * a[s], u += m * a[s], y += k * b[s], v += m * b[s], z += k * c[s], w += m * c[s];
            }
            store(to, x), store(to + p, y), store(to + 2 * p, z), store(beyond, u), store(beyond + p, v), store(beyond + 2 * p, w);
        }
        for (; j < p; j += kLanes) {
            Vec x = load(next + j), y = load(next + p + j), z = load(next + 2 * p + j);
            for (int s = 0; s < n; s++) {
                const Vec k = load(above.kernel + static_cast<size_t>(unit[s]) * p + j);
                x += k * a[s], y += k * b[s], z += k * c[s];
            }
            store(next + j, x), store(next + p + j, y), store(next + 2 * p + j, z);
        }
    }
    // One unit and its twins, once its sign on the cell is known.
    double decide(const Entry &entry, int unit, bool is_on, double *next, uint64_t *bits) {
        const Layer &layer = net.layers[entry.layer];
        double squares = 0;
        for (int j = unit; j >= 0; j = j == unit ? layer.first_twin[unit] : layer.next_twin[j]) {
            const bool on = is_on == (layer.twin_sign[j] == layer.twin_sign[unit]);
            if (on) bits[j >> 6] |= uint64_t(1) << (j & 63);
            if (next && (on || layer.slope[j] != 0)) squares += contribute(entry, j, on ? 1.0 : layer.slope[j], next);
        }
        return squares;
    }

    // Whether a unit changes sign on a cell (0), or is positive (1), negative (-1) or zero (-2) on all of it.
    int side_of_cell(const Entry &entry, int unit, double a, double b, double c, double t, int nv, Vertex *v) {
        int low = 1, high = -1;
        // what is zero without any error, or by exact arithmetic, where that is cheap
        const bool is_zero = a == 0 && b == 0 && c == 0 && ((net.has_runs && t == kFloor) || ((net.has_runs || net.is_sparse) && is_zero_row(&entry, unit)));
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
        if (Build) complex->edges[vertex.edge].layer = l, complex->edges[vertex.edge].unit = unit;
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
        if (num_on) contribute_all(l, num_on, on_unit, on, on + q, on + 2 * q, on + 3 * q, next);
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
        for (int i = 0; i < nv; i++) z[i] = value(a, b, c, v[i]), sign[i] = static_cast<int8_t>(sign_at(entry, which, a, b, c, t, v[i]));
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
                if (Build) begin_part(nv, v);
                claims = nullptr;
                n = below(entry, nv, v, units, rows, stride, unit, next, bits, delta, squares);
                claims = all;
                if (Build) end_part();
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
                if (Build && complex->edges[v[i].edge].middle >= 0) place_again(v[i], line, on, first);
                else {
                    meet(v[i], v[k], z[i], z[k], line, on);
                    if (Build) {
                        if (on.e > 1e-13) refine(on);
                        place(v[i], line, on, first);
                    }
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
            const int chord = static_cast<int>(complex->edges.size());
            complex->edges.push_back({chord_ends[0], chord_ends[1], line.entry->layer, line.unit});
            for (int i = 0; i < num_negative; i++) if (negative[i].edge < 0) negative[i].edge = chord;
            const int other = claims ? chord + 1 : chord;
            if (claims) complex->chords.push_back(chord), complex->edges.push_back(Edge(complex->edges[chord]));
            for (int i = 0; i < num_positive; i++) if (positive[i].edge < 0) positive[i].edge = other;
        }
    }

    // ---- building: vertices and edges that cells share

    // What is built next goes to a part of its own, which begins with a cell.
    void begin_part(int nv, Vertex *v) {
        Part &part = (*parts)[number - 1];
        whole = complex, complex = &part.complex;
        for (int i = 0; i < nv; i++) {
            const Edge &edge = whole->edges[v[i].edge];
            const int k = i + 1 < nv ? i + 1 : 0;
            const bool is_forward = edge.begin == v[i].id;
            complex->x.push_back(v[i].x), complex->y.push_back(v[i].y), complex->w.push_back(v[i].w), complex->e.push_back(v[i].e);
            complex->edges.push_back({is_forward ? i : k, is_forward ? k : i, edge.layer, edge.unit});
            part.vertices.push_back(v[i].id), part.edges.push_back(v[i].edge);
        }
        for (int i = 0; i < nv; i++) v[i].id = v[i].edge = i;
    }
    void end_part() { complex = whole; }
    Complex *whole = nullptr;

    // A vertex whose computed place is uncertain, as where lines are nearly parallel, put to where it is.
    void refine(Vertex &v) {
        if (sharpen(*v.point)) {
            const Pair &across = v.point->sharp[0], &up = v.point->sharp[1];
            const double size = Plane ? std::max({std::fabs(across.high), std::fabs(up.high), 1.0}) : 1;
            v.x = across.high / size, v.y = up.high / size, v.w = 1 / size, v.e = 8 * kEps;
            return;
        }
        const ExactVector &at = knowledge(v.point).at;
        if (at.w.is_zero()) return;
        const double x = ratio(at.x, at.w) / net.unit, y = ratio(at.y, at.w) / net.unit;
        const double size = std::max({Plane ? std::fabs(x) : 1, Plane ? std::fabs(y) : 1, 1.0});
        if (!(size < 1e300)) return;
        v.x = x / size, v.y = y / size, v.w = 1 / size, v.e = 8 * kEps;
    }
    // A new vertex on an edge that no cell has split yet. `on` gets the piece behind it, `first` is the piece before it.
    void place(const Vertex &u, const Line &line, Vertex &on, int &first) {
        Complex &all = *complex;
        const Edge edge = all.edges[u.edge];
        const int id = static_cast<int>(all.x.size()), pieces = static_cast<int>(all.edges.size());
        all.x.push_back(on.x), all.y.push_back(on.y), all.w.push_back(on.w), all.e.push_back(on.e);
        all.edges.push_back({edge.begin, id, edge.layer, edge.unit});
        all.edges.push_back({id, edge.end, edge.layer, edge.unit});
        on.id = id;
        const bool is_forward = edge.begin == u.id;
        first = is_forward ? pieces : pieces + 1, on.edge = is_forward ? pieces + 1 : pieces;
        Edge &old = all.edges[u.edge];
        old.middle = id, old.first = pieces, old.second = pieces + 1;
        old.by_layer = line.entry->layer, old.by_unit = line.unit;
    }
    // The vertex that the cell on the other side has placed on the edge.
    void place_again(const Vertex &u, const Line &line, Vertex &on, int &first) {
        Complex &all = *complex;
        const Edge &edge = all.edges[u.edge];
        if (edge.by_layer != line.entry->layer || edge.by_unit != line.unit) all.is_consistent = false;
        on.id = edge.middle, on.x = all.x[on.id], on.y = all.y[on.id], on.w = all.w[on.id], on.e = all.e[on.id];
        const bool is_forward = edge.begin == u.id;
        first = is_forward ? edge.first : edge.second, on.edge = is_forward ? edge.second : edge.first;
    }

    struct Outputs {  // their functions on a cell, and what their errors follow from
        const double *rows, *bounds;
        double input, rounding;
    };
    double bound_of(const Outputs &outputs, int j) const {
        const Layer &output = net.layers[net.depth];
        if (net.depth == 0) return 0;
        return (net.has_runs ? 1.0001 * outputs.bounds[j] : output.column_norm[j] * outputs.input) + outputs.rounding * std::fabs(output.bias[j]) + kFloor;
    }
    // An output at a point in twice the precision; false where that does not give it to six digits.
    bool sharp_output(const Outputs &outputs, int j, const Point &point, double &found) {
        if (!sharpen(point)) return false;
        const int stride = net.layers[net.depth].stride;
        Pair f[3];
        for (int s = 0; s < 3; s++) f[s] = {outputs.rows[s * stride + j], outputs.rows[(3 + s) * stride + j]};
        double bound;
        found = sharp_value(f, bound_of(outputs, j), point, bound);
        return std::fabs(found) > 1e6 * bound;
    }
    // Of a function in twice the precision at a point that is known as well, with a bound of its error: infinite where
    // numbers are too large.
    static double sharp_value(const Pair *f, double error, const Point &point, double &bound) {
        const Pair &x = point.sharp[0], &y = point.sharp[1];
        const double e = point.sharp_error, gradient = std::fabs(f[0].high) + std::fabs(f[1].high), size = gradient + std::fabs(f[2].high);
        const double reach = std::max({std::fabs(x.high), std::fabs(y.high), 1.0});
        bound = INFINITY;
        if (!(size < 1e60 && error < 1e60)) return 0;
        bound = 1.01 * (3 * error * (reach + e) + gradient * e + 16 * kSharp * size * reach) + kFloor;
        return plus(plus(times(f[0], x), times(f[1], y)), f[2]).high;
    }
    void emit(int nv, const Vertex *v, const Entry &last, double delta, double squares) {
        Complex &all = *complex;
        const Layer &output = net.layers[net.depth];
        for (int i = 0; i < nv; i++) all.face_vertices.push_back(v[i].id), all.face_edges.push_back(v[i].edge);
        all.face_offsets.push_back(static_cast<int64_t>(all.face_vertices.size()));
        const size_t base = all.patterns.size();
        all.patterns.resize(base + num_units, 0);
        const Entry *entry = &last;
        for (int l = net.depth - 1; l >= 0; l--) {
            spread_bits(entry->active, 0, net.layers[l].out, all.patterns.data() + base + net.unit_offsets[l]);
            entry = entry->before;
        }
        if (net.depth) delta *= net.layers[net.depth - 1].steepest;
        const double rounding = (output.terms + 6) * kEps;
        const int stride = output.stride;
        const Outputs plain{last.rows, last.rows + 3 * stride, rounding * std::sqrt(3 * squares) * 1.0001 + kFloor + delta, rounding};
        const bool has_sharp = net.depth && last.sharp && squares < 1e280 && delta < 1e280;
        const auto in_twice_the_precision = [&] {
            sharpen(last);
            return Outputs{last.sharp, last.sharp + 6 * stride, last.sharp_input, sharp_rounding(output.terms)};
        };
        const auto add_map = [&](const Outputs &outputs, int j) {
            const double *row = outputs.rows + j;
            const double gradient = std::max(std::fabs(row[0]), std::fabs(row[stride])), size = std::max(gradient, std::fabs(row[2 * stride]));
            if (!(gradient > 1e8 * bound_of(outputs, j) && size < 1e280)) return false;
            for (int s = 0; s < 3; s++) all.maps.push_back(std::ldexp(row[s * stride], net.output_exponent - (s < 2 ? net.unit_exponent : 0)));
            return true;
        };
        for (int j = 0; j < output.out; j++) {
            if (add_map(plain, j) || (has_sharp && add_map(in_twice_the_precision(), j))) continue;
            const ExactVector &exact = exact_row(&last, j);
            const Exact one(1);
            for (const Exact *entry : {&exact.x, &exact.y, &exact.w}) all.maps.push_back(ratio(*entry, one));
        }
        all.outputs.resize(all.x.size() * output.out, NAN);
        for (int i = 0; i < nv; i++) {
            double *values = all.outputs.data() + static_cast<size_t>(v[i].id) * output.out;
            if (v[i].w == 0 || output.out == 0 || !std::isnan(values[0])) continue;
            for (int j = 0; j < output.out; j++) {
                const double a = plain.rows[j], b = plain.rows[stride + j], c = plain.rows[2 * stride + j], size = std::fabs(a) + std::fabs(b) + std::fabs(c);
                const double z = value(a, b, c, v[i]), error = bound_of(plain, j) + size * (v[i].e + 8 * kEps) + kFloor;
                if (std::fabs(z) > 1e6 * error && size < 1e280) {
                    values[j] = std::ldexp(z / v[i].w, net.output_exponent);
                } else if (double sharp; has_sharp && sharp_output(in_twice_the_precision(), j, *v[i].point, sharp)) {
                    values[j] = std::ldexp(sharp, net.output_exponent);
                } else {
                    Knowledge &known = knowledge(v[i].point);
                    const bool by_row = net.is_sparse || net.depth == 0;
                    values[j] = ratio(by_row ? dot(exact_row(&last, j), known.at) : pre_activation(known, net.depth, j), known.at.w);
                }
            }
        }
        double area, x, y;
        measure(nv, v, area, x, y);
        all.area.push_back(area), all.centroid.push_back(x), all.centroid.push_back(y);
    }
    // Area and centroid from the triangles of a fan, in the domain's own units; exactly where vertices are too uncertain.
    void measure(int nv, const Vertex *v, double &area, double &x, double &y) {
        area = x = y = 0;
        double length = 0, e = 0;
        for (int i = 0; i < nv; i++) {
            if (Plane && v[i].w == 0) { area = INFINITY; }
            e = std::max(e, v[i].e);
        }
        if (Plane) {
            if (area == 0 && measure_sharply(nv, v, area, x, y)) return;
            return measure_exactly(nv, v, area, x, y);
        }
        for (int i = 1; i + 1 < nv; i++) {
            const double ux = v[i].x - v[0].x, uy = v[i].y - v[0].y, tx = v[i + 1].x - v[0].x, ty = v[i + 1].y - v[0].y;
            const double part = 0.5 * (ux * ty - uy * tx);
            area += part, x += part * (ux + tx) / 3, y += part * (uy + ty) / 3;
            length = std::max({length, std::fabs(ux), std::fabs(uy), std::fabs(tx), std::fabs(ty)});
        }
        if (!(area > 1e9 * nv * length * (e + kEps))) {
            if (measure_sharply(nv, v, area, x, y)) return;
            return measure_exactly(nv, v, area, x, y);
        }
        x = (v[0].x + x / area) * net.unit, y = (v[0].y + y / area) * net.unit, area *= net.unit * net.unit;
    }
    // The same in twice the precision; false if that does not suffice.
    bool measure_sharply(int nv, const Vertex *v, double &area, double &x, double &y) {
        auto mark = arena.mark();
        Pair *xs = arena.take<Pair>(nv), *ys = arena.take<Pair>(nv);
        double e = 0, length = 0, across = 0, up = 0;
        bool is_known = true;
        for (int i = 0; i < nv && is_known; i++) {
            is_known = sharpen(*v[i].point);
            if (!is_known) break;
            xs[i] = v[i].point->sharp[0], ys[i] = v[i].point->sharp[1], e = std::max(e, v[i].point->sharp_error);
            if (i) {
                xs[i] = minus(xs[i], xs[0]), ys[i] = minus(ys[i], ys[0]);
                length = std::max({length, std::fabs(xs[i].high), std::fabs(ys[i].high)});
            }
        }
        Pair twice{0, 0};
        for (int i = 1; i + 1 < nv && is_known; i++) {
            const Pair part = minus(times(xs[i], ys[i + 1]), times(ys[i], xs[i + 1]));
            twice = plus(twice, part);
            across += part.high * (xs[i].high + xs[i + 1].high) / 3, up += part.high * (ys[i].high + ys[i + 1].high) / 3;
        }
        is_known = is_known && twice.high > 1e10 * nv * length * (8 * e + 8 * kSharp * length);
        if (is_known) {
            x = (xs[0].high + across / twice.high) * net.unit, y = (ys[0].high + up / twice.high) * net.unit;
            area = twice.high / 2 * net.unit * net.unit;
        }
        arena.release(mark);
        return is_known;
    }
    void measure_exactly(int nv, const Vertex *v, double &area, double &x, double &y) {
        std::vector<ExactVector> at;
        bool is_bounded = true;
        for (int i = 0; i < nv; i++) {
            at.push_back(knowledge(v[i].point).at);
            is_bounded &= !at.back().w.is_zero();
        }
        if (!is_bounded) {
            area = INFINITY, x = y = NAN;
            return;
        }
        // triangles of a fan: area = det(p0, p, q) / (2 w0 wp wq)
        std::vector<double> ox(nv), oy(nv), parts(nv);
        for (int i = 1; i < nv; i++) {
            const Exact scale = at[i].w * at[0].w;
            ox[i] = ratio(at[i].x * at[0].w - at[0].x * at[i].w, scale), oy[i] = ratio(at[i].y * at[0].w - at[0].y * at[i].w, scale);
        }
        area = 0;
        for (int i = 1; i + 1 < nv; i++) {
            const Exact two = Exact(2) * (at[0].w * (at[i].w * at[i + 1].w));
            parts[i] = ratio(dot(at[0], cross(at[i], at[i + 1])), two);
            area += parts[i];
        }
        double cx = 0, cy = 0;
        for (int i = 1; i + 1 < nv; i++) {
            const double weight = area > 0 && area < INFINITY ? parts[i] / area : 1.0 / (nv - 2);
            cx += weight * (ox[i] + ox[i + 1]) / 3, cy += weight * (oy[i] + oy[i + 1]) / 3;
        }
        x = ratio(at[0].x, at[0].w) + cx, y = ratio(at[0].y, at[0].w) + cy;
    }

    // ---- the last layer is counted, not built

    // 1 + chords + pairs of chords that cross, if no three lines meet in a point and none runs through a vertex;
    // otherwise -1, and `trouble` is a line to cut by first.
    int64_t chords(const Layer &layer, int nv, const Vertex *v, double e, int k, const double *rows, int stride, const int *unit, int &trouble) {
        if (k == 1 && !Plane) {  // two halves, wherever the line runs through
            if (layer.has_twins && layer.first_twin[unit[0]] >= 0) tally.is_degenerate = true;
            bool is_certain = true;
            for (int s = 0; s < nv; s++) {
                const double size = std::fabs(rows[0]) + std::fabs(rows[stride]) + std::fabs(rows[2 * stride]);
                is_certain &= std::fabs(value(rows[0], rows[stride], rows[2 * stride], v[s])) > rows[3 * stride] + size * v[s].e;
            }
            if (is_certain) return claim() ? 2 : 0;
            trouble = 0;
            return -1;
        }
        Share *shared = share && claims && level == 0 && k >= 256 ? share : nullptr;
        const double *A = rows, *B = rows + stride, *C = rows + 2 * stride, *T = rows + 3 * stride;
        auto mark = arena.mark();
        double *z = arena.take<double>(nv);
        Place *place = arena.take<Place>(k);
        int64_t pairs = 0, ends_on_artificial = 0;
        bool is_certain = true;
        for (int i = shared ? shared->row++ : 0; i < k && is_certain; shared ? i = shared->row++ : i++) {
            const double a = A[i], b = B[i], c = C[i], tolerance = T[i] + (std::fabs(a) + std::fabs(b) + std::fabs(c)) * e;
            trouble = i;
            int flips = 0, at[2] = {0, 0};
            for (int s = 0; s < nv; s++) {
                z[s] = value(a, b, c, v[s]);
                if (!(std::fabs(z[s]) > tolerance)) is_certain = false;
            }
            for (int s = 0; s < nv; s++) {
                if ((z[s] > 0) != (z[s + 1 < nv ? s + 1 : 0] > 0)) {
                    if (flips < 2) at[flips] = s;
                    flips++;
                }
            }
            if (flips != 2) is_certain = false;
            if (!is_certain) break;
            if (Plane) ends_on_artificial += v[at[0]].line->is_artificial + v[at[1]].line->is_artificial;
            if (i + 1 == k) continue;
            const Line line = line_of(a, b, c, T[i], nullptr, 0);
            Vertex end[2];
            for (int h = 0; h < 2; h++) {
                const int s = at[h], r = s + 1 < nv ? s + 1 : 0;
                meet(v[s], v[r], z[s], z[r], line, end[h]);
            }
            const double far = std::max(end[0].e, end[1].e);
            unsigned near = 0;
            int met = 0;
            for (int j = (i + 1) & -kLanes; j < k; j += kLanes) {
                const Vec ja = load(A + j), jb = load(B + j), jc = load(C + j);
                Vec zp_, zq_;
                if (Plane) {
                    zp_ = ja * end[0].x + (jb * end[0].y + jc * end[0].w), zq_ = ja * end[1].x + (jb * end[1].y + jc * end[1].w);
                } else {
                    zp_ = ja * end[0].x + (jb * end[0].y + jc), zq_ = ja * end[1].x + (jb * end[1].y + jc);
                }
                const Vec t = load(T + j) + (magnitude(ja) + magnitude(jb) + magnitude(jc)) * far;
                unsigned valid = (1u << std::min(kLanes, k - j)) - 1;
                if (j <= i) valid &= ~0u << (i + 1 - j);
                near |= valid & (sign_bits(magnitude(zp_) - t) | sign_bits(magnitude(zq_) - t));
                const unsigned differ = valid & (sign_bits(zp_) ^ sign_bits(zq_));
                if (differ) {
                    const Vec inverse = 1 / magnitude(zp_ - zq_), at = magnitude(zp_) * inverse, error = 2.01 * t * inverse + 8 * kEps;
                    for (unsigned m = differ; m; m &= m - 1) {
                        const int h = __builtin_ctz(m);
                        place[met++] = {at[h], error[h]};
                    }
                }
            }
            if (near) { is_certain = false; break; }
            pairs += met;
            if (!are_apart(place, met)) is_certain = false;
        }
        arena.release(mark);
        if (shared) is_certain = agree(*shared, stop, is_certain, trouble, pairs, ends_on_artificial);
        if (!is_certain) return -1;
        if (layer.has_twins)
            for (int i = 0; i < k; i++) if (layer.first_twin[unit[i]] >= 0) tally.is_degenerate = true;
        if (!claim()) return 0;
        if (Plane) {
            count_artificial(nv, v);
            tally.artificial += ends_on_artificial;
        }
        return 1 + k + pairs;
    }
    struct Place { double at, error; };  // on a chord, from 0 to 1
    // Whether no two places are, or might be, the same: each is compared with those in the bins that it might lie in.
    bool are_apart(const Place *place, int n) {
        const auto is_apart = [](const Place &p, const Place &q) { return std::fabs(p.at - q.at) > p.error + q.error; };
        if (n <= 12) {
            for (int s = 1; s < n; s++)
                for (int q = 0; q < s; q++)
                    if (!is_apart(place[s], place[q])) return false;
            return true;
        }
        const int num_bins = 2 * n;
        auto mark = arena.mark();
        struct Node { int place, next; };
        int *first = arena.take<int>(num_bins), num_nodes = 0;
        Node *nodes = arena.take<Node>(2 * n);
        std::fill(first, first + num_bins, -1);
        bool all_apart = true;
        for (int s = 0; s < n && all_apart; s++) {
            all_apart = place[s].at <= 1.1 && num_bins * place[s].error < 0.5;  // else in more than two bins
            if (!all_apart) break;
            const double at = num_bins * place[s].at, reach = num_bins * place[s].error;
            const int low = std::clamp(static_cast<int>(at - reach), 0, num_bins - 1), high = std::clamp(static_cast<int>(at + reach), 0, num_bins - 1);
            for (int bin = low; bin <= high; bin++) {
                for (int node = first[bin]; node >= 0 && all_apart; node = nodes[node].next) all_apart = is_apart(place[s], place[nodes[node].place]);
                nodes[num_nodes] = {s, first[bin]}, first[bin] = num_nodes++;
            }
        }
        arena.release(mark);
        return all_apart;
    }

    // ---- from the domain's faces on

    int64_t run() {
        num_units = net.unit_offsets[net.depth];
        can_sharpen = !net.is_sparse;  // where exact rows are cheap
        for (int l = 0; l < net.depth; l++) can_sharpen = can_sharpen && net.layers[l].steepest < 1e100;
        const int num_corners = domain.num_corners;
        auto mark = arena.mark();
        Point *points = arena.take<Point>(num_corners);
        for (int i = 0; i < num_corners; i++) points[i] = Point{nullptr, nullptr, i, nullptr, kNotAsked, 0, {}};
        if (Build) {
            for (int i = 0; i < num_corners; i++) {
                const Corner &c = domain.corners[i];
                const double scale = c.w != 0 ? net.unit : 1;
                complex->x.push_back(c.x / scale), complex->y.push_back(c.y / scale), complex->w.push_back(c.w), complex->e.push_back(0);
            }
        }
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
                if (Build) v[i].edge = side(cycle[i], cycle[k], is_artificial);
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
    int side(int from, int to, bool is_artificial) {
        std::vector<Edge> &edges = complex->edges;
        for (size_t i = 0; i < num_sides; i++)
            if (edges[sides[i]].begin == to && edges[sides[i]].end == from) return sides[i];
        edges.push_back({from, to, is_artificial ? -2 : -1, static_cast<int>(num_sides)});
        sides.push_back(static_cast<int>(edges.size()) - 1);
        num_sides++;
        return sides.back();
    }
    std::vector<int> sides{};
    size_t num_sides = 0;
};

}  // namespace jaxgeom
