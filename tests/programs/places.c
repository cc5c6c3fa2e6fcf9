/*
 * places DIRECTORY - has all that has a path below DIRECTORY: its working directory, a file, a
 * directory, a shared mapping, a Unix socket, TMPDIR; and a file in DIRECTORY0. Freezes, with two
 * more threads, and ends. The image tells where all that is, and on which CPUs it may run, and ends
 * with status 7.
 */
#include "frozen.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { THREADS = 2, STATUS = 7 };

static const char *below(const char *directory, const char *name) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s", directory, name);
    return path;
}

static int opened(const char *path, int flags) {
    const int fd = open(path, flags, 0644);
    CHECK(fd >= 0);
    return fd;
}

static void tell_descriptor(const char *what, int fd) {
    char link[60], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path);
    CHECK(size > 0);
    printf("%s %.*s\n", what, (int)size, path);
}

static void tell_mapping(const void *at) {
    char line[PATH_MAX + 100], start[40];
    snprintf(start, sizeof start, "%lx-", (unsigned long)at);
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps))
        if (!strncmp(line, start, strlen(start)))
            printf("mapping %s", strchr(line, '/'));
    fclose(maps);
}

static void tell_cpus(void) {
    char path[300], text[1 << 14];
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (const struct dirent *task; (task = readdir(tasks));) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        slurp(path, text, sizeof text);
        const char *list = strstr(text, "Cpus_allowed_list:\t");
        CHECK(list);
        list += strlen("Cpus_allowed_list:\t");
        printf("CPUs %.*s\n", (int)strcspn(list, "\n"), list);
    }
    closedir(tasks);
}

static int listening_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(path);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0);
    return fd;
}

static void tell_socket(int fd) {
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    printf("socket %s\n", address.sun_path);
}

static pthread_barrier_t all_there;

static void *wait_for_ever(void *nothing) {
    pthread_barrier_wait(&all_there);
    for (;;)
        pause();
    return nothing;
}

int main(int argc, char **argv) {
    char directory[PATH_MAX];
    CHECK(argc == 2 && chdir(argv[1]) == 0 && getenv("TMPDIR"));
    const pid_t pid = getpid();
    CHECK(pthread_barrier_init(&all_there, NULL, THREADS + 1) == 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    }
    pthread_barrier_wait(&all_there);
    const int file = opened(below(argv[1], "/file"), O_WRONLY | O_CREAT | O_APPEND);
    const int neighbour = opened(below(argv[1], "0/neighbour"), O_WRONLY | O_CREAT);
    const int itself = opened(argv[1], O_RDONLY | O_DIRECTORY);
    const int mapped = opened(below(argv[1], "/mapped"), O_RDWR | O_CREAT);
    CHECK(write(file, "before\n", 7) == 7 && ftruncate(mapped, 4096) == 0);
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
    CHECK(memory != MAP_FAILED && close(mapped) == 0);
    const int listening = listening_at(below(argv[1], "/socket"));
    if (freeze() == PARENT)
        return 0;
    CHECK(write(file, "after\n", 6) == 6);
    memcpy(memory, "after", 5);
    CHECK(getcwd(directory, sizeof directory));
    printf("directory %s\n", directory);
    tell_descriptor("file", file);
    tell_descriptor("neighbour", neighbour);
    tell_descriptor("open directory", itself);
    tell_mapping(memory);
    tell_socket(listening);
    printf("TMPDIR %s\n", getenv("TMPDIR"));
    printf("pid %s\n", getpid() == pid ? "kept" : "new");
    tell_cpus();
    fflush(stdout);
    return STATUS;
}
