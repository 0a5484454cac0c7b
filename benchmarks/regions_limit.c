/* Linear regions of ReLU networks with two inputs on a convex polygon, cell by cell: what plain C reaches.

   A cell is a convex polygon on which all earlier layers are affine. A unit of the present layer cuts it if it has both
   signs at the cell's vertices; each half keeps those of the units that still cut it. What the next layer sees is an
   affine map to which a unit adds its part as soon as it is known to be active, so that cells share the work of the
   cells that they are parts of. In float64, without error bounds: a value at a vertex counts as zero if it is below
   TOLERANCE times the size of its coefficients. The last layer is cut as well (careful), or counted as 1 + chords +
   pairs of chords that cross, which takes three lines through one point for three points. */

#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define TOLERANCE 1e-12

typedef struct {
    int depth;
    const int *widths;             /* inputs, hidden units of each layer */
    const double *const *kernels;  /* of each hidden layer, (in, out) */
    const double *const *biases;
    double size_x, size_y; /* of the polygon's coordinates */
    int careful;
} Network;

/* Affine functions a x + b y + c, one of each unit. */
typedef struct {
    double *restrict a, *restrict b, *restrict c;
} Rows;

static int64_t cut(const Network *net, int layer, int num, const double *x, const double *y, int units, Rows rows,
                   const int *unit, Rows next);

/* Unit `i` with coefficients a, b, c is active: its part of the next layer. */
static inline void add(const Network *net, int layer, int i, double a, double b, double c, Rows next) {
    const int width = net->widths[layer + 2];
    const double *restrict weights = net->kernels[layer + 1] + (size_t)i * width;
    for (int j = 0; j < width; j++) {
        next.a[j] += weights[j] * a;
        next.b[j] += weights[j] * b;
        next.c[j] += weights[j] * c;
    }
}

/* A cell that a layer has not cut yet; the rows of its units are known. */
static int64_t enter(const Network *net, int layer, int num, const double *x, const double *y, Rows rows) {
    const int width = net->widths[layer + 1], last = layer == net->depth - 1;
    const int next_width = last ? 0 : net->widths[layer + 2];
    double memory[3 * next_width + 1];
    Rows next = {memory, memory + next_width, memory + 2 * next_width};
    int unit[width];
    for (int i = 0; i < width; i++) unit[i] = i;
    if (!last) {
        memset(memory, 0, sizeof(double) * 2 * next_width);
        memcpy(next.c, net->biases[layer + 1], sizeof(double) * next_width);
    }
    return cut(net, layer, num, x, y, width, rows, unit, next);
}

/* Chords of all lines, and pairs of chords whose ends alternate around the polygon. */
static int64_t count_pairs(int num, const double *x, const double *y, int units, Rows rows, const double *tolerance) {
    double start[units], stop[units];
    for (int i = 0; i < units; i++) {
        double ends[2] = {0, 0};
        int found = 0;
        double before = rows.a[i] * x[num - 1] + rows.b[i] * y[num - 1] + rows.c[i];
        for (int v = 0; v < num; v++) {
            const double z = rows.a[i] * x[v] + rows.b[i] * y[v] + rows.c[i];
            const int is_zero = fabs(z) <= tolerance[i];
            if (found < 2 && is_zero)
                ends[found++] = v;
            else if (found < 2 && before * z < 0 && fabs(before) > tolerance[i])
                ends[found++] = v - 1 + before / (before - z);
            before = z;
        }
        start[i] = fmin(ends[0], ends[1]);
        stop[i] = fmax(ends[0], ends[1]);
    }
    int64_t pairs = 0;
    for (int i = 1; i < units; i++) {
        const double a = start[i], c = stop[i];
        int inside = 0;
        for (int j = 0; j < i; j++)
            inside += (a < start[j]) & (start[j] < c) & (c < stop[j]) | (start[j] < a) & (a < stop[j]) & (stop[j] < c);
        pairs += inside;
    }
    return pairs;
}

/* The part of a polygon where sign * z > 0; z is 0 at vertices on the line. Returns the number of vertices. */
static int half(int num, const double *x, const double *y, const double *z, double sign, double *to_x, double *to_y) {
    int kept = 0;
    for (int v = 0; v < num; v++) {
        const int w = v + 1 < num ? v + 1 : 0;
        if (sign * z[v] >= 0) to_x[kept] = x[v], to_y[kept++] = y[v];
        if (z[v] * z[w] < 0) {
            const double t = z[v] / (z[v] - z[w]);
            to_x[kept] = x[v] + t * (x[w] - x[v]);
            to_y[kept++] = y[v] + t * (y[w] - y[v]);
        }
    }
    return kept;
}

/* Cells of a layer and of all later ones, in a cell with `num` vertices that so many units of the layer may cut. */
static int64_t cut(const Network *net, int layer, int num, const double *x, const double *y, int units, Rows rows,
                   const int *unit, Rows next) {
    const int last = layer == net->depth - 1, next_width = last ? 0 : net->widths[layer + 2];
    double memory[8 * units + 1];
    double *restrict most = memory, *restrict least = memory + units, *restrict tolerance = memory + 2 * units;
    for (int i = 0; i < units; i++) {
        most[i] = -INFINITY;
        least[i] = INFINITY;
        tolerance[i] =
            TOLERANCE * (fabs(rows.a[i]) * net->size_x + fabs(rows.b[i]) * net->size_y + fabs(rows.c[i]));
    }
    for (int v = 0; v < num; v++) {
        const double px = x[v], py = y[v];
        for (int i = 0; i < units; i++) {
            const double z = rows.a[i] * px + rows.b[i] * py + rows.c[i];
            most[i] = z > most[i] ? z : most[i];
            least[i] = z < least[i] ? z : least[i];
        }
    }
    int kept = 0, kept_unit[units + 1];
    Rows left = {memory + 3 * units, memory + 4 * units, memory + 5 * units};
    double *kept_tolerance = memory + 6 * units;
    for (int i = 0; i < units; i++) {
        if (most[i] <= tolerance[i]) continue;
        if (least[i] < -tolerance[i]) {
            left.a[kept] = rows.a[i], left.b[kept] = rows.b[i], left.c[kept] = rows.c[i];
            kept_tolerance[kept] = tolerance[i];
            kept_unit[kept++] = unit[i];
        } else if (!last) {
            add(net, layer, unit[i], rows.a[i], rows.b[i], rows.c[i], next);
        }
    }
    if (last && !net->careful) return 1 + kept + count_pairs(num, x, y, kept, left, kept_tolerance);
    if (!kept) return last ? 1 : enter(net, layer + 1, num, x, y, next);

    double z[num], part_x[num + 2], part_y[num + 2];
    for (int v = 0; v < num; v++) {
        z[v] = left.a[0] * x[v] + left.b[0] * y[v] + left.c[0];
        if (fabs(z[v]) <= kept_tolerance[0]) z[v] = 0;
    }
    const Rows others = {left.a + 1, left.b + 1, left.c + 1};
    double copied[3 * next_width + 1];
    const Rows copy = {copied, copied + next_width, copied + 2 * next_width};
    for (int j = 0; j < next_width; j++) copy.a[j] = next.a[j], copy.b[j] = next.b[j], copy.c[j] = next.c[j];
    int part = half(num, x, y, z, -1, part_x, part_y);
    int64_t count = cut(net, layer, part, part_x, part_y, kept - 1, others, kept_unit + 1, copy);
    if (!last) add(net, layer, kept_unit[0], left.a[0], left.b[0], left.c[0], next);
    part = half(num, x, y, z, 1, part_x, part_y);
    return count + cut(net, layer, part, part_x, part_y, kept - 1, others, kept_unit + 1, next);
}

typedef struct {
    int num, depth, num_vertices, careful;
    const int *widths;
    const double *weights; /* of each network: kernel (in, out) and bias of one hidden layer after the other */
    const double *vertices;
    int64_t *counts;
    int following;
} Work;

static void *run(void *argument) {
    Work *work = argument;
    const int *widths = work->widths, depth = work->depth;
    size_t stride = 0;
    for (int l = 0; l < depth; l++) stride += (size_t)(widths[l] + 1) * widths[l + 1];
    double x[work->num_vertices], y[work->num_vertices], size_x = 0, size_y = 0;
    for (int v = 0; v < work->num_vertices; v++) {
        x[v] = work->vertices[2 * v];
        y[v] = work->vertices[2 * v + 1];
        size_x = fmax(size_x, fabs(x[v]));
        size_y = fmax(size_y, fabs(y[v]));
    }
    for (;;) {
        const int member = __atomic_fetch_add(&work->following, 1, __ATOMIC_RELAXED);
        if (member >= work->num) return NULL;
        const double *kernels[depth], *biases[depth], *at = work->weights + member * stride;
        for (int l = 0; l < depth; l++) {
            kernels[l] = at;
            biases[l] = at + (size_t)widths[l] * widths[l + 1];
            at = biases[l] + widths[l + 1];
        }
        const Network net = {depth, widths, kernels, biases, size_x, size_y, work->careful};
        double rows[3 * widths[1]];
        memcpy(rows, kernels[0], sizeof(double) * 2 * widths[1]);
        memcpy(rows + 2 * widths[1], biases[0], sizeof(double) * widths[1]);
        const Rows first = {rows, rows + widths[1], rows + 2 * widths[1]};
        work->counts[member] = enter(&net, 0, work->num_vertices, x, y, first);
    }
}

/* Counts of `num` networks; returns the seconds that took. */
double count_regions(int num, int depth, const int *widths, const double *weights, int num_vertices,
                     const double *vertices, int careful, int threads, int64_t *counts) {
    struct timespec start, stop;
    Work work = {num, depth, num_vertices, careful, widths, weights, vertices, counts, 0};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)1 << 29); /* of address space: the recursion is as deep as units */
    pthread_t thread[threads];
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int t = 0; t < threads; t++) pthread_create(&thread[t], &attributes, run, &work);
    for (int t = 0; t < threads; t++) pthread_join(thread[t], NULL);
    clock_gettime(CLOCK_MONOTONIC, &stop);
    pthread_attr_destroy(&attributes);
    return stop.tv_sec - start.tv_sec + 1e-9 * (stop.tv_nsec - start.tv_nsec);
}
