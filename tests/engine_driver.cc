// The engine on small networks of all families, for the sanitizers (tests/test_engine_sanitizers.py compiles both).
//
// What must hold is checked on the way: the same counts from one thread and from several, and as many faces in the
// complex of a network on the square as regions are counted. Prints what fails; the exit code is how often.
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine.h"
#include "network.h"

namespace {

std::mt19937_64 rng(1);
int failures = 0;

double uniform() { return std::uniform_real_distribution<double>(-1, 1)(rng); }
double integer() { return std::uniform_int_distribution<int>(-2, 2)(rng) / 2.0; }

struct Population {
    int num;
    std::vector<int64_t> widths;
    std::vector<std::vector<double>> kernels, biases;
    std::vector<double> slopes;

    Population(int num, std::vector<int64_t> all, const std::function<double()> &draw) : num(num), widths(std::move(all)) {
        for (size_t l = 0; l + 1 < widths.size(); l++) {
            kernels.emplace_back(num * widths[l] * widths[l + 1]);
            biases.emplace_back(num * widths[l + 1]);
            for (double &value : kernels.back()) value = draw();
            for (double &value : biases.back()) value = draw();
            if (l + 2 < widths.size()) slopes.resize(slopes.size() + widths[l + 1], 0.0);
        }
    }
    // Columns (units) of hidden layers, one after the other: kernel's column, bias.
    void change_units(const std::function<void(int64_t unit, std::vector<double *> column, std::vector<double *> before)> &change) {
        for (size_t l = 0; l + 2 < widths.size(); l++) {
            const int64_t in = widths[l], out = widths[l + 1];
            for (int64_t n = 0; n < num; n++) {
                std::vector<double *> before;
                for (int64_t j = 0; j < out; j++) {
                    std::vector<double *> column;
                    for (int64_t i = 0; i < in; i++) column.push_back(&kernels[l][(n * in + i) * out + j]);
                    column.push_back(&biases[l][n * out + j]);
                    change(j, column, before);
                    before = column;
                }
            }
        }
    }
};

struct Domain {
    std::vector<double> corners;
    std::vector<int> offsets, cycles;
    int is_plane;
};
const Domain square{{-1, -1, 1, 1, -1, 1, 1, 1, 1, -1, 1, 1}, {0, 4}, {0, 1, 2, 3}, 0};
const Domain plane{{.017, -.032, 1, .96929932, .24588013, 0, -.69760132, .7164917, 0, -.271698, -.96237183, 0}, {0, 3, 6, 9}, {0, 1, 2, 0, 2, 3, 0, 3, 1}, 1};

struct Sparse {  // what is not zero of a kernel
    std::vector<int64_t> offsets{0};
    std::vector<int32_t> outputs;
    std::vector<double> weights;
    Sparse(const double *kernel, int64_t in, int64_t out) {
        for (int64_t i = 0; i < in; i++) {
            for (int64_t j = 0; j < out; j++)
                if (kernel[i * out + j] != 0) outputs.push_back(static_cast<int32_t>(j)), weights.push_back(kernel[i * out + j]);
            offsets.push_back(static_cast<int64_t>(weights.size()));
        }
    }
};

struct Call {
    std::vector<const void *> kernels, biases;
    std::vector<uint8_t> is_float32;
    std::vector<std::vector<Sparse>> sparse;
    std::vector<std::vector<jaxgeom::SparseKernel>> structures;
    // with every second kernel, from the second on, given as its weights that are not zero
    explicit Call(const Population &all, bool is_sparse = false) : is_float32(2 * all.kernels.size(), 0), sparse(all.kernels.size()), structures(all.kernels.size()) {
        for (size_t l = 0; l < all.kernels.size(); l++) {
            biases.push_back(all.biases[l].data());
            kernels.push_back(all.kernels[l].data());
            if (!is_sparse || l % 2 == 0) continue;
            const int64_t in = all.widths[l], out = all.widths[l + 1];
            for (int n = 0; n < all.num; n++) sparse[l].emplace_back(all.kernels[l].data() + n * in * out, in, out);
            for (const Sparse &each : sparse[l]) structures[l].push_back({static_cast<int64_t>(each.weights.size()), each.offsets.data(), each.outputs.data(), each.weights.data()});
            kernels.back() = structures[l].data(), is_float32[2 * l] = jaxgeom::kSparse;
        }
    }
    int depth() const { return static_cast<int>(kernels.size()) - 1; }
};

std::vector<int64_t> count(const Population &all, const Domain &domain, int threads, int *stop = nullptr, bool is_sparse = false) {
    const Call call(all, is_sparse);
    std::vector<int64_t> counts(all.num);
    std::vector<uint8_t> degenerate(all.num);
    const int status = jaxgeom_count(
        all.num, call.depth(), all.widths.data(), call.kernels.data(), call.biases.data(), call.is_float32.data(), all.slopes.data(),
        static_cast<int>(domain.corners.size() / 3), domain.corners.data(), static_cast<int>(domain.offsets.size()) - 1, domain.offsets.data(), domain.cycles.data(),
        domain.is_plane, threads, counts.data(), degenerate.data(), stop);
    if (status && !stop) failures++, std::printf("status %d\n", status);
    return counts;
}

std::vector<int64_t> faces(const Population &all, const Domain &domain, int threads, bool is_sparse = false) {
    const Call call(all, is_sparse);
    std::vector<int64_t> found(9 * all.num), numbers;
    const int status = jaxgeom_cells(
        all.num, call.depth(), all.widths.data(), call.kernels.data(), call.biases.data(), call.is_float32.data(), all.slopes.data(),
        static_cast<int>(domain.corners.size() / 3), domain.corners.data(), static_cast<int>(domain.offsets.size()) - 1, domain.offsets.data(), domain.cycles.data(),
        domain.is_plane, threads, found.data(), nullptr);
    if (status) failures++, std::printf("status %d\n", status);
    for (int n = 0; n < all.num; n++) {
        const int64_t *own = found.data() + 9 * n, vertices = own[0], edges = own[1], num = own[2];
        const bool is_consistent = own[5], is_finite = own[6];
        numbers.push_back(is_finite ? num : -1);
        if (!is_finite) continue;
        if (!is_consistent) failures++, std::printf("inconsistent\n");
        if (vertices - edges + num != 1) failures++, std::printf("V - E + F = %d\n", static_cast<int>(vertices - edges + num));
        const std::vector<char> read(reinterpret_cast<const char *>(own[7]), reinterpret_cast<const char *>(own[7]) + own[8]);
        jaxgeom_free(reinterpret_cast<void *>(own[7]));
    }
    return numbers;
}

// Numbers of breakpoints along some lines, the first of which runs through the origin.
std::vector<int64_t> breakpoints(const Population &all, bool is_infinite, int has_ends, int threads) {
    const Call call(all);
    const std::vector<double> start = {-1, -.5, -.75, .25, 1e-160, 0, -1e30, 0}, stop = {1, .5, .5, .375, 0, 1e-160, 1e30, 1};
    const int64_t num_lines = 4, total = all.num * num_lines, outputs = all.widths.back();
    int stop_flag = 0;
    void *handle = jaxgeom_lines(
        all.num, call.depth(), all.widths.data(), call.kernels.data(), call.biases.data(), call.is_float32.data(), all.slopes.data(), num_lines, start.data(), stop.data(),
        0, is_infinite, has_ends, threads, &stop_flag);
    const int64_t most = jaxgeom_lines_most(handle);
    std::vector<int64_t> counts(total);
    std::vector<uint8_t> degenerate(total), ends(total * 2 * all.slopes.size());
    std::vector<double> t(total * most + 1), slope(total * (most + 1) * outputs), intercept(total * (most + 1) * outputs);
    std::vector<int32_t> layers(total * most + 1), units(total * most + 1);
    jaxgeom_lines_copy(
        handle, most, outputs, counts.data(), degenerate.data(), t.data(), layers.data(), units.data(), slope.data(), intercept.data(), ends.data());
    jaxgeom_lines_free(handle);
    for (int64_t line = 0; line < total; line++)
        for (int64_t i = 1; i < counts[line]; i++)
            if (!(t[line * most + i - 1] <= t[line * most + i])) failures++, std::printf("breakpoints out of order\n");
    return counts;
}

// Regions of the box [-1, 1]^inputs, counted and, with complexes, enumerated.
std::vector<int64_t> regions_in_box(const Population &all, bool are_complexes, int threads) {
    const Call call(all);
    const size_t dim = all.widths[0], outputs = all.widths.back(), num_units = all.slopes.size();
    const std::vector<double> low(dim, -1), high(dim, 1);
    std::vector<int64_t> counts(all.num);
    std::vector<uint8_t> degenerate(all.num);
    if (!are_complexes) {
        jaxgeom_count_in_box(
            all.num, call.depth(), all.widths.data(), call.kernels.data(), call.biases.data(), call.is_float32.data(), all.slopes.data(), low.data(), high.data(), threads,
            counts.data(), degenerate.data(), nullptr);
        return counts;
    }
    void *handle = jaxgeom_spaces(
        all.num, call.depth(), all.widths.data(), call.kernels.data(), call.biases.data(), call.is_float32.data(), all.slopes.data(), low.data(), high.data(), 1 << 30, 0,
        threads, nullptr);
    for (int n = 0; n < all.num; n++) {
        int64_t sizes[10];
        jaxgeom_spaces_sizes(handle, n, sizes);
        const auto [vertices, edges, facets, corners, cells, members, tied, consistent, finite, complete] = sizes;
        (void)tied;
        counts[n] = finite ? cells : -1;
        if (!finite) continue;
        if (!consistent || !complete) failures++, std::printf("inconsistent in space\n");
        std::vector<double> points(vertices * dim), maps(cells * outputs * (dim + 1)), volume(cells), centroid(cells * dim);
        std::vector<int8_t> signs(vertices * num_units);
        std::vector<uint8_t> sides(vertices * 2 * dim), patterns(cells * num_units);
        std::vector<int64_t> pairs(2 * edges), facet_offsets(facets + 1), facet_vertices(corners), facet_cells(2 * facets), labels(2 * facets), cell_offsets(cells + 1),
            cell_vertices(members), num_faces(dim + 1);
        jaxgeom_spaces_copy(
            handle, n, points.data(), signs.data(), sides.data(), pairs.data(), facet_offsets.data(), facet_vertices.data(), facet_cells.data(), labels.data(),
            cell_offsets.data(), cell_vertices.data(), patterns.data(), maps.data(), volume.data(), centroid.data(), num_faces.data());
        double total = 0;
        for (const double part : volume) total += part;
        if (std::fabs(total - std::pow(2, dim)) > 1e-10) failures++, std::printf("volumes add up to %g\n", total);
    }
    jaxgeom_spaces_free(handle);
    // those at a surface, too
    jaxgeom_spaces_free(jaxgeom_spaces(
        all.num, call.depth(), all.widths.data(), call.kernels.data(), call.biases.data(), call.is_float32.data(), all.slopes.data(), low.data(), high.data(), 1 << 30, 1,
        threads, nullptr));
    return counts;
}

void agree(const std::string &name, const char *what, const std::vector<int64_t> &a, const std::vector<int64_t> &b) {
    for (size_t i = 0; i < a.size(); i++)
        if (a[i] != b[i]) failures++, std::printf("%s, %s: %lld, %lld\n", name.c_str(), what, static_cast<long long>(a[i]), static_cast<long long>(b[i]));
}

void attempt(const std::string &name, const Population &all) {
    const auto in_box = regions_in_box(all, false, 1);
    agree(name, "threads in a box", in_box, regions_in_box(all, false, 3));
    if (all.slopes.size() < 25) agree(name, "cells", in_box, regions_in_box(all, true, 3));
    if (all.widths[0] != 2) return;
    agree(name, "box and square", in_box, count(all, square, 1));
    const auto alone = count(all, square, 1);
    agree(name, "threads", alone, count(all, square, 3));
    agree(name, "faces", alone, faces(all, square, 3));
    agree(name, "threads on the plane", count(all, plane, 1), count(all, plane, 3));
    faces(all, plane, 3);
    agree(name, "sparse kernels", alone, count(all, square, 1, nullptr, true));
    agree(name, "sparse kernels and threads", alone, count(all, square, 3, nullptr, true));
    agree(name, "sparse kernels' faces", alone, faces(all, square, 3, true));
    agree(name, "sparse kernels on the plane", count(all, plane, 1), count(all, plane, 1, nullptr, true));
    for (const bool is_infinite : {false, true}) {
        agree(name, "breakpoints", breakpoints(all, is_infinite, 0, 1), breakpoints(all, is_infinite, 1, 3));
    }
    std::printf("%s: %lld …\n", name.c_str(), static_cast<long long>(alone[0]));
}

}  // namespace

int main() {
    const std::vector<std::vector<int64_t>> shapes = {{2, 12, 1}, {2, 6, 6, 2}, {2, 5, 5, 5, 1}, {2, 4, 4, 4, 4, 4, 4, 3}, {1, 5, 4, 1}, {3, 5, 4, 1}, {4, 4, 3, 2}, {5, 3, 2, 1}};
    for (const auto &shape : shapes) {
        std::string size;
        for (const int64_t width : shape) size += " " + std::to_string(width);
        attempt("random" + size, Population(6, shape, uniform));
        attempt("integers" + size, Population(6, shape, integer));
        Population leaky(6, shape, integer);
        for (size_t i = 0; i < leaky.slopes.size(); i++) leaky.slopes[i] = i % 3 == 0 ? 0.25 : i % 3 == 1 ? 1 : -0.5;
        attempt("slopes" + size, leaky);
        Population dead(6, shape, uniform), twins = dead, opposites = dead, no_biases = dead, lattice = dead, tiny = dead, mixed = dead, invalid = dead;
        dead.change_units([](int64_t j, auto column, auto) { if (j % 3 == 0) *column.back() = j % 2 ? -9 : 9; });
        attempt("dead" + size, dead);
        twins.change_units([](int64_t j, auto column, auto before) { if (j % 2) for (size_t i = 0; i < column.size(); i++) *column[i] = *before[i]; });
        attempt("twins" + size, twins);
        opposites.change_units([](int64_t j, auto column, auto before) { if (j % 2) for (size_t i = 0; i < column.size(); i++) *column[i] = -*before[i]; });
        attempt("opposites" + size, opposites);
        no_biases.change_units([](int64_t, auto column, auto) { *column.back() = 0; });
        attempt("no biases" + size, no_biases);
        lattice.change_units([](int64_t, auto column, auto) { for (double *value : column) *value = std::round(4 * *value) / 4; });
        attempt("lattice" + size, lattice);
        Population pooled(6, shape, integer);  // pairs of inputs with the same weights
        for (size_t l = 1; l < pooled.kernels.size(); l++)
            for (int64_t i = 0; i < 6 * shape[l]; i++)
                for (int64_t j = 0; j < shape[l + 1]; j++) pooled.kernels[l][i * shape[l + 1] + j] = pooled.kernels[l][(i - i % shape[l] % 2) * shape[l + 1] + j];
        attempt("pooled" + size, pooled);
        tiny.change_units([](int64_t, auto column, auto) { for (double *value : column) *value *= 1e-160; });
        attempt("tiny" + size, tiny);
        mixed.change_units([](int64_t j, auto column, auto) { for (double *value : column) *value *= j % 2 ? 1e200 : 1e-200; });
        attempt("mixed scales" + size, mixed);
        invalid.kernels[0][0] = NAN;
        attempt("not finite" + size, invalid);
    }
    const Population large(1, {2, 40, 40, 1}, uniform), wide(1, {2, 300, 1}, uniform), lines(1, {2, 300, 1}, integer);
    attempt("large", large);
    attempt("wide", wide);
    agree("lines", "threads", count(lines, square, 1), count(lines, square, 4));
    // callers at the same time, and one that is stopped
    std::vector<std::thread> callers;
    std::vector<std::vector<int64_t>> found(3);
    for (auto &one : found) callers.emplace_back([&] { one = count(large, square, 2); });
    for (auto &caller : callers) caller.join();
    for (const auto &one : found) agree("callers", "at once", one, count(large, square, 1));
    int stop = 1;
    count(wide, square, 3, &stop);
    count(large, square, 3, &stop);
    return failures > 99 ? 99 : failures;
}
