// Networks in the lanes of vectors: as many as there are lanes take a run together, from one point to the next.
#pragma once

#include <vector>

#include "run.h"
#include "shallow.h"

namespace jaxgeom::training {

// Every parameter a vector, kernels (out, in and bias).
inline Layout networks_in_lanes(const Job &job) {
    Layout layout;
    for (const Layer &layer : job.layers) {
        layout.kernels.push_back({layout.num_vectors, layer.rows, 1});
        layout.num_vectors += layer.rows * layer.width;
    }
    layout.place_leaves(job);
    return layout;
}

class Group final : public Run {
  public:
    Group(const Job &job, Team &team) : Run(job, team, networks_in_lanes(job), job.block, job.block, job.chooses ? job.batch : 0), rows_(reinterpret_cast<int32_t *>(more_)) {
        for (int s = 0; s < 2; s++) {
            const Split &split = job.splits[s];
            if (split.num_points && !split.is_shared) own_rows_[s].resize(size_t(LANES) * split.num_points * split.num_columns);
        }
        if (!ShallowSteps::fits(job)) return;
        shallow_steps_ = ShallowSteps(job, loss_, is_plain_ ? &optimizer_[0][0] : nullptr);
        shallow_.width = job.layers[0].out, shallow_.row = job.splits[0].num_points, shallow_.inputs = job.splits[0].inputs.get();
        shallow_.weights[0] = weights_[0], shallow_.weights[1] = weights_[1], shallow_.gradient = gradient_;
        shallow_.targets = targets_, shallow_.outputs = states_of(1), shallow_.losses = losses_, shallow_.hidden = states_of(0);
        shallow_.loss = &loss_, shallow_.optimizer = &optimizer_[0][0];
        for (size_t i = 0; i < job.shared_at.size; i++) shallow_.shared.push_back(scalars_ + job.shared_at[i]);
    }

  private:
    int32_t *const rows_;
    std::vector<real> own_rows_[2];
    const real *bases_[2][LANES] = {};
    vec sums_[2] = {};
    bool are_targets_there_ = false;
    Shallow shallow_;
    ShallowSteps shallow_steps_;

    void begin_points() override {
        are_targets_there_ = false;
        for (int s = 0; s < 2; s++) {
            const Split &split = job_.splits[s];
            for (int l = 0; l < LANES && split.num_points; l++) {
                if (split.is_shared) { bases_[s][l] = split.rows.get(); continue; }
                real *own = own_rows_[s].data() + size_t(l) * split.num_points * split.num_columns;
                split.pack_rows(network(l), own);
                bases_[s][l] = own;
            }
        }
    }

    Inputs load(int s, int start, int size, bool is_drawn) override {
        const Split &split = job_.splits[s];
        if (split.is_shared && !is_drawn) {
            const bool is_all = size == split.num_points;
            for (int j = 0; j < split.num_targets && !(s == 0 && is_all && are_targets_there_); j++)
                for (int p = 0; p < size; p++) targets_[j * row_ + p] = all(split.targets[size_t(j) * split.num_points + start + p]);
            are_targets_there_ = s == 0 && is_all;
            return {split.inputs.get() + start, split.num_points, SHARED_B};
        }
        are_targets_there_ = false;
        int32_t turn[LANES];
        for (int p = 0; p < size; p++) {
            if (!is_drawn) std::fill(turn, turn + LANES, start + p);
            gather(bases_[s], is_drawn ? rows_ + (start + p) * LANES : turn, split.num_columns, split.num_inputs, split.num_targets, states_ + p, targets_ + p, row_);
        }
        return {states_, row_, NEITHER};
    }

    void draw(int64_t step, int size) override {
        const int64_t start = begin_batch(step);
        for (int p = 0; p < size; p++) {
            const uint32_t position = static_cast<uint32_t>(start + p), base = job_.order.low_base;
            reinterpret_cast<pvec *>(rows_)[p] = job_.num_rounds ? job_.order.at(epoch_keys_, uvec{} + position / base, uvec{} + position % base) : pvec{} + static_cast<int32_t>(position);
        }
    }

    Derived derive(int64_t step, int64_t most, int batch) override {
        if (!shallow_steps_.run) return Run::derive(step, most, batch);
        load(0, 0, batch, false);
        shallow_.now = now_, shallow_.schedule = job_.schedule.get() + step * job_.shared_at.size;
        const int64_t num = shallow_steps_.run(shallow_, most);
        now_ = shallow_.now;
        return {shallow_.sum, shallow_.zero, num, shallow_steps_.is_optimized};
    }

    void collect(const Bound &program, int which, int, int size) override {
        program.run_all(size);
        vec sum = {};
        for (int p = 0; p < size; p++) sum += losses_[p];
        sums_[which] += sum;
    }
    vec collected(int which, int) override { return std::exchange(sums_[which], vec{}); }

    void differentiate(int layer, const Product &product, const Inputs &inputs, int, bool is_added) override {
        multiply(product, states_ + job_.layers[layer].sums * row_, layer ? states_of(layer - 1) : inputs.start, gradient_ + layout_.kernels[layer].start, is_added);
    }
    Product gradient_of(int l, const Inputs &inputs, int size) const override {
        const Layer &layer = job_.layers[l];
        return {GRADIENT, layer.width, layer.rows, size, row_, 1, l ? row_ : inputs.row, 1, l ? NEITHER : inputs.shared, layer.rows};
    }
};

}  // namespace jaxgeom::training
