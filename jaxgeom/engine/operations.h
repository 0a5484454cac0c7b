// The operations of the vector machine (machine.h): on vectors that are at hand, and as loops over strips of them.
#pragma once

#include "functions.h"

namespace jaxgeom::training {

constexpr int NUMBERS = 6;  // of an instruction

#define JAXGEOM_UNARY(X)                                                                                                                    \
    X(NEG, -x) X(ABS, magnitude(x)) X(SQRT, root(x)) X(EXP, exponential(x)) X(LOG, logarithm(x)) X(LOG1P, logarithm_of_one_plus(x))         \
    X(EXPM1, exponential_minus_one(x)) X(TANH, hyperbolic_tangent(x)) X(LOGISTIC, logistic(x)) X(COPY, x) X(SIGN, sign(x))                   \
    X(NOT, (vec)~(ivec)x) X(CVT, to_float((ivec)x)) X(CVT_I, (vec)to_int(x)) X(FINITE, (vec)((x - x) == real(0))) X(SQUARE, x * x)          \
    X(SIN, each<std::sin>(x)) X(COS, each<std::cos>(x)) X(ERF, each<std::erf>(x)) X(FLOOR, each<std::floor>(x)) \
    X(SINGLE, to_single(x))
#define JAXGEOM_BINARY(X)                                                                                                                   \
    X(ADD, x + y) X(SUB, x - y) X(MUL, x * y) X(DIV, x / y) X(MAX, maximum(x, y)) X(MIN, minimum(x, y)) X(POW, power(x, y))                  \
    X(EQ, (vec)(x == y)) X(NE, (vec)(x != y)) X(LT, (vec)(x < y)) X(LE, (vec)(x <= y)) X(GT, (vec)(x > y)) X(GE, (vec)(x >= y))             \
    X(AND, (vec)((ivec)x & (ivec)y)) X(OR, (vec)((ivec)x | (ivec)y)) X(EQ_I, (vec)((ivec)x == (ivec)y)) X(NE_I, (vec)((ivec)x != (ivec)y))  \
    X(LT_I, (vec)((ivec)x < (ivec)y)) X(LE_I, (vec)((ivec)x <= (ivec)y)) X(GT_I, (vec)((ivec)x > (ivec)y))                                  \
    X(GE_I, (vec)((ivec)x >= (ivec)y)) X(ADD_I, (vec)wrapped((ivec)x + (ivec)y)) X(SUB_I, (vec)wrapped((ivec)x - (ivec)y))                  \
    X(MUL_I, (vec)wrapped((ivec)x * (ivec)y))                                                                                              \
    X(MAX_I, pick((ivec)x > (ivec)y, x, y)) X(MIN_I, pick((ivec)x < (ivec)y, x, y))
#define JAXGEOM_TERNARY(X)                                                                                                                  \
    X(FMA, multiply_add(x, y, z)) X(FMS, x * y - z) X(FNMA, z - x * y) X(SELECT, pick((ivec)x, y, z)) X(ROOTADD, root(x * y) + z)
#define JAXGEOM_QUATERNARY(X) X(EMA, multiply_add(x, y, rounded(z * u)))

#define JAXGEOM_NUMBER(N, E) OP_##N,
enum { JAXGEOM_UNARY(JAXGEOM_NUMBER) JAXGEOM_BINARY(JAXGEOM_NUMBER) JAXGEOM_TERNARY(JAXGEOM_NUMBER) JAXGEOM_QUATERNARY(JAXGEOM_NUMBER) };
constexpr int arity(int operation) { return operation < OP_ADD ? 1 : operation < OP_FMA ? 2 : operation < OP_EMA ? 3 : 4; }
template <int OPERATION>
inline __attribute__((always_inline)) vec operation(vec x, [[maybe_unused]] vec y, [[maybe_unused]] vec z, [[maybe_unused]] vec u) {
    if constexpr (OPERATION == OP_MUL) return rounded(x * y);  // as the loops have it
    else if constexpr (OPERATION == OP_SQUARE) return rounded(x * x);
#define JAXGEOM_IS(N, E) else if constexpr (OPERATION == OP_##N) return E;
    JAXGEOM_UNARY(JAXGEOM_IS) JAXGEOM_BINARY(JAXGEOM_IS) JAXGEOM_TERNARY(JAXGEOM_IS) JAXGEOM_QUATERNARY(JAXGEOM_IS)
}

typedef void (*Operation)(int, vec *, const vec *, const vec *, const vec *, const vec *);

// One loop for each choice of which operands are strips (stride 1) and which are scalars (stride 0).
#define JAXGEOM_LOOP _Pragma("GCC ivdep") for (int i = 0; i < n; i++)
#define JAXGEOM_DEFINE1(N, E) \
    template <int A, int B, int C, int D> void op_##N(int n, vec *d, const vec *a, const vec *, const vec *, const vec *) { JAXGEOM_LOOP { const vec x = a[i * A]; d[i] = E; } }
#define JAXGEOM_DEFINE2(N, E) \
    template <int A, int B, int C, int D> void op_##N(int n, vec *d, const vec *a, const vec *b, const vec *, const vec *) { JAXGEOM_LOOP { const vec x = a[i * A], y = b[i * B]; d[i] = E; } }
#define JAXGEOM_DEFINE3(N, E) \
    template <int A, int B, int C, int D> void op_##N(int n, vec *d, const vec *a, const vec *b, const vec *c, const vec *) { JAXGEOM_LOOP { const vec x = a[i * A], y = b[i * B], z = c[i * C]; d[i] = E; } }
#define JAXGEOM_DEFINE4(N, E) \
    template <int A, int B, int C, int D> void op_##N(int n, vec *d, const vec *a, const vec *b, const vec *c, const vec *e) { JAXGEOM_LOOP { const vec x = a[i * A], y = b[i * B], z = c[i * C], u = e[i * D]; d[i] = E; } }
JAXGEOM_UNARY(JAXGEOM_DEFINE1)
JAXGEOM_BINARY(JAXGEOM_DEFINE2)
JAXGEOM_TERNARY(JAXGEOM_DEFINE3)
JAXGEOM_QUATERNARY(JAXGEOM_DEFINE4)

// By the operands that are strips: bit 0 for the first. What an operation does not read counts as a scalar.
#define JAXGEOM_ROW1(N, E) {op_##N<0, 0, 0, 0>, op_##N<1, 0, 0, 0>},
#define JAXGEOM_ROW2(N, E) {op_##N<0, 0, 0, 0>, op_##N<1, 0, 0, 0>, op_##N<0, 1, 0, 0>, op_##N<1, 1, 0, 0>},
#define JAXGEOM_ROW3(N, E) \
    {op_##N<0, 0, 0, 0>, op_##N<1, 0, 0, 0>, op_##N<0, 1, 0, 0>, op_##N<1, 1, 0, 0>, op_##N<0, 0, 1, 0>, op_##N<1, 0, 1, 0>, op_##N<0, 1, 1, 0>, op_##N<1, 1, 1, 0>},
#define JAXGEOM_ROW4(N, E)                                                                                                                      \
    {op_##N<0, 0, 0, 0>, op_##N<1, 0, 0, 0>, op_##N<0, 1, 0, 0>, op_##N<1, 1, 0, 0>, op_##N<0, 0, 1, 0>, op_##N<1, 0, 1, 0>, op_##N<0, 1, 1, 0>, \
     op_##N<1, 1, 1, 0>, op_##N<0, 0, 0, 1>, op_##N<1, 0, 0, 1>, op_##N<0, 1, 0, 1>, op_##N<1, 1, 0, 1>, op_##N<0, 0, 1, 1>, op_##N<1, 0, 1, 1>, \
     op_##N<0, 1, 1, 1>, op_##N<1, 1, 1, 1>},
static const Operation OPERATIONS[][16] = {
    JAXGEOM_UNARY(JAXGEOM_ROW1) JAXGEOM_BINARY(JAXGEOM_ROW2) JAXGEOM_TERNARY(JAXGEOM_ROW3) JAXGEOM_QUATERNARY(JAXGEOM_ROW4)};
#define JAXGEOM_NAME(N, E) #N " "
static const char *const OPERATION_NAMES =
    JAXGEOM_UNARY(JAXGEOM_NAME) JAXGEOM_BINARY(JAXGEOM_NAME) JAXGEOM_TERNARY(JAXGEOM_NAME) JAXGEOM_QUATERNARY(JAXGEOM_NAME);

struct Code {
    int num = 0;
    const int32_t *numbers = nullptr;
};

}  // namespace jaxgeom::training
