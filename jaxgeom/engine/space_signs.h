// Signs of units at vertices of cells in space in exact arithmetic. Functions are exact sums of products of weights, and
// vertices are ratios of determinants of exact functions.
#pragma once

#include <memory>
#include <vector>

#include "exact.h"
#include "polytope.h"
#include "spaces.h"

namespace jaxgeom {

struct KnownPoint { std::vector<Exact> at; };  // homogeneous, the last entry positive

typedef std::vector<Exact> ExactFunction;  // coefficients, the constant last

struct SpaceEntry {  // a cell on its way into a layer: where the functions of the layer's units come from
    const SpaceEntry *before;
    int layer;
    const double *rows;      // coefficients, constants and bounds of all units, each of the layer's stride
    const uint64_t *active;  // which units of the layer before are active; behind them, which are zero on all of the cell
    double *sharp;           // rows in twice the precision, null where these are of no use
    mutable bool is_sharp = false;
    mutable double sharp_input = 0, sharp_delta = 0;
    mutable std::vector<std::unique_ptr<ExactFunction>> exact{};
};

inline double factor_below(const SpaceEntry &entry, const Layer &below, int i) {
    return below.slope[i] == 1 || has_bit(entry.active, i) ? 1 : below.slope[i];
}
inline double end_of(const Box &box, int side) { return side % 2 ? box.high[side / 2] : box.low[side / 2]; }

// The point that lies on as many hyperplanes as there are dimensions, by determinants; entries are all 0 if there is none.
inline ExactFunction meet_of(const std::vector<const ExactFunction *> &rows) {
    const int d = static_cast<int>(rows.size());
    std::vector<Exact> minors(size_t(1) << (d + 1));  // of the first rows, under the set of their columns
    minors[0] = Exact(1.0);
    for (unsigned set = 1; set + 1 < 1u << (d + 1); set++) {
        const int k = __builtin_popcount(set);
        int place = 0;
        Exact sum;
        for (unsigned m = set; m; m &= m - 1, place++) {
            const int j = __builtin_ctz(m);
            Exact product = (*rows[k - 1])[j] * minors[set & ~(1u << j)];
            if ((k - 1 + place) & 1) product.negate();
            sum += product;
        }
        minors[set] = std::move(sum);
    }
    ExactFunction point(d + 1);
    const unsigned all = (1u << (d + 1)) - 1;
    for (int j = 0; j <= d; j++) {
        point[j] = std::move(minors[all & ~(1u << j)]);
        if (j & 1) point[j].negate();
    }
    if (point[d].sign() < 0) for (Exact &entry : point) entry.negate();
    return point;
}

// Which of some functions have gradients of full rank together, the first ones first.
inline std::vector<const ExactFunction *> independent(const std::vector<const ExactFunction *> &rows, int dim) {
    std::vector<const ExactFunction *> found;
    std::vector<ExactFunction> reduced;
    std::vector<int> pivots;
    for (const ExactFunction *row : rows) {
        ExactFunction rest(row->begin(), row->begin() + dim);
        for (size_t k = 0; k < reduced.size(); k++) {
            if (rest[pivots[k]].is_zero()) continue;
            const Exact factor = rest[pivots[k]], lead = reduced[k][pivots[k]];
            for (int i = 0; i < dim; i++) rest[i] = rest[i] * lead - reduced[k][i] * factor;
        }
        int pivot = 0;
        while (pivot < dim && rest[pivot].is_zero()) pivot++;
        if (pivot == dim) continue;
        found.push_back(row), reduced.push_back(std::move(rest)), pivots.push_back(pivot);
        if (static_cast<int>(found.size()) == dim) break;
    }
    return found;
}

inline void forget(SpacePoint *points, int num) {
    for (int i = 0; i < num; i++) delete points[i].known;
}

template <int D, int W>
struct SpaceSigns {
    const Network &net;
    const Box &box;
    const Shape<D, W> shape;
    Arena &arena;
    Plane *planes;  // by number: sides of the box, then units
    Sparse sparse{};
    int dim() const { return shape.dim(); }

    const ExactFunction &row(const SpaceEntry *entry, int unit) {
        const Layer &layer = net.layers[entry->layer];
        if (entry->exact.empty()) entry->exact.resize(layer.out);
        if (entry->exact[unit]) return *entry->exact[unit];
        std::unique_ptr<ExactFunction> own(new ExactFunction(dim() + 1));
        own->back() = Exact(layer.offsets[unit]);
        for (const auto &[i, weight] : sparse.column(net, entry->layer, unit)) {
            if (entry->layer == 0) {
                (*own)[i] = Exact(weight);
                continue;
            }
            const double slope = factor_below(*entry, net.layers[entry->layer - 1], i);
            if (slope == 0) continue;
            const Exact factor = slope == 1 ? Exact(weight) : Exact(weight) * Exact(slope);
            const ExactFunction &below = row(entry->before, i);
            for (int s = 0; s <= dim(); s++) (*own)[s] += factor * below[s];
        }
        entry->exact[unit] = std::move(own);
        return *entry->exact[unit];
    }
    ExactFunction side(int i) const {
        ExactFunction function(dim() + 1);
        function[i / 2] = Exact(1.0);
        function.back() = Exact(-end_of(box, i));
        return function;
    }
    const ExactFunction &point(const Polytope &cell, int v) {
        SpacePoint &place = *cell.point[v];
        if (place.known) return place.known->at;
        const uint64_t *on = cell.on + v * shape.words();
        std::vector<ExactFunction> sides;
        sides.reserve(2 * dim());  // so that they stay where they are
        const auto function = [&](const Plane &plane) {
            if (plane.entry) return &row(static_cast<const SpaceEntry *>(plane.entry), plane.unit);
            sides.push_back(side(plane.unit));
            return static_cast<const ExactFunction *>(&sides.back());
        };
        const Plane *chosen[kMostDimensions];
        shape.choose(on, planes, chosen, arena);
        std::vector<const ExactFunction *> rows;
        for (int k = 0; k < dim(); k++) rows.push_back(function(*chosen[k]));
        ExactFunction at = meet_of(rows);
        if (at.back().is_zero()) {
            rows.clear(), sides.clear();
            shape.for_each(on, [&](int plane) { rows.push_back(function(planes[plane])); });
            at = meet_of(independent(rows, dim()));
        }
        place.known = new KnownPoint{std::move(at)};
        return place.known->at;
    }
    int sign(const SpaceEntry &entry, int unit, const Polytope &cell, int v) {
        const ExactFunction &function = row(&entry, unit), &at = point(cell, v);
        Exact sum;
        for (int s = 0; s <= dim(); s++) sum += function[s] * at[s];
        return sum.sign();
    }
    bool is_zero_row(const SpaceEntry &entry, int unit) {
        for (const Exact &number : row(&entry, unit)) if (!number.is_zero()) return false;
        return true;
    }
};

}  // namespace jaxgeom
