// Breakpoints of networks along straight lines in input space, as engine.cc asks for them.
#pragma once

#include <atomic>

#include "network.h"

namespace jaxgeom {

struct Lines {
    int64_t num;
    const double *start, *stop;  // (num, inputs) each
    bool is_infinite;            // else segments from start to stop
};

struct LineArrays {  // of some lines, one after the other
    std::vector<int64_t> counts;                // breakpoints; -1: the network or the line is not finite
    std::vector<uint8_t> degenerate;
    std::vector<double> t;                      // x = start + t (stop - start)
    std::vector<int32_t> layers, units;
    std::vector<double> maps;                   // (pieces, outputs, 2), slope and intercept
    std::vector<uint8_t> ends;                  // if wanted (lines, 2, units), patterns of the first and the last piece
};

// The lines from first to last of one network, whose layers are computed with the output.
void trace(const Source &, int64_t index, const Lines &, int64_t first, int64_t last, bool has_ends, const std::atomic<int> *stop, LineArrays &out);

}  // namespace jaxgeom
