// Areas and centroids of polygons whose vertices are known to a certain precision, or exactly.
#pragma once

#include "exact_signs.h"
#include "sharp_signs.h"

namespace jaxgeom {

class Areas {
  public:
    Areas(double unit, bool is_plane, Arena &arena, ExactSigns &exact, SharpSigns &sharp) : unit(unit), is_plane(is_plane), arena(arena), exact(exact), sharp(sharp) {}

    // Area and centroid from the triangles of a fan, in the domain's own units; exactly where vertices are too uncertain.
    void measure(int nv, const Vertex *v, double &area, double &x, double &y) {
        area = x = y = 0;
        double length = 0, e = 0;
        for (int i = 0; i < nv; i++) {
            if (v[i].w == 0) { area = INFINITY; }
            e = std::max(e, v[i].e);
        }
        if (is_plane) {
            if (area == 0 && sharply(nv, v, area, x, y)) return;
            return exactly(nv, v, area, x, y);
        }
        for (int i = 1; i + 1 < nv; i++) {
            const double ux = v[i].x - v[0].x, uy = v[i].y - v[0].y, tx = v[i + 1].x - v[0].x, ty = v[i + 1].y - v[0].y;
            const double part = 0.5 * (ux * ty - uy * tx);
            area += part, x += part * (ux + tx) / 3, y += part * (uy + ty) / 3;
            length = std::max({length, std::fabs(ux), std::fabs(uy), std::fabs(tx), std::fabs(ty)});
        }
        if (!(area > 1e9 * nv * length * (e + kEps))) {
            if (sharply(nv, v, area, x, y)) return;
            return exactly(nv, v, area, x, y);
        }
        x = (v[0].x + x / area) * unit, y = (v[0].y + y / area) * unit, area *= unit * unit;
    }

  private:
    const double unit;  // that coordinates of vertices are multiples of
    const bool is_plane;
    Arena &arena;
    ExactSigns &exact;
    SharpSigns &sharp;

    // The same in twice the precision; false if that does not suffice.
    bool sharply(int nv, const Vertex *v, double &area, double &x, double &y) {
        auto mark = arena.mark();
        Pair *xs = arena.take<Pair>(nv), *ys = arena.take<Pair>(nv);
        double e = 0, length = 0, across = 0, up = 0;
        bool is_known = true;
        for (int i = 0; i < nv && is_known; i++) {
            is_known = sharp.sharpen(*v[i].point);
            if (!is_known) break;
            xs[i] = v[i].point->sharp[0], ys[i] = v[i].point->sharp[1], e = std::max(e, v[i].point->sharp_error);
            if (i) {
                xs[i] = minus(xs[i], xs[0]), ys[i] = minus(ys[i], ys[0]);
                length = std::max({length, std::fabs(xs[i].high), std::fabs(ys[i].high)});
            }
        }
        Pair twice{0, 0};
        for (int i = 1; i + 1 < nv && is_known; i++) {
            const Pair part = minus(times(xs[i], ys[i + 1]), times(ys[i], xs[i + 1]));
            twice = plus(twice, part);
            across += part.high * (xs[i].high + xs[i + 1].high) / 3, up += part.high * (ys[i].high + ys[i + 1].high) / 3;
        }
        is_known = is_known && twice.high > 1e10 * nv * length * (8 * e + 8 * kSharp * length);
        if (is_known) {
            x = (xs[0].high + across / twice.high) * unit, y = (ys[0].high + up / twice.high) * unit;
            area = twice.high / 2 * unit * unit;
        }
        arena.release(mark);
        return is_known;
    }
    void exactly(int nv, const Vertex *v, double &area, double &x, double &y) {
        std::vector<ExactVector> at;
        bool is_bounded = true;
        for (int i = 0; i < nv; i++) {
            at.push_back(exact.knowledge(v[i].point).at);
            is_bounded &= !at.back().w.is_zero();
        }
        if (!is_bounded) {
            area = INFINITY, x = y = NAN;
            return;
        }
        // triangles of a fan: area = det(p0, p, q) / (2 w0 wp wq)
        std::vector<double> ox(nv), oy(nv), parts(nv);
        for (int i = 1; i < nv; i++) {
            const Exact scale = at[i].w * at[0].w;
            ox[i] = ratio(at[i].x * at[0].w - at[0].x * at[i].w, scale), oy[i] = ratio(at[i].y * at[0].w - at[0].y * at[i].w, scale);
        }
        area = 0;
        for (int i = 1; i + 1 < nv; i++) {
            const Exact two = Exact(2) * (at[0].w * (at[i].w * at[i + 1].w));
            parts[i] = ratio(dot(at[0], cross(at[i], at[i + 1])), two);
            area += parts[i];
        }
        double cx = 0, cy = 0;
        for (int i = 1; i + 1 < nv; i++) {
            const double weight = area > 0 && area < INFINITY ? parts[i] / area : 1.0 / (nv - 2);
            cx += weight * (ox[i] + ox[i + 1]) / 3, cy += weight * (oy[i] + oy[i + 1]) / 3;
        }
        x = ratio(at[0].x, at[0].w) + cx, y = ratio(at[0].y, at[0].w) + cy;
    }
};

}  // namespace jaxgeom
