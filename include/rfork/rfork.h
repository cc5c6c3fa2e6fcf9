/*
 * rfork: fork(2) across the network.
 *
 *     if (move_to("otherhost") < 0)
 *         fprintf(stderr, "still here: %s\n", rfork_strerror_last());
 *     // ... the program goes on, on otherhost
 *
 * C89 and later, and C++. Link with -lrfork (CMake rfork::rfork, pkg-config rfork).
 */
#ifndef RFORK_RFORK_H
#define RFORK_RFORK_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>

#ifndef __GLIBC__
#error "rfork knows the insides of the GNU C library, and of no other: compile with that one"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RFORK_API __attribute__((visibility("default")))
#define RFORK_INLINE static __inline__
#else
#define RFORK_API
#define RFORK_INLINE static inline
#endif

enum {
    RFORK_CHILD = 0, /* this is the copy */
    RFORK_PARENT = 1 /* this is the caller, and the copy is running */
};

/*
 * rfork - go on as a copy on another machine
 *
 * Freezes the calling process into an executable image in the spool directory ($RFORK_SPOOL, which
 * the hosts share), and asks the rexecd on `host` to run it. `host` is "name", "name:port" or
 * "192.0.2.1:port"; the default port is 7411/udp.
 *
 * Returns RFORK_PARENT (1) in the caller once the copy is running on `host`, RFORK_CHILD (0) in the
 * copy, or -1 with errno set: then nothing runs anywhere but the caller, which is unharmed, and
 * rfork_strerror_last() says in a sentence what failed and what to do.
 *
 * The copy is the program going on: memory, registers, signal dispositions, regular files with
 * their offsets, working directory and umask are those of the caller at the moment of the call.
 * Its timers, what is pending of its signals and all its threads come along, each at the place where
 * it is. Like a child of fork(2) the copy has no children and no memory locks; unlike one it is no
 * child of the caller. The copy of a program with one thread has a process id of its own; with
 * several, and in every checkpoint, the process and its threads keep their ids. What an image cannot
 * carry (connected sockets, devices ...) makes the call fail; rfork(3) has the list.
 *
 * errno:
 *     EINVAL        `host` is malformed, or a setting in the environment is
 *     ENOENT        no spool or key is configured, or a file is missing on one of the hosts
 *     EHOSTUNREACH  `host` cannot be resolved
 *     ETIMEDOUT     no sign of life from `host` for $RFORK_TIMEOUT_MS (milliseconds; if unset,
 *                   15000); or other threads between rfork_block() and rfork_unblock() for as long
 *     ECONNREFUSED  no rexecd listens there
 *     ENOTSUP       the process holds something that an image cannot carry; the sentence names it
 *     EOPNOTSUPP    (the same number on Linux) the target cannot run it: its CPU lacks a feature
 *     EACCES, EPERM the key or spool may not be used, the target refused the request, or the other
 *                   threads cannot be stopped, since the process is traced already or may not be
 *     EBADMSG       the image was damaged on the way
 *     ECANCELED     the request was withdrawn on the target, or this is a child that a signal
 *                   handler forked while the call ran in its parent
 *     EBUSY         a signal handler called while a call was running in the same thread, or has
 *                   left one
 *     EDEADLK       this thread has called rfork_block()
 *     EAGAIN        a thread could not be stopped; or as from clone(2)
 *     ENOSPC, ENOMEM, EIO and others, as from write(2), clone(2) and mmap(2)
 *
 * Environment: RFORK_SPOOL, RFORK_KEY_FILE, RFORK_MONITOR, RFORK_TIMEOUT_MS, RFORK_IGNORE,
 * RFORK_FILES, RFORK_LOG, RFORK_VERBOSE; see rfork(3).
 * Thread safety: yes. Other threads stand still for a moment, and are not told: no system call of
 * theirs returns EINTR for it. Calls from several threads are served one after the other. Not a
 * cancellation point.
 * Signal safety: may be called from a signal handler unless that interrupted malloc, the dynamic
 * linker or another call of this library; signals are delivered as usual while the caller waits,
 * and never make it return EINTR. A handler that runs meanwhile must return: after a siglongjmp(3)
 * out of it nobody learns whether the copy runs, and further calls of the thread fail with EBUSY.
 * Source: J. M. Smith and J. Ioannidis, "Implementing remote fork() with checkpoint/restart", 1989.
 */
RFORK_API int rfork(const char *host);

/*
 * rfork_checkpoint - freeze the calling process into an executable file
 *
 * Writes the image into a file that gets the name `path` when it is complete, replacing what was
 * there. Returns RFORK_PARENT (1) in the caller once `path` is complete, RFORK_CHILD (0) in
 * every process started from it, or -1 with errno set, as for rfork(); EEXIST if `path` is there
 * and neither a regular file nor a named pipe. Into a named pipe (mkfifo(3)) the image is written as
 * a stream, as soon as somebody reads there (ETIMEDOUT if nobody does for $RFORK_TIMEOUT_MS); what comes out is the file, to be made executable, and
 * a stream that was cut short does not run. EPIPE if the reader stops before the end. A program that has children, ended or not, is refused (ENOTSUP), unless
 * RFORK_LEAVE_CHILDREN (below) or RFORK_IGNORE=children says that they stay behind.
 */
RFORK_API int rfork_checkpoint(const char *path);

/*
 * rfork_move - go on on another machine, and nowhere else
 *
 * Like rfork(), but the program goes on on `host` and ends here: the call returns RFORK_CHILD (0)
 * there, or -1 here, and the program has never run in two places. From the moment at which it is
 * frozen until the answer its other threads stand still, and no handler of a signal runs; what
 * arrives for a handler is delivered if the call fails. When the copy runs, the original ends with
 * status 0, as by _exit(2): no exit handlers, and nothing that stdio has buffered is written, since
 * the copy does both. Signals that would end the program by default end it also while it waits.
 *
 * A program that has children, ended or not, is refused (ENOTSUP), for it would go on without them.
 */
RFORK_API int rfork_move(const char *host);

/*
 * rfork_with, rfork_checkpoint_with - the same with options
 *
 * `options` may be NULL. Begin with RFORK_OPTIONS_INIT; `flags` is a sum of
 *
 *   RFORK_END             the original ends when the copy runs, or the file is complete; as in
 *                         rfork_move(), no thread of it has run on since the freeze.
 *   RFORK_LEAVE_CHILDREN  children stay behind, as with fork(2); without it a program that has some
 *                         is refused, but for rfork() itself.
 *
 *   RFORK_BACKGROUND      rfork_checkpoint_with() returns as soon as the program can go on, and the
 *                         file is written meanwhile; rfork_checkpoint_wait() tells how that ends.
 *                         One at a time, else EBUSY.
 *
 * errno EINVAL also for options that this version of the library does not know.
 */
enum {
    RFORK_END = 1,
    RFORK_LEAVE_CHILDREN = 2,
    RFORK_BACKGROUND = 4,
    RFORK_STOP = 8,     /* rfork_checkpoint_pid(), rfork_restart() */
    RFORK_ROLLBACK = 16 /* rfork_restart() */
};

struct rfork_options {
    size_t size; /* sizeof(struct rfork_options) */
    unsigned int flags;
    unsigned int reserved; /* 0 */
    const char *ignore;    /* what may be left out, as RFORK_IGNORE has it; NULL: what that says */
};

#define RFORK_OPTIONS_INIT                                                                         \
    { sizeof(struct rfork_options), 0, 0, NULL }

RFORK_API int rfork_with(const char *host, const struct rfork_options *options);
RFORK_API int rfork_checkpoint_with(const char *path, const struct rfork_options *options);

/*
 * rfork_checkpoint_wait - how a checkpoint in the background has ended
 *
 * Waits for at most `milliseconds`, or for as long as it takes if that is negative. Returns 1 if
 * the file is complete and in place; 0 if it is still being written; -1 with errno set and a
 * sentence in rfork_strerror_last() if it has failed, or (ECHILD) if there is none of this process
 * that has not been asked for; so in every copy.
 * Thread safety: yes. Signal safety: no.
 */
RFORK_API int rfork_checkpoint_wait(int milliseconds);

/*
 * rfork_checkpoint_pid, rfork_migrate_pid, rfork_restart - other processes, for schedulers
 *
 *   rfork_checkpoint_pid  freezes the process `pid` of the same user, which need not know of rfork,
 *                         and writes its image to `fd`: a file, which the caller makes executable, a
 *                         pipe or a socket; nothing is ever seeked. It goes on meanwhile; with
 *                         RFORK_END it stands still until the image is complete, and is then ended
 *                         by SIGKILL, with RFORK_STOP it is stopped by SIGSTOP.
 *   rfork_migrate_pid     moves it to `host`: it goes on there and is ended here, or goes on here.
 *   rfork_restart         the calling process becomes the image at `path`, with the arguments of
 *                         execve(2); returns only if that fails. With RFORK_STOP the program is
 *                         stopped before its first instruction, which its parent sees by waitpid(2);
 *                         with RFORK_ROLLBACK files it had open for writing are cut back to the
 *                         length that they had.
 *
 * The first two execute the program rfork(1): $RFORK_TOOL, or the one installed beside the library,
 * or in PATH. It is no child that wait(2) finds, and sends no SIGCHLD.
 *
 * Return 0, or -1 with errno set and a sentence in rfork_strerror_last(): ESRCH if there is no such
 * process, EPERM if it may not be traced, ENOTSUP if an image cannot carry it, EAGAIN if it could not
 * be stopped now, EBADF, EINVAL, EIO and others as for rfork(); ENOENT also if there is no rfork(1).
 * Thread safety: yes. Signal safety: no.
 * Source: the interface of CRS and EPCKPT, checkpoint(fd, pid, flags) and restart(filename, pid,
 * flags): CRS_KILL is RFORK_END, RESTART_STOP is RFORK_STOP, and what RESTART_NOTIFY told by SIGUSR1,
 * waitpid(2) with WUNTRACED tells; nothing is left out of images (CRS_NO_BINARY_FILE).
 */
RFORK_API int rfork_checkpoint_pid(pid_t pid, int fd, const struct rfork_options *options);
RFORK_API int rfork_migrate_pid(pid_t pid, const char *host, const struct rfork_options *options);
RFORK_API int rfork_restart(const char *path, const struct rfork_options *options);

/*
 * rfork_atfork - steps of the program's own around every call
 *
 * Registers functions as pthread_atfork(3) does for fork(2): `prepare` is called before the process
 * is frozen, the latest registered first; then `parent` in the caller, whether the call succeeds or
 * fails, or `child` in the copy, in the order of registration. No `parent` runs in an original that
 * ends because its copy runs (rfork_move(), RFORK_END). Each may be NULL. They run in the thread
 * that calls rfork() or rfork_checkpoint(), on its stack; in the copy, the other threads run
 * already. A program that holds what several copies must not share (random generators, UUID
 * counters, sessions of TLS) renews it in `child`.
 *
 * Returns 0, or ENOMEM; a registration cannot be taken back.
 * Thread safety: yes. Signal safety: no.
 */
RFORK_API int rfork_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/*
 * rfork_block, rfork_unblock - code in which the process must not be frozen
 *
 * Between the two calls of a thread, calls of rfork() and rfork_checkpoint() in other threads wait,
 * for at most $RFORK_TIMEOUT_MS (then they fail with ETIMEDOUT); in the same thread they fail with
 * EDEADLK. Pairs can be nested. Neither ever waits. rfork_unblock() without rfork_block() does
 * nothing.
 * Thread safety: yes. Signal safety: yes.
 */
RFORK_API void rfork_block(void);
RFORK_API void rfork_unblock(void);

/*
 * rfork_exclude, rfork_readonly, rfork_include - what need not be frozen
 *
 * Speak of the `length` bytes of memory at `address`, of any alignment:
 *
 *   rfork_exclude   their contents are of no use: a copy finds zeroes there, and the image is
 *                   smaller. Not for memory of a shared file mapping, which is the file's.
 *   rfork_readonly  they will not change any more. Images hold them as before; but shared memory,
 *                   which has to be copied while other threads stand still, is not if it is marked.
 *                   A promise that is not kept may give the copy contents of different moments.
 *   rfork_include   takes back both. To be called before the memory is freed or put to other use.
 *
 * The marks travel with the program. Returns 0, or -1 with errno set and a sentence in
 * rfork_strerror_last(): EINVAL for a null pointer or a range beyond the end of the address space,
 * ENOMEM.
 * Thread safety: yes. Signal safety: no.
 * Source: J. S. Plank et al., "Libckpt: Transparent Checkpointing under Unix", 1995, section 4
 * (memory exclusion).
 */
RFORK_API int rfork_exclude(void *address, size_t length);
RFORK_API int rfork_readonly(const void *address, size_t length);
RFORK_API int rfork_include(const void *address, size_t length);

/*
 * rfork_last_copy - where the copy went that this thread made last
 *
 * Fills in `copy`, whose `size` the caller has set to sizeof(struct rfork_copy); what does not fit
 * in it is left out. `pid` is 0 and `log` empty where the answer of the target was lost.
 *
 * Returns 0, or -1 with errno set: ENOENT if no rfork() of this thread has returned RFORK_PARENT,
 * EINVAL for a null pointer or a size of nothing.
 * Thread safety: yes, each thread has its own. Signal safety: yes.
 */
struct rfork_copy {
    size_t size;
    long pid;       /* of the copy, on its host */
    char image[33]; /* the id of its image, 32 hexadecimal digits: the name in logs and reports */
    char host[256]; /* as given to rfork() */
    char log[520];  /* path there of what it writes to a terminal, a pipe or a socket at 1, 2 */
};
RFORK_API int rfork_last_copy(struct rfork_copy *copy);

/*
 * rfork_report, report - send one line to notifyd
 *
 * `monitor` is "host" or "host:port"; the default port is 7412/udp. The line travels in one
 * datagram, which the network may lose: nothing waits for it, and the call never blocks on it.
 * (A host *name* is looked up first, and that can take as long as getaddrinfo(3) takes.)
 *
 * Returns 0, or -1 with errno set and a sentence in rfork_strerror_last(): EINVAL for a null or
 * malformed argument, EHOSTUNREACH when `monitor` cannot be resolved, EMSGSIZE for more than 1024
 * bytes of message, or an error of socket(2) or sendto(2).
 * Thread safety: yes. Signal safety: only when `monitor` is a numeric address.
 */
RFORK_API int rfork_report(const char *monitor, const char *message);

/*
 * rfork_strerror_last - the sentence for this thread's last failure
 *
 * Valid until this thread's next call of this library; "" if none failed. Never NULL.
 * Thread safety: yes. Signal safety: yes.
 */
RFORK_API const char *rfork_strerror_last(void);

#ifndef RFORK_NO_SHORT_NAMES

#define PARENT RFORK_PARENT
#define CHILD RFORK_CHILD

#define move_to(host) rfork_move(host)

RFORK_INLINE int report(const char *monitor, const char *message) {
    return rfork_report(monitor, message);
}

#endif /* RFORK_NO_SHORT_NAMES */

#ifdef __cplusplus
}
#endif

#endif /* RFORK_RFORK_H */
