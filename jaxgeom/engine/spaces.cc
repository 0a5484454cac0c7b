// Counts and complexes of networks on boxes in any dimension: what threads share, and how lists of cells become one complex.
#include "spaces.h"

#include "assemble.h"
#include "load.h"
#include "space_cells.h"

namespace jaxgeom {

namespace {

struct Ready {  // a network on a box
    Arena &arena = own_arena();
    const Arena::Mark mark = arena.mark();
    const int dim;
    Network net;
    int words;
    Plane *planes = nullptr;
    Ready(const Source &source, int64_t index, const Box &box) : dim(static_cast<int>(source.widths[0])) {
        double size = 0;
        for (int i = 0; i < dim; i++) size = std::max({size, std::fabs(box.low[i]), std::fabs(box.high[i])});
        net = load_network(source, index, unit_exponent_of(size), arena);
        const int num = 2 * dim + static_cast<int>(num_units(source));
        words = (num + 63) >> 6;
        if (net.is_finite) planes = arena.take<Plane>(num);
    }
    ~Ready() { arena.release(mark); }
};

// job(shape), with the dimension known to the compiler for the most frequent ones.
template <class Job>
auto with_shape(int dim, int words, const Job &job) {
    if (dim == 3) return job(Shape<3, 0>{dim, words});
    if (dim == 4) return job(Shape<4, 0>{dim, words});
    return job(Shape<0, 0>{dim, words});
}

// How often a complex is cut before threads share what is left of it: lists should have many cells, since what they have
// in common is found twice.
int split_level_of(const Source &source) {
    return static_cast<int>(std::clamp<int64_t>(num_units(source) / 8, 2, kSplitLevel));
}

}  // namespace

Counted count_in_box(const Source &source, int64_t index, const Box &box, const std::atomic<int> *stop, SpaceShare *share) {
    const Ready ready(source, index, box);
    if (!ready.net.is_finite) {
        if (share) share->is_finite = false;
        return {-1, false};
    }
    return with_shape(ready.dim, ready.words, [&](auto shape) {
        Walk<decltype(shape)::kDim, decltype(shape)::kWords, false> walk{ready.net, box, shape, ready.arena, stop, ready.planes};
        if (share) walk.claims = share->claims.get();
        const int64_t cells = walk.run();
        if (share) {
            share->cells += cells;
            if (walk.is_degenerate) share->is_degenerate = true;
        }
        return Counted{cells, walk.is_degenerate};
    });
}

SpaceArrays cells_in_box(const Source &source, int64_t index, const Box &box, int64_t max_cells, bool at_surface, int threads, const std::atomic<int> *stop) {
    const Ready ready(source, index, box);
    SpaceArrays out;
    out.is_finite = ready.net.is_finite;
    if (!out.is_finite) return out;
    with_shape(ready.dim, ready.words, [&](auto shape) {
        constexpr int D = decltype(shape)::kDim, W = decltype(shape)::kWords;
        CellShare share{max_cells};
        const auto walk = [&](const Ready &own, bool is_shared) {
            CellWriter<D, W> writer(own.net, box, shape);
            Walk<D, W, true> walk{own.net, box, shape, own.arena, stop, own.planes};
            walk.writer = &writer, walk.cells = &share, walk.at_surface = at_surface && source.depth > 0;
            if (is_shared) {
                walk.claims = share.claims.get(), walk.split_level = split_level_of(source);
            } else {
                share.lists[0].reset(new CellList(shape.words()));
                writer.list = share.lists[0].get();
            }
            walk.run();
            if (walk.is_degenerate) share.is_degenerate = true;
        };
        if (threads == 1 || !share_among(threads, [&] { walk(Ready(source, index, box), true); })) walk(ready, false);
        out.is_degenerate = share.is_degenerate;
        out.is_part = at_surface && source.depth > 0;
        out.num_cells = share.num_cells;
        out.is_complete = out.num_cells <= max_cells;
        if (!out.is_complete) out.num_cells = max_cells + 1;
        if (!out.is_complete || (stop && *stop)) return 0;
        std::vector<CellList> lists;
        for (auto &list : share.lists) if (list && !list->cells.empty()) lists.push_back(std::move(*list)), list.reset();
        if (lists.empty()) lists.emplace_back(shape.words());
        assemble(ready.net, shape, lists, threads, out);
        return 0;
    });
    return out;
}

}  // namespace jaxgeom
