// Threads that share the work on one network: each phase of a step is cut into parts, of which every thread takes its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace jaxgeom::training {

class Team {
  public:
    const int size;

    explicit Team(int size) : size(size), claims_(std::make_unique<Claim[]>(size)) {}

    // part(0), …, part(num - 1), at the same time if they may; returns when all are done. Of the thread that leads: it takes
    // the first one, and then whatever nobody has begun, so that it never waits for a thread that sleeps.
    template <class Part>
    void share(int num, const Part &part) {
        call_ = [](const void *own, int number) { (*static_cast<const Part *>(own))(number); };
        part_ = &part;
        num_done_.store(0, std::memory_order_relaxed);
        const uint64_t turn = ((turn_.load(std::memory_order_relaxed) >> COUNT) + 1) << COUNT | static_cast<uint64_t>(num);
        turn_.store(turn, std::memory_order_release);
        for (int number = 0; number < num; number++) take(number, turn);
        wait([&] { return num_done_.load(std::memory_order_acquire) == num; });
    }
    // Of another thread: its parts of all that is shared, until the team is dismissed.
    void work(int number) {
        for (uint64_t seen = 0; seen != DISMISSED;) {
            uint64_t turn = seen;
            wait([&] { return (turn = turn_.load(std::memory_order_acquire)) != seen; });
            seen = turn;
            if (turn != DISMISSED && number < static_cast<int>(turn & (MOST - 1))) take(number, turn);
        }
    }
    void dismiss() { turn_.store(DISMISSED, std::memory_order_release); }

    static constexpr int COUNT = 16, MOST = 1 << COUNT;  // bits of the number of parts in that of a turn

  private:
    static constexpr uint64_t DISMISSED = ~uint64_t(0);
    struct alignas(64) Claim { std::atomic<uint64_t> turn{0}; };  // the last one of which this part was taken
    std::unique_ptr<Claim[]> claims_;
    alignas(64) std::atomic<uint64_t> turn_{0};  // and the number of its parts
    alignas(64) std::atomic<int> num_done_{0};
    void (*call_)(const void *, int) = nullptr;
    const void *part_ = nullptr;

    // A turn does not end before all its parts were claimed: who comes late finds a later claim.
    void take(int number, uint64_t turn) {
        uint64_t before = claims_[number].turn.load(std::memory_order_relaxed);
        if (before >= turn || !claims_[number].turn.compare_exchange_strong(before, turn, std::memory_order_acq_rel)) return;
        call_(part_, number);
        num_done_.fetch_add(1, std::memory_order_acq_rel);
    }
    // A phase takes microseconds: threads sleep only where there are more of them than cores.
    template <class IsDue>
    static void wait(const IsDue &is_due) {
        for (int tries = 0; !is_due(); tries++) {
            if (tries > 2000) { std::this_thread::yield(); continue; }
#if defined(__x86_64__) || defined(_M_X64)
            _mm_pause();
#endif
        }
    }
};

}  // namespace jaxgeom::training
