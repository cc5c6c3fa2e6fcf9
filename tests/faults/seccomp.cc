#include "faults/seccomp.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <linux/audit.h>
#include <linux/filter.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace faults {
namespace {

// Not read(2), readv(2) and writev(2): with these the zygote and the lane talk to each other. Nor
// close(2): a signal that comes before the notification is received interrupts the call, and no
// program expects of a close that it has closed nothing.
constexpr int watched[] = {
    SYS_rename,     SYS_renameat,   SYS_renameat2,  SYS_open,     SYS_creat,   SYS_openat,
    SYS_openat2,    SYS_unlink,     SYS_unlinkat,   SYS_rmdir,    SYS_link,    SYS_linkat,
    SYS_mkdir,      SYS_mkdirat,    SYS_write,      SYS_pwrite64, SYS_pwritev, SYS_ftruncate,
    SYS_fsync,      SYS_fdatasync,  SYS_getdents64, SYS_stat,     SYS_lstat,   SYS_fstat,
    SYS_newfstatat, SYS_statx,      SYS_sendto,     SYS_sendmsg,  SYS_pread64, SYS_execve,
    SYS_execveat,   SYS_faccessat2, SYS_fallocate,
};

// A call that waits for its answer is not interrupted by signals, which would have it made twice.
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

std::vector<sock_filter> program() {
    constexpr auto arch_at = offsetof(seccomp_data, arch), number_at = offsetof(seccomp_data, nr);
    std::vector<sock_filter> code = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch_at),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number_at),
    };
    for (int number : watched) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return code;
}

} // namespace

rfork::UniqueFd install_filter() {
    std::vector<sock_filter> code = program();
    sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
    auto install = [&] {
        return static_cast<int>(::syscall(
            SYS_seccomp, SECCOMP_SET_MODE_FILTER,
            SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter));
    };
    int fd = install();
    if (fd < 0 && errno == EACCES) { // without privilege only so
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        fd = install();
    }
    return rfork::UniqueFd(fd);
}

std::optional<seccomp_notif> Listener::next() {
    seccomp_notif notification{};
    if (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0)
        return std::nullopt; // killed meanwhile
    return notification;
}

bool Listener::still_waits(std::uint64_t id) const {
    return ::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

void Listener::let_go(std::uint64_t id) {
    seccomp_notif_resp response{};
    response.id = id;
    response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void Listener::answer(std::uint64_t id, long value, int error) {
    seccomp_notif_resp response{};
    response.id = id;
    response.val = error ? 0 : value;
    response.error = -error;
    ::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
}

} // namespace faults
