/*
 * freeze_and_end succeeds|fails|stopped - RFORK_END with threads that count aloud.
 *
 * The original's threads write numbered lines into one file. Whatever comes of the call, each line
 * is there once: no thread has run on from the freeze until it was known who goes on. To be run
 * under `migrate --delay`, so that writing the image takes a while.
 */
#include "frozen.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

enum { THREADS = 4, ENOUGH = 3000 };

static int lines = -1;
static volatile int counted[THREADS + 1], goal[THREADS + 1];
static volatile sig_atomic_t handled;

static void say(int who, int what) {
    char line[32];
    const int size = snprintf(line, sizeof line, "%d %d\n", who, what);
    CHECK(write(lines, line, (size_t)size) == size);
}

static void *count(void *argument) {
    const int who = (int)(intptr_t)argument;
    while (counted[who] < ENOUGH || counted[who] < goal[who]) {
        say(who, counted[who] + 1);
        counted[who]++;
        usleep(100);
    }
    return NULL;
}

static void on_signal(int number) {
    handled = number;
    say(0, 1);
}

/* Freezes itself with its threads, and lets them count to the end, wherever that is. */
static int original(const char *image) {
    const struct rfork_options options = {.size = sizeof options, .flags = RFORK_END};
    pthread_t threads[THREADS];
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, count, (void *)(intptr_t)(i + 1)) == 0);
    usleep(20000);
    printf("in the buffer "); /* the copy writes it, and not the original */
    const int outcome = rfork_checkpoint_with(image, &options);
    frozen_role = outcome < 0 ? "in the caller" : "in the copy";
    CHECK(outcome == -1 || outcome == CHILD);
    if (outcome == CHILD)
        CHECK(!handled);
    for (int i = 1; i <= THREADS; i++) /* they go on */
        goal[i] = counted[i] + 100;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    if (outcome < 0 && !handled) {
        fprintf(stderr, "the handler has not run: %s\n", rfork_strerror_last());
        return 1;
    }
    return success();
}

/* In the image's directory; the writer's temporary file, or anything else that begins so. */
static int there_is(const char *prefix) {
    DIR *directory = opendir(".");
    struct dirent *entry;
    int found = 0;
    CHECK(directory);
    while ((entry = readdir(directory)))
        found = found || !strncmp(entry->d_name, prefix, strlen(prefix));
    closedir(directory);
    return found;
}

/* The copy, or the process that stops the threads. */
static pid_t child_of(pid_t pid) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    slurp(path, text, sizeof text);
    return atoi(text);
}

/* The copy has closed what it has inherited, and opened something of its own in our directory. */
static int copy_writes(pid_t original) {
    char path[64], target[PATH_MAX], here[PATH_MAX];
    struct dirent *entry;
    int inherited = 0, own = 0;
    CHECK(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "/proc/%d/fd", child_of(original));
    DIR *directory = opendir(path);
    while (directory && (entry = readdir(directory))) {
        const ssize_t size = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        own = own || !strncmp(target, here, strlen(here));
        inherited = inherited || strstr(target, "/lines");
    }
    if (directory)
        closedir(directory);
    return own && !inherited;
}

/* Each number of each thread once. */
static void check_lines(const char *path) {
    static char text[4 << 20];
    static unsigned char seen[THREADS + 1][1 << 16];
    int last[THREADS + 1] = {0}, who, what, used;
    slurp(path, text, sizeof text);
    for (char *at = text; *at; at += used) {
        CHECK(sscanf(at, "%d %d\n%n", &who, &what, &used) == 2);
        CHECK(who >= 0 && who <= THREADS && what > 0 && what < 1 << 16);
        if (seen[who][what]++)
            fprintf(stderr, "line %d of thread %d is there twice\n", what, who);
        CHECK(seen[who][what] == 1);
        if (what > last[who])
            last[who] = what;
    }
    for (int i = 1; i <= THREADS; i++)
        for (int n = 1; n <= last[i] || n <= ENOUGH; n++)
            CHECK(seen[i][n]);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "succeeds", *image = getenv("IMAGE");
    const int fails = !strcmp(mode, "fails"), stopped = !strcmp(mode, "stopped");
    char said[4096], path[PATH_MAX];
    int status;
    snprintf(path, sizeof path, "%s", beside("lines"));
    CHECK(image && (lines = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) >= 0);
    const pid_t pid = fork();
    if (pid == 0)
        return original(image);
    CHECK(pid > 0);
    while (!copy_writes(pid))
        usleep(1000);
    struct stat before, after;
    usleep(20000); /* time in which a thread that runs would write */
    CHECK(fstat(lines, &before) == 0 && kill(pid, SIGUSR1) == 0);
    usleep(20000);
    CHECK(fstat(lines, &after) == 0 && after.st_size == before.st_size);
    if (fails)
        CHECK(mkdir(image, 0700) == 0);
    if (stopped) {
        CHECK(kill(pid, SIGSTOP) == 0);
        CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
        usleep(300000);
        CHECK(waitpid(pid, &status, WNOHANG) == 0 && kill(pid, SIGCONT) == 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0 && !there_is(".rfork."));
    if (fails) {
        CHECK(rmdir(image) == 0);
    } else {
        CHECK(fstat(lines, &after) == 0 && after.st_size == before.st_size);
        status = output_of_image(image, said, sizeof said);
        if (status != 0 || strcmp(said, "in the buffer EXIT-SUCCESS\n") != 0)
            fprintf(stderr, "the image ended with %#x: %s\n", (unsigned)status, said);
        CHECK(status == 0 && !strcmp(said, "in the buffer EXIT-SUCCESS\n"));
    }
    check_lines(path);
    CHECK(unlink(path) == 0);
    return success();
}
