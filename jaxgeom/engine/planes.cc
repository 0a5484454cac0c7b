// One network at a time: its count, alone or shared by threads, and its complex.
#include "planes.h"

#include "cells.h"
#include "join.h"
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

// The arrays of a complex, which is used up.
CellArrays arrays_of(Complex &all, const Network &net) {
    CellArrays out;
    out.is_consistent = all.is_consistent;
    // edges that were not split any further, and their faces
    std::vector<int64_t> number(all.edges.size(), -1);
    for (size_t i = 0; i < all.edges.size(); i++) {
        const Edge &edge = all.edges[i];
        if (edge.middle >= 0) continue;
        number[i] = static_cast<int64_t>(out.edges.size() / 2);
        out.edges.push_back(edge.begin), out.edges.push_back(edge.end);
        out.edge_labels.push_back(edge.layer), out.edge_labels.push_back(edge.unit);
    }
    out.edge_faces.assign(out.edges.size(), -1);
    const size_t num_faces = all.face_offsets.size() - 1;
    for (size_t face = 0; face < num_faces; face++) {
        for (int64_t i = all.face_offsets[face]; i < all.face_offsets[face + 1]; i++) {
            const int64_t edge = number[all.face_edges[i]];
            if (edge < 0) { out.is_consistent = false; continue; }
            int64_t &place = out.edge_faces[2 * edge + (out.edges[2 * edge] == all.face_vertices[i] ? 0 : 1)];
            if (place >= 0) out.is_consistent = false;
            place = static_cast<int64_t>(face);
            out.face_edges.push_back(edge), out.face_vertices.push_back(all.face_vertices[i]);
        }
    }
    // seen from the first vertex, some face is to the left
    for (size_t edge = 0; edge < out.edges.size() / 2; edge++) {
        int64_t *faces = &out.edge_faces[2 * edge], *ends = &out.edges[2 * edge];
        if (faces[0] < 0) std::swap(faces[0], faces[1]), std::swap(ends[0], ends[1]);
        if (faces[0] < 0) out.is_consistent = false;
    }
    for (size_t i = 0; i < all.x.size(); i++) {
        const double unit = all.w[i] != 0 ? net.unit : 1;
        out.points.push_back(all.x[i] * unit), out.points.push_back(all.y[i] * unit), out.points.push_back(all.w[i]);
    }
    out.face_offsets = std::move(all.face_offsets);
    all.outputs.resize(all.x.size() * net.layers[net.depth].out, NAN);
    out.outputs = std::move(all.outputs);
    return out;
}
// What only faces have, behind what there is.
void add_faces(Complex &from, CellArrays &to) {
    to.patterns.push_back(std::move(from.patterns)), to.maps.push_back(std::move(from.maps));
    to.area.push_back(std::move(from.area)), to.centroid.push_back(std::move(from.centroid));
}

template <bool Plane>
CellArrays cells_of(const Network &net, const Domain &domain, const std::atomic<int> *stop) {
    Complex all;
    Cutter<Plane, true> cutter{net, domain, own_arena(), stop};
    cutter.builder.complex = &all;
    cutter.run();
    CellArrays out = arrays_of(all, net);
    add_faces(all, out);
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
    Complex whole;
    std::atomic<bool> is_whole{false};
    const auto job = [&] {
        Complex own;
        Cutter<false, true> cutter{net, domain, own_arena(), stop};
        cutter.builder.complex = &own, cutter.parts = &parts, cutter.claims = share.claims.get(), cutter.split_level = level;
        cutter.run();
        if (cutter.tally.is_degenerate) share.is_degenerate = true;
        if (!is_whole.exchange(true)) whole = std::move(own);  // the same on all threads
    };
    if (threads == 1 || !share_among(threads, job)) job();
    if (stop && *stop) return {};
    Complex all = joined(whole, parts, net);
    CellArrays out = arrays_of(all, net);
    for (Part &part : parts) add_faces(part.complex, out);
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
