// The gradient of networks of one hidden layer of ReLU and one output over a few points that all networks share, as of
// XOR: unit by unit, with all that belongs to the points in registers, where the general path (run.h) takes a product at
// a time through memory. Every sum has the order that it has there: so bits are the same.
#pragma once

#include <type_traits>

#include "job.h"

namespace jaxgeom::training {

// What a step works on. Kernels are (unit, inputs and bias), a network in each lane.
struct Shallow {
    int width, row;              // units; numbers from one input to the next
    const float *inputs;
    vec *targets, *outputs, *losses, *hidden;  // hidden: (unit, point)
    const vec *first, *second;   // kernels of the two layers
    vec *gradient;               // of the first layer, with the second one behind it
    const Bound *loss, *optimizer;
    vec zero;                    // zero where the next parameters are finite
};

// What becomes of a parameter's gradient: what an optimizer makes of it, or for void it is written for later.
template <class P>
struct Optimization {
    Registers<P> registers;
    vec *arrays[Counts<P>::ARRAYS];

    explicit Optimization(const Shallow &s) {
        registers.load_scalars(s.optimizer->scalars.data());
        for (int j = 0; j < Counts<P>::ARRAYS; j++) arrays[j] = s.optimizer->arrays[j];
    }
    inline __attribute__((always_inline)) vec put(int place, vec weight, vec gradient) {
        registers.load(arrays, place);  // states; the other two are at hand
        registers.arrays[1] = weight, registers.arrays[2] = gradient;
        registers.run();
        registers.store(arrays, place);
        return registers.arrays[0];
    }
};
template <>
struct Optimization<void> {
    vec *gradient;
    explicit Optimization(const Shallow &s) : gradient(s.gradient) {}
    inline __attribute__((always_inline)) vec put(int place, vec, vec of_it) { return gradient[place] = of_it; }
};

// Returns the sum of the loss's values. The gradient is written, or with an optimizer that needs nothing more, what it
// makes of it.
template <int INPUTS, int POINTS, class Loss, class Optimizer>
vec shallow(Shallow &s) {
    constexpr int ROWS = INPUTS + 1;
    const vec *w = s.first, *v = s.second;
    vec inputs[INPUTS][POINTS], outputs[POINTS], deltas[POINTS], sum = {};
    ivec broken = {};  // bits where a number is not finite
#define JAXGEOM_POINTS _Pragma("GCC unroll 8") for (int p = 0; p < POINTS; p++)
#define JAXGEOM_INPUTS _Pragma("GCC unroll 8") for (int i = 0; i < INPUTS; i++)
    JAXGEOM_POINTS outputs[p] = v[s.width];
    JAXGEOM_INPUTS JAXGEOM_POINTS inputs[i][p] = all(s.inputs[i * s.row + p]);
    for (int j = 0; j < s.width; j++, w += ROWS) {
        vec own[ROWS];
        _Pragma("GCC unroll 8") for (int i = 0; i < ROWS; i++) own[i] = w[i];
        const vec above = v[j];
        JAXGEOM_POINTS {
            vec h = own[INPUTS];
            JAXGEOM_INPUTS h = multiply_add(own[i], inputs[i][p], h);
            h = larger(vec{}, h);
            s.hidden[j * POINTS + p] = h;
            outputs[p] = multiply_add(above, h, outputs[p]);
        }
    }
    if constexpr (std::is_same_v<Loss, void>) {
        JAXGEOM_POINTS s.outputs[p] = outputs[p];
        s.loss->run(POINTS);
        JAXGEOM_POINTS sum += s.losses[p];
        JAXGEOM_POINTS deltas[p] = s.outputs[p];
    } else {
        Registers<Loss> own;
        own.load_scalars(s.loss->scalars.data());
        JAXGEOM_POINTS {
            own.arrays[1] = s.targets[p], own.arrays[2] = outputs[p];
            own.run();
            sum += own.arrays[0], deltas[p] = own.arrays[2];
        }
    }
    Optimization<Optimizer> optimization(s);
    const auto put = [&](int place, vec weight, vec gradient) __attribute__((always_inline)) {
        const vec next = optimization.put(place, weight, gradient);
        broken |= (ivec)(next - next);
    };
    w = s.first;
    int place = 0;
    for (int j = 0; j < s.width; j++, w += ROWS, place += ROWS) {
        const vec above = v[j];
        vec gradients[ROWS] = {}, of_second = {};
        JAXGEOM_POINTS {
            const vec h = s.hidden[j * POINTS + p];
            of_second = multiply_add(deltas[p], h, of_second);
            const vec delta = pick(h > 0.0f, multiply_add(above, deltas[p], vec{}), vec{});
            JAXGEOM_INPUTS gradients[i] = multiply_add(delta, inputs[i][p], gradients[i]);
            gradients[INPUTS] += delta;
        }
        _Pragma("GCC unroll 8") for (int i = 0; i < ROWS; i++) put(place + i, w[i], gradients[i]);
        put(s.width * ROWS + j, above, of_second);
    }
    vec of_bias = {};
    JAXGEOM_POINTS of_bias += deltas[p];
    put(s.width * (ROWS + 1), v[s.width], of_bias);
    s.zero = (vec)broken;
    return sum;
#undef JAXGEOM_POINTS
#undef JAXGEOM_INPUTS
}

// The step for the networks and points of a run; null for those that take the general path.
struct ShallowStep {
    vec (*run)(Shallow &) = nullptr;
    bool has_optimizer = false;

    ShallowStep() = default;
    // optimizer: null if it needs more than the gradient.
    ShallowStep(const Job &job, const Bound &loss, const Bound *optimizer) {
        const bool is_squared = loss.known.run == run_known<SquaredError>;
        has_optimizer = is_squared && optimizer && optimizer->known.run == run_known<Sgd>;
        if (has(job, 2, 4)) run = of<2, 4>(is_squared);
        if (has(job, 3, 8)) run = of<3, 8>(is_squared);
    }
    static bool fits(const Job &job) { return has(job, 2, 4) || has(job, 3, 8); }

  private:
    static bool has(const Job &job, int inputs, int points) {
        const auto &layers = job.layers;
        return layers.size() == 2 && layers[0].activation == RELU && layers[1].activation == LINEAR && layers[0].in == inputs && layers[1].out == 1 && job.has_bias &&
               job.batch == points && !job.chooses && job.splits[0].is_shared && job.splits[0].num_targets == 1;
    }
    template <int INPUTS, int POINTS>
    auto of(bool is_squared) const -> vec (*)(Shallow &) {
        return has_optimizer ? shallow<INPUTS, POINTS, SquaredError, Sgd> : is_squared ? shallow<INPUTS, POINTS, SquaredError, void> : shallow<INPUTS, POINTS, void, void>;
    }
};

}  // namespace jaxgeom::training
