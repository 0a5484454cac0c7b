// What lies before a cell of a reduced network: the layers below, one by one, as exact signs and those in twice the precision need them.
#pragma once

#include <memory>
#include <vector>

#include "reduced.h"

namespace jaxgeom {

struct Chain {
    std::vector<Entry> entries;
    std::vector<uint64_t> active;
    std::unique_ptr<double[]> sharp;
};

inline void complete(const Network &net, const Entry &entry) {
    if (!entry.reduced || entry.chain) return;
    uint64_t on = entry.on;
    const Reduced *own = entry.reduced;
    for (; own->from; own = own->from) {
        uint64_t all = own->from_on;
        for (int u = 0; u < own->num; u++) all |= (on >> u & 1) << own->origin[u];
        on = all;
    }
    const Reduced &reduced = *own;
    const int base = reduced.base, num = entry.layer - base;
    Chain *chain = entry.chain = new Chain;
    size_t words = 0, room = 64 / sizeof(double);  // to begin at a multiple of 64 bytes
    for (int l = base; l < entry.layer; l++) words += (net.layers[l].out + 63) >> 6, room += 6 * static_cast<size_t>(net.layers[l + 1].stride);
    chain->active.assign(reduced.patterns, reduced.patterns + words);
    chain->sharp.reset(new double[room]);
    chain->entries.reserve(num);
    double *sharp = reinterpret_cast<double *>((reinterpret_cast<uintptr_t>(chain->sharp.get()) + 63) & ~uintptr_t(63));
    uint64_t *active = chain->active.data();
    const Entry *before = reduced.entry;
    for (int l = base, group = 0; l < entry.layer; l++) {
        if (group < reduced.num_groups && reduced.layer[group] == l) {
            for (int u = reduced.first[group]; u < reduced.first[group + 1]; u++)
                if (on >> u & 1) active[reduced.unit[u] >> 6] |= uint64_t(1) << (reduced.unit[u] & 63);
            group++;
        }
        if (l + 1 < entry.layer) chain->entries.push_back(Entry{before, l + 1, nullptr, active, nullptr, sharp}), before = &chain->entries.back();
        else entry.before = before, entry.active = active, entry.sharp = sharp;
        active += (net.layers[l].out + 63) >> 6, sharp += 6 * net.layers[l + 1].stride;
    }
}

}  // namespace jaxgeom
