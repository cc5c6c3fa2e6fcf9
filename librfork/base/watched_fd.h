// A descriptor of ours that stays open among somebody else's while his code runs: a signal handler or
// another thread may close all that it does not know, and have the number again for itself.
#pragma once

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace rfork {

class WatchedFd {
  public:
    WatchedFd() = default;
    explicit WatchedFd(int fd) { reset(fd); }
    WatchedFd(const WatchedFd&) = delete;
    WatchedFd& operator=(const WatchedFd&) = delete;
    ~WatchedFd() { reset(); }

    // Whether it still is what it was. Between this and its use it can change; but then a rename or a
    // look at names only fails, or finds nothing, and is made again.
    bool is_there() const {
        struct stat now;
        return fd_ >= 0 && fstat(fd_, &now) == 0 && now.st_dev == device_ && now.st_ino == inode_;
    }
    int get() const { return fd_; }
    void reset(int fd = -1) {
        if (fd_ >= 0 && !is_another())
            close(fd_);
        struct stat status {};
        if (fd >= 0 && fstat(fd, &status) != 0) {
            close(fd);
            fd = -1;
        }
        fd_ = fd;
        device_ = status.st_dev;
        inode_ = status.st_ino;
    }

  private:
    // The number is nobody's, or the program's. A file system that does not answer tells neither.
    bool is_another() const {
        struct stat now;
        if (fstat(fd_, &now) != 0)
            return errno == EBADF;
        return now.st_dev != device_ || now.st_ino != inode_;
    }

    int fd_ = -1;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

} // namespace rfork
