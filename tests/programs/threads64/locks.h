// Threads that wait for locks, and threads that hold them.
#ifndef THREADS64_LOCKS_H
#define THREADS64_LOCKS_H

#include "worker.h"

#include <functional>
#include <memory>
#include <sys/mman.h>

namespace {

constexpr const char *mutex_names[MUTEX_KINDS] = {"normal", "recursive", "checking",
                                                  "robust", "shared",    "inheriting"};

pthread_mutex_t *new_mutex(mutex_kind kind) {
    void *const memory =
        mmap(nullptr, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
             (kind == KIND_SHARED ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    make_mutex(static_cast<pthread_mutex_t *>(memory), kind);
    return static_cast<pthread_mutex_t *>(memory);
}

// Wants what the main thread has. The main thread takes it again before the worker is back.
class LockWaiter : public Worker {
  public:
    LockWaiter(const char *kind, long call, std::function<int()> main_locks,
               std::function<int()> locks, std::function<int()> unlocks)
        : Worker(kind, call), main_locks_(main_locks), locks_(locks), unlocks_(unlocks) {
        CHECK(main_locks_() == 0);
    }
    explicit LockWaiter(mutex_kind kind) : LockWaiter(kind, new_mutex(kind)) {}

  protected:
    void block() override {
        CHECK(locks_() == 0);
        post(&got_);
        CHECK(unlocks_() == 0);
        CHECK(sem_wait(&taken_back_) == 0);
    }
    void wake() override { CHECK(unlocks_() == 0); }
    void settle() override {
        await(&got_);
        CHECK(main_locks_() == 0);
        post(&taken_back_);
    }

  private:
    LockWaiter(mutex_kind kind, pthread_mutex_t *mutex)
        : LockWaiter(
              mutex_names[kind], SYS_futex, [mutex] { return pthread_mutex_lock(mutex); },
              [mutex] { return pthread_mutex_lock(mutex); },
              [mutex] { return pthread_mutex_unlock(mutex); }) {}
    const std::function<int()> main_locks_, locks_, unlocks_;
    sem_t got_{}, taken_back_{};
};

std::unique_ptr<Worker> reader_waiter() {
    static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    return std::make_unique<LockWaiter>(
        "reader", SYS_futex, [] { return pthread_rwlock_wrlock(&lock); },
        [] { return pthread_rwlock_rdlock(&lock); }, [] { return pthread_rwlock_unlock(&lock); });
}

std::unique_ptr<Worker> writer_waiter() {
    static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    return std::make_unique<LockWaiter>(
        "writer", SYS_futex, [] { return pthread_rwlock_rdlock(&lock); },
        [] { return pthread_rwlock_wrlock(&lock); }, [] { return pthread_rwlock_unlock(&lock); });
}

std::unique_ptr<Worker> spinner() {
    static pthread_spinlock_t lock;
    CHECK(pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE) == 0);
    return std::make_unique<LockWaiter>(
        "spin", computes, [] { return pthread_spin_lock(&lock); },
        [] { return pthread_spin_lock(&lock); }, [] { return pthread_spin_unlock(&lock); });
}

// Has it while it waits to be asked for it.
class LockHolder : public Worker {
  public:
    explicit LockHolder(mutex_kind kind)
        : Worker(mutex_names[kind], SYS_futex), kind_(kind), mutex_(new_mutex(kind)) {}

  protected:
    void prepare() override { lock(); }
    void block() override {
        CHECK(sem_wait(&wanted_) == 0);
        if (kind_ == KIND_CHECKING)
            CHECK(pthread_mutex_lock(mutex_) == EDEADLK);
        if (kind_ == KIND_RECURSIVE)
            CHECK(pthread_mutex_unlock(mutex_) == 0);
        CHECK(pthread_mutex_unlock(mutex_) == 0);
        post(&free_);
        CHECK(sem_wait(&returned_) == 0);
        lock();
    }
    void wake() override {
        if (kind_ == KIND_CHECKING)
            CHECK(pthread_mutex_unlock(mutex_) == EPERM);
        CHECK(pthread_mutex_trylock(mutex_) == EBUSY);
        post(&wanted_);
    }
    void settle() override {
        await(&free_);
        CHECK(pthread_mutex_trylock(mutex_) == 0);
        CHECK(pthread_mutex_unlock(mutex_) == 0);
        post(&returned_);
    }

  private:
    void lock() {
        CHECK(pthread_mutex_lock(mutex_) == 0);
        if (kind_ == KIND_RECURSIVE)
            CHECK(pthread_mutex_lock(mutex_) == 0);
    }
    const mutex_kind kind_;
    pthread_mutex_t *const mutex_;
    sem_t wanted_{}, free_{}, returned_{};
};

} // namespace

#endif
