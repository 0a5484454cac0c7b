// The complex that cells make together: each vertex, edge and facet once, and the faces of the dimensions in between counted.
//
// A face of the complex is a set of points at which all units have the same signs, so that a vertex is known by the units
// that are zero there and those that are positive, whichever cell it is seen from. All other faces are known by their
// vertices.
#pragma once

#include "polytope.h"
#include "spaces.h"

namespace jaxgeom {

class Table {  // numbers of things under hashes, in the order in which they came
  public:
    // The thing with this hash for which is_it(number) holds; a new number, if there is none.
    template <class Is>
    int64_t find(uint64_t hash, bool &is_new, const Is &is_it) {
        if (2 * (hashes_.size() + 1) > slots_.size()) grow();
        const size_t mask = slots_.size() - 1;
        size_t at = hash & mask;
        for (; slots_[at].number >= 0; at = (at + 1) & mask)
            if (slots_[at].hash == hash && is_it(slots_[at].number)) return is_new = false, slots_[at].number;
        is_new = true;
        slots_[at] = {hash, static_cast<int64_t>(hashes_.size())};
        hashes_.push_back(hash);
        return slots_[at].number;
    }
    int64_t size() const { return static_cast<int64_t>(hashes_.size()); }
    void clear() {
        std::fill(slots_.begin(), slots_.end(), Slot{0, -1});
        hashes_.clear();
    }

  private:
    struct Slot { uint64_t hash; int64_t number; };
    std::vector<Slot> slots_;
    std::vector<uint64_t> hashes_;
    void grow() {
        slots_.assign(std::max<size_t>(64, 2 * slots_.size()), Slot{0, -1});
        for (size_t i = 0; i < hashes_.size(); i++) {
            size_t at = hashes_[i] & (slots_.size() - 1);
            while (slots_[at].number >= 0) at = (at + 1) & (slots_.size() - 1);
            slots_[at] = {hashes_[i], static_cast<int64_t>(i)};
        }
    }
};

template <class T>
uint64_t hash_of(const T *numbers, size_t n, uint64_t seed = 0x9e3779b97f4a7c15ull) {
    uint64_t hash = seed;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ static_cast<uint64_t>(numbers[i])) * 0xbf58476d1ce4e5b9ull;
        hash ^= hash >> 31;
    }
    return hash * 0x94d049bb133111ebull ^ hash >> 29;
}

// A set of vertices under 128 bits, the sum of its members': whatever order they come in, and equal sets only by these.
struct SetKey {
    uint64_t first = 0, second = 0;
    void add(uint64_t id) {
        first += mixed(id + 1, 0xbf58476d1ce4e5b9ull, 0x94d049bb133111ebull);
        second += mixed(id + 1, 0xff51afd7ed558ccdull, 0xc4ceb9fe1a85ec53ull);
    }
    void add(const SetKey &other) { first += other.first, second += other.second; }
    static uint64_t mixed(uint64_t n, uint64_t a, uint64_t b) {
        n *= 0x9e3779b97f4a7c15ull;
        n = (n ^ n >> 30) * a;
        n = (n ^ n >> 27) * b;
        return n ^ n >> 31;
    }
};

template <int D, int W>
class Faces {
  public:
    SpaceArrays &out;

    Faces(const Network &net, const Box &box, Shape<D, W> shape, int64_t max_cells, SpaceArrays &out)
        : out(out), net_(net), box_(box), shape_(shape), max_cells_(max_cells),
          active_(shape.words()), nowhere_(shape.words()), always_(shape.words()), middle_(shape.dim() + 1), middle_seconds_(shape.dim() + 1) {
        out.cell_offsets.push_back(0), out.facet_offsets.push_back(0);
        for (int l = 0; l < net.depth; l++) {  // units that are zero everywhere
            const Layer &layer = net.layers[l];
            std::vector<bool> is_other(layer.out);
            for (int i = 0; i < layer.num_linear; i++) is_other[layer.linear[i]] = true;
            for (int i = 0; i < layer.num_candidates; i++)
                for (int j = layer.candidates[i], unit = j; j >= 0; j = j == unit ? layer.first_twin[unit] : layer.next_twin[j]) is_other[j] = true;
            for (int j = 0; j < layer.out; j++) if (!is_other[j]) set(always_.data(), number(l, j));
            has_twins_ = has_twins_ || layer.has_twins;
        }
    }
    // Which units of a layer are active on the next cell and, behind these, which are zero on all of it.
    void set_layer(int l, const uint64_t *bits) {
        const int width = net_.layers[l].out, words = (width + 63) >> 6;
        if (l == net_.depth - 1) std::fill(active_.begin(), active_.end(), 0), nowhere_ = always_;
        for (int w = 0; w < words; w++) {
            for (uint64_t m = bits[w]; m; m &= m - 1) set(active_.data(), number(l, 64 * w + __builtin_ctzll(m)));
            for (uint64_t m = bits[words + w]; m; m &= m - 1) set(nowhere_.data(), number(l, 64 * w + __builtin_ctzll(m)));
        }
    }
    void add(const Polytope &cell) {
        if (num_cells_ >= max_cells_) out.is_complete = false;
        if (net_.depth == 0) nowhere_ = always_;
        const int64_t index = num_cells_++;
        const int first = 2 * dim(), units = net_.unit_offsets[net_.depth];
        for (int j = 0; j < units; j++) out.patterns.push_back(has(active_.data(), first + j));
        ids_.resize(cell.num_vertices);
        for (int v = 0; v < cell.num_vertices; v++) ids_[v] = vertex(cell, v);
        out.cell_vertices.insert(out.cell_vertices.end(), ids_.begin(), ids_.end());
        std::sort(out.cell_vertices.begin() + out.cell_offsets.back(), out.cell_vertices.end());
        out.cell_offsets.push_back(static_cast<int64_t>(out.cell_vertices.size()));
        for (int k = 0; k < cell.num_edges; k++) edge(ids_[cell.edges[2 * k]], ids_[cell.edges[2 * k + 1]]);
        positions_.resize(static_cast<size_t>(cell.num_vertices) * dim());  // those that all cells share, so that volumes add up
        for (int v = 0; v < cell.num_vertices; v++)
            for (int i = 0; i < dim(); i++) positions_[v * dim() + i] = out.vertices[ids_[v] * dim() + i] / net_.unit;
        find_facets(cell);
        if (dim() == 3) go_around(cell), measure_by_fans();
        keys_.resize(cell.num_vertices);
        for (int v = 0; v < cell.num_vertices; v++) keys_[v] = SetKey(), keys_[v].add(ids_[v]);
        for (int f = 0; f < num_facets(); f++) facet(index, f);
        if (dim() > 3 && is_simple_) measure_simple(cell);
        else if (dim() != 3) find_lattice(cell.num_vertices), measure(cell.num_vertices);
    }
    // What is known once all cells are there.
    void finish() {
        const int d = dim(), first = 2 * d, units = net_.unit_offsets[net_.depth], words = shape_.words();
        const int64_t num_vertices = vertices_.size(), num_facets = facet_table_.size();
        for (int64_t v = 0; v < num_vertices; v++) {
            const uint64_t *zero = zero_.data() + v * words, *positive = positive_.data() + v * words;
            for (int i = 0; i < first; i++) out.sides.push_back(has(zero, i));
            for (int j = 0; j < units; j++) out.signs.push_back(has(positive, first + j) ? 1 : has(zero, first + j) ? 0 : -1);
        }
        for (int l = 0; l < net_.depth; l++)
            for (int i = 0; i < net_.layers[l].num_linear; i++)
                for (int64_t v = 0; v < num_vertices; v++) out.signs[v * units + net_.unit_offsets[l] + net_.layers[l].linear[i]] = 0;
        if (d == 3 && out.is_complete) turn_cells();
        std::vector<uint64_t> zero(words);
        for (int64_t f = 0; f < num_facets; f++) label(f, zero.data());
        out.num_faces.assign(d + 1, 0);
        for (int k = 2; k < d - 1; k++) out.num_faces[k] = middle_[k].size();
        out.num_faces[d - 1] = num_facets, out.num_faces[0] = num_vertices, out.num_faces[d] = num_cells_;
        if (d > 2) out.num_faces[1] = edge_table_.size();
        int64_t euler = 0;
        for (int k = 0; k <= d; k++) euler += (k % 2 ? -1 : 1) * out.num_faces[k];
        if (euler != 1 && out.is_complete && !out.is_part) out.is_consistent = false;
    }

  private:
    const Network &net_;
    const Box &box_;
    const Shape<D, W> shape_;
    const int64_t max_cells_;
    bool has_twins_ = false;
    int64_t num_cells_ = 0;
    std::vector<uint64_t> active_, nowhere_, always_;  // of the cell at hand: positive, and zero on all of it; zero everywhere
    Table vertices_, edge_table_, facet_table_;
    std::vector<uint64_t> zero_, positive_;            // of all vertices
    std::vector<Table> middle_;                        // faces of dimensions between those of edges and facets
    std::vector<std::vector<uint64_t>> middle_seconds_;
    std::vector<uint64_t> facet_seconds_;
    // of the cell at hand:
    std::vector<int64_t> ids_, around_;
    std::vector<SetKey> keys_;
    std::vector<double> positions_;
    std::vector<int> facet_begin_, facet_corners_, facet_plane_;  // the vertices of each facet, in three dimensions around it
    std::vector<uint64_t> seen_;
    bool is_simple_ = true;
    std::vector<int> edge_of_, position_of_, link_, edge_facets_, edge_steps_, turn_;  // in three dimensions
    struct Level { std::vector<uint64_t> sets; std::vector<int> child_begin, children; };
    std::vector<Level> lattice_;  // the faces of each dimension as sets of vertices, and the faces that are part of each
    std::vector<uint64_t> shared_;
    Table own_;

    int num_facets() const { return static_cast<int>(facet_plane_.size()); }
    int dim() const { return shape_.dim(); }
    int number(int l, int unit) const { return 2 * dim() + net_.unit_offsets[l] + unit; }
    static bool has(const uint64_t *bits, int i) { return bits[i >> 6] >> (i & 63) & 1; }
    static void set(uint64_t *bits, int i) { bits[i >> 6] |= uint64_t(1) << (i & 63); }

    int64_t vertex(const Polytope &cell, int v) {
        const int words = shape_.words();
        const size_t end = zero_.size();
        zero_.resize(end + words), positive_.resize(end + words);
        uint64_t *zero = zero_.data() + end, *positive = positive_.data() + end;
        for (int w = 0; w < words; w++) zero[w] = cell.on[v * words + w];
        if (has_twins_) add_twins(cell.on + v * words, zero);
        for (int w = 0; w < words; w++) zero[w] |= nowhere_[w], positive[w] = active_[w] & ~zero[w];
        bool is_new;
        const int64_t id = vertices_.find(hash_of(positive, words, hash_of(zero, words)), is_new, [&](int64_t other) {
            return std::equal(zero, zero + words, zero_.data() + other * words) && std::equal(positive, positive + words, positive_.data() + other * words);
        });
        if (is_new) {
            for (int i = 0; i < dim(); i++) {
                const double low = box_.low[i], high = box_.high[i], x = cell.x[v * dim() + i] * net_.unit;
                out.vertices.push_back(has(zero, 2 * i) ? low : has(zero, 2 * i + 1) ? high : std::min(std::max(x, low), high));
            }
        } else {
            zero_.resize(end), positive_.resize(end);
        }
        return id;
    }
    void add_twins(const uint64_t *on, uint64_t *zero) const {
        for (int l = 0; l < net_.depth; l++) {
            const Layer &layer = net_.layers[l];
            for (int i = 0; layer.has_twins && i < layer.num_candidates; i++) {
                const int unit = layer.candidates[i];
                if (!has(on, number(l, unit))) continue;
                for (int j = layer.first_twin[unit]; j >= 0; j = layer.next_twin[j]) set(zero, number(l, j));
            }
        }
    }
    void edge(int64_t a, int64_t b) {
        if (a > b) std::swap(a, b);
        const int64_t ends[] = {a, b};
        bool is_new;
        edge_table_.find(hash_of(ends, 2), is_new, [&](int64_t other) { return out.edges[2 * other] == a && out.edges[2 * other + 1] == b; });
        if (is_new) out.edges.push_back(a), out.edges.push_back(b);
    }
    // The facets of a cell are the largest of the faces that its hyperplanes have in common with it.
    void find_facets(const Polytope &cell) {
        const int words = shape_.words();
        seen_.assign(words, 0);
        is_simple_ = true;
        for (int v = 0; v < cell.num_vertices; v++) {
            for (int w = 0; w < words; w++) seen_[w] |= cell.on[v * words + w];
            is_simple_ = is_simple_ && shape_.num_on(cell.on + v * words) == dim();
        }
        facet_begin_.assign(1, 0), facet_corners_.clear(), facet_plane_.clear();
        shape_.for_each(seen_.data(), [&](int plane) {
            for (int v = 0; v < cell.num_vertices; v++) if (has(cell.on + v * words, plane)) facet_corners_.push_back(v);
            facet_begin_.push_back(static_cast<int>(facet_corners_.size())), facet_plane_.push_back(plane);
        });
        if (!is_simple_) keep_largest();
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
    void facet(int64_t index, int f) {
        around_.clear();
        SetKey key;
        for (int k = facet_begin_[f]; k < facet_begin_[f + 1]; k++) around_.push_back(ids_[facet_corners_[k]]), key.add(keys_[facet_corners_[k]]);
        bool is_new;
        const int64_t id = facet_table_.find(key.first, is_new, [&](int64_t other) { return facet_seconds_[other] == key.second; });
        if (is_new) {
            facet_seconds_.push_back(key.second);
            if (dim() != 3) std::sort(around_.begin(), around_.end());
            out.facet_vertices.insert(out.facet_vertices.end(), around_.begin(), around_.end());
            out.facet_offsets.push_back(static_cast<int64_t>(out.facet_vertices.size()));
            out.facet_cells.push_back(index), out.facet_cells.push_back(-1);
            are_opposite_.push_back(1);
        } else if (out.facet_cells[2 * id + 1] >= 0) {
            out.is_consistent = false;
        } else {
            out.facet_cells[2 * id + 1] = index;
            if (dim() == 3) are_opposite_[id] = is_opposite(id, around_);
        }
    }
    std::vector<char> are_opposite_;  // whether the two cells of a facet list its vertices in opposite orders
    bool is_opposite(int64_t id, const std::vector<int64_t> &around) const {
        const auto begin = out.facet_vertices.begin() + out.facet_offsets[id], end = out.facet_vertices.begin() + out.facet_offsets[id + 1];
        auto next = std::find(begin, end, around[0]) + 1;
        return *(next == end ? begin : next) != around[1];
    }
    // Cells that list their facets the wrong way round, as slivers may, by comparison with their neighbours, from the
    // largest cell on; and their facets put right.
    void turn_cells() {
        const int64_t num_facets = facet_table_.size();
        std::vector<int64_t> offsets(num_cells_ + 1), facets_of;
        for (const int64_t cell : out.facet_cells) if (cell >= 0) offsets[cell + 1]++;
        for (int64_t c = 0; c < num_cells_; c++) offsets[c + 1] += offsets[c];
        facets_of.resize(offsets[num_cells_]);
        std::vector<int64_t> place(offsets.begin(), offsets.end() - 1);
        for (int64_t f = 0; f < num_facets; f++)
            for (int side = 0; side < 2; side++) if (out.facet_cells[2 * f + side] >= 0) facets_of[place[out.facet_cells[2 * f + side]]++] = f;
        std::vector<int8_t> turn(num_cells_);
        std::vector<int64_t> by_size(num_cells_), waiting;
        for (int64_t c = 0; c < num_cells_; c++) by_size[c] = c;
        std::sort(by_size.begin(), by_size.end(), [&](int64_t p, int64_t q) { return out.volume[p] > out.volume[q]; });
        for (const int64_t start : by_size) {
            if (turn[start]) continue;
            turn[start] = 1, waiting.push_back(start);
            while (!waiting.empty()) {
                const int64_t cell = waiting.back();
                waiting.pop_back();
                for (int64_t k = offsets[cell]; k < offsets[cell + 1]; k++) {
                    const int64_t f = facets_of[k], other = out.facet_cells[2 * f] == cell ? out.facet_cells[2 * f + 1] : out.facet_cells[2 * f];
                    if (other < 0 || turn[other]) continue;
                    turn[other] = are_opposite_[f] ? turn[cell] : -turn[cell];
                    waiting.push_back(other);
                }
            }
        }
        for (int64_t f = 0; f < num_facets; f++)
            if (turn[out.facet_cells[2 * f]] < 0) std::reverse(out.facet_vertices.begin() + out.facet_offsets[f], out.facet_vertices.begin() + out.facet_offsets[f + 1]);
    }
    // Which unit made a facet, and on which side of it that is active.
    void label(int64_t f, uint64_t *zero) {
        const int words = shape_.words(), first = 2 * dim();
        const int64_t units = net_.unit_offsets[net_.depth];
        std::fill(zero, zero + words, ~uint64_t(0));
        for (int64_t k = out.facet_offsets[f]; k < out.facet_offsets[f + 1]; k++)
            for (int w = 0; w < words; w++) zero[w] &= zero_[out.facet_vertices[k] * words + w];
        int64_t *cells = &out.facet_cells[2 * f];
        int side = -1;
        for (int i = first; i-- > 0;) if (has(zero, i)) side = i;
        if (side >= 0 || cells[1] < 0) {
            if ((side < 0 || cells[1] >= 0) && out.is_complete && !out.is_part) out.is_consistent = false;
            out.facet_labels.push_back(-1), out.facet_labels.push_back(side);
            return;
        }
        const uint8_t *p = out.patterns.data() + cells[0] * units, *q = out.patterns.data() + cells[1] * units;
        for (int l = 0; l < net_.depth; l++) {
            for (int j = 0; j < net_.layers[l].out; j++) {
                const int unit = net_.unit_offsets[l] + j;
                if (p[unit] == q[unit] || !has(zero, first + unit)) continue;
                if (!p[unit]) {
                    std::swap(cells[0], cells[1]);
                    if (dim() == 3) std::reverse(out.facet_vertices.begin() + out.facet_offsets[f], out.facet_vertices.begin() + out.facet_offsets[f + 1]);
                }
                out.facet_labels.push_back(l), out.facet_labels.push_back(j);
                return;
            }
        }
        out.facet_labels.push_back(-1), out.facet_labels.push_back(-1);
        out.is_consistent = false;
    }

    // In three dimensions, the vertices of the facets put into order, so that each edge is passed once in each direction;
    // measure_by_fans finds out whether all are counter-clockwise as seen from outside, or all clockwise.
    void go_around(const Polytope &cell) {
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
            if (!order(cell, around, num, facet_plane_[f])) { out.is_consistent = false; return; }
            for (int k = 0; k < num; k++) {
                const int a = around[k], b = around[k + 1 < num ? k + 1 : 0], edge = edge_of_[a * n + b], side = edge_facets_[2 * edge] >= 0;
                if (edge_facets_[2 * edge + 1] >= 0) { out.is_consistent = false; return; }
                edge_facets_[2 * edge + side] = f, edge_steps_[2 * edge + side] = cell.edges[2 * edge] == a ? 1 : -1;
            }
        }
        for (int num_left = facets - 1, before = -1; num_left && num_left != before;) {
            before = num_left;
            for (int k = 0; k < cell.num_edges; k++) {
                const int f = edge_facets_[2 * k], g = edge_facets_[2 * k + 1], factor = -edge_steps_[2 * k] * edge_steps_[2 * k + 1];
                if (g < 0) { out.is_consistent = false; return; }
                if (turn_[f] && !turn_[g]) turn_[g] = factor * turn_[f], num_left--;
                else if (turn_[g] && !turn_[f]) turn_[f] = factor * turn_[g], num_left--;
            }
        }
        for (int f = 0; f < facets; f++) if (turn_[f] < 0) turn(f);
    }
    void turn(int f) { std::reverse(facet_corners_.begin() + facet_begin_[f], facet_corners_.begin() + facet_begin_[f + 1]); }
    // The vertices of a facet from edge to edge.
    bool order(const Polytope &cell, int *around, int num, int plane) {
        const int words = shape_.words();
        link_.assign(2 * num, -1);
        for (int k = 0; k < num; k++) position_of_[around[k]] = k;
        for (int k = 0; k < cell.num_edges; k++) {
            const int a = cell.edges[2 * k], b = cell.edges[2 * k + 1];
            if (!has(cell.on + a * words, plane) || !has(cell.on + b * words, plane)) continue;
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
    void measured(double volume, const double *moment, int num_vertices) {
        const int d = dim();
        const double *x = positions_.data();
        for (int i = 0; i < d; i++) {
            double mean = 0;
            for (int v = 0; v < num_vertices; v++) mean += (x[v * d + i] - x[i]) / num_vertices;
            out.centroid.push_back((x[i] + (volume > 0 ? moment[i] / volume : mean)) * net_.unit);
        }
        for (int i = 0; i < d; i++) volume *= net_.unit;
        out.volume.push_back(volume);
    }
    // With signs, so that simplices of vertices that are a little astray add up, too.
    void measure_by_fans() {
        const double *x = positions_.data();
        double volume = 0, moment[3] = {0, 0, 0};
        for (int f = 0; f < num_facets(); f++) {
            const int *around = facet_corners_.data() + facet_begin_[f], num = facet_begin_[f + 1] - facet_begin_[f];
            if (std::find(around, around + num, 0) != around + num) continue;
            double p[3][3];
            for (int i = 0; i < 3; i++) p[0][i] = x[3 * around[0] + i] - x[i];
            for (int k = 1; k + 1 < num; k++) {
                for (int i = 0; i < 3; i++) p[1][i] = x[3 * around[k] + i] - x[i], p[2][i] = x[3 * around[k + 1] + i] - x[i];
                double part = 0;
                for (int i = 0; i < 3; i++) part += p[0][i] * (p[1][(i + 1) % 3] * p[2][(i + 2) % 3] - p[1][(i + 2) % 3] * p[2][(i + 1) % 3]);
                part /= 6;
                volume += part;
                for (int i = 0; i < 3; i++) moment[i] += part / 4 * (p[0][i] + p[1][i] + p[2][i]);
            }
        }
        if (volume < 0) {
            for (int f = 0; f < num_facets(); f++) turn(f);
            volume = -volume;
            for (double &part : moment) part = -part;
        }
        measured(volume, moment, static_cast<int>(ids_.size()));
    }

    // ---- other dimensions

    // Faces of all dimensions as sets of vertices: those of a face are the largest that it shares with facets.
    void find_lattice(int n) {
        const int d = dim(), words = (n + 63) >> 6;
        lattice_.resize(d + 1);
        for (Level &level : lattice_) level.sets.clear(), level.child_begin.assign(1, 0), level.children.clear();
        lattice_[d].sets.assign(words, 0);
        for (int v = 0; v < n; v++) set(lattice_[d].sets.data(), v);
        std::vector<uint64_t> &facets = lattice_[d - 1].sets;
        facets.assign(static_cast<size_t>(num_facets()) * words, 0);
        for (int f = 0; f < num_facets(); f++) {
            for (int k = facet_begin_[f]; k < facet_begin_[f + 1]; k++) set(facets.data() + f * words, facet_corners_[k]);
            lattice_[d].children.push_back(f);
        }
        lattice_[d].child_begin.push_back(num_facets());
        for (int k = d - 2; k >= 1; k--) {
            Level &above = lattice_[k + 1], &level = lattice_[k];
            own_.clear();
            const int num_above = static_cast<int>(above.sets.size()) / words;
            for (int face = 0; face < num_above; face++) {
                int num_shared = 0;
                shared_.clear();
                for (int f = 0; f < num_facets(); f++) {
                    int num = 0, whole = 0;
                    for (int w = 0; w < words; w++) {
                        const uint64_t own = above.sets[face * words + w], both = own & facets[f * words + w];
                        shared_.push_back(both), num += __builtin_popcountll(both), whole += __builtin_popcountll(own);
                    }
                    if (num > k && num < whole) num_shared++;
                    else shared_.resize(shared_.size() - words);
                }
                for (int s = 0; s < num_shared; s++) {
                    const uint64_t *one = shared_.data() + s * words;
                    if (!is_simple_ && !is_largest(one, num_shared, words)) continue;
                    bool is_new;
                    const int number = static_cast<int>(own_.find(hash_of(one, words), is_new, [&](int64_t other) { return std::equal(one, one + words, level.sets.data() + other * words); }));
                    if (is_new) {
                        level.sets.insert(level.sets.end(), one, one + words);
                        if (k > 1) count_face(k, one, words);
                    }
                    const auto begin = above.children.begin() + above.child_begin.back();
                    if (is_simple_ || std::find(begin, above.children.end(), number) == above.children.end()) above.children.push_back(number);
                }
                above.child_begin.push_back(static_cast<int>(above.children.size()));
            }
        }
    }
    bool is_largest(const uint64_t *one, int num, int words) const {
        for (int s = 0; s < num; s++) {
            const uint64_t *other = shared_.data() + s * words;
            bool is_part = true, is_same = true;
            for (int w = 0; w < words; w++) is_part = is_part && !(one[w] & ~other[w]), is_same = is_same && one[w] == other[w];
            if (is_part && !is_same) return false;
        }
        return true;
    }
    void count_face(int k, const uint64_t *face, int words) {
        SetKey key;
        for (int w = 0; w < words; w++)
            for (uint64_t m = face[w]; m; m &= m - 1) key.add(keys_[64 * w + __builtin_ctzll(m)]);
        bool is_new;
        middle_[k].find(key.first, is_new, [&](int64_t other) { return middle_seconds_[k][other] == key.second; });
        if (is_new) middle_seconds_[k].push_back(key.second);
    }
    // Volume and centre from simplices: from the first vertex of a face, pyramids over its faces that do not have it. On
    // the way down, the spokes from the first vertex are made orthogonal to one another.
    struct Pyramids {
        double spokes[kMostDimensions][kMostDimensions], sum[kMostDimensions + 1][kMostDimensions];
        double volume = 0, moment[kMostDimensions] = {};
    };
    void measure(int n) {
        Pyramids all;
        std::fill(all.sum[0], all.sum[0] + dim(), 0.0);
        pyramids(dim(), 0, (n + 63) >> 6, 1, all);
        measured(all.volume, all.moment, n);
    }
    static int first_of(const uint64_t *set, int words) {
        for (int w = 0; w < words; w++) if (set[w]) return 64 * w + __builtin_ctzll(set[w]);
        return 0;
    }
    void pyramids(int k, int face, int words, double part, Pyramids &all) const {
        const uint64_t *own = lattice_[k].sets.data() + face * words;
        const int apex = first_of(own, words);
        if (k < dim()) part = with_spoke(dim() - k, apex, part, all);
        if (part == 0) return;
        if (k == 1) {  // an edge
            int other = -1;
            for (int w = 0; w < words; w++)
                for (uint64_t m = own[w]; m; m &= m - 1) other = 64 * w + __builtin_ctzll(m);
            part = with_spoke(dim(), other, part, all);
            all.volume += part;
            for (int i = 0; i < dim(); i++) all.moment[i] += part / (dim() + 1) * all.sum[dim()][i];
            return;
        }
        const Level &level = lattice_[k];
        for (int c = level.child_begin[face]; c < level.child_begin[face + 1]; c++) {
            const int child = level.children[c];
            if (!has(lattice_[k - 1].sets.data() + child * words, apex)) pyramids(k - 1, child, words, part, all);
        }
    }
    // Of a simple cell, whose facets share a face of the dimension that is left, or nothing: each set of facets one face.
    void measure_simple(const Polytope &cell) {
        const int d = dim(), n = cell.num_vertices, words = (n + 63) >> 6;
        sets_.assign(static_cast<size_t>(num_facets()) * words, 0), scratch_.resize(static_cast<size_t>(d + 1) * words);
        for (int f = 0; f < num_facets(); f++)
            for (int k = facet_begin_[f]; k < facet_begin_[f + 1]; k++) set(sets_.data() + f * words, facet_corners_[k]);
        for (int f = 0; f < num_facets(); f++) count_faces_of(d - 1, sets_.data() + f * words, f + 1, words);
        uint64_t *whole = scratch_.data() + d * words;
        std::fill(whole, whole + words, 0);
        for (int v = 0; v < n; v++) set(whole, v);
        Pyramids all;
        std::fill(all.sum[0], all.sum[0] + d, 0.0);
        simple_pyramids(cell, d, whole, words, 1, all);
        measured(all.volume, all.moment, n);
    }
    // What a face has in common with a facet, at the scratch of the dimension below; whether that is anything.
    bool share_of(const uint64_t *face, int f, int k, int words) {
        uint64_t *both = scratch_.data() + (k - 1) * words, any = 0;
        for (int w = 0; w < words; w++) any |= both[w] = face[w] & sets_[f * words + w];
        return any != 0;
    }
    void count_faces_of(int k, const uint64_t *face, int first, int words) {
        for (int f = first; f < num_facets(); f++) {
            if (!share_of(face, f, k, words)) continue;
            const uint64_t *both = scratch_.data() + (k - 1) * words;
            count_face(k - 1, both, words);
            if (k > 3) count_faces_of(k - 1, both, f + 1, words);
        }
    }
    void simple_pyramids(const Polytope &cell, int k, const uint64_t *face, int words, double part, Pyramids &all) {
        const int d = dim(), apex = first_of(face, words);
        if (k < d) part = with_spoke(d - k, apex, part, all);
        if (part == 0) return;
        if (k > 2) {
            for (int f = 0; f < num_facets(); f++)
                if (!has(sets_.data() + f * words, apex) && share_of(face, f, k, words)) simple_pyramids(cell, k - 1, scratch_.data() + (k - 1) * words, words, part, all);
            return;
        }
        for (int edge = 0; edge < cell.num_edges; edge++) {
            const int a = cell.edges[2 * edge], b = cell.edges[2 * edge + 1];
            if (a == apex || b == apex || !has(face, a) || !has(face, b)) continue;
            const double volume = with_spoke(d, b, with_spoke(d - 1, a, part, all), all);
            all.volume += volume;
            for (int i = 0; i < d; i++) all.moment[i] += volume / (d + 1) * all.sum[d][i];
        }
    }
    std::vector<uint64_t> sets_, scratch_;  // the vertices of each facet; a face of each dimension

    // The share of a volume with one more corner, the number-th: its distance from the span of those before, over number.
    double with_spoke(int number, int vertex, double part, Pyramids &all) const {
        const int d = dim();
        double *spoke = all.spokes[number - 1], squares = 0;
        const int origin = 0;  // the first vertex of the cell
        for (int i = 0; i < d; i++) {
            spoke[i] = positions_[vertex * d + i] - positions_[origin * d + i];
            all.sum[number][i] = all.sum[number - 1][i] + spoke[i];
        }
        for (int r = 0; r + 1 < number; r++) {
            double product = 0;
            for (int i = 0; i < d; i++) product += spoke[i] * all.spokes[r][i];
            for (int i = 0; i < d; i++) spoke[i] -= product * all.spokes[r][i];
        }
        for (int i = 0; i < d; i++) squares += spoke[i] * spoke[i];
        const double length = std::sqrt(squares);
        if (length > 0) for (int i = 0; i < d; i++) spoke[i] /= length;
        return part * length / number;
    }
};

}  // namespace jaxgeom
