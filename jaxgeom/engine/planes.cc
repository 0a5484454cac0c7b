// One network at a time: its count, alone or shared by threads, and its complex.
#include "planes.h"

#include "cells.h"
#include "complex_arrays.h"
#include "load.h"
#include "pool.h"

namespace jaxgeom {
namespace {

// The count on this thread; of one network that threads share, this thread's part of it, added to what they share.
template <bool Plane>
Counted count_in(const Network &net, const Domain &domain, const std::atomic<int> *stop, Share *share) {
    Cutter<Plane, false> cutter{net, domain, own_arena(), stop};
    if (share && share->threads > 1) {
        cutter.claims = share->claims.get(), cutter.split_level = share->level;
        cutter.share = net.depth == 1 && domain.num_faces == 1 ? share : nullptr;
    }
    cutter.run();
    const Tally &tally = cutter.tally;
    if (share) {
        share->cells += tally.cells, share->artificial += tally.artificial;
        share->central_cells += tally.central_cells, share->central_edges += tally.central_edges;
        if (tally.is_degenerate) share->is_degenerate = true;
    }
    return {total(tally.cells, tally.artificial, tally.central_cells, tally.central_edges), tally.is_degenerate};
}
Counted count_in(const Network &net, const Domain &domain, const std::atomic<int> *stop, Share *share) {
    return domain.is_plane ? count_in<true>(net, domain, stop, share) : count_in<false>(net, domain, stop, share);
}

template <bool Plane>
CellArrays cells_of(const Network &net, const Domain &domain, const std::atomic<int> *stop) {
    const Loan loan;
    Complex &all = *loan.get();
    Cutter<Plane, true> cutter{net, domain, own_arena(), stop};
    cutter.builder.complex = &all;
    cutter.run();
    if (stop && *stop) return {};
    std::vector<Part> parts(1);
    parts[0].complex = &all;
    parts[0].places.end = static_cast<int>(all.places.size()), parts[0].edges.end = static_cast<int>(all.edges.size());
    parts[0].steps.end = static_cast<int>(all.steps.size()), parts[0].faces.end = static_cast<int>(all.ends.size());
    CellArrays out = Writer(net, nullptr, parts, nullptr).write(1);
    out.is_degenerate = cutter.tally.is_degenerate;
    return out;
}
// Down to which level of cuts a complex is built in parts: by the network alone, so that its bits do not depend on the
// number of threads. 0 for those that are built at once.
int parting_level(const Network &net, const Domain &domain) {
    const int units = net.unit_offsets[net.depth];
    return domain.is_plane || units < kInParts ? 0 : units < 256 ? 6 : kSplitLevel;
}
CellArrays cells_from_parts(const Network &net, const Domain &domain, const std::atomic<int> *stop, int threads, int level) {
    Share share(threads, 1, net.layers[0].out);
    std::vector<Part> parts((size_t(1) << level) + 1);
    std::vector<Loan> wholes(threads), own(threads);
    std::atomic<int> following{0};
    const auto job = [&] {
        const int thread = following++;
        Cutter<false, true> cutter{net, domain, own_arena(), stop};
        cutter.builder.complex = wholes[thread].get(), cutter.builder.of_parts = own[thread].get();
        cutter.parts = &parts, cutter.claims = share.claims.get(), cutter.split_level = level;
        cutter.run();
        if (cutter.tally.is_degenerate) share.is_degenerate = true;
    };
    if (threads == 1 || !share_among(threads, job)) job();
    if (stop && *stop) return {};
    const Complex &whole = *wholes[0].get();  // the same on all threads
    const Numbers numbers(whole, parts);
    CellArrays out = Writer(net, &whole, parts, &numbers).write(threads);
    out.is_degenerate = share.is_degenerate;
    return out;
}

}  // namespace

Counted count(const Source &source, int64_t index, const Domain &domain, const std::atomic<int> *stop) {
    Arena &arena = own_arena();
    const auto mark = arena.mark();
    const Network net = load_network(source, index, unit_exponent_of(domain), arena);
    const Counted counted = net.is_finite ? count_in(net, domain, stop, nullptr) : Counted{-1, false};
    arena.release(mark);
    return counted;
}
bool count_together(const Source &source, int64_t index, const Domain &domain, const std::atomic<int> *stop, int threads, Counted &counted) {
    Arena &arena = own_arena();
    const auto mark = arena.mark();
    Network net{};
    Share share(threads, domain.num_faces, static_cast<int>(source.widths[1]));
    const auto load = [&] {
        net = load_network(source, index, unit_exponent_of(domain), arena);
        return net.is_finite;
    };
    const bool is_done = share_among(threads, load, [&] { count_in(net, domain, stop, &share); });
    counted = {-1, false};
    if (net.is_finite) counted = {total(share.cells, share.artificial, share.central_cells, share.central_edges), share.is_degenerate};
    arena.release(mark);
    return is_done;
}
CellArrays cells(const Source &source, int64_t index, const Domain &domain, const std::atomic<int> *stop, int threads) {
    Arena &arena = own_arena();
    const auto mark = arena.mark();
    const Network net = load_network(source, index, unit_exponent_of(domain), arena);
    CellArrays out;
    out.is_finite = net.is_finite;
    if (net.is_finite) {
        const int level = parting_level(net, domain);
        out = level ? cells_from_parts(net, domain, stop, threads, level) : domain.is_plane ? cells_of<true>(net, domain, stop) : cells_of<false>(net, domain, stop);
    }
    arena.release(mark);
    return out;
}

}  // namespace jaxgeom
