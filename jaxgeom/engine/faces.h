// The complex that cells make together: each vertex, edge and facet once, and the faces of the dimensions in between counted.
//
// Cells come in lists, one from each part of the recursion. What the cells of a list have in common is found for each
// list, on any thread; then the lists are joined in their order, so that it makes no difference how many there are.
#pragma once

#include "volumes.h"

namespace jaxgeom {

template <int D, int W>
class Faces {  // of the cells of one list or of several, with vertices numbered as in the whole complex
  public:
    std::vector<int64_t> edges, facet_offsets{0}, facet_vertices, facet_cells, cell_offsets{0}, cell_vertices;
    std::vector<char> are_opposite;  // whether the two cells of a facet list its vertices in opposite orders
    std::vector<double> volume, centroid;
    std::vector<Sets> middle;        // faces of dimensions between those of edges and facets
    bool is_consistent = true;

    Faces(Shape<D, W> shape, double unit) : middle(shape.dim() + 1), shape_(shape), unit_(unit), volumes_(shape) {}

    // The cells of a list. name: the numbers of its vertices, which are at x; first: the number of its first cell.
    void add(CellList &list, const int64_t *name, const double *x, int64_t first) {
        is_consistent = is_consistent && list.is_consistent;
        for (size_t c = 0; c < list.cells.size(); c++) add(list, list.cells[c], name, x, first + static_cast<int64_t>(c));
    }
    // Those of a later list.
    void append(const Faces &later) {
        is_consistent = is_consistent && later.is_consistent;
        for (size_t c = 0; c + 1 < later.cell_offsets.size(); c++) cell_offsets.push_back(static_cast<int64_t>(cell_vertices.size()) + later.cell_offsets[c + 1]);
        extend(cell_vertices, later.cell_vertices), extend(volume, later.volume), extend(centroid, later.centroid);
        for (size_t k = 0; k < later.edges.size(); k += 2) edge(later.edges[k], later.edges[k + 1]);
        for (size_t k = 2; k < middle.size(); k++)
            for (int64_t i = 0; i < later.middle[k].size(); i++) middle_face(static_cast<int>(k), later.middle[k].key(i));
        for (int64_t f = 0; f < later.facets_.size(); f++) {
            const int64_t *around = later.facet_vertices.data() + later.facet_offsets[f], *cells = later.facet_cells.data() + 2 * f;
            const size_t num = static_cast<size_t>(later.facet_offsets[f + 1] - later.facet_offsets[f]);
            const int64_t id = facet(later.facets_.key(f), around, num, cells[0]);
            if (cells[1] < 0) continue;
            is_consistent = is_consistent && facet_cells[2 * id + 1] < 0;
            facet_cells[2 * id + 1] = cells[1], are_opposite[id] = later.are_opposite[f];
        }
    }
    int64_t num_edges() const { return edge_table_.size(); }
    int64_t num_facets() const { return facets_.size(); }

  private:
    const Shape<D, W> shape_;
    const double unit_;
    Table edge_table_;
    Sets facets_;
    Volumes<D, W> volumes_;
    // of the cell at hand:
    std::vector<int64_t> ids_, around_;
    std::vector<double> positions_;
    std::vector<SetKey> keys_;

    int dim() const { return shape_.dim(); }
    template <class T>
    static void extend(std::vector<T> &all, const std::vector<T> &more) { all.insert(all.end(), more.begin(), more.end()); }

    void add(CellList &list, const CellList::Cell &at, const int64_t *name, const double *x, int64_t index) {
        const int d = dim(), n = at.num_vertices;
        ids_.resize(n), keys_.resize(n), positions_.resize(static_cast<size_t>(n) * d);
        for (int v = 0; v < n; v++) {
            ids_[v] = name[list.vertices[at.vertices + v]], keys_[v] = SetKey(static_cast<uint64_t>(ids_[v]));
            for (int i = 0; i < d; i++) positions_[v * d + i] = x[ids_[v] * d + i] / unit_;
        }
        extend(cell_vertices, ids_);
        std::sort(cell_vertices.begin() + cell_offsets.back(), cell_vertices.end());
        cell_offsets.push_back(static_cast<int64_t>(cell_vertices.size()));
        const CellView cell{n, at.num_edges, at.num_facets, list.edges.data() + at.edges, list.facet_offsets.data() + at.facets,
                            list.corners.data() + list.facet_offsets[at.facets], at.is_simple};
        for (int k = 0; k < cell.num_edges; k++) edge(ids_[cell.edges[2 * k]], ids_[cell.edges[2 * k + 1]]);
        volumes_.measure(cell, positions_.data(), [&](int k, const uint64_t *face, int words) {
            SetKey key;
            for (int w = 0; w < words; w++)
                for (uint64_t m = face[w]; m; m &= m - 1) key.add(keys_[64 * w + __builtin_ctzll(m)]);
            middle_face(k, key);
        });
        measured(n);
        for (int f = 0; f < cell.num_facets; f++) {
            around_.clear();
            SetKey key;
            for (int k = 0; k < cell.size(f); k++) around_.push_back(ids_[cell.facet(f)[k]]), key.add(keys_[cell.facet(f)[k]]);
            if (d != 3) std::sort(around_.begin(), around_.end());
            facet(key, around_.data(), around_.size(), index);
        }
    }
    void measured(int num_vertices) {
        const int d = dim();
        const double *x = positions_.data();
        double size = volumes_.volume;
        for (int i = 0; i < d; i++) {
            double mean = 0;
            for (int v = 0; v < num_vertices; v++) mean += (x[v * d + i] - x[i]) / num_vertices;
            centroid.push_back((x[i] + (size > 0 ? volumes_.moment[i] / size : mean)) * unit_);
        }
        for (int i = 0; i < d; i++) size *= unit_;
        volume.push_back(size);
    }
    void edge(int64_t a, int64_t b) {
        if (a > b) std::swap(a, b);
        const int64_t ends[] = {a, b};
        bool is_new;
        edge_table_.find(hash_of(ends, 2), is_new, [&](int64_t other) { return edges[2 * other] == a && edges[2 * other + 1] == b; });
        if (is_new) edges.push_back(a), edges.push_back(b);
    }
    void middle_face(int k, const SetKey &key) {
        bool is_new;
        middle[k].find(key, is_new);
    }
    // A facet that a cell has; returns its number.
    int64_t facet(const SetKey &key, const int64_t *around, size_t num, int64_t cell) {
        bool is_new;
        const int64_t id = facets_.find(key, is_new);
        if (is_new) {
            facet_vertices.insert(facet_vertices.end(), around, around + num);
            facet_offsets.push_back(static_cast<int64_t>(facet_vertices.size()));
            facet_cells.push_back(cell), facet_cells.push_back(-1);
            are_opposite.push_back(1);
        } else if (facet_cells[2 * id + 1] >= 0) {
            is_consistent = false;
        } else {
            facet_cells[2 * id + 1] = cell;
            if (dim() == 3) are_opposite[id] = is_opposite(id, around);
        }
        return id;
    }
    bool is_opposite(int64_t id, const int64_t *around) const {
        const auto begin = facet_vertices.begin() + facet_offsets[id], end = facet_vertices.begin() + facet_offsets[id + 1];
        auto next = std::find(begin, end, around[0]) + 1;
        return *(next == end ? begin : next) != around[1];
    }
};

}  // namespace jaxgeom
