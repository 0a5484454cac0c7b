// Convex polytopes in any dimension, each with its vertices and edges and the hyperplanes that a vertex lies on, and how
// a hyperplane cuts one in two.
//
// A vertex lies on a set of hyperplanes, in most cases on as many as there are dimensions. The smallest face with two
// vertices is that of the hyperplanes which they share, so that they are the ends of an edge if no third vertex lies on
// all of these: the test of the double description method. Where every vertex lies on no more hyperplanes than there are
// dimensions, it is enough to count.
#pragma once

#include <algorithm>
#include <cmath>

#include "network.h"

namespace jaxgeom {

constexpr int kMostDimensions = 10;
constexpr double kUnknown = 1e30;  // as bound of an error: nothing is known

struct KnownPoint;
struct SpacePoint { KnownPoint *known; };  // what exact arithmetic knows of a vertex

struct Plane {  // normal . x + offset = 0, the normal of length 1
    double normal[kMostDimensions], offset;
    double tolerance;  // bound of |normal . x + offset| for points on the true hyperplane with entries of at most 1
    const void *entry; // null: a side of the box
    int unit;
};

struct Polytope {
    int num_vertices, num_edges;
    double *x;       // (vertices, dimensions)
    double *e;       // bounds of the distances from the true vertices
    uint64_t *on;    // (vertices, words), the hyperplanes that a vertex lies on
    SpacePoint **point;
    int *edges;      // (edges, 2)
};

template <int D, int W>  // numbers of dimensions and of words, 0 where these are not known to the compiler
struct Shape {
    static constexpr int kDim = D, kWords = W;
    const int own_dim, own_words;
    int dim() const { return D ? D : own_dim; }
    int words() const { return W ? W : own_words; }

    int num_on(const uint64_t *on) const {
        int num = 0;
        for (int w = 0; w < words(); w++) num += __builtin_popcountll(on[w]);
        return num;
    }
    int num_shared(const uint64_t *a, const uint64_t *b) const {
        int num = 0;
        for (int w = 0; w < words(); w++) num += __builtin_popcountll(a[w] & b[w]);
        return num;
    }
    bool contains(const uint64_t *a, const uint64_t *b, const uint64_t *whole) const {  // a and b share no more than `whole` has
        for (int w = 0; w < words(); w++) if (a[w] & b[w] & ~whole[w]) return false;
        return true;
    }
    template <class Job>
    void for_each(const uint64_t *on, const Job &job) const {
        for (int w = 0; w < words(); w++)
            for (uint64_t m = on[w]; m; m &= m - 1) job(64 * w + __builtin_ctzll(m));
    }

    // Affine functions: coefficients and constants, each `stride` after the one before.
    double value(const double *row, int stride, const double *x) const {
        double sum = row[dim() * stride];
        for (int i = 0; i < dim(); i++) sum += row[i * stride] * x[i];
        return sum;
    }
    double size_of(const double *row, int stride) const {  // of the gradient, or more
        double sum = 0;
        for (int i = 0; i < dim(); i++) sum += std::fabs(row[i * stride]);
        return sum;
    }

    Polytope take(Arena &arena, int vertices, int edges) const {
        return {0, 0, arena.take<double>(static_cast<size_t>(vertices) * dim()), arena.take<double>(vertices),
                arena.take<uint64_t>(static_cast<size_t>(vertices) * words()), arena.take<SpacePoint *>(vertices), arena.take<int>(2 * static_cast<size_t>(edges))};
    }
    void copy_vertex(const Polytope &from, int v, Polytope &to) const {
        const int n = to.num_vertices++;
        for (int i = 0; i < dim(); i++) to.x[n * dim() + i] = from.x[v * dim() + i];
        for (int w = 0; w < words(); w++) to.on[n * words() + w] = from.on[v * words() + w];
        to.e[n] = from.e[v], to.point[n] = from.point[v];
    }

    // An upper bound of the norm of the inverse of a matrix with rows of length 1.
    double inverse_norm(const Plane *const *rows) const {
        if (D == 3) {
            const double *p = rows[0]->normal, *q = rows[1]->normal, *r = rows[2]->normal;
            const double ax = q[1] * r[2] - q[2] * r[1], ay = q[2] * r[0] - q[0] * r[2], az = q[0] * r[1] - q[1] * r[0];
            const double bx = r[1] * p[2] - r[2] * p[1], by = r[2] * p[0] - r[0] * p[2], bz = r[0] * p[1] - r[1] * p[0];
            const double cx = p[1] * q[2] - p[2] * q[1], cy = p[2] * q[0] - p[0] * q[2], cz = p[0] * q[1] - p[1] * q[0];
            const double determinant = std::fabs(p[0] * ax + p[1] * ay + p[2] * az);
            if (!(determinant > 1e-11)) return kUnknown;
            return 1.001 * std::sqrt(ax * ax + ay * ay + az * az + bx * bx + by * by + bz * bz + cx * cx + cy * cy + cz * cz) / determinant;
        }
        const int d = dim();
        double a[kMostDimensions][2 * kMostDimensions];
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++) a[i][j] = rows[i]->normal[j], a[i][d + j] = i == j;
        for (int k = 0; k < d; k++) {
            int pivot = k;
            for (int i = k + 1; i < d; i++) if (std::fabs(a[i][k]) > std::fabs(a[pivot][k])) pivot = i;
            if (!(std::fabs(a[pivot][k]) > 1e-11)) return kUnknown;
            if (pivot != k) for (int j = k; j < 2 * d; j++) std::swap(a[k][j], a[pivot][j]);
            const double inverse = 1 / a[k][k];
            for (int j = k; j < 2 * d; j++) a[k][j] *= inverse;
            for (int i = 0; i < d; i++) {
                const double factor = a[i][k];
                if (i == k || factor == 0) continue;
                for (int j = k; j < 2 * d; j++) a[i][j] -= factor * a[k][j];
            }
        }
        double squares = 0;
        for (int i = 0; i < d; i++)
            for (int j = d; j < 2 * d; j++) squares += a[i][j] * a[i][j];
        const double norm = std::sqrt(squares);
        return norm < 1e9 ? 1.001 * norm : kUnknown;
    }
    // As many of a vertex's hyperplanes as there are dimensions, in directions as different as may be.
    void choose(const uint64_t *on, const Plane *planes, const Plane **chosen, Arena &arena) const {
        const int d = dim(), num = num_on(on);
        if (num == d) {
            int n = 0;
            for_each(on, [&](int plane) { chosen[n++] = planes + plane; });
            return;
        }
        const auto mark = arena.mark();
        const Plane **all = arena.take<const Plane *>(num);
        double *rest = arena.take<double>(static_cast<size_t>(num) * d);
        int n = 0;
        for_each(on, [&](int plane) {
            for (int i = 0; i < d; i++) rest[n * d + i] = planes[plane].normal[i];
            all[n++] = planes + plane;
        });
        for (int k = 0; k < d; k++) {
            int best = 0;
            double size = -1;
            for (int i = 0; i < num; i++) {
                double own = 0;
                for (int j = 0; j < d; j++) own += rest[i * d + j] * rest[i * d + j];
                if (own > size && all[i]) size = own, best = i;
            }
            chosen[k] = all[best], all[best] = nullptr;
            const double *p = rest + best * d;
            for (int i = 0; i < num; i++) {
                if (!all[i] || !(size > 0)) continue;
                double product = 0;
                for (int j = 0; j < d; j++) product += rest[i * d + j] * p[j];
                for (int j = 0; j < d; j++) rest[i * d + j] -= product / size * p[j];
            }
        }
        arena.release(mark);
    }
    // How far a point may be from the true vertex on some hyperplanes.
    double error_of(const double *x, const uint64_t *on, const Plane *planes, Arena &arena) const {
        const Plane *chosen[kMostDimensions];
        choose(on, planes, chosen, arena);
        double squares = 0;
        for (int k = 0; k < dim(); k++) {
            double sum = chosen[k]->offset;
            for (int i = 0; i < dim(); i++) sum += chosen[k]->normal[i] * x[i];
            const double residual = std::fabs(sum) + chosen[k]->tolerance;
            squares += residual * residual;
        }
        const double norm = inverse_norm(chosen), e = norm * std::sqrt(squares) * 1.001;
        return e < 0.1 && norm < kUnknown ? e : kUnknown;
    }

    // The vertices where a hyperplane meets the edges whose ends are on strictly different sides of it.
    // `cut` gets the ends of these edges.
    void new_vertices(const Polytope &whole, const double *z, const int8_t *sign, int plane, const Plane *planes, SpacePoint *points, Polytope &fresh, int *cut, Arena &arena) const {
        const int d = dim();
        for (int k = 0; k < whole.num_edges; k++) {
            int a = whole.edges[2 * k], b = whole.edges[2 * k + 1];
            if (sign[a] * sign[b] >= 0) continue;
            if (sign[a] < 0) std::swap(a, b);
            const int n = fresh.num_vertices++;
            cut[2 * n] = a, cut[2 * n + 1] = b;
            double share = z[a] / (z[a] - z[b]);
            if (!(share >= 0 && share <= 1)) share = 0.5;  // signs were decided exactly, against rounding
            for (int i = 0; i < d; i++) fresh.x[n * d + i] = whole.x[a * d + i] + share * (whole.x[b * d + i] - whole.x[a * d + i]);
            uint64_t *on = fresh.on + n * words();
            for (int w = 0; w < words(); w++) on[w] = whole.on[a * words() + w] & whole.on[b * words() + w];
            on[plane >> 6] |= uint64_t(1) << (plane & 63);
            fresh.e[n] = error_of(fresh.x + n * d, on, planes, arena);
            points[n] = SpacePoint{nullptr};
            fresh.point[n] = points + n;
        }
    }

    // The part of a polytope on one side. Vertices on the hyperplane, which are marked as such, belong to both parts.
    Polytope part(const Polytope &whole, const int8_t *sign, int side, const Polytope &fresh, const int *cut, int num_wall, const int *wall, Arena &arena) const {
        int *number = arena.take<int>(whole.num_vertices);
        Polytope found = take(arena, whole.num_vertices + fresh.num_vertices, whole.num_edges + num_wall);
        for (int v = 0; v < whole.num_vertices; v++) {
            number[v] = found.num_vertices;
            if (sign[v] * side >= 0) copy_vertex(whole, v, found);
        }
        const int first = found.num_vertices;
        for (int n = 0; n < fresh.num_vertices; n++) copy_vertex(fresh, n, found);
        const auto add = [&](int a, int b) {
            found.edges[2 * found.num_edges] = a, found.edges[2 * found.num_edges + 1] = b;
            found.num_edges++;
        };
        for (int k = 0; k < whole.num_edges; k++) {
            const int a = whole.edges[2 * k], b = whole.edges[2 * k + 1];
            if (sign[a] * side >= 0 && sign[b] * side >= 0 && (sign[a] || sign[b])) add(number[a], number[b]);
        }
        for (int n = 0; n < fresh.num_vertices; n++) add(number[cut[2 * n + (side < 0)]], first + n);
        // ends of the wall's edges: vertices of the whole, or new ones from -1 downwards
        const auto end = [&](int v) { return v < 0 ? first - 1 - v : number[v]; };
        for (int k = 0; k < num_wall; k++) add(end(wall[2 * k]), end(wall[2 * k + 1]));
        return found;
    }
    // The edges of the face along which a hyperplane cuts: pairs of vertices, those of the whole and, from -1 downwards, new ones.
    int wall_edges(const Polytope &whole, const int8_t *sign, const Polytope &fresh, int *&pairs, Arena &arena) const {
        int num = fresh.num_vertices;
        for (int v = 0; v < whole.num_vertices; v++) num += sign[v] == 0;
        const uint64_t **on = arena.take<const uint64_t *>(num);
        int *name = arena.take<int>(num), n = 0;
        bool is_simple = true;
        for (int v = 0; v < whole.num_vertices; v++)
            if (sign[v] == 0) on[n] = whole.on + v * words(), name[n++] = v, is_simple = false;
        for (int v = 0; v < fresh.num_vertices; v++) {
            on[n] = fresh.on + v * words(), name[n++] = -1 - v;
            is_simple = is_simple && num_on(on[n - 1]) == dim();
        }
        pairs = arena.take<int>(static_cast<size_t>(num) * std::max(num - 1, 0));
        int found = 0;
        for (int a = 0; a < num; a++) {
            for (int b = 0; b < a; b++) {
                const int shared = num_shared(on[a], on[b]);
                if (shared < dim() - 1) continue;
                bool are_ends = true;
                for (int c = 0; !is_simple && c < num && are_ends; c++) are_ends = c == a || c == b || !contains(on[a], on[b], on[c]);
                if (are_ends) pairs[2 * found] = name[a], pairs[2 * found + 1] = name[b], found++;
            }
        }
        return found;
    }
};

}  // namespace jaxgeom
