// Functions of units on cells in space in twice the precision, for cells on which their errors are too large.
#pragma once

#include "sharp.h"
#include "space_signs.h"

namespace jaxgeom {

// From which share of the gradients on errors of functions are too large.
constexpr double kBlurredInSpace = 0x1p-16;

inline double rounding_in(int dim) { return (dim + 6) * kEps; }  // of a function's value, relative to its coefficients

template <int D, int W>
struct SharpFunctions {
    const Network &net;
    const Shape<D, W> shape;
    Arena &arena;
    int dim() const { return shape.dim(); }

    bool can_serve() const {  // this network, in this dimension
        bool can = D > 0 && !net.is_sparse;
        for (int l = 0; l < net.depth; l++) can = can && net.layers[l].steepest < 1e100;
        return can;
    }
    void sharpen(const SpaceEntry &entry) {
        if constexpr (D > 0) {
            if (entry.is_sharp) return;
            constexpr int N = D + 1;
            const Layer &layer = net.layers[entry.layer];
            const int p = layer.stride;
            entry.is_sharp = true;
            if (entry.layer == 0) {
                std::memcpy(entry.sharp, layer.kernel, sizeof(double) * D * p);
                std::memcpy(entry.sharp + D * p, layer.bias, sizeof(double) * p);
                std::memset(entry.sharp + N * p, 0, sizeof(double) * N * p);
                entry.sharp_delta = kFloor;
                return;
            }
            sharpen(*entry.before);
            const Layer &below = net.layers[entry.layer - 1];
            const double *parts = entry.before->sharp;
            const int q = below.stride;
            const auto mark = arena.mark();
            Input<N> *inputs = arena.take<Input<N>>(below.out);
            int n = 0;
            double squares = 0;
            for (int i = 0; i < below.out; i++) {
                const double factor = factor_below(entry, below, i);
                if (factor == 0) continue;
                Input<N> &input = inputs[n++];
                input.unit = i;
                for (int s = 0; s < N; s++) {
                    input.value[s] = times(factor, parts[s * q + i], parts[(N + s) * q + i]);
                    squares += input.value[s].high * input.value[s].high;
                }
            }
            const bool is_safe = squares < 1e250;
            if (is_safe) sharp_rows<N>(layer, n, inputs, entry.sharp);
            else std::memset(entry.sharp, 0, sizeof(double) * 2 * N * p);
            arena.release(mark);
            const double g = sharp_rounding(layer.in), h = g * std::sqrt(N * squares) * 1.0001 + kFloor, delta = entry.before->sharp_delta * below.steepest;
            entry.sharp_input = is_safe ? delta + h : 1e290;
            entry.sharp_delta = is_safe ? layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor : 1e290;
        }
    }
    // Rows rounded from twice the precision, with their bounds; returns that of the errors of all of them.
    double use(const SpaceEntry &entry, double *rows) {
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        sharpen(entry);
        std::memcpy(rows, entry.sharp, sizeof(double) * (dim() + 1) * p);
        double squares = 0;
        for (int j = 0; j < p; j++) {
            double size = 0;
            for (int s = 0; s <= dim(); s++) size += std::fabs(rows[s * p + j]), squares += rows[s * p + j] * rows[s * p + j];
            rows[(dim() + 1) * p + j] = layer.column_norm[j] * entry.sharp_input + sharp_rounding(layer.in) * std::fabs(layer.bias[j]) + rounding_in(dim()) * size + kFloor;
        }
        return entry.sharp_delta + 2 * kEps * std::sqrt(squares) + kFloor;
    }

    bool is_blurred(const Layer &layer, const double *rows, double input) const {
        double slope = 0, bound = 0;
        for (int j = 0; j < layer.out; j++) slope += shape.size_of(rows + j, layer.stride), bound += layer.column_norm[j];
        return input * bound > kBlurredInSpace * slope;
    }
};

}  // namespace jaxgeom
