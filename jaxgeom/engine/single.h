// One network whose points and parameters lie in the lanes of vectors: for few networks, which would leave lanes empty.
//
// Every sum has the order that it has with a network in each lane (group.h): products forward and back have points in
// their lanes and take units in turn, gradients have units in their lanes and take points in turn, for which derivatives
// or activations are transposed. So the bits are the same.
#pragma once

#include <vector>

#include "run.h"
#include "shallow.h"

namespace jaxgeom::training {

constexpr int MOST_NUMBERS = 24576 / sizeof(real);  // of states and transposed states: half of the innermost cache
constexpr int LEAST_ROW = 4;        // vectors of a row, for products in tiles
constexpr int FOURS = LANES < 4 ? 4 / LANES : 1;  // vectors of the four points that are transposed at once

inline int whole_vectors(int64_t num) { return static_cast<int>((num + LANES - 1) / LANES); }

// Single numbers in rows of whole vectors: a row holds all units of an input, or all inputs of a unit, whichever takes
// fewer vectors.
inline Layout parameters_in_lanes(const Job &job) {
    Layout layout;
    layout.num_networks = 1, layout.shared = SHARED_A;
    for (const Layer &layer : job.layers) {
        const int across = whole_vectors(layer.width), along = whole_vectors(layer.rows);
        const bool has_units = across * layer.rows <= along * layer.width;
        layout.kernels.push_back({layout.num_vectors * LANES, has_units ? 1 : along * LANES, has_units ? across * LANES : 1});
        layout.num_vectors += has_units ? across * layer.rows : along * layer.width;
    }
    layout.place_leaves(job);
    return layout;
}

// Vectors in a row of states.
inline int row_of_points(const Job &job) {
    const int64_t numbers = job.num_states + LANES * 4, batch = whole_vectors(std::max<int64_t>(job.batch, std::max(job.splits[0].num_points, job.splits[1].num_points)));
    const int64_t row = std::min(batch, std::max<int64_t>(LEAST_ROW, MOST_NUMBERS / LANES / numbers));
    return static_cast<int>((row + FOURS - 1) / FOURS * FOURS);
}

class Single final : public Run {
  public:
    Single(const Job &job, Team &team) : Run(job, team, parameters_in_lanes(job), row_of_points(job), row_of_points(job) * LANES, num_vectors(job)), rows_(job.splits[0].rows.get()) {
        vec *at = more_;
        const auto take = [&](size_t size) { vec *start = at; at += size; return start; };
        transposed_ = take(size_t(row_) * LANES * most_across(job));
        for (vec *&each : numbers_) each = take(most_points(job));
        for (int s = 0; s < 2; s++) columns_[s] = take(num_columns(job.splits[s]));
        drawn_ = reinterpret_cast<int32_t *>(take(whole_vectors(job.batch)));
        zeros_ = reinterpret_cast<real *>(take(row_));
        hidden_ = take(num_hidden(job));
        const Split &split = job.splits[0];
        if (job.chooses && !split.is_shared) own_rows_.resize(size_t(split.num_points) * split.num_columns), rows_ = own_rows_.data();
    }

  private:
    vec *transposed_, *numbers_[2], *columns_[2];  // what is summed over points; inputs, ones and targets of all points
    const bool is_shallow_ = ShallowSteps::fits(job_) && layout_.kernels[0].unit == 1 && layout_.kernels[1].input == 1;
    vec *hidden_;  // of a shallow network, units in lanes, of each point
    int32_t *drawn_;
    real *zeros_;
    const real *rows_;
    std::vector<real> own_rows_;
    bool is_packed_ = false;

    // Vectors of a row of a layer's parameters, of all points, of a split, and of all that this needs.
    static size_t most_across(const Job &job) {
        int most = 1;
        for (const Layer &layer : job.layers) most = std::max({most, whole_vectors(layer.width), whole_vectors(layer.rows)});
        return most;
    }
    static size_t most_points(const Job &job) { return whole_vectors(std::max(job.splits[0].num_points, job.splits[1].num_points)); }
    static size_t num_columns(const Split &split) { return size_t(split.num_inputs + 1 + split.num_targets) * whole_vectors(split.num_points); }
    static size_t num_vectors(const Job &job) {
        return row_of_points(job) * (LANES * most_across(job) + 1) + 2 * most_points(job) + num_columns(job.splits[0]) + num_columns(job.splits[1]) + whole_vectors(job.batch) + num_hidden(job);
    }

    static size_t num_hidden(const Job &job) { return ShallowSteps::fits(job) ? job.batch * whole_vectors(job.layers[0].width) : 0; }

    void begin_points() override {
        for (int s = 0; s < 2; s++) {
            const Split &split = job_.splits[s];
            if (!split.num_points) continue;
            if (s == 0 && !own_rows_.empty()) split.pack_rows(first_, own_rows_.data());
            if (is_packed_ && split.is_shared) continue;
            const size_t row = size_t(whole_vectors(split.num_points)) * LANES;
            real *to = reinterpret_cast<real *>(columns_[s]);
            const real *points = reinterpret_cast<const real *>(split.x.of(first_)), *values = reinterpret_cast<const real *>(split.y.of(first_));
            for (int p = 0; p < split.num_points; p++) {
                for (int i = 0; i < split.num_inputs; i++) to[i * row + p] = points[size_t(p) * split.num_inputs + i];
                to[split.num_inputs * row + p] = real(1);
                for (int j = 0; j < split.num_targets; j++) to[(split.num_inputs + 1 + j) * row + p] = values[size_t(p) * split.num_targets + j];
            }
        }
        is_packed_ = true;
    }

    Inputs load(int s, int start, int size, bool is_drawn) override {
        const Split &split = job_.splits[s];
        if (is_drawn) {
            const real *bases[LANES];
            std::fill(bases, bases + LANES, rows_);
            for (int p = 0; p < size; p += LANES)
                gather(bases, drawn_ + start + p, split.num_columns, split.num_inputs, split.num_targets, states_ + p / LANES, targets_ + p / LANES, row_);
            return {states_, row_, SHARED_A};
        }
        const int row = whole_vectors(split.num_points);
        const vec *from = columns_[s] + start / LANES;
        for (int j = 0; j < split.num_targets; j++)
            for (int p = 0; p < whole_vectors(size); p++) targets_[j * row_ + p] = from[(split.num_inputs + 1 + j) * row + p];
        return {from, row, SHARED_A};
    }

    void draw(int64_t step, int size) override {
        const int64_t start = begin_batch(step);
        const uint32_t base = job_.order.low_base, last = static_cast<uint32_t>(start + size - 1);
        for (int p = 0; p < size; p += LANES) {
            uvec high, low;
            for (int l = 0; l < LANES; l++) {
                const uint32_t position = std::min(static_cast<uint32_t>(start + p + l), last);
                high[l] = position / base, low[l] = position % base;
            }
            const pvec points = job_.num_rounds ? job_.order.at(epoch_keys_, high, low) : (pvec)(high * base + low);
            std::memcpy(drawn_ + p, &points, sizeof points);
        }
    }

    void collect(const Bound &program, int which, int start, int size) override {
        const int num = whole_vectors(size);
        program.run_all(num);
        std::memcpy(static_cast<void *>(numbers_[which] + start / LANES), losses_, num * sizeof(vec));
    }
    // By the blocks of points that groups of networks take.
    vec collected(int which, int num_points) override {
        const real *numbers = reinterpret_cast<const real *>(numbers_[which]);
        real total = 0;
        for (int start = 0; start < num_points; start += job_.block) {
            real sum = 0;
            for (int p = start; p < std::min(start + job_.block, num_points); p++) sum += numbers[p];
            total += sum;
        }
        return all(total);
    }

    Derived derive(int64_t step, int64_t most, int batch) override {
        if (!is_shallow_) return Run::derive(step, most, batch);
        return job_.layers[0].in == 2 ? derive_shallow<2, 4>() : derive_shallow<3, 8>();
    }
    // A step of a network that ShallowSteps fits: units in lanes, where products of so few points would leave most lanes
    // empty. Sums have the order that they have there.
    template <int INPUTS, int POINTS>
    Derived derive_shallow() {
        const int width = job_.layers[0].width, num = whole_vectors(width), of_output = layout_.kernels[1].start / LANES;
        const vec *weights = weights_[now_], *above = weights + of_output;
        const real *of_unit = reinterpret_cast<const real *>(above), *inputs = static_cast<const real *>(load(0, 0, POINTS, false).start);
        const int row = whole_vectors(POINTS) * LANES, of_input = layout_.kernels[0].input / LANES;
        vec x[INPUTS][POINTS];
        for (int i = 0; i < INPUTS; i++)
            for (int p = 0; p < POINTS; p++) x[i][p] = all(inputs[i * row + p]);
        for (int v = 0; v < num; v++)
            for (int p = 0; p < POINTS; p++) {
                vec h = weights[INPUTS * of_input + v];
                for (int i = 0; i < INPUTS; i++) h = multiply_add(weights[i * of_input + v], x[i][p], h);
                hidden_[p * num + v] = larger(vec{}, h);
            }
        real sums[POINTS];
        for (real &sum : sums) sum = of_unit[width];
        for (int j = 0; j < width; j++)
            for (int p = 0; p < POINTS; p++) sums[p] = multiply_add(of_unit[j], reinterpret_cast<const real *>(hidden_ + p * num)[j], sums[p]);
        real *outputs = reinterpret_cast<real *>(states_of(1));
        for (int p = 0; p < POINTS; p++) outputs[p] = sums[p];
        collect(loss_, 0, 0, POINTS);
        vec deltas[POINTS];
        real of_bias = 0;
        for (int p = 0; p < POINTS; p++) deltas[p] = all(outputs[p]), of_bias += outputs[p];
        for (int v = 0; v < num; v++) {
            vec gradients[INPUTS + 1] = {}, of_above = {};
            for (int p = 0; p < POINTS; p++) {
                const vec h = hidden_[p * num + v], delta = pick(h > real(0), multiply_add(above[v], deltas[p], vec{}), vec{});
                of_above = multiply_add(deltas[p], h, of_above);
                for (int i = 0; i < INPUTS; i++) gradients[i] = multiply_add(delta, x[i][p], gradients[i]);
                gradients[INPUTS] += delta;
            }
            for (int i = 0; i <= INPUTS; i++) gradient_[i * of_input + v] = gradients[i];
            gradient_[of_output + v] = of_above;
        }
        reinterpret_cast<real *>(gradient_ + of_output)[width] = of_bias;
        return {collected(0, POINTS), vec{}, 1, false};
    }

    void differentiate(int layer, const Product &product, const Inputs &inputs, int size, bool is_added) override {
        const Layer &own = job_.layers[layer];
        const bool has_units = layout_.kernels[layer].unit == 1;
        const vec *delta = states_ + own.sums * row_, *h = layer ? states_of(layer - 1) : static_cast<const vec *>(inputs.start);
        const int row = layer ? row_ : inputs.row;
        if (has_units) transpose(delta, row_, own.width, size);
        else transpose(h, row, own.rows, size);
        multiply(product, has_units ? h : delta, transposed_, gradient_ + layout_.kernels[layer].start / LANES, is_added);
    }
    // Rows of points, as rows for every point.
    void transpose(const vec *from, int row, int num_rows, int size) {
        const int num = whole_vectors(num_rows);
        for (int v = 0; v < num; v++) {
            const real *rows[LANES];
            for (int l = 0; l < LANES; l++) rows[l] = v * LANES + l < num_rows ? reinterpret_cast<const real *>(from + (v * LANES + l) * row) : zeros_;
            for (int p = 0; p < size; p += 4) {
                vec column[4];
                four_columns(rows, p, column);
                for (int j = 0; j < 4; j++) transposed_[(p + j) * num + v] = column[j];
            }
        }
    }
    Product gradient_of(int l, const Inputs &inputs, int size) const override {
        const Layer &layer = job_.layers[l];
        const bool has_units = layout_.kernels[l].unit == 1;
        const int across = whole_vectors(has_units ? layer.width : layer.rows), row = l || !has_units ? row_ : inputs.row;
        return {GRADIENT, has_units ? layer.rows : layer.width, across, size, row * LANES, 1, 1, across, SHARED_A, across};
    }
};

}  // namespace jaxgeom::training
