// The functions of units on cells, lines and points in the plane in twice the precision of float64, made when first
// asked for. Bounds of errors grow with every layer, by more than errors do; from these functions they start anew.
#pragma once

#include "chain.h"

namespace jaxgeom {

class SharpSigns {
  public:
    // Whether cells have outputs, too.
    SharpSigns(const Network &net, const Domain &domain, Arena &arena, bool has_outputs) : net(net), domain(domain), arena(arena) {
        is_useful = !net.is_sparse;  // where exact rows are cheap
        for (int l = 0; l < net.depth; l++) is_useful = is_useful && net.layers[l].steepest < 1e100;
        has_rows = is_useful && (has_outputs || net.num_layers > 1);
    }
    // Where the rows of a layer's units go; null where they are of no use.
    double *place_of_rows(int stride) { return has_rows ? arena.take<double>((net.has_runs ? 7 : 6) * stride) : nullptr; }
    void sharpen(const Entry &entry) {
        if (entry.is_sharp) return;
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        entry.is_sharp = true;
        if (entry.layer == 0) {
            std::memcpy(entry.sharp, layer.kernel, sizeof(double) * 2 * p);
            std::memcpy(entry.sharp + 2 * p, layer.bias, sizeof(double) * p);
            std::memset(entry.sharp + 3 * p, 0, sizeof(double) * 3 * p);
            entry.sharp_delta = kFloor;
            if (net.has_runs) std::fill(entry.sharp + 6 * p, entry.sharp + 7 * p, kFloor);
            return;
        }
        complete(net, entry);
        sharpen(*entry.before);
        if (net.has_runs) return sharpen_by_runs(entry);
        const Layer &below = net.layers[entry.layer - 1];
        const double *parts = entry.before->sharp;
        const int q = below.stride;
        auto mark = arena.mark();
        Input<3> *inputs = arena.take<Input<3>>(below.out);
        int n = 0;
        double squares = 0;
        for (int i = 0; i < below.out; i++) {
            const double factor = factor_below(entry, below, i);
            if (factor == 0) continue;
            Input<3> &input = inputs[n++];
            input.unit = i;
            for (int s = 0; s < 3; s++) {
                input.value[s] = times(factor, parts[s * q + i], parts[(3 + s) * q + i]);
                squares += input.value[s].high * input.value[s].high;
            }
        }
        const bool is_safe = squares < 1e250;  // else nothing is known, as of functions in float64
        if (is_safe) sharp_rows(layer, n, inputs, entry.sharp);
        else std::memset(entry.sharp, 0, sizeof(double) * 6 * p);
        arena.release(mark);
        if (!is_safe) {
            entry.sharp_input = entry.sharp_delta = 1e290;
            return;
        }
        const double g = sharp_rounding(layer.in), h = g * std::sqrt(3 * squares) * 1.0001 + kFloor, delta = entry.before->sharp_delta * below.steepest;
        entry.sharp_input = delta + h;
        entry.sharp_delta = layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor;
    }
    // The same of networks with sparse kernels; behind the functions there is a bound of the error of each.
    void sharpen_by_runs(const Entry &entry) {
        const Layer &layer = net.layers[entry.layer], &below = net.layers[entry.layer - 1];
        const int p = layer.stride, q = below.stride;
        const double *parts = entry.before->sharp, g = sharp_rounding(layer.terms);
        double *bound = entry.sharp + 6 * p, squares = 0;
        std::memset(entry.sharp, 0, sizeof(double) * 6 * p);
        std::memcpy(entry.sharp + 2 * p, layer.bias, sizeof(double) * p);
        for (int j = 0; j < p; j++) bound[j] = g * std::fabs(layer.bias[j]) + kFloor;
        for (int i = 0; i < below.out; i++) {
            const double factor = factor_below(entry, below, i);
            if (factor == 0) continue;
            Input<3> input{i, {}};
            double size = 0;
            for (int s = 0; s < 3; s++) {
                input.value[s] = times(factor, parts[s * q + i], parts[(3 + s) * q + i]);
                size += std::fabs(input.value[s].high);
            }
            squares += size * size;
            add_sharp_runs(*layer.runs, input, std::fabs(factor) * parts[6 * q + i] + g * size, p, entry.sharp);
        }
        entry.sharp_input = entry.sharp_delta = squares < 1e250 ? kFloor : 1e290;
        if (!(squares < 1e250)) std::memset(entry.sharp, 0, sizeof(double) * 6 * p), std::fill(bound, bound + p, 1e280);
    }
    // Whether a bound of the error of what a layer gets is large beside the gradients of its functions, and beside their
    // rounding, which stays.
    bool is_blurred(const Layer &layer, const double *functions, double input, double of_gradients, double of_rounding) const {
        Four slope{}, size{}, bound{};
        const int p = layer.stride;
        const double *bounds = net.has_runs ? functions + 3 * p : layer.column_norm;
        if (net.has_runs) input = 1;
        for (int j = 0; j < p; j += kLanes) {
            add_to(slope, magnitude(load(functions + j)) + magnitude(load(functions + p + j)));
            add_to(size, magnitude(load(functions + 2 * p + j))), add_to(bound, load(bounds + j));
        }
        const double errors = input * total(bound), gradients = total(slope);
        return errors > of_gradients * gradients && errors > of_rounding * (gradients + total(size));
    }

    // A line's function in twice the precision, with a bound of its coefficients' errors, kept in the line; false if
    // nothing is known.
    bool sharpen(const Line &line) {
        if (line.sharpness == kNotAsked) line.sharpness = find_sharp_line(line, line.sharp, line.sharp_error) ? kIsSharp : kNotSharp;
        return line.sharpness == kIsSharp;
    }
    bool find_sharp_line(const Line &line, Pair *function, double &error) {
        if (!line.entry) {
            double p[3], q[3];
            scaled_corner(line.from, p), scaled_corner(line.to, q);
            double size = 0;
            for (int s = 0; s < 3; s++) {
                const int i = (s + 1) % 3, j = (s + 2) % 3;
                function[s] = minus(product_of(p[i], q[j]), product_of(p[j], q[i]));
                size = std::max({size, std::fabs(p[s]), std::fabs(q[s])});
            }
            error = kSharp * size * size;
            return size < 1e60;
        }
        const Entry &entry = *line.entry;
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        if (entry.layer == 0) {
            for (int s = 0; s < 2; s++) function[s] = {layer.kernel[s * p + line.unit], 0};
            function[2] = {layer.bias[line.unit], 0};
            error = kFloor;
            return true;
        }
        complete(net, entry);
        if (!entry.sharp) return false;
        sharpen(*entry.before);
        const double delta = entry.before->sharp_delta;
        if (!(delta < 1e280)) return false;
        const Layer &below = net.layers[entry.layer - 1];
        if (net.has_runs) return find_sharp_sum(entry, line.unit, function, error);
        const double squares = sharp_row<3>(layer, line.unit, below, entry.before->sharp, [&](int i) { return factor_below(entry, below, i); }, function);
        const double g = sharp_rounding(layer.in), h = g * std::sqrt(3 * squares) * 1.0001 + kFloor;
        error = layer.column_norm[line.unit] * (delta * below.steepest + h) + g * std::fabs(layer.bias[line.unit]) + kFloor;
        return squares < 1e250;
    }
    bool find_sharp_sum(const Entry &entry, int unit, Pair *function, double &error) {
        const Layer &layer = net.layers[entry.layer], &below = net.layers[entry.layer - 1];
        const double *parts = entry.before->sharp, g = sharp_rounding(layer.terms);
        const int q = below.stride;
        double squares = 0;
        for (int s = 0; s < 3; s++) function[s] = {s == 2 ? layer.bias[unit] : 0, 0};
        error = g * std::fabs(layer.bias[unit]) + kFloor;
        const auto add = [&](int i, double weight) {
            const double factor = factor_below(entry, below, i);
            if (factor == 0 || weight == 0) return;
            double size = 0;
            for (int s = 0; s < 3; s++) {
                const Pair value = times(factor, parts[s * q + i], parts[(3 + s) * q + i]);
                size += std::fabs(value.high);
                function[s] = plus(function[s], times(value, {weight, 0}));
            }
            squares += size * size;
            error += 1.0001 * std::fabs(weight) * (std::fabs(factor) * parts[6 * q + i] + g * size);
        };
        const Runs &runs = *layer.runs;
        if (!runs.column_offsets) {
            for (int i = 0; i < below.out; i++) add(i, layer.kernel[static_cast<size_t>(i) * layer.stride + unit]);
        } else {
            for (int64_t k = runs.column_offsets[unit]; k < runs.column_offsets[unit + 1]; k++) add(runs.column_inputs[k], std::ldexp(runs.column_weights[k], runs.shift));
        }
        return squares < 1e250;
    }
    // Where a point is, in the units of vertices, kept in the point; false if that is not known much better than in float64.
    bool sharpen(const Point &point) { return find(point) == kIsSharp; }
    Sharpness find(const Point &point) {
        if (point.sharpness == kNotAsked) point.sharpness = find_sharp_point(&point, point.sharp[0], point.sharp[1], point.sharp_error);
        return point.sharpness;
    }
    Sharpness find_sharp_point(const Point *point, Pair &x, Pair &y, double &error) {
        if (point->corner >= 0) {
            double p[3];
            scaled_corner(point->corner, p);
            x = {p[0], 0}, y = {p[1], 0}, error = 0;
            return p[2] == 1 ? kIsSharp : kNotSharp;
        }
        if (!sharpen(*point->first) || !sharpen(*point->second)) return kNotSharp;
        const Pair *f = point->first->sharp, *g = point->second->sharp;
        const double f_error = point->first->sharp_error, g_error = point->second->sharp_error;
        const double f_size = std::max({std::fabs(f[0].high), std::fabs(f[1].high), std::fabs(f[2].high)});
        const double g_size = std::max({std::fabs(g[0].high), std::fabs(g[1].high), std::fabs(g[2].high)});
        if (!(f_size < 1e60 && g_size < 1e60 && f_size > 1e-60 && g_size > 1e-60)) return kNotSharp;
        const Pair across = minus(times(f[1], g[2]), times(f[2], g[1])), up = minus(times(f[2], g[0]), times(f[0], g[2]));
        const Pair w = minus(times(f[0], g[1]), times(f[1], g[0]));
        const double of_products = 3 * (f_size * g_error + g_size * f_error + f_error * g_error) + 4 * kSharp * f_size * g_size;
        const double size_of_w = std::fabs(w.high);
        if (!(size_of_w > 1e6 * of_products)) return kNotSharp;
        x = quotient(across, w), y = quotient(up, w);
        const double size = std::max({std::fabs(x.high), std::fabs(y.high), 1.0});
        error = 3 * size * (of_products / size_of_w + kSharp);
        return !(size < 1e60) ? kNotSharp : error < kEps * size ? kIsSharp : kIsRough;
    }
    // The sign of a unit at a point in twice the precision; 0 where that does not decide.
    int sign(const Entry &entry, int unit, const Point *point) {
        const Line line{0, 0, 0, 0, 0, &entry, unit, 0, 0, false, kNotAsked, 0, {}};
        if (domain.is_plane || !is_useful || !sharpen(line) || find(*point) == kNotSharp) return 0;
        double bound;
        const double z = sharp_value(line.sharp, line.sharp_error, *point, bound);
        return z > bound ? 1 : -z > bound ? -1 : 0;
    }
    void scaled_corner(int index, double *p) const {
        const Corner &c = domain.corners[index];
        const double scale = c.w != 0 ? net.unit : 1;
        p[0] = c.x / scale, p[1] = c.y / scale, p[2] = c.w;
    }
    // Of a function in twice the precision at a point that is known as well, with a bound of its error: infinite where
    // numbers are too large.
    static double sharp_value(const Pair *f, double error, const Point &point, double &bound) {
        const Pair &x = point.sharp[0], &y = point.sharp[1];
        const double e = point.sharp_error, gradient = std::fabs(f[0].high) + std::fabs(f[1].high), size = gradient + std::fabs(f[2].high);
        const double reach = std::max({std::fabs(x.high), std::fabs(y.high), 1.0});
        bound = INFINITY;
        if (!(size < 1e60 && error < 1e60)) return 0;
        bound = 1.01 * (3 * error * (reach + e) + gradient * e + 16 * kSharp * size * reach) + kFloor;
        return plus(plus(times(f[0], x), times(f[1], y)), f[2]).high;
    }

  private:
    const Network &net;
    const Domain &domain;
    Arena &arena;
    bool is_useful, has_rows;  // not where weights are few, nor where slopes are so steep that products overflow
};

}  // namespace jaxgeom
