/* Trains populations of small MLPs as fast as this processor can: what a training library is measured against.

   As many networks as a vector has lanes, a group, are trained at once: 16 with AVX-512, 8 otherwise. A thread takes a group, keeps all that belongs to it in its
   first- and second-level cache, and takes all steps before the next group. A step goes through its batch in blocks of
   BLOCK points; all matrix products of a block, forward and backward, are one function, `product`, which holds tiles
   of the result in registers. All sizes are constants to the compiler:

     LAYERS      X(0, in, out) X(1, in, out) ..., from input to output; LAYERS_BACK: the same from output to input
     POINTS      points of the data set; BATCH: points a step; BLOCK: points at a time
     HAS_ROWS    1: minibatches, other ones for every network; 0: every step takes all points
     LOSS        SOFTMAX, BINARY or SQUARED
     OPTIMIZER   SGD, ADAM or ADAMW

   A layer's parameters are (out, in + 1) vectors, the bias last; its input is (in + 1, BLOCK) vectors, the last row
   ones. Derivatives overwrite the activations they belong to. `_limit.py` compiles and calls this. With AVX-512 or AVX
   a vector is a register; without, the program is as right but far from a limit. */

#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
#define LANES 16
#define MAX_TILE 20 /* of the 32 registers */
#else
#define LANES 8
#define MAX_TILE 12 /* of the 16 registers */
#endif
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

const int num_lanes = LANES;

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

enum { SOFTMAX, BINARY, SQUARED };
enum { SGD, ADAM, ADAMW };

/* Offsets of every layer's parameters (W0, W1, ...) and input (H0, H1, ...), in vectors. */
#define X(layer, in, out) W##layer, W##layer##_LAST = W##layer + ((in) + 1) * (out) - 1,
enum { LAYERS NUM_PARAMS };
#undef X
#define X(layer, in, out) H##layer, H##layer##_LAST = H##layer + ((in) + 1) * BLOCK - 1,
enum { LAYERS OUTPUT };
#undef X
#define X(layer, in, out) IN##layer = in, OUT##layer = out,
enum { LAYERS };
#undef X
#define X(layer, in, out) +1
enum { NUM_LAYERS = LAYERS };
#undef X
#define X(layer, in, out) *0 + (out)
enum { NUM_OUT = 0 LAYERS };
#undef X
enum { COLUMNS = (IN0 + 4) / 4 * 4 };

INLINE vec all(float value) { return value - (vec){}; }
INLINE vec pick(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }
INLINE vec keep(ivec mask, vec yes) { return (vec)(mask & (ivec)yes); }

#ifdef __AVX512F__

INLINE vec greater(vec x, vec y) { return _mm512_max_ps(x, y); } /* y if one is NaN */

/* 1 / x, and the square root of x >= 0, for finite x: 14 bits and a step of Newton's, right to the last bit or two. */
INLINE vec inverse(vec x) {
    vec guess = _mm512_rcp14_ps(x);
    return guess + guess * (1.0f - x * guess);
}

INLINE vec root(vec x) {
    x = greater(all(FLT_MIN), x);
    vec guess = _mm512_rsqrt14_ps(x), result = x * guess;
    return result + (0.5f * guess) * (x - result * result);
}

/* Four columns of LANES rows of a table with COLUMNS columns; several times faster than the processor's own gathers. */
INLINE void gather(const float *table, const int32_t *rows, vec *column) {
    __m512 part[4];
    UNROLL for (int j = 0; j < 4; j++) {
#define ROW_OF(lane) _mm_loadu_ps(table + (size_t)rows[lane] * COLUMNS)
        part[j] = _mm512_castps128_ps512(ROW_OF(j));
        part[j] = _mm512_insertf32x4(part[j], ROW_OF(j + 4), 1);
        part[j] = _mm512_insertf32x4(part[j], ROW_OF(j + 8), 2);
        part[j] = _mm512_insertf32x4(part[j], ROW_OF(j + 12), 3);
#undef ROW_OF
    }
    __m512d low[2], high[2];
    UNROLL for (int j = 0; j < 2; j++) {
        low[j] = (__m512d)_mm512_unpacklo_ps(part[2 * j], part[2 * j + 1]);
        high[j] = (__m512d)_mm512_unpackhi_ps(part[2 * j], part[2 * j + 1]);
    }
    column[0] = (vec)_mm512_unpacklo_pd(low[0], low[1]);
    column[1] = (vec)_mm512_unpackhi_pd(low[0], low[1]);
    column[2] = (vec)_mm512_unpacklo_pd(high[0], high[1]);
    column[3] = (vec)_mm512_unpackhi_pd(high[0], high[1]);
}

/* For this thread, as XLA does on CPUs. */
INLINE void flush_denormals(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }

#elif defined(__AVX__)

INLINE vec greater(vec x, vec y) { return _mm256_max_ps(x, y); } /* y if one is NaN */
INLINE vec inverse(vec x) { return 1.0f / x; }
INLINE vec root(vec x) { return _mm256_sqrt_ps(x); }

/* Four columns of LANES rows of a table with COLUMNS columns. */
INLINE void gather(const float *table, const int32_t *rows, vec *column) {
    __m256 part[4], pair[4];
    UNROLL for (int j = 0; j < 4; j++) {
#define ROW_OF(lane) _mm_loadu_ps(table + (size_t)rows[lane] * COLUMNS)
        part[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(ROW_OF(j)), ROW_OF(j + 4), 1);
#undef ROW_OF
    }
    UNROLL for (int j = 0; j < 2; j++) {
        pair[j] = _mm256_unpacklo_ps(part[2 * j], part[2 * j + 1]);
        pair[j + 2] = _mm256_unpackhi_ps(part[2 * j], part[2 * j + 1]);
    }
    UNROLL for (int j = 0; j < 2; j++) {
        column[2 * j] = _mm256_shuffle_ps(pair[2 * j], pair[2 * j + 1], 0x44);
        column[2 * j + 1] = _mm256_shuffle_ps(pair[2 * j], pair[2 * j + 1], 0xee);
    }
}

/* For this thread, as XLA does on CPUs. */
INLINE void flush_denormals(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }

#else

INLINE vec greater(vec x, vec y) { return pick(x > y, x, y); }
INLINE vec inverse(vec x) { return 1.0f / x; }
INLINE void flush_denormals(void) {}

INLINE void gather(const float *table, const int32_t *rows, vec *column) {
    for (int lane = 0; lane < LANES; lane++)
        for (int j = 0; j < 4; j++) memcpy((char *)&column[j] + 4 * lane, table + (size_t)rows[lane] * COLUMNS + j, 4);
}

INLINE vec root(vec x) {
    for (int lane = 0; lane < LANES; lane++) x[lane] = sqrtf(x[lane]);
    return x;
}

#endif

/* exp(x) for x <= 0: exp(r) 2^n with |r| <= log(2) / 2. */
INLINE vec exponential(vec x) {
    x = greater(all(-87.0f), x);
    vec shifted = x * 1.44269504f + 12582912.0f; /* 1.5 2^23: the sum's last bits are n */
    vec n = shifted - 12582912.0f;
    vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

/* log(1 + x) for x >= 0: log(1 + f) + n log(2) with 1 + f between sqrt(1/2) and sqrt(2). */
INLINE vec log_plus_one(vec x) {
    vec sum = 1.0f + x, lost = x - (sum - 1.0f);
    ivec bits = (ivec)sum - 0x3f3504f3;
    vec n = __builtin_convertvector(bits >> 23, vec);
    vec f = (vec)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
    vec p = all(7.0376836292e-2f);
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    vec square = f * f;
    vec low = p * f * square - n * 2.12194440e-4f - 0.5f * square;
    return f + (low + lost * inverse(sum)) + n * 0.693359375f;
}

enum { FORWARD, FORWARD_RELU, BACK, GRADIENT, DESCENT };

/* c[i, j] = sum over k of a[i, k] b[j, k] for a tile that fits into registers. a and b come with their strides along
   both axes; b is the same for all lanes (float) or not (vec).
   FORWARD adds a[i, count_k], the bias; BACK gives 0 where c was not positive; GRADIENT adds to c if the step has other
   blocks; DESCENT takes `rate` times the sum from c. */
INLINE void tile(const int kind, const int count_i, const int count_j, const int count_k, const vec *a, const int a_i,
                 const int a_k, const void *b, const int b_j, const int b_k, const bool b_is_shared, vec *c,
                 const int c_i, const float rate) {
    vec sum[MAX_TILE];
    UNROLL for (int i = 0; i < count_i; i++) UNROLL for (int j = 0; j < count_j; j++) {
        const bool is_forward = kind == FORWARD || kind == FORWARD_RELU, is_added = kind == GRADIENT && BATCH > BLOCK;
        sum[i * count_j + j] = is_forward ? a[i * a_i + count_k * a_k] : is_added ? c[i * c_i + j] : (vec){};
    }
    for (int k = 0; k < count_k; k++) {
        UNROLL for (int i = 0; i < count_i; i++) UNROLL for (int j = 0; j < count_j; j++) {
            vec value = b_is_shared ? all(((const float *)b)[j * b_j + k * b_k]) : ((const vec *)b)[j * b_j + k * b_k];
            sum[i * count_j + j] += a[i * a_i + k * a_k] * value;
        }
    }
    UNROLL for (int i = 0; i < count_i; i++) UNROLL for (int j = 0; j < count_j; j++) {
        vec value = sum[i * count_j + j];
        if (kind == FORWARD_RELU) value = greater((vec){}, value);
        if (kind == BACK) value = keep(c[i * c_i + j] > 0.0f, value);
        if (kind == DESCENT) value = c[i * c_i + j] - rate * value;
        c[i * c_i + j] = value;
    }
}

/* The same for any size, by tiles of nearly equal sizes. */
INLINE void product(const int kind, const int count_i, const int count_j, const int count_k, const vec *a,
                    const int a_i, const int a_k, const void *b, const int b_j, const int b_k, const bool b_is_shared,
                    vec *c, const int c_i, const float rate) {
    const int most_j = count_i < 5 ? MAX_TILE / count_i : 5;
    const int step_j = (count_j + (count_j + most_j - 1) / most_j - 1) / ((count_j + most_j - 1) / most_j);
    const int most_i = MAX_TILE / step_j;
    const int step_i = (count_i + (count_i + most_i - 1) / most_i - 1) / ((count_i + most_i - 1) / most_i);
    const int rest_i = count_i % step_i, rest_j = count_j % step_j;
    const int b_size = b_is_shared ? sizeof(float) : sizeof(vec);
#define TILE(i, j, size_i, size_j)                                                                             \
    tile(kind, size_i, size_j, count_k, a + (i) * a_i, a_i, a_k, (const char *)b + (j) * b_j * b_size, b_j, b_k, \
         b_is_shared, c + (i) * c_i + (j), c_i, rate)
    for (int j = 0; j + step_j <= count_j; j += step_j) {
        for (int i = 0; i + step_i <= count_i; i += step_i) TILE(i, j, step_i, step_j);
        if (rest_i) TILE(count_i - rest_i, j, rest_i, step_j);
    }
    if (rest_j) {
        for (int i = 0; i + step_i <= count_i; i += step_i) TILE(i, count_j - rest_j, step_i, rest_j);
        if (rest_i) TILE(count_i - rest_i, count_j - rest_j, rest_i, rest_j);
    }
#undef TILE
}

/* Turns the outputs z (NUM_OUT, BLOCK) of a point into the derivatives of its loss, divided by the batch. The loss is
   the result plus a logarithm log(1 + s); these are summed over points as the logarithm of 1 + product. */
INLINE vec loss_of_point(vec *z, vec target, vec *product) {
    const float scale = 1.0f / BATCH;
    if (LOSS == SQUARED) {
        vec error = z[0] - target;
        z[0] = error * (2.0f * scale);
        return error * error;
    }
    if (LOSS == BINARY) {
        vec is_one = __builtin_convertvector((ivec)target, vec);
        vec positive = greater((vec){}, z[0]);
        vec small = exponential((vec)((ivec)z[0] | INT32_MIN)); /* exp(-|z|) */
        vec loss = positive - z[0] * is_one;
        *product += small * (1.0f + *product);
        z[0] = (pick(z[0] > 0.0f, all(1.0f), small) * inverse(1.0f + small) - is_one) * scale;
        return loss;
    }
    vec top = z[0], sum = {}, at_label = {}, power[NUM_OUT];
    UNROLL for (int j = 1; j < NUM_OUT; j++) top = greater(top, z[j * BLOCK]);
    UNROLL for (int j = 0; j < NUM_OUT; j++) {
        vec logit = z[j * BLOCK] - top;
        sum += power[j] = exponential(logit);
        at_label += keep((ivec)target == j, logit);
    }
    *product += (sum - 1.0f) * (1.0f + *product);
    vec factor = scale * inverse(sum);
    UNROLL for (int j = 0; j < NUM_OUT; j++) z[j * BLOCK] = power[j] * factor - keep((ivec)target == j, all(scale));
    return -at_label;
}

/* A group in training. */

typedef struct {
    vec w[NUM_PARAMS], gradient[NUM_PARAMS], mean[NUM_PARAMS], square[NUM_PARAMS];
    vec h[OUTPUT + NUM_OUT * BLOCK]; /* inputs of all layers, and outputs */
    float rate, decay, scale_mean, scale_square;
} Group;

INLINE void update(Group *g, const int begin, const int end) {
    for (int i = begin; i < end; i++) {
        vec gradient = g->gradient[i];
        if (BATCH > BLOCK) g->gradient[i] = (vec){};
        if (OPTIMIZER != SGD) {
            vec mean = g->mean[i] = 0.9f * g->mean[i] + 0.1f * gradient;
            vec square = g->square[i] = 0.999f * g->square[i] + 0.001f * (gradient * gradient);
            gradient = mean * g->scale_mean * inverse(root(square * g->scale_square) + 1e-8f);
        }
        if (OPTIMIZER == ADAMW) gradient += g->decay * g->w[i];
        g->w[i] -= g->rate * gradient;
    }
}

/* Adds a block's gradients, and returns the sum of its losses. Updates the parameters if there are no other blocks. */
INLINE vec block(Group *g, const int size, const float *x, const float *y, const int32_t *rows) {
    vec target[BLOCK], loss = {}, product_of_sums = {};
    vec *h = g->h;
    for (int p = 0; p < size; p++) {
        if (HAS_ROWS) {
            vec column[COLUMNS];
            UNROLL for (int i = 0; i < COLUMNS; i += 4) gather(x + i, rows + p * LANES, column + i);
            UNROLL for (int i = 0; i < IN0; i++) h[i * BLOCK + p] = column[i];
            target[p] = column[IN0];
        } else {
            target[p] = all(y[p]);
        }
    }
#define IS_SHARED(layer) (!HAS_ROWS && layer == 0)
#define INPUT(layer) (IS_SHARED(layer) ? (const void *)x : (const void *)(h + H##layer))
#define ROW(layer) (IS_SHARED(layer) ? POINTS : BLOCK)
#define X(layer, in, out)                                                                                          \
    product(layer == NUM_LAYERS - 1 ? FORWARD : FORWARD_RELU, out, size, in, g->w + W##layer, in + 1, 1,           \
            INPUT(layer), 1, ROW(layer), IS_SHARED(layer), h + H##layer##_LAST + 1, BLOCK, 0);
    LAYERS
#undef X
    for (int p = 0; p < size; p++) loss += loss_of_point(h + OUTPUT + p, target[p], &product_of_sums);
    const bool is_only = BATCH <= BLOCK, is_descent = is_only && OPTIMIZER == SGD;
#define X(layer, in, out)                                                                                          \
    vec *delta##layer = h + H##layer##_LAST + 1;                                                                   \
    if (layer == 0 && is_descent)                                                                                  \
        product(DESCENT, out, in + 1, size, delta##layer, BLOCK, 1, INPUT(layer), ROW(layer), 1, IS_SHARED(layer), \
                g->w + W##layer, in + 1, g->rate);                                                                 \
    else                                                                                                           \
        product(GRADIENT, out, in + 1, size, delta##layer, BLOCK, 1, INPUT(layer), ROW(layer), 1,                  \
                IS_SHARED(layer), g->gradient + W##layer, in + 1, 0);                                              \
    if (layer > 0)                                                                                                 \
        product(BACK, in, size, out, g->w + W##layer, 1, in + 1, delta##layer, 1, BLOCK, false, h + H##layer,      \
                BLOCK, 0);                                                                                         \
    if (is_only && !(layer == 0 && is_descent)) update(g, W##layer, W##layer##_LAST + 1);
    LAYERS_BACK
#undef X
    return LOSS == SQUARED ? loss : loss + log_plus_one(product_of_sums);
}

typedef struct {
    int num_groups, num_steps;
    float rate, decay;
    const float *x; /* (in + 1, POINTS), the last row ones; with rows (POINTS, COLUMNS), y behind the inputs */
    const float *y; /* (POINTS); labels are the bits of int32 */
    const int32_t *rows; /* (group, step, BATCH, LANES) */
    float *params, *losses; /* (group, NUM_PARAMS, LANES), (group, step, LANES) */
    int next;
} Job;

static void train_group(const Job *job, const int group) {
    Group g = {.rate = job->rate, .decay = job->decay};
    float *params = job->params + (size_t)group * NUM_PARAMS * LANES;
    memcpy(g.w, params, sizeof g.w);
    for (size_t i = 0; i < sizeof g.h / sizeof g.h[0]; i++) g.h[i] = all(1.0f);
    double power1 = 1, power2 = 1;
    for (int step = 0; step < job->num_steps; step++) {
        const size_t number = (size_t)group * job->num_steps + step;
        const int32_t *rows = HAS_ROWS ? job->rows + number * BATCH * LANES : NULL;
        power1 *= 0.9;
        power2 *= 0.999;
        g.scale_mean = 1 / (1 - power1);
        g.scale_square = 1 / (1 - power2);
        vec loss = {};
        for (int p = 0; p < BATCH; p += BLOCK) {
            const float *x = HAS_ROWS ? job->x : job->x + p, *y = job->y + p;
            if (BATCH % BLOCK == 0 || p + BLOCK <= BATCH) loss += block(&g, BLOCK, x, y, rows + p * LANES);
            else loss += block(&g, BATCH % BLOCK, x, y, rows + p * LANES);
        }
        loss *= 1.0f / BATCH;
        memcpy(job->losses + number * LANES, &loss, sizeof loss);
        if (BATCH > BLOCK) update(&g, 0, NUM_PARAMS);
    }
    memcpy(params, g.w, sizeof g.w);
}

static void *take_groups(void *argument) {
    Job *job = argument;
    int group;
    flush_denormals();
    while ((group = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->num_groups) train_group(job, group);
    return NULL;
}

static double run(void *(*work)(void *), void *argument, int num_threads) {
    struct timespec begin, end;
    pthread_t threads[num_threads];
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < num_threads; i++)
        if (pthread_create(&threads[i], NULL, work, argument)) abort();
    for (int i = 0; i < num_threads; i++) pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - begin.tv_sec) + 1e-9 * (end.tv_nsec - begin.tv_nsec);
}

/* Trains all groups in place, and returns the seconds it took. */
double train(int num_groups, int num_steps, float rate, float decay, const float *x, const float *y,
             const int32_t *rows, float *params, float *losses, int num_threads) {
    Job job = {num_groups, num_steps, rate, decay, x, y, rows, params, losses, 0};
    return run(take_groups, &job, num_threads);
}

/* Does nothing but fused multiply-adds, MAX_TILE independent ones after another. */
static void *multiply_add(void *argument) {
    vec sum[MAX_TILE] = {}, factor = all(0.5f);
    for (long i = 0; i < *(long *)argument; i++) UNROLL for (int j = 0; j < MAX_TILE; j++) {
        sum[j] = sum[j] * factor + factor;
#if defined(__AVX__)
        __asm__ volatile("" : "+v"(sum[j]));
#endif
    }
    return NULL;
}

/* Most GFLOP/s in float32 with num_threads, a multiply-add being two. */
double peak_gflops(int num_threads) {
    long count = 5000000;
    return 1e-9 * num_threads * count * MAX_TILE * LANES * 2 / run(multiply_add, &count, num_threads);
}
