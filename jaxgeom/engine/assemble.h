// The arrays of a complex from lists of its cells.
#pragma once

#include "faces.h"
#include "pool.h"

namespace jaxgeom {

// Cells that list their facets the wrong way round, as slivers may, by comparison with their neighbours, from the
// largest cell on; and their facets put right.
inline void turn_cells(SpaceArrays &out, const std::vector<char> &are_opposite) {
    const int64_t num_cells = static_cast<int64_t>(out.volume.size());
    const int64_t num_facets = static_cast<int64_t>(out.facet_cells.size() / 2);
    std::vector<int64_t> offsets(num_cells + 1), facets_of;
    for (const int64_t cell : out.facet_cells) if (cell >= 0) offsets[cell + 1]++;
    for (int64_t c = 0; c < num_cells; c++) offsets[c + 1] += offsets[c];
    facets_of.resize(offsets[num_cells]);
    std::vector<int64_t> place(offsets.begin(), offsets.end() - 1);
    for (int64_t f = 0; f < num_facets; f++)
        for (int side = 0; side < 2; side++) if (out.facet_cells[2 * f + side] >= 0) facets_of[place[out.facet_cells[2 * f + side]]++] = f;
    std::vector<int8_t> turn(num_cells);
    std::vector<int64_t> by_size(num_cells), waiting;
    for (int64_t c = 0; c < num_cells; c++) by_size[c] = c;
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
                turn[other] = are_opposite[f] ? turn[cell] : -turn[cell];
                waiting.push_back(other);
            }
        }
    }
    for (int64_t f = 0; f < num_facets; f++)
        if (turn[out.facet_cells[2 * f]] < 0) std::reverse(out.facet_vertices.begin() + out.facet_offsets[f], out.facet_vertices.begin() + out.facet_offsets[f + 1]);
}
// Which unit made a facet, and on which side of it that is active. Whether there is one.
inline bool label(int64_t f, const Network &net, int dim, const Names &names, uint64_t *zero, SpaceArrays &out) {
    const int words = names.words, first = 2 * dim;
    const int64_t units = net.unit_offsets[net.depth];
    std::fill(zero, zero + words, ~uint64_t(0));
    for (int64_t k = out.facet_offsets[f]; k < out.facet_offsets[f + 1]; k++)
        for (int w = 0; w < words; w++) zero[w] &= names.zero[out.facet_vertices[k] * words + w];
    int64_t *cells = &out.facet_cells[2 * f], *made_by = &out.facet_labels[2 * f];
    int side = -1;
    for (int i = first; i-- > 0;) if (has_bit(zero, i)) side = i;
    if (side >= 0 || cells[1] < 0) {
        made_by[0] = -1, made_by[1] = side;
        return (side >= 0 && cells[1] < 0) || out.is_part;
    }
    const uint8_t *p = out.patterns.data() + cells[0] * units, *q = out.patterns.data() + cells[1] * units;
    for (int l = 0; l < net.depth; l++) {
        for (int j = 0; j < net.layers[l].out; j++) {
            const int unit = net.unit_offsets[l] + j;
            if (p[unit] == q[unit] || !has_bit(zero, first + unit)) continue;
            if (!p[unit]) {
                std::swap(cells[0], cells[1]);
                if (dim == 3) std::reverse(out.facet_vertices.begin() + out.facet_offsets[f], out.facet_vertices.begin() + out.facet_offsets[f + 1]);
            }
            made_by[0] = l, made_by[1] = j;
            return true;
        }
    }
    made_by[0] = made_by[1] = -1;
    return false;
}
// What vertices are, in the signs of all units, and how many faces of each dimension there are.
template <int D, int W>
void finish(const Network &net, Shape<D, W> shape, const Names &names, const Faces<D, W> &faces, int threads, SpaceArrays &out) {
    const int d = shape.dim(), first = 2 * d, units = net.unit_offsets[net.depth], words = shape.words();
    constexpr int64_t kBlock = 512;
    std::vector<int> linear;
    for (int l = 0; l < net.depth; l++)
        for (int i = 0; i < net.layers[l].num_linear; i++) linear.push_back(net.unit_offsets[l] + net.layers[l].linear[i]);
    out.sides.resize(names.size() * first), out.signs.resize(names.size() * units);
    for_all(names.size(), threads, kBlock, false, [&](int64_t v) {
        const uint64_t *zero = names.zero.data() + v * words, *positive = names.positive.data() + v * words;
        static thread_local std::vector<uint8_t> is_zero;
        is_zero.resize(units);
        int8_t *signs = out.signs.data() + v * units;
        spread_bits(zero, 0, first, out.sides.data() + v * first);
        spread_bits(zero, first, units, is_zero.data());
        spread_bits(positive, first, units, reinterpret_cast<uint8_t *>(signs));
        for (int j = 0; j < units; j++) signs[j] = static_cast<int8_t>(2 * signs[j] + is_zero[j] - 1);
        for (const int j : linear) signs[j] = 0;
    });
    if (d == 3) turn_cells(out, faces.are_opposite);
    out.facet_labels.resize(2 * faces.num_facets());
    std::atomic<bool> is_labelled{true};
    for_all(faces.num_facets(), threads, kBlock, false, [&](int64_t f) {
        static thread_local std::vector<uint64_t> zero;
        zero.resize(words);
        if (!label(f, net, d, names, zero.data(), out)) is_labelled = false;
    });
    out.is_consistent = out.is_consistent && is_labelled;
    out.num_faces.assign(d + 1, 0);
    for (int k = 2; k < d - 1; k++) out.num_faces[k] = faces.middle[k].size();
    out.num_faces[d - 1] = faces.num_facets(), out.num_faces[0] = names.size(), out.num_faces[d] = out.num_cells;
    if (d > 2) out.num_faces[1] = faces.num_edges();
    int64_t euler = 0;
    for (int k = 0; k <= d; k++) euler += (k % 2 ? -1 : 1) * out.num_faces[k];
    if (euler != 1 && !out.is_part) out.is_consistent = false;
}

// The complex of the cells of all lists, one list behind the other, on so many threads; lists are used up.
template <int D, int W>
void assemble(const Network &net, Shape<D, W> shape, std::vector<CellList> &lists, int threads, SpaceArrays &out) {
    const int words = shape.words(), d = shape.dim();
    const size_t num = lists.size();
    Names names(words);
    std::vector<std::vector<int64_t>> numbers(num);
    std::vector<int64_t> first(num + 1);
    for (size_t k = 0; k < num; k++) {
        CellList &list = lists[k];
        const int64_t own = list.names.size();
        first[k + 1] = first[k] + static_cast<int64_t>(list.cells.size());
        numbers[k].resize(own);
        if (k == 0) names = std::move(list.names);
        for (int64_t v = 0; v < own; v++) {
            bool is_new = false;
            numbers[k][v] = k == 0 ? v : names.find(list.names.zero.data() + v * words, list.names.positive.data() + v * words, is_new);
            if (is_new) names.x.insert(names.x.end(), list.names.x.begin() + v * d, list.names.x.begin() + (v + 1) * d);
        }
        if (k) list.names = Names(words);
    }
    out.num_cells = first[num];
    std::vector<std::unique_ptr<Faces<D, W>>> parts(num);
    for_all(static_cast<int64_t>(num), threads, 1, false, [&](int64_t k) {
        parts[k].reset(new Faces<D, W>(shape, net.unit));
        parts[k]->add(lists[k], numbers[k].data(), names.x.data(), first[k]);
        lists[k].forget_shapes(), numbers[k] = {};
    });
    Faces<D, W> &all = *parts[0];
    for (size_t k = 1; k < num; k++) all.append(*parts[k]), parts[k].reset();
    out.is_consistent = all.is_consistent;
    out.edges = std::move(all.edges), out.volume = std::move(all.volume), out.centroid = std::move(all.centroid);
    out.facet_offsets = std::move(all.facet_offsets), out.facet_vertices = std::move(all.facet_vertices), out.facet_cells = std::move(all.facet_cells);
    out.cell_offsets = std::move(all.cell_offsets), out.cell_vertices = std::move(all.cell_vertices);
    for (CellList &list : lists) {
        if (&list == &lists[0]) out.patterns = std::move(list.patterns), out.maps = std::move(list.maps);
        else out.patterns.insert(out.patterns.end(), list.patterns.begin(), list.patterns.end()), out.maps.insert(out.maps.end(), list.maps.begin(), list.maps.end());
    }
    finish(net, shape, names, all, threads, out);
    out.vertices = std::move(names.x);
}

}  // namespace jaxgeom
