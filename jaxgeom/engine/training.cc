// Whole runs of training for populations of small MLPs, called by XLA: one group of networks (group.h) or, of few, one
// network (single.h) after the other on every core, from the initial parameters to the last record.
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
#include "group.h"
#include "narrowed.h"
#include "pool.h"
#include "single.h"

namespace jaxgeom::training {
namespace {

// The numbers that all networks share, for every step.
void run_schedule(Job &job, xla::Span<word> initial, xla::Span<int64_t> from, xla::Span<int64_t> carry) {
    const size_t num_shared = job.shared_at.size;
    if (!num_shared) return;
    std::vector<Number> slots(initial.size), held(carry.size / 2);
    for (size_t i = 0; i < initial.size; i++) slots[i].i = initial[i];
    job.schedule.reset(new real[size_t(job.num_steps) * num_shared]);
    for (int64_t step = 0; step < job.num_steps; step++) {
        run_shared(job.shared, slots);
        for (size_t i = 0; i < num_shared; i++) std::memcpy(&job.schedule[step * num_shared + i], &slots[from[i]], sizeof(real));
        for (size_t i = 0; i < held.size(); i++) held[i] = slots[carry[2 * i]];
        for (size_t i = 0; i < held.size(); i++) slots[carry[2 * i + 1]] = held[i];
    }
}

const char *run(const xla::CallFrame &frame, xla::ErrorCode &code) {
    code = xla::kInvalidArgument;
    const auto integers = [&](const char *name) { return xla::attribute<int64_t>(frame.attributes, name, xla::kInt64); };
    const auto words = [&](const char *name) { return xla::attribute<word>(frame.attributes, name, sizeof(word) == 8 ? xla::kInt64 : xla::kInt32); };
    const auto sizes = integers("sizes"), widths = integers("widths"), kinds = integers("kinds"), snapshot_steps = integers("snapshot_steps"), code_sizes = integers("code_sizes");
    const auto stop = xla::attribute<double>(frame.attributes, "stop", xla::kFloat64);
    const auto numbers = xla::attribute<int32_t>(frame.attributes, "code", xla::kInt32);
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
        split.x = argument(sizeof(real)), split.y = argument(sizeof(real));
        split.num_inputs = static_cast<int>(widths[0]);
        split.num_points = static_cast<int>(split.x.bytes / int64_t(sizeof(real)) / widths[0]);
        split.num_targets = static_cast<int>(split.y.bytes / int64_t(sizeof(real)) / split.num_points);
    }
    for (int k = 0; k < num_leaves; k++) job.params.push_back(argument(sizeof(real)));
    for (int k = 0; k < num_leaves * job.has_mask; k++) job.masks.push_back(argument(1));
    for (int64_t k = 0; k < num_settings; k++) job.settings.push_back(argument(sizeof(real)));
    i = 0;
    for (int k = 0; k < num_leaves; k++) job.results.params.push_back(static_cast<real *>(result(i++).data));
    job.results.diverged_step = static_cast<int32_t *>(result(i++).data), job.results.stopped_step = static_cast<int32_t *>(result(i++).data), job.results.by_engine = static_cast<int32_t *>(result(i++).data);
    for (int s = 0; s < num_splits && job.records.num; s++) {
        job.results.losses[s] = static_cast<real *>(result(i++).data);
        if (job.has_accuracy) job.results.rights[s] = static_cast<real *>(result(i++).data);
    }
    if (keeps_batch_losses) job.results.batch_losses = static_cast<real *>(result(i++).data);
    for (int k = 0; k < num_leaves && job.snapshots.num; k++) job.results.snapshots.push_back(static_cast<real *>(result(i++).data));
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
    for (int l = 0; l < num_layers; l++) {
        Layer layer{};
        layer.activation = static_cast<Activation>(kinds[l]), layer.program = program(11 + l);
        job.layers.push_back(layer);
    }
    job.place_layers(std::vector<int>(widths.start, widths.start + widths.size));
    for (Layer &layer : job.layers) layer.outer_in = layer.in, layer.outer_width = layer.width;
    for (size_t k = 0; k < job.rounds.size(); k++) job.rounds[k].summed = program(11 + num_layers + 2 * k), job.rounds[k].lane = program(12 + num_layers + 2 * k);
    for (int s = 0; s < num_splits; s++) job.splits[s].prepare(s == 0 && job.chooses);

    // One set of networks after the other on every core, or one network after the other by a team of all cores.
    const int64_t cores = threads ? threads : std::max(1u, std::thread::hardware_concurrency());
    const auto parts_of = [](int64_t num, int64_t size) { return (num + size - 1) / size; };
    const int64_t alone = parameters_in_lanes(job).work(job), in_group = networks_in_lanes(job).work(job) / (ShallowSteps::fits(job) ? 3 : 1);
    const bool is_single = parts_of(job.num, cores) * alone < parts_of(parts_of(job.num, LANES), cores) * in_group;
    const int at_once = is_single ? 1 : LANES;
    const int64_t num_sets = parts_of(job.num, at_once), most = std::clamp<int64_t>(alone / LEAST_SHARED, 1, std::min<int64_t>(cores, Team::MOST - 1));
    Team team(is_single && most >= 2 * job.num ? static_cast<int>(most) : 1);
    std::atomic<int64_t> following{0};
    std::atomic<bool> is_out_of_memory{false};
    const auto work = [&](Team &team) {
        const NoSubnormals floats;
        try {
            Narrowed own;
            std::unique_ptr<Run> run;
            for (int64_t set; (set = following++) < num_sets;) {
                if (own.narrow(job, set * at_once, at_once)) run.reset();
                if (!run && is_single) run = std::make_unique<Single>(*own.job, team);
                if (!run) run = std::make_unique<Group>(*own.job, team);
                run->train(set * at_once);
            }
        } catch (const std::bad_alloc &) {
            is_out_of_memory = true;
        }
    };
    const auto work_alone = [&](int) {
        Team alone(1);
        work(alone);
    };
    const auto follow = [&](int number) {
        const NoSubnormals floats;
        team.work(number + 1);
    };
    const auto lead = [&] {
        work(team);
        team.dismiss();
    };
    const int num_threads = static_cast<int>(std::min<int64_t>(cores, num_sets));
    const bool is_done = team.size > 1 ? pool().run(team.size - 1, follow, lead) : num_threads > 1 && pool().run(num_threads, work_alone);
    if (!is_done) work_alone(0);
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
// A program on vectors, for tests: its name if it is a known one, which runs as such or instruction by instruction.
JAXGEOM_EXPORT const char *jaxgeom_machine_program(const int32_t *numbers, int num, int n, void *temporaries, void *const *arrays, int num_arrays, void *scalars, int is_known) {
    using namespace jaxgeom::training;
    std::vector<vec *> places;
    for (int j = 0; j < num_arrays; j++) places.push_back(static_cast<vec *>(arrays[j]));
    Bound program({num, numbers}, static_cast<vec *>(temporaries), places, static_cast<vec *>(scalars));
    const char *name = program.known.name;
    if (!is_known) program.known = {};
    program.run_all(n);
    return name;
}
