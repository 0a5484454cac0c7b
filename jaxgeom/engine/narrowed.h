// The run of a set of networks that are padded (jaxgeom/training/padding.py) without the units that none of them has: of
// networks of many widths, each set is trained as if it had the width of its widest.
//
// A unit is left out if all of its parameters, the incoming and the outgoing ones, have masks of zeros and are zero, and so
// are those of all units after it in its layer. What it would add to any sum is a zero: so bits are the same.
#pragma once

#include <memory>
#include <vector>

#include "job.h"

namespace jaxgeom::training {

class Narrowed {
  public:
    std::unique_ptr<const Job> job;

    // Makes the job of so many networks from `first` on; returns whether it is another one than before.
    bool narrow(const Job &whole, int64_t first, int64_t num) {
        const int64_t end = std::min(first + num, whole.num);
        std::vector<int> widths{whole.layers[0].in};
        for (size_t l = 0; l < whole.layers.size(); l++) {
            int width = whole.layers[l].out;
            const bool may_be_padded = whole.has_mask && l + 1 < whole.layers.size() && whole.layers[l].activation != MAXOUT;
            while (may_be_padded && width > 1 && is_padding(whole, l, width - 1, first, end)) width--;
            widths.push_back(width);
        }
        const bool has_mask = whole.has_mask && is_masked(whole, widths, first, end);
        if (job && widths == widths_ && has_mask == job->has_mask) return false;
        auto own = std::make_unique<Job>(whole);
        own->place_layers(widths), own->has_mask = has_mask;
        job = std::move(own), widths_ = std::move(widths);
        return true;
    }

  private:
    std::vector<int> widths_;

    // Whether unit j of a hidden layer has nothing but zeros with masks of zeros.
    static bool is_padding(const Job &job, size_t l, int j, int64_t first, int64_t end) {
        const Layer &layer = job.layers[l], &next = job.layers[l + 1];
        const size_t leaf = l * (1 + job.has_bias), after = leaf + 1 + job.has_bias;
        for (int64_t network = first; network < end; network++) {
            if (!are_zeros(job, leaf, network, j, layer.in, layer.width) || !are_zeros(job, after, network, j * next.width, next.width, 1)) return false;
            if (job.has_bias && !are_zeros(job, leaf + 1, network, j, 1, 1)) return false;
        }
        return true;
    }
    static bool are_zeros(const Job &job, size_t leaf, int64_t network, int64_t start, int num, int64_t step) {
        const char *numbers = job.params[leaf].of(network), *mask = job.masks[leaf].of(network);
        for (int64_t i = start; num > 0; num--, i += step) {
            word bits;
            std::memcpy(&bits, numbers + i * int64_t(sizeof bits), sizeof bits);
            if (mask[i] || bits) return false;
        }
        return true;
    }
    // Whether any parameter of layers of so many units has a mask of zero.
    static bool is_masked(const Job &job, const std::vector<int> &widths, int64_t first, int64_t end) {
        for (int64_t network = first; network < end; network++)
            for (size_t l = 0; l < job.layers.size(); l++) {
                const Layer &layer = job.layers[l];
                const int width = layer.activation == MAXOUT ? layer.width : widths[l + 1];
                const char *mask = job.masks[l * (1 + job.has_bias)].of(network), *of_bias = job.has_bias ? job.masks[2 * l + 1].of(network) : nullptr;
                for (int j = 0; j < width; j++) {
                    for (int i = 0; i < widths[l]; i++)
                        if (!mask[size_t(i) * layer.width + j]) return true;
                    if (of_bias && !of_bias[j]) return true;
                }
            }
        return false;
    }
};

}  // namespace jaxgeom::training
