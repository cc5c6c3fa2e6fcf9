/*
 * subject - for supervision.c: freezes itself; then, as the copy, does as it is told on standard
 * input, line by line, and writes a line for each signal it gets. SIGTSTP and its like do to it
 * what they do by default.
 *
 *   ping          "pong"
 *   ids           "pid PID session SESSION", pid and session as it sees them
 *   exit N        ends with that status
 *   die N         dies of that signal
 *   stop          stops itself by SIGSTOP; "continued"
 *   close         closes standard output, and goes on
 *   orphan N      ends with that status, but for a child, which says "orphan" at the next line
 */
#include "frozen.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

static void obey(char *line) {
    char word[16] = "";
    int number = 0;
    sscanf(line, "%15s %d", word, &number);
    if (!strcmp(word, "ping"))
        puts("pong");
    else if (!strcmp(word, "ids"))
        printf("pid %d session %d\n", getpid(), getsid(0));
    else if (!strcmp(word, "exit"))
        _exit(number);
    else if (!strcmp(word, "die")) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, number);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        kill(getpid(), number);
    } else if (!strcmp(word, "stop")) {
        kill(getpid(), SIGSTOP);
        puts("continued");
    } else if (!strcmp(word, "close")) {
        fclose(stdout);
    } else if (!strcmp(word, "orphan")) {
        if (fork() > 0)
            _exit(number);
        if (read(0, line, 1) == 1)
            puts("orphan");
        exit(0);
    }
}

int main(void) {
    sigset_t set;
    const pid_t pid = getpid();
    sigfillset(&set);
    sigdelset(&set, SIGTSTP);
    sigdelset(&set, SIGTTIN);
    sigdelset(&set, SIGTTOU);
    CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);

    if (freeze() == PARENT) {
        char line[100];
        puts("frozen");
        return fgets(line, sizeof line, stdin) ? 0 : 1; /* keeps its pid so long */
    }
    int death_signal = -1;
    CHECK(getpid() == pid);
    CHECK(prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == 0);
    const int signals = signalfd(-1, &set, SFD_CLOEXEC);
    CHECK(signals >= 0);
    puts("resumed");
    for (;;) {
        struct pollfd ready[2] = {{0, POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(ready, 2, -1) < 0)
            continue;
        if (ready[1].revents) {
            struct signalfd_siginfo info;
            CHECK(read(signals, &info, sizeof info) == sizeof info);
            if (info.ssi_code == SI_QUEUE)
                printf("signal %u value %d\n", info.ssi_signo, info.ssi_int);
            else
                printf("signal %u\n", info.ssi_signo);
        } else if (ready[0].revents) {
            char line[100];
            if (!fgets(line, sizeof line, stdin))
                return 0;
            obey(line);
        }
    }
}
