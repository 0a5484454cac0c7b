// Lines of units on a cell: where they meet its sides and each other.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>

#include "cell.h"
#include "planes.h"

namespace jaxgeom {

// At a point p with entries of at most 1, a true function differs from its computed one by at most t, and its length from
// the computed length by a share of at most s = t / |(a, b, c)|. So if s < 0.005, |n . p| of the true normal n is at most
// (|n . p| + s) / (1 - s) < 1.01 (|n . p| + s) of the computed one, but for some roundings.
inline Line line_of(double a, double b, double c, double t, const Entry *entry, int unit) {
    const double inverse = 1 / std::sqrt(a * a + b * b + c * c), share = t * inverse, dn = 2 * share + 8 * kEps;
    return {a * inverse, b * inverse, c * inverse, dn, share < 0.005 ? 1.01 * share + 16 * kEps : 2 * dn + 8 * kEps, entry, unit, 0, 0, false, kNotAsked, 0, {}};
}
// Where a line meets the edge from u to v, between values of opposite signs.
template <bool Plane>
inline void meet(const Vertex &u, const Vertex &v, double zu, double zv, const Line &f, Vertex &p) {
    double share = zu / (zu - zv);
    if (!(share >= 0 && share <= 1)) share = 0.5;  // signs were decided exactly, against rounding
    p.x = u.x + share * (v.x - u.x), p.y = u.y + share * (v.y - u.y), p.w = 1;
    if (Plane) {
        p.w = u.w + share * (v.w - u.w);
        const double inverse = 1 / std::max({std::fabs(p.x), std::fabs(p.y), p.w});
        p.x *= inverse, p.y *= inverse, p.w *= inverse;
    }
    const Line &g = *u.line;
    const double rf = 1.01 * std::fabs(f.nx * p.x + (f.ny * p.y + f.nw * p.w)) + f.tolerance;
    const double rg = 1.01 * std::fabs(g.nx * p.x + (g.ny * p.y + g.nw * p.w)) + g.tolerance;
    const double cx = f.ny * g.nw - f.nw * g.ny, cy = f.nw * g.nx - f.nx * g.nw, cw = f.nx * g.ny - f.ny * g.nx;
    const double sine = std::sqrt(cx * cx + cy * cy + cw * cw) - 1.01 * (f.dn + g.dn) - 8 * kEps;
    p.e = sine > 0 ? 1.0001 * (rf + rg) / sine : 1e30;
    if (!(p.e < 0.5)) p.e = 1e30;  // on the whole plane, it might be the opposite point
}

struct Place { double at, error; };  // on a chord, from 0 to 1
// Whether no two places are, or might be, the same: each is compared with those in the bins that it might lie in.
inline bool are_apart(const Place *place, int n, Arena &arena) {
    const auto is_apart = [](const Place &p, const Place &q) { return std::fabs(p.at - q.at) > p.error + q.error; };
    if (n <= 12) {
        for (int s = 1; s < n; s++)
            for (int q = 0; q < s; q++)
                if (!is_apart(place[s], place[q])) return false;
        return true;
    }
    const int num_bins = 2 * n;
    auto mark = arena.mark();
    struct Node { int place, next; };
    int *first = arena.take<int>(num_bins), num_nodes = 0;
    Node *nodes = arena.take<Node>(2 * n);
    std::fill(first, first + num_bins, -1);
    bool all_apart = true;
    for (int s = 0; s < n && all_apart; s++) {
        all_apart = place[s].at <= 1.1 && num_bins * place[s].error < 0.5;  // else in more than two bins
        if (!all_apart) break;
        const double at = num_bins * place[s].at, reach = num_bins * place[s].error;
        const int low = std::clamp(static_cast<int>(at - reach), 0, num_bins - 1), high = std::clamp(static_cast<int>(at + reach), 0, num_bins - 1);
        for (int bin = low; bin <= high; bin++) {
            for (int node = first[bin]; node >= 0 && all_apart; node = nodes[node].next) all_apart = is_apart(place[s], place[nodes[node].place]);
            nodes[num_nodes] = {s, first[bin]}, first[bin] = num_nodes++;
        }
    }
    arena.release(mark);
    return all_apart;
}

struct Crossings {
    bool is_certain;      // that no three lines meet in a point and none runs through a vertex
    int trouble;          // else a line to cut by first
    int64_t pairs, ends;  // pairs of lines that cross, and ends of lines on sides between faces of the domain
};
// What one of several threads that share the lines of a cell has found, made that of all of them.
inline void agree(Share &share, const std::atomic<int> *stop, Crossings &found) {
    if (!found.is_certain) {
        share.row = INT32_MAX / 2;  // the others need not go on
        int seen = share.trouble;
        while (found.trouble < seen && !share.trouble.compare_exchange_weak(seen, found.trouble)) {}
    }
    share.pairs += found.pairs, share.ends += found.ends;
    share.finished++;
    while (share.finished < share.threads && !(stop && *stop)) std::this_thread::yield();  // one that was stopped early never comes
    found = {share.trouble == INT32_MAX, share.trouble, share.pairs, share.ends};
}
// Of k lines, given by their functions and the bounds of their errors, on a cell whose vertices are known to e; or, of
// lines that threads share, of those that this thread takes, made those of all.
template <bool Plane>
Crossings crossings(int nv, const Vertex *v, double e, int k, const double *rows, int stride, Arena &arena, Share *shared, const std::atomic<int> *stop) {
    const double *A = rows, *B = rows + stride, *C = rows + 2 * stride, *T = rows + 3 * stride;
    auto mark = arena.mark();
    double *z = arena.take<double>(nv);
    Place *place = arena.take<Place>(k);
    Crossings found{true, 0, 0, 0};
    for (int i = shared ? shared->row++ : 0; i < k && found.is_certain; shared ? i = shared->row++ : i++) {
        const double a = A[i], b = B[i], c = C[i], tolerance = T[i] + (std::fabs(a) + std::fabs(b) + std::fabs(c)) * e;
        found.trouble = i;
        int flips = 0, at[2] = {0, 0};
        for (int s = 0; s < nv; s++) {
            z[s] = value<Plane>(a, b, c, v[s]);
            if (!(std::fabs(z[s]) > tolerance)) found.is_certain = false;
        }
        for (int s = 0; s < nv; s++) {
            if ((z[s] > 0) != (z[s + 1 < nv ? s + 1 : 0] > 0)) {
                if (flips < 2) at[flips] = s;
                flips++;
            }
        }
        if (flips != 2) found.is_certain = false;
        if (!found.is_certain) break;
        if (Plane) found.ends += v[at[0]].line->is_artificial + v[at[1]].line->is_artificial;
        if (i + 1 == k) continue;
        const Line line = line_of(a, b, c, T[i], nullptr, 0);
        Vertex end[2];
        for (int h = 0; h < 2; h++) {
            const int s = at[h], r = s + 1 < nv ? s + 1 : 0;
            meet<Plane>(v[s], v[r], z[s], z[r], line, end[h]);
        }
        const double far = std::max(end[0].e, end[1].e);
        unsigned near = 0;
        int met = 0;
        for (int j = (i + 1) & -kLanes; j < k; j += kLanes) {
            const Vec ja = load(A + j), jb = load(B + j), jc = load(C + j);
            Vec zp_, zq_;
            if (Plane) {
                zp_ = ja * end[0].x + (jb * end[0].y + jc * end[0].w), zq_ = ja * end[1].x + (jb * end[1].y + jc * end[1].w);
            } else {
                zp_ = ja * end[0].x + (jb * end[0].y + jc), zq_ = ja * end[1].x + (jb * end[1].y + jc);
            }
            const Vec t = load(T + j) + (magnitude(ja) + magnitude(jb) + magnitude(jc)) * far;
            unsigned valid = (1u << std::min(kLanes, k - j)) - 1;
            if (j <= i) valid &= ~0u << (i + 1 - j);
            near |= valid & (sign_bits(magnitude(zp_) - t) | sign_bits(magnitude(zq_) - t));
            const unsigned differ = valid & (sign_bits(zp_) ^ sign_bits(zq_));
            if (differ) {
                const Vec inverse = 1 / magnitude(zp_ - zq_), at = magnitude(zp_) * inverse, error = 2.01 * t * inverse + 8 * kEps;
                for (unsigned m = differ; m; m &= m - 1) {
                    const int h = __builtin_ctz(m);
                    place[met++] = {at[h], error[h]};
                }
            }
        }
        if (near) { found.is_certain = false; break; }
        found.pairs += met;
        if (!are_apart(place, met, arena)) found.is_certain = false;
    }
    arena.release(mark);
    if (shared) agree(*shared, stop, found);
    return found;
}

}  // namespace jaxgeom
