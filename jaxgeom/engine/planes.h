// Counts and complexes of single networks, as engine.cc asks for them.
#pragma once

#include <algorithm>
#include <atomic>

#include "network.h"

namespace jaxgeom {

struct Counted {
    int64_t cells;
    bool is_degenerate;
};

struct CellArrays {  // the complex of one network, see jaxgeom.regions.complex.PlanarComplex
    std::vector<double> points;            // (vertices, 3), homogeneous
    std::vector<int64_t> edges;            // (edges, 2)
    std::vector<int64_t> edge_faces;       // (edges, 2), left and right, -1 for none
    std::vector<int64_t> edge_labels;      // (edges, 2), layer and unit; layer -1: the boundary, -2: between faces of the domain
    std::vector<int64_t> face_offsets, face_vertices, face_edges;
    std::vector<std::vector<uint8_t>> patterns;                // (faces, units), in pieces that follow one another
    std::vector<std::vector<double>> maps, area, centroid;     // (faces, outputs, 3), (faces,) and (faces, 2), in pieces
    std::vector<double> outputs;           // (vertices, outputs), NaN at infinity
    bool is_degenerate = false, is_consistent = true, is_finite = true;
};

// The regions of a domain, from the cells of its faces. Edges between faces are taken out again, one region less for
// each; those that meet in the domain's centre go round in a circle unless a unit's line runs through it.
inline int64_t total(int64_t cells, int64_t artificial, int64_t central_cells, int64_t central_edges) {
    return cells - artificial / 2 + (central_cells == 3 && central_edges == 6 ? 1 : 0);
}

constexpr int kInParts = 96;  // units; the complexes of networks with more of them are built in parts
constexpr int kSplitLevel = 8;
class Share {  // of one network's count, among threads
  public:
    Share(int threads, int num_faces, int width) : threads(threads), level(level_for(threads, width)), claims(new std::atomic<uint8_t>[(static_cast<size_t>(num_faces) << kSplitLevel) + 2]()) {}
    const int threads, level;  // subtrees at this level are shared
    std::unique_ptr<std::atomic<uint8_t>[]> claims;
    std::atomic<int> row{0}, finished{0}, trouble{INT32_MAX};
    std::atomic<int64_t> pairs{0}, ends{0};
    std::atomic<int64_t> cells{0}, artificial{0}, central_cells{0}, central_edges{0};
    std::atomic<bool> is_degenerate{false};

  private:
    // All threads go down to it: where the first layer is so wide that there are many cells, that takes no time; else it is
    // for 16 subtrees a thread.
    static int level_for(int threads, int width) {
        int level = std::min(kSplitLevel, 4 + width / 256);
        for (int num = 1; level < kSplitLevel && num < threads; num *= 2) level++;
        return level;
    }
};

Counted count(const Source &, int64_t index, const Domain &, const std::atomic<int> *stop);
// The same by threads together, which share its arrays; false if there are no threads to be had.
bool count_together(const Source &, int64_t index, const Domain &, const std::atomic<int> *stop, int threads, Counted &);
// By one thread, or large ones by several; the bits are the same.
CellArrays cells(const Source &, int64_t index, const Domain &, const std::atomic<int> *stop, int threads);

}  // namespace jaxgeom
