// A thread, what it can tell about itself, and how the main thread has it wait and wakes it.
#ifndef THREADS64_WORKER_H
#define THREADS64_WORKER_H

#include "../frozen_threads.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr long computes = -1; // instead of the system call that a thread sleeps in
constexpr std::int64_t hour = 3600 * std::int64_t(SECOND);

// Signals: the first interrupts calls, the second is waited for; the third is read from a
// descriptor; those after it do nothing but tell the masks of threads apart.
int interrupting() {
    return SIGUSR2;
}
int awaited() {
    return SIGRTMIN + 1;
}
int readable() {
    return SIGRTMIN + 2;
}
int distinguishing(int number) {
    return SIGRTMIN + 3 + number % 20;
}

thread_local unsigned char local_bytes[300];
thread_local std::string local_text;

class Worker {
  public:
    Worker(const char *kind, long call) : call_(call), kind_(kind) {}
    virtual ~Worker() = default;

    void start(int number) {
        number_ = number;
        if (number % 2) {
            own_ = std::thread([this] { live(); });
        } else {
            pthread_attr_t attributes;
            CHECK(pthread_attr_init(&attributes) == 0);
            CHECK(pthread_attr_setstacksize(&attributes, 128 << 10) == 0);
            CHECK(pthread_create(&posix_, &attributes, enter, this) == 0);
            CHECK(pthread_attr_destroy(&attributes) == 0);
        }
        await(&ready_);
    }
    // Wakes it; complete() waits until that has happened, and it may block again.
    void poke() {
        poked_ = true;
        requests_.fetch_add(1);
        wake();
    }
    void complete() {
        settle();
        EVENTUALLY(answers_.load() == requests_.load());
        poked_ = false;
    }
    bool poked() const { return poked_; }
    void await_sleep() const {
        if (call_ != computes)
            EVENTUALLY(sleeps_in(tid_, call_));
    }
    // The next wake-up is the last.
    void retire() { last_ = true; }
    void join() {
        if (own_.joinable())
            own_.join();
        else
            CHECK(pthread_join(posix_, nullptr) == 0);
    }
    // Whether a copy can be expected to see a wake-up that came before the freeze.
    virtual bool may_be_frozen_awake() const { return true; }

  protected:
    virtual void prepare() {}
    virtual void block() = 0;
    virtual void wake() {}
    virtual void settle() {}
    virtual void verify() {}

    bool requested() const { return requests_.load(std::memory_order_relaxed) != answers_.load(); }
    bool last() const { return last_; }
    int canary() const { return 4000 + number_; }
    pthread_t handle() const { return handle_; }

  private:
    static void *enter(void *worker) {
        static_cast<Worker *>(worker)->live();
        return nullptr;
    }

    void become_distinguishable() {
        handle_ = pthread_self();
        tid_ = own_tid();
        const std::string name = std::to_string(number_) + "-" + kind_;
        CHECK(pthread_setname_np(handle_, name.substr(0, 15).c_str()) == 0);
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, distinguishing(number_));
        CHECK(pthread_sigmask(SIG_BLOCK, &mask, nullptr) == 0);
        alternate_.resize(std::size_t(32 + number_) << 10);
        const stack_t stack{alternate_.data(), 0, alternate_.size()};
        CHECK(sigaltstack(&stack, nullptr) == 0);
        if (number_ % 5 == 0) {
            const sched_param parameters{};
            CHECK(sched_setscheduler(0, SCHED_BATCH, &parameters) == 0);
        }
        be_nicer(call_ == computes ? 10 + number_ % 3 : number_ % 4);
    }

    void live() {
        unsigned char stack_bytes[5000];
        become_distinguishable();
        fill(stack_bytes, sizeof stack_bytes, std::uint64_t(number_));
        fill(local_bytes, sizeof local_bytes, std::uint64_t(number_) + 100);
        local_text = "the text of thread " + std::to_string(number_);
        prepare();
        draw(&portrait_);
        post(&ready_);
        for (bool done = false; !done;) {
            errno = canary();
            block();
            CHECK(errno == canary());
            verify();
            check_portrait(&portrait_);
            CHECK(intact(stack_bytes, sizeof stack_bytes, std::uint64_t(number_)));
            CHECK(intact(local_bytes, sizeof local_bytes, std::uint64_t(number_) + 100));
            CHECK(local_text == "the text of thread " + std::to_string(number_));
            done = last_;
            answers_.fetch_add(1);
        }
    }

    const long call_;
    const char *const kind_;
    int number_ = 0;
    bool poked_ = false;
    std::atomic<bool> last_ = false;
    std::atomic<unsigned> requests_ = 0, answers_ = 0;
    std::thread own_;
    pthread_t posix_{}, handle_{};
    pid_t tid_ = 0;
    std::vector<char> alternate_;
    portrait portrait_{};
    sem_t ready_{};
};

} // namespace

#endif
