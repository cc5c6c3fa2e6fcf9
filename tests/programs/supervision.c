/*
 * supervision SUBJECT - an image whose program has become a child of the process that was executed
 * is, for a shell or any other parent, what the program itself would be: status, death, signals
 * each exactly once, stops, job control on a terminal, a name in ps. Nothing is left of it in the
 * end.
 *
 * All is done twice: while the pid of the frozen program is free, and while it is in use.
 */
#include "frozen.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

enum { SECONDS = 20, ROUNDS = 50, VALUE = 4711 };

struct job {
    pid_t pid;
    int in, out;
};
enum surroundings { GROUP, SESSION, TERMINAL };

static const char *pid_is;

static void start_program(struct job *job, const char *path, enum surroundings where) {
    int in[2], out[2];
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    job->pid = fork();
    CHECK(job->pid >= 0);
    if (job->pid == 0) {
        if (where == SESSION)
            setsid();
        else
            setpgid(0, 0);
        dup2(in[0], 0);
        dup2(out[1], 1);
        signal(SIGCHLD, where == GROUP ? SIG_IGN : SIG_DFL); /* as a careless parent leaves it */
        execl(path, path, NULL);
        _exit(127);
    }
    if (where != SESSION)
        setpgid(job->pid, job->pid);
    close(in[0]);
    close(out[1]);
    job->in = in[1];
    job->out = out[0];
}

/* The next line, without its end; "" at the end of the file. */
static const char *next_line(const struct job *job, int at) {
    static char line[200];
    size_t size = 0;
    struct pollfd ready = {job->out, POLLIN, 0};
    for (;;) {
        CHECK(size < sizeof line - 1);
        if (poll(&ready, 1, SECONDS * 1000) != 1) {
            fprintf(stderr, "supervision.c:%d: pid %s: nothing after '%.*s' in time\n", at, pid_is,
                    (int)size, line);
            exit(1);
        }
        if (read(job->out, line + size, 1) != 1 || line[size] == '\n')
            break;
        size++;
    }
    line[size] = '\0';
    return line;
}

static void expect_at(const struct job *job, const char *expected, int at) {
    const char *line = next_line(job, at);
    if (strcmp(line, expected) != 0) {
        fprintf(stderr, "supervision.c:%d: pid %s: expected '%s', not '%s'\n", at, pid_is, expected,
                line);
        exit(1);
    }
}
#define EXPECT(job, line) expect_at(job, line, __LINE__)

static void say(const struct job *job, const char *line) {
    CHECK(write(job->in, line, strlen(line)) == (ssize_t)strlen(line));
}

static void resume(struct job *job, enum surroundings where) {
    start_program(job, getenv("IMAGE"), where);
    EXPECT(job, "resumed");
}

/* Waits for a change of the state of the process that was started. */
static int change_of(const struct job *job, int options) {
    int status = 0;
    alarm(SECONDS);
    CHECK(waitpid(job->pid, &status, options) == job->pid);
    alarm(0);
    return status;
}

/* We are who orphans come to. */
static void nobody_is_left(void) {
    alarm(SECONDS);
    while (wait(NULL) > 0)
        ;
    CHECK(errno == ECHILD);
    alarm(0);
}

static void done_with(struct job *job) {
    close(job->in);
    close(job->out);
    nobody_is_left();
}

/* Whoever signals the executed process sees that each arrives once, and in this order. */
static void marker_at(const struct job *job, int at) {
    char expected[40];
    CHECK(sigqueue(job->pid, SIGRTMAX, (union sigval){.sival_int = VALUE}) == 0);
    snprintf(expected, sizeof expected, "signal %d value %d", SIGRTMAX, VALUE);
    expect_at(job, expected, at);
}
#define MARKER(job) marker_at(job, __LINE__)

static void signal_once_at(const struct job *job, int number, pid_t to, int at) {
    char expected[40];
    CHECK(kill(to, number) == 0);
    snprintf(expected, sizeof expected, "signal %d", number);
    expect_at(job, expected, at);
    marker_at(job, at);
}
#define SIGNAL_ONCE(job, number, to) signal_once_at(job, number, to, __LINE__)

static void ends_with_its_status(void) {
    struct job job;
    resume(&job, GROUP);
    say(&job, "exit 7\n");
    const int status = change_of(&job, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(wait(NULL) == -1 && errno == ECHILD);
    done_with(&job);
}

static void dies_of_its_signal(void) {
    static const int signals[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGPIPE, SIGALRM};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct job job;
        char line[20];
        resume(&job, i % 2 ? SESSION : GROUP);
        snprintf(line, sizeof line, "die %d\n", signals[i]);
        say(&job, line);
        const int status = change_of(&job, 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i] && !WCOREDUMP(status));
        done_with(&job);
    }
}

static void gets_each_signal_once(enum surroundings where) {
    struct job job;
    char expected[40];
    resume(&job, where);
    for (int number = 1; number < SIGRTMAX; number++) {
        if (number == SIGKILL || number == SIGSTOP || number == SIGTSTP || number == SIGTTIN ||
            number == SIGTTOU || (number > SIGSYS && number < SIGRTMIN))
            continue;
        SIGNAL_ONCE(&job, number, job.pid);
    }
    for (int i = 0; i < 3; i++)
        CHECK(sigqueue(job.pid, SIGRTMIN + 3, (union sigval){.sival_int = i}) == 0);
    for (int i = 0; i < 3; i++) {
        snprintf(expected, sizeof expected, "signal %d value %d", SIGRTMIN + 3, i);
        EXPECT(&job, expected);
    }
    for (int i = 0; i < ROUNDS; i++) {
        SIGNAL_ONCE(&job, SIGTERM, -job.pid);
        SIGNAL_ONCE(&job, SIGRTMIN + 1, -job.pid);
        SIGNAL_ONCE(&job, SIGTERM, job.pid);
    }
    say(&job, "exit 0\n");
    change_of(&job, 0);
    done_with(&job);
}

static void leads_a_session_if_it_was_started_so(void) {
    struct job job;
    int pid, session;
    resume(&job, SESSION);
    say(&job, "ids\n");
    CHECK(sscanf(next_line(&job, __LINE__), "pid %d session %d", &pid, &session) == 2 &&
          pid == session);
    say(&job, "exit 0\n");
    change_of(&job, 0);
    done_with(&job);
}

static void stops_and_continues(void) {
    static const int stops[] = {SIGTSTP, SIGTTIN};
    struct job job;
    resume(&job, GROUP);
    for (int i = 0; i < 2 * ROUNDS; i++) {
        const pid_t to = i % 3 ? job.pid : -job.pid;
        CHECK(kill(i % 5 ? job.pid : -job.pid, stops[i % 2]) == 0);
        int status = change_of(&job, WUNTRACED);
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == stops[i % 2]);
        CHECK(kill(to, SIGCONT) == 0);
        status = change_of(&job, WCONTINUED);
        CHECK(WIFCONTINUED(status));
        EXPECT(&job, "signal 18");
        MARKER(&job);
    }
    say(&job, "stop\n");
    int status = change_of(&job, WUNTRACED);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(-job.pid, SIGCONT) == 0);
    EXPECT(&job, "continued");
    EXPECT(&job, "signal 18");
    MARKER(&job);
    CHECK(kill(-job.pid, SIGSTOP) == 0);
    status = change_of(&job, WUNTRACED);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(-job.pid, SIGCONT) == 0);
    EXPECT(&job, "signal 18");
    MARKER(&job);
    say(&job, "exit 0\n");
    while (!WIFEXITED(change_of(&job, WCONTINUED)))
        ;
    done_with(&job);
}

/* Of the process that was started: 0 is the helper, 1 the program, as they are known here. */
static pid_t child_of(const struct job *job, int index) {
    char path[60], text[200], *at = text;
    long child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", job->pid, job->pid);
    slurp(path, text, sizeof text);
    for (int i = 0; i <= index; i++)
        child = strtol(at, &at, 10);
    CHECK(child > 0);
    return (pid_t)child;
}

/* By somebody who knows it, and not the process in front of it. */
static void stops_and_continues_alone(enum surroundings where) {
    struct job job;
    resume(&job, where);
    const pid_t program = child_of(&job, 1);
    for (int i = 0; i < 8; i++) {
        CHECK(kill(program, SIGSTOP) == 0);
        int status = change_of(&job, WUNTRACED);
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
        const pid_t to = i % 4 == 1 ? job.pid : i % 4 == 3 && where == GROUP ? -job.pid : program;
        CHECK(kill(to, SIGCONT) == 0);
        status = change_of(&job, WCONTINUED);
        CHECK(WIFCONTINUED(status));
        EXPECT(&job, "signal 18");
        MARKER(&job);
    }
    CHECK(kill(program, SIGSTOP) == 0);
    CHECK(WIFSTOPPED(change_of(&job, WUNTRACED)));
    CHECK(kill(program, SIGKILL) == 0);
    const int status = change_of(&job, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    done_with(&job);
}

/* Whoever it is killed by: the program cannot go on without a parent that knows it. */
static void dies_with_its_supervisor(enum surroundings where) {
    struct job job;
    resume(&job, where);
    CHECK(kill(job.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(change_of(&job, 0)) == SIGKILL);
    EXPECT(&job, "");
    done_with(&job);
}

/* However early: it then has no chance to tell anybody. */
static void leaves_nobody_if_it_is_killed_early(void) {
    enum { ATTEMPTS = 100, STEP_US = 60 };
    for (int i = 0; i < ATTEMPTS; i++) {
        struct job job;
        start_program(&job, getenv("IMAGE"), GROUP);
        usleep((useconds_t)(i * STEP_US));
        CHECK(kill(job.pid, SIGKILL) == 0);
        CHECK(WTERMSIG(change_of(&job, 0)) == SIGKILL);
        nobody_is_left();
        done_with(&job);
    }
}

/* Whichever of its processes the user may not have. (There is no such limit for root.) */
static void leaves_nobody_if_it_is_refused(void) {
    enum { FAR_TOO_MANY = 1000 };
    int status = -1;
    if (geteuid() == 0)
        return;
    for (rlim_t limit = 1; limit < FAR_TOO_MANY && status != 0; limit++) {
        const struct rlimit processes = {limit, limit};
        char said[1000] = "";
        int out[2];
        CHECK(pipe2(out, O_CLOEXEC) == 0);
        const pid_t image = fork();
        CHECK(image >= 0);
        if (image == 0) {
            dup2(open("/dev/null", O_RDONLY), 0); /* at whose end the program ends */
            dup2(out[1], 1);
            dup2(out[1], 2);
            CHECK(setrlimit(RLIMIT_NPROC, &processes) == 0);
            execl(getenv("IMAGE"), "image", NULL);
            _exit(127);
        }
        close(out[1]);
        CHECK(waitpid(image, &status, 0) == image);
        CHECK(wait(NULL) == -1 && errno == ECHILD);
        CHECK(read(out[0], said, sizeof said - 1) > 0);
        CHECK(status == 0 ||
              (WIFEXITED(status) && WEXITSTATUS(status) == 125 && strstr(said, "raise ulimit -u")));
        close(out[0]);
    }
    CHECK(status == 0);
}

static int count_entries(const char *directory) {
    int count = -2;
    DIR *entries = opendir(directory);
    CHECK(entries);
    while (readdir(entries))
        count++;
    closedir(entries);
    return count;
}

static void has_a_name_in_ps(const char *program) {
    struct job job;
    char path[60], text[1000], expected[1000];
    resume(&job, GROUP);
    MARKER(&job);
    snprintf(path, sizeof path, "/proc/%d/cmdline", job.pid);
    slurp(path, text, sizeof text);
    snprintf(expected, sizeof expected, "rfork: %s (%d)", program, child_of(&job, 1));
    if (strcmp(text, expected) != 0)
        fprintf(stderr, "ps shows '%s', not '%s'\n", text, expected);
    CHECK(strcmp(text, expected) == 0);
    snprintf(path, sizeof path, "/proc/%d/cmdline", child_of(&job, 0));
    slurp(path, text, sizeof text);
    snprintf(expected, sizeof expected, "rfork: helper of %d", job.pid);
    CHECK(strcmp(text, expected) == 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%d/comm", i ? child_of(&job, 0) : job.pid);
        slurp(path, text, sizeof text);
        CHECK(strcmp(text, "rfork\n") == 0);
    }
    say(&job, "exit 0\n");
    change_of(&job, 0);
    done_with(&job);
}

static void holds_nothing(void) {
    struct job job;
    char path[100], link[100] = "";
    resume(&job, GROUP);
    MARKER(&job); /* it has come so far that it passes on signals */
    snprintf(path, sizeof path, "/proc/%d/fd", job.pid);
    CHECK(count_entries(path) == 0);
    snprintf(path, sizeof path, "/proc/%d/cwd", job.pid);
    CHECK(readlink(path, link, sizeof link) == 1 && link[0] == '/');
    say(&job, "close\n");
    EXPECT(&job, "");
    CHECK(kill(job.pid, 0) == 0 && waitpid(job.pid, NULL, WNOHANG) == 0);
    say(&job, "exit 5\n");
    CHECK(WEXITSTATUS(change_of(&job, 0)) == 5);
    done_with(&job);
}

static void does_not_wait_for_orphans(enum surroundings where) {
    struct job job;
    resume(&job, where);
    say(&job, "orphan 3\n");
    CHECK(WEXITSTATUS(change_of(&job, 0)) == 3);
    say(&job, "\n");
    EXPECT(&job, "orphan");
    EXPECT(&job, "");
    done_with(&job);
}

static void on_a_terminal(void) {
    struct job job;
    int status;
    resume(&job, TERMINAL);
    CHECK(tcsetpgrp(2, job.pid) == 0);
    const int master = atoi(getenv("MASTER"));
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(write(master, "\003", 1) == 1);
        EXPECT(&job, "signal 2");
        MARKER(&job);
        CHECK(write(master, "\032", 1) == 1);
        status = change_of(&job, WUNTRACED);
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
        CHECK(tcsetpgrp(2, getpgrp()) == 0);
        if (i % 2)
            CHECK(tcsetpgrp(2, job.pid) == 0);
        CHECK(kill(-job.pid, SIGCONT) == 0);
        CHECK(WIFCONTINUED(change_of(&job, WCONTINUED)));
        CHECK(tcsetpgrp(2, job.pid) == 0);
        EXPECT(&job, "signal 18");
        MARKER(&job);
    }
    say(&job, "exit 9\n");
    CHECK(WEXITSTATUS(change_of(&job, 0)) == 9);
    CHECK(tcsetpgrp(2, getpgrp()) == 0);
    done_with(&job);
}

/* As the shell of a terminal's session. */
static void with_a_terminal(void) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const pid_t shell = fork();
    if (shell == 0) {
        CHECK(setsid() > 0);
        const int terminal = open(ptsname(master), O_RDWR);
        CHECK(terminal >= 0);
        const int errors = dup(2);
        CHECK(dup2(terminal, 2) == 2);
        stderr = fdopen(errors, "w");
        char number[20];
        snprintf(number, sizeof number, "%d", master);
        setenv("MASTER", number, 1);
        signal(SIGTTOU, SIG_IGN);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        on_a_terminal();
        exit(0);
    }
    int status;
    CHECK(waitpid(shell, &status, 0) == shell);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(master);
}

/* In a process of its own, which has no other children and gets their orphans. */
static void all(const char *state_of_the_pid, const char *program) {
    int status;
    const pid_t tester = fork();
    pid_is = state_of_the_pid;
    if (tester > 0) {
        CHECK(waitpid(tester, &status, 0) == tester);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return;
    }
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    ends_with_its_status();
    dies_of_its_signal();
    gets_each_signal_once(GROUP);
    gets_each_signal_once(SESSION);
    leads_a_session_if_it_was_started_so();
    stops_and_continues();
    stops_and_continues_alone(GROUP);
    stops_and_continues_alone(SESSION);
    has_a_name_in_ps(program);
    dies_with_its_supervisor(GROUP);
    dies_with_its_supervisor(SESSION);
    leaves_nobody_if_it_is_killed_early();
    leaves_nobody_if_it_is_refused();
    holds_nothing();
    does_not_wait_for_orphans(GROUP);
    does_not_wait_for_orphans(SESSION);
    with_a_terminal();
    exit(0);
}

int main(int argc, char **argv) {
    struct job frozen;
    CHECK(argc == 2);
    start_program(&frozen, argv[1], GROUP);
    EXPECT(&frozen, "frozen");
    all("in use", argv[1]);
    say(&frozen, "end\n");
    CHECK(change_of(&frozen, 0) == 0);
    all("free", argv[1]);
    return success();
}
