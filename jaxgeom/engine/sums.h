// What units hand to the functions of the next layer.
#pragma once

#include "cell.h"

namespace jaxgeom {

// Adds a unit of a x + b y + c w through the runs of a kernel; behind the functions, bounds of their errors are added up.
// e: that of a, b and c.
inline void add_runs(const Layer &above, int unit, double a, double b, double c, double e, double *next) {
    const Runs &all_runs = *above.runs;
    const int p = above.stride;
    e += (above.terms + 6) * kEps * (std::fabs(a) + std::fabs(b) + std::fabs(c));
    for (int64_t r = all_runs.offsets[unit]; r < all_runs.offsets[unit + 1]; r++) {
        const Run &run = all_runs.runs[r];
        double *to = next + run.begin;
        int j = 0;
        for (; j + kLanes <= run.length; j += kLanes) {
            const Vec weight = load_from(run.weights + j);
            store_at(to + j, load_from(to + j) + weight * a);
            store_at(to + p + j, load_from(to + p + j) + weight * b);
            store_at(to + 2 * p + j, load_from(to + 2 * p + j) + weight * c);
            store_at(to + 3 * p + j, load_from(to + 3 * p + j) + magnitude(weight) * e);
        }
        for (; j < run.length; j++) {
            const double weight = run.weights[j];
            to[j] += weight * a, to[p + j] += weight * b, to[2 * p + j] += weight * c, to[3 * p + j] += std::fabs(weight) * e;
        }
    }
}
// Adds factor times a unit's activation to the next layer's functions; returns its squares.
inline double contribute(const Network &net, const Entry &entry, int unit, double factor, double *next) {
    const Layer &layer = net.layers[entry.layer], &above = net.layers[entry.layer + 1];
    const int p = above.stride;
    const double a = factor * entry.rows[unit], b = factor * entry.rows[layer.stride + unit], c = factor * entry.rows[2 * layer.stride + unit];
    if (net.has_runs) {
        add_runs(above, unit, a, b, c, std::fabs(factor) * entry.rows[3 * layer.stride + unit], next);
        return a * a + b * b + c * c;
    }
    const double *k = above.kernel + static_cast<size_t>(unit) * p;
    for (int j = 0; j < p; j += kLanes) {
        const Vec kernel = load(k + j);
        store(next + j, load(next + j) + kernel * a);
        store(next + p + j, load(next + p + j) + kernel * b);
        store(next + 2 * p + j, load(next + 2 * p + j) + kernel * c);
    }
    return a * a + b * b + c * c;
}
// Every loop over vectors is unrolled, so that sums stay in registers.
#define JAXGEOM_UNROLL _Pragma("GCC unroll 4")
// The sums of V vectors of units of the next layer. is_first: nothing has been added to them before.
template <int V, bool Listed>
void contribute_block(const Layer &above, int j, int n, const int *unit, const double *a, const double *b, const double *c, double *next, bool is_first) {
    const ptrdiff_t p = above.stride;
    double *to = next + j;
    Vec x[V], y[V], z[V];
    if (is_first) {
        JAXGEOM_UNROLL for (int v = 0; v < V; v++) x[v] = y[v] = all(0), z[v] = load(above.bias + j + v * kLanes);
    } else {
        JAXGEOM_UNROLL for (int v = 0; v < V; v++) x[v] = load(to + v * kLanes), y[v] = load(to + p + v * kLanes), z[v] = load(to + 2 * p + v * kLanes);
    }
    const double *const kernel = above.kernel + j;
    for (int s = 0; s < n; s++) {
        const int of = unit[s], place = Listed ? of : s;
        const double *row = kernel + of * p;
        const Vec fa = all(a[place]), fb = all(b[place]), fc = all(c[place]);
        JAXGEOM_UNROLL for (int v = 0; v < V; v++) {
            const Vec k = load(row + v * kLanes);
            x[v] += k * fa, y[v] += k * fb, z[v] += k * fc;
        }
    }
    JAXGEOM_UNROLL for (int v = 0; v < V; v++) store(to + v * kLanes, x[v]), store(to + p + v * kLanes, y[v]), store(to + 2 * p + v * kLanes, z[v]);
}
#undef JAXGEOM_UNROLL
// Adds what units hand on. Listed: a, b and c are those of all units of the layer, or else of these ones.
template <bool Listed>
void contribute_rows(const Layer &above, int n, const int *unit, const double *a, const double *b, const double *c, double *next, bool is_first) {
    constexpr int V = kLanes == 8 ? 4 : 2;  // as registers allow
    int j = 0;
    for (; j + V * kLanes <= above.stride; j += V * kLanes) contribute_block<V, Listed>(above, j, n, unit, a, b, c, next, is_first);
    const int rest = (above.stride - j) / kLanes;
    if (rest == 3) contribute_block<std::min(3, V), Listed>(above, j, n, unit, a, b, c, next, is_first);
    else if (rest == 2) contribute_block<std::min(2, V), Listed>(above, j, n, unit, a, b, c, next, is_first);
    else if (rest == 1) contribute_block<1, Listed>(above, j, n, unit, a, b, c, next, is_first);
}
// What units with the same weights hand on, added up; how many remain.
inline int add_alike(const Layer &above, int n, int *unit, double *a, double *b, double *c) {
    Arena &arena = own_arena();
    const auto mark = arena.mark();
    int *place = arena.take<int>(above.in), num = 0;
    std::fill(place, place + above.in, -1);
    for (int s = 0; s < n; s++) {
        const int first = above.alike[unit[s]], of = place[first];
        if (of >= 0) {
            a[of] += a[s], b[of] += b[s], c[of] += c[s];
        } else {
            place[first] = num;
            unit[num] = first, a[num] = a[s], b[num] = b[s], c[num] = c[s], num++;
        }
    }
    arena.release(mark);
    return num;
}
// The same for several units at once through the runs of kernels. e: bounds of the errors of a, b and c, which are changed.
inline void contribute_all(const Network &net, int l, int n, int *unit, double *a, double *b, double *c, const double *e, double *next, bool is_first) {
    const Layer &above = net.layers[l + 1];
    if (!net.has_runs) return contribute_rows<false>(above, n, unit, a, b, c, next, is_first);
    if (above.runs->column_offsets) {
        for (int s = 0; s < n; s++) add_runs(above, unit[s], a[s], b[s], c[s], e[s], next);
        return;
    }
    double squares = 0;  // of errors; what they do to a unit follows by the length of its column
    for (int s = 0; s < n; s++) {
        const double own = e[s] + (above.terms + 6) * kEps * (std::fabs(a[s]) + std::fabs(b[s]) + std::fabs(c[s]));
        squares += own * own;
    }
    contribute_rows<false>(above, above.alike ? add_alike(above, n, unit, a, b, c) : n, unit, a, b, c, next, false);
    const double length = 1.0001 * std::sqrt(squares) + kFloor;
    double *errors = next + 3 * above.stride;
    for (int j = 0; j < above.stride; j += kLanes) store(errors + j, load(errors + j) + load(above.column_norm + j) * length);
}

}  // namespace jaxgeom
