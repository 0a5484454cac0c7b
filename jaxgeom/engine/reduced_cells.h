// The cells of a cell, cut by the few units that may change sign there (reduced.h), and what that takes of the recursion over
// cells of all units (cells.h), which asks for it where few lines are left to cut by.
#pragma once

#include "chain.h"

namespace jaxgeom {

// Undecided units from which down it is asked what network remains on a cell, and which share of them where it was too large.
constexpr int kAsked = 6, kAskedAgain = 6;
// Units above from which on it is asked again what remains on a part of the cell, and undecided ones from which down.
constexpr int kWorth = 12, kCuts = 4;
constexpr int kWide = 10000;  // weights of a single layer above, from which on that pays

inline bool is_worth_reducing(const Network &net, int l, int end) {
    return end - l > 2 || (end - l == 2 && net.layers[l + 1].in * net.layers[l + 1].out >= kWide);
}

template <class Cells>
class ReducedCells {
  public:
    ReducedCells(Cells &cells, const Network &net, Arena &arena, ExactSigns &exact) : cells(cells), net(net), arena(arena), exact(exact) {}

    // The cells of a cell that units cut, by what network remains on it; -1 if that is not known well enough, or too large.
    template <class Next>
    int64_t halves(const Entry &entry, int nv, Vertex *v, const Units &units, const Next &below) {
        const auto mark = arena.mark();
        size_t words = 0;
        for (int l = entry.layer; l < below.end; l++) words += (net.layers[l].out + 63) >> 6;
        Reduced &reduced = take_reduced(words);
        const auto inner = arena.mark();
        Reducing reducing(net, entry, nv, v, arena, reduced);
        const bool is_known = reducing.run(units, below.active, below.functions, below.is_empty, below.delta, below.squares, below.end, kReduced);
        arena.release(inner);
        int64_t n = -1;
        if (is_known) {
            Units own = take_units(units.num);
            for (int k = 0; k < 4; k++) std::copy_n(units.rows + k * units.stride, own.stride, own.rows + k * own.stride);
            for (int i = 0; i < own.num; i++) own.unit[i] = i;
            n = halves_in(reduced, 0, entry, nv, v, own, reduced.functions, 0);
        }
        arena.release(mark);
        return n;
    }

  private:
    Cells &cells;
    const Network &net;
    Arena &arena;
    ExactSigns &exact;
    Deviations deviations;  // of the units that are handed on at the moment

    // The same, by the network that remains on what the cell is a part of.
    int64_t halves_again(const Reduced &reduced, int group, const Entry &entry, int nv, Vertex *v, Units &units, double *functions, uint64_t on) {
        Reduced &own = take_reduced(0);
        own.level = reduced.level + 1;
        if (!reduce_again(reduced, group, nv, v, furthest(nv, v), units, functions, on, arena, own)) return -1;
        for (int i = 0; i < units.num; i++) units.unit[i] = i;
        return halves_in(own, 0, entry, nv, v, units, own.functions, 0);
    }
    Reduced &take_reduced(size_t words) {
        Reduced &reduced = *arena.take<Reduced>(1);
        reduced.functions = arena.take<double>(4 * kReduced + kLanes), reduced.kernel = arena.take<double>(kReduced * kReduced);
        reduced.patterns = arena.take<uint64_t>(words), reduced.level = 0;
        return reduced;
    }
    Units take_units(int num) {
        const int p = padded(num);
        return {num, arena.take<double>(4 * p), p, arena.take<int>(num)};
    }
    // A cell on its way through the groups of a reduced network; functions: of the units of these groups. on: which units
    // below are active.
    int64_t enter(const Reduced &reduced, int group, int nv, Vertex *v, double *functions, uint64_t on) {
        const double far = furthest(nv, v);
        for (; group < reduced.num_groups; group++) {
            const int first = reduced.first[group], num = reduced.first[group + 1] - first;
            uint64_t bits[3];
            const Sides sides = sides_of_group(reduced, group, nv, v, far, functions, bits, deviations);
            if (!*sides.open) {
                on |= *sides.above << first;
                add_deviations(reduced, group, num, reduced.order + first, deviations, functions);
                continue;
            }
            const Entry entry{nullptr, reduced.layer[group], nullptr, nullptr, nullptr, nullptr, false, 0, 0, &reduced, on, nullptr};
            Units units = take_units(num);
            for (int k = 0; k < 4; k++)
                for (int i = 0; i < num; i += kLanes) store(units.rows + k * units.stride + i, load_from(functions + k * kReduced + first + i));
            std::copy_n(reduced.order + first, num, units.unit);
            settle(reduced, group, entry, nv, v, sides, units, functions, on);
            const int64_t n = units.num ? halves_in(reduced, group, entry, nv, v, units, functions, on) : -1;
            exact.forget(entry);
            if (n >= 0) return n;
        }
        return cells.leaf(nv, v);
    }
    // Units whose sides are known add their d to those of later groups; those that cut are left.
    void settle(const Reduced &reduced, int group, const Entry &entry, int nv, Vertex *v, const Sides &sides, Units &units, double *functions, uint64_t &on) {
        const bool is_last = group + 1 == reduced.num_groups;
        const Sides elsewhere = *sides.open & ~*sides.crossing ? cells.sides_elsewhere(nv, v, units, sides) : Sides{nullptr, nullptr, nullptr};
        deviations.num = 0;
        int kept = 0;
        for (int i = 0; i < units.num; i++) {
            const int u = units.unit[i], s = units.stride;
            bool is_on = *sides.above >> i & 1;
            if (*sides.open >> i & 1) {
                const double *row = units.rows + i;
                int side = 0;
                if (!(*sides.crossing >> i & 1)) {
                    const bool looks_up = elsewhere.open && !(*elsewhere.open >> i & 1);
                    side = looks_up ? cells.looked_up(entry, reduced.unit[u], *elsewhere.above >> i & 1, row[0], row[s], row[2 * s], row[3 * s], nv, v)
                                    : cells.side_of_cell(entry, reduced.unit[u], row[0], row[s], row[2 * s], row[3 * s], nv, v);
                }
                if (!side) {
                    for (int k = 0; k < 4; k++) units.rows[k * s + kept] = row[k * s];
                    units.unit[kept++] = u;
                    continue;
                }
                is_on = side > 0;
            }
            on |= uint64_t(is_on) << u;
            if (!is_last) deviate(reduced, u, is_on, units.rows + i, s, deviations);
        }
        units.num = kept;
        if (deviations.num) add_deviations(reduced, group, deviations.num, deviations.unit, deviations, functions);
    }
    // The cells of a cell that these units of a group cut, by the last one of them.
    int64_t halves_in(const Reduced &reduced, int group, const Entry &entry, int nv, Vertex *v, Units &units, double *functions, uint64_t on) {
        if (cells.is_stopped()) return 0;
        const auto mark = arena.mark();
        const int num = units.num, p = units.stride;
        const bool is_last = group + 1 == reduced.num_groups;
        if (reduced.num - reduced.first[group + 1] >= kWorth && num <= kCuts && reduced.level < kLevels && furthest(nv, v) < 0x1p-10 && (group || reduced.level == 0)) {
            const int64_t n = halves_again(reduced, group, entry, nv, v, units, functions, on);
            if (n >= 0) {
                arena.release(mark);
                return n;
            }
        }
        double *rows = units.rows;
        int cutter = num - 1;
        if (is_last) {
            const int64_t n = cells.chords(net.layers[entry.layer], nv, v, furthest(nv, v), num, rows, p, units.unit, cutter);
            if (n >= 0) return n;
            for (int s = 0; s < 4; s++) std::swap(rows[s * p + cutter], rows[s * p + num - 1]);
            std::swap(units.unit[cutter], units.unit[num - 1]);
            cutter = num - 1;
        }
        const int u = units.unit[cutter];
        auto both = cells.take_halves(nv);
        cells.bisect(entry, reduced.unit[u], rows + cutter, p, nv, v, both);
        double *above = functions;
        if (!is_last) {
            above = arena.take<double>(4 * kReduced + kLanes);
            for (int j = reduced.first[group + 1] & -kLanes; j < padded(reduced.num); j += kLanes)
                for (int k = 0; k < 4; k++) store(above + k * kReduced + j, load(functions + k * kReduced + j));
            deviations.num = 0;
            deviate(reduced, u, false, rows + cutter, p, deviations);
            add_deviations(reduced, group, 1, &u, deviations, functions);
            deviations.num = 0;
            deviate(reduced, u, true, rows + cutter, p, deviations);
            add_deviations(reduced, group, 1, &u, deviations, above);
        }
        const Units others{cutter, rows, p, units.unit};
        const int64_t n = cut(reduced, group, entry, both.num_negative, both.negative, others, functions, on) +
                          cut(reduced, group, entry, both.num_positive, both.positive, others, above, on | uint64_t(1) << u);
        cells.forget(both);
        arena.release(mark);
        return n;
    }
    // The cells of half a cell, on which these units may change sign.
    int64_t cut(const Reduced &reduced, int group, const Entry &entry, int nv, Vertex *v, const Units &units, double *functions, uint64_t on) {
        const auto mark = arena.mark();
        Units own = take_units(units.num);
        if (units.num) {
            for (int k = 0; k < 4; k++)
                for (int i = 0; i < own.stride; i += kLanes) store(own.rows + k * own.stride + i, load(units.rows + k * units.stride + i));
            std::copy_n(units.unit, units.num, own.unit);
            uint64_t bits[3];
            const Sides sides{bits, bits + 1, bits + 2};
            sides_on<false>(nv, v, own, sides, nullptr);
            settle(reduced, group, entry, nv, v, sides, own, functions, on);
        }
        const int64_t n = own.num ? halves_in(reduced, group, entry, nv, v, own, functions, on) : enter(reduced, group + 1, nv, v, functions, on);
        arena.release(mark);
        return n;
    }
};

}  // namespace jaxgeom
