// Things found by their hashes, and sets of numbered things under keys.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace jaxgeom {

class Table {  // numbers of things under hashes, in the order in which they came
  public:
    // The thing with this hash for which is_it(number) holds; a new number, if there is none.
    template <class Is>
    int64_t find(uint64_t hash, bool &is_new, const Is &is_it) {
        if (2 * (hashes_.size() + 1) > slots_.size()) grow();
        const size_t mask = slots_.size() - 1;
        size_t at = hash & mask;
        for (; slots_[at].number >= 0; at = (at + 1) & mask)
            if (slots_[at].hash == hash && is_it(slots_[at].number)) return is_new = false, slots_[at].number;
        is_new = true;
        slots_[at] = {hash, static_cast<int64_t>(hashes_.size())};
        hashes_.push_back(hash);
        return slots_[at].number;
    }
    int64_t size() const { return static_cast<int64_t>(hashes_.size()); }
    uint64_t hash(int64_t number) const { return hashes_[number]; }
    void clear() {
        std::fill(slots_.begin(), slots_.end(), Slot{0, -1});
        hashes_.clear();
    }

  private:
    struct Slot { uint64_t hash; int64_t number; };
    std::vector<Slot> slots_;
    std::vector<uint64_t> hashes_;
    void grow() {
        slots_.assign(std::max<size_t>(64, 2 * slots_.size()), Slot{0, -1});
        for (size_t i = 0; i < hashes_.size(); i++) {
            size_t at = hashes_[i] & (slots_.size() - 1);
            while (slots_[at].number >= 0) at = (at + 1) & (slots_.size() - 1);
            slots_[at] = {hashes_[i], static_cast<int64_t>(i)};
        }
    }
};

template <class T>
uint64_t hash_of(const T *numbers, size_t n, uint64_t seed = 0x9e3779b97f4a7c15ull) {
    uint64_t hash = seed;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ static_cast<uint64_t>(numbers[i])) * 0xbf58476d1ce4e5b9ull;
        hash ^= hash >> 31;
    }
    return hash * 0x94d049bb133111ebull ^ hash >> 29;
}

// A set of numbers by 128 bits: the sum of what its members are mixed to, in whatever order they come.
struct SetKey {
    uint64_t first = 0, second = 0;
    SetKey() = default;
    explicit SetKey(uint64_t member)
        : first(mixed(member + 1, 0xbf58476d1ce4e5b9ull, 0x94d049bb133111ebull)), second(mixed(member + 1, 0xff51afd7ed558ccdull, 0xc4ceb9fe1a85ec53ull)) {}
    void add(const SetKey &other) { first += other.first, second += other.second; }

  private:
    static uint64_t mixed(uint64_t n, uint64_t a, uint64_t b) {
        n *= 0x9e3779b97f4a7c15ull;
        n = (n ^ n >> 30) * a;
        n = (n ^ n >> 27) * b;
        return n ^ n >> 31;
    }
};

class Sets {  // of numbers, each once
  public:
    int64_t find(const SetKey &key, bool &is_new) {
        const int64_t number = table_.find(key.first, is_new, [&](int64_t other) { return seconds_[other] == key.second; });
        if (is_new) seconds_.push_back(key.second);
        return number;
    }
    SetKey key(int64_t number) const {
        SetKey key;
        key.first = table_.hash(number), key.second = seconds_[number];
        return key;
    }
    int64_t size() const { return table_.size(); }

  private:
    Table table_;
    std::vector<uint64_t> seconds_;
};

inline bool has_bit(const uint64_t *bits, int i) { return bits[i >> 6] >> (i & 63) & 1; }
inline void set_bit(uint64_t *bits, int i) { bits[i >> 6] |= uint64_t(1) << (i & 63); }

}  // namespace jaxgeom
