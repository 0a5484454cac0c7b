// The engine's plain C interface, as jaxgeom/engine/library.py and handlers.cc call it.
//
// A population is `num` networks with `depth` hidden layers and an affine output. widths: inputs, then the units of each layer,
// the outputs last. kernels and biases: for each layer an array (num, in, out) and (num, out), float32 where is_float32 says so (kernel 0, bias 0, kernel 1,
// …) and else float64. slopes: for all hidden units, one layer after the other, what a value that is not positive is
// multiplied by. A domain is homogeneous corners (x, y, w), w = 1 or at infinity 0, and the cycles of its faces,
// counter-clockwise; with corners at infinity, is_plane is 1 and corner 0 is the finite one in the middle.
// threads: 0 for all cores. stop: null, or a number that ends the call early once it is not 0.
#pragma once

#include <cstdint>
#include <vector>

#if defined(_WIN32)
#define JAXGEOM_EXPORT extern "C" __declspec(dllexport)
#else
#define JAXGEOM_EXPORT extern "C" __attribute__((visibility("default")))
#endif

// Counts, -1 for networks that are not finite, and whether an exact zero was met. 0: done; 1: out of memory; 2: stopped.
JAXGEOM_EXPORT int jaxgeom_count(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    int num_corners, const double *corners, int num_faces, const int *face_offsets, const int *face_corners, int is_plane,
    int threads, int64_t *counts, uint8_t *degenerate, int *stop);

// A network that ends in ReLU layers and an affine output, but for its numbers, and a domain.
struct jaxgeom_one_network {
    const int64_t *widths;
    const double *slopes, *corners;
    const int *face_offsets, *face_corners;
    int depth, is_float32, num_corners, num_faces, is_plane;
};
// The count of such a network, its numbers all of one type and one after the other: kernel 0, bias 0, kernel 1, … Twice the
// count, and one more if an exact zero was met; -2 if the network is not finite, -4 without memory.
JAXGEOM_EXPORT int64_t jaxgeom_count_one(const jaxgeom_one_network *network, const void *numbers);

// The complexes of all networks, nine numbers of each: vertices, edges, faces, corners of faces; whether degenerate,
// consistent, finite; where its arrays are, and their bytes. They stand in the order of complex_arrays.h,
// in memory that the caller gives back by jaxgeom_free, 0 for networks that are not finite. 0: done; 1: out of memory; 2:
// stopped, both without any arrays.
JAXGEOM_EXPORT int jaxgeom_cells(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    int num_corners, const double *corners, int num_faces, const int *face_offsets, const int *face_corners, int is_plane,
    int threads, int64_t *found, int *stop);
JAXGEOM_EXPORT void jaxgeom_free(void *memory);

// Counts on a box with the given ends in each coordinate, for any number of inputs; the rest as for jaxgeom_count.
JAXGEOM_EXPORT int jaxgeom_count_in_box(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    const double *low, const double *high, int threads, int64_t *counts, uint8_t *degenerate, int *stop);

// The complexes of all networks on a box, each given up beyond max_cells regions. at_surface: of all regions only those at
// which the first unit of the last hidden layer is zero somewhere. Null: out of memory, or stopped.
JAXGEOM_EXPORT void *jaxgeom_spaces(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    const double *low, const double *high, int64_t max_cells, int at_surface, int threads, int *stop);
// Of one of them: vertices, edges, facets, corners of facets, cells, corners of cells; then whether degenerate,
// consistent, finite, complete.
JAXGEOM_EXPORT void jaxgeom_spaces_sizes(void *handle, int64_t index, int64_t *sizes);
JAXGEOM_EXPORT void jaxgeom_spaces_copy(
    void *handle, int64_t index, double *vertices, int8_t *signs, uint8_t *sides, int64_t *edges, int64_t *facet_offsets, int64_t *facet_vertices,
    int64_t *facet_cells, int64_t *facet_labels, int64_t *cell_offsets, int64_t *cell_vertices, uint8_t *patterns, double *maps, double *volume,
    double *centroid, int64_t *num_faces);
JAXGEOM_EXPORT void jaxgeom_spaces_free(void *handle);

// Breakpoints along num_lines lines, the same for all networks, or with are_own (num, num_lines, inputs) for each its own.
// has_ends: with the patterns at both ends. Null: out of memory, or stopped.
JAXGEOM_EXPORT void *jaxgeom_lines(
    int64_t num, int depth, const int64_t *widths, const void *const *kernels, const void *const *biases, const uint8_t *is_float32, const double *slopes,
    int64_t num_lines, const double *start, const double *stop, int are_own, int is_infinite, int has_ends, int threads, int *stop_flag);
// The most breakpoints on one of them.
JAXGEOM_EXPORT int64_t jaxgeom_lines_most(void *handle);
// In rows with room for so many breakpoints.
JAXGEOM_EXPORT void jaxgeom_lines_copy(
    void *handle, int64_t capacity, int64_t num_outputs, int64_t *counts, uint8_t *degenerate, double *t, int32_t *layers, int32_t *units, double *slope,
    double *intercept, uint8_t *ends);
JAXGEOM_EXPORT void jaxgeom_lines_free(void *handle);

// Which of the libraries this processor runs, instructions.h.
JAXGEOM_EXPORT int jaxgeom_instructions();

// The question of interrupts.h, for counts in programs of JAX: handlers.cc.
JAXGEOM_EXPORT void jaxgeom_asks(int (*question)());
