// Kernels of which most weights are zero, as runs of outputs that follow one another.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "network.h"
#include "scales.h"

namespace jaxgeom {

// The runs of a dense kernel: one for each input.
inline const Runs *runs_of(const Layer &layer, Arena &arena) {
    Runs *found = arena.take<Runs>(1);
    int64_t *offsets = arena.take<int64_t>(layer.in + 1);
    Run *runs = arena.take<Run>(layer.in);
    for (int i = 0; i <= layer.in; i++) offsets[i] = i;
    for (int i = 0; i < layer.in; i++) runs[i] = {0, layer.out, layer.kernel + static_cast<size_t>(i) * layer.stride};
    *found = Runs{offsets, runs, nullptr, nullptr, nullptr, 0};
    return found;
}

// Inputs with the same weights, as those of one pool that is averaged: what they hand on is added up first.
inline const int *find_alike(const double *weights, int in, int out, Arena &arena) {
    int *alike = arena.take<int>(in);
    const auto mark = arena.mark();
    int size = 16;
    while (size < 2 * in) size *= 2;
    int *table = arena.take<int>(size);
    std::fill(table, table + size, -1);
    const size_t bytes = sizeof(double) * out;
    bool is_found = false;
    for (int i = 0; i < in; i++) {
        const double *row = weights + static_cast<size_t>(i) * out;
        uint64_t hash = 1;
        for (int j = 0; j < out; j++) {
            uint64_t bits;
            std::memcpy(&bits, row + j, sizeof bits);
            hash = (hash ^ bits) * 0xbf58476d1ce4e5b9ull;
            hash ^= hash >> 29;
        }
        int slot = static_cast<int>(hash & (size - 1));
        while (table[slot] >= 0 && std::memcmp(weights + static_cast<size_t>(table[slot]) * out, row, bytes)) slot = (slot + 1) & (size - 1);
        if (table[slot] < 0) table[slot] = i;
        else is_found = true;
        alike[i] = table[slot];
    }
    arena.release(mark);
    return is_found ? alike : nullptr;
}

// Weights of runs, scaled, each sequence of them once: those of a convolution are the same wherever its window stands,
// and stay in the cache.
class Sequences {
  public:
    Sequences(const SparseKernel &kernel, int shift, int64_t num_runs, Arena &arena) : weights_(kernel.weights), shift_(shift), free_(arena.take<double>(kernel.num)) {
        while (static_cast<int64_t>(mask_ + 1) < 2 * num_runs) mask_ = 2 * mask_ + 1;
        table_.assign(mask_ + 1, {-1, 0, nullptr});
    }
    const double *scaled(int64_t first, int length) {
        size_t place = hash(first, length) & mask_;
        for (; table_[place].first >= 0; place = (place + 1) & mask_) {
            const Known &known = table_[place];
            if (known.length == length && !std::memcmp(weights_ + known.first, weights_ + first, sizeof(double) * length)) return known.scaled;
        }
        scale(weights_ + first, length, shift_, free_);
        table_[place] = {first, length, free_};
        free_ += length;
        return table_[place].scaled;
    }

  private:
    struct Known { int64_t first; int length; const double *scaled; };
    const double *weights_;
    const int shift_;
    double *free_;
    size_t mask_ = 15;
    std::vector<Known> table_;
    uint64_t hash(int64_t first, int length) const {
        uint64_t sum = length;
        for (int k = 0; k < length; k++) {
            uint64_t bits;
            std::memcpy(&bits, weights_ + first + k, sizeof bits);
            sum = (sum ^ bits) * 0x9e3779b97f4a7c15;
            sum ^= sum >> 29;
        }
        return sum;
    }
};

// A sparse kernel's runs, norms and columns.
inline void load_sparse(const SparseKernel &kernel, int shift, Layer &layer, double *norm, Arena &arena) {
    Runs *found = arena.take<Runs>(1);
    int64_t *offsets = arena.take<int64_t>(layer.in + 1), *column_offsets = arena.take<int64_t>(layer.out + 1);
    double *column_weights = arena.take<double>(kernel.num);
    int *column_inputs = arena.take<int>(kernel.num);
    std::fill(column_offsets, column_offsets + layer.out + 1, 0);
    int64_t num = 0;
    for (int64_t k = 0; k < kernel.num; k++) {
        column_offsets[kernel.outputs[k] + 1]++;
        num += k == 0 || kernel.outputs[k] != kernel.outputs[k - 1] + 1;
    }
    layer.terms = 1;
    for (int j = 0; j < layer.out; j++) layer.terms = std::max(layer.terms, static_cast<int>(column_offsets[j + 1])), column_offsets[j + 1] += column_offsets[j];
    Run *runs = arena.take<Run>(num + layer.in);
    Sequences sequences(kernel, shift, num + layer.in, arena);
    num = 0;
    for (int i = 0; i < layer.in; i++) {
        offsets[i] = num;
        for (int64_t k = kernel.offsets[i], end; k < kernel.offsets[i + 1]; k = end) {
            const int begin = kernel.outputs[k];
            for (end = k + 1; end < kernel.offsets[i + 1] && kernel.outputs[end] == begin + (end - k);) end++;
            const int length = static_cast<int>(end - k);
            const Run run{begin, length, sequences.scaled(k, length)};
            for (int t = 0; t < length; t++) norm[begin + t] += run.weights[t] * run.weights[t];
            runs[num++] = run;
        }
    }
    offsets[layer.in] = num;
    std::vector<int64_t> place(column_offsets, column_offsets + layer.out);
    for (int i = 0; i < layer.in; i++)
        for (int64_t k = kernel.offsets[i]; k < kernel.offsets[i + 1]; k++) {
            const int64_t at = place[kernel.outputs[k]]++;
            column_inputs[at] = i, column_weights[at] = kernel.weights[k];
        }
    *found = Runs{offsets, runs, column_offsets, column_inputs, column_weights, shift};
    layer.runs = found, layer.kernel = layer.weights = nullptr;
}

}  // namespace jaxgeom
