// Memory of results, held for later ones once it has been given back: the system takes longer to clear new memory, and to
// take it back, than results take to be written.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace jaxgeom {

class Blocks {
  public:
    static char *take(size_t bytes) {
        {
            std::unique_lock<std::mutex> lock(one().mutex_, std::try_to_lock);  // which a fork may have left locked
            std::vector<char *> &held = one().held_;
            for (size_t i = lock.owns_lock() ? held.size() : 0; i-- > 0;) {
                char *block = held[i];
                if (capacity(block) < bytes || capacity(block) > 2 * bytes) continue;
                held[i] = held.back(), held.pop_back();
                one().bytes_ -= capacity(block);
                return block;
            }
        }
        char *start = static_cast<char *>(std::malloc(kHead + bytes));
        if (!start) throw std::bad_alloc();
        capacity(start + kHead) = bytes;
        return start + kHead;
    }
    static void give_back(char *block) {
        if (!block) return;
        std::unique_lock<std::mutex> lock(one().mutex_, std::try_to_lock);
        if (lock.owns_lock() && one().held_.size() < kMost && one().bytes_ + capacity(block) <= kMostBytes) {
            one().held_.push_back(block), one().bytes_ += capacity(block);
        } else {
            std::free(block - kHead);
        }
    }

  private:
    static constexpr size_t kHead = 64, kMost = 256, kMostBytes = size_t(1) << 25;
    std::mutex mutex_;
    std::vector<char *> held_;
    size_t bytes_ = 0;
    Blocks() { held_.reserve(kMost); }
    static size_t &capacity(char *block) { return *reinterpret_cast<size_t *>(block - kHead); }
    static Blocks &one() {
        static Blocks *blocks = new Blocks;
        return *blocks;
    }
};

}  // namespace jaxgeom
