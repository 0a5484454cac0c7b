// Random words of JAX, to the bit, as a custom call of XLA on CPUs: compiled by XLA, they take longer than all else of a
// program that trains.
//
// Threefry-2x32 with 20 rounds: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, Parallel random numbers: as easy as
// 1, 2, 3 (SC 2011). Which counts JAX gives it is written in jaxgeom/training/keys.py, the other half of this file.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine.h"
#include "xla.h"

namespace jaxgeom::training {
namespace {

constexpr int AT_ONCE = 16;
typedef uint32_t Words __attribute__((vector_size(4 * AT_ONCE), aligned(4)));

void threefry(const uint32_t *key, Words &x, Words &y) {
    constexpr int ROTATIONS[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t keys[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
    x += keys[0], y += keys[1];
    for (uint32_t group = 0; group < 5; group++) {
        for (int distance : ROTATIONS[group % 2]) {
            x += y;
            y = x ^ (y << distance | y >> (32 - distance));
        }
        x += keys[(group + 1) % 3], y += keys[(group + 2) % 3] + group + 1;
    }
}

// Words for one key. By place, count i is (0, i), of whose two words the result has both, or one that is folded; else
// the counts are cut in two halves, of which pairs are made.
void draw(const uint32_t *key, int64_t num, bool is_by_place, bool is_folded, uint32_t *to) {
    const int64_t half = (num + 1) / 2, num_counts = is_by_place && is_folded ? num : half;
    Words places;
    for (int i = 0; i < AT_ONCE; i++) places[i] = i;
    for (int64_t at = 0; at < num_counts; at += AT_ONCE) {
        const Words counts = places + static_cast<uint32_t>(at);
        Words x = is_by_place ? Words{} : counts, y = is_by_place ? counts : counts + static_cast<uint32_t>(half);
        const int size = static_cast<int>(std::min<int64_t>(AT_ONCE, num_counts - at));
        if (!is_by_place && at + size == half && num % 2) y[size - 1] = 0;
        threefry(key, x, y);
        if (is_by_place && is_folded) {
            x ^= y;
            std::memcpy(to + at, &x, size * sizeof(uint32_t));
        } else if (is_by_place) {
            for (int i = 0; i < size; i++) to[2 * (at + i)] = x[i], to[2 * (at + i) + 1] = y[i];
        } else {
            std::memcpy(to + at, &x, size * sizeof(uint32_t));
            std::memcpy(to + half + at, &y, std::min<int64_t>(size, num - half - at) * sizeof(uint32_t));
        }
    }
}

const char *words(const xla::CallFrame &frame, xla::ErrorCode &code) {
    code = xla::kInvalidArgument;
    const auto how = xla::attribute<int64_t>(frame.attributes, "how", xla::kInt64);
    if (how.size != 2 || frame.arguments.size != 1 || frame.results.size != 1) return "random words have one key, one result and two options";
    const xla::Buffer &keys = *frame.arguments.buffers[0], &result = *frame.results.buffers[0];
    int64_t num_keys = 1, num = 1;
    for (int64_t i = 0; i + 1 < keys.rank; i++) num_keys *= keys.shape[i];
    for (int64_t i = keys.rank - 1; i < result.rank; i++) num *= result.shape[i];
    for (int64_t k = 0; k < num_keys; k++)
        draw(static_cast<const uint32_t *>(keys.data) + 2 * k, num, how[0], how[1], static_cast<uint32_t *>(result.data) + num * k);
    return nullptr;
}

}  // namespace
}  // namespace jaxgeom::training

JAXGEOM_EXPORT void *jaxgeom_words_handler(void *call) {
    return jaxgeom::xla::respond(call, jaxgeom::training::words, "out of memory while drawing random numbers");
}
