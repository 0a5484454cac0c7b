// Memory that is given back in the reverse order of its taking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace jaxgeom {

class Arena {
  public:
    struct Mark { size_t block; char *at; };
    Mark mark() const { return {block_, at_}; }
    void release(Mark mark) {
        if (mark.block != block_) block_ = mark.block, end_ = blocks_[block_].start + blocks_[block_].size;
        at_ = mark.at;
    }
    template <class T> __attribute__((always_inline)) T *take(size_t n) {
        const size_t bytes = (n * sizeof(T) + 63) & ~size_t(63);
        if (static_cast<size_t>(end_ - at_) < bytes) find(bytes);
        char *place = at_;
        at_ += bytes;
        return reinterpret_cast<T *>(place);
    }
    Arena() { add(0), at_ = blocks_[0].start, end_ = at_ + blocks_[0].size; }

  private:
    struct Block { std::unique_ptr<char[]> memory; char *start; size_t size; };
    std::vector<Block> blocks_;
    char *at_, *end_;
    size_t block_ = 0;
    void add(size_t bytes) {
        const size_t size = std::max<size_t>(size_t(1) << 18, 2 * bytes);
        std::unique_ptr<char[]> memory(new char[size + 64]);
        char *start = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(memory.get()) + 63) & ~uintptr_t(63));
        blocks_.push_back({std::move(memory), start, size});
    }
    __attribute__((noinline)) void find(size_t bytes) {  // the next block that is large enough
        do {
            if (++block_ == blocks_.size()) add(bytes);
        } while (blocks_[block_].size < bytes);
        at_ = blocks_[block_].start, end_ = at_ + blocks_[block_].size;
    }
};

inline Arena &own_arena() {  // of this thread
    static thread_local Arena arena;
    return arena;
}

}  // namespace jaxgeom
