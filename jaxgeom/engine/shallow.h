// Steps of networks of one hidden layer of ReLU and one output on a few points that all networks share, as those of XOR:
// unit by unit, with all that belongs to the points in registers, where the general path (run.h) takes a product at a
// time through memory. Every sum has the order that it has there: so bits are the same.
#pragma once

#include <type_traits>

#include "job.h"

namespace jaxgeom::training {

// What steps work on. Parameters are those of the hidden layer (unit, inputs and bias) and then those of the output.
struct Shallow {
    int width = 0, row = 0;                // units; numbers from one input to the next
    const real *inputs = nullptr;
    vec *weights[2] = {}, *gradient = nullptr;
    vec *targets = nullptr, *outputs = nullptr, *losses = nullptr, *hidden = nullptr;  // hidden: (unit, point)
    const Bound *loss = nullptr, *optimizer = nullptr;
    std::vector<vec *> shared;             // scalars that all networks share, from step to step
    const real *schedule = nullptr;       // their numbers
    int now = 0;                           // which weights the last step began with
    vec sum = {}, zero = {};               // of the losses of the last step; zero where what it made is finite
};

// Takes so many steps, or fewer if one makes numbers that are not finite, and returns how many. Without an optimizer it
// is one, and leaves the gradient. WIDTH: 0 for any.
template <int INPUTS, int POINTS, int WIDTH, class Loss, class Optimizer>
int64_t shallow(Shallow &s, int64_t most) {
    constexpr int ROWS = INPUTS + 1, NUM = WIDTH * (ROWS + 1) + 1;
    constexpr bool IS_OPTIMIZED = !std::is_same_v<Optimizer, void>, HAS_LOSS = !std::is_same_v<Loss, void>;
#define JAXGEOM_POINTS _Pragma("GCC unroll 8") for (int p = 0; p < POINTS; p++)
#define JAXGEOM_INPUTS _Pragma("GCC unroll 8") for (int i = 0; i < INPUTS; i++)
#define JAXGEOM_ROWS _Pragma("GCC unroll 8") for (int i = 0; i < ROWS; i++)
#define JAXGEOM_UNITS _Pragma("GCC unroll 4") for (int j = 0; j < width; j++)
    const int width = WIDTH ? WIDTH : s.width, second = width * ROWS, num = second + width + 1;
    vec inputs[INPUTS][POINTS];
    JAXGEOM_INPUTS JAXGEOM_POINTS inputs[i][p] = all(s.inputs[i * s.row + p]);
    Registers<std::conditional_t<HAS_LOSS, Loss, SquaredError>> loss;
    if constexpr (HAS_LOSS) loss.load_scalars(s.loss->scalars.data());
    Registers<std::conditional_t<IS_OPTIMIZED, Optimizer, Sgd>> optimizer;
    if constexpr (IS_OPTIMIZED) optimizer.load_scalars(s.optimizer->scalars.data());
    // Parameters of few units stay in registers from step to step.
    [[maybe_unused]] vec own_from[NUM], own_to[NUM], own_hidden[WIDTH * POINTS + 1];
    if constexpr (WIDTH > 0)
        for (int i = 0; i < NUM; i++) own_from[i] = s.weights[s.now][i];

    for (int64_t n = 1;; n++) {
        const vec *from = WIDTH ? own_from : s.weights[s.now];
        vec *to = WIDTH ? own_to : IS_OPTIMIZED ? s.weights[1 - s.now] : s.gradient, *hidden = WIDTH ? own_hidden : s.hidden;
        vec outputs[POINTS], deltas[POINTS], sum = {};
        JAXGEOM_POINTS outputs[p] = from[num - 1];
        JAXGEOM_UNITS {
            vec own[ROWS];
            JAXGEOM_ROWS own[i] = from[j * ROWS + i];
            const vec above = from[second + j];
            JAXGEOM_POINTS {
                vec h = own[INPUTS];
                JAXGEOM_INPUTS h = multiply_add(own[i], inputs[i][p], h);
                h = larger(vec{}, h);
                hidden[j * POINTS + p] = h;
                outputs[p] = multiply_add(above, h, outputs[p]);
            }
        }
        if constexpr (HAS_LOSS) {
            JAXGEOM_POINTS {
                loss.arrays[1] = s.targets[p], loss.arrays[2] = outputs[p];
                loss.run();
                sum += loss.arrays[0], deltas[p] = loss.arrays[2];
            }
        } else {
            JAXGEOM_POINTS s.outputs[p] = outputs[p];
            s.loss->run(POINTS);
            JAXGEOM_POINTS sum += s.losses[p];
            JAXGEOM_POINTS deltas[p] = s.outputs[p];
        }
        ivec broken = (ivec)(sum - sum);  // bits where a number is not finite
        vec *const *states = IS_OPTIMIZED ? s.optimizer->arrays.data() : nullptr;
        const auto put = [&](int place, vec weight, vec gradient) __attribute__((always_inline)) {
            if constexpr (IS_OPTIMIZED) {
                optimizer.template load<3>(states, place);
                optimizer.arrays[1] = weight, optimizer.arrays[2] = gradient;
                optimizer.run();
                optimizer.template store<3>(states, place);
                gradient = optimizer.arrays[0];
                broken |= (ivec)(gradient - gradient);
            }
            to[place] = gradient;
        };
        JAXGEOM_UNITS {
            const vec above = from[second + j];
            vec gradients[ROWS] = {}, of_above = {};
            JAXGEOM_POINTS {
                const vec h = hidden[j * POINTS + p], delta = pick(h > real(0), multiply_add(above, deltas[p], vec{}), vec{});
                of_above = multiply_add(deltas[p], h, of_above);
                JAXGEOM_INPUTS gradients[i] = multiply_add(delta, inputs[i][p], gradients[i]);
                gradients[INPUTS] += delta;
            }
            JAXGEOM_ROWS put(j * ROWS + i, from[j * ROWS + i], gradients[i]);
            put(second + j, above, of_above);
        }
        vec of_bias = {};
        JAXGEOM_POINTS of_bias += deltas[p];
        put(num - 1, from[num - 1], of_bias);
        if (!IS_OPTIMIZED || n == most || any(broken)) {
            s.sum = sum, s.zero = (vec)broken;
            if constexpr (WIDTH > 0)
                for (int i = 0; i < NUM; i++) s.weights[s.now][i] = own_from[i], s.weights[1 - s.now][i] = own_to[i];
            return n;
        }
        if constexpr (WIDTH > 0) {
            _Pragma("GCC unroll 32") for (int i = 0; i < NUM; i++) own_from[i] = own_to[i];
        } else {
            s.now = 1 - s.now;
        }
        if constexpr (IS_OPTIMIZED) {
            for (size_t i = 0; i < s.shared.size(); i++) *s.shared[i] = all(s.schedule[n * s.shared.size() + i]);
            if (!s.shared.empty()) optimizer.load_scalars(s.optimizer->scalars.data());
        }
    }
#undef JAXGEOM_POINTS
#undef JAXGEOM_INPUTS
#undef JAXGEOM_ROWS
#undef JAXGEOM_UNITS
}

// The steps for the networks and points of a run; null for those that take the general path.
struct ShallowSteps {
    int64_t (*run)(Shallow &, int64_t) = nullptr;
    bool is_optimized = false;

    ShallowSteps() = default;
    // optimizer: null if it needs more than the gradient.
    ShallowSteps(const Job &job, const Bound &loss, const Bound *optimizer) {
        if (has(job, 2, 4)) choose<2, 4>(loss, optimizer, job.layers[0].out);
        if (has(job, 3, 8)) choose<3, 8>(loss, optimizer, job.layers[0].out);
    }
    static bool fits(const Job &job) { return has(job, 2, 4) || has(job, 3, 8); }

  private:
    static bool has(const Job &job, int inputs, int points) {
        const auto &layers = job.layers;
        return layers.size() == 2 && layers[0].activation == RELU && layers[1].activation == LINEAR && layers[0].in == inputs && layers[1].out == 1 && job.has_bias &&
               job.batch == points && !job.chooses && job.splits[0].is_shared && job.splits[0].num_targets == 1;
    }
    template <int INPUTS, int POINTS>
    void choose(const Bound &loss, const Bound *optimizer, int width) {
        if (!is<SquaredError>(&loss)) return choose_optimizer<INPUTS, POINTS, void>(optimizer);
        choose_optimizer<INPUTS, POINTS, SquaredError>(optimizer);
        if (POINTS == 4 && width == 2 && is<Sgd>(optimizer)) run = shallow<INPUTS, POINTS, 2, SquaredError, Sgd>;
    }
    template <int INPUTS, int POINTS, class Loss>
    void choose_optimizer(const Bound *optimizer) {
        is_optimized = true;
        if (is<Sgd>(optimizer)) run = shallow<INPUTS, POINTS, 0, Loss, Sgd>;
        else if (is<Momentum>(optimizer)) run = shallow<INPUTS, POINTS, 0, Loss, Momentum>;
        else if (is<Adam>(optimizer)) run = shallow<INPUTS, POINTS, 0, Loss, Adam>;
        else if (is<AdamW>(optimizer)) run = shallow<INPUTS, POINTS, 0, Loss, AdamW>;
        else run = shallow<INPUTS, POINTS, 0, Loss, void>, is_optimized = false;
    }
    template <class P>
    static bool is(const Bound *program) { return program && program->known.run == run_known<P>; }
};

}  // namespace jaxgeom::training
