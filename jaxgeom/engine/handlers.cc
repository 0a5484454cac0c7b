// The engine as a custom call of XLA on CPUs: counts inside compiled programs, whatever transformations made them.
//
// The arguments are the kernels and biases, float32 or float64 as they come, all with the same leading axes; the
// results are counts (int32 or int64) and whether exact ties were met.
#include <cstring>
#include <new>

#include "engine.h"
#include "xla.h"

namespace jaxgeom {
namespace {

template <class T>
struct Span {
    const T *start = nullptr;
    size_t size = 0;
};

template <class T>
Span<T> attribute(const xla::Attributes &all, const char *name, xla::Type type) {
    for (int64_t i = 0; i < all.size; i++) {
        const xla::Name &own = *all.names[i];
        if (all.kinds[i] != xla::kArrayAttribute || own.size != std::strlen(name) || std::memcmp(own.start, name, own.size) != 0) continue;
        const auto &array = *static_cast<const xla::Array *>(all.values[i]);
        if (array.type == type) return {static_cast<const T *>(array.data), array.size};
    }
    return {};
}

// Null, or what is wrong with the call.
const char *count(const xla::CallFrame &frame, xla::ErrorCode &code) {
    code = xla::kInvalidArgument;
    const auto widths = attribute<int64_t>(frame.attributes, "widths", xla::kInt64);
    const auto slopes = attribute<double>(frame.attributes, "slopes", xla::kFloat64);
    const auto corners = attribute<double>(frame.attributes, "corners", xla::kFloat64);
    const auto face_offsets = attribute<int64_t>(frame.attributes, "face_offsets", xla::kInt64);
    const auto face_corners = attribute<int64_t>(frame.attributes, "face_corners", xla::kInt64);
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
    const int status = jaxgeom_count(
        num, static_cast<int>(num_arrays / 2) - 1, widths.start, kernels.data(), biases.data(), is_float32.data(), slopes.start,
        static_cast<int>(corners.size / 3), corners.start, static_cast<int>(offsets.size()) - 1, offsets.data(), cycles.data(), is_plane,
        0, found.data(), degenerate.data(), nullptr);
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
    using namespace jaxgeom;
    auto &frame = *static_cast<xla::CallFrame *>(call);
    if (frame.extensions && frame.extensions->type == xla::kMetadataExtension) {  // asked for the version, not called
        xla::Metadata &metadata = *reinterpret_cast<xla::MetadataExtension *>(frame.extensions)->metadata;
        metadata.version = {sizeof(xla::Version), nullptr, xla::kMajorVersion, xla::kMinorVersion};
        metadata.traits = 0;
        return nullptr;
    }
    xla::ErrorCode code = xla::kResourceExhausted;
    const char *message;
    try {
        message = count(frame, code);
    } catch (const std::bad_alloc &) {
        message = "out of memory while counting regions";
    }
    if (!message) return nullptr;
    xla::NewError error{sizeof(xla::NewError), nullptr, message, code};
    return frame.api->create_error(&error);
}
