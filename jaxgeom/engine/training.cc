// Whole runs of training for populations of small MLPs, called by XLA: networks in the lanes of vectors, one group of them
// after the other on every core, from the initial parameters to the last record.
//
// The products of the layers are written here (products.h). Everything elementwise, the optimizer's update, the loss and
// its gradient, accuracies and activations, comes as programs for the machine (machine.h), which
// jaxgeom/training/native.py compiles; it is the other half of this file, and says what the attributes mean.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <thread>

#include "engine.h"
#include "instructions.h"
#include "machine.h"
#include "pool.h"
#include "products.h"
#include "xla.h"

namespace jaxgeom::training {
namespace {

constexpr int MOST_POINTS = 16;  // that are worked on at once
constexpr int NEVER = -1;
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
    std::vector<float> rows, inputs, targets;
    Code value, right;

    void pack_rows(int64_t network, float *to) const {
        const float *points = reinterpret_cast<const float *>(x.of(network)), *values = reinterpret_cast<const float *>(y.of(network));
        for (int p = 0; p < num_points; p++) {
            float *row = to + size_t(p) * num_columns;
            std::memcpy(row, points + size_t(p) * num_inputs, num_inputs * sizeof(float));
            std::memcpy(row + num_inputs, values + size_t(p) * num_targets, num_targets * sizeof(float));
        }
    }
    void prepare(bool chooses) {
        num_columns = (num_inputs + num_targets + 3) / 4 * 4;
        is_shared = x.is_shared() && y.is_shared();
        if (!is_shared) return;
        if (chooses) {
            rows.resize(size_t(num_points) * num_columns);
            pack_rows(0, rows.data());
        }
        const float *points = reinterpret_cast<const float *>(x.data), *values = reinterpret_cast<const float *>(y.data);
        inputs.assign(size_t(num_inputs + 1) * num_points, 1.0f);
        targets.resize(size_t(num_targets) * num_points);
        for (int p = 0; p < num_points; p++) {
            for (int i = 0; i < num_inputs; i++) inputs[size_t(i) * num_points + p] = points[size_t(p) * num_inputs + i];
            for (int j = 0; j < num_targets; j++) targets[size_t(j) * num_points + p] = values[size_t(p) * num_targets + j];
        }
    }
};

struct Layer {
    int in, width, out, rows;         // columns of the kernel, units (half as many for maxout); numbers of a column, its bias included
    int weights, states, sums, slopes; // where the layer's numbers begin among all: its parameters, its units, their pre-activations, slopes
    Activation activation;            // that follows
    Code program;
};

// The products of all layers for so many points.
struct Products {
    int size, row;
    bool is_shared;
    std::vector<Product> forward, back, gradient;
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
};

// The order of the points: the bijection of jaxgeom/training/shuffle.py.
struct Order {
    uint32_t num_points, high_base, low_base;
    int num_rounds = 0;
    explicit Order(int64_t num = 1, int rounds = 0) : num_points(static_cast<uint32_t>(num)), num_rounds(rounds) {
        uint32_t root = 0;
        while (uint64_t(root) * root < uint64_t(num)) root++;
        high_base = root, low_base = static_cast<uint32_t>((num + root - 1) / root);
        for (uint32_t base = root; base > root / 2; base--)
            if (num % base == 0) { high_base = base, low_base = static_cast<uint32_t>(num / base); break; }
    }
    static uvec mixed(uvec x, uint32_t factor) { return (x ^ (x >> 16)) * factor; }
    static uvec epoch_key(uvec key, uint32_t epoch) {
        const uvec x = mixed(mixed(key + epoch * 0x9E3779B9u, 0x85EBCA6Bu), 0xC2B2AE35u);
        return x ^ (x >> 16);
    }
    // keys: two for each round. Digits of the position in, of its place in the order out.
    void permute(const uvec *keys, uvec &high, uvec &low) const {
        const auto random = [](uvec digit, const uvec *key, uint32_t base) {
            const uvec x = mixed((digit + key[0]) * (key[1] | 1), 0x85EBCA6Bu);
            return ((x >> 16) * base) >> 16;
        };
        const auto add = [](uvec a, uvec b, uint32_t base) {
            const uvec sum = a + b;
            return (ivec)sum >= static_cast<int32_t>(base) ? sum - base : sum;
        };
        for (int round = 0; round < num_rounds; round += 2) {
            high = add(high, random(low, keys + 2 * round, high_base), high_base);
            low = add(low, random(high, keys + 2 * round + 2, low_base), low_base);
        }
    }
    ivec at(const uvec *keys, uint32_t position) const {
        uvec high = uvec{} + position / low_base, low = uvec{} + position % low_base;
        permute(keys, high, low);
        for (;;) {  // positions outside of the range walk on
            const uvec place = high * low_base + low;
            const ivec outside = (ivec)place >= static_cast<int32_t>(num_points);
            bool any = false;
            for (int l = 0; l < LANES; l++) any |= outside[l] != 0;
            if (!any) return (ivec)place;
            uvec next_high = high, next_low = low;
            permute(keys, next_high, next_low);
            high = outside ? next_high : high, low = outside ? next_low : low;
        }
    }
};

struct Results {
    std::vector<float *> params, snapshots, masks;
    int32_t *diverged_step = nullptr, *stopped_step = nullptr, *by_engine = nullptr;
    float *losses[2] = {}, *rights[2] = {}, *batch_losses = nullptr;
};

struct Job {
    std::vector<Layer> layers;
    int num_params = 0, num_states = 0, block = 0, num_rounds = 0;
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
    xla::Span<int32_t> scalars;
    xla::Span<int64_t> setting_at, shared_at, lane_carry;
    std::vector<float> schedule;  // (steps, shared scalars)
    std::vector<std::unique_ptr<Products>> products;

    bool walks(int split) const { return splits[split].is_shared && !(split == 0 && chooses); }

    const Products *products_of(int size, int row, bool is_shared) const {
        for (const auto &each : products)
            if (each->size == size && each->is_shared == is_shared && (!is_shared || each->row == row)) return each.get();
        return nullptr;
    }
    void plan(int size, int row, bool is_shared) {
        if (size < 1 || products_of(size, row, is_shared)) return;
        auto own = std::make_unique<Products>(Products{size, row, is_shared, {}, {}, {}});
        for (size_t l = 0; l < layers.size(); l++) {
            const Layer &layer = layers[l];
            const bool first = l == 0 && is_shared;
            const int step = first ? row : block;
            own->forward.emplace_back(layer.activation == RELU ? FORWARD_RELU : FORWARD, layer.width, size, layer.in, layer.rows, 1, 1, step, first, block, 0, has_bias);
            own->gradient.emplace_back(GRADIENT, layer.width, layer.rows, size, block, 1, step, 1, first, layer.rows);
            if (l == 0) { own->back.emplace_back(); continue; }
            const Layer &before = layers[l - 1];
            const Kind kind = before.activation == RELU ? BACK_RELU : before.activation == PROGRAM ? BACK_SLOPE : BACK_LINEAR;
            own->back.emplace_back(kind, layer.in, size, layer.width, 1, layer.rows, 1, block, false, block, before.slopes - before.states);
        }
        products.push_back(std::move(own));
    }
};

// Points of a packed split, one row for each lane, as columns of vectors.
inline void gather(const float *const *bases, const int32_t *rows, int num_columns, int num_inputs, int num_targets, vec *inputs, vec *targets, int stride) {
    for (int c = 0; c < num_columns; c += 4) {
        vec column[4];
#define JAXGEOM_PART(l) _mm_loadu_ps(bases[l] + size_t(rows[l]) * num_columns + c)
#if defined(__AVX512F__)
        __m512 part[4];
        for (int j = 0; j < 4; j++) {
            part[j] = _mm512_castps128_ps512(JAXGEOM_PART(j));
            part[j] = _mm512_insertf32x4(part[j], JAXGEOM_PART(j + 4), 1);
            part[j] = _mm512_insertf32x4(part[j], JAXGEOM_PART(j + 8), 2);
            part[j] = _mm512_insertf32x4(part[j], JAXGEOM_PART(j + 12), 3);
        }
        __m512d low[2], high[2];
        for (int j = 0; j < 2; j++) {
            low[j] = (__m512d)_mm512_unpacklo_ps(part[2 * j], part[2 * j + 1]);
            high[j] = (__m512d)_mm512_unpackhi_ps(part[2 * j], part[2 * j + 1]);
        }
        column[0] = (vec)_mm512_unpacklo_pd(low[0], low[1]), column[1] = (vec)_mm512_unpackhi_pd(low[0], low[1]);
        column[2] = (vec)_mm512_unpacklo_pd(high[0], high[1]), column[3] = (vec)_mm512_unpackhi_pd(high[0], high[1]);
#elif defined(__AVX2__)
        __m256 part[4];
        for (int j = 0; j < 4; j++) part[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(JAXGEOM_PART(j)), JAXGEOM_PART(j + 4), 1);
        __m256d low[2], high[2];
        for (int j = 0; j < 2; j++) {
            low[j] = (__m256d)_mm256_unpacklo_ps(part[2 * j], part[2 * j + 1]);
            high[j] = (__m256d)_mm256_unpackhi_ps(part[2 * j], part[2 * j + 1]);
        }
        column[0] = (vec)_mm256_unpacklo_pd(low[0], low[1]), column[1] = (vec)_mm256_unpackhi_pd(low[0], low[1]);
        column[2] = (vec)_mm256_unpacklo_pd(high[0], high[1]), column[3] = (vec)_mm256_unpackhi_pd(high[0], high[1]);
#else
        for (int j = 0; j < 4; j++)
            for (int l = 0; l < LANES; l++) column[j][l] = bases[l][size_t(rows[l]) * num_columns + c + j];
#endif
#undef JAXGEOM_PART
        for (int j = 0; j < 4; j++) {
            const int i = c + j;
            if (i < num_inputs) inputs[i * stride] = column[j];
            else if (i < num_inputs + num_targets) targets[(i - num_inputs) * stride] = column[j];
        }
    }
}

inline bool any(ivec mask) {
    int32_t found = 0;
    for (int l = 0; l < LANES; l++) found |= mask[l];
    return found != 0;
}

// What a thread needs for one group of networks after the other.
class Group {
  public:
    explicit Group(const Job &job) : job_(job), num_layers_(static_cast<int>(job.layers.size())) {
        most_targets_ = std::max(job.splits[0].num_targets, job.splits[1].num_targets);
        const size_t block = job.block, num = job.num_params;
        const size_t total = num * (1 + job.num_arrays) + job.num_states + (most_targets_ + 1) * block + job.scalars.size + size_t(job.num_temporaries) * STRIP + (job.chooses ? job.batch : block) + 4 * job.num_rounds + 8;
        memory_.reset(static_cast<vec *>(::operator new(total * sizeof(vec), std::align_val_t(64))));
        std::memset(static_cast<void *>(memory_.get()), 0, total * sizeof(vec));
        vec *at = memory_.get();
        const auto take = [&](size_t size) { vec *start = at; at += size; return start; };
        weights_[0] = take(num), weights_[1] = take(num), gradient_ = take(num), mask_ = take(num);
        arrays_ = take(num * (job.num_arrays - 3)), states_ = take(job.num_states), targets_ = take(most_targets_ * block), losses_ = take(block);
        scalars_ = take(job.scalars.size), temporaries_ = take(size_t(job.num_temporaries) * STRIP);
        rows_ = reinterpret_cast<int32_t *>(take(job.chooses ? job.batch : block));
        keys_ = reinterpret_cast<uvec *>(take(2 * job.num_rounds)), epoch_keys_ = reinterpret_cast<uvec *>(take(2 * job.num_rounds));
        for (int s = 0; s < 2; s++) {
            const Split &split = job.splits[s];
            if (split.num_points && !split.is_shared) own_rows_[s].resize(size_t(LANES) * split.num_points * split.num_columns);
        }
        for (int t = 0; t < 2; t++) {
            std::vector<vec *> arrays{weights_[1 - t], weights_[t], gradient_};
            for (int k = 0; k < job.num_arrays - 3; k++) arrays.push_back(arrays_ + k * num);
            for (const Job::Round &round : job.rounds) rounds_[t].push_back({Bound(round.summed, temporaries_, arrays, scalars_), Bound(round.lane, temporaries_, {}, scalars_)});
            optimizer_[t] = Bound(job.optimizer, temporaries_, arrays, scalars_);
            if (t == 0) start_ = Bound(job.start, temporaries_, arrays, scalars_);
        }
        lane_ = Bound(job.lane, temporaries_, {}, scalars_), lane_after_ = Bound(job.lane_after, temporaries_, {}, scalars_), lane_start_ = Bound(job.lane_start, temporaries_, {}, scalars_);
        loss_ = Bound(job.loss, temporaries_, loss_arrays(0), scalars_);
        for (int s = 0; s < 2; s++) value_[s] = Bound(job.splits[s].value, temporaries_, loss_arrays(s), scalars_), right_[s] = Bound(job.splits[s].right, temporaries_, loss_arrays(s), scalars_);
        for (const Layer &layer : job.layers) activations_.emplace_back(layer.program, temporaries_, std::vector<vec *>{states_ + layer.states, states_ + layer.slopes}, scalars_);
    }

    void train(int64_t first) {
        first_ = first, num_ = static_cast<int>(std::min<int64_t>(LANES, job_.num - first));
        begin();
        int64_t step = 0;
        for (; step < job_.num_steps; step++) {
            if (!observe(step)) break;
            take_step(step);
        }
        if (step == job_.num_steps) observe(step);
        else rest(step);
        finish();
    }

  private:
    struct Free { void operator()(vec *p) const { ::operator delete(static_cast<void *>(p), std::align_val_t(64)); } };
    const Job &job_;
    const int num_layers_;
    int most_targets_;
    std::unique_ptr<vec, Free> memory_;
    vec *weights_[2], *gradient_, *mask_, *arrays_, *states_, *targets_, *losses_, *scalars_, *temporaries_;
    int32_t *rows_;
    uvec *keys_, *epoch_keys_;
    std::vector<float> own_rows_[2];
    const float *bases_[2][LANES] = {};
    Bound optimizer_[2], lane_, lane_after_, start_, lane_start_, loss_, value_[2], right_[2];
    std::vector<Bound> activations_;
    std::vector<std::pair<Bound, Bound>> rounds_[2];
    int64_t first_ = 0, epoch_ = -1;
    int num_ = 0, now_ = 0;
    bool are_targets_there_ = false;
    ivec ended_ = {};  // lanes that train no more
    int32_t diverged_step_[LANES], stopped_step_[LANES];
    float records_[4][LANES];

    std::vector<vec *> loss_arrays(int split) const {
        std::vector<vec *> arrays{losses_};
        for (int j = 0; j < job_.splits[split].num_targets; j++) arrays.push_back(targets_ + j * job_.block);
        const Layer &last = job_.layers.back();
        for (int j = 0; j < last.out; j++) arrays.push_back(states_ + last.states + j * job_.block);
        return arrays;
    }
    // The network of a lane; lanes that are left over repeat the last one.
    int64_t network(int lane) const { return first_ + std::min(lane, num_ - 1); }

    // fn(leaf, place among the parameters, place in the leaf) for every parameter: kernels are (in, out) outside, and
    // here (out, in and bias).
    template <class F>
    void for_each_parameter(const F &fn) const {
        int leaf = 0;
        for (const Layer &layer : job_.layers) {
            for (int i = 0; i < layer.in; i++)
                for (int j = 0; j < layer.width; j++) fn(leaf, layer.weights + j * layer.rows + i, i * layer.width + j);
            leaf++;
            if (!job_.has_bias) continue;
            for (int j = 0; j < layer.width; j++) fn(leaf, layer.weights + j * layer.rows + layer.in, j);
            leaf++;
        }
    }
    void write_params(const std::vector<float *> &to, int64_t num, int64_t at) const {
        const vec *w = weights_[now_];
        for (int l = 0; l < num_; l++) {
            const int64_t row = (first_ + l) * num + at;
            for_each_parameter([&](int leaf, int from, int place) { to[leaf][row * job_.params[leaf].bytes / 4 + place] = w[from][l]; });
        }
    }

    void begin() {
        now_ = 0, epoch_ = -1, are_targets_there_ = false;
        for (int l = 0; l < LANES; l++) {
            ended_[l] = 0;
            diverged_step_[l] = stopped_step_[l] = NEVER;
            for_each_parameter([&](int leaf, int to, int place) { weights_[0][to][l] = reinterpret_cast<const float *>(job_.params[leaf].of(network(l)))[place]; });
            if (job_.has_mask)
                for_each_parameter([&](int leaf, int to, int place) { reinterpret_cast<ivec *>(mask_)[to][l] = -int32_t(job_.masks[leaf].of(network(l))[place] != 0); });
            for (int k = 0; k < 2 * job_.num_rounds; k++) keys_[k][l] = reinterpret_cast<const uint32_t *>(job_.keys.of(network(l)))[k];
        }
        for (int s = 0; s < 2; s++) {
            const Split &split = job_.splits[s];
            for (int l = 0; l < LANES && split.num_points; l++) {
                if (split.is_shared) { bases_[s][l] = split.rows.data(); continue; }
                float *own = own_rows_[s].data() + size_t(l) * split.num_points * split.num_columns;
                split.pack_rows(network(l), own);
                bases_[s][l] = own;
            }
        }
        for (int i = 0; i < job_.num_states; i++) states_[i] = all(1.0f);  // among them those that biases are multiplied by
        for (size_t i = 0; i < job_.scalars.size; i++) scalars_[i] = (vec)all_bits(job_.scalars[i]);
        for (size_t i = 0; i < job_.settings.size(); i++)
            for (int l = 0; l < LANES; l++) std::memcpy(reinterpret_cast<char *>(scalars_ + job_.setting_at[i]) + 4 * l, job_.settings[i].of(network(l)), 4);
        for (int c = 1; c < job_.num_classes; c++)
            for_each_parameter([&](int leaf, int to, int) { arrays_[size_t(job_.num_state + c - 1) * job_.num_params + to] = (vec)all_bits(-(job_.classes[leaf] == c)); });
        lane_start_.run(1);
        start_.run_all(job_.num_params);
    }

    // The outputs of a block of points; the first layer's inputs are `x`.
    void forward(const Products &products, const void *x) {
        for (int l = 0; l < num_layers_; l++) {
            const Layer &layer = job_.layers[l];
            products.forward[l].run(weights_[now_] + layer.weights, l ? states_ + job_.layers[l - 1].states : x, states_ + layer.sums);
            if (layer.activation == PROGRAM) activations_[l].run_all(layer.out * job_.block);
            if (layer.activation == MAXOUT) {
                vec *h = states_ + layer.states;
                const vec *first = states_ + layer.sums, *second = first + layer.out * job_.block;
                for (int i = 0; i < layer.out * job_.block; i++) h[i] = pick(first[i] > second[i], first[i], second[i]);
            }
        }
    }
    // Inputs and targets of the points from `start` on, `rows` apart for every lane, or in turn.
    const void *load(int s, int start, int size, const int32_t *rows) {
        const Split &split = job_.splits[s];
        if (job_.walks(s)) {
            for (int j = 0; j < split.num_targets; j++)
                for (int p = 0; p < size; p++) targets_[j * job_.block + p] = all(split.targets[size_t(j) * split.num_points + start + p]);
            return split.inputs.data() + start;
        }
        int32_t turn[LANES];
        for (int p = 0; p < size; p++) {
            if (!rows) std::fill(turn, turn + LANES, start + p);
            gather(bases_[s], rows ? rows + p * LANES : turn, split.num_columns, split.num_inputs, split.num_targets, states_ + p, targets_ + p, job_.block);
        }
        return states_;
    }

    void evaluate(int s) {
        const Split &split = job_.splits[s];
        vec value = {}, right = {};
        for (int start = 0; start < split.num_points; start += job_.block) {
            const int size = std::min<int>(job_.block, split.num_points - start);
            const void *x = load(s, start, size, nullptr);
            forward(*job_.products_of(size, split.num_points, job_.walks(s)), x);
            value += sum_of(value_[s], size);
            if (job_.has_accuracy) right += sum_of(right_[s], size);
        }
        are_targets_there_ = false;
        for (int l = 0; l < LANES; l++) {
            records_[2 * s][l] = value[l] / static_cast<float>(split.num_points);
            records_[2 * s + 1][l] = right[l] / static_cast<float>(split.num_points);
        }
    }
    vec sum_of(const Bound &program, int size) {
        program.run_all(size);
        vec sum = {};
        for (int p = 0; p < size; p++) sum += losses_[p];
        return sum;
    }

    void write_records(int64_t record) {
        for (int s = 0; s < 1 + job_.has_test; s++)
            for (int l = 0; l < num_; l++) {
                const int64_t at = (first_ + l) * job_.records.num + record;
                job_.results.losses[s][at] = records_[2 * s][l];
                if (job_.has_accuracy) job_.results.rights[s][at] = records_[2 * s + 1][l];
            }
    }
    // Records and snapshots that are due before a step, or at the end; whether any network goes on.
    bool observe(int64_t step) {
        const int64_t record = job_.records.find(step), snapshot = job_.snapshots.find(step);
        if (record >= 0) {
            for (int s = 0; s < 1 + job_.has_test; s++) evaluate(s);
            write_records(record);
            for (int l = 0; l < num_; l++)
                if (!ended_[l] && records_[1][l] >= static_cast<float>(job_.stop_accuracy)) stopped_step_[l] = static_cast<int32_t>(step), ended_[l] = -1;
        }
        if (snapshot >= 0) write_params(job_.results.snapshots, job_.snapshots.num, snapshot);
        return any(ended_ == 0);
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

    void draw(int64_t step, int size) {
        const int64_t epoch = step / job_.num_batches, start = step % job_.num_batches * job_.batch;
        if (epoch != epoch_) {
            for (int k = 0; k < 2 * job_.num_rounds; k++) epoch_keys_[k] = Order::epoch_key(keys_[k], static_cast<uint32_t>(epoch));
            epoch_ = epoch;
        }
        for (int p = 0; p < size; p++)
            reinterpret_cast<ivec *>(rows_)[p] = job_.num_rounds ? job_.order.at(epoch_keys_, static_cast<uint32_t>(start + p)) : all_bits(static_cast<int32_t>(start + p));
    }

    void take_step(int64_t step) {
        const Split &split = job_.splits[0];
        const int64_t from = job_.chooses ? step % job_.num_batches * job_.batch : 0;
        const int batch = static_cast<int>(std::min<int64_t>(job_.batch, split.num_points - from)), num = job_.num_params;
        if (job_.chooses) draw(step, batch);
        const size_t num_shared = job_.shared_at.size;
        for (size_t i = 0; i < num_shared; i++) scalars_[job_.shared_at[i]] = all(job_.schedule[step * num_shared + i]);
        if (job_.share_at >= 0) scalars_[job_.share_at] = all(1.0f / static_cast<float>(batch));
        lane_.run(1);
        const bool walks = job_.walks(0);
        vec sum = {};
        for (int start = 0; start < batch; start += job_.block) {
            const int size = std::min(job_.block, batch - start);
            const void *x = walks ? static_cast<const void *>(split.inputs.data() + start) : states_;
            if (!walks || !are_targets_there_) x = load(0, start, size, job_.chooses ? rows_ + start * LANES : nullptr);
            are_targets_there_ = walks && batch <= job_.block;
            const Products &products = *job_.products_of(size, split.num_points, walks);
            forward(products, x);
            sum += sum_of(loss_, size);
            for (int l = num_layers_ - 1; l >= 0; l--) {
                const Layer &layer = job_.layers[l];
                vec *delta = states_ + layer.sums;
                if (layer.activation == MAXOUT) {  // to the piece that is the larger one; at ties the second
                    const vec *h = states_ + layer.states;
                    vec *second = delta + layer.out * job_.block;
                    for (int i = 0; i < layer.out * job_.block; i++) {
                        const ivec is_first = delta[i] > second[i];
                        delta[i] = pick(is_first, h[i], vec{}), second[i] = pick(is_first, vec{}, h[i]);
                    }
                }
                products.gradient[l].run(delta, l ? states_ + job_.layers[l - 1].states : x, gradient_ + layer.weights, start > 0);
                if (l) products.back[l].run(weights_[now_] + layer.weights, delta, states_ + job_.layers[l - 1].states);
            }
        }
        if (job_.has_mask)
            for (int i = 0; i < num; i++) gradient_[i] = (vec)((ivec)gradient_[i] & (ivec)mask_[i]);
        if (job_.results.batch_losses)
            for (int l = 0; l < num_; l++) job_.results.batch_losses[(first_ + l) * job_.num_steps + step] = ended_[l] ? NAN : sum[l];
        if (job_.value_at >= 0) scalars_[job_.value_at] = sum;
        lane_after_.run(1);
        for (size_t k = 0; k < job_.rounds.size(); k++) {
            rounds_[now_][k].first.run_all(num);
            for (const Job::Sum &own : job_.rounds[k].sums) {
                const vec *summed = arrays_ + size_t(own.array - 3) * num;
                vec total = {};
                for_each_parameter([&](int leaf, int from, int) { if (leaf == own.leaf) total += summed[from]; });
                scalars_[own.place] = total;
            }
            rounds_[now_][k].second.run(1);
        }
        vec *old = weights_[now_], *next = weights_[1 - now_], finite = sum * 0.0f;
        for (int at = 0; at < num; at += STRIP) {
            const int size = std::min(STRIP, num - at);
            optimizer_[now_].run(size, at);
            vec zeros[4] = {};
            int i = at;
            for (; i + 4 <= at + size; i += 4)
                for (int k = 0; k < 4; k++) zeros[k] += next[i + k] * 0.0f;
            for (; i < at + size; i++) zeros[0] += next[i] * 0.0f;
            finite += (zeros[0] + zeros[1]) + (zeros[2] + zeros[3]);
        }
        for (size_t i = 0; i + 1 < job_.lane_carry.size; i += 2) temporaries_[i / 2] = scalars_[job_.lane_carry[i]];
        for (size_t i = 0; i + 1 < job_.lane_carry.size; i += 2) scalars_[job_.lane_carry[i + 1]] = temporaries_[i / 2];
        const ivec diverges = (finite != 0.0f) & (ended_ == 0);
        if (any(diverges)) {
            for (int l = 0; l < LANES; l++)
                if (diverges[l]) diverged_step_[l] = static_cast<int32_t>(step) + 1;
            ended_ |= diverges;
        }
        if (any(ended_))
            for (int i = 0; i < num; i++) next[i] = pick(ended_, old[i], next[i]);
        now_ = 1 - now_;
    }

    void finish() const {
        write_params(job_.results.params, 1, 0);
        for (int l = 0; l < num_; l++) job_.results.diverged_step[first_ + l] = diverged_step_[l], job_.results.stopped_step[first_ + l] = stopped_step_[l], job_.results.by_engine[first_ + l] = 1;
    }
};

// The numbers that all networks share, for every step.
void run_schedule(Job &job, xla::Span<int32_t> initial, xla::Span<int64_t> from, xla::Span<int64_t> carry) {
    const size_t num_shared = job.shared_at.size;
    if (!num_shared) return;
    std::vector<Number> slots(initial.size), held(carry.size / 2);
    for (size_t i = 0; i < initial.size; i++) slots[i].i = initial[i];
    job.schedule.resize(size_t(job.num_steps) * num_shared);
    for (int64_t step = 0; step < job.num_steps; step++) {
        run_shared(job.shared, slots);
        for (size_t i = 0; i < num_shared; i++) std::memcpy(&job.schedule[step * num_shared + i], &slots[from[i]], 4);
        for (size_t i = 0; i < held.size(); i++) held[i] = slots[carry[2 * i]];
        for (size_t i = 0; i < held.size(); i++) slots[carry[2 * i + 1]] = held[i];
    }
}

const char *run(const xla::CallFrame &frame, xla::ErrorCode &code) {
    code = xla::kInvalidArgument;
    const auto integers = [&](const char *name) { return xla::attribute<int64_t>(frame.attributes, name, xla::kInt64); };
    const auto words = [&](const char *name) { return xla::attribute<int32_t>(frame.attributes, name, xla::kInt32); };
    const auto sizes = integers("sizes"), widths = integers("widths"), kinds = integers("kinds"), snapshot_steps = integers("snapshot_steps"), code_sizes = integers("code_sizes");
    const auto stop = xla::attribute<double>(frame.attributes, "stop", xla::kFloat64);
    const auto numbers = words("code");
    if (sizes.size != 22 || widths.size < 2 || kinds.size + 1 != widths.size || stop.size != 1 || code_sizes.size < 11 + kinds.size) return "the sizes of the run do not fit together";
    Job job;
    size_t at = 0;
    const auto next = [&] { return sizes[at++]; };
    const int depth = static_cast<int>(next());
    job.has_bias = next();
    job.batch = next(), job.num_batches = next(), job.num_steps = next();
    job.records = {next(), 0, nullptr}, job.records.num = next();
    job.snapshots = {next(), 0, snapshot_steps.start}, job.snapshots.num = next();
    const bool keeps_batch_losses = next();
    job.has_test = next(), job.has_accuracy = next();
    job.num_rounds = static_cast<int>(next());
    job.has_mask = next();
    const int64_t num_settings = next();
    job.num_state = static_cast<int>(next()), job.num_classes = static_cast<int>(next()), job.num_arrays = static_cast<int>(next()), job.num_temporaries = static_cast<int>(next());
    job.share_at = static_cast<int>(next()), job.value_at = static_cast<int>(next());
    const int64_t threads = next();
    job.stop_accuracy = stop[0];

    // Arguments and results.
    const auto buffer = [&](int64_t i) -> const xla::Buffer & { return *frame.arguments.buffers[i]; };
    const auto result = [&](int64_t i) -> const xla::Buffer & { return *frame.results.buffers[i]; };
    const int num_layers = static_cast<int>(kinds.size), num_leaves = num_layers * (1 + job.has_bias);
    const int64_t num_splits = 1 + job.has_test;
    const int64_t num_arguments = (job.num_rounds > 0) + 2 * num_splits + num_leaves * (1 + job.has_mask) + num_settings;
    const int64_t num_results = num_leaves + 3 + (job.records.num ? num_splits * (1 + job.has_accuracy) : 0) + keeps_batch_losses + (job.snapshots.num ? num_leaves : 0);
    if (frame.arguments.size != num_arguments || frame.results.size != num_results) return "the arrays of the run do not fit together";
    std::vector<int64_t> leading(result(0).shape, result(0).shape + depth);
    for (int64_t size : leading) job.num *= size;
    int64_t i = 0;
    const auto argument = [&](int itemsize) { return Argument(buffer(i++), depth, leading, itemsize); };
    if (job.num_rounds) job.keys = argument(4);
    for (int s = 0; s < num_splits; s++) {
        Split &split = job.splits[s];
        split.x = argument(4), split.y = argument(4);
        split.num_inputs = static_cast<int>(widths[0]);
        split.num_points = static_cast<int>(split.x.bytes / 4 / widths[0]);
        split.num_targets = static_cast<int>(split.y.bytes / 4 / split.num_points);
    }
    for (int k = 0; k < num_leaves; k++) job.params.push_back(argument(4));
    for (int k = 0; k < num_leaves * job.has_mask; k++) job.masks.push_back(argument(1));
    for (int64_t k = 0; k < num_settings; k++) job.settings.push_back(argument(4));
    i = 0;
    for (int k = 0; k < num_leaves; k++) job.results.params.push_back(static_cast<float *>(result(i++).data));
    job.results.diverged_step = static_cast<int32_t *>(result(i++).data), job.results.stopped_step = static_cast<int32_t *>(result(i++).data), job.results.by_engine = static_cast<int32_t *>(result(i++).data);
    for (int s = 0; s < num_splits && job.records.num; s++) {
        job.results.losses[s] = static_cast<float *>(result(i++).data);
        if (job.has_accuracy) job.results.rights[s] = static_cast<float *>(result(i++).data);
    }
    if (keeps_batch_losses) job.results.batch_losses = static_cast<float *>(result(i++).data);
    for (int k = 0; k < num_leaves && job.snapshots.num; k++) job.results.snapshots.push_back(static_cast<float *>(result(i++).data));
    if (job.num == 0) return nullptr;

    // Programs.
    const int32_t *instruction = numbers.start;
    const auto program = [&](size_t index) {
        const Code own{static_cast<int>(code_sizes[index]), instruction};
        instruction += NUMBERS * code_sizes[index];
        return own;
    };
    job.optimizer = program(0), job.lane = program(1), job.lane_after = program(2), job.start = program(3), job.lane_start = program(4), job.loss = program(5), job.shared = program(6);
    for (int s = 0; s < 2; s++) job.splits[s].value = program(7 + 2 * s), job.splits[s].right = program(8 + 2 * s);
    job.scalars = words("scalars"), job.setting_at = integers("setting_at"), job.shared_at = integers("shared_at"), job.lane_carry = integers("lane_carry");
    run_schedule(job, words("shared_slots"), integers("shared_from"), integers("shared_carry"));

    const auto classes = integers("classes"), sums = integers("sums");
    job.classes.assign(classes.start, classes.start + classes.size);
    for (size_t k = 0; k < sums.size;) {
        Job::Round own;
        for (int64_t count = sums[k++]; count > 0; count--, k += 3) own.sums.push_back({static_cast<int>(sums[k]), static_cast<int>(sums[k + 1]), static_cast<int>(sums[k + 2])});
        job.rounds.push_back(std::move(own));
    }
    // Layers, in blocks of points of one size.
    const int num_points = job.splits[0].num_points;
    job.chooses = job.batch < num_points;
    job.order = Order(num_points, job.num_rounds);
    const int64_t parts = (job.batch + MOST_POINTS - 1) / MOST_POINTS;
    job.block = static_cast<int>((job.batch + parts - 1) / parts);
    int states = static_cast<int>(widths[0] + 1) * job.block;
    for (int l = 0; l < num_layers; l++) {
        const int in = static_cast<int>(widths[l]), out = static_cast<int>(widths[l + 1]), rows = in + job.has_bias;
        const auto kind = static_cast<Activation>(kinds[l]);
        const int width = kind == MAXOUT ? 2 * out : out, after = states + (out + 1) * job.block;
        job.layers.push_back({in, width, out, rows, job.num_params, states, kind == MAXOUT ? after : states, after, kind, program(11 + l)});
        job.num_params += rows * width;
        states = after + (kind == PROGRAM ? out : kind == MAXOUT ? width : 0) * job.block;
    }
    job.num_states = states;
    for (size_t k = 0; k < job.rounds.size(); k++) job.rounds[k].summed = program(11 + num_layers + 2 * k), job.rounds[k].lane = program(12 + num_layers + 2 * k);
    for (int s = 0; s < num_splits; s++) {
        Split &split = job.splits[s];
        split.prepare(s == 0 && job.chooses);
        if (s == 0) {
            const int64_t last = num_points - (job.num_batches - 1) * job.batch;
            for (int64_t batch : {job.batch, std::min(job.batch, last)})
                for (int64_t size : {std::min<int64_t>(job.block, batch), batch % job.block}) job.plan(static_cast<int>(size), num_points, job.walks(0));
        }
        for (int size : {std::min(job.block, split.num_points), split.num_points % job.block}) job.plan(size, split.num_points, job.walks(s));
    }

    // Groups of networks, one after the other on every core.
    const int64_t num_groups = (job.num + LANES - 1) / LANES;
    std::atomic<int64_t> following{0};
    std::atomic<bool> is_out_of_memory{false};
    const auto work = [&](int) {
        const NoSubnormals floats;
        try {
            std::unique_ptr<Group> group;
            for (int64_t g; (g = following++) < num_groups;) {
                if (!group) group = std::make_unique<Group>(job);
                group->train(g * LANES);
            }
        } catch (const std::bad_alloc &) {
            is_out_of_memory = true;
        }
    };
    const int64_t cores = threads ? threads : std::max(1u, std::thread::hardware_concurrency());
    const int num_threads = static_cast<int>(std::min<int64_t>(cores, num_groups));
    if (num_threads < 2 || !pool().run(num_threads, work)) work(0);
    code = xla::kResourceExhausted;
    return is_out_of_memory ? "out of memory while training" : nullptr;
}

}  // namespace
}  // namespace jaxgeom::training

JAXGEOM_EXPORT void *jaxgeom_train_handler(void *call) {
    return jaxgeom::xla::respond(call, jaxgeom::training::run, "out of memory while training");
}
JAXGEOM_EXPORT int jaxgeom_instructions() { return jaxgeom::instructions(); }
// Names of the machine's operations in order, of vectors and of shared numbers; and the number of lanes.
JAXGEOM_EXPORT const char *jaxgeom_machine_operations() { return jaxgeom::training::OPERATION_NAMES; }
JAXGEOM_EXPORT const char *jaxgeom_machine_shared() { return jaxgeom::training::SHARED_NAMES; }
JAXGEOM_EXPORT int jaxgeom_machine_lanes() { return jaxgeom::training::LANES; }
// One operation on vectors (n, lanes), for tests: of x, and of y where it has more operands.
JAXGEOM_EXPORT void jaxgeom_machine_apply(int operation, int n, void *to, const void *x, const void *y) {
    using namespace jaxgeom::training;
    const vec *a = static_cast<const vec *>(x), *b = static_cast<const vec *>(y);
    int strips = 15;
    while (!OPERATIONS[operation][strips]) strips /= 2;
    const Operation run = OPERATIONS[operation][strips];
    run(n, static_cast<vec *>(to), a, b, b, b);
}
