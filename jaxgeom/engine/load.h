// A network of a population made ready: scaled, with norms, runs and multiples.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "multiples.h"
#include "runs.h"
#include "scales.h"

namespace jaxgeom {

// An upper bound of the largest singular value, the fourth root of |K'K|² (Frobenius), between it and |K|.
inline double spectral_bound(const Layer &layer, double frobenius) {
    if (layer.in > 1024) return frobenius;
    const int p = layer.stride;
    constexpr int kRows = 4;  // of K'K at once, so that those of K are read from memory a quarter as often
    double squares = 0;
    for (int i = 0; i < layer.out; i += kRows) {  // columns of the kernel with those from there on
        Four twice[kRows] = {};
        for (int j = i & -kLanes; j < p; j += kLanes) {
            Vec sums[kRows] = {};
            for (int k = 0; k < layer.in; k++) {
                const double *row = layer.kernel + static_cast<size_t>(k) * p;
                const Vec other = load(row + j);
                for (int r = 0; r < kRows; r++) sums[r] += other * row[i + r];
            }
            for (int r = 0; r < kRows; r++) {
                // each pair of columns counts twice, but none with itself
                for (int lane = 0; lane < kLanes && j < i + kRows; lane++) sums[r][lane] *= j + lane > i + r ? 1 : j + lane == i + r ? std::sqrt(0.5) : 0;
                add_to(twice[r], sums[r] * sums[r]);
            }
        }
        for (int r = 0; r < kRows; r++) squares += 2 * total(twice[r]);
    }
    return std::min(frobenius, std::sqrt(std::sqrt(squares)) * (1 + 1e-6) + std::sqrt(kFloor));
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
        const double of_weights = exponent_of(layer.weights, num), of_kernel = of_weights - before, of_bias = exponent_of(layer.offsets, out);
        double shift = -std::max(of_kernel + growth, of_bias);
        if (of_weights == -2000 && of_bias == -2000) shift = 0;  // all zero
        shift = std::floor(shift);
        double *kernel = is_sparse ? nullptr : arena.take<double>(static_cast<size_t>(in) * stride), *bias = arena.take<double>(stride), *norm = arena.take<double>(stride), *bias_error = arena.take<double>(stride);
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
        const double rounding = l ? (layer.terms + 6) * kEps : 0;  // weights of the first layer are its functions
        for (int j = 0; j < stride; j++) bias_error[j] = rounding * std::fabs(bias[j]) + (net.has_runs ? 0 : kFloor);
        layer.bias_error = bias_error;
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
        layer.is_plain = !net.has_runs && !layer.has_slopes && !layer.has_twins;
        before = shift;
        net.output_exponent = -static_cast<int>(std::clamp(shift, -4000.0, 4000.0));
    }
    net.is_sparse = !net.has_runs && 4 * num_zeros > 3 * num_weights;
    return net;
}

}  // namespace jaxgeom
