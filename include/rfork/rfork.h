/*
 * rfork: fork(2) across the network.
 *
 *     if (rfork("otherhost") == PARENT)
 *         exit(0);
 *     // ... the program goes on here, on otherhost
 *
 * C99 and C++. Link with -lrfork (CMake rfork::rfork, pkg-config rfork).
 */
#ifndef RFORK_RFORK_H
#define RFORK_RFORK_H

#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RFORK_API __attribute__((visibility("default")))
#else
#define RFORK_API
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
 * Like a child of fork(2) it has a process id of its own, and no children or memory locks; unlike
 * one it is no child of the caller. What an image cannot carry (more threads, armed timers, pending
 * signals, pipes, sockets ...) makes the call fail; rfork(3) has the list.
 *
 * errno: EINVAL        `host` is malformed, or a setting in the environment is
 *        ENOENT        no spool or key is configured, or a file is missing on one of the hosts
 *        EHOSTUNREACH  `host` cannot be resolved
 *        ETIMEDOUT     no sign of life from `host` for $RFORK_TIMEOUT_MS (milliseconds; if unset,
 *                      15000)
 *        ECONNREFUSED  no rexecd listens there
 *        ENOTSUP       the process holds something that an image cannot carry; the sentence names
 * it (EOPNOTSUPP, the same number on Linux: the target cannot run it, since its CPU lacks a feature
 * or its kernel is another one) EACCES, EPERM the key or spool may not be used, or the target
 * refused the request EBADMSG       the image was damaged on the way ECANCELED     the request was
 * withdrawn on the target, or this is a child that a signal handler forked while the call ran in
 * its parent EBUSY         a signal handler called while a call was running ENOSPC, ENOMEM, EAGAIN,
 * EIO and others as from write(2), clone(2) and mmap(2)
 *
 * Environment: RFORK_SPOOL, RFORK_KEY_FILE, RFORK_MONITOR, RFORK_TIMEOUT_MS; see rfork(3).
 * Thread safety: refused with ENOTSUP when the process has more than one thread.
 * Signal safety: may be called from a signal handler unless that interrupted malloc, the dynamic
 * linker or another call of this library; signals are delivered as usual while the caller waits,
 * and never make it return EINTR.
 * Source: J. M. Smith and J. Ioannidis, "Implementing remote fork() with checkpoint/restart", 1989.
 */
RFORK_API int rfork(const char *host);

/*
 * rfork_checkpoint - freeze the calling process into an executable file
 *
 * Writes the image under a temporary name beside `path` and renames it into place, replacing what
 * was there. Returns RFORK_PARENT (1) in the caller once `path` is complete, RFORK_CHILD (0) in
 * every process started from it, or -1 with errno set, as for rfork(); EEXIST if `path` is there
 * and no regular file.
 */
RFORK_API int rfork_checkpoint(const char *path);

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

/*
 * move_to - go on on another machine, and nowhere else
 *
 * An expression: RFORK_CHILD (0) on `host`; on failure -1 and the program goes on here. The caller
 * left behind ends with exit(0), so what stdio had buffered is written by both: flush before
 * moving.
 */
#define move_to(host) rfork_move_to_(rfork(host))

static inline int rfork_move_to_(int outcome) {
    if (outcome == RFORK_PARENT)
        exit(0);
    return outcome;
}

static inline int report(const char *monitor, const char *message) {
    return rfork_report(monitor, message);
}

#endif /* RFORK_NO_SHORT_NAMES */

#ifdef __cplusplus
}
#endif

#endif /* RFORK_RFORK_H */
