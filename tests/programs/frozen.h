/*
 * What the programs that get frozen have in common.
 *
 * A program builds some state, calls freeze(), and verifies the state: it does so twice, as the
 * caller that goes on and as the copy that ./image brings back. Both print EXIT-SUCCESS at the end
 * of main(); whatever is not as it was ends the program with the line that found it. `run` starts
 * the program and its image, and looks at what they say.
 */
#ifndef FROZEN_H
#define FROZEN_H

#include <rfork/rfork.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : frozen_lost(__FILE__, __LINE__, #condition, errno))

static const char *frozen_role = "before the freeze";

__attribute__((noreturn, unused)) static void frozen_lost(const char *file, int line,
                                                          const char *condition, int error) {
    fprintf(stderr, "%s:%d: %s: lost: %s (errno %d)\n", file, line, frozen_role, condition, error);
    fflush(NULL);
    _exit(1);
}

/* The name of a file in the test's private directory; valid until the next call. */
__attribute__((unused)) static const char *beside(const char *name) {
    static char path[PATH_MAX];
    const char *image = getenv("IMAGE");
    CHECK(image && image[0] == '/');
    snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(image, '/') - image), image, name);
    return path;
}

/* Freezes the program into `image`; PARENT, or CHILD in the copy. */
__attribute__((unused)) static int freeze_into(const char *image) {
    CHECK(image);
    const int error = errno;
    const int outcome = rfork_checkpoint(image);
    CHECK(outcome < 0 || errno == error);
    if (outcome < 0) {
        fprintf(stderr, "rfork_checkpoint: %s\n", rfork_strerror_last());
        fflush(NULL);
        _exit(1);
    }
    CHECK(outcome == PARENT || outcome == CHILD);
    frozen_role = outcome == PARENT ? "in the caller" : "in the copy";
    return outcome;
}

__attribute__((unused)) static int freeze(void) {
    return freeze_into(getenv("IMAGE"));
}

/* For `return success();` */
__attribute__((unused)) static int success(void) {
    puts("EXIT-SUCCESS");
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Runs an image that the program itself has made. Returns its wait status; `text`: what it says. */
__attribute__((unused)) static int output_of_image(const char *path, char *text, size_t size) {
    char *const arguments[] = {(char *)"image", NULL}, *const environment[] = {NULL};
    size_t used = 0;
    ssize_t got;
    int ends[2], status = -1;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t image = fork();
    if (image == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execve(path, arguments, environment);
        _exit(99);
    }
    CHECK(image > 0 && close(ends[1]) == 0);
    while (used < size - 1 && (got = read(ends[0], text + used, size - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    CHECK(close(ends[0]) == 0 && waitpid(image, &status, 0) == image);
    return status;
}

/* The same, of one that has to say EXIT-SUCCESS at its end. */
__attribute__((unused)) static void run_image(const char *path) {
    char text[4096];
    const int status = output_of_image(path, text, sizeof text);
    const size_t used = strlen(text), end = strlen("EXIT-SUCCESS\n");
    const int well = status == 0 && used >= end && !strcmp(text + used - end, "EXIT-SUCCESS\n");
    if (!well)
        fprintf(stderr, "%s ended with wait status %#x: %s\n", path, (unsigned)status, text);
    CHECK(well);
}

/* Memory that tells whether it is what it was: any size, any alignment, no page like another. */
static inline uint64_t frozen_word(uint64_t seed, uint64_t index) {
    uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u + index * 0xbf58476d1ce4e5b9u;
    x ^= x >> 29;
    return x * 0x94d049bb133111ebu;
}

__attribute__((unused)) static void fill(void *memory, size_t size, uint64_t seed) {
    unsigned char *at = (unsigned char *)memory;
    for (size_t i = 0; i < size; i += 8) {
        const uint64_t word = frozen_word(seed, i);
        memcpy(at + i, &word, size - i < 8 ? size - i : 8);
    }
}

__attribute__((unused)) static int intact(const void *memory, size_t size, uint64_t seed) {
    const unsigned char *at = (const unsigned char *)memory;
    for (size_t i = 0; i < size; i += 8) {
        const uint64_t word = frozen_word(seed, i);
        if (memcmp(at + i, &word, size - i < 8 ? size - i : 8) != 0)
            return 0;
    }
    return 1;
}

__attribute__((unused)) static int is_zero(const void *memory, size_t size) {
    const unsigned char *at = (const unsigned char *)memory;
    for (size_t i = 0; i < size; i++)
        if (at[i])
            return 0;
    return 1;
}

/* A whole file, zero-terminated, without a byte of malloc; returns its size. */
__attribute__((unused)) static size_t slurp(const char *path, char *buffer, size_t size) {
    size_t used = 0;
    ssize_t got;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    while (used < size - 1 && (got = read(fd, buffer + used, size - 1 - used)) > 0)
        used += (size_t)got;
    CHECK(used < size - 1);
    close(fd);
    buffer[used] = '\0';
    return used;
}

/* One mapping of /proc/self/maps. */
struct frozen_mapping {
    unsigned long start, end;
    char permissions[5];
};

/*
 * Where memory is mapped, and how, in ascending order; neighbours of the same kind count as one,
 * since the kernel may or may not have joined them. Returns how many there are.
 */
__attribute__((unused)) static int shape_of_memory(struct frozen_mapping *mappings, int limit) {
    static char text[4 << 20];
    slurp("/proc/self/maps", text, sizeof text);
    int count = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        struct frozen_mapping m;
        CHECK(sscanf(line, "%lx-%lx %4s", &m.start, &m.end, m.permissions) == 3);
        struct frozen_mapping *last = count ? &mappings[count - 1] : NULL;
        if (last && last->end == m.start && !strcmp(last->permissions, m.permissions)) {
            last->end = m.end;
            continue;
        }
        CHECK(count < limit);
        mappings[count++] = m;
    }
    return count;
}

__attribute__((unused)) static int same_shape(const struct frozen_mapping *a, int a_count,
                                              const struct frozen_mapping *b, int b_count) {
    for (int i = 0; i < a_count || i < b_count; i++) {
        if (i < a_count && i < b_count && a[i].start == b[i].start && a[i].end == b[i].end &&
            !strcmp(a[i].permissions, b[i].permissions))
            continue;
        for (int side = 0; side < 2; side++)
            if (i < (side ? b_count : a_count))
                fprintf(stderr, "%s: %lx-%lx %s\n", side ? "now" : "was", (side ? b : a)[i].start,
                        (side ? b : a)[i].end, (side ? b : a)[i].permissions);
        return 0;
    }
    return 1;
}

/* The line of /proc/self/smaps that begins with `field`, of the mapping that holds `address`. */
__attribute__((unused)) static const char *smaps_field(const void *address, const char *field) {
    static char text[4 << 20], line[256];
    slurp("/proc/self/smaps", text, sizeof text);
    int inside = 0;
    for (char *at = text; *at; at = strchr(at, '\n') + 1) {
        unsigned long start, end;
        if (sscanf(at, "%lx-%lx ", &start, &end) == 2)
            inside = (unsigned long)address >= start && (unsigned long)address < end;
        else if (inside && !strncmp(at, field, strlen(field))) {
            snprintf(line, sizeof line, "%.*s ", (int)(strchr(at, '\n') - at), at);
            return line;
        }
    }
    return "";
}

/* A number behind "name:" in /proc/self/status. */
__attribute__((unused)) static long status_number(const char *name) {
    static char text[1 << 16];
    slurp("/proc/self/status", text, sizeof text);
    const char *at = strstr(text, name);
    CHECK(at);
    return atol(at + strlen(name) + 1);
}

#endif
