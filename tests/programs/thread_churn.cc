// thread_churn COUNT - threads begin and end all the time while the main thread freezes them, COUNT
// times. Joined and detached ones, by return and by pthread_exit(3), with cleanup handlers, keys
// and thread-local objects: whenever it is, what has begun has ended or still runs, and when all is
// over every thread has done everything once.
#include "frozen_threads.h"

#include <atomic>
#include <thread>
#include <vector>

namespace {

constexpr int creators = 4, most_at_once = 24, between_freezes = 40;

std::atomic<bool> over = false;
std::atomic<long> begun = 0, running = 0, ended = 0;
std::atomic<long> cleanups_due = 0, cleanups = 0, keys_destroyed = 0, objects_destroyed = 0;
pthread_key_t key;

struct Local {
    ~Local() {
        CHECK(tid == own_tid() && intact(bytes, sizeof bytes, std::uint64_t(number)));
        objects_destroyed++;
    }
    pid_t tid = 0;
    long number = 0;
    unsigned char bytes[200];
};
thread_local Local local;

// Keys are destroyed after thread-local objects: this is the last that a thread does.
void destroy_key(void *value) {
    CHECK(value != nullptr);
    keys_destroyed++;
    running--;
    ended++;
}

void clean_up(void *number) {
    CHECK(*static_cast<long *>(number) == local.number);
    cleanups++;
}

// A small computation on a stack of its own, known in advance.
void work(long number) {
    unsigned char bytes[3000];
    fill(bytes, sizeof bytes, std::uint64_t(number));
    if (number % 3 == 0)
        sleep_a_moment();
    if (number % 3 == 1)
        CHECK(sched_yield() == 0);
    CHECK(intact(bytes, sizeof bytes, std::uint64_t(number)));
}

void *live(void *argument) {
    long number = *static_cast<long *>(argument);
    delete static_cast<long *>(argument);
    CHECK(pthread_setspecific(key, &local) == 0);
    local.tid = own_tid();
    local.number = number;
    fill(local.bytes, sizeof local.bytes, std::uint64_t(number));
    if (number % 2) {
        cleanups_due++;
        pthread_cleanup_push(clean_up, &number);
        work(number);
        if (number % 4 == 1)
            pthread_exit(nullptr);
        pthread_cleanup_pop(1);
    } else {
        work(number);
    }
    return nullptr;
}

// Five of eight are joined, in the order in which they began or the other way round.
void create() {
    while (!over) {
        std::vector<pthread_t> to_join;
        for (int i = 0; i < 8; i++) {
            while (running >= most_at_once)
                sleep_a_moment();
            running++;
            const long number = begun++;
            pthread_attr_t attributes;
            CHECK(pthread_attr_init(&attributes) == 0);
            const bool detached = i % 3 == 0;
            CHECK(pthread_attr_setdetachstate(&attributes, detached
                                                               ? PTHREAD_CREATE_DETACHED
                                                               : PTHREAD_CREATE_JOINABLE) == 0);
            CHECK(pthread_attr_setstacksize(&attributes, std::size_t(64 + 16 * i) << 10) == 0);
            pthread_t thread;
            CHECK(pthread_create(&thread, &attributes, live, new long(number)) == 0);
            CHECK(pthread_attr_destroy(&attributes) == 0);
            if (!detached)
                to_join.insert(i % 2 ? to_join.end() : to_join.begin(), thread);
        }
        for (const pthread_t thread : to_join)
            CHECK(pthread_join(thread, nullptr) == 0);
    }
}

// Those that begin or end at this moment are counted in between.
void check_books() {
    const long ended_before = ended, begun_before = begun;
    CHECK(ended_before <= begun_before);
    const long alive = running;
    CHECK(alive >= 0 && alive <= most_at_once + creators);
    CHECK(begun - ended_before >= 0);
}

void go_on_for(long threads) {
    const long enough = ended + threads;
    EVENTUALLY(ended >= enough);
    check_books();
}

} // namespace

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 20;
    CHECK(pthread_key_create(&key, destroy_key) == 0);
    std::vector<std::thread> all;
    for (int i = 0; i < creators; i++)
        all.emplace_back(create);

    portrait self;
    draw(&self);
    for (int i = 0; i < count; i++) {
        go_on_for(between_freezes);
        const int outcome = freeze();
        check_portrait(&self);
        check_books();
        if (outcome == CHILD)
            break;
    }
    go_on_for(10 * between_freezes);

    over = true;
    for (std::thread &creator : all)
        creator.join();
    EVENTUALLY(ended == begun);
    CHECK(running == 0);
    CHECK(cleanups == cleanups_due && cleanups == begun / 2);
    CHECK(keys_destroyed == begun && objects_destroyed == begun);
    EVENTUALLY(status_number("Threads") == 1);
    printf("note: %ld threads\n", begun.load());
    return success();
}
