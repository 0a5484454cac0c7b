// The complex that a recursion builds: vertices and edges that cells share, and what is known of each face.
#pragma once

#include "areas.h"
#include "cell.h"
#include "floats.h"

namespace jaxgeom {

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

template <bool Plane>
class Builder {
  public:
    Builder(const Network &net, Arena &arena, ExactSigns &exact, SharpSigns &sharp) : net(net), exact(exact), sharp(sharp), areas(net.unit, Plane, arena, exact, sharp) {}
    Complex *complex = nullptr;  // where all goes

    void add_corner(const Corner &corner) {
        const double scale = corner.w != 0 ? net.unit : 1;
        complex->x.push_back(corner.x / scale), complex->y.push_back(corner.y / scale), complex->w.push_back(corner.w), complex->e.push_back(0);
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
    void label(int edge, int l, int unit) { complex->edges[edge].layer = l, complex->edges[edge].unit = unit; }
    int add_chord(const int *ends, const Line &line) {
        complex->edges.push_back({ends[0], ends[1], line.entry->layer, line.unit});
        return static_cast<int>(complex->edges.size()) - 1;
    }
    // Between halves that are built apart: the same chord as the other half sees it.
    int add_chord_again(int chord) {
        complex->chords.push_back(chord), complex->edges.push_back(Edge(complex->edges[chord]));
        return chord + 1;
    }

    // What is built next goes to a part of its own, which begins with a cell.
    void begin_part(std::vector<Part> &parts, int index, int nv, Vertex *v) {
        Part &part = parts[index];
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

    // A vertex whose computed place is uncertain, as where lines are nearly parallel, put to where it is.
    void refine(Vertex &v) {
        if (sharp.sharpen(*v.point)) {
            const Pair &across = v.point->sharp[0], &up = v.point->sharp[1];
            const double size = Plane ? std::max({std::fabs(across.high), std::fabs(up.high), 1.0}) : 1;
            v.x = across.high / size, v.y = up.high / size, v.w = 1 / size, v.e = 8 * kEps;
            return;
        }
        const ExactVector &at = exact.knowledge(v.point).at;
        if (at.w.is_zero()) return;
        const double x = ratio(at.x, at.w) / net.unit, y = ratio(at.y, at.w) / net.unit;
        const double size = std::max({Plane ? std::fabs(x) : 1, Plane ? std::fabs(y) : 1, 1.0});
        if (!(size < 1e300)) return;
        v.x = x / size, v.y = y / size, v.w = 1 / size, v.e = 8 * kEps;
    }
    // Whether the cell on the other side has split the edge from a vertex to the following one.
    bool is_placed(const Vertex &u) const { return complex->edges[u.edge].middle >= 0; }
    // A new vertex on an edge that no cell has split yet. `on` gets the piece behind it, `first` is the piece before it.
    void place(const Vertex &u, const Line &line, Vertex &on, int &first) {
        if (on.e > 1e-13) refine(on);
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
        for (int i = 0; i < nv; i++) all.face_vertices.push_back(v[i].id), all.face_edges.push_back(v[i].edge);
        all.face_offsets.push_back(static_cast<int64_t>(all.face_vertices.size()));
        const size_t base = all.patterns.size();
        all.patterns.resize(base + net.unit_offsets[net.depth], 0);
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
            sharp.sharpen(last);
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
            const ExactVector &row = exact.exact_row(&last, j);
            const Exact one(1);
            for (const Exact *entry : {&row.x, &row.y, &row.w}) all.maps.push_back(ratio(*entry, one));
        }
        all.outputs.resize(all.x.size() * output.out, NAN);
        for (int i = 0; i < nv; i++) {
            double *values = all.outputs.data() + static_cast<size_t>(v[i].id) * output.out;
            if (v[i].w == 0 || output.out == 0 || !std::isnan(values[0])) continue;
            for (int j = 0; j < output.out; j++) {
                const double a = plain.rows[j], b = plain.rows[stride + j], c = plain.rows[2 * stride + j], size = std::fabs(a) + std::fabs(b) + std::fabs(c);
                const double z = value<Plane>(a, b, c, v[i]), error = bound_of(plain, j) + size * (v[i].e + 8 * kEps) + kFloor;
                if (std::fabs(z) > 1e6 * error && size < 1e280) {
                    values[j] = nonzero(std::ldexp(z / v[i].w, net.output_exponent), z);
                } else if (double sharp; has_sharp && sharp_output(in_twice_the_precision(), j, *v[i].point, sharp)) {
                    values[j] = nonzero(std::ldexp(sharp, net.output_exponent), sharp);
                } else {
                    Knowledge &known = exact.knowledge(v[i].point);
                    const bool by_row = net.is_sparse || net.depth == 0;
                    const Exact z = by_row ? dot(exact.exact_row(&last, j), known.at) : exact.pre_activation(known, net.depth, j);
                    values[j] = ratio(z, known.at.w);
                    if (values[j] == 0) values[j] = z.sign() * known.at.w.sign() * kTiniest;
                }
            }
        }
        double area, x, y;
        areas.measure(nv, v, area, x, y);
        all.area.push_back(area), all.centroid.push_back(x), all.centroid.push_back(y);
    }

  private:
    const Network &net;
    ExactSigns &exact;
    SharpSigns &sharp;
    Areas areas;
    Complex *whole = nullptr;  // that the part at hand belongs to
    std::vector<int> sides{};  // edges of the domain's faces
    size_t num_sides = 0;
};

}  // namespace jaxgeom
