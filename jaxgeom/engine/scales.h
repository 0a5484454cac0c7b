// Weights in double precision, and scaled by powers of two, which never rounds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "network.h"

namespace jaxgeom {

// The largest in magnitude; infinite or NaN if any is. Bits of numbers are ordered as their magnitudes, and many are
// compared at once.
template <class T, class Bits>
T largest(const T *values, size_t n) {
    Bits most = 0;
    for (size_t i = 0; i < n; i++) {
        Bits bits;
        std::memcpy(&bits, values + i, sizeof bits);
        bits &= std::numeric_limits<Bits>::max();
        most = bits > most ? bits : most;
    }
    T found;
    std::memcpy(&found, &most, sizeof found);
    return found;
}
inline double largest(const double *values, size_t n) { return largest<double, int64_t>(values, n); }
inline float largest(const float *values, size_t n) { return largest<float, int32_t>(values, n); }

// The exponent of the largest in magnitude, as frexp gives it; -2000 if all are 0.
inline double exponent_of(const double *values, size_t n) {
    const double most = largest(values, n);
    if (most == 0) return -2000;
    int exponent;
    std::frexp(most, &exponent);
    return exponent;
}

inline void scale(const double *values, size_t n, int exponent, double *out) {
    if (exponent > -1000 && exponent < 1000) {
        const double factor = std::ldexp(1.0, exponent);
        for (size_t i = 0; i < n; i++) out[i] = values[i] * factor;
    } else {
        for (size_t i = 0; i < n; i++) out[i] = std::ldexp(values[i], exponent);
    }
}

inline const double *as_double(const void *data, bool is_float32, size_t offset, size_t n, Arena &arena) {
    if (!is_float32) return static_cast<const double *>(data) + offset;
    double *out = arena.take<double>(n);
    const float *values = static_cast<const float *>(data) + offset;
    for (size_t i = 0; i < n; i++) out[i] = values[i];
    return out;
}

template <class T>
bool all_finite(const T *values, size_t n) { return std::isfinite(largest(values, n)); }
inline bool all_finite(const void *data, bool is_float32, size_t offset, size_t n) {
    return is_float32 ? all_finite(static_cast<const float *>(data) + offset, n) : all_finite(static_cast<const double *>(data) + offset, n);
}

// That of the power of two which coordinates are divided by.
inline int unit_exponent_of(double size) {
    int exponent = 0;
    if (size > 0) std::frexp(size, &exponent);
    return std::clamp(exponent, -1020, 1023);
}
inline int unit_exponent_of(const Domain &domain) {
    double size = 0;
    for (int i = 0; i < domain.num_corners; i++)
        if (domain.corners[i].w != 0) size = std::max({size, std::fabs(domain.corners[i].x), std::fabs(domain.corners[i].y)});
    return domain.is_plane ? 0 : unit_exponent_of(size);
}

}  // namespace jaxgeom
