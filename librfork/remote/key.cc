#include "remote/key.h"

#include "base/proc.h"
#include "base/unique_fd.h"
#include "remote/random.h"

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <sodium/utils.h>
#include <string_view>
#include <sys/stat.h>

namespace rfork::remote {

namespace {

constexpr std::size_t text_size = 2 * sizeof(Key) + 1; // the digits and the newline
constexpr mode_t forbidden_modes = 0037;               // the group may read, others nothing

// One byte more than a key has, so that a longer file shows.
struct Text {
    std::array<char, text_size + 1> bytes{};
    ~Text() { sodium_memzero(bytes.data(), bytes.size()); }
};

int value_of_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

Result<std::size_t> read_text(int fd, Text& text, const std::string& path) {
    std::size_t size = 0;
    while (size < text.bytes.size()) {
        ssize_t got = ::read(fd, text.bytes.data() + size, text.bytes.size() - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_error(errno, "cannot read the key file " + path);
        if (got == 0)
            break;
        size += static_cast<std::size_t>(got);
    }
    return size;
}

Result<void> write_text(int fd, const Text& text, const std::string& path) {
    std::size_t done = 0;
    while (done < text_size) {
        ssize_t put = ::write(fd, text.bytes.data() + done, text_size - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return system_error(errno, "cannot write the key file " + path);
        done += static_cast<std::size_t>(put);
    }
    // The mode of open() is less than 0600 under some umasks, and a key must survive a crash.
    if (::fchmod(fd, 0600) != 0 || ::fsync(fd) != 0)
        return system_error(errno, "cannot finish the key file " + path);
    return {};
}

Error cannot_open(const std::string& path, int code) {
    const std::string what = "cannot open the key file " + path;
    if (code == EACCES)
        return system_error(
            code, what,
            "whoever uses the key must be able to read it: give it a group that you "
            "belong to (chgrp), and let that read it (chmod 640)");
    if (code == ENOENT)
        return system_error(code, what,
                            "copy the one of the other hosts; if there is none, make it with rfork "
                            "keygen");
    return system_error(code, what);
}

// A user namespace shows files of users whom it does not know, root among them, as this one's.
bool is_unknown_here(uid_t user) {
    constexpr uid_t overflow = 65534;
    constexpr std::uint32_t everybody = 0xffffffff;
    if (user != overflow)
        return false;
    const std::vector<UserRange> users = known_users();
    return !users.empty() && users.front().count != everybody;
}

// Whoever owns the file can put another key there at any time.
bool is_trusted_owner(uid_t owner) {
    return owner == 0 || owner == ::geteuid() || is_unknown_here(owner);
}

} // namespace

Result<Key> read_key(const std::string& path) {
    // O_NONBLOCK: opening a FIFO must not wait for a writer; a regular file does not care.
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd)
        return cannot_open(path, errno);
    struct stat status;
    if (::fstat(fd.get(), &status) != 0)
        return system_error(errno, "cannot examine the key file " + path);
    if (!S_ISREG(status.st_mode))
        return Error{EINVAL, "the key file " + path + " is not a regular file"};
    if (!is_trusted_owner(status.st_uid))
        return Error{EACCES, "the key file " + path + " belongs to user " +
                                 std::to_string(status.st_uid) +
                                 ", who could change it: it must be root's or yours (chown it)"};
    if (status.st_mode & forbidden_modes)
        return Error{EACCES,
                     "the key file " + path +
                         " may be written by its group or used by others: chmod 640 it, and make "
                         "a new key if the old one may be known"};

    Text text;
    Result<std::size_t> size = read_text(fd.get(), text, path);
    if (!size)
        return size.error();
    const Error malformed{EINVAL, "the key file " + path +
                                      " is malformed: it must hold 64 hexadecimal digits and a "
                                      "newline: make one with rfork keygen"};
    if (*size != text_size || text.bytes[text_size - 1] != '\n')
        return malformed;
    Key key;
    for (std::size_t i = 0; i < key.size(); ++i) {
        int high = value_of_digit(text.bytes[2 * i]);
        int low = value_of_digit(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0)
            return malformed;
        key[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return key;
}

Result<void> generate_key(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd && errno == EEXIST)
        return system_error(EEXIST, "cannot make the key file " + path,
                            "a key is never overwritten; remove it first if it is not needed");
    if (!fd)
        return system_error(errno, "cannot make the key file " + path);

    Key key;
    fill_random(key);
    Text text;
    for (std::size_t i = 0; i < key.size(); ++i) {
        text.bytes[2 * i] = "0123456789abcdef"[key[i] >> 4];
        text.bytes[2 * i + 1] = "0123456789abcdef"[key[i] & 15];
    }
    text.bytes[text_size - 1] = '\n';
    sodium_memzero(key.data(), key.size());

    Result<void> written = write_text(fd.get(), text, path);
    if (!written)
        ::unlink(path.c_str());
    return written;
}

} // namespace rfork::remote
