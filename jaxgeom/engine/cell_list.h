// Cells in the order in which a recursion finds them, each by itself: its vertices by name, its edges, its facets.
//
// A vertex of a complex is a point at which all units have certain signs, so that it is known by the units that are zero
// there and those that are positive, whichever cell it is seen from.
#pragma once

#include "polytope.h"
#include "spaces.h"
#include "tables.h"

namespace jaxgeom {

class Names {  // of vertices, in the order in which they were first seen, and where they are
  public:
    explicit Names(int words) : words(words) {}
    int words;
    std::vector<uint64_t> zero, positive;  // (vertices, words): sides of the box and units that are zero; positive units
    std::vector<double> x;                 // (vertices, dim)

    int64_t size() const { return table_.size(); }
    int64_t find(const uint64_t *own_zero, const uint64_t *own_positive, bool &is_new) {
        const int64_t id = table_.find(hash_of(own_positive, words, hash_of(own_zero, words)), is_new, [&](int64_t other) {
            return std::equal(own_zero, own_zero + words, zero.data() + other * words) && std::equal(own_positive, own_positive + words, positive.data() + other * words);
        });
        if (is_new) zero.insert(zero.end(), own_zero, own_zero + words), positive.insert(positive.end(), own_positive, own_positive + words);
        return id;
    }

  private:
    Table table_;
};

struct CellList {
    struct Cell { size_t vertices, edges, facets; int num_vertices, num_edges, num_facets; bool is_simple; };  // where its own begin
    std::vector<Cell> cells;
    Names names;
    std::vector<int> vertices;             // of all cells, by their names
    std::vector<uint16_t> edges;           // pairs of places in the cell's vertices
    std::vector<uint16_t> corners;         // of all facets, as places in the cell's vertices; in three dimensions around it
    std::vector<size_t> facet_offsets{0};  // where the corners of each facet begin
    std::vector<uint8_t> patterns;
    std::vector<double> maps;
    bool is_consistent = true;
    explicit CellList(int words) : names(words) {}
    // What is not needed once faces have been found.
    void forget_shapes() { cells = {}, vertices = {}, edges = {}, corners = {}, facet_offsets = {}; }
};

template <int D, int W>
class CellWriter {  // cells to the end of a list
  public:
    CellList *list = nullptr;

    CellWriter(const Network &net, const Box &box, Shape<D, W> shape)
        : net_(net), box_(box), shape_(shape), active_(shape.words()), nowhere_(shape.words()), always_(shape.words()), own_zero_(shape.words()), own_positive_(shape.words()) {
        for (int l = 0; l < net.depth; l++) {  // units that are zero everywhere
            const Layer &layer = net.layers[l];
            std::vector<bool> is_other(layer.out);
            for (int i = 0; i < layer.num_linear; i++) is_other[layer.linear[i]] = true;
            for (int i = 0; i < layer.num_candidates; i++)
                for (int j = layer.candidates[i], unit = j; j >= 0; j = j == unit ? layer.first_twin[unit] : layer.next_twin[j]) is_other[j] = true;
            for (int j = 0; j < layer.out; j++) if (!is_other[j]) set_bit(always_.data(), number(l, j));
            has_twins_ = has_twins_ || layer.has_twins;
        }
        if (net.depth == 0) nowhere_ = always_;
    }
    // Which units of a layer are active on the next cell and, behind these, which are zero on all of it; the last layer first.
    void set_layer(int l, const uint64_t *bits) {
        const int width = net_.layers[l].out, words = (width + 63) >> 6;
        if (l == net_.depth - 1) std::fill(active_.begin(), active_.end(), 0), nowhere_ = always_;
        for (int w = 0; w < words; w++) {
            for (uint64_t m = bits[w]; m; m &= m - 1) set_bit(active_.data(), number(l, 64 * w + __builtin_ctzll(m)));
            for (uint64_t m = bits[words + w]; m; m &= m - 1) set_bit(nowhere_.data(), number(l, 64 * w + __builtin_ctzll(m)));
        }
    }
    void add(const Polytope &cell) {
        if (cell.num_vertices > UINT16_MAX) throw std::bad_alloc();
        const int first = 2 * dim(), units = net_.unit_offsets[net_.depth];
        const CellList::Cell begin{list->vertices.size(), list->edges.size(), list->facet_offsets.size() - 1, cell.num_vertices, cell.num_edges, 0, true};
        list->patterns.resize(list->patterns.size() + units);
        spread_bits(active_.data(), first, units, list->patterns.data() + list->patterns.size() - units);
        for (int v = 0; v < cell.num_vertices; v++) list->vertices.push_back(vertex(cell, v));
        list->edges.insert(list->edges.end(), cell.edges, cell.edges + 2 * cell.num_edges);
        const bool is_simple = find_facets(cell);
        if (dim() == 3 && !go_around(cell)) list->is_consistent = false;
        for (int f = 0; f < num_facets(); f++) list->facet_offsets.push_back(list->corners.size() + facet_begin_[f + 1]);
        list->corners.insert(list->corners.end(), facet_corners_.begin(), facet_corners_.end());
        list->cells.push_back(begin);
        list->cells.back().num_facets = num_facets(), list->cells.back().is_simple = is_simple;
    }

  private:
    const Network &net_;
    const Box &box_;
    const Shape<D, W> shape_;
    bool has_twins_ = false;
    std::vector<uint64_t> active_, nowhere_, always_;  // of the cell at hand: positive, and zero on all of it; zero everywhere
    std::vector<uint64_t> own_zero_, own_positive_;    // of the vertex at hand
    // of the cell at hand:
    std::vector<int> facet_begin_, facet_corners_, facet_plane_;
    std::vector<uint64_t> seen_;
    std::vector<int> edge_of_, position_of_, link_, edge_facets_, edge_steps_, turn_, around_;  // in three dimensions

    int num_facets() const { return static_cast<int>(facet_plane_.size()); }
    int dim() const { return shape_.dim(); }
    int number(int l, int unit) const { return 2 * dim() + net_.unit_offsets[l] + unit; }

    int vertex(const Polytope &cell, int v) {
        const int words = shape_.words();
        uint64_t *zero = own_zero_.data(), *positive = own_positive_.data();
        for (int w = 0; w < words; w++) zero[w] = cell.on[v * words + w];
        if (has_twins_) add_twins(cell.on + v * words, zero);
        for (int w = 0; w < words; w++) zero[w] |= nowhere_[w], positive[w] = active_[w] & ~zero[w];
        bool is_new;
        const int64_t id = list->names.find(zero, positive, is_new);
        if (is_new) {
            for (int i = 0; i < dim(); i++) {
                const double low = box_.low[i], high = box_.high[i], x = cell.x[v * dim() + i] * net_.unit;
                list->names.x.push_back(has_bit(zero, 2 * i) ? low : has_bit(zero, 2 * i + 1) ? high : std::min(std::max(x, low), high));
            }
        }
        return static_cast<int>(id);
    }
    void add_twins(const uint64_t *on, uint64_t *zero) const {
        for (int l = 0; l < net_.depth; l++) {
            const Layer &layer = net_.layers[l];
            for (int i = 0; layer.has_twins && i < layer.num_candidates; i++) {
                const int unit = layer.candidates[i];
                if (!has_bit(on, number(l, unit))) continue;
                for (int j = layer.first_twin[unit]; j >= 0; j = layer.next_twin[j]) set_bit(zero, number(l, j));
            }
        }
    }
    // The facets of a cell are the largest of the faces that its hyperplanes have in common with it. Whether the cell is
    // simple: no more hyperplanes through any vertex than there are dimensions.
    bool find_facets(const Polytope &cell) {
        const int words = shape_.words();
        seen_.assign(words, 0);
        bool is_simple = true;
        for (int v = 0; v < cell.num_vertices; v++) {
            for (int w = 0; w < words; w++) seen_[w] |= cell.on[v * words + w];
            is_simple = is_simple && shape_.num_on(cell.on + v * words) == dim();
        }
        facet_begin_.assign(1, 0), facet_corners_.clear(), facet_plane_.clear();
        shape_.for_each(seen_.data(), [&](int plane) {
            for (int v = 0; v < cell.num_vertices; v++) if (has_bit(cell.on + v * words, plane)) facet_corners_.push_back(v);
            facet_begin_.push_back(static_cast<int>(facet_corners_.size())), facet_plane_.push_back(plane);
        });
        if (!is_simple) keep_largest();
        return is_simple;
    }
    void keep_largest() {
        const auto corners = std::move(facet_corners_);
        const auto begin = std::move(facet_begin_);
        const auto plane = std::move(facet_plane_);
        facet_begin_.assign(1, 0), facet_corners_.clear(), facet_plane_.clear();
        const int n = static_cast<int>(plane.size());
        const auto from = [&](int f) { return corners.begin() + begin[f]; };
        for (int f = 0; f < n; f++) {
            bool is_facet = true;
            for (int g = 0; g < n && is_facet; g++) {
                if (f == g || !std::includes(from(g), from(g + 1), from(f), from(f + 1))) continue;
                is_facet = begin[g + 1] - begin[g] == begin[f + 1] - begin[f] && f < g;
            }
            if (!is_facet) continue;
            facet_corners_.insert(facet_corners_.end(), from(f), from(f + 1));
            facet_begin_.push_back(static_cast<int>(facet_corners_.size())), facet_plane_.push_back(plane[f]);
        }
    }
    // In three dimensions, the vertices of the facets put into order, so that each edge is passed once in each direction;
    // whether all are counter-clockwise as seen from outside, or all clockwise, is found out where volumes are.
    // Whether this was possible.
    bool go_around(const Polytope &cell) {
        const int n = cell.num_vertices, facets = num_facets();
        edge_of_.resize(static_cast<size_t>(n) * n), position_of_.resize(n), turn_.assign(facets, 0);
        edge_facets_.assign(2 * cell.num_edges, -1), edge_steps_.resize(2 * cell.num_edges);
        for (int k = 0; k < cell.num_edges; k++) {
            const int a = cell.edges[2 * k], b = cell.edges[2 * k + 1];
            edge_of_[a * n + b] = edge_of_[b * n + a] = k;
        }
        turn_[0] = 1;
        for (int f = 0; f < facets; f++) {
            int *around = facet_corners_.data() + facet_begin_[f];
            const int num = facet_begin_[f + 1] - facet_begin_[f];
            if (!order(cell, around, num, facet_plane_[f])) return false;
            for (int k = 0; k < num; k++) {
                const int a = around[k], b = around[k + 1 < num ? k + 1 : 0], edge = edge_of_[a * n + b], side = edge_facets_[2 * edge] >= 0;
                if (edge_facets_[2 * edge + 1] >= 0) return false;
                edge_facets_[2 * edge + side] = f, edge_steps_[2 * edge + side] = cell.edges[2 * edge] == a ? 1 : -1;
            }
        }
        for (int num_left = facets - 1, before = -1; num_left && num_left != before;) {
            before = num_left;
            for (int k = 0; k < cell.num_edges; k++) {
                const int f = edge_facets_[2 * k], g = edge_facets_[2 * k + 1], factor = -edge_steps_[2 * k] * edge_steps_[2 * k + 1];
                if (g < 0) return false;
                if (turn_[f] && !turn_[g]) turn_[g] = factor * turn_[f], num_left--;
                else if (turn_[g] && !turn_[f]) turn_[f] = factor * turn_[g], num_left--;
            }
        }
        for (int f = 0; f < facets; f++) if (turn_[f] < 0) turn(f);
        return true;
    }
    void turn(int f) { std::reverse(facet_corners_.begin() + facet_begin_[f], facet_corners_.begin() + facet_begin_[f + 1]); }
    // The vertices of a facet from edge to edge.
    bool order(const Polytope &cell, int *around, int num, int plane) {
        const int words = shape_.words();
        link_.assign(2 * num, -1);
        for (int k = 0; k < num; k++) position_of_[around[k]] = k;
        for (int k = 0; k < cell.num_edges; k++) {
            const int a = cell.edges[2 * k], b = cell.edges[2 * k + 1];
            if (!has_bit(cell.on + a * words, plane) || !has_bit(cell.on + b * words, plane)) continue;
            int *p = &link_[2 * position_of_[a]], *q = &link_[2 * position_of_[b]];
            p[p[0] >= 0] = b, q[q[0] >= 0] = a;
        }
        int before = -1, v = around[0];
        for (int k = 0; k < num; k++) {
            const int *next = &link_[2 * position_of_[v]];
            if (next[0] < 0 || next[1] < 0) return false;
            around_.push_back(v);  // behind what is left there
            const int following = next[0] == before ? next[1] : next[0];
            before = v, v = following;
        }
        for (int k = 0; k < num; k++) around[k] = static_cast<int>(around_[around_.size() - num + k]);
        around_.clear();
        return v == around[0];
    }
};

}  // namespace jaxgeom
