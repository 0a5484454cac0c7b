// One network as the engine computes with it: layers scaled by powers of two, norms for the bounds of errors, and units
// that need no cutting of their own. Exact decisions are made with the weights as given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "arena.h"
#include "simd.h"

namespace jaxgeom {

constexpr double kEps = 2.220446049250313e-16;
constexpr double kFloor = 1e-150;  // above the root of the smallest normal double: more than what squares and products lose below it

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
    const double *bias_error;        // of what rounding does to units by their biases
    double spectral, frobenius, bias_norm, steepest;  // upper bounds of norms; steepest: of max(1, |slope|)
    const double *slope;
    bool has_slopes;                 // any other than 0 and 1
    bool is_plain;                   // units are zero or themselves, no two are multiples, and kernels are not sparse
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
