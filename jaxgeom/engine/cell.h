// A cell of the plane on its way through a network: a convex polygon, and the functions of the units on it.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "exact.h"
#include "network.h"
#include "sharp.h"

namespace jaxgeom {

struct Row;      // exact_signs.h
struct Reduced;  // reduced.h
struct Chain;    // chain.h

struct Entry {  // a cell on its way into a layer: where the functions of the layer's units come from
    mutable const Entry *before;
    int layer;
    const double *rows;               // a, b, c of all units, each of the layer's stride
    mutable const uint64_t *active;   // which units of the layer before are active
    mutable Row **exact;              // rows without rounding, each made when first needed
    mutable double *sharp;            // rows in twice the precision (sharp.h), null where these are of no use
    mutable bool is_sharp = false;                    // whether they are known
    mutable double sharp_input = 0, sharp_delta = 0;  // bounds of errors: of what the layer gets, and of its rows
    // Of a cell of a reduced network: which of its units are active. What is before follows when it is needed (chain.h).
    const Reduced *reduced = nullptr;
    uint64_t on = 0;
    mutable Chain *chain = nullptr;
};

// Of what has been asked for in twice the precision: rough where that is not much better than float64.
enum Sharpness : int8_t { kNotAsked, kNotSharp, kIsRough, kIsSharp };

struct Line {
    double nx, ny, nw, dn, tolerance;  // |n . p| of the true normal is at most 1.01 times that of this one and the tolerance, for a point p with entries of at most 1
    const Entry *entry;  // null: a side of the domain's faces, from corner to corner
    int unit, from, to;
    bool is_artificial;  // between two faces of the domain
    // The function in twice the precision and a bound of its errors, once they have been asked for.
    mutable Sharpness sharpness = kNotAsked;
    mutable double sharp_error;
    mutable Pair sharp[3];
};

struct Knowledge {  // what exact arithmetic knows of a point
    ExactVector at;
    std::vector<int8_t> signs;                         // of the pre-activations of all hidden units; 2: not known
    std::vector<std::unique_ptr<Exact>> activations;   // of the units of all hidden layers but the last, as far as needed
};

struct Point {
    const Line *first, *second;
    int corner;
    Knowledge *known;
    // Where it is in twice the precision and a bound of errors, once that has been asked for.
    mutable Sharpness sharpness = kNotAsked;
    mutable double sharp_error;
    mutable Pair sharp[2];
};

struct Vertex {
    double x, y, w, e;
    const Line *line;  // to the following vertex
    Point *point;
    int id, edge;      // when building
};

struct Tally {
    int64_t cells = 0, artificial = 0, central_cells = 0, central_edges = 0;
    bool is_degenerate = false;
};

// What a unit's activation hands on of its pre-activation on a cell.
inline double factor_below(const Entry &entry, const Layer &below, int i) {
    return below.slope[i] == 1 || (entry.active[i >> 6] >> (i & 63) & 1) ? 1 : below.slope[i];
}
// Of a x + b y + c w at a vertex; w is 1 on bounded domains.
template <bool Plane>
inline double value(double a, double b, double c, const Vertex &v) {
    return Plane ? a * v.x + (b * v.y + c * v.w) : a * v.x + (b * v.y + c);
}

}  // namespace jaxgeom
