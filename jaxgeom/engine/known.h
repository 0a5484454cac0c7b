// Programs that are met so often that the compiler has them: those of optax's commonest optimizers, of the squared error
// and of the cross-entropies of two and three classes. The machine takes one of these where the numbers of a program are
// the same, and then keeps what lies between two instructions in registers. Operations and their order are those of the
// program: so bits are the same.
#pragma once

#include <utility>
#include <vector>

#include "operations.h"

namespace jaxgeom::training {

constexpr int32_t T(int i) { return i; }
constexpr int32_t A(int i) { return (1 << 16) + i; }
constexpr int32_t S(int i) { return (2 << 16) + i; }

// Scalars are numbered in the order in which a program mentions them.
struct Sgd {
    static constexpr const char *NAME = "sgd";
    static constexpr int32_t CODE[][NUMBERS] = {{OP_FMA, A(0), A(2), S(0), A(1)}};
};
struct Momentum {
    static constexpr const char *NAME = "momentum";
    static constexpr int32_t CODE[][NUMBERS] = {{OP_FMA, A(3), A(3), S(0), A(2)}, {OP_FMA, A(0), A(3), S(1), A(1)}};
};
#define JAXGEOM_ADAM                                                                                                                     \
    {OP_EMA, A(3), A(3), S(0), A(2), S(1)}, {OP_MUL, T(0), A(3), S(2)}, {OP_SQUARE, T(1), A(2)}, {OP_EMA, A(4), A(4), S(3), T(1), S(4)}, \
        {OP_ROOTADD, T(1), A(4), S(5), S(6)}, {OP_DIV, T(1), T(0), T(1)}
struct Adam {
    static constexpr const char *NAME = "adam";
    static constexpr int32_t CODE[][NUMBERS] = {JAXGEOM_ADAM, {OP_FMA, A(0), T(1), S(7), A(1)}};
};
struct AdamW {
    static constexpr const char *NAME = "adamw";
    static constexpr int32_t CODE[][NUMBERS] = {JAXGEOM_ADAM, {OP_FMA, T(1), A(1), S(7), T(1)}, {OP_FMA, A(0), T(1), S(8), A(1)}};
};
#undef JAXGEOM_ADAM
// One output: the value goes to array 0, the derivative to the output's place.
struct SquaredError {
    static constexpr const char *NAME = "squared_error";
    static constexpr int32_t CODE[][NUMBERS] = {
        {OP_SUB, T(0), A(2), A(1)}, {OP_SQUARE, T(1), T(0)}, {OP_MUL, A(0), S(0), T(1)}, {OP_MUL, T(0), T(0), S(1)}, {OP_MUL, A(2), S(0), T(0)}};
};

// The same of a label 0 or 1, without the logarithm that only the loss itself needs.
struct BinaryCrossEntropy {
    static constexpr const char *NAME = "binary_cross_entropy";
    static constexpr int32_t CODE[][NUMBERS] = {
        {OP_GT_I, T(0), A(1), S(0)}, {OP_SELECT, T(0), T(0), S(1), S(2)}, {OP_MUL, T(1), A(2), T(0)}, {OP_MAX, T(2), T(1), S(3)}, {OP_MUL, A(0), S(4), T(2)},
        {OP_LOGISTIC, T(1), T(1)}, {OP_MUL, T(1), S(4), T(1)}, {OP_MUL, A(2), T(0), T(1)}};
};
// Three outputs, of which a whole number says which should be the largest.
struct SoftmaxCrossEntropy {
    static constexpr const char *NAME = "softmax_cross_entropy";
    static constexpr int32_t CODE[][NUMBERS] = {
        {OP_EQ_I, T(0), A(1), S(0)}, {OP_MAX, T(1), A(2), A(3)}, {OP_MAX, T(1), T(1), A(4)}, {OP_SUB, T(2), A(4), T(1)}, {OP_EXP, T(3), T(2)}, {OP_SUB, T(4), A(2), T(1)},
        {OP_EXP, T(5), T(4)}, {OP_SUB, T(1), A(3), T(1)}, {OP_EXP, T(6), T(1)}, {OP_ADD, T(7), T(5), T(6)}, {OP_ADD, T(7), T(3), T(7)}, {OP_LOG, T(8), T(7)},
        {OP_SUB, T(2), T(2), T(8)}, {OP_SELECT, T(2), T(0), T(2), S(1)}, {OP_EQ_I, T(9), A(1), S(2)}, {OP_SUB, T(4), T(4), T(8)}, {OP_SELECT, T(4), T(9), T(4), S(1)},
        {OP_EQ_I, T(10), A(1), S(3)}, {OP_SUB, T(8), T(1), T(8)}, {OP_SELECT, T(8), T(10), T(8), S(1)}, {OP_ADD, T(8), T(4), T(8)}, {OP_ADD, T(8), T(2), T(8)},
        {OP_NEG, T(8), T(8)}, {OP_MUL, A(0), S(4), T(8)}, {OP_SELECT, T(9), T(9), S(5), S(1)}, {OP_SELECT, T(0), T(0), S(5), S(1)}, {OP_NEG, T(8), T(0)},
        {OP_NEG, T(2), T(9)}, {OP_SELECT, T(10), T(10), S(5), S(1)}, {OP_NEG, T(4), T(10)}, {OP_ADD, T(4), T(2), T(4)}, {OP_ADD, T(4), T(8), T(4)}, {OP_DIV, T(7), T(4), T(7)},
        {OP_FMA, A(2), T(5), T(7), T(9)}, {OP_FMA, A(3), T(6), T(7), T(10)}, {OP_FMA, A(4), T(3), T(7), T(0)}};
};

template <class P>
constexpr int num_instructions() { return sizeof P::CODE / sizeof P::CODE[0]; }
// Indices of a class of places: 1 more than the largest, and whether one is read before it is written, or written.
template <class P>
constexpr int num_of(int kind) {
    int num = 0;
    for (const auto &numbers : P::CODE)
        for (int j = 0; j <= arity(numbers[0]); j++)
            if (numbers[1 + j] >> 16 == kind && (numbers[1 + j] & 0xffff) >= num) num = (numbers[1 + j] & 0xffff) + 1;
    return num;
}
template <class P>
constexpr bool reads(int array) {
    for (const auto &numbers : P::CODE) {
        for (int j = 1; j <= arity(numbers[0]); j++)
            if (numbers[1 + j] == A(array)) return true;
        if (numbers[1] == A(array)) return false;
    }
    return false;
}
template <class P>
constexpr bool writes(int array) {
    for (const auto &numbers : P::CODE)
        if (numbers[1] == A(array)) return true;
    return false;
}
template <class P>
struct Counts {
    static constexpr int TEMPORARIES = num_of<P>(0) ? num_of<P>(0) : 1, ARRAYS = num_of<P>(1), SCALARS = num_of<P>(2);
};

// The places of the scalars of a program that is the same but for them; empty if it is not.
template <class P>
std::vector<int> match(const Code &code) {
    if (code.num != num_instructions<P>()) return {};
    std::vector<int> found(Counts<P>::SCALARS, -1);
    for (int k = 0; k < code.num; k++) {
        const int32_t *own = P::CODE[k], *given = code.numbers + NUMBERS * k;
        if (own[0] != given[0]) return {};
        for (int j = 1; j <= 1 + arity(own[0]); j++) {
            if (own[j] >> 16 != given[j] >> 16) return {};
            if (own[j] >> 16 < 2) {
                if (own[j] != given[j]) return {};
                continue;
            }
            int &place = found[own[j] & 0xffff];
            if (place >= 0 && place != (given[j] & 0xffff)) return {};
            place = given[j] & 0xffff;
        }
    }
    return found;
}

// A program on one vector of each array, all in registers.
template <class P>
struct Registers {
    vec arrays[Counts<P>::ARRAYS], scalars[Counts<P>::SCALARS], temporaries[Counts<P>::TEMPORARIES];

    inline __attribute__((always_inline)) void run() { all_of(std::make_index_sequence<num_instructions<P>()>()); }
    void load_scalars(const vec *const *places) {
        for (int j = 0; j < Counts<P>::SCALARS; j++) scalars[j] = *places[j];
    }
    // Of the arrays from FIRST on, what is read and what is written.
    template <size_t FIRST = 0>
    inline __attribute__((always_inline)) void load(vec *const *start, int i) { load_each<FIRST>(start, i, std::make_index_sequence<Counts<P>::ARRAYS>()); }
    template <size_t FIRST = 0>
    inline __attribute__((always_inline)) void store(vec *const *start, int i) const { store_each<FIRST>(start, i, std::make_index_sequence<Counts<P>::ARRAYS>()); }

  private:
    template <size_t FIRST, size_t J>
    inline __attribute__((always_inline)) void load_one(vec *const *start, int i) {
        if constexpr (J >= FIRST && reads<P>(J)) arrays[J] = start[J][i];
    }
    template <size_t FIRST, size_t J>
    inline __attribute__((always_inline)) void store_one(vec *const *start, int i) const {
        if constexpr (J >= FIRST && writes<P>(J)) start[J][i] = arrays[J];
    }
    template <size_t FIRST, size_t... J>
    inline __attribute__((always_inline)) void load_each(vec *const *start, int i, std::index_sequence<J...>) {
        (load_one<FIRST, J>(start, i), ...);
    }
    template <size_t FIRST, size_t... J>
    inline __attribute__((always_inline)) void store_each(vec *const *start, int i, std::index_sequence<J...>) const {
        (store_one<FIRST, J>(start, i), ...);
    }
    template <size_t... K>
    inline __attribute__((always_inline)) void all_of(std::index_sequence<K...>) { (one<K>(), ...); }
    template <size_t K>
    inline __attribute__((always_inline)) void one() { at<P::CODE[K][1]>() = operation<P::CODE[K][0]>(operand<K, 1>(), operand<K, 2>(), operand<K, 3>(), operand<K, 4>()); }
    template <size_t K, int J>
    inline __attribute__((always_inline)) vec operand() {
        if constexpr (J <= arity(P::CODE[K][0])) return at<P::CODE[K][1 + J]>();
        else return vec{};
    }
    template <int PLACE>
    inline __attribute__((always_inline)) vec &at() {
        if constexpr (PLACE >> 16 == 0) return temporaries[PLACE & 0xffff];
        else if constexpr (PLACE >> 16 == 1) return arrays[PLACE & 0xffff];
        else return scalars[PLACE & 0xffff];
    }
};

// The same on `n` vectors.
template <class P>
void run_known(int n, int at, vec *const *arrays, const vec *const *scalars) {
    Registers<P> registers;
    registers.load_scalars(scalars);
    vec *start[Counts<P>::ARRAYS];
    for (int j = 0; j < Counts<P>::ARRAYS; j++) start[j] = arrays[j] + at;
#pragma GCC ivdep
    for (int i = 0; i < n; i++) registers.load(start, i), registers.run(), registers.store(start, i);
}

// Which of them a program is, and the places of its scalars.
struct Known {
    void (*run)(int, int, vec *const *, const vec *const *) = nullptr;
    std::vector<int> scalars;
    const char *name = "";

    Known() = default;
    explicit Known(const Code &code) { (is<Sgd>(code) || is<Momentum>(code) || is<Adam>(code) || is<AdamW>(code) || is<SquaredError>(code) || is<BinaryCrossEntropy>(code) || is<SoftmaxCrossEntropy>(code)); }

  private:
    template <class P>
    bool is(const Code &code) {
        scalars = match<P>(code);
        if (!scalars.empty()) run = run_known<P>, name = P::NAME;
        return run;
    }
};

}  // namespace jaxgeom::training
