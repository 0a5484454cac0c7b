// Volumes and centres of cells from simplices, and the faces of the dimensions in between on the way.
#pragma once

#include "cell_list.h"

namespace jaxgeom {

struct CellView {  // of a list
    int num_vertices, num_edges, num_facets;
    const uint16_t *edges;
    const size_t *facet_offsets;
    uint16_t *corners;  // of the first facet
    bool is_simple;
    int size(int f) const { return static_cast<int>(facet_offsets[f + 1] - facet_offsets[f]); }
    uint16_t *facet(int f) const { return corners + (facet_offsets[f] - facet_offsets[0]); }
    void turn() const {
        for (int f = 0; f < num_facets; f++) std::reverse(facet(f), facet(f) + size(f));
    }
};

template <int D, int W>
class Volumes {
  public:
    double volume = 0, moment[kMostDimensions] = {};  // of a cell, the moment around its first vertex

    explicit Volumes(Shape<D, W> shape) : shape_(shape) {}
    // x: positions of the cell's vertices; in three dimensions, facets that are listed the wrong way round are turned.
    // found(k, vertices, words): a face of dimension k, from 2 to dim - 2, as bits for the cell's vertices.
    template <class Found>
    void measure(const CellView &cell, const double *x, const Found &found) {
        x_ = x, volume = 0;
        std::fill(moment, moment + dim(), 0.0);
        if (dim() == 3) return measure_by_fans(cell);
        if (dim() > 3 && cell.is_simple) return measure_simple(cell, found);
        find_lattice(cell, found);
        measure_lattice(cell.num_vertices);
    }

  private:
    const Shape<D, W> shape_;
    const double *x_ = nullptr;
    struct Level { std::vector<uint64_t> sets; std::vector<int> child_begin, children; };
    std::vector<Level> lattice_;  // the faces of each dimension as sets of vertices, and the faces that are part of each
    std::vector<uint64_t> shared_;
    Table own_;
    std::vector<uint64_t> sets_, scratch_;  // the vertices of each facet; a face of each dimension
    double spokes_[kMostDimensions][kMostDimensions], sum_[kMostDimensions + 1][kMostDimensions];

    int dim() const { return shape_.dim(); }

    // With signs, so that simplices of vertices that are a little astray add up, too.
    void measure_by_fans(const CellView &cell) {
        const double *x = x_;
        for (int f = 0; f < cell.num_facets; f++) {
            const uint16_t *around = cell.facet(f);
            const int num = cell.size(f);
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
            cell.turn();
            volume = -volume;
            for (double &part : moment) part = -part;
        }
    }

    // ---- other dimensions

    // Faces of all dimensions as sets of vertices: those of a face are the largest that it shares with facets.
    template <class Found>
    void find_lattice(const CellView &cell, const Found &found) {
        const int d = dim(), n = cell.num_vertices, words = (n + 63) >> 6;
        lattice_.resize(d + 1);
        for (Level &level : lattice_) level.sets.clear(), level.child_begin.assign(1, 0), level.children.clear();
        lattice_[d].sets.assign(words, 0);
        for (int v = 0; v < n; v++) set_bit(lattice_[d].sets.data(), v);
        std::vector<uint64_t> &facets = lattice_[d - 1].sets;
        facets.assign(static_cast<size_t>(cell.num_facets) * words, 0);
        for (int f = 0; f < cell.num_facets; f++) {
            for (int k = 0; k < cell.size(f); k++) set_bit(facets.data() + f * words, cell.facet(f)[k]);
            lattice_[d].children.push_back(f);
        }
        lattice_[d].child_begin.push_back(cell.num_facets);
        for (int k = d - 2; k >= 1; k--) {
            Level &above = lattice_[k + 1], &level = lattice_[k];
            own_.clear();
            const int num_above = static_cast<int>(above.sets.size()) / words;
            for (int face = 0; face < num_above; face++) {
                int num_shared = 0;
                shared_.clear();
                for (int f = 0; f < cell.num_facets; f++) {
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
                    if (!cell.is_simple && !is_largest(one, num_shared, words)) continue;
                    bool is_new;
                    const int number = static_cast<int>(own_.find(hash_of(one, words), is_new, [&](int64_t other) { return std::equal(one, one + words, level.sets.data() + other * words); }));
                    if (is_new) {
                        level.sets.insert(level.sets.end(), one, one + words);
                        if (k > 1) found(k, one, words);
                    }
                    const auto begin = above.children.begin() + above.child_begin.back();
                    if (cell.is_simple || std::find(begin, above.children.end(), number) == above.children.end()) above.children.push_back(number);
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
    // Volume and moment from simplices: from the first vertex of a face, pyramids over its faces that do not have it. On
    // the way down, the spokes from the first vertex are made orthogonal to one another.
    void measure_lattice(int n) {
        std::fill(sum_[0], sum_[0] + dim(), 0.0);
        pyramids(dim(), 0, (n + 63) >> 6, 1);
    }
    static int first_of(const uint64_t *set, int words) {
        for (int w = 0; w < words; w++) if (set[w]) return 64 * w + __builtin_ctzll(set[w]);
        return 0;
    }
    void pyramids(int k, int face, int words, double part) {
        const uint64_t *own = lattice_[k].sets.data() + face * words;
        const int apex = first_of(own, words);
        if (k < dim()) part = with_spoke(dim() - k, apex, part);
        if (part == 0) return;
        if (k == 1) {  // an edge
            int other = -1;
            for (int w = 0; w < words; w++)
                for (uint64_t m = own[w]; m; m &= m - 1) other = 64 * w + __builtin_ctzll(m);
            return add_simplex(with_spoke(dim(), other, part));
        }
        const Level &level = lattice_[k];
        for (int c = level.child_begin[face]; c < level.child_begin[face + 1]; c++) {
            const int child = level.children[c];
            if (!has_bit(lattice_[k - 1].sets.data() + child * words, apex)) pyramids(k - 1, child, words, part);
        }
    }
    // Of a simple cell, whose facets share a face of the dimension that is left, or nothing: each set of facets one face.
    template <class Found>
    void measure_simple(const CellView &cell, const Found &found) {
        const int d = dim(), n = cell.num_vertices, words = (n + 63) >> 6;
        sets_.assign(static_cast<size_t>(cell.num_facets) * words, 0), scratch_.resize(static_cast<size_t>(d + 1) * words);
        for (int f = 0; f < cell.num_facets; f++)
            for (int k = 0; k < cell.size(f); k++) set_bit(sets_.data() + f * words, cell.facet(f)[k]);
        for (int f = 0; f < cell.num_facets; f++) faces_within(cell, d - 1, sets_.data() + f * words, f + 1, words, found);
        uint64_t *whole = scratch_.data() + d * words;
        std::fill(whole, whole + words, 0);
        for (int v = 0; v < n; v++) set_bit(whole, v);
        std::fill(sum_[0], sum_[0] + d, 0.0);
        simple_pyramids(cell, d, whole, words, 1);
    }
    // What a face has in common with a facet, at the scratch of the dimension below; whether that is anything.
    bool share_of(const uint64_t *face, int f, int k, int words) {
        uint64_t *both = scratch_.data() + (k - 1) * words, any = 0;
        for (int w = 0; w < words; w++) any |= both[w] = face[w] & sets_[f * words + w];
        return any != 0;
    }
    template <class Found>
    void faces_within(const CellView &cell, int k, const uint64_t *face, int first, int words, const Found &found) {
        for (int f = first; f < cell.num_facets; f++) {
            if (!share_of(face, f, k, words)) continue;
            const uint64_t *both = scratch_.data() + (k - 1) * words;
            found(k - 1, both, words);
            if (k > 3) faces_within(cell, k - 1, both, f + 1, words, found);
        }
    }
    void simple_pyramids(const CellView &cell, int k, const uint64_t *face, int words, double part) {
        const int d = dim(), apex = first_of(face, words);
        if (k < d) part = with_spoke(d - k, apex, part);
        if (part == 0) return;
        if (k > 2) {
            for (int f = 0; f < cell.num_facets; f++)
                if (!has_bit(sets_.data() + f * words, apex) && share_of(face, f, k, words)) simple_pyramids(cell, k - 1, scratch_.data() + (k - 1) * words, words, part);
            return;
        }
        for (int edge = 0; edge < cell.num_edges; edge++) {
            const int a = cell.edges[2 * edge], b = cell.edges[2 * edge + 1];
            if (a != apex && b != apex && has_bit(face, a) && has_bit(face, b)) add_simplex(with_spoke(d, b, with_spoke(d - 1, a, part)));
        }
    }
    void add_simplex(double part) {
        volume += part;
        for (int i = 0; i < dim(); i++) moment[i] += part / (dim() + 1) * sum_[dim()][i];
    }
    // The share of a volume with one more corner, the number-th: its distance from the span of those before, over number.
    double with_spoke(int number, int vertex, double part) {
        const int d = dim();
        double *spoke = spokes_[number - 1], squares = 0;
        const double *origin = x_;  // the first vertex of the cell
        for (int i = 0; i < d; i++) {
            spoke[i] = x_[vertex * d + i] - origin[i];
            sum_[number][i] = sum_[number - 1][i] + spoke[i];
        }
        for (int r = 0; r + 1 < number; r++) {
            double product = 0;
            for (int i = 0; i < d; i++) product += spoke[i] * spokes_[r][i];
            for (int i = 0; i < d; i++) spoke[i] -= product * spokes_[r][i];
        }
        for (int i = 0; i < d; i++) squares += spoke[i] * spoke[i];
        const double length = std::sqrt(squares);
        if (length > 0) for (int i = 0; i < d; i++) spoke[i] /= length;
        return part * length / number;
    }
};

}  // namespace jaxgeom
