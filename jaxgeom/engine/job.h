// A run of training as the kernel has read it: networks, points, layers and programs.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "machine.h"
#include "products.h"
#include "shuffle.h"
#include "xla.h"

namespace jaxgeom::training {

constexpr int MOST_POINTS = 16;  // that are worked on at once
constexpr int NEVER = -1, IN_GROUPS = 1, ALONE = 2;
enum Activation { LINEAR, RELU, PROGRAM, MAXOUT };

// A buffer whose leading axes count networks: as many as there are, or 1 for what they share.
struct Argument {
    const char *data = nullptr;
    int64_t num_sets = 1, bytes = 0;         // of one set
    std::vector<int64_t> sizes, set_strides; // of the leading axes; 0 where shared

    Argument() = default;
    Argument(const xla::Buffer &buffer, int depth, const std::vector<int64_t> &leading, int itemsize) : data(static_cast<const char *>(buffer.data)), bytes(itemsize), sizes(leading), set_strides(depth) {
        for (int64_t i = depth; i < buffer.rank; i++) bytes *= buffer.shape[i];
        for (int i = depth - 1; i >= 0; i--) {
            set_strides[i] = buffer.shape[i] == 1 ? 0 : num_sets;
            num_sets *= buffer.shape[i];
        }
    }
    bool is_shared() const { return num_sets == 1; }
    const char *of(int64_t network) const {
        int64_t set = 0;
        for (size_t i = sizes.size(); i-- > 0;) {
            set += network % sizes[i] * set_strides[i];
            network /= sizes[i];
        }
        return data + set * bytes;
    }
};

// Points and targets of a split. Of what all networks share: rows (points, columns) for choosing points, padded to a
// multiple of four numbers, and columns (inputs and ones, points) for taking them in turn.
struct Split {
    Argument x, y;
    int num_points = 0, num_inputs = 0, num_targets = 0, num_columns = 0;
    bool is_shared = false;
    std::shared_ptr<real[]> rows, inputs, targets;
    Code value, right;

    void pack_rows(int64_t network, real *to) const {
        const real *points = reinterpret_cast<const real *>(x.of(network)), *values = reinterpret_cast<const real *>(y.of(network));
        for (int p = 0; p < num_points; p++) {
            real *row = to + size_t(p) * num_columns;
            std::memcpy(row, points + size_t(p) * num_inputs, num_inputs * sizeof(real));
            std::memcpy(row + num_inputs, values + size_t(p) * num_targets, num_targets * sizeof(real));
        }
    }
    void prepare(bool chooses) {
        num_columns = (num_inputs + num_targets + 3) / 4 * 4;
        is_shared = x.is_shared() && y.is_shared();
        if (!is_shared) return;
        if (chooses) {
            rows.reset(new real[size_t(num_points) * num_columns]());
            pack_rows(0, rows.get());
        }
        const real *points = reinterpret_cast<const real *>(x.data), *values = reinterpret_cast<const real *>(y.data);
        inputs.reset(new real[size_t(num_inputs + 1) * num_points]);
        targets.reset(new real[size_t(num_targets) * num_points]);
        std::fill_n(inputs.get() + size_t(num_inputs) * num_points, num_points, real(1));
        for (int p = 0; p < num_points; p++) {
            for (int i = 0; i < num_inputs; i++) inputs[size_t(i) * num_points + p] = points[size_t(p) * num_inputs + i];
            for (int j = 0; j < num_targets; j++) targets[size_t(j) * num_points + p] = values[size_t(p) * num_targets + j];
        }
    }
};

struct Layer {
    int in, width, out, rows;         // columns of the kernel, units (half as many for maxout); numbers of a column, its bias included
    int states, sums, slopes;         // rows where the layer's numbers begin: its units, their pre-activations, slopes
    Activation activation;            // that follows
    Code program;
    int outer_in, outer_width;        // of the arrays outside, which may be padded
};

struct Steps {
    int64_t every = 0, num = 0;
    const int64_t *list = nullptr;
    // Which of them a step is; -1 for none.
    int64_t find(int64_t step) const {
        if (every) return step % every == 0 && step / every < num ? step / every : -1;
        const int64_t *at = std::lower_bound(list, list + num, step);
        return at < list + num && *at == step ? at - list : -1;
    }
    // The first one after a step, or a later step that is none.
    int64_t after(int64_t step) const {
        if (every) return step - step % every + every;
        const int64_t *at = std::upper_bound(list, list + num, step);
        return at < list + num ? *at : std::numeric_limits<int64_t>::max();
    }
};

struct Results {
    std::vector<real *> params, snapshots, masks;
    int32_t *diverged_step = nullptr, *stopped_step = nullptr, *by_engine = nullptr;
    real *losses[2] = {}, *rights[2] = {}, *batch_losses = nullptr;
};

struct Job {
    std::vector<Layer> layers;
    int num_states = 0, block = 0, num_rounds = 0;
    int64_t num = 1, batch = 0, num_batches = 0, num_steps = 0;
    bool has_bias = true, chooses = false, has_test = false, has_accuracy = false, has_mask = false;
    double stop_accuracy = NAN;
    Steps records, snapshots;
    Order order;
    Split splits[2];
    std::vector<Argument> params, masks, settings;
    Argument keys;
    Results results;
    // Programs and their scalars.
    Code optimizer, lane, lane_after, start, lane_start, loss, shared;  // lane_after: what depends on the loss
    struct Sum { int array, leaf, place; };
    struct Round { Code summed, lane; std::vector<Sum> sums; };  // sums of something over the parameters of a leaf
    std::vector<Round> rounds;
    std::vector<int> classes;  // of the leaves
    int num_state = 0, num_classes = 1, num_arrays = 3, num_temporaries = 0, share_at = -1, value_at = -1;
    xla::Span<word> scalars;
    xla::Span<int64_t> setting_at, shared_at, lane_carry;
    std::shared_ptr<real[]> schedule;  // (steps, shared scalars)

    // Layers of so many units, which follow each other in the states.
    void place_layers(const std::vector<int> &widths) {
        int states = widths[0] + 1;
        for (size_t l = 0; l < layers.size(); l++) {
            Layer &layer = layers[l];
            const int in = widths[l], out = widths[l + 1], after = states + out + 1;
            layer.in = in, layer.out = out, layer.rows = in + has_bias, layer.width = layer.activation == MAXOUT ? 2 * out : out;
            layer.states = states, layer.slopes = after, layer.sums = layer.activation == MAXOUT ? after : states;
            states = after + (layer.activation == PROGRAM ? out : layer.activation == MAXOUT ? layer.width : 0);
        }
        num_states = states;
    }
};

}  // namespace jaxgeom::training
