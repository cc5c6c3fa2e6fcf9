/*
 * Merry-go-round: a process that visits a list of hosts and comes home.
 *
 *     merry-go-round MONITOR HOST...
 *
 * Started on the first HOST, it moves to the second, the third, ... and from the last back to the
 * first. It tells notifyd on MONITOR where it is, keeps a diary in the spool, and looks after every
 * move whether all that it took along is as it was. The diary's last line is "home", or says where
 * and why the journey ended.
 *
 * After J. M. Smith and J. Ioannidis, "Implementing remote fork() with checkpoint/restart", 1989.
 */
#include <rfork/rfork.h>

#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEAP = 1 << 20, PEBBLES = 1000 };

struct stop {
    struct stop *before;
    int number;
};

/* What it takes along, beside the pebbles on main()'s stack. All of it changes at every stop. */
static const char *monitor;
static int odometer = 1000;  /* in .data */
static int stops;            /* in .bss */
static unsigned char *heap;  /* 1 MiB */
static struct stop *journey; /* a list, the latest stop first */
static volatile double sum;  /* 1/1 + 1/2 + 1/3 + ..., always rounded up */
static int diary = -1;       /* an open file */
static off_t diary_length;

static const char *here(void) {
    static char name[256];
    gethostname(name, sizeof name - 1);
    return name;
}

static void say(const char *format, ...) {
    char line[1000];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof line, format, values);
    va_end(values);
    report(monitor, line);
}

static void strand(const char *why) {
    fprintf(stderr, "merry-go-round: stranded on %s: %s\n", here(), why);
    say("I am stranded on %s.%d: %s", here(), (int)getpid(), why);
    if (diary >= 0)
        dprintf(diary, "stranded on %s: %s\n", here(), why);
    exit(1);
}

static void pack(void) {
    char path[4096];
    const char *spool = getenv("RFORK_SPOOL");
    snprintf(path, sizeof path, "%s/merry-go-round.diary", spool ? spool : ".");
    diary = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (diary < 0) {
        fprintf(stderr, "merry-go-round: cannot write %s: %s\n", path, strerror(errno));
        exit(1);
    }
    heap = malloc(HEAP);
    if (!heap)
        strand("no memory");
    fesetround(FE_UPWARD);
}

/* Every byte depends on its place and on the number of stops. */
static unsigned char pattern(int place) {
    return (unsigned char)(place * 167 + place / 256 + stops);
}

static void live(int *pebbles) {
    struct stop *stop = malloc(sizeof *stop);
    if (!stop)
        strand("no memory");
    stops++;
    odometer++;
    stop->number = stops;
    stop->before = journey;
    journey = stop;
    for (int i = 0; i < HEAP; i++)
        heap[i] = pattern(i);
    for (int i = 0; i < PEBBLES; i++)
        pebbles[i] = i * stops;
    sum += 1.0 / stops;
    diary_length += dprintf(diary, "%d %s %d\n", stops, here(), (int)getpid());
}

static void look_for_losses(int stops_made, const int *pebbles) {
    if (stops != stops_made || odometer != 1000 + stops_made)
        strand("my variables are not what they were");
    for (int i = 0; i < HEAP; i++)
        if (heap[i] != pattern(i))
            strand("my heap is not what it was");
    for (int i = 0; i < PEBBLES; i++)
        if (pebbles[i] != i * stops)
            strand("my stack is not what it was");

    int number = stops;
    for (struct stop *stop = journey; stop; stop = stop->before)
        if (stop->number != number--)
            strand("my list has lost its order");
    if (number != 0)
        strand("my list has lost its end");

    volatile double again = 0;
    for (int i = 1; i <= stops; i++)
        again += 1.0 / i;
    if (fegetround() != FE_UPWARD || sum != again)
        strand("my sums are not what they were");

    int lines = 0;
    off_t place = 0;
    char some[512];
    for (ssize_t size; (size = pread(diary, some, sizeof some, place)) > 0; place += size)
        for (ssize_t i = 0; i < size; i++)
            lines += some[i] == '\n';
    if (lseek(diary, 0, SEEK_CUR) != diary_length || place != diary_length || lines != stops)
        strand("my diary is not as I left it");
}

int main(int argc, char **argv) {
    int pebbles[PEBBLES];

    if (argc < 4) {
        fprintf(stderr, "usage: merry-go-round MONITOR HOST HOST...\n");
        return 2;
    }
    monitor = argv[1];
    char **hosts = argv + 2;
    int count = argc - 2;

    pack();
    for (int stop = 1; stop <= count; stop++) {
        live(pebbles);
        say("I am at %s.%d", here(), (int)getpid());
        if (move_to(hosts[stop % count]) == -1)
            strand(rfork_strerror_last());
        look_for_losses(stop, pebbles);
    }
    say("I'm back");
    dprintf(diary, "home\n");
    return 0;
}
