// Counts and complexes of networks on boxes in any dimension, as engine.cc asks for them.
#pragma once

#include <atomic>

#include "network.h"
#include "planes.h"

namespace jaxgeom {

struct Box {
    const double *low, *high;  // one for each of the network's inputs
};

struct SpaceArrays {  // the complex of one network, see jaxgeom.regions.space.SpatialComplex
    std::vector<double> vertices;                   // (vertices, dim)
    std::vector<int8_t> signs;                      // (vertices, units)
    std::vector<uint8_t> sides;                     // (vertices, 2 dim)
    std::vector<int64_t> edges;                     // (edges, 2)
    std::vector<int64_t> facet_offsets, facet_vertices;
    std::vector<int64_t> facet_cells, facet_labels; // (facets, 2), layer and unit; layer -1: a side of the box
    std::vector<int64_t> cell_offsets, cell_vertices;
    std::vector<uint8_t> patterns;                  // (cells, units)
    std::vector<double> maps;                       // (cells, outputs, dim + 1)
    std::vector<double> volume, centroid;
    std::vector<int64_t> num_faces;                 // of dimension 0 to dim
    int64_t num_cells = 0;
    bool is_degenerate = false, is_consistent = true, is_finite = true;
    bool is_complete = true;                        // false: there were more cells than allowed
    bool is_part = false;                           // whether there are only cells at a surface
};

struct SpaceShare {  // of one network's count, among threads
    std::unique_ptr<std::atomic<uint8_t>[]> claims{new std::atomic<uint8_t>[(size_t(1) << kSplitLevel) + 2]()};
    std::atomic<int64_t> cells{0};
    std::atomic<bool> is_degenerate{false}, is_finite{true};
};

Counted count_in_box(const Source &, int64_t index, const Box &, const std::atomic<int> *stop, SpaceShare *share);
// at_surface: only the cells, of both sides, at which the first unit of the last hidden layer is zero somewhere.
SpaceArrays cells_in_box(const Source &, int64_t index, const Box &, int64_t max_cells, bool at_surface, int threads, const std::atomic<int> *stop);

}  // namespace jaxgeom
