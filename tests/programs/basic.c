/*
 * Everything that any program has: variables of all kinds, heap, stack, thread-local storage,
 * floating point, stdio, function pointers, atexit. Built in the four ways there are to link.
 */
#include "frozen.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

static unsigned char initialised[10000] = {1, 2, 3};
static unsigned char zeroed[100000];
static const char constant[] = "constant";
static __thread int thread_local_number = 41;
static __thread char thread_local_zero[5000];
static int at_exit_expected = 0, raised = 0;

static void on_signal(int number) {
    raised = number;
}

static void at_exit(void) {
    if (!at_exit_expected)
        _exit(9);
}

static double series(int terms) {
    double sum = 0;
    for (int i = 1; i <= terms; i++)
        sum += sin(i) / i;
    return sum;
}

int main(void) {
    unsigned char stack[20000];
    CHECK(atexit(at_exit) == 0);
    fill(initialised, sizeof initialised, 1);
    fill(zeroed, sizeof zeroed / 2, 2);
    fill(stack, sizeof stack, 3);
    fill(thread_local_zero, sizeof thread_local_zero, 4);
    thread_local_number++;
    unsigned char *heap = malloc(300000);
    CHECK(heap);
    fill(heap, 300000, 5);
    double (*volatile function)(int) = series;
    const double half = function(1000);
    char *text = NULL;
    size_t text_size = 0;
    FILE *memory_file = open_memstream(&text, &text_size);
    CHECK(memory_file);
    fprintf(memory_file, "before %d, ", 1);
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME, &before);
    const pid_t pid = getpid();

    freeze();

    CHECK(getpid() == pid);
    CHECK(intact(initialised, sizeof initialised, 1));
    CHECK(intact(zeroed, sizeof zeroed / 2, 2));
    CHECK(is_zero(zeroed + sizeof zeroed / 2, sizeof zeroed / 2));
    CHECK(intact(stack, sizeof stack, 3));
    CHECK(intact(thread_local_zero, sizeof thread_local_zero, 4));
    CHECK(thread_local_number == 42);
    CHECK(intact(heap, 300000, 5));
    CHECK(!strcmp(constant, "constant"));
    CHECK(function(1000) == half);
    fprintf(memory_file, "after %.3f", half);
    CHECK(fclose(memory_file) == 0);
    CHECK(!strncmp(text, "before 1, after 1.0", 19) && strlen(text) == text_size);
    clock_gettime(CLOCK_REALTIME, &after);
    CHECK(after.tv_sec >= before.tv_sec && after.tv_sec < before.tv_sec + 3600);

    /* raise() takes the tid from libc's memory; a mutex remembers its owner by it. */
    signal(SIGUSR1, on_signal);
    CHECK(raise(SIGUSR1) == 0 && raised == SIGUSR1);
    pthread_mutexattr_t kind;
    pthread_mutex_t mutex;
    CHECK(pthread_mutexattr_init(&kind) == 0);
    CHECK(pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK) == 0);
    CHECK(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(&mutex, &kind) == 0);
    CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_lock(&mutex) == EDEADLK);
    CHECK(pthread_mutex_unlock(&mutex) == 0);

    free(heap);
    free(text);
    at_exit_expected = 1;
    return success();
}
