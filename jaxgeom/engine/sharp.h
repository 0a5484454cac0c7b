// The functions of a layer's units on a cell in twice the precision of float64, as unevaluated sums of two doubles. Bounds
// of errors grow with every layer, by more than errors do; from functions that are known this well they start anew.
#pragma once

#include "network.h"
#include "simd.h"

namespace jaxgeom {

// What rounding in sums of n products does at most, relative to the sum of the products' sizes.
inline double sharp_rounding(int n) { return 16.0 * (n + 4) * (n + 4) * kEps * kEps; }

// A factor of products without rounding: where no instruction multiplies and adds at once, with both parts of the number,
// each of at most 26 bits, so that products of parts are exact.
template <class T>
struct Multiplier {
    T whole, high, low;
    Multiplier(T x) : whole(x), high(x), low(x) {
        if (kHasFused) return;
        const T scaled = x * 134217729.0;
        high = scaled - (scaled - x), low = x - high;
    }
};
// What rounding has left off a product.
template <class T>
inline T product_error(const Multiplier<T> &x, const Multiplier<T> &y, T product) {
    if (kHasFused) return fused(x.whole, y.whole, -product);
    return ((x.high * y.high - product) + x.high * y.low + x.low * y.high) + x.low * y.low;
}

struct Pair { double high, low; };

// What one unit hands to the next layer: the coefficients of its function, the constant last, times a factor.
template <int N>
struct Input {
    int unit;
    Pair value[N];
};
inline Pair times(double factor, double high, double low) {
    if (factor == 1) return {high, low};
    const double product = factor * high;
    return {product, product_error<double>(factor, high, product) + factor * low};
}

inline Pair sum_of(double x, double y) {
    const double sum = x + y, part = sum - x;
    return {sum, (x - (sum - part)) + (y - part)};
}
inline Pair product_of(double x, double y) {
    const double product = x * y;
    return {product, product_error<double>(x, y, product)};
}
// Both are right to 2^-100 of the terms' sizes; numbers up to 1e140.
inline Pair plus(Pair x, Pair y) {
    const Pair sum = sum_of(x.high, y.high);
    return sum_of(sum.high, sum.low + (x.low + y.low));
}
inline Pair times(Pair x, Pair y) {
    const Pair product = product_of(x.high, y.high);
    return sum_of(product.high, product.low + (x.high * y.low + x.low * y.high));
}
inline Pair minus(Pair x, Pair y) { return plus(x, {-y.high, -y.low}); }
inline Pair quotient(Pair x, Pair y) {
    const double first = x.high / y.high;
    const Pair rest = minus(x, times(y, {first, 0}));
    return sum_of(first, rest.high / y.high);
}
constexpr double kSharp = 0x1p-98;

// Functions of a layer, high parts of all coefficients and then the low ones, from those of n units below.
template <int N>
void sharp_rows(const Layer &layer, int n, const Input<N> *inputs, double *rows) {
    const int p = layer.stride;
    for (int j = 0; j < p; j += kLanes) {
        Vec sum[N], rest[N];
        for (int s = 0; s < N; s++) sum[s] = s + 1 < N ? all(0) : load(layer.bias + j), rest[s] = all(0);
        for (int i = 0; i < n; i++) {
            const Vec weight = load(layer.kernel + static_cast<size_t>(inputs[i].unit) * p + j);
            const Multiplier<Vec> factor(weight);
            for (int s = 0; s < N; s++) {
                const Pair &value = inputs[i].value[s];
                const Vec product = weight * value.high;
                const Vec error = product_error<Vec>(factor, all(value.high), product);
                const Vec total = sum[s] + product, part = total - sum[s];
                rest[s] += (error + ((sum[s] - (total - part)) + (product - part))) + weight * value.low;
                sum[s] = total;
            }
        }
        for (int s = 0; s < N; s++) {
            const Vec total = sum[s] + rest[s], part = total - sum[s];
            store(rows + s * p + j, total);
            store(rows + (N + s) * p + j, (sum[s] - (total - part)) + (rest[s] - part));
        }
    }
}

// What one unit hands on through the runs of a kernel, added to functions of the next layer of the given stride: high
// parts, low ones, and bounds of errors, to which `e` times the weights' sizes are added.
template <int N>
void add_sharp_runs(const Runs &all_runs, const Input<N> &input, double e, int stride, double *rows) {
    for (int64_t r = all_runs.offsets[input.unit]; r < all_runs.offsets[input.unit + 1]; r++) {
        const Run &run = all_runs.runs[r];
        for (int j = 0; j < run.length; j += kLanes) {
            const int num = run.length - j < kLanes ? run.length - j : kLanes;
            double some[kLanes] = {};
            if (num < kLanes) std::copy(run.weights + j, run.weights + j + num, some);
            const Vec weight = load_from(num < kLanes ? some : run.weights + j);
            const Multiplier<Vec> factor(weight);
            double *to = rows + run.begin + j;
            const auto read = [&](const double *from) {
                double lanes[kLanes] = {};
                if (num == kLanes) return load_from(from);
                std::copy(from, from + num, lanes);
                return load_from(lanes);
            };
            const auto write = [&](double *place, Vec value) {
                if (num == kLanes) return store_at(place, value);
                for (int k = 0; k < num; k++) place[k] = value[k];
            };
            for (int s = 0; s < N; s++) {
                const Vec product = weight * input.value[s].high, error = product_error<Vec>(factor, all(input.value[s].high), product);
                const Vec before = read(to + s * stride), sum = before + product, part = sum - before;
                const Vec rest = read(to + (N + s) * stride) + ((error + ((before - (sum - part)) + (product - part))) + weight * input.value[s].low);
                const Vec total = sum + rest, share = total - sum;  // so that both parts stay apart
                write(to + s * stride, total), write(to + (N + s) * stride, (sum - (total - share)) + (rest - share));
            }
            write(to + 2 * N * stride, read(to + 2 * N * stride) + magnitude(weight) * (e * 1.0001));
        }
    }
}

// The function of one unit, from those of the layer below in twice the precision (as sharp_rows has them) and the factors
// by which that layer's activations follow from them. Returns the squares of what is added up.
template <int N, class Factor>
double sharp_row(const Layer &layer, int unit, const Layer &below, const double *rows, const Factor &factor, Pair *function) {
    const int q = below.stride;
    Four sum[N] = {}, rest[N] = {}, squares{};
    for (int i = 0; i < below.out; i += 4) {
        const auto weight_of = [&](int k) { return i + k < below.out ? layer.kernel[static_cast<size_t>(i + k) * layer.stride + unit] : 0; };
        const auto factor_of = [&](int k) { return i + k < below.out ? factor(i + k) : 0; };
        const double f0 = factor_of(0), f1 = factor_of(1), f2 = factor_of(2), f3 = factor_of(3);
        if (f0 == 0 && f1 == 0 && f2 == 0 && f3 == 0) continue;
        const Four weight{weight_of(0), weight_of(1), weight_of(2), weight_of(3)}, share{f0, f1, f2, f3};
        const Multiplier<Four> of_weight(weight), of_share(share);
        for (int s = 0; s < N; s++) {
            const Four own = load_four(rows + s * q + i);
            const Four value = share * own, value_rest = product_error<Four>(of_share, own, value) + share * load_four(rows + (N + s) * q + i);
            squares += value * value;
            const Four product = weight * value, error = product_error<Four>(of_weight, value, product);
            const Four total = sum[s] + product, part = total - sum[s];
            rest[s] += (error + ((sum[s] - (total - part)) + (product - part))) + weight * value_rest;
            sum[s] = total;
        }
    }
    double own_squares = 0;
    for (int k = 0; k < 4; k++) own_squares += squares[k];
    for (int s = 0; s < N; s++) {
        function[s] = {s + 1 < N ? 0 : layer.bias[unit], 0};
        for (int k = 0; k < 4; k++) function[s] = plus(function[s], sum_of(sum[s][k], rest[s][k]));
    }
    return own_squares;
}

}  // namespace jaxgeom
