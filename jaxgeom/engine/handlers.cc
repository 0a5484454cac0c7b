// The engine as a custom call of XLA on CPUs: counts inside compiled programs, whatever transformations made them.
//
// The arguments are the kernels and biases, float32 or float64 as they come, all with the same leading axes; the
// results are counts (int32 or int64) and whether exact ties were met.
#include <optional>

#include "engine.h"
#include "interrupts.h"
#include "xla.h"

namespace jaxgeom {
namespace {

// Networks x units², about 30 ms: work that Ctrl-C should be able to end, as LONG of library.py.
constexpr int64_t kLong = 2000000;

// Null, or what is wrong with the call.
const char *count(const xla::CallFrame &frame, xla::ErrorCode &code) {
    code = xla::kInvalidArgument;
    const auto widths = xla::attribute<int64_t>(frame.attributes, "widths", xla::kInt64);
    const auto slopes = xla::attribute<double>(frame.attributes, "slopes", xla::kFloat64);
    const auto corners = xla::attribute<double>(frame.attributes, "corners", xla::kFloat64);
    const auto face_offsets = xla::attribute<int64_t>(frame.attributes, "face_offsets", xla::kInt64);
    const auto face_corners = xla::attribute<int64_t>(frame.attributes, "face_corners", xla::kInt64);
    const size_t num_arrays = frame.arguments.size;
    if (num_arrays < 2 || widths.size != num_arrays / 2 + 1 || corners.size < 9 || face_offsets.size < 2 || frame.results.size != 2)
        return "layers, domain and results do not fit together";
    std::vector<const void *> kernels, biases;
    std::vector<uint8_t> is_float32;
    for (size_t i = 0; i < num_arrays; i++) {
        const xla::Buffer &buffer = *frame.arguments.buffers[i];
        if (buffer.type != xla::kFloat32 && buffer.type != xla::kFloat64) return "layers must be float32 or float64";
        (i % 2 ? biases : kernels).push_back(buffer.data);
        is_float32.push_back(buffer.type == xla::kFloat32);
    }
    const xla::Buffer &counts = *frame.results.buffers[0], &ties = *frame.results.buffers[1];
    int64_t num = 1;
    for (int64_t i = 0; i < counts.rank; i++) num *= counts.shape[i];
    std::vector<int64_t> found(num);
    std::vector<uint8_t> degenerate(num);
    const std::vector<int> offsets(face_offsets.start, face_offsets.start + face_offsets.size);
    const std::vector<int> cycles(face_corners.start, face_corners.start + face_corners.size);
    bool is_plane = false;
    for (size_t i = 2; i < corners.size; i += 3) is_plane |= corners.start[i] == 0;
    int64_t units = 0;
    for (size_t l = 1; l + 1 < widths.size; l++) units += widths[l];
    std::optional<Watch> watch;
    if (num * units * units > kLong) watch.emplace();
    const int status = jaxgeom_count(
        num, static_cast<int>(num_arrays / 2) - 1, widths.start, kernels.data(), biases.data(), is_float32.data(), slopes.start,
        static_cast<int>(corners.size / 3), corners.start, static_cast<int>(offsets.size()) - 1, offsets.data(), cycles.data(), is_plane,
        0, found.data(), degenerate.data(), watch ? watch->stop() : nullptr);
    code = xla::kCancelled;
    if (status == 2) return "counting regions was interrupted";
    code = xla::kResourceExhausted;
    if (status) return "out of memory while counting regions";
    for (int64_t i = 0; i < num; i++) {
        if (counts.type == xla::kInt32) static_cast<int32_t *>(counts.data)[i] = static_cast<int32_t>(found[i]);
        else static_cast<int64_t *>(counts.data)[i] = found[i];
        static_cast<bool *>(ties.data)[i] = degenerate[i] != 0;
    }
    return nullptr;
}

}  // namespace
}  // namespace jaxgeom

JAXGEOM_EXPORT void *jaxgeom_count_handler(void *call) {
    return jaxgeom::xla::respond(call, jaxgeom::count, "out of memory while counting regions");
}
JAXGEOM_EXPORT void jaxgeom_asks(int (*question)()) { jaxgeom::question() = question; }
