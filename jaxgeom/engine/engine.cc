// The engine's plain C interface: counts of populations, the cells of networks, and lines, on all cores.
#include <cstring>
#include <exception>
#include <new>

#include "engine.h"
#include "floats.h"
#include "instructions.h"
#include "lines.h"
#include "planes.h"
#include "pool.h"
#include "spaces.h"

namespace jaxgeom {
namespace {

int num_threads(int wanted) {
    if (wanted > 0) return wanted;
    static const unsigned found = std::thread::hardware_concurrency();  // which takes as long as a small network
    return found ? static_cast<int>(found) : 1;
}

// What a network costs, in weights; with less than this in all, waking threads takes longer than counting.
constexpr int64_t kWakes = 4000;
int64_t cost(const Source &source) {
    int64_t weights = 8 * source.widths[1];
    for (int l = 1; l < source.depth; l++) weights += source.widths[l] * source.widths[l + 1];
    return weights;
}

constexpr int64_t kDeep = 256;  // units; the recursion of larger networks only runs on the pool's stacks

// Counts by alone(i) for each network or, where these are few, by together(i), which is false if threads cannot share it.
template <class Alone, class Together>
void count_all(const Source &source, int64_t num, int threads, bool are_small, int64_t *counts, uint8_t *degenerate, const std::atomic<int> *stop, const Alone &alone, const Together &together) {
    const auto note = [&](int64_t i, const Counted &counted) { counts[i] = counted.cells, degenerate[i] = counted.is_degenerate; };
    if (num >= 2 * threads || threads == 1 || are_small) {
        const int64_t block = std::clamp<int64_t>(num / (8 * threads), 1, 32);
        for_all(num, threads, block, num_units(source) > kDeep, [&](int64_t i) {
            if (!(stop && *stop)) note(i, alone(i));
        });
        return;
    }
    for (int64_t i = 0; i < num; i++) {
        Counted counted{0, false};
        note(i, together(i, counted) ? counted : alone(i));
    }
}
void count_in_plane(const Source &source, const Domain &domain, int64_t num, int wanted, int64_t *counts, uint8_t *degenerate, const std::atomic<int> *stop) {
    const int threads = wanted == 0 && num < kWakes && num * cost(source) < kWakes ? 1 : num_threads(wanted);
    count_all(source, num, threads, num_units(source) < 48, counts, degenerate, stop, [&](int64_t i) { return count(source, i, domain, stop); }, [&](int64_t i, Counted &counted) { return count_together(source, i, domain, stop, threads, counted); });
}

void count_in_space(const Source &source, const Box &box, int64_t num, int wanted, int64_t *counts, uint8_t *degenerate, const std::atomic<int> *stop) {
    const int threads = wanted == 0 && num == 1 && num_units(source) < 8 ? 1 : num_threads(wanted);
    count_all(source, num, threads, num_units(source) < 12, counts, degenerate, stop, [&](int64_t i) { return count_in_box(source, i, box, stop, nullptr); }, [&](int64_t i, Counted &counted) {
        SpaceShare share;
        if (!share_among(threads, [&] { count_in_box(source, i, box, stop, &share); })) return false;
        counted = {share.is_finite ? share.cells.load() : -1, share.is_degenerate};
        return true;
    });
}

template <class T>
void copy(const std::vector<T> &from, T *to) {
    if (!from.empty()) std::memcpy(to, from.data(), sizeof(T) * from.size());
}
template <class T>
void copy(const std::vector<std::vector<T>> &pieces, T *to) {
    for (const std::vector<T> &piece : pieces) copy(piece, to), to += piece.size();
}

}  // namespace
}  // namespace jaxgeom

using namespace jaxgeom;

JAXGEOM_EXPORT int jaxgeom_count(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    int num_corners, const double *corners, int num_faces, const int *face_offsets, const int *face_corners, int is_plane,
    int threads, int64_t *counts, uint8_t *degenerate, int *stop) {
    const StandardFloats floats;
    try {
        const Source source{depth, depth, widths, kernels, biases, is_float32, slopes};
        const Domain domain{num_corners, num_faces, reinterpret_cast<const Corner *>(corners), face_offsets, face_corners, is_plane != 0};
        const auto *flag = reinterpret_cast<const std::atomic<int> *>(stop);
        count_in_plane(source, domain, num, threads, counts, degenerate, flag);
        return flag && *flag ? 2 : 0;
    } catch (const std::bad_alloc &) {
        return 1;
    }
}

JAXGEOM_EXPORT int64_t jaxgeom_count_one(const jaxgeom_one_network *network, const void *numbers) {
    const auto &[widths, slopes, corners, face_offsets, face_corners, depth, is_float32, num_corners, num_faces, is_plane] = *network;
    int64_t count = 0;
    uint8_t degenerate = 0;
    try {
        std::vector<const void *> places(2 * depth + 2);  // those of kernels, then those of biases
        const std::vector<uint8_t> types(2 * depth + 2, is_float32 != 0);
        const char *place = static_cast<const char *>(numbers);
        for (int l = 0; l <= depth; l++) {
            const int64_t size = is_float32 ? sizeof(float) : sizeof(double);
            places[l] = place, place += size * widths[l] * widths[l + 1];
            places[depth + 1 + l] = place, place += size * widths[l + 1];
        }
        if (jaxgeom_count(1, depth, widths, places.data(), places.data() + depth + 1, types.data(), slopes, num_corners, corners, num_faces, face_offsets, face_corners, is_plane,
                          0, &count, &degenerate, nullptr))
            return -4;
    } catch (const std::bad_alloc &) {
        return -4;
    }
    return count < 0 ? -2 : 2 * count + degenerate;
}

struct Batch {
    std::vector<CellArrays> members;
};

JAXGEOM_EXPORT void *jaxgeom_cells(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    int num_corners, const double *corners, int num_faces, const int *face_offsets, const int *face_corners, int is_plane,
    int threads, int *stop) {
    const StandardFloats floats;
    Batch *batch = nullptr;
    try {
        const Source source{depth, depth + 1, widths, kernels, biases, is_float32, slopes};
        const Domain domain{num_corners, num_faces, reinterpret_cast<const Corner *>(corners), face_offsets, face_corners, is_plane != 0};
        const auto *flag = reinterpret_cast<const std::atomic<int> *>(stop);
        batch = new Batch;
        batch->members.resize(num);
        const int useful = num_threads(threads);
        if (num >= 2 * useful || useful == 1 || num_units(source) < kInParts) {
            for_all(num, useful, 1, num_units(source) > kDeep, [&](int64_t i) {
                if (!(flag && *flag)) batch->members[i] = cells(source, i, domain, flag, 1);
            });
        } else {
            for (int64_t i = 0; i < num && !(flag && *flag); i++) batch->members[i] = cells(source, i, domain, flag, useful);
        }
        if (flag && *flag) throw std::bad_alloc();
        return batch;
    } catch (const std::bad_alloc &) {
        delete batch;
        return nullptr;
    }
}

JAXGEOM_EXPORT void jaxgeom_cells_sizes(void *handle, int64_t index, int64_t *sizes) {
    const CellArrays &a = static_cast<Batch *>(handle)->members[index];
    const int64_t faces = a.is_finite ? static_cast<int64_t>(a.face_offsets.size()) - 1 : 0;
    const int64_t values[] = {static_cast<int64_t>(a.points.size() / 3), static_cast<int64_t>(a.edges.size() / 2), faces, static_cast<int64_t>(a.face_vertices.size()),
                              a.is_degenerate, a.is_consistent, a.is_finite};
    std::memcpy(sizes, values, sizeof values);
}

JAXGEOM_EXPORT void jaxgeom_cells_copy(
    void *handle, int64_t index, double *points, int64_t *edges, int64_t *edge_faces, int64_t *edge_labels, int64_t *face_offsets, int64_t *face_vertices,
    int64_t *face_edges, uint8_t *patterns, double *maps, double *area, double *centroid, double *outputs) {
    const CellArrays &a = static_cast<Batch *>(handle)->members[index];
    copy(a.points, points), copy(a.edges, edges), copy(a.edge_faces, edge_faces), copy(a.edge_labels, edge_labels), copy(a.face_offsets, face_offsets);
    copy(a.face_vertices, face_vertices), copy(a.face_edges, face_edges), copy(a.patterns, patterns), copy(a.maps, maps), copy(a.area, area), copy(a.centroid, centroid), copy(a.outputs, outputs);
}

JAXGEOM_EXPORT void jaxgeom_cells_free(void *handle) { delete static_cast<Batch *>(handle); }

JAXGEOM_EXPORT int jaxgeom_count_in_box(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    const double *low, const double *high, int threads, int64_t *counts, uint8_t *degenerate, int *stop) {
    const StandardFloats floats;
    try {
        const auto *flag = reinterpret_cast<const std::atomic<int> *>(stop);
        count_in_space(Source{depth, depth, widths, kernels, biases, is_float32, slopes}, Box{low, high}, num, threads, counts, degenerate, flag);
        return flag && *flag ? 2 : 0;
    } catch (const std::bad_alloc &) {
        return 1;
    }
}

struct SpaceBatch {
    std::vector<SpaceArrays> members;
};

JAXGEOM_EXPORT void *jaxgeom_spaces(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    const double *low, const double *high, int64_t max_cells, int at_surface, int threads, int *stop) {
    const StandardFloats floats;
    SpaceBatch *batch = nullptr;
    try {
        const Source source{depth, depth + 1, widths, kernels, biases, is_float32, slopes};
        const auto *flag = reinterpret_cast<const std::atomic<int> *>(stop);
        batch = new SpaceBatch;
        batch->members.resize(num);
        const int useful = num_threads(threads);
        if (num >= 2 * useful || useful == 1 || num_units(source) < 12) {
            for_all(num, useful, 1, num_units(source) > kDeep, [&](int64_t i) {
                if (!(flag && *flag)) batch->members[i] = cells_in_box(source, i, Box{low, high}, max_cells, at_surface != 0, 1, flag);
            });
        } else {
            for (int64_t i = 0; i < num && !(flag && *flag); i++) batch->members[i] = cells_in_box(source, i, Box{low, high}, max_cells, at_surface != 0, useful, flag);
        }
        if (flag && *flag) throw std::bad_alloc();
        return batch;
    } catch (const std::bad_alloc &) {
        delete batch;
        return nullptr;
    }
}

JAXGEOM_EXPORT void jaxgeom_spaces_sizes(void *handle, int64_t index, int64_t *sizes) {
    const SpaceArrays &a = static_cast<SpaceBatch *>(handle)->members[index];
    const int64_t dim = static_cast<int64_t>(a.num_faces.size()) - 1;
    const int64_t values[] = {dim > 0 ? a.num_faces[0] : 0, static_cast<int64_t>(a.edges.size() / 2), static_cast<int64_t>(a.facet_cells.size() / 2),
                              static_cast<int64_t>(a.facet_vertices.size()), a.num_cells, static_cast<int64_t>(a.cell_vertices.size()),
                              a.is_degenerate, a.is_consistent, a.is_finite, a.is_complete};
    std::memcpy(sizes, values, sizeof values);
}

JAXGEOM_EXPORT void jaxgeom_spaces_copy(
    void *handle, int64_t index, double *vertices, int8_t *signs, uint8_t *sides, int64_t *edges, int64_t *facet_offsets, int64_t *facet_vertices,
    int64_t *facet_cells, int64_t *facet_labels, int64_t *cell_offsets, int64_t *cell_vertices, uint8_t *patterns, double *maps, double *volume,
    double *centroid, int64_t *num_faces) {
    const SpaceArrays &a = static_cast<SpaceBatch *>(handle)->members[index];
    copy(a.vertices, vertices), copy(a.signs, signs), copy(a.sides, sides), copy(a.edges, edges), copy(a.facet_offsets, facet_offsets), copy(a.facet_vertices, facet_vertices);
    copy(a.facet_cells, facet_cells), copy(a.facet_labels, facet_labels), copy(a.cell_offsets, cell_offsets), copy(a.cell_vertices, cell_vertices);
    copy(a.patterns, patterns), copy(a.maps, maps), copy(a.volume, volume), copy(a.centroid, centroid), copy(a.num_faces, num_faces);
}

JAXGEOM_EXPORT void jaxgeom_spaces_free(void *handle) { delete static_cast<SpaceBatch *>(handle); }

struct LineBatch {
    std::vector<LineArrays> parts;  // of all lines, in order
};

JAXGEOM_EXPORT void *jaxgeom_lines(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    int64_t num_lines, const double *start, const double *stop, int are_own, int is_infinite, int has_ends, int threads, int *stop_flag) {
    const StandardFloats floats;
    LineBatch *batch = nullptr;
    try {
        const Source source{depth, depth + 1, widths, kernels, biases, is_float32, slopes};
        const auto *flag = reinterpret_cast<const std::atomic<int> *>(stop_flag);
        const bool is_short = num < kWakes && num_lines < kWakes && num * num_lines * (cost(source) + widths[0] * widths[1]) < kWakes;
        const int useful = threads == 0 && is_short ? 1 : num_threads(threads);
        // each part loads its network anew
        const int64_t parts = num >= 4 * useful || useful == 1 ? 1 : std::clamp<int64_t>(num_lines / 8, 1, 4 * useful);
        batch = new LineBatch;
        batch->parts.resize(num * parts);
        for_all(num * parts, useful, 1, false, [&](int64_t i) {
            const int64_t index = i / parts, part = i % parts, offset = are_own ? index * num_lines * widths[0] : 0;
            const Lines lines{num_lines, start + offset, stop + offset, is_infinite != 0};
            trace(source, index, lines, num_lines * part / parts, num_lines * (part + 1) / parts, has_ends != 0, flag, batch->parts[i]);
        });
        if (flag && *flag) throw std::bad_alloc();
        return batch;
    } catch (const std::bad_alloc &) {
        delete batch;
        return nullptr;
    }
}

JAXGEOM_EXPORT int64_t jaxgeom_lines_most(void *handle) {
    int64_t most = 0;
    for (const LineArrays &part : static_cast<LineBatch *>(handle)->parts)
        for (const int64_t count : part.counts) most = std::max(most, count);
    return most;
}

JAXGEOM_EXPORT void jaxgeom_lines_copy(
    void *handle, int64_t capacity, int64_t num_outputs, int64_t *counts, uint8_t *degenerate, double *t, int32_t *layers, int32_t *units, double *slope,
    double *intercept, uint8_t *ends) {
    for (const LineArrays &part : static_cast<LineBatch *>(handle)->parts) {
        size_t at = 0, piece = 0;
        for (size_t i = 0; i < part.counts.size(); i++) {
            const int64_t count = part.counts[i], pieces = count + 1, found = std::min(std::max<int64_t>(count, 0), capacity);
            *counts++ = count, *degenerate++ = part.degenerate[i];
            std::copy_n(part.t.begin() + at, found, t), std::fill_n(t + found, capacity - found, INFINITY);
            std::copy_n(part.layers.begin() + at, found, layers), std::fill_n(layers + found, capacity - found, -1);
            std::copy_n(part.units.begin() + at, found, units), std::fill_n(units + found, capacity - found, -1);
            for (int64_t k = 0; k <= capacity; k++) {
                for (int64_t j = 0; j < num_outputs; j++) {
                    const double *map = k < pieces ? part.maps.data() + 2 * ((piece + k) * num_outputs + j) : nullptr;
                    *slope++ = map ? map[0] : 0, *intercept++ = map ? map[1] : 0;
                }
            }
            at += std::max<int64_t>(count, 0), piece += pieces, t += capacity, layers += capacity, units += capacity;
        }
        if (!part.ends.empty()) std::memcpy(ends, part.ends.data(), part.ends.size()), ends += part.ends.size();
    }
}

JAXGEOM_EXPORT void jaxgeom_lines_free(void *handle) { delete static_cast<LineBatch *>(handle); }

JAXGEOM_EXPORT int jaxgeom_instructions() { return jaxgeom::instructions(); }
