// Open file descriptions and their descriptors.
//
// A descriptor says little of itself: which other descriptors share its offset only kcmp(2) knows.
// So descriptors of the same inode are grouped with it, and each group becomes one record. What
// each type of file needs is decided in one function a type; what nobody recognises is refused by
// name.
#include "kinds/collectors.h"
#include "kinds/open_file/record.h"
#include "remote/spool.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace rfork::kinds {
namespace {

using capture::Snapshot;
using capture::Source;

struct Descriptor {
    int fd = -1;
    struct stat st {};
    std::string path; // as the kernel names it: a path, "pipe:[1234]", "anon_inode:[eventpoll]" ...
    std::uint32_t flags = 0;
    std::uint64_t position = 0;
    bool close_on_exec = false;
    bool locked = false;
};

std::string label(const Descriptor& d) {
    return "descriptor " + std::to_string(d.fd) + " (" + d.path + ")";
}

Error cannot_carry(const Descriptor& d, const std::string& why) {
    return {ENOTSUP, label(d) + " " + why + ": close it before the call"};
}

Result<std::vector<int>> list(const Source& source) {
    const int fd = openat(source.directory(), "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return system_error(errno, "cannot list the descriptors of the process");
    std::vector<int> numbers;
    alignas(8) char buffer[4096];
    long got;
    while ((got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
            if (entry->d_name[0] != '.')
                numbers.push_back(std::atoi(entry->d_name));
            at += entry->d_reclen;
        }
    }
    const int error = errno;
    close(fd);
    if (got < 0)
        return system_error(error, "cannot list the descriptors of the process");
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

Result<Descriptor> examine(const Source& source, int fd) {
    Descriptor d;
    d.fd = fd;
    const std::string link = "fd/" + std::to_string(fd);
    Result<std::string> path = source.link(link);
    if (!path)
        return path.error();
    d.path = std::move(*path);
    if (fstatat(source.directory(), link.c_str(), &d.st, 0) != 0)
        return system_error(errno, "cannot examine " + label(d));
    const Result<std::string> info = source.read(("fdinfo/" + std::to_string(fd)).c_str());
    if (!info)
        return info.error();
    const auto flags = std::strtoul(capture::field(*info, "flags").c_str(), nullptr, 8);
    d.flags = std::uint32_t(flags) & ~std::uint32_t(O_CLOEXEC);
    d.close_on_exec = flags & O_CLOEXEC;
    d.position = std::strtoull(capture::field(*info, "pos").c_str(), nullptr, 10);
    d.locked = info->find("\nlock:") != std::string::npos;
    return d;
}

Result<bool> same_file(const Source& source, const Descriptor& a, const Descriptor& b) {
    if (a.st.st_dev != b.st.st_dev || a.st.st_ino != b.st.st_ino || a.flags != b.flags ||
        a.position != b.position)
        return false;
    const long r = syscall(SYS_kcmp, source.pid(), source.pid(), KCMP_FILE, a.fd, b.fd);
    // Containers often forbid kcmp(2). Standard streams that look the same are the same (2>&1).
    if (r < 0 && a.fd <= 2 && b.fd <= 2)
        return true;
    if (r < 0)
        return system_error(errno, "cannot find out whether " + label(a) + " and " + label(b) +
                                       " share their offset");
    return r == 0; // 1 and 2 give an order of different files
}

// The file that a path names must still be the one that is open, or the copy would get another.
Result<void> check_path(const Descriptor& d) {
    struct stat named;
    if (d.st.st_nlink == 0)
        return cannot_carry(d, "is a deleted file, whose contents an image cannot carry yet");
    if (stat(d.path.c_str(), &named) != 0 && errno == EACCES)
        return cannot_carry(d, "is a file that you may no longer look up by its path");
    if (stat(d.path.c_str(), &named) != 0 || named.st_dev != d.st.st_dev ||
        named.st_ino != d.st.st_ino)
        return cannot_carry(d, "is a file that is no longer at that path");
    if (d.locked)
        return cannot_carry(d, "holds a file lock, which an image cannot carry yet");
    return {};
}

// Devices that keep nothing between two calls. Linux: Documentation/admin-guide/devices.txt.
bool is_stateless_device(const struct stat& st) {
    constexpr unsigned memory_devices = 1;
    constexpr unsigned null = 3, zero = 5, full = 7, random = 8, urandom = 9;
    if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != memory_devices)
        return false;
    const unsigned number = minor(st.st_rdev);
    return number == null || number == zero || number == full || number == random ||
           number == urandom;
}

// What rexecd gave a copy for its output: every hop has a log of its own.
bool is_log(const Descriptor& d) {
    std::string_view name = d.path;
    constexpr std::string_view deleted = " (deleted)";
    if (name.size() > deleted.size() && name.substr(name.size() - deleted.size()) == deleted)
        name.remove_suffix(deleted.size());
    name.remove_prefix(name.rfind('/') + 1);
    return S_ISREG(d.st.st_mode) && remote::kind_of_entry(name) == remote::EntryKind::log;
}

bool is_stream(const Descriptor& d) {
    return d.fd <= 2 && (S_ISFIFO(d.st.st_mode) || S_ISSOCK(d.st.st_mode) || is_log(d) ||
                         (S_ISCHR(d.st.st_mode) && !is_stateless_device(d.st)));
}

bool is_kernel_file(const Descriptor& d) {
    return d.path.compare(0, 6, "/proc/") == 0 || d.path.compare(0, 5, "/sys/") == 0;
}

Result<FileType> recognise(const Descriptor& d) {
    if (is_stream(d))
        return FileType::stream;
    if (is_kernel_file(d))
        return cannot_carry(d, "speaks of this machine, which an image cannot carry");
    if (S_ISREG(d.st.st_mode))
        return FileType::regular;
    if (S_ISDIR(d.st.st_mode))
        return FileType::directory;
    if (is_stateless_device(d.st))
        return FileType::device;
    if (S_ISFIFO(d.st.st_mode))
        return cannot_carry(d, "is a pipe, which an image cannot carry yet");
    if (S_ISSOCK(d.st.st_mode))
        return cannot_carry(d, "is a socket, which an image cannot carry yet");
    if (S_ISCHR(d.st.st_mode) || S_ISBLK(d.st.st_mode))
        return cannot_carry(d, "is a device, which an image cannot carry yet");
    return cannot_carry(d, "is of a kind that an image cannot carry yet");
}

Result<void> check(const Descriptor& d, FileType type) {
    if (type != FileType::stream)
        if (Result<void> r = check_path(d); !r)
            return r;
    if (d.flags & O_ASYNC)
        return cannot_carry(d, "sends a signal when it is ready (O_ASYNC), which an image cannot "
                               "carry yet");
    return {};
}

void add_record(Snapshot& snapshot, FileType type, const Descriptor& d,
                const std::vector<DescriptorSlot>& slots) {
    OpenFileRecord record{};
    record.type = type;
    record.flags = d.flags & ~std::uint32_t(O_CREAT | O_EXCL | O_TRUNC);
    record.path = snapshot.strings.add(d.path);
    record.stream = type == FileType::stream ? std::uint32_t(d.fd) : 0;
    record.position = d.position;
    record.slots = std::uint32_t(slots.size());
    snapshot.records.add(image::Kind::open_file, record, slots.data(),
                         slots.size() * sizeof slots[0]);
}

// On a terminal all three standard streams are one open file. After the resume each is what the
// image was started with; a further duplicate goes along with standard output, or whichever of them
// is there.
void add_streams(Snapshot& snapshot, const std::vector<Descriptor>& group) {
    std::size_t streams = 0;
    while (streams < group.size() && group[streams].fd <= 2)
        ++streams;
    std::size_t main = 0;
    for (std::size_t i = 0; i < streams; ++i)
        if (group[i].fd == 1)
            main = i;
    for (std::size_t i = 0; i < streams; ++i) {
        std::vector<DescriptorSlot> slots{{group[i].fd, group[i].close_on_exec}};
        for (std::size_t other = streams; i == main && other < group.size(); ++other)
            slots.push_back({group[other].fd, group[other].close_on_exec});
        add_record(snapshot, FileType::stream, group[i], slots);
    }
}

// All descriptors of one open file, the lowest first.
Result<void> add_group(Snapshot& snapshot, const std::vector<Descriptor>& group) {
    const Result<FileType> type = recognise(group.front());
    if (!type)
        return type.error();
    for (const Descriptor& d : group)
        if (Result<void> r = check(d, *type); !r)
            return r;
    if (*type == FileType::stream) {
        add_streams(snapshot, group);
        return {};
    }
    std::vector<DescriptorSlot> slots;
    for (const Descriptor& d : group)
        slots.push_back({d.fd, d.close_on_exec});
    add_record(snapshot, *type, group.front(), slots);
    return {};
}

} // namespace

Result<void> collect_open_file(const Source& source, Snapshot& snapshot) {
    const Result<std::vector<int>> numbers = list(source);
    if (!numbers)
        return numbers.error();
    std::vector<std::vector<Descriptor>> groups;
    for (int fd : *numbers) {
        Result<Descriptor> d = examine(source, fd);
        if (!d)
            return d.error();
        snapshot.descriptors.push_back(fd);
        std::vector<Descriptor>* group = nullptr;
        for (std::size_t i = 0; i < groups.size() && !group; ++i) {
            const Result<bool> same = same_file(source, groups[i].front(), *d);
            if (!same)
                return same.error();
            if (*same)
                group = &groups[i];
        }
        if (group)
            group->push_back(std::move(*d));
        else
            groups.push_back({std::move(*d)});
    }
    for (const auto& group : groups)
        if (Result<void> r = add_group(snapshot, group); !r)
            return r;
    return {};
}

} // namespace rfork::kinds
