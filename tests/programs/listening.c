/*
 * Listening sockets: addresses, options, queue lengths, flags, duplicates. The image cannot listen
 * while the caller does, and says so; when the caller has closed its sockets, connections arrive.
 * The file of a Unix socket is there with its mode, also when a dead socket has left one; a living
 * one, or a file of another kind, stays.
 */
#include "frozen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

struct listener {
    int fd, domain, type;
    struct sockaddr_storage address;
    socklen_t size;
};

static struct listener start(int domain, int type, const void *address, socklen_t size) {
    struct listener l = {.fd = socket(domain, type, 0), .domain = domain, .type = type};
    CHECK(l.fd >= 0);
    memcpy(&l.address, address, size);
    l.size = size;
    return l;
}

static void bind_and_listen(struct listener *l, int backlog) {
    CHECK(bind(l->fd, (struct sockaddr *)&l->address, l->size) == 0 && listen(l->fd, backlog) == 0);
    l->size = sizeof l->address;
    CHECK(getsockname(l->fd, (struct sockaddr *)&l->address, &l->size) == 0);
}

static int get(int fd, int level, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, level, option, &value, &size) == 0);
    return value;
}

static void set(int fd, int level, int option, int value) {
    CHECK(setsockopt(fd, level, option, &value, sizeof value) == 0);
}

static int tcp_backlog(int fd) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    return (int)info.tcpi_sacked;
}

/* A connection to that address comes out there. */
static void accepts(const struct listener *l, int fd) {
    struct sockaddr_storage now;
    socklen_t size = sizeof now;
    char text[6] = "";
    CHECK(getsockname(fd, (struct sockaddr *)&now, &size) == 0 && size == l->size);
    CHECK(!memcmp(&now, &l->address, size) && get(fd, SOL_SOCKET, SO_TYPE) == l->type);
    const int client = socket(l->domain, l->type, 0);
    CHECK(client >= 0 && connect(client, (struct sockaddr *)&l->address, l->size) == 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    CHECK(write(client, "hello", 5) == 5 && poll(&poll_fd, 1, 10000) == 1);
    const int server = accept(fd, NULL, NULL);
    CHECK(server >= 0 && recv(server, text, 5, MSG_WAITALL) == 5);
    CHECK(!strcmp(text, "hello") && close(client) == 0 && close(server) == 0);
}

/* How many connections a Unix socket takes before they would have to wait. */
static int unix_room(const struct listener *l) {
    int room = 0, clients[64];
    while (room < 64) {
        clients[room] = socket(AF_UNIX, l->type | SOCK_NONBLOCK, 0);
        CHECK(clients[room] >= 0);
        if (connect(clients[room++], (struct sockaddr *)&l->address, l->size) != 0)
            break;
    }
    CHECK(errno == EAGAIN);
    for (int i = 0; i < room; i++) {
        close(clients[i]);
        if (i < room - 1)
            CHECK(close(accept(l->fd, NULL, NULL)) == 0);
    }
    return room;
}

static void image_fails(const char *why, const char *name) {
    char text[4096];
    CHECK(output_of_image(getenv("IMAGE"), text, sizeof text) == 125 << 8);
    if (!strstr(text, why) || !strstr(text, name))
        fprintf(stderr, "the image says: %s\n", text);
    CHECK(strstr(text, why) && strstr(text, name));
    printf("note: %s", text);
}

static void image_succeeds(void) {
    char text[4096];
    const int status = output_of_image(getenv("IMAGE"), text, sizeof text);
    if (status != 0 || !strstr(text, "EXIT-SUCCESS"))
        fprintf(stderr, "the image says: %s\n", text);
    CHECK(status == 0 && strstr(text, "EXIT-SUCCESS"));
}

static struct sockaddr_un unix_address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    return address;
}

int main(void) {
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    const struct sockaddr_un file = unix_address(beside("socket")), relative = unix_address("near");
    struct sockaddr_un abstract = {.sun_family = AF_UNIX};
    const int length =
        snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "rfork-test-%d", getpid());

    struct listener plain = start(AF_INET, SOCK_STREAM, &v4, sizeof v4);
    struct listener rich = start(AF_INET, SOCK_STREAM, &v4, sizeof v4);
    struct listener six = start(AF_INET6, SOCK_STREAM, &v6, sizeof v6);
    struct listener named = start(AF_UNIX, SOCK_STREAM, &file, sizeof file);
    struct listener near = start(AF_UNIX, SOCK_STREAM, &relative, sizeof relative);
    struct listener hidden =
        start(AF_UNIX, SOCK_SEQPACKET, &abstract,
              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)length);

    set(plain.fd, SOL_SOCKET, SO_REUSEADDR, 1); /* for the run after this one */
    bind_and_listen(&plain, 17);
    set(rich.fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set(rich.fd, SOL_SOCKET, SO_REUSEPORT, 1);
    set(rich.fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(rich.fd, SOL_SOCKET, SO_RCVBUF, 50000);
    set(rich.fd, IPPROTO_IP, IP_TOS, 0x10); /* sets the priority, too */
    set(rich.fd, SOL_SOCKET, SO_PRIORITY, 3);
    set(rich.fd, IPPROTO_IP, IP_FREEBIND, 1);
    set(rich.fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(rich.fd, IPPROTO_TCP, TCP_KEEPIDLE, 123);
    set(rich.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3);
    set(rich.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 4567);
    const struct linger linger = {.l_onoff = 1, .l_linger = 9};
    const struct timeval second = {.tv_sec = 1, .tv_usec = 500000};
    CHECK(setsockopt(rich.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    CHECK(setsockopt(rich.fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) == 0);
    bind_and_listen(&rich, 3);
    const int defer = get(rich.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT);
    const int buffer = get(rich.fd, SOL_SOCKET, SO_RCVBUF);
    CHECK(fcntl(rich.fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(rich.fd, F_SETFD, FD_CLOEXEC) == 0);
    CHECK(dup2(rich.fd, 77) == 77);

    const int has_six = bind(six.fd, (const struct sockaddr *)&v6, sizeof v6) == 0;
    CHECK(close(six.fd) == 0);
    six.fd = -1;
    if (has_six) {
        six = start(AF_INET6, SOCK_STREAM, &v6, sizeof v6);
        set(six.fd, SOL_SOCKET, SO_REUSEADDR, 1);
        set(six.fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        bind_and_listen(&six, 5);
    }
    CHECK(unlink(beside("socket")) == 0 || errno == ENOENT);
    bind_and_listen(&named, 6);
    CHECK(chmod(beside("socket"), 0604) == 0);
    bind_and_listen(&near, 1);
    bind_and_listen(&hidden, 2);
    const int room = unix_room(&named);

    const int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 99};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, plain.fd, &event) == 0);
    CHECK(close(0) == 0 && dup(plain.fd) == 0);

    const int outcome = freeze();

    CHECK(tcp_backlog(plain.fd) == 17 && tcp_backlog(rich.fd) == 3);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    accepts(&plain, 0);
    accepts(&plain, plain.fd);
    CHECK(get(rich.fd, SOL_SOCKET, SO_REUSEADDR) == 1 && get(rich.fd, SOL_SOCKET, SO_REUSEPORT));
    CHECK(get(rich.fd, SOL_SOCKET, SO_KEEPALIVE) == 1 &&
          get(rich.fd, SOL_SOCKET, SO_PRIORITY) == 3);
    CHECK(get(rich.fd, SOL_SOCKET, SO_RCVBUF) == buffer);
    CHECK(get(plain.fd, SOL_SOCKET, SO_KEEPALIVE) == 0 && get(rich.fd, IPPROTO_IP, IP_TOS) == 0x10);
    CHECK(get(rich.fd, IPPROTO_IP, IP_FREEBIND) == 1 &&
          get(rich.fd, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(get(rich.fd, IPPROTO_TCP, TCP_KEEPIDLE) == 123);
    CHECK(get(rich.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) == defer);
    CHECK(get(rich.fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 4567);
    struct linger linger_now;
    struct timeval time_now;
    socklen_t size = sizeof linger_now;
    CHECK(getsockopt(rich.fd, SOL_SOCKET, SO_LINGER, &linger_now, &size) == 0);
    CHECK(!memcmp(&linger_now, &linger, sizeof linger));
    size = sizeof time_now;
    CHECK(getsockopt(rich.fd, SOL_SOCKET, SO_RCVTIMEO, &time_now, &size) == 0);
    CHECK(!memcmp(&time_now, &second, sizeof second));
    CHECK(fcntl(rich.fd, F_GETFL) == (O_RDWR | O_NONBLOCK) &&
          fcntl(rich.fd, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(77, F_GETFD) == 0 && fcntl(plain.fd, F_GETFL) == O_RDWR);
    CHECK(fcntl(77, F_SETFL, 0) == 0 && fcntl(rich.fd, F_GETFL) == O_RDWR);
    accepts(&rich, 77);
    if (has_six) {
        CHECK(get(six.fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
        accepts(&six, six.fd);
    }
    struct stat st;
    CHECK(stat(beside("socket"), &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0604);
    accepts(&named, named.fd);
    accepts(&near, near.fd);
    accepts(&hidden, hidden.fd);
    CHECK(unix_room(&named) == room);

    const int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(client, (struct sockaddr *)&plain.address, plain.size) == 0);
    CHECK(epoll_wait(epoll, &event, 1, 10000) == 1 && event.data.u64 == 99);
    CHECK(close(client) == 0 && close(accept(plain.fd, NULL, NULL)) == 0);
    if (outcome == CHILD)
        return success();

    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d",
             ntohs(((struct sockaddr_in *)&plain.address)->sin_port));
    image_fails("in use", address);
    CHECK(close(plain.fd) == 0 && close(0) == 0 && close(rich.fd) == 0 && close(77) == 0);
    image_fails("in use", has_six ? "[::1]:" : beside("socket"));
    if (has_six) {
        CHECK(close(six.fd) == 0);
        image_fails("in use", beside("socket"));
    }
    struct pollfd untouched = {.fd = named.fd, .events = POLLIN};
    CHECK(poll(&untouched, 1, 0) == 0); /* the one who asked was not noticed */
    CHECK(close(named.fd) == 0 && close(near.fd) == 0 && close(hidden.fd) == 0);
    image_succeeds(); /* the files of the caller's Unix sockets are still there */
    image_succeeds(); /* now those of the image before */
    CHECK(unlink(beside("socket")) == 0);
    image_succeeds();
    CHECK(unlink(beside("socket")) == 0 &&
          close(open(beside("socket"), O_CREAT | O_RDWR, 0600)) == 0);
    image_fails("in use", beside("socket"));
    CHECK(stat(beside("socket"), &st) == 0 && S_ISREG(st.st_mode));
    return success();
}
