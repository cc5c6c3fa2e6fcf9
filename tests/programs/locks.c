/*
 * Locks of every kind, held by the thread that freezes the process and by others, and wanted by
 * others, across the freeze: owners can unlock them and nobody else can, those who wait get them
 * when they are unlocked and not before, and a robust mutex whose owner ends afterwards says so.
 */
#include "frozen_threads.h"

#include <sys/mman.h>
#include <threads.h>

/* Shared memory, of which there is one mapping: what is process-shared lies here. */
static struct shared {
    pthread_mutex_t mutexes[MUTEX_KINDS];
    pthread_mutex_t robust, robust_inheriting;
    pthread_cond_t condition;
    pthread_rwlock_t rwlock;
    pthread_barrier_t barrier;
    sem_t semaphore;
} * shared;

static pthread_t start(void *(*function)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    return thread;
}

static void end_of(pthread_t thread) {
    CHECK(pthread_join(thread, NULL) == 0);
}

/* A thread that says who it is and goes on to sleep in a futex. */
struct sleeper {
    pthread_t thread;
    pid_t tid;
    sem_t begins;
    volatile int is_through;
};

static void begin(struct sleeper *s) {
    s->tid = own_tid();
    post(&s->begins);
}

static void await_sleep(struct sleeper *s) {
    await(&s->begins);
    EVENTUALLY(sleeps_in(s->tid, SYS_futex));
}

/* --- mutexes held by the freezing thread, wanted by another
 * --------------------------------------- */

static pthread_mutex_t private_mutexes[MUTEX_KINDS];

static struct wanting {
    struct sleeper sleeper;
    enum mutex_kind kind;
    pthread_mutex_t *mutex;
} wanting[MUTEX_KINDS][2];

static void *want(void *argument) {
    struct wanting *w = argument;
    if (w->kind == KIND_CHECKING)
        CHECK(pthread_mutex_unlock(w->mutex) == EPERM);
    begin(&w->sleeper);
    CHECK(pthread_mutex_lock(w->mutex) == 0);
    w->sleeper.is_through = 1;
    if (w->kind == KIND_CHECKING)
        CHECK(pthread_mutex_lock(w->mutex) == EDEADLK);
    CHECK(pthread_mutex_unlock(w->mutex) == 0);
    return NULL;
}

static void hold_what_others_want(void) {
    for (int kind = 0; kind < MUTEX_KINDS; kind++) {
        pthread_mutex_t *mutex =
            kind == KIND_SHARED ? &shared->mutexes[kind] : &private_mutexes[kind];
        make_mutex(mutex, kind);
        CHECK(pthread_mutex_lock(mutex) == 0);
        for (int depth = 1; kind == KIND_RECURSIVE && depth < 3; depth++)
            CHECK(pthread_mutex_lock(mutex) == 0);
        for (int i = 0; i < 2; i++) {
            struct wanting *w = &wanting[kind][i];
            w->kind = kind;
            w->mutex = mutex;
            w->sleeper.thread = start(want, w);
            await_sleep(&w->sleeper);
        }
    }
}

static void let_others_have_it(void) {
    for (int kind = 0; kind < MUTEX_KINDS; kind++) {
        struct wanting *w = wanting[kind];
        for (int depth = 1; kind == KIND_RECURSIVE && depth < 3; depth++)
            CHECK(pthread_mutex_unlock(w->mutex) == 0);
        CHECK(!w[0].sleeper.is_through && !w[1].sleeper.is_through);
        if (kind == KIND_CHECKING)
            CHECK(pthread_mutex_lock(w->mutex) == EDEADLK);
        CHECK(pthread_mutex_unlock(w->mutex) == 0);
        end_of(w[0].sleeper.thread);
        end_of(w[1].sleeper.thread);
        CHECK(pthread_mutex_trylock(w->mutex) == 0 && pthread_mutex_unlock(w->mutex) == 0);
    }
}

/* --- mutexes held by other threads
 * ---------------------------------------------------------------- */

static struct holding {
    struct sleeper sleeper;
    enum mutex_kind kind;
    pthread_mutex_t mutex;
    sem_t may_unlock;
} holding[MUTEX_KINDS];

static void *hold(void *argument) {
    struct holding *h = argument;
    CHECK(pthread_mutex_lock(&h->mutex) == 0);
    if (h->kind == KIND_RECURSIVE)
        CHECK(pthread_mutex_lock(&h->mutex) == 0);
    begin(&h->sleeper);
    CHECK(sem_wait(&h->may_unlock) == 0);
    if (h->kind == KIND_CHECKING)
        CHECK(pthread_mutex_lock(&h->mutex) == EDEADLK);
    if (h->kind == KIND_RECURSIVE)
        CHECK(pthread_mutex_unlock(&h->mutex) == 0);
    CHECK(pthread_mutex_unlock(&h->mutex) == 0);
    return NULL;
}

static void have_others_hold(void) {
    for (int kind = 0; kind < MUTEX_KINDS; kind++) {
        struct holding *h = &holding[kind];
        h->kind = kind;
        make_mutex(&h->mutex, kind);
        h->sleeper.thread = start(hold, h);
        await_sleep(&h->sleeper);
    }
}

static void want_what_others_hold(void) {
    for (int kind = 0; kind < MUTEX_KINDS; kind++) {
        struct holding *h = &holding[kind];
        CHECK(pthread_mutex_trylock(&h->mutex) == EBUSY);
        if (kind == KIND_CHECKING || kind == KIND_ROBUST || kind == KIND_RECURSIVE)
            CHECK(pthread_mutex_unlock(&h->mutex) == EPERM);
        post(&h->may_unlock);
        CHECK(pthread_mutex_lock(&h->mutex) == 0);
        CHECK(pthread_mutex_unlock(&h->mutex) == 0);
        end_of(h->sleeper.thread);
    }
}

/* --- robust mutexes whose owner ends after the freeze
 * --------------------------------------------- */

static struct mortal {
    struct sleeper sleeper;
    pthread_mutex_t *mutex;
    sem_t may_end;
} mortals[2];
static struct wanting heirs[2];

static void *end_with_it(void *argument) {
    struct mortal *m = argument;
    CHECK(pthread_mutex_lock(m->mutex) == 0);
    begin(&m->sleeper);
    CHECK(sem_wait(&m->may_end) == 0);
    return NULL;
}

static void *inherit(void *argument) {
    struct wanting *w = argument;
    begin(&w->sleeper);
    CHECK(pthread_mutex_lock(w->mutex) == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(w->mutex) == 0);
    CHECK(pthread_mutex_unlock(w->mutex) == 0);
    return NULL;
}

static void make_heirs(void) {
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutex_init(&shared->robust, &attributes) == 0);
    CHECK(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
    CHECK(pthread_mutex_init(&shared->robust_inheriting, &attributes) == 0);
    for (int i = 0; i < 2; i++) {
        mortals[i].mutex = heirs[i].mutex = i ? &shared->robust_inheriting : &shared->robust;
        mortals[i].sleeper.thread = start(end_with_it, &mortals[i]);
        await_sleep(&mortals[i].sleeper);
        heirs[i].sleeper.thread = start(inherit, &heirs[i]);
        await_sleep(&heirs[i].sleeper);
    }
}

static void end_owners(void) {
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_mutex_trylock(mortals[i].mutex) == EBUSY);
        post(&mortals[i].may_end);
        end_of(mortals[i].sleeper.thread);
        end_of(heirs[i].sleeper.thread);
        CHECK(pthread_mutex_lock(heirs[i].mutex) == 0);
        CHECK(pthread_mutex_unlock(heirs[i].mutex) == 0);
    }
}

/* --- read-write locks, spin locks
 * ----------------------------------------------------------------- */

static struct rwlock_user {
    struct sleeper sleeper;
    int writes;
} rwlock_users[4];
static int written;

static void *use_rwlock(void *argument) {
    struct rwlock_user *u = argument;
    begin(&u->sleeper);
    CHECK((u->writes ? pthread_rwlock_wrlock : pthread_rwlock_rdlock)(&shared->rwlock) == 0);
    written += u->writes;
    u->sleeper.is_through = 1;
    CHECK(pthread_rwlock_unlock(&shared->rwlock) == 0);
    return NULL;
}

static void hold_rwlock(void) {
    pthread_rwlockattr_t attributes;
    CHECK(pthread_rwlockattr_init(&attributes) == 0);
    CHECK(pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_rwlock_init(&shared->rwlock, &attributes) == 0);
    CHECK(pthread_rwlock_wrlock(&shared->rwlock) == 0);
    for (int i = 0; i < 4; i++) {
        rwlock_users[i].writes = i % 2;
        rwlock_users[i].sleeper.thread = start(use_rwlock, &rwlock_users[i]);
        await_sleep(&rwlock_users[i].sleeper);
    }
}

static void release_rwlock(void) {
    CHECK(pthread_rwlock_wrlock(&shared->rwlock) == EDEADLK);
    for (int i = 0; i < 4; i++)
        CHECK(!rwlock_users[i].sleeper.is_through);
    CHECK(pthread_rwlock_unlock(&shared->rwlock) == 0);
    for (int i = 0; i < 4; i++)
        end_of(rwlock_users[i].sleeper.thread);
    CHECK(written == 2);
}

static pthread_spinlock_t spinlock;
static volatile int spins, spun;

static void *spin(void *nothing) {
    spins = 1;
    CHECK(pthread_spin_lock(&spinlock) == 0);
    spun = 1;
    CHECK(pthread_spin_unlock(&spinlock) == 0);
    return nothing;
}

/* --- barriers, semaphores, condition variables
 * ---------------------------------------------------- */

enum { AT_BARRIER = 3, AT_SEMAPHORE = 3, AT_CONDITION = 4 };
static struct sleeper at_barrier[AT_BARRIER], at_semaphore[AT_SEMAPHORE],
    at_condition[AT_CONDITION];
static int serial_threads, signals;

static void arrive(void) {
    const int got = pthread_barrier_wait(&shared->barrier);
    CHECK(got == 0 || got == PTHREAD_BARRIER_SERIAL_THREAD);
    if (got == PTHREAD_BARRIER_SERIAL_THREAD)
        __atomic_add_fetch(&serial_threads, 1, __ATOMIC_RELAXED);
}
static void *wait_at_barrier(void *sleeper) {
    begin(sleeper);
    arrive();
    return NULL;
}
static void *wait_at_semaphore(void *sleeper) {
    begin(sleeper);
    CHECK(sem_wait(&shared->semaphore) == 0);
    return NULL;
}
static void *wait_at_condition(void *sleeper) {
    pthread_mutex_t *mutex = &shared->mutexes[KIND_NORMAL];
    CHECK(pthread_mutex_lock(mutex) == 0);
    begin(sleeper);
    while (signals == 0)
        CHECK(pthread_cond_wait(&shared->condition, mutex) == 0);
    signals--;
    CHECK(pthread_mutex_unlock(mutex) == 0);
    return NULL;
}

static void gather(void) {
    pthread_barrierattr_t of_barrier;
    pthread_condattr_t of_condition;
    CHECK(pthread_barrierattr_init(&of_barrier) == 0 && pthread_condattr_init(&of_condition) == 0);
    CHECK(pthread_barrierattr_setpshared(&of_barrier, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_barrier_init(&shared->barrier, &of_barrier, AT_BARRIER + 1) == 0);
    CHECK(pthread_cond_init(&shared->condition, &of_condition) == 0);
    CHECK(sem_init(&shared->semaphore, 1, 0) == 0);
    make_mutex(&shared->mutexes[KIND_NORMAL], KIND_SHARED);
    for (int i = 0; i < AT_BARRIER; i++)
        at_barrier[i].thread = start(wait_at_barrier, &at_barrier[i]);
    for (int i = 0; i < AT_SEMAPHORE; i++)
        at_semaphore[i].thread = start(wait_at_semaphore, &at_semaphore[i]);
    for (int i = 0; i < AT_CONDITION; i++)
        at_condition[i].thread = start(wait_at_condition, &at_condition[i]);
    for (int i = 0; i < AT_BARRIER; i++)
        await_sleep(&at_barrier[i]);
    for (int i = 0; i < AT_SEMAPHORE; i++)
        await_sleep(&at_semaphore[i]);
    for (int i = 0; i < AT_CONDITION; i++)
        await_sleep(&at_condition[i]);
}

static void signal_condition(int (*how)(pthread_cond_t *), int count) {
    pthread_mutex_t *mutex = &shared->mutexes[KIND_NORMAL];
    CHECK(pthread_mutex_lock(mutex) == 0);
    signals += count;
    CHECK(how(&shared->condition) == 0);
    CHECK(pthread_mutex_unlock(mutex) == 0);
}

static void dismiss(void) {
    arrive();
    for (int i = 0; i < AT_BARRIER; i++)
        end_of(at_barrier[i].thread);
    CHECK(serial_threads == 1);
    for (int i = 0; i < AT_SEMAPHORE; i++)
        post(&shared->semaphore);
    for (int i = 0; i < AT_SEMAPHORE; i++)
        end_of(at_semaphore[i].thread);
    CHECK(sem_trywait(&shared->semaphore) == -1 && errno == EAGAIN);
    signal_condition(pthread_cond_signal, 1);
    signal_condition(pthread_cond_broadcast, AT_CONDITION - 1);
    for (int i = 0; i < AT_CONDITION; i++)
        end_of(at_condition[i].thread);
    CHECK(signals == 0);
}

/* --- once, and C11's mutex
 * ------------------------------------------------------------------------ */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sleeper does_once, waits_for_once;
static sem_t may_finish_once;
static int times_done;

static void do_once(void) {
    begin(&does_once);
    CHECK(sem_wait(&may_finish_once) == 0);
    times_done++;
}
static void *call_once_first(void *nothing) {
    CHECK(pthread_once(&once, do_once) == 0);
    return nothing;
}
static void *call_once_second(void *sleeper) {
    begin(sleeper);
    CHECK(pthread_once(&once, do_once) == 0);
    CHECK(times_done == 1);
    return NULL;
}

static mtx_t c11_mutex;
static struct sleeper wants_c11_mutex;

static void *want_c11_mutex(void *argument) {
    struct sleeper *s = argument;
    CHECK(mtx_trylock(&c11_mutex) == thrd_busy);
    begin(s);
    CHECK(mtx_lock(&c11_mutex) == thrd_success);
    s->is_through = 1;
    CHECK(mtx_unlock(&c11_mutex) == thrd_success);
    return NULL;
}

int main(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    hold_what_others_want();
    have_others_hold();
    make_heirs();
    hold_rwlock();
    gather();
    CHECK(pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE) == 0);
    CHECK(pthread_spin_lock(&spinlock) == 0);
    const pthread_t spinner = start(spin, NULL);
    does_once.thread = start(call_once_first, NULL);
    await_sleep(&does_once);
    waits_for_once.thread = start(call_once_second, &waits_for_once);
    await_sleep(&waits_for_once);
    CHECK(mtx_init(&c11_mutex, mtx_recursive) == thrd_success);
    CHECK(mtx_lock(&c11_mutex) == thrd_success && mtx_lock(&c11_mutex) == thrd_success);
    wants_c11_mutex.thread = start(want_c11_mutex, &wants_c11_mutex);
    await_sleep(&wants_c11_mutex);
    EVENTUALLY(spins);

    freeze();

    let_others_have_it();
    want_what_others_hold();
    end_owners();
    release_rwlock();
    dismiss();
    CHECK(!spun && pthread_spin_trylock(&spinlock) == EBUSY);
    CHECK(pthread_spin_unlock(&spinlock) == 0);
    end_of(spinner);
    post(&may_finish_once);
    end_of(does_once.thread);
    end_of(waits_for_once.thread);
    CHECK(mtx_unlock(&c11_mutex) == thrd_success && !wants_c11_mutex.is_through);
    CHECK(mtx_unlock(&c11_mutex) == thrd_success);
    end_of(wants_c11_mutex.thread);
    return success();
}
