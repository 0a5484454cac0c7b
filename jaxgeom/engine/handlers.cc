// The engine as a custom call of XLA on CPUs: counts inside compiled programs, whatever transformations made them.
//
// The arguments are the kernels and biases, float32 or float64 as they come, all with the same
// leading axes; the results are counts (int32 or int64) and whether exact ties were met.
#include "engine.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

static ffi::Error count(
    ffi::RemainingArgs arrays, ffi::RemainingRets results, ffi::Span<const int64_t> widths, ffi::Span<const double> slopes,
    ffi::Span<const double> corners, ffi::Span<const int64_t> face_offsets, ffi::Span<const int64_t> face_corners) {
    const int depth = static_cast<int>(arrays.size() / 2) - 1;
    std::vector<const void *> kernels(depth + 1), biases(depth + 1);
    std::vector<uint8_t> is_float32(2 * depth + 2);
    for (size_t i = 0; i < arrays.size(); i++) {
        const auto buffer = arrays.get<ffi::AnyBuffer>(i);
        if (!buffer.has_value()) return ffi::Error::InvalidArgument("a layer is missing");
        const auto type = buffer->element_type();
        if (type != ffi::F32 && type != ffi::F64) return ffi::Error::InvalidArgument("layers must be float32 or float64");
        (i % 2 ? biases : kernels)[i / 2] = buffer->untyped_data();
        is_float32[i] = type == ffi::F32;
    }
    auto counts = results.get<ffi::AnyBuffer>(0), ties = results.get<ffi::AnyBuffer>(1);
    if (!counts.has_value() || !ties.has_value()) return ffi::Error::InvalidArgument("a result is missing");
    const int64_t num = static_cast<int64_t>((*counts)->element_count());
    std::vector<int64_t> found(num);
    std::vector<uint8_t> degenerate(num);
    const std::vector<int> offsets(face_offsets.begin(), face_offsets.end()), cycles(face_corners.begin(), face_corners.end());
    bool is_plane = false;
    for (size_t i = 2; i < corners.size(); i += 3) is_plane |= corners[i] == 0;
    const int status = jaxgeom_count(
        num, depth, widths.begin(), kernels.data(), biases.data(), is_float32.data(), slopes.begin(), static_cast<int>(corners.size() / 3), corners.begin(),
        static_cast<int>(offsets.size()) - 1, offsets.data(), cycles.data(), is_plane, 0, found.data(), degenerate.data(), nullptr);
    if (status) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "out of memory while counting regions");
    const bool is_short = (*counts)->element_type() == ffi::S32;
    for (int64_t i = 0; i < num; i++) {
        if (is_short) static_cast<int32_t *>((*counts)->untyped_data())[i] = static_cast<int32_t>(found[i]);
        else static_cast<int64_t *>((*counts)->untyped_data())[i] = found[i];
        static_cast<bool *>((*ties)->untyped_data())[i] = degenerate[i] != 0;
    }
    return ffi::Error::Success();
}

JAXGEOM_EXPORT XLA_FFI_Error *jaxgeom_count_handler(XLA_FFI_CallFrame *);
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jaxgeom_count_handler, count,
    ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attr<ffi::Span<const int64_t>>("widths").Attr<ffi::Span<const double>>("slopes")
        .Attr<ffi::Span<const double>>("corners").Attr<ffi::Span<const int64_t>>("face_offsets").Attr<ffi::Span<const int64_t>>("face_corners"));
