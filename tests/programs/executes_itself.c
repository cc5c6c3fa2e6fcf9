/*
 * executes_itself - a program that executes /proc/self/exe begins anew, with the arguments, the
 * environment and the signal mask that it has given; also after a resume, when that link leads to
 * the image, and in a child.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/wait.h>

extern char **environ;

static void execute(const char *how) {
    char *const arguments[] = {(char *)"any name", (char *)how, (char *)"a b", NULL};
    char *const environment[] = {(char *)"GREETING=hello", NULL};
    execve("/proc/self/exe", arguments, environment);
    _exit(99);
}

static int begun_anew(int argc, char **argv) {
    sigset_t mask;
    CHECK(argc == 3 && !strcmp(argv[0], "any name") && !strcmp(argv[2], "a b"));
    CHECK(!strcmp(environ[0], "GREETING=hello") && !environ[1]);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    CHECK(sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGUSR2) == 0);
    return success();
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "child"))
        return begun_anew(argc, argv) ? 1 : 7;
    if (argc > 1)
        return begun_anew(argc, argv);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);

    freeze();

    int status = -1;
    const pid_t child = vfork();
    if (child == 0)
        execute("child");
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    execute("itself");
}
