// A list of plain numbers that grows in place where it can and does not write what is going to be written anyway.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace jaxgeom {

template <class T>
class Buffer {
    static_assert(std::is_trivially_copyable<T>::value, "moved as bytes");

  public:
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { std::free(start_); }
    T *data() { return start_; }
    const T *data() const { return start_; }
    size_t size() const { return size_; }
    size_t bytes() const { return capacity_ * sizeof(T); }
    T &operator[](size_t i) { return start_[i]; }
    const T &operator[](size_t i) const { return start_[i]; }
    // Room for n more, whatever stands there.
    T *add(size_t n) {
        if (size_ + n > capacity_) grow(size_ + n);
        T *place = start_ + size_;
        size_ += n;
        return place;
    }
    void push(const T &value) { *add(1) = T(value); }
    void clear() { size_ = 0; }

  private:
    T *start_ = nullptr;
    size_t size_ = 0, capacity_ = 0;
    void grow(size_t needed) {
        const size_t wanted = needed < 2 * capacity_ ? 2 * capacity_ : needed < 64 ? 64 : needed;
        void *moved = std::realloc(static_cast<void *>(start_), wanted * sizeof(T));
        if (!moved) throw std::bad_alloc();
        start_ = static_cast<T *>(moved), capacity_ = wanted;
    }
};

}  // namespace jaxgeom
