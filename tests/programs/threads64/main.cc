// threads64 [freeze COUNT | chain COUNT | journey FILE COUNT HOST...]
//
// Sixty-four threads: some compute, some are blocked, each in a call of its own kind, some hold
// locks. The main thread freezes them again and again, and after each freeze, in the caller and in
// the copy, goes a round: every thread is woken in its own way, and has to find that it was woken
// and nothing else happened. No call may end for another reason, no EINTR, no time-out; errno,
// which each thread sets before it blocks, may not have changed; nor may what it has on its stack
// and in its thread-local variables, nor its name, tid, mask, alternate stack, niceness and so on.
//
//   freeze COUNT             freezes itself COUNT times, going on as the caller
//   chain COUNT              freezes itself COUNT times, going on as the image each time
//   journey FILE COUNT HOST  COUNT hops from host to host; what there is to say goes to FILE,
//                            which exists
//
// Before every other freeze some threads are woken already, and are frozen while they wake up.
//
// A kind of thread is a class: block() is what it does until wake() lets it return, settle() what
// the main thread has to do before it can block again.
#include "computing.h"
#include "descriptors.h"
#include "futexes.h"
#include "locks.h"
#include "signals.h"

#include <utility>

namespace {

constexpr int threads_in_all = 64;

std::vector<std::unique_ptr<Worker>> workers;
portrait of_main;

template <class Kind, class... Arguments>
void add(Arguments &&...arguments) {
    workers.push_back(std::make_unique<Kind>(std::forward<Arguments>(arguments)...));
}

void hire() {
    add<Integers>();
    add<Integers>();
    add<VectorUnit>(16);
    add<VectorUnit>(32);
    add<VectorUnit>(64);
    add<Floats>();
    add<Floats>();
    add<Repeater>("tid", ask_for_tid);
    add<Repeater>("clock", read_clock);
    add<Repeater>("heap", use_heap);
    add<Repeater>("exceptions", throw_and_catch);

    add<PipeWaiter>("poll", SYS_poll, [](int fd) { wait_in_poll(fd, -1); });
    add<PipeWaiter>("poll-hour", SYS_poll, [](int fd) { wait_in_poll(fd, 3600000); });
    add<PipeWaiter>("ppoll", SYS_ppoll, wait_in_ppoll);
    add<PipeWaiter>("select", SYS_pselect6, wait_in_select);
    add<PipeWaiter>("pselect", SYS_pselect6, wait_in_pselect);
    add<EpollWaiter>("epoll", 0u, -1);
    add<EpollWaiter>("epoll-edge", unsigned(EPOLLET), 3600000);
    add<EpollOnTimer>();
    add<PipeReader>();
    add<PipeWriter>();
    add<EventReader>();
    add<TimerReader>();
    add<SignalReader>();
    add<Acceptor>();
    const Pipe there, back;
    add<Pinger>(back, there, true);
    add<Pinger>(there, back, false);

    add<FutexWaiter>(FutexWaiter::never);
    add<FutexWaiter>(FutexWaiter::relative);
    add<FutexWaiter>(FutexWaiter::absolute);
    add<SemaphoreWaiter>();
    add<SemaphoreWaiter>(CLOCK_REALTIME);
    add<SemaphoreWaiter>(CLOCK_MONOTONIC);
    add<ConditionWaiter>();
    add<ConditionWaiter>(CLOCK_REALTIME);
    add<ConditionWaiter>(CLOCK_MONOTONIC);
    add<StandardConditionWaiter>();
    add<BarrierWaiter>();
    add<Joiner>();

    for (int kind = 0; kind < MUTEX_KINDS; kind++) {
        add<LockWaiter>(mutex_kind(kind));
        add<LockHolder>(mutex_kind(kind));
    }
    workers.push_back(reader_waiter());
    workers.push_back(writer_waiter());
    workers.push_back(spinner());

    add<ShortSleeper>();
    add<RegularSleeper>();
    add<Interrupted>("sleep", SYS_clock_nanosleep, false, sleep_an_hour);
    add<Interrupted>("sleep-until", SYS_clock_nanosleep, false, sleep_until_in_an_hour);
    add<Interrupted>("pause", SYS_pause, false, wait_in_pause);
    add<Interrupted>("sigsuspend", SYS_rt_sigsuspend, true, wait_in_sigsuspend);
    add<SignalWaiter>(true);
    add<SignalWaiter>(false);
}

// Signals that threads wait for are blocked in all of them.
void begin() {
    struct sigaction action = {};
    action.sa_handler = on_interruption;
    CHECK(sigaction(interrupting(), &action, nullptr) == 0);
    sigset_t set;
    sigemptyset(&set);
    for (int number : {interrupting(), awaited(), readable()})
        sigaddset(&set, number);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
    hire();
    for (std::size_t i = 0; i < workers.size(); i++)
        workers[i]->start(int(i));
    draw(&of_main);
    CHECK(status_number("Threads") == threads_in_all);
}

// Either all are blocked as they should be, or some have just been woken.
void before_freeze(int count) {
    for (const auto &worker : workers)
        worker->await_sleep();
    for (std::size_t i = 0; count % 2 == 0 && i < workers.size(); i++)
        if ((i + unsigned(count) / 2) % 3 && workers[i]->may_be_frozen_awake())
            workers[i]->poke();
}

void round() {
    for (const auto &worker : workers)
        if (!worker->poked()) {
            worker->await_sleep();
            worker->poke();
        }
    for (const auto &worker : workers)
        worker->complete();
    EVENTUALLY(status_number("Threads") == threads_in_all); // one has been joined just now
    check_portrait(&of_main);
}

void end() {
    for (const auto &worker : workers) {
        worker->await_sleep();
        worker->retire();
        worker->poke();
    }
    for (const auto &worker : workers)
        worker->complete();
    for (const auto &worker : workers)
        worker->join();
}

int freeze_often(int count) {
    for (int i = 1; i <= count; i++) {
        before_freeze(i);
        errno = 4000 + i;
        const int outcome = freeze();
        CHECK(errno == 4000 + i);
        round();
        if (outcome == CHILD)
            break;
    }
    round();
    end();
    return success();
}

int chain(int count) {
    for (int i = 1; i <= count; i++) {
        before_freeze(i);
        const int outcome = freeze();
        round();
        if (outcome == PARENT) {
            char name[] = "image", *arguments[] = {name, nullptr}, *environment[] = {nullptr};
            execve(getenv("IMAGE"), arguments, environment);
            CHECK(!"execve");
        }
    }
    end();
    return success();
}

// The caller that is left behind on each host shows that it is well, and ends.
int journey(const char *diary, int count, char **hosts, int how_many) {
    const int file = open(diary, O_WRONLY | O_APPEND);
    CHECK(file >= 0 && dup2(file, 1) == 1 && dup2(file, 2) == 2 && close(file) == 0);
    for (int i = 1; i <= count; i++) {
        const char *host = hosts[(i - 1) % how_many];
        before_freeze(i);
        errno = 4000 + i;
        int outcome;
        // Who was left behind shares the port; a connection of his may be waiting for a moment.
        for (int tries = 0; (outcome = rfork(host)) < 0 && tries < 100 &&
                            strstr(rfork_strerror_last(), "wait to be accepted");
             tries++)
            errno = 4000 + i;
        const int error = errno;
        if (outcome < 0) {
            printf("stranded on the way to %s: %s\n", host, rfork_strerror_last());
            fflush(stdout);
            _exit(1);
        }
        CHECK(error == 4000 + i);
        frozen_role = outcome == PARENT ? "left behind" : "in the copy";
        round();
        if (outcome == PARENT) {
            end();
            printf("left %d\n", i);
            return fflush(stdout);
        }
    }
    end();
    printf("home\n");
    return fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
    const std::string what = argc > 1 ? argv[1] : "freeze";
    begin();
    round();
    if (what == "chain" && argc == 3)
        return chain(atoi(argv[2]));
    if (what == "journey" && argc > 4)
        return journey(argv[2], atoi(argv[3]), argv + 4, argc - 4);
    return what == "freeze" ? freeze_often(argc > 2 ? atoi(argv[2]) : 5) : 2;
}
