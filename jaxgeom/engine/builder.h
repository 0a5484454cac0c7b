// The complex that a recursion builds: vertices and edges that cells share, and what is known of each face.
#pragma once

#include "areas.h"
#include "cell.h"
#include "complex.h"
#include "floats.h"
#include "scales.h"

namespace jaxgeom {

constexpr double kImprecise = 5e-13;  // of the domain's size, or on the plane of a vertex's distance: from such an uncertainty on it is put to where it is

template <bool Plane>
class Builder {
  public:
    Builder(const Network &net, Arena &arena, ExactSigns &exact, SharpSigns &sharp) : net(net), exact(exact), sharp(sharp), areas(net.unit, Plane, arena, exact, sharp) {
        for (int l = 0; l < net.depth; l++) active_words += (net.layers[l].out + 63) >> 6;
    }
    Complex *complex = nullptr;   // where all goes
    Complex *of_parts = nullptr;  // or what is in parts

    void add_corner(const Corner &corner) {
        const double scale = corner.w != 0 ? net.unit : 1;
        complex->places.push({corner.x / scale, corner.y / scale, corner.w, 0});
    }
    int side(int from, int to, bool is_artificial) {
        Buffer<Edge> &edges = complex->edges;
        for (size_t i = 0; i < num_sides; i++)
            if (edges[sides[i]].begin == to && edges[sides[i]].end == from) return sides[i];
        edges.push({from, to, is_artificial ? -2 : -1, static_cast<int>(num_sides)});
        sides.push_back(static_cast<int>(edges.size()) - 1);
        num_sides++;
        return sides.back();
    }
    void label(int edge, int l, int unit) { complex->edges[edge].layer = l, complex->edges[edge].unit = unit; }
    int add_chord(const int *ends, const Line &line) {
        complex->edges.push({ends[0], ends[1], line.entry->layer, line.unit});
        return static_cast<int>(complex->edges.size()) - 1;
    }
    // Between halves that are built apart: the same chord as the other half sees it.
    int add_chord_again(int chord) {
        complex->chords.push(chord), complex->edges.push(Edge(complex->edges[chord]));
        return chord + 1;
    }

    // What is built next goes to a part of its own, which begins with a cell.
    void begin_part(Part &part, int nv, Vertex *v) {
        whole = complex, complex = of_parts;
        part = part_from_here();
        part.num_roots = nv;
        for (int i = 0; i < nv; i++) {
            const Edge &edge = whole->edges[v[i].edge];
            const int k = i + 1 < nv ? i + 1 : 0, at = part.places.begin;
            const bool is_forward = edge.begin == v[i].id;
            complex->places.push({v[i].x, v[i].y, v[i].w, v[i].e});
            complex->edges.push({at + (is_forward ? i : k), at + (is_forward ? k : i), edge.layer, edge.unit});
            complex->roots.push(v[i].id), complex->roots.push(v[i].edge);
        }
        for (int i = 0; i < nv; i++) v[i].id = part.places.begin + i, v[i].edge = part.edges.begin + i;
    }
    void end_part(Part &part) {
        const Part behind = part_from_here();
        part.places.end = behind.places.begin, part.edges.end = behind.edges.begin, part.steps.end = behind.steps.begin, part.faces.end = behind.faces.begin;
        complex = whole;
    }

    // A vertex whose computed place is uncertain, as where lines are nearly parallel, put to where it is.
    void refine(Vertex &v) {
        if (sharp.sharpen(*v.point)) {
            const Pair &across = v.point->sharp[0], &up = v.point->sharp[1];
            const double size = Plane ? std::max({std::fabs(across.high), std::fabs(up.high), 1.0}) : 1;
            v.x = across.high / size, v.y = up.high / size, v.w = 1 / size, v.e = 8 * kEps;
            return;
        }
        const ExactVector &at = exact.knowledge(v.point).at;
        if (at.w.is_zero()) {
            if (!Plane) return;
            const double slope = at.x.is_zero() ? INFINITY : ratio(at.y, at.x), across = at.x.sign(), up = at.y.sign();
            const bool is_flat = std::fabs(slope) <= 1;
            v.x = is_flat ? across : ratio(at.x, at.y) * up, v.y = is_flat ? slope * across : up, v.w = 0, v.e = 8 * kEps;
            return;
        }
        const double x = ratio(at.x, at.w) / net.unit, y = ratio(at.y, at.w) / net.unit;
        const double size = std::max({Plane ? std::fabs(x) : 1, Plane ? std::fabs(y) : 1, 1.0});
        if (!(size < (Plane ? 1e308 : 1e300))) {
            if (Plane) v.w = kTiniest;  // not at infinity, but beyond what float64 holds
            return;
        }
        v.x = x / size, v.y = y / size, v.w = 1 / size, v.e = 8 * kEps;
    }
    // Whether the cell on the other side has split the edge from a vertex to the following one.
    bool is_placed(const Vertex &u) const { return complex->edges[u.edge].middle >= 0; }
    // A new vertex on an edge that no cell has split yet. `on` gets the piece behind it, `first` is the piece before it.
    void place(const Vertex &u, const Line &line, Vertex &on, int &first) {
        if (on.e > kImprecise * (Plane && !is_at_infinity(u) ? on.w : 1)) refine(on);
        const int id = static_cast<int>(complex->places.size()), pieces = static_cast<int>(complex->edges.size());
        complex->places.push({on.x, on.y, on.w, on.e});
        Edge *added = complex->edges.add(2), &edge = complex->edges[u.edge];
        added[0] = {edge.begin, id, edge.layer, edge.unit}, added[1] = {id, edge.end, edge.layer, edge.unit};
        if (edge.left >= 0 || edge.right >= 0) complex->is_consistent = false;  // a face has it whole
        edge.middle = id, edge.first = pieces, edge.left = line.entry->layer, edge.right = line.unit;
        take_pieces(u, edge, on, first);
    }
    // The vertex that the cell on the other side has placed on the edge.
    void place_again(const Vertex &u, const Line &line, Vertex &on, int &first) {
        const Edge &edge = complex->edges[u.edge];
        if (edge.left != line.entry->layer || edge.right != line.unit) complex->is_consistent = false;
        const Position &place = complex->places[edge.middle];
        on.x = place.x, on.y = place.y, on.w = place.w, on.e = place.e;
        take_pieces(u, edge, on, first);
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
        if (!sharp.sharpen(point)) return false;
        const int stride = net.layers[net.depth].stride;
        Pair f[3];
        for (int s = 0; s < 3; s++) f[s] = {outputs.rows[s * stride + j], outputs.rows[(3 + s) * stride + j]};
        double bound;
        found = SharpSigns::sharp_value(f, bound_of(outputs, j), point, bound);
        return std::fabs(found) > 1e6 * bound;
    }
    void emit(int nv, const Vertex *v, const Entry &last, double delta, double squares) {
        Complex &all = *complex;
        const Layer &output = net.layers[net.depth];
        const int face = static_cast<int>(all.ends.size());
        Step *steps = all.steps.add(nv);
        for (int i = 0; i < nv; i++) {
            Edge &edge = all.edges[v[i].edge];
            int &side = edge.begin == v[i].id ? edge.left : edge.right;
            if (edge.middle >= 0 || side >= 0) all.is_consistent = false;
            side = face, steps[i] = {v[i].id, v[i].edge};
        }
        all.ends.push(static_cast<int>(all.steps.size()));
        uint64_t *active = all.active.add(active_words) + active_words;
        const Entry *entry = &last;
        for (int l = net.depth - 1; l >= 0; l--) {
            const int words = (net.layers[l].out + 63) >> 6;
            active -= words;
            std::copy_n(entry->active, words, active);
            entry = entry->before;
        }
        if (net.depth) delta *= net.layers[net.depth - 1].steepest;
        const double rounding = (output.terms + 6) * kEps;
        const int stride = output.stride;
        const Outputs plain{last.rows, last.rows + 3 * stride, rounding * std::sqrt(3 * squares) * 1.0001 + kFloor + delta, rounding};
        const bool has_sharp = net.depth && last.sharp && squares < 1e280 && delta < 1e280;
        const auto in_twice_the_precision = [&] {
            sharp.sharpen(last);
            return Outputs{last.sharp, last.sharp + 6 * stride, last.sharp_input, sharp_rounding(output.terms)};
        };
        const auto add_map = [&](const Outputs &outputs, int j) {
            const double *row = outputs.rows + j;
            const double gradient = std::max(std::fabs(row[0]), std::fabs(row[stride])), size = std::max(gradient, std::fabs(row[2 * stride]));
            if (!(gradient > 1e8 * bound_of(outputs, j) && size < 1e280)) return false;
            double *map = all.maps.add(3);
            for (int s = 0; s < 3; s++) map[s] = (s < 2 ? of_gradients : of_outputs).times(row[s * stride]);
            return true;
        };
        for (int j = 0; j < output.out; j++) {
            if (add_map(plain, j) || (has_sharp && add_map(in_twice_the_precision(), j))) continue;
            const ExactVector &row = exact.exact_row(&last, j);
            const Exact one(1);
            for (const Exact *entry : {&row.x, &row.y, &row.w}) all.maps.push(ratio(*entry, one));
        }
        const size_t known = all.outputs.size(), wanted = all.places.size() * output.out;
        std::fill_n(all.outputs.add(wanted - known), wanted - known, NAN);
        for (int i = 0; i < nv; i++) {
            double *values = all.outputs.data() + static_cast<size_t>(v[i].id) * output.out;
            if (v[i].w == 0 || output.out == 0 || !std::isnan(values[0])) continue;
            for (int j = 0; j < output.out; j++) {
                const double a = plain.rows[j], b = plain.rows[stride + j], c = plain.rows[2 * stride + j], size = std::fabs(a) + std::fabs(b) + std::fabs(c);
                const double z = value<Plane>(a, b, c, v[i]), error = bound_of(plain, j) + size * (v[i].e + 8 * kEps) + kFloor;
                if (std::fabs(z) > 1e6 * error && size < 1e280) {
                    values[j] = nonzero(of_outputs.times(z / v[i].w), z);
                } else if (double sharp; has_sharp && sharp_output(in_twice_the_precision(), j, *v[i].point, sharp)) {
                    values[j] = nonzero(of_outputs.times(sharp), sharp);
                } else {
                    Knowledge &known = exact.knowledge(v[i].point);
                    const bool by_row = net.is_sparse || net.depth == 0;
                    const Exact z = by_row ? dot(exact.exact_row(&last, j), known.at) : exact.pre_activation(known, net.depth, j);
                    values[j] = ratio(z, known.at.w);
                    if (values[j] == 0) values[j] = z.sign() * known.at.w.sign() * kTiniest;
                }
            }
        }
        Measure &measure = *all.measures.add(1);
        areas.measure(nv, v, measure.area, measure.x, measure.y);
    }

  private:
    const Network &net;
    ExactSigns &exact;
    SharpSigns &sharp;
    Areas areas;
    const PowerOfTwo of_outputs{net.output_exponent}, of_gradients{net.output_exponent - net.unit_exponent};  // that undo scales
    Complex *whole = nullptr;  // that the part at hand belongs to
    std::vector<int> sides{};  // edges of the domain's faces
    size_t num_sides = 0;
    size_t active_words = 0;  // of a face

    Part part_from_here() const {
        Part part;
        part.complex = complex, part.roots = static_cast<int>(complex->roots.size());
        part.places.begin = static_cast<int>(complex->places.size()), part.edges.begin = static_cast<int>(complex->edges.size());
        part.steps.begin = static_cast<int>(complex->steps.size()), part.faces.begin = static_cast<int>(complex->ends.size());
        return part;
    }
    bool is_at_infinity(const Vertex &u) const {  // the edge behind it
        const Edge &edge = complex->edges[u.edge];
        return complex->places[edge.begin].w == 0 && complex->places[edge.end].w == 0;
    }
    static void take_pieces(const Vertex &u, const Edge &edge, Vertex &on, int &first) {
        const bool is_forward = edge.begin == u.id;
        on.id = edge.middle, on.edge = is_forward ? edge.first + 1 : edge.first, first = is_forward ? edge.first : edge.first + 1;
    }
};

}  // namespace jaxgeom
