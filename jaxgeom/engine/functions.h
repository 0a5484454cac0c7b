// Exponentials, logarithms and their relatives on vectors of numbers, to two units in the last place.
#pragma once

#include "lanes.h"

namespace jaxgeom::training {

#if !defined(JAXGEOM_DOUBLE)
// 2^n for whole n from -252 to 254, as a product, so that every result that is a number is reached.
struct Power { vec low, high; };
JAXGEOM_INLINE Power power_of_two(vec n) {
    const ivec i = to_int(n), half = i >> 1;
    return {(vec)((half + 127) << 23), (vec)((i - half + 127) << 23)};
}
// x = n log 2 + rest with a whole n, by Cody and Waite; and exp(rest) - 1 - rest by a minimax polynomial of Cephes.
JAXGEOM_INLINE vec reduced(vec x, vec &n) {
    const vec shifted = x * 1.44269504f + 12582912.0f;
    n = shifted - 12582912.0f;
    return (x - n * 0.693359375f) + n * 2.12194440e-4f;
}
JAXGEOM_INLINE vec curved(vec r) {
    vec p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r);
}
JAXGEOM_INLINE vec exponential(vec x) {
    vec n;
    const vec r = reduced(larger(all(-104.0f), smaller(all(89.0f), x)), n);
    const Power two = power_of_two(n);
    return (curved(r) + r + 1.0f) * two.low * two.high;
}
JAXGEOM_INLINE vec exponential_minus_one(vec x) {
    vec n;
    const vec r = reduced(larger(all(-104.0f), smaller(all(89.0f), x)), n);
    const Power two = power_of_two(n);
    const vec p = curved(r) + r, q = two.low * (p * two.high) + (two.low * two.high - 1.0f);
    return pick(n == 0.0f, p, pick(n > 126.0f, (p + 1.0f) * two.low * two.high, q));
}
// log(x) + lost
JAXGEOM_INLINE vec logarithm(vec x, vec lost = vec{}) {
    const ivec bits = (ivec)x - 0x3f3504f3;
    const vec n = to_float(bits >> 23), f = (vec)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
    vec p = all(7.0376836292e-2f);
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const vec square = f * f, low = p * f * square - n * 2.12194440e-4f - 0.5f * square;
    vec r = f + (low + lost) + n * 0.693359375f;
    r = pick(x == all(INFINITY), x, r);
    r = pick(x == 0.0f, all(-INFINITY), r);
    return pick(x >= 0.0f, r, all(NAN));
}
// The rational function of Eigen and XLA.
JAXGEOM_INLINE vec hyperbolic_tangent(vec x) {
    const vec c = larger(all(-7.90531111f), smaller(all(7.90531111f), x)), z = c * c;
    vec p = all(-2.76076847742355e-16f), q = all(1.19825839466702e-06f);
    p = p * z + 2.00018790482477e-13f;
    p = p * z - 8.60467152213735e-11f;
    p = p * z + 5.12229709037114e-08f;
    p = p * z + 1.48572235717979e-05f;
    p = p * z + 6.37261928875436e-04f;
    p = p * z + 4.89352455891786e-03f;
    q = q * z + 1.18534705686654e-04f;
    q = q * z + 2.26843463243900e-03f;
    q = q * z + 4.89352518554385e-03f;
    return pick(magnitude(x) < 0.0004f, x, p * c / q);
}
#else
// 2^n for whole n from -2000 to 2000, as a product, so that every result that is a number is reached. `shifted` is n + 1.5
// 2^52, whose lowest bits are those of n.
constexpr double SHIFT = 6755399441055744.0;
typedef uint64_t wide_uvec __attribute__((vector_size(BYTES), aligned(BYTES)));
struct Power { vec low, high; };
JAXGEOM_INLINE Power power_of_two(vec shifted) {
    const ivec n = (ivec)shifted - (ivec)all(SHIFT), half = (ivec)((wide_uvec)(n + 4096) >> 1) - 2048;
    return {(vec)((half + 1023) << 52), (vec)((n - half + 1023) << 52)};
}
// x = n log 2 + rest with a whole n, by Cody and Waite; and exp(rest) - 1 - rest, up to the term whose like is lost.
JAXGEOM_INLINE vec reduced(vec x, vec &shifted) {
    shifted = x * 1.4426950408889634 + SHIFT;
    const vec n = shifted - SHIFT;
    return (x - n * 0.69314718036912382) - n * 1.9082149292705877e-10;
}
JAXGEOM_INLINE vec curved(vec r) {
    vec p = all(1.0 / 6227020800);
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    return p * (r * r);
}
JAXGEOM_INLINE vec exponential(vec x) {
    vec shifted;
    const vec r = reduced(larger(all(-746), smaller(all(710), x)), shifted);
    const Power two = power_of_two(shifted);
    return (curved(r) + r + 1.0) * two.low * two.high;
}
JAXGEOM_INLINE vec exponential_minus_one(vec x) {
    vec shifted;
    const vec r = reduced(larger(all(-746), smaller(all(710), x)), shifted), n = shifted - SHIFT;
    const Power two = power_of_two(shifted);
    const vec p = curved(r) + r, q = two.low * (p * two.high) + (two.low * two.high - 1.0);
    return pick(n == 0.0, p, pick(n > 1022.0, (p + 1.0) * two.low * two.high, q));
}
// log(x) + lost: with x = 2^n (1 + f) between roots of 1/2 and 2, twice the series of artanh(f / (2 + f)).
JAXGEOM_INLINE vec logarithm(vec x, vec lost = vec{}) {
    constexpr int64_t ROOT = 0x3fe6a09e667f3bcd;
    const ivec bits = (ivec)x - ROOT;
    const vec n = (vec)((ivec)((wide_uvec)(bits + (int64_t(2048) << 52)) >> 52) | (ivec)all(4503599627370496.0)) - (4503599627370496.0 + 2048);
    const vec f = (vec)((bits & 0xfffffffffffff) + ROOT) - 1.0, s = f / (2.0 + f), z = s * s, square = 0.5 * f * f;
    vec p = all(2.0 / 23);
    p = p * z + 2.0 / 21;
    p = p * z + 2.0 / 19;
    p = p * z + 2.0 / 17;
    p = p * z + 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;
    const vec low = s * (square + p * z) + n * 1.9082149292705877e-10 + lost;
    vec r = f - (square - low) + n * 0.69314718036912382;
    r = pick(x == all(INFINITY), x, r);
    r = pick(x == 0.0, all(-INFINITY), r);
    return pick(x >= 0.0, r, all(NAN));
}
JAXGEOM_INLINE vec hyperbolic_tangent(vec x) {
    const vec size = magnitude(x), t = exponential_minus_one(smaller(size, all(22)) * 2.0), y = t / (t + 2.0);
    return pick(x != x, x, (vec)((ivec)y | ((ivec)x & std::numeric_limits<word>::min())));
}
#endif
JAXGEOM_INLINE vec logarithm_of_one_plus(vec x) {
    const vec sum = real(1) + x, lost = x - (sum - real(1)), part = lost / sum;
    return logarithm(sum, pick(part == part, part, vec{}));
}
JAXGEOM_INLINE vec logistic(vec x) { return real(1) / (real(1) + exponential(-x)); }

// Functions that are rarely met, lane by lane in double precision.
template <double (*FUNCTION)(double)>
JAXGEOM_INLINE vec each(vec x) {
    vec r;
    for (int l = 0; l < LANES; l++) r[l] = static_cast<real>(FUNCTION(x[l]));
    return r;
}
JAXGEOM_INLINE vec power(vec x, vec y) {
    vec r;
    for (int l = 0; l < LANES; l++) r[l] = static_cast<real>(std::pow(static_cast<double>(x[l]), static_cast<double>(y[l])));
    return r;
}

}  // namespace jaxgeom::training
