// A small vector machine: what is elementwise in training (the optimizer, the loss and its gradient, activations) comes
// as a short program, compiled from JAX's own traces by jaxgeom/training/vector_code.py, and runs over vectors in cache.
//
// An instruction is six numbers: the operation, where its result goes, and up to four operands. A place is a class
// (temporary 0, array 1, scalar 2) times 2^16 and an index. Arrays and temporaries are strips of vectors; a scalar is one
// vector, a number for each network.
#pragma once

#include <algorithm>
#include <vector>

#include "known.h"

namespace jaxgeom::training {

constexpr int STRIP = 32;  // vectors of a temporary: all of a program's stay in the innermost cache

// A program with its places found.
struct Bound {
    struct Instruction {
        Operation run;
        vec *places[5];
        int steps[5];
    };
    std::vector<Instruction> instructions;
    Known known;
    std::vector<vec *> arrays;
    std::vector<const vec *> scalars;  // of the known program

    Bound() = default;
    Bound(const Code &code, vec *temporaries, const std::vector<vec *> &arrays, vec *scalars) : known(code), arrays(arrays) {
        for (int place : known.scalars) this->scalars.push_back(scalars + place);
        for (int k = 0; k < code.num; k++) {
            const int32_t *numbers = code.numbers + NUMBERS * k;
            Instruction own;
            int strips = 0;
            for (int j = 0; j < 5; j++) {
                const int kind = numbers[1 + j] >> 16, index = numbers[1 + j] & 0xffff;
                own.places[j] = kind == 0 ? temporaries + index * STRIP : kind == 1 ? arrays[index] : scalars + index;
                own.steps[j] = kind == 1;
                if (j && kind < 2) strips |= 1 << (j - 1);
            }
            own.run = OPERATIONS[numbers[0]][strips];
            instructions.push_back(own);
        }
    }
    // On `n` vectors of the arrays from `at` on, at most STRIP.
    void run(int n, int at = 0) const {
        if (known.run) return known.run(n, at, arrays.data(), scalars.data());
        for (const Instruction &i : instructions)
            i.run(n, i.places[0] + at * i.steps[0], i.places[1] + at * i.steps[1], i.places[2] + at * i.steps[2], i.places[3] + at * i.steps[3], i.places[4] + at * i.steps[4]);
    }
    void run_all(int total) const {
        if (known.run) return run(total);
        for (int at = 0; at < total; at += STRIP) run(std::min(STRIP, total - at), at);
    }
};

// What all networks share (counts, schedules): plain numbers, computed for every step before training begins.
union Number {
    real f;
    word i;
};
#define JAXGEOM_SHARED(X)                                                                                                                  \
    X(ADD, f, a.f + b.f) X(SUB, f, a.f - b.f) X(MUL, f, a.f * b.f) X(DIV, f, a.f / b.f) X(NEG, f, -a.f) X(ABS, f, std::fabs(a.f))           \
    X(MAX, f, a.f != a.f ? a.f : a.f > b.f ? a.f : b.f) X(MIN, f, a.f != a.f ? a.f : a.f < b.f ? a.f : b.f) X(SQRT, f, std::sqrt(a.f))      \
    X(POW, f, (real)std::pow((double)a.f, (double)b.f)) X(EXP, f, (real)std::exp((double)a.f)) X(LOG, f, (real)std::log((double)a.f))    \
    X(LOG1P, f, (real)std::log1p((double)a.f)) X(EXPM1, f, (real)std::expm1((double)a.f)) X(TANH, f, (real)std::tanh((double)a.f))      \
    X(COS, f, (real)std::cos((double)a.f)) X(SIN, f, (real)std::sin((double)a.f)) X(FLOOR, f, std::floor(a.f)) X(SQUARE, f, a.f * a.f)    \
    X(SIGN, f, a.f > 0 ? real(1) : a.f < 0 ? real(-1) : a.f) X(LOGISTIC, f, (real)(1 / (1 + std::exp(-(double)a.f)))) X(CVT, f, (real)a.i)      \
    X(ERF, f, (real)std::erf((double)a.f)) X(CVT_I, i, (word)(int32_t)a.f) X(COPY, i, a.i) X(SINGLE, f, (real)(float)a.f) X(SELECT, i, a.i ? b.i : c.i)                         \
    X(FINITE, i, a.f - a.f == 0) X(EQ, i, a.f == b.f) X(NE, i, a.f != b.f) X(LT, i, a.f < b.f) X(LE, i, a.f <= b.f) X(GT, i, a.f > b.f)     \
    X(GE, i, a.f >= b.f) X(AND, i, a.i & b.i) X(OR, i, a.i | b.i) X(NOT, i, !a.i) X(ADD_I, i, (int32_t)((uint32_t)a.i + (uint32_t)b.i))     \
    X(SUB_I, i, (int32_t)((uint32_t)a.i - (uint32_t)b.i)) X(MUL_I, i, (int32_t)((uint32_t)a.i * (uint32_t)b.i))                             \
    X(DIV_I, i, b.i == 0 ? -1 : (int32_t)((int64_t)a.i / b.i)) X(REM_I, i, b.i == 0 ? a.i : (int32_t)((int64_t)a.i % b.i))                  \
    X(MIN_I, i, std::min(a.i, b.i)) X(MAX_I, i, std::max(a.i, b.i)) X(EQ_I, i, a.i == b.i) X(NE_I, i, a.i != b.i) X(LT_I, i, a.i < b.i)     \
    X(LE_I, i, a.i <= b.i) X(GT_I, i, a.i > b.i) X(GE_I, i, a.i >= b.i)
#define JAXGEOM_MEMBER(N, M, E) SHARED_##N,
enum { JAXGEOM_SHARED(JAXGEOM_MEMBER) };
#define JAXGEOM_SHARED_NAME(N, M, E) #N " "
static const char *const SHARED_NAMES = JAXGEOM_SHARED(JAXGEOM_SHARED_NAME);

inline void run_shared(const Code &code, std::vector<Number> &slots) {
    for (int k = 0; k < code.num; k++) {
        const int32_t *numbers = code.numbers + NUMBERS * k;
        const Number a = slots[numbers[2]], b = slots[numbers[3]], c = slots[numbers[4]];
        Number &to = slots[numbers[1]];
        switch (numbers[0]) {
#define JAXGEOM_CASE(N, M, E) case SHARED_##N: to.M = E; break;
            JAXGEOM_SHARED(JAXGEOM_CASE)
        }
    }
}

}  // namespace jaxgeom::training
