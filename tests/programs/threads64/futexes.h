// Threads blocked in futexes, and in what is made of them.
#ifndef THREADS64_FUTEXES_H
#define THREADS64_FUTEXES_H

#include "worker.h"

#include <chrono>
#include <condition_variable>
#include <linux/futex.h>
#include <mutex>

namespace {

// The system call itself. It may only return because it was woken.
class FutexWaiter : public Worker {
  public:
    enum Timeout { never, relative, absolute };
    explicit FutexWaiter(Timeout timeout) : Worker("futex", SYS_futex), timeout_(timeout) {}

  protected:
    void block() override {
        const int seen = seen_;
        while (word_.load() == seen) {
            const timespec duration{3600, 0}, deadline = after(CLOCK_MONOTONIC, hour);
            const int operation = timeout_ == never      ? FUTEX_WAIT_PRIVATE
                                  : timeout_ == relative ? FUTEX_WAIT
                                                         : FUTEX_WAIT_BITSET_PRIVATE;
            const long got = syscall(SYS_futex, &word_, operation, seen,
                                     timeout_ == never      ? nullptr
                                     : timeout_ == relative ? &duration
                                                            : &deadline,
                                     nullptr, 0x10u);
            CHECK(word_.load() != seen);
            CHECK(got == 0 || (got == -1 && errno == EAGAIN));
            errno = got ? canary() : errno;
        }
        seen_ = seen + 1;
        CHECK(word_.load() == seen_);
    }
    void wake() override {
        word_.fetch_add(1);
        CHECK(syscall(SYS_futex, &word_,
                      timeout_ == relative ? FUTEX_WAKE : FUTEX_WAKE_BITSET_PRIVATE, 1, nullptr,
                      nullptr, 0x10u) >= 0);
    }

  private:
    const Timeout timeout_;
    std::atomic<int> word_ = 0;
    int seen_ = 0;
};

class SemaphoreWaiter : public Worker {
  public:
    explicit SemaphoreWaiter(clockid_t clock = -1)
        : Worker("semaphore", SYS_futex), clock_(clock) {}

  protected:
    void block() override {
        if (clock_ < 0) {
            CHECK(sem_wait(&semaphore_) == 0);
        } else {
            const timespec deadline = after(clock_, hour);
            CHECK(clock_ == CLOCK_REALTIME ? sem_timedwait(&semaphore_, &deadline) == 0
                                           : sem_clockwait(&semaphore_, clock_, &deadline) == 0);
        }
        int value = -1;
        CHECK(sem_getvalue(&semaphore_, &value) == 0 && value == 0);
    }
    void wake() override { post(&semaphore_); }

  private:
    const clockid_t clock_;
    sem_t semaphore_{};
};

class ConditionWaiter : public Worker {
  public:
    explicit ConditionWaiter(clockid_t clock = -1)
        : Worker("condition", SYS_futex), clock_(clock) {}

  protected:
    void block() override {
        const timespec deadline = after(clock_ < 0 ? CLOCK_REALTIME : clock_, hour);
        CHECK(pthread_mutex_lock(&mutex_) == 0);
        while (posted_ == taken_)
            CHECK((clock_ < 0 ? pthread_cond_wait(&condition_, &mutex_)
                   : clock_ == CLOCK_REALTIME
                       ? pthread_cond_timedwait(&condition_, &mutex_, &deadline)
                       : pthread_cond_clockwait(&condition_, &mutex_, clock_, &deadline)) == 0);
        CHECK(++taken_ == posted_);
        CHECK(pthread_mutex_unlock(&mutex_) == 0);
    }
    void wake() override {
        CHECK(pthread_mutex_lock(&mutex_) == 0);
        posted_++;
        CHECK(pthread_mutex_unlock(&mutex_) == 0);
        CHECK(pthread_cond_signal(&condition_) == 0);
    }

  private:
    const clockid_t clock_;
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
    int posted_ = 0, taken_ = 0;
};

class StandardConditionWaiter : public Worker {
  public:
    StandardConditionWaiter() : Worker("std-condition", SYS_futex) {}

  protected:
    void block() override {
        std::unique_lock lock(mutex_);
        CHECK(condition_.wait_for(lock, std::chrono::hours(1), [this] { return posted_; }));
        posted_ = false;
    }
    void wake() override {
        const std::lock_guard lock(mutex_);
        posted_ = true;
        condition_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool posted_ = false;
};

class BarrierWaiter : public Worker {
  public:
    BarrierWaiter() : Worker("barrier", SYS_futex) {
        CHECK(pthread_barrier_init(&barrier_, nullptr, 2) == 0);
    }

  protected:
    void block() override { arrive(); }
    void wake() override { arrive(); }

  private:
    void arrive() {
        const int got = pthread_barrier_wait(&barrier_);
        CHECK(got == 0 || got == PTHREAD_BARRIER_SERIAL_THREAD);
    }
    pthread_barrier_t barrier_;
};

// Joins one thread after the other.
class Joiner : public Worker {
  public:
    Joiner() : Worker("join", SYS_futex) {}

  protected:
    void prepare() override { create(); }
    void block() override {
        void *result = nullptr;
        CHECK(pthread_join(joined_, &result) == 0);
        CHECK(result == this && errno == canary());
        if (!last())
            create();
        errno = canary();
    }
    void wake() override { post(&may_end_); }

  private:
    static void *wait_and_return(void *joiner) {
        CHECK(sem_wait(&static_cast<Joiner *>(joiner)->may_end_) == 0);
        return joiner;
    }
    void create() { CHECK(pthread_create(&joined_, nullptr, wait_and_return, this) == 0); }
    pthread_t joined_{};
    sem_t may_end_{};
};

} // namespace

#endif
