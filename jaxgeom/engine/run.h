// A run of training from the initial parameters to the last record, for the networks that one set of vectors holds:
// steps, records, snapshots, stopping, diverging. How networks, parameters and points lie in vectors is a layout's matter
// (group.h: a network in each lane; single.h: one network, its points and parameters in the lanes).
#pragma once

#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "job.h"
#include "team.h"

namespace jaxgeom::training {

constexpr int PADDING = -1;  // the place of a parameter that is left out (narrowed.h)
constexpr int64_t LEAST_SHARED = 8192;  // multiply-adds of vectors that are worth a thread: some microseconds

// Where the parameters of so many networks lie in arrays of vectors.
struct Layout {
    struct Kernel { int start, unit, input; };  // numbers, or vectors, from one unit to the next, and from one input to the next
    int num_networks = LANES, num_vectors = 0;
    std::vector<Kernel> kernels;               // of the layers
    std::vector<std::vector<int32_t>> places;  // numbers from the start of an array, for all parameters of every leaf
    Shared shared = NEITHER;                   // SHARED_A if parameters are single numbers

    // Kernels are (in, out) outside.
    void place_leaves(const Job &job) {
        const int number = shared == SHARED_A ? 1 : LANES;
        for (size_t l = 0; l < kernels.size(); l++) {
            const Layer &layer = job.layers[l];
            const auto add = [&](int num_own, int num, int first) {
                places.emplace_back();
                for (int i = 0; i < num; i++)
                    for (int j = 0; j < layer.outer_width; j++) {
                        const bool is_there = i < num_own && j < layer.width;
                        places.back().push_back(is_there ? (kernels[l].start + j * kernels[l].unit + (first + i) * kernels[l].input) * number : PADDING);
                    }
            };
            add(layer.in, layer.outer_in, 0);
            if (job.has_bias) add(1, 1, layer.in);
        }
    }
    int columns(int64_t points) const { return static_cast<int>(shared == SHARED_A ? (points + LANES - 1) / LANES : points); }
    // About how long a step takes, counted in multiply-adds of vectors.
    int64_t work(const Job &job) const {
        int64_t total = 400;  // calls and what is done but once
        for (const Layer &layer : job.layers) total += (&layer == &job.layers[0] ? 1 : 2) * layer.rows * layer.width * columns(job.batch);
        return total + (num_vectors + (shared == SHARED_A ? 2 * job.layers.size() : 0)) * job.batch;
    }
    size_t bytes() const { return shared == SHARED_A ? sizeof(real) : sizeof(vec); }
};

// Inputs of the first layer: a row for every input, and one of ones.
struct Inputs {
    const void *start;
    int row;  // from one row to the next
    Shared shared;
};

class Run {
  public:
    virtual ~Run() = default;
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;

    void train(int64_t first) {
        first_ = first, num_ = static_cast<int>(std::min<int64_t>(layout_.num_networks, job_.num - first));
        begin();
        int64_t step = 0;
        for (int64_t due = 0; step < job_.num_steps;) {
            if (step == due) observe(step), due = next_due(step);
            if (!goes_on_) break;
            step += take_steps(step, std::min(due, job_.num_steps) - step);
        }
        if (step == job_.num_steps) observe(step);
        else rest(step);
        finish();
    }

  protected:
    // row: vectors of a row of states; points: as many as they hold; more: vectors of what derives from this.
    Run(const Job &job, Team &team, Layout layout, int row, int points, size_t more) : job_(job), team_(team), layout_(std::move(layout)), num_layers_(static_cast<int>(job.layers.size())), row_(row), points_(points) {
        const size_t num = layout_.num_vectors, num_targets = std::max(job.splits[0].num_targets, job.splits[1].num_targets);
        const size_t total = num * (1 + job.num_arrays) + size_t(job.num_states + num_targets + 1) * row + job.scalars.size + size_t(team.size) * job.num_temporaries * STRIP + 4 * job.num_rounds + more + 8;
        memory_.reset(static_cast<vec *>(::operator new(total * sizeof(vec), std::align_val_t(64))));
        std::memset(static_cast<void *>(memory_.get()), 0, total * sizeof(vec));
        vec *at = memory_.get();
        const auto take = [&](size_t size) { vec *start = at; at += size; return start; };
        weights_[0] = take(num), weights_[1] = take(num), gradient_ = take(num), mask_ = take(num);
        arrays_ = take(num * (job.num_arrays - 3)), states_ = take(size_t(job.num_states) * row), targets_ = take(num_targets * row), losses_ = take(row);
        scalars_ = take(job.scalars.size), temporaries_ = take(size_t(team.size) * job.num_temporaries * STRIP);
        keys_ = reinterpret_cast<uvec *>(take(2 * job.num_rounds)), epoch_keys_ = reinterpret_cast<uvec *>(take(2 * job.num_rounds));
        more_ = take(more);
        for (int t = 0; t < 2; t++) {
            std::vector<vec *> arrays{weights_[1 - t], weights_[t], gradient_};
            for (int k = 0; k < job.num_arrays - 3; k++) arrays.push_back(arrays_ + k * num);
            for (const Job::Round &round : job.rounds) rounds_[t].push_back({Bound(round.summed, temporaries_, arrays, scalars_), Bound(round.lane, temporaries_, {}, scalars_)});
            for (int number = 0; number < team.size; number++) optimizer_[t].emplace_back(job.optimizer, temporaries_of(number), arrays, scalars_);
            if (t == 0) start_ = Bound(job.start, temporaries_, arrays, scalars_);
        }
        lane_ = Bound(job.lane, temporaries_, {}, scalars_), lane_after_ = Bound(job.lane_after, temporaries_, {}, scalars_), lane_start_ = Bound(job.lane_start, temporaries_, {}, scalars_);
        loss_ = Bound(job.loss, temporaries_, loss_arrays(0), scalars_);
        for (int s = 0; s < 2; s++) value_[s] = Bound(job.splits[s].value, temporaries_, loss_arrays(s), scalars_), right_[s] = Bound(job.splits[s].right, temporaries_, loss_arrays(s), scalars_);
        for (const Layer &layer : job.layers) {
            activations_.emplace_back();
            for (int number = 0; number < team.size; number++) activations_.back().emplace_back(layer.program, temporaries_of(number), std::vector<vec *>{states_ + layer.states * row, states_ + layer.slopes * row}, scalars_);
        }
    }

    // The points that a split's batch holds from `start` on, as inputs and in targets_; those drawn last, or in turn.
    virtual Inputs load(int split, int start, int size, bool is_drawn) = 0;
    // Draws the points of a step.
    virtual void draw(int64_t step, int size) = 0;
    // The program's number of every point of those loaded, and the sums of all that were collected since the last asking.
    virtual void collect(const Bound &program, int which, int start, int size) = 0;
    virtual vec collected(int which, int num_points) = 0;
    // A layer's gradient, from the derivatives by its sums and its inputs, added to what is there from earlier points.
    virtual void differentiate(int layer, const Product &product, const Inputs &inputs, int size, bool is_added) = 0;
    // The product that does it.
    virtual Product gradient_of(int layer, const Inputs &inputs, int size) const = 0;
    // Of at most so many steps from one on, as many as are taken at once: all but the last one whole, which leaves the sum of
    // its losses, its gradient, and perhaps what the optimizer makes of it; then zeros where that is finite.
    struct Derived { vec sum, zero; int64_t num; bool is_optimized; };
    virtual Derived derive(int64_t, int64_t, int batch) {
        for (int start = 0; start < batch; start += points_) {
            const int size = std::min(points_, batch - start);
            const Inputs inputs = load(0, start, size, job_.chooses);
            const Products &products = products_of(size, inputs);
            forward(products, inputs);
            collect(loss_, 0, start, size);
            backward(products, inputs, size, start > 0);
        }
        return {collected(0, batch), vec{}, 1, false};
    }
    // Whether points are loaded for every network, before it begins.
    virtual void begin_points() = 0;

    // The products that have nothing to do with the layout of points.
    struct Products {
        int size, row;
        Shared shared;
        std::vector<Product> forward, back, gradient;  // of each layer
    };
    // For so many points.
    const Products &products_of(int size, const Inputs &inputs) {
        for (const auto &each : products_)
            if (each->size == size && each->row == inputs.row && each->shared == inputs.shared) return *each;
        auto own = std::make_unique<Products>(Products{size, inputs.row, inputs.shared, {}, {}, {}});
        const int columns = layout_.columns(size);
        for (int l = 0; l < num_layers_; l++) {
            const Layer &layer = job_.layers[l];
            const Layout::Kernel &kernel = layout_.kernels[l];
            own->gradient.push_back(gradient_of(l, inputs, size));
            const Shared shared = l == 0 && inputs.shared != NEITHER ? inputs.shared : layout_.shared;
            own->forward.emplace_back(layer.activation == RELU ? FORWARD_RELU : FORWARD, layer.width, columns, layer.in, kernel.unit, kernel.input, 1, l ? row_ : inputs.row, shared, row_, 0, job_.has_bias);
            if (l == 0) { own->back.emplace_back(); continue; }
            const Layer &before = job_.layers[l - 1];
            const Kind kind = before.activation == RELU ? BACK_RELU : before.activation == PROGRAM ? BACK_SLOPE : BACK_LINEAR;
            own->back.emplace_back(kind, layer.in, columns, layer.width, kernel.input, kernel.unit, 1, row_, layout_.shared, row_, (before.slopes - before.states) * row_);
        }
        products_.push_back(std::move(own));
        return *products_.back();
    }
    const void *weights_of(int layer) const { return reinterpret_cast<const char *>(weights_[now_]) + layout_.kernels[layer].start * layout_.bytes(); }
    vec *states_of(int layer) const { return states_ + job_.layers[layer].states * row_; }
    // The network of a lane; lanes that are left over repeat the last one.
    int64_t network(int lane) const { return first_ + std::min(lane, num_ - 1); }

    struct Free { void operator()(vec *p) const { ::operator delete(static_cast<void *>(p), std::align_val_t(64)); } };
    // part(number, how many there are), for all parts of so much work, which the team shares if it is worth it.
    template <class Part>
    void in_parts(int64_t work, const Part &part) {
        const int num = static_cast<int>(std::min<int64_t>(team_.size, work / LEAST_SHARED));
        if (num < 2) return part(0, 1);
        team_.share(num, [&](int number) { part(number, num); });
    }
    void multiply(const Product &product, const void *a, const void *b, vec *c, bool is_added = false) {
        in_parts(product.work(), [&](int number, int num) { product.run(a, b, c, is_added, number, num); });
    }
    // The batch of a step: where it begins in its epoch, whose keys are drawn.
    int64_t begin_batch(int64_t step) {
        const int64_t epoch = step / job_.num_batches;
        if (epoch != epoch_) {
            for (int k = 0; k < 2 * job_.num_rounds; k++) epoch_keys_[k] = Order::epoch_key(keys_[k], static_cast<uint32_t>(epoch));
            epoch_ = epoch;
        }
        return step % job_.num_batches * job_.batch;
    }

    const Job &job_;
    Team &team_;
    const Layout layout_;
    const int num_layers_, row_, points_;
    const bool is_plain_ = !job_.has_mask && job_.rounds.empty() && !job_.lane_after.num && job_.value_at < 0;  // the update needs but the gradient
    std::unique_ptr<vec, Free> memory_;
    vec *weights_[2], *gradient_, *mask_, *arrays_, *states_, *targets_, *losses_, *scalars_, *temporaries_, *more_;
    uvec *keys_, *epoch_keys_;
    Bound lane_, lane_after_, start_, lane_start_, loss_, value_[2], right_[2];
    std::vector<Bound> optimizer_[2];               // of each thread, with temporaries of its own
    std::vector<std::vector<Bound>> activations_;  // of each layer, likewise
    std::vector<std::pair<Bound, Bound>> rounds_[2];
    std::vector<std::unique_ptr<Products>> products_;
    int64_t first_ = 0, epoch_ = -1;
    int num_ = 0, now_ = 0;
    bool goes_on_ = true;  // whether any network does
    ivec ended_ = {};  // lanes that train no more
    int32_t diverged_step_[LANES], stopped_step_[LANES];
    real records_[4][LANES];
    std::vector<ivec> broken_ = std::vector<ivec>(team_.size);  // of each thread's parameters: bits where one is not finite

  private:
    vec *temporaries_of(int number) const { return temporaries_ + size_t(number) * job_.num_temporaries * STRIP; }
    std::vector<vec *> loss_arrays(int split) const {
        std::vector<vec *> arrays{losses_};
        for (int j = 0; j < job_.splits[split].num_targets; j++) arrays.push_back(targets_ + j * row_);
        for (int j = 0; j < job_.layers.back().out; j++) arrays.push_back(states_of(num_layers_ - 1) + j * row_);
        return arrays;
    }
    // The numbers of a network in an array, and of a leaf.
    real *numbers(vec *array, int lane) const { return reinterpret_cast<real *>(array) + (layout_.shared == SHARED_A ? 0 : lane); }
    int num_own() const { return layout_.shared == SHARED_A ? 1 : LANES; }

    void write_params(const std::vector<real *> &to, int64_t num, int64_t at) const {
        for (int l = 0; l < num_; l++) {
            const real *own = numbers(weights_[now_], l);
            for (size_t leaf = 0; leaf < to.size(); leaf++) {
                const std::vector<int32_t> &places = layout_.places[leaf];
                real *row = to[leaf] + ((first_ + l) * num + at) * places.size();
                for (size_t i = 0; i < places.size(); i++) row[i] = places[i] == PADDING ? real(0) : own[places[i]];
            }
        }
    }

    void begin() {
        now_ = 0, epoch_ = -1, goes_on_ = true;
        for (int l = 0; l < LANES; l++) {
            ended_[l] = 0;
            diverged_step_[l] = stopped_step_[l] = NEVER;
            for (int k = 0; k < 2 * job_.num_rounds; k++) keys_[k][l] = reinterpret_cast<const uint32_t *>(job_.keys.of(network(l)))[k];
        }
        for (int l = 0; l < num_own(); l++)
            for (size_t leaf = 0; leaf < layout_.places.size(); leaf++) {
                const std::vector<int32_t> &places = layout_.places[leaf];
                const char *given = job_.params[leaf].of(network(l)), *mask = job_.has_mask ? job_.masks[leaf].of(network(l)) : nullptr;
                real *own = numbers(weights_[0], l);
                word *own_mask = reinterpret_cast<word *>(numbers(mask_, l));
                for (size_t i = 0; i < places.size(); i++) {
                    if (places[i] == PADDING) continue;
                    own[places[i]] = reinterpret_cast<const real *>(given)[i];
                    if (mask) own_mask[places[i]] = -word(mask[i] != 0);
                }
                for (int c = 1; c < job_.num_classes; c++) {
                    word *is_of_class = reinterpret_cast<word *>(numbers(arrays_ + size_t(job_.num_state + c - 1) * layout_.num_vectors, l));
                    for (int32_t place : places)
                        if (place != PADDING) is_of_class[place] = -word(job_.classes[leaf] == c);
                }
            }
        for (int i = 0; i < job_.num_states * row_; i++) states_[i] = all(real(1));  // among them those that biases are multiplied by
        for (size_t i = 0; i < job_.scalars.size; i++) scalars_[i] = (vec)all_bits(job_.scalars[i]);
        for (size_t i = 0; i < job_.settings.size(); i++)
            for (int l = 0; l < LANES; l++) std::memcpy(reinterpret_cast<real *>(scalars_ + job_.setting_at[i]) + l, job_.settings[i].of(network(l)), sizeof(real));
        begin_points();
        lane_start_.run(1);
        start_.run_all(layout_.num_vectors);
    }

    // The outputs of a block of points.
    void forward(const Products &products, const Inputs &inputs) {
        for (int l = 0; l < num_layers_; l++) {
            const Layer &layer = job_.layers[l];
            multiply(products.forward[l], weights_of(l), l ? states_of(l - 1) : inputs.start, states_ + layer.sums * row_);
            if (layer.activation == PROGRAM) run_in_parts(activations_[l], layer.out * row_);
            if (layer.activation == MAXOUT) {
                vec *h = states_of(l);
                const vec *first = states_ + layer.sums * row_, *second = first + layer.out * row_;
                for (int i = 0; i < layer.out * row_; i++) h[i] = pick(first[i] > second[i], first[i], second[i]);
            }
        }
    }
    // The gradient of all layers, from the derivatives of the loss by the outputs.
    void backward(const Products &products, const Inputs &inputs, int size, bool is_added) {
        for (int l = num_layers_ - 1; l >= 0; l--) {
            const Layer &layer = job_.layers[l];
            vec *delta = states_ + layer.sums * row_;
            if (layer.activation == MAXOUT) {  // to the piece that is the larger one; at ties the second
                const vec *h = states_of(l);
                vec *second = delta + layer.out * row_;
                for (int i = 0; i < layer.out * row_; i++) {
                    const ivec is_first = delta[i] > second[i];
                    delta[i] = pick(is_first, h[i], vec{}), second[i] = pick(is_first, vec{}, h[i]);
                }
            }
            differentiate(l, products.gradient[l], inputs, size, is_added);
            if (l) multiply(products.back[l], weights_of(l), delta, states_of(l - 1));
        }
    }

    void evaluate(int s) {
        const Split &split = job_.splits[s];
        for (int start = 0; start < split.num_points; start += points_) {
            const int size = std::min(points_, split.num_points - start);
            const Inputs inputs = load(s, start, size, false);
            forward(products_of(size, inputs), inputs);
            collect(value_[s], 0, start, size);
            if (job_.has_accuracy) collect(right_[s], 1, start, size);
        }
        const real num = static_cast<real>(split.num_points);
        const vec value = collected(0, split.num_points), right = job_.has_accuracy ? collected(1, split.num_points) : vec{};
        for (int l = 0; l < LANES; l++) records_[2 * s][l] = value[l] / num, records_[2 * s + 1][l] = right[l] / num;
    }
    void write_records(int64_t record) {
        for (int s = 0; s < 1 + job_.has_test; s++)
            for (int l = 0; l < num_; l++) {
                const int64_t at = (first_ + l) * job_.records.num + record;
                job_.results.losses[s][at] = records_[2 * s][l];
                if (job_.has_accuracy) job_.results.rights[s][at] = records_[2 * s + 1][l];
            }
    }
    // The next step with a record or a snapshot.
    int64_t next_due(int64_t step) const {
        return std::min(job_.records.after(step), job_.snapshots.after(step));
    }
    // Records and snapshots that are due before a step, or at the end.
    void observe(int64_t step) {
        const int64_t record = job_.records.find(step), snapshot = job_.snapshots.find(step);
        if (record >= 0) {
            for (int s = 0; s < 1 + job_.has_test; s++) evaluate(s);
            write_records(record);
            for (int l = 0; l < LANES; l++)
                if (!ended_[l] && records_[1][l] >= static_cast<real>(job_.stop_accuracy)) stopped_step_[l] = static_cast<int32_t>(step), ended_[l] = -1;
        }
        if (snapshot >= 0) write_params(job_.results.snapshots, job_.snapshots.num, snapshot);
        goes_on_ = any(ended_ == 0);
    }
    // What is recorded of networks that have all ended, from a step on, whose own records are taken.
    void rest(int64_t step) {
        bool is_known = job_.records.find(step) >= 0;
        for (int64_t later = step + 1; later <= job_.num_steps && (job_.records.num || job_.snapshots.num); later++) {
            const int64_t record = job_.records.find(later), snapshot = job_.snapshots.find(later);
            if (record >= 0) {
                for (int s = 0; s < 1 + job_.has_test && !is_known; s++) evaluate(s);
                is_known = true;
                write_records(record);
            }
            if (snapshot >= 0) write_params(job_.results.snapshots, job_.snapshots.num, snapshot);
        }
        if (job_.results.batch_losses)
            for (int l = 0; l < num_; l++) std::fill(job_.results.batch_losses + (first_ + l) * job_.num_steps + step, job_.results.batch_losses + (first_ + l + 1) * job_.num_steps, NAN);
    }

    // One step or, where nothing but the parameters and the state of the optimizer goes from one to the next, at most so
    // many; returns how many.
    int64_t take_steps(int64_t first, int64_t most) {
        const bool has_programs = lane_.instructions.size() || lane_after_.instructions.size() || job_.lane_carry.size || job_.value_at >= 0;
        const bool is_plain = !job_.chooses && !job_.results.batch_losses && !has_programs && !any(ended_);
        int64_t step = first;
        const int64_t from = job_.chooses ? step % job_.num_batches * job_.batch : 0;
        const int batch = static_cast<int>(std::min<int64_t>(job_.batch, job_.splits[0].num_points - from)), num = layout_.num_vectors;
        if (job_.chooses) draw(step, batch);
        const size_t num_shared = job_.shared_at.size;
        for (size_t i = 0; i < num_shared; i++) scalars_[job_.shared_at[i]] = all(job_.schedule[step * num_shared + i]);
        if (job_.share_at >= 0) scalars_[job_.share_at] = all(real(1) / static_cast<real>(batch));
        lane_.run(1);
        const Derived derived = derive(step, is_plain ? most : 1, batch);
        step += derived.num - 1;
        const vec sum = derived.sum;
        if (job_.has_mask)
            for (int i = 0; i < num; i++) gradient_[i] = (vec)((ivec)gradient_[i] & (ivec)mask_[i]);
        if (job_.results.batch_losses)
            for (int l = 0; l < num_; l++) job_.results.batch_losses[(first_ + l) * job_.num_steps + step] = ended_[l] ? NAN : sum[l];
        if (job_.value_at >= 0) scalars_[job_.value_at] = sum;
        lane_after_.run(1);
        for (size_t k = 0; k < job_.rounds.size(); k++) {
            rounds_[now_][k].first.run_all(num);
            for (const Job::Sum &own : job_.rounds[k].sums) scalars_[own.place] = sum_of(arrays_ + size_t(own.array - 3) * num, own.leaf);
            rounds_[now_][k].second.run(1);
        }
        update(step, sum * real(0), derived.is_optimized ? derived.zero : optimize());
        for (size_t i = 0; i + 1 < job_.lane_carry.size; i += 2) temporaries_[i / 2] = scalars_[job_.lane_carry[i]];
        for (size_t i = 0; i + 1 < job_.lane_carry.size; i += 2) scalars_[job_.lane_carry[i + 1]] = temporaries_[i / 2];
        return derived.num;
    }
    vec sum_of(vec *array, int leaf) const {
        vec total = {};
        for (int l = 0; l < num_own(); l++) {
            const real *own = numbers(array, l);
            real sum = 0;
            for (int32_t place : layout_.places[leaf])
                if (place != PADDING) sum += own[place];
            total[l] = sum;
        }
        return num_own() == 1 ? all(total[0]) : total;
    }
    // The next parameters and state; zero where the parameters are finite.
    vec optimize() {
        const int num_strips = (layout_.num_vectors + STRIP - 1) / STRIP;
        const vec *next = weights_[1 - now_];
        for (int number = 0; number < team_.size; number++) broken_[number] = ivec{};
        in_parts(work_of(job_.optimizer, layout_.num_vectors), [&](int number, int num) {
            const int end = std::min<int64_t>(layout_.num_vectors, int64_t(num_strips) * (number + 1) / num * STRIP);
            ivec broken = {};
            for (int at = static_cast<int>(int64_t(num_strips) * number / num * STRIP); at < end; at += STRIP) {
                const int size = std::min(STRIP, end - at);
                optimizer_[now_][number].run(size, at);
                for (int i = at; i < at + size; i++) broken |= (ivec)(next[i] - next[i]);
            }
            broken_[number] = broken;
        });
        for (int number = 1; number < team_.size; number++) broken_[0] |= broken_[number];
        return (vec)broken_[0];
    }
    // A program on so many vectors; about as much work as so many multiply-adds.
    void run_in_parts(const std::vector<Bound> &program, int total) {
        const int num_strips = (total + STRIP - 1) / STRIP;
        in_parts(int64_t(program[0].instructions.size()) * total, [&](int number, int num) {
            const int end = std::min(total, static_cast<int>(int64_t(num_strips) * (number + 1) / num) * STRIP);
            for (int at = static_cast<int>(int64_t(num_strips) * number / num) * STRIP; at < end; at += STRIP) program[number].run(std::min(STRIP, end - at), at);
        });
    }
    static int64_t work_of(const Code &program, int64_t total) { return (program.num + 2) * total; }
    // Goes on to the next parameters, unless they or the loss, which gave these zeros, are not finite.
    void update(int64_t step, vec of_loss, vec of_params) {
        const int num = layout_.num_vectors;
        vec *old = weights_[now_], *next = weights_[1 - now_];
        ivec diverges = of_loss + of_params != real(0);
        if (any(diverges)) {
            if (layout_.shared == SHARED_A) diverges = all_bits(-word(of_loss[0] != real(0) || !is_finite(next)));
            diverges &= ended_ == 0;
            for (int l = 0; l < LANES; l++)
                if (diverges[l]) diverged_step_[l] = static_cast<int32_t>(step) + 1;
            ended_ |= diverges;
            goes_on_ = any(ended_ == 0);
        }
        if (any(ended_))
            for (int i = 0; i < num; i++) next[i] = pick(ended_, old[i], next[i]);
        now_ = 1 - now_;
    }
    // Of a single network, whose vectors hold other numbers than parameters, too.
    bool is_finite(vec *array) const {
        for (const std::vector<int32_t> &places : layout_.places)
            for (int32_t place : places)
                if (place != PADDING && numbers(array, 0)[place] * real(0) != real(0)) return false;
        return true;
    }

    void finish() const {
        write_params(job_.results.params, 1, 0);
        for (int l = 0; l < num_; l++) job_.results.diverged_step[first_ + l] = diverged_step_[l], job_.results.stopped_step[first_ + l] = stopped_step_[l], job_.results.by_engine[first_ + l] = layout_.shared == SHARED_A ? ALONE : IN_GROUPS;
    }
};

}  // namespace jaxgeom::training
