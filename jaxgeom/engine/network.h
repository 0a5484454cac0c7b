// One network as the engine computes with it: layers scaled by powers of two, norms for the bounds of errors, and units
// that need no cutting of their own. Exact decisions are made with the weights as given.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "simd.h"

namespace jaxgeom {

constexpr double kEps = 2.220446049250313e-16;
constexpr double kFloor = 1e-150;  // above the root of the smallest normal double: more than what squares and products lose below it

// Memory that is given back in the reverse order of its taking.
class Arena {
  public:
    struct Mark { size_t block, at; };
    Mark mark() const { return {block_, at_}; }
    void release(Mark mark) { block_ = mark.block, at_ = mark.at; }
    template <class T> T *take(size_t n) {
        const size_t bytes = (n * sizeof(T) + 63) & ~size_t(63);
        if (blocks_.empty()) add(bytes);
        while (at_ + bytes > blocks_[block_].size) {
            at_ = 0;
            if (++block_ == blocks_.size()) add(bytes);
        }
        char *place = blocks_[block_].start + at_;
        at_ += bytes;
        return reinterpret_cast<T *>(place);
    }

  private:
    struct Block { std::unique_ptr<char[]> memory; char *start; size_t size; };
    std::vector<Block> blocks_;
    size_t at_ = 0, block_ = 0;
    void add(size_t bytes) {
        const size_t size = std::max<size_t>(size_t(1) << 18, 2 * bytes);
        std::unique_ptr<char[]> memory(new char[size + 64]);
        char *start = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(memory.get()) + 63) & ~uintptr_t(63));
        blocks_.push_back({std::move(memory), start, size});
    }
};

inline Arena &own_arena() {  // of this thread
    static thread_local Arena arena;
    return arena;
}

// A kernel of which most weights are zero, with the outputs that each input goes to, ascending.
struct SparseKernel {
    int64_t num;             // weights
    const int64_t *offsets;  // (in + 1): where those of each input begin
    const int32_t *outputs;
    const double *weights;
};
constexpr uint8_t kSparse = 2;

// Where the arrays of a population are: layers 0 to depth - 1 are hidden, layer depth is the affine output.
struct Source {
    int depth;
    int num_layers;               // that are computed: depth, or with the output depth + 1
    const int64_t *widths;        // inputs, then the units of each layer
    const void *const *kernels;   // (networks, in, out), row by row
    const void *const *biases;    // (networks, out)
    const uint8_t *is_float32;    // kernel 0, bias 0, kernel 1, …; kSparse: the kernels are pointers to SparseKernels
    const double *slopes;         // of all hidden units: what a value that is not positive is multiplied by
};

inline int64_t num_units(const Source &source) {
    int64_t units = 0;
    for (int l = 0; l < source.depth; l++) units += source.widths[l + 1];
    return units;
}

// Outputs that follow one another, as those of neighbouring pixels do.
struct Run { int begin, length; const double *weights; };
struct Runs {
    const int64_t *offsets;          // (in + 1): where the runs of each input begin
    const Run *runs;                 // their weights scaled as those of the layer
    const int64_t *column_offsets;   // (out + 1), of weights as given; null for dense kernels
    const int *column_inputs;
    const double *column_weights;
    int shift;                       // the exponent of the factor from weights as given to scaled ones
};

struct Layer {
    int in, out, stride;             // out, rounded up to whole vectors
    int terms;                       // most weights of a unit
    const Runs *runs;                // null where the network has no sparse kernels
    const int *alike;                // the first input with the same weights, of each; null where all differ
    const double *kernel, *bias;     // scaled, (in, stride)
    const double *weights, *offsets; // as given, (in, out)
    const double *column_norm;       // upper bounds of the columns' lengths
    double spectral, frobenius, bias_norm, steepest;  // upper bounds of norms; steepest: of max(1, |slope|)
    const double *slope;
    bool has_slopes;                 // any other than 0 and 1
    int num_candidates;              // units that may cut
    const int *candidates;           // ascending
    bool is_whole;                   // candidates are all units
    bool has_twins;
    const int *first_twin, *next_twin;  // chains of units that are multiples of another one; -1 ends them
    const int8_t *twin_sign;
    int num_linear;
    const int *linear;               // units of slope 1
};

struct Corner { double x, y, w; };   // exact: the finite point (x/w, y/w) with w = 1, or a direction with w = 0
struct Domain {
    int num_corners, num_faces;
    const Corner *corners;
    const int *face_offsets, *face_corners;  // faces counter-clockwise
    bool is_plane;                   // whether there are corners at infinity
};

struct Network {
    int depth, num_layers;
    Layer *layers;
    const int *unit_offsets;         // of each hidden layer among all hidden units
    double unit;                     // the power of two that finite coordinates are divided by
    int unit_exponent, output_exponent;  // its exponent, and that of the factor which undoes the last layer's scale
    bool is_finite;
    bool is_sparse;                  // whether most of the weights are zero
    bool has_runs;                   // whether there are sparse kernels; then bounds of errors are known unit by unit
};

// The exponent of the largest in magnitude, as frexp gives it; -2000 if all are 0.
inline double exponent_of(const double *values, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = std::max(largest, std::fabs(values[i]));
    if (largest == 0) return -2000;
    int exponent;
    std::frexp(largest, &exponent);
    return exponent;
}

inline void scale(const double *values, size_t n, int exponent, double *out) {
    if (exponent > -1000 && exponent < 1000) {
        const double factor = std::ldexp(1.0, exponent);
        for (size_t i = 0; i < n; i++) out[i] = values[i] * factor;
    } else {
        for (size_t i = 0; i < n; i++) out[i] = std::ldexp(values[i], exponent);
    }
}

inline const double *as_double(const void *data, bool is_float32, size_t offset, size_t n, Arena &arena) {
    if (!is_float32) return static_cast<const double *>(data) + offset;
    double *out = arena.take<double>(n);
    const float *values = static_cast<const float *>(data) + offset;
    for (size_t i = 0; i < n; i++) out[i] = values[i];
    return out;
}

template <class T>
bool all_finite(const T *values, size_t n) {
    T sum = 0;  // NaN if any number is NaN or infinite
    for (size_t i = 0; i < n; i++) sum += 0 * values[i];
    return sum == 0;
}
inline bool all_finite(const void *data, bool is_float32, size_t offset, size_t n) {
    return is_float32 ? all_finite(static_cast<const float *>(data) + offset, n) : all_finite(static_cast<const double *>(data) + offset, n);
}

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
            // quotients are the same for multiples, and are rounded alike
            sign[j] = own[lead] < 0 ? -1 : 1;
            uint64_t hash = is_linear ? 1 : 2;
            for (int i = 0; i < num; i++) {
                const double quotient = own[i] == 0 ? 0 : own[i] / own[lead];
                uint64_t bits;
                std::memcpy(&bits, &quotient, sizeof bits);
                hash = (hash ^ bits) * 0xbf58476d1ce4e5b9ull;
                hash ^= hash >> 29;
            }
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

// That of the power of two which coordinates are divided by.
inline int unit_exponent_of(double size) {
    int exponent = 0;
    if (size > 0) std::frexp(size, &exponent);
    return std::clamp(exponent, -1020, 1023);
}
inline int unit_exponent_of(const Domain &domain) {
    double size = 0;
    for (int i = 0; i < domain.num_corners; i++)
        if (domain.corners[i].w != 0) size = std::max({size, std::fabs(domain.corners[i].x), std::fabs(domain.corners[i].y)});
    return domain.is_plane ? 0 : unit_exponent_of(size);
}

// An upper bound of the largest singular value, the fourth root of |K'K|² (Frobenius), between it and |K|.
inline double spectral_bound(const Layer &layer, double frobenius) {
    if (layer.in > 1024) return frobenius;
    double squares = 0;
    constexpr int kRows = 4;  // at once, so that each row is read from memory a quarter as often
    for (int first = 0; first < layer.in; first += kRows) {
        const double *rows[kRows];
        for (int r = 0; r < kRows; r++) rows[r] = layer.kernel + static_cast<size_t>(std::min(first + r, layer.in - 1)) * layer.stride;
        for (int h = 0; h < std::min(first + kRows, layer.in); h++) {
            const double *other = layer.kernel + static_cast<size_t>(h) * layer.stride;
            Four sums[kRows] = {};
            for (int j = 0; j < layer.stride; j += kLanes) {
                const Vec k = load(other + j);
                for (int r = 0; r < kRows; r++) add_to(sums[r], load(rows[r] + j) * k);
            }
            for (int r = 0; r < kRows && first + r < layer.in; r++) {
                const double product = total(sums[r]);
                if (h <= first + r) squares += (h < first + r ? 2 : 1) * product * product;
            }
        }
    }
    return std::min(frobenius, std::sqrt(std::sqrt(squares)) * (1 + 1e-6) + std::sqrt(kFloor));
}

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

// Those of a sparse one, its norms and columns.
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

inline Network load_network(const Source &source, int64_t index, int unit_exponent, Arena &arena) {
    Network net{source.depth, source.num_layers, arena.take<Layer>(std::max(source.num_layers, 1)), nullptr, 1, 0, 0, true, false, false};
    int *offsets = arena.take<int>(source.depth + 1);
    offsets[0] = 0;
    net.unit_offsets = offsets;
    net.unit = std::ldexp(1.0, unit_exponent);
    net.unit_exponent = unit_exponent;
    for (int l = 0; l <= source.depth; l++) {
        const size_t out = source.widths[l + 1], num = source.widths[l] * out;
        const bool is_sparse = source.is_float32[2 * l] == kSparse;
        const SparseKernel *sparse = is_sparse ? static_cast<const SparseKernel *>(source.kernels[l]) + index : nullptr;
        net.has_runs = net.has_runs || is_sparse;
        const bool is_finite = is_sparse ? all_finite(sparse->weights, sparse->num) : all_finite(source.kernels[l], source.is_float32[2 * l], index * num, num);
        net.is_finite = net.is_finite && is_finite && all_finite(source.biases[l], source.is_float32[2 * l + 1], index * out, out);
    }
    if (!net.is_finite) return net;
    double before = -unit_exponent;  // the layer before is scaled by 2^before
    size_t num_weights = 0, num_zeros = 0;
    Multiples multiples{nullptr, nullptr};
    for (int l = 0; l < source.num_layers; l++) {
        Layer &layer = net.layers[l];
        const int in = static_cast<int>(source.widths[l]), out = static_cast<int>(source.widths[l + 1]);
        const int stride = padded(out);
        const bool is_output = l == source.depth;
        const bool is_sparse = source.is_float32[2 * l] == kSparse;
        const SparseKernel *sparse = is_sparse ? static_cast<const SparseKernel *>(source.kernels[l]) + index : nullptr;
        const size_t num = is_sparse ? sparse->num : static_cast<size_t>(in) * out;
        layer.in = in, layer.out = out, layer.stride = stride, layer.terms = in, layer.runs = nullptr, layer.alike = nullptr;
        layer.weights = is_sparse ? sparse->weights : as_double(source.kernels[l], source.is_float32[2 * l], index * num, num, arena);
        layer.offsets = as_double(source.biases[l], source.is_float32[2 * l + 1], static_cast<size_t>(index) * out, out, arena);
        const double growth = 0.5 * std::ceil(std::log2(std::max(in, 1)));
        const double of_kernel = exponent_of(layer.weights, num) - before, of_bias = exponent_of(layer.offsets, out);
        double shift = -std::max(of_kernel + growth, of_bias);
        if (exponent_of(layer.weights, num) == -2000 && of_bias == -2000) shift = 0;  // all zero
        shift = std::floor(shift);
        double *kernel = is_sparse ? nullptr : arena.take<double>(static_cast<size_t>(in) * stride), *bias = arena.take<double>(stride), *norm = arena.take<double>(stride);
        const int kernel_shift = static_cast<int>(std::clamp(shift - before, -4000.0, 4000.0)), bias_shift = static_cast<int>(std::clamp(shift, -4000.0, 4000.0));
        std::fill(bias, bias + stride, 0.0);
        std::fill(norm, norm + stride, 0.0);
        for (int i = 0; i < in && !is_sparse; i++) {
            double *row = kernel + static_cast<size_t>(i) * stride;
            scale(layer.weights + static_cast<size_t>(i) * out, out, kernel_shift, row);
            for (int j = out; j < stride; j++) row[j] = 0;
            for (int j = 0; j < out; j++) norm[j] += row[j] * row[j];
        }
        scale(layer.offsets, out, bias_shift, bias);
        layer.kernel = kernel, layer.bias = bias, layer.column_norm = norm;
        for (size_t i = 0; i < num; i++) num_zeros += layer.weights[i] == 0;
        num_weights += num;
        if (is_sparse) load_sparse(*sparse, kernel_shift, layer, norm, arena);
        else if (net.has_runs && l > 0) layer.runs = runs_of(layer, arena), layer.alike = find_alike(layer.weights, in, out, arena);
        double frobenius = 0, bias_norm = 0;
        for (int j = 0; j < out; j++) {
            frobenius += norm[j];
            bias_norm += bias[j] * bias[j];
            norm[j] = std::sqrt(norm[j]) * (1 + 1e-9) + kFloor;
        }
        layer.frobenius = std::sqrt(frobenius) * (1 + 1e-9) + kFloor;
        layer.bias_norm = std::sqrt(bias_norm) * (1 + 1e-9) + kFloor;
        const bool needs_spectral = l > 0 && l + 1 < source.num_layers && !net.has_runs;
        layer.spectral = needs_spectral ? spectral_bound(layer, layer.frobenius) : layer.frobenius;
        layer.slope = source.slopes + (is_output ? 0 : offsets[l]);
        layer.has_slopes = false, layer.steepest = 1;
        if (!is_output) {
            offsets[l + 1] = offsets[l] + out;
            for (int j = 0; j < out; j++) {
                const double slope = layer.slope[j];
                if (slope != 0 && slope != 1) layer.has_slopes = true;
                layer.steepest = std::max(layer.steepest, std::fabs(slope));
            }
        }
        multiples = sort_units(layer, layer.slope, is_output, multiples.of ? &multiples : nullptr, arena);
        before = shift;
        net.output_exponent = -static_cast<int>(std::clamp(shift, -4000.0, 4000.0));
    }
    net.is_sparse = !net.has_runs && 4 * num_zeros > 3 * num_weights;
    return net;
}

class Sparse {  // the weights that are not zero, unit by unit, each found when first needed
  public:
    typedef std::vector<std::pair<int, double>> Column;
    const Column &column(const Network &net, int l, int unit) {
        if (columns_.empty()) columns_.resize(net.num_layers);
        const Layer &layer = net.layers[l];
        if (columns_[l].empty()) columns_[l].resize(layer.out);
        std::unique_ptr<Column> &place = columns_[l][unit];
        if (!place) {
            place.reset(new Column);
            if (layer.runs && layer.runs->column_offsets) {
                const Runs &runs = *layer.runs;
                for (int64_t k = runs.column_offsets[unit]; k < runs.column_offsets[unit + 1]; k++) place->emplace_back(runs.column_inputs[k], runs.column_weights[k]);
                return *place;
            }
            for (int i = 0; i < layer.in; i++) {
                const double weight = layer.weights[static_cast<size_t>(i) * layer.out + unit];
                if (weight != 0) place->emplace_back(i, weight);
            }
        }
        return *place;
    }

  private:
    std::vector<std::vector<std::unique_ptr<Column>>> columns_;
};

}  // namespace jaxgeom
