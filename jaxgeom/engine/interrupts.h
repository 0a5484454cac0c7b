// Ctrl-C while a program of JAX is at work in the engine: the work ends, and with it the program, in an error.
//
// Python only notes a signal, and answers it when its main thread is back from whatever it waits for; JAX's programs would
// run to their ends before. While a Watch lives, the signal is noted here, too, before it goes on to the handler that was
// there. A handler of the user's may mean something else by it than the end, so a thread beside asks Python; not at once, so
// that a main thread in block_until_ready, where JAX looks for signals, raises KeyboardInterrupt and no error of the program.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace jaxgeom {

enum Answer : int { kGoOn = 0, kEnd = 1, kAskAgain = 2 };
// Whether an interrupt is meant to end what is at work; null once nobody can be asked, and nobody waits for results.
inline std::atomic<int (*)()> &question() {
    static std::atomic<int (*)()> asks{nullptr};
    return asks;
}

#if defined(_WIN32)
class Watch {
  public:
    int *stop() { return nullptr; }
};
#else
class Watch {
  public:
    Watch() : state_(std::make_shared<State>()) {
        listen();
        try {
            std::thread(wait, state_, age() < kForgotten ? settled().load() : presses().load()).detach();
        } catch (const std::system_error &) {}  // no thread is to be had: not watched
    }
    ~Watch() {
        {
            const std::lock_guard<std::mutex> lock(state_->mutex);
            state_->is_done = true;
        }
        state_->changed.notify_all();
        leave();
    }
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;
    // Becomes 1 when the work should end; for whoever takes it as std::atomic<int>.
    int *stop() { return reinterpret_cast<int *>(&state_->stop); }

  private:
    using Handling = struct sigaction;
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        bool is_done = false;
        std::atomic<int> stop{0};
    };
    std::shared_ptr<State> state_;

    static std::atomic<int> &presses() {
        static std::atomic<int> number{0};
        return number;
    }
    // Those that were answered. One that was not, because the work had ended meanwhile, is for the next work of the same
    // program: the next step of a loop.
    static std::atomic<int> &settled() {
        static std::atomic<int> number{0};
        return number;
    }
    static std::atomic<int64_t> &last() {  // when it was pressed, in milliseconds
        static std::atomic<int64_t> time{-kForgotten};
        return time;
    }
    static constexpr int64_t kPatience = 300, kForgotten = 2000;  // milliseconds
    static int64_t now() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
    static int64_t age() { return now() - last(); }
    static void wait(const std::shared_ptr<State> &state, int seen) {
        std::unique_lock<std::mutex> lock(state->mutex);
        while (!state->changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return state->is_done; })) {
            const int number = presses();
            if (number == seen || age() < kPatience) continue;
            lock.unlock();
            const auto ask = question().load();
            const int answer = ask ? ask() : kEnd;
            lock.lock();
            if (state->is_done || answer == kAskAgain) continue;
            settled() = seen = number;
            if (answer == kEnd) {
                state->stop = 1;
                return;
            }
        }
    }

    // The handler that was there before ours. It is read by signals, and so never changed but for another.
    static std::atomic<const Handling *> &before() {
        static std::atomic<const Handling *> handling{nullptr};
        return handling;
    }
    static void note(int number, siginfo_t *info, void *context) {
        last() = now(), presses()++;
        const Handling *next = before();
        if (next->sa_flags & SA_SIGINFO) next->sa_sigaction(number, info, context);
        else next->sa_handler(number);
    }
    static bool is_ours(const Handling &handling) { return (handling.sa_flags & SA_SIGINFO) && handling.sa_sigaction == note; }
    static bool is_same(const Handling &a, const Handling &b) {
        if (a.sa_flags != b.sa_flags || std::memcmp(&a.sa_mask, &b.sa_mask, sizeof a.sa_mask) != 0) return false;
        return a.sa_flags & SA_SIGINFO ? a.sa_sigaction == b.sa_sigaction : a.sa_handler == b.sa_handler;
    }
    struct Listeners {
        std::mutex mutex;
        int num = 0;
    };
    static Listeners &listeners() {
        static Listeners *all = new Listeners;
        return *all;
    }
    static void listen() {
        presses(), settled(), last(), before();  // made here, not by the first signal
        const std::lock_guard<std::mutex> lock(listeners().mutex);
        if (listeners().num++ > 0) return;
        Handling found;
        if (sigaction(SIGINT, nullptr, &found) != 0 || is_ours(found)) return;
        if (!(found.sa_flags & SA_SIGINFO) && (found.sa_handler == SIG_DFL || found.sa_handler == SIG_IGN)) return;
        if (!before() || !is_same(found, *before())) before() = new Handling(found);
        Handling own = found;
        own.sa_flags |= SA_SIGINFO;
        own.sa_sigaction = note;
        sigaction(SIGINT, &own, nullptr);
    }
    // Whoever has put another handler in place meanwhile keeps it.
    static void leave() {
        const std::lock_guard<std::mutex> lock(listeners().mutex);
        if (--listeners().num > 0) return;
        Handling found;
        if (sigaction(SIGINT, nullptr, &found) == 0 && is_ours(found)) sigaction(SIGINT, before(), nullptr);
    }
};
#endif

}  // namespace jaxgeom
