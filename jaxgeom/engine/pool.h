// A standing pool of threads with stacks that are large enough for the recursion of wide networks. One job at a time;
// whoever finds the pool at work does its own job alone.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <new>
#include <thread>
#include <vector>
#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "floats.h"

namespace jaxgeom {

class Pool {
  public:
    // Calls job(0), …, job(num - 1) at the same time, each on a thread of the pool, and `meanwhile` on this one; returns
    // when all are done. False, without any call, if the pool is at work or cannot start its threads.
    bool run(int num, const std::function<void(int)> &job, const std::function<void()> &meanwhile = [] {}) {
        std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
        if (!turn.owns_lock()) return false;
        std::unique_lock<std::mutex> lock(mutex_);
        while (static_cast<int>(num_threads_) < num)
            if (!start(static_cast<int>(num_threads_))) return false;
        job_ = &job, wanted_ = num, running_ = num;
        generation_++;
        wake_.notify_all();
        lock.unlock();
        meanwhile();
        wait_briefly([&] { return running_ == 0; });
        lock.lock();
        done_.wait(lock, [&] { return running_ == 0; });
        job_ = nullptr;
        return true;
    }

  private:
    std::mutex turn_, mutex_;
    std::condition_variable wake_, done_;
    const std::function<void(int)> *job_ = nullptr;
    int wanted_ = 0, num_threads_ = 0;
    std::atomic<int> running_{0};
    std::atomic<uint64_t> generation_{0};

    // Until something is due, but not for long: to sleep and be woken takes as long as counting a small network, and
    // whoever counts one often counts another one at once.
    template <class IsDue> static void wait_briefly(const IsDue &is_due) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
        while (!is_due() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    }

    void work(int index) {
        const StandardFloats floats;
        uint64_t seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return job_ && generation_ != seen && index < wanted_; });
            seen = generation_;
            const auto *job = job_;
            lock.unlock();
            (*job)(index);
            lock.lock();
            if (--running_ == 0) done_.notify_one();
            lock.unlock();
            wait_briefly([&] { return generation_ != seen; });
            lock.lock();
        }
    }
#if defined(_WIN32)
    bool start(int index) {
        std::thread([this, index] { work(index); }).detach();
        num_threads_++;
        return true;
    }
#else
    struct Start { Pool *pool; int index; };
    bool start(int index) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, size_t(256) << 20);  // only what is used takes memory
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_t thread;
        auto *argument = new Start{this, index};
        const int error = pthread_create(&thread, &attributes, [](void *data) -> void * {
            const Start at = *static_cast<Start *>(data);
            delete static_cast<Start *>(data);
            at.pool->work(at.index);
            return nullptr;
        }, argument);
        pthread_attr_destroy(&attributes);
        if (error) { delete argument; return false; }
        num_threads_++;
        return true;
    }
#endif
};

// The pool of this process. After a fork, the child has none of its parent's threads and gets a new one.
inline Pool &pool() {
    static Pool *current = new Pool;
#if !defined(_WIN32)
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current = new Pool; });
    (void)registered;
#endif
    return *current;
}

// job(i) for all i below num, on the threads of the pool. Errors of jobs are those of the call.
template <class Job>
void for_all(int64_t num, int threads, int64_t block, bool needs_stack, const Job &job) {
    std::atomic<int64_t> following{0};
    std::atomic<bool> is_out_of_memory{false};
    const std::function<void(int)> work = [&](int) {
        try {
            for (;;) {
                const int64_t first = following.fetch_add(block), last = std::min(num, first + block);
                if (first >= num) return;
                for (int64_t i = first; i < last; i++) job(i);
            }
        } catch (const std::bad_alloc &) {
            is_out_of_memory = true;
        }
    };
    const int useful = static_cast<int>(std::min<int64_t>(threads, (num + block - 1) / block));
    if ((useful <= 1 && !needs_stack) || !pool().run(std::max(useful, 1), work)) work(0);
    if (is_out_of_memory) throw std::bad_alloc();
}

// job() on so many threads at once; false if the pool cannot. What the job needs is prepared while the threads wake up:
// they begin once prepare() is done, and only if it is true.
template <class Prepare, class Job>
bool share_among(int threads, const Prepare &prepare, const Job &job) {
    std::atomic<bool> is_out_of_memory{false}, is_ready{false}, is_wanted{false};
    const bool ran = pool().run(
        threads,
        [&](int) {
            try {
                while (!is_ready) std::this_thread::yield();
                if (is_wanted) job();
            } catch (const std::bad_alloc &) {
                is_out_of_memory = true;
            }
        },
        [&] {
            try {
                is_wanted = prepare();
            } catch (const std::bad_alloc &) {
                is_out_of_memory = true;
            }
            is_ready = true;
        });
    if (is_out_of_memory) throw std::bad_alloc();
    return ran;
}
template <class Job>
bool share_among(int threads, const Job &job) { return share_among(threads, [] { return true; }, job); }

}  // namespace jaxgeom
