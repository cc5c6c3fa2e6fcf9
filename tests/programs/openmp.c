/*
 * openmp between|master|single|critical|task - OpenMP's team of threads, frozen between two
 * parallel regions or inside one, by the main thread or whichever of them comes first: all regions
 * come to the right sums, and the team is the same.
 */
#include "frozen_threads.h"

#include <omp.h>

enum { TEAM = 8, SIZE = 100000, ROUNDS = 20 };

static double data[SIZE];
static pid_t team[TEAM];
static unsigned char own[500];
#pragma omp threadprivate(own)

static void meet(void) {
#pragma omp parallel num_threads(TEAM)
    {
        CHECK(omp_get_num_threads() == TEAM);
        team[omp_get_thread_num()] = own_tid();
        fill(own, sizeof own, (uint64_t)omp_get_thread_num());
    }
}

static void meet_again(void) {
    int seen = 0;
#pragma omp parallel num_threads(TEAM) reduction(+ : seen)
    {
        CHECK(team[omp_get_thread_num()] == own_tid());
        CHECK(intact(own, sizeof own, (uint64_t)omp_get_thread_num()));
        seen++;
    }
    CHECK(seen == TEAM);
}

static void sum_up(void) {
    long sum = 0, tasks = 0, ordered = 0;
#pragma omp parallel for num_threads(TEAM) schedule(dynamic, 100)
    for (int i = 0; i < SIZE; i++)
        data[i] = i;
#pragma omp parallel for num_threads(TEAM) schedule(static) reduction(+ : sum)
    for (int i = 0; i < SIZE; i++)
        sum += (long)data[i];
    CHECK(sum == SIZE * (SIZE - 1L) / 2);
#pragma omp parallel for num_threads(TEAM) ordered schedule(dynamic, 1)
    for (int i = 0; i < 100; i++) {
#pragma omp ordered
        {
            CHECK(ordered == i);
            ordered++;
        }
    }
#pragma omp parallel num_threads(TEAM)
#pragma omp single
    for (long i = 1; i <= 100; i++) {
#pragma omp task firstprivate(i)
        {
#pragma omp atomic
            tasks += i;
        }
    }
    CHECK(tasks == 5050 && ordered == 100);
}

static int is(const char *place, const char *where) {
    return !strcmp(place, where);
}

/* Each thread comes past all places in each round; at one of them the process gets frozen once. */
static void freeze_inside(const char *place) {
    static int frozen, lock_free = 1;
    long passes = 0, singles = 0, masters = 0, criticals = 0, tasks = 0;
#pragma omp parallel num_threads(TEAM)
    for (int round = 0; round < ROUNDS; round++) {
#pragma omp master
        {
            masters++;
            if (is(place, "master") && round == ROUNDS / 2)
                frozen += freeze() >= 0;
        }
#pragma omp single
        {
            singles++;
            if (is(place, "single") && round == ROUNDS / 2)
                frozen += freeze() >= 0;
        }
#pragma omp critical
        {
            CHECK(lock_free);
            lock_free = 0;
            criticals++;
            if (is(place, "critical") && criticals == ROUNDS / 2 * TEAM + 3)
                frozen += freeze() >= 0;
            lock_free = 1;
        }
#pragma omp barrier
#pragma omp single nowait
        for (int i = 0; i < 10; i++) {
#pragma omp task firstprivate(i, round)
            {
                if (is(place, "task") && round == ROUNDS / 2 && i == 5) {
                    const int outcome = freeze();
#pragma omp atomic
                    frozen += outcome >= 0;
                }
#pragma omp atomic
                tasks++;
            }
        }
#pragma omp barrier
#pragma omp atomic
        passes++;
    }
    CHECK(passes == ROUNDS * TEAM && criticals == ROUNDS * TEAM);
    CHECK(masters == ROUNDS && singles == ROUNDS && tasks == 10 * ROUNDS);
    CHECK(frozen == 1);
}

int main(int argc, char **argv) {
    const char *place = argc > 1 ? argv[1] : "between";
    omp_set_dynamic(0);
    meet();
    sum_up();
    if (is(place, "between"))
        freeze();
    else
        freeze_inside(place);
    meet_again();
    sum_up();
    return success();
}
