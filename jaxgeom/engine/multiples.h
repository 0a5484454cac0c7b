// Which units of a layer are zero, linear, or multiples of a unit before them: none of these is ever cut by.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "network.h"

namespace jaxgeom {

// Which unit of a layer each unit is a multiple of, everywhere: its activation is factor times that of unit `of`; of = -1
// where it is zero. Structure that the weights show without any rounding; null where there is none.
struct Multiples {
    const int *of;
    const double *factor;
};

// Adds the share of an input that is a multiple of another one; false if that rounds.
inline bool add_exactly(double own, double &sum) {
    const double before = sum, total = before + own, part = total - before, error = (before - (total - part)) + (own - part);
    sum = total;
    return error == 0 && std::fabs(own) < 1e300 && std::fabs(own) > 1e-280;
}

struct Column {  // a unit's weights and, last, its bias
    const double *values;
    const int *places;  // of sparse kernels, where none of the values is zero; else null
    int size;
};

// A unit's column, with inputs that are multiples of one another taken together. False if that would round.
inline bool gather_column(const Layer &layer, int unit, const Multiples *inputs, double *column) {
    for (int i = 0; i < layer.in; i++) column[i] = layer.weights[static_cast<size_t>(i) * layer.out + unit];
    column[layer.in] = layer.offsets[unit];
    if (!inputs) return true;
    bool is_exact = true;
    for (int i = 0; i < layer.in; i++) {
        const int of = inputs->of[i];
        if (of == i || column[i] == 0) continue;
        if (of >= 0) is_exact = add_exactly(column[i] * inputs->factor[i], column[of]) && is_exact;
        column[i] = 0;
    }
    return is_exact;
}
// The same of a sparse kernel; returns the number of values.
inline int gather_sparse_column(const Layer &layer, int unit, const Multiples *inputs, double *column, int *places, bool &is_exact) {
    const Runs &runs = *layer.runs;
    std::vector<std::pair<int, double>> own;
    is_exact = true;
    for (int64_t k = runs.column_offsets[unit]; k < runs.column_offsets[unit + 1]; k++) {
        const int i = runs.column_inputs[k], of = inputs ? inputs->of[i] : i;
        if (of >= 0) own.emplace_back(of, of == i ? runs.column_weights[k] : runs.column_weights[k] * inputs->factor[i]);
    }
    own.emplace_back(layer.in, layer.offsets[unit]);
    if (inputs) std::stable_sort(own.begin(), own.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
    int n = 0;
    for (size_t k = 0; k < own.size();) {
        double sum = own[k].second;
        const int place = own[k].first;
        for (k++; k < own.size() && own[k].first == place; k++) is_exact = add_exactly(own[k].second, sum) && is_exact;
        if (sum != 0) column[n] = sum, places[n++] = place;
    }
    return n;
}

// Whether a b = c d in real arithmetic, for numbers that are not 0.
inline bool equal_products(double a, double b, double c, double d) {
    int p, q, r, s;
    const auto integer = [](double x, int &exponent) { return static_cast<int64_t>(std::ldexp(std::frexp(x, &exponent), 53)); };
    __int128 left = integer(a, p), right = integer(c, r);
    left *= integer(b, q), right *= integer(d, s);
    const int shift = p + q - r - s;
    if (shift > 2 || shift < -2) return false;
    return shift >= 0 ? left * (1 << shift) == right : left == right * (1 << -shift);
}

// Whether b is a multiple of a.
inline bool are_multiples(const Column &a, const Column &b) {
    if (a.size != b.size || (a.places && !std::equal(a.places, a.places + a.size, b.places))) return false;
    int lead = 0;
    while (lead < a.size && a.values[lead] == 0) lead++;
    if (lead == a.size || b.values[lead] == 0) return false;
    for (int i = 0; i < a.size; i++) {
        if ((a.values[i] == 0) != (b.values[i] == 0)) return false;
        if (a.values[i] != 0 && !equal_products(a.values[i], b.values[lead], b.values[i], a.values[lead])) return false;
    }
    return true;
}

// The same for multiples, whose quotients are rounded alike.
inline uint64_t hash_of_quotients(const double *values, int n, double by, double *quotients) {
    for (int i = 0; i < n; i++) quotients[i] = values[i] / by + 0.0;  // no zero is negative
    uint64_t hash = 0, factor = 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < n; i++, factor += 0x3c6ef372fe94f82aull) {  // odd ones
        uint64_t bits;
        std::memcpy(&bits, quotients + i, sizeof bits);
        hash += (bits ^ bits >> 32) * factor;
    }
    return (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9ull >> 8;
}

// Which units are zero, linear, or multiples of a unit before them: none of these is ever cut by.
inline Multiples sort_units(Layer &layer, const double *slope, bool is_output, const Multiples *inputs, Arena &arena) {
    const int w = layer.out, size = layer.in + 1;
    int *candidates = arena.take<int>(w), *linear = arena.take<int>(w), *of = arena.take<int>(w);
    int *first = arena.take<int>(w), *next = arena.take<int>(w);
    int8_t *sign = arena.take<int8_t>(w);
    double *factor = arena.take<double>(w);
    std::fill(first, first + w, -1);
    std::fill(next, next + w, -1);
    layer.num_candidates = layer.num_linear = 0;
    layer.has_twins = false;
    int table_size = 16;
    while (table_size < 2 * w) table_size *= 2;
    const auto mark = arena.mark();
    int *table = arena.take<int>(table_size);
    uint64_t *hashes = arena.take<uint64_t>(w);
    const bool is_sparse = layer.runs && layer.runs->column_offsets;
    const size_t num_values = is_sparse ? layer.runs->column_offsets[w] + w : static_cast<size_t>(size) * w;
    double *reduced = arena.take<double>(num_values), *free = reduced;
    int *places = is_sparse ? arena.take<int>(num_values) : nullptr;
    Column *columns = arena.take<Column>(w);
    double *quotients = arena.take<double>(size);
    std::fill(table, table + table_size, -1);
    bool is_plain = true;  // no unit is a multiple of another one
    for (int j = 0; j < w; j++) {
        of[j] = j, factor[j] = 1, sign[j] = 1;
        const double *own = free;
        int num = size;
        if (is_sparse) {
            bool is_exact;
            num = gather_sparse_column(layer, j, inputs, free, places, is_exact);
            if (!is_exact) num = gather_sparse_column(layer, j, nullptr, free, places, is_exact);
        } else if (!gather_column(layer, j, inputs, free)) {
            gather_column(layer, j, nullptr, free);
        }
        columns[j] = Column{own, places, num};
        free += num;
        if (places) places += num;
        const bool is_linear = is_output || slope[j] == 1;
        int lead = 0;
        while (lead < num && own[lead] == 0) lead++;
        if (lead == num && !is_output) {  // zero at every point
            of[j] = -1, factor[j] = 0, is_plain = false;
            continue;
        }
        if (is_linear) linear[layer.num_linear++] = j;
        int twin = -1;
        if (lead < num && !is_output) {
            sign[j] = own[lead] < 0 ? -1 : 1;
            const uint64_t hash = hash_of_quotients(own, num, own[lead], quotients) + is_linear;
            hashes[j] = hash;
            int slot = static_cast<int>(hash & (table_size - 1));
            while (table[slot] >= 0 && !(hashes[table[slot]] == hash && are_multiples(columns[table[slot]], columns[j])))
                slot = (slot + 1) & (table_size - 1);
            twin = table[slot];
            if (twin < 0) table[slot] = j;
        }
        if (twin >= 0) {
            int exponent, exponent_of_twin;
            const double mantissa = std::frexp(own[lead], &exponent), of_twin = std::frexp(columns[twin].values[lead], &exponent_of_twin);
            const int shift = exponent - exponent_of_twin;
            if (!is_linear) next[j] = first[twin], first[twin] = j, layer.has_twins = true;
            const bool is_short = std::fabs(mantissa) == std::fabs(of_twin) && shift > -500 && shift < 500;  // a factor that never rounds
            if (is_short && (is_linear || (sign[j] == sign[twin] && slope[j] == slope[twin]))) {
                of[j] = twin, factor[j] = std::ldexp(sign[j] * sign[twin], shift), is_plain = false;
            }
        } else if (!is_linear) {
            candidates[layer.num_candidates++] = j;
        }
    }
    arena.release(mark);
    layer.candidates = candidates, layer.linear = linear, layer.first_twin = first, layer.next_twin = next, layer.twin_sign = sign;
    layer.is_whole = layer.num_candidates == w;
    return is_plain ? Multiples{nullptr, nullptr} : Multiples{of, factor};
}

}  // namespace jaxgeom
