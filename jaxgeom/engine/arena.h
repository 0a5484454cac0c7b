// Memory that is given back in the reverse order of its taking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace jaxgeom {

class Arena {
  public:
    struct Mark { size_t block, at; };
    Mark mark() const { return {block_, at_}; }
    void release(Mark mark) { block_ = mark.block, at_ = mark.at; }
    template <class T> T *take(size_t n) {
        const size_t bytes = (n * sizeof(T) + 63) & ~size_t(63);
        if (blocks_.empty()) add(bytes);
        while (at_ + bytes > blocks_[block_].size) {
            at_ = 0;
            if (++block_ == blocks_.size()) add(bytes);
        }
        char *place = blocks_[block_].start + at_;
        at_ += bytes;
        return reinterpret_cast<T *>(place);
    }

  private:
    struct Block { std::unique_ptr<char[]> memory; char *start; size_t size; };
    std::vector<Block> blocks_;
    size_t at_ = 0, block_ = 0;
    void add(size_t bytes) {
        const size_t size = std::max<size_t>(size_t(1) << 18, 2 * bytes);
        std::unique_ptr<char[]> memory(new char[size + 64]);
        char *start = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(memory.get()) + 63) & ~uintptr_t(63));
        blocks_.push_back({std::move(memory), start, size});
    }
};

inline Arena &own_arena() {  // of this thread
    static thread_local Arena arena;
    return arena;
}

}  // namespace jaxgeom
