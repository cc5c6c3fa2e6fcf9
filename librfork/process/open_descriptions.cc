// A descriptor says little of itself: which other descriptors share its offset only kcmp(2) knows.
// So each is compared with those that look the same.
#include "process/open_descriptions.h"

#include "base/directory_names.h"
#include "base/proc.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

Result<std::vector<int>> list(const Source& source) {
    const UniqueFd fd(openat(source.directory(), "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot list the descriptors of the process");
    std::vector<int> numbers;
    const int error = for_each_name(fd.get(), [&numbers](std::string_view name) {
        if (name[0] != '.')
            numbers.push_back(std::atoi(name.data()));
    });
    if (error)
        return system_error(error, "cannot list the descriptors of the process");
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

// A descriptor as if no other shared its description.
Result<OpenDescription> examine(const Source& source, int fd) {
    OpenDescription d;
    d.slots.push_back({fd, false});
    const std::string link = "fd/" + std::to_string(fd);
    Result<std::string> path = source.link(link);
    if (!path)
        return path.error();
    d.path = std::move(*path);
    if (fstatat(source.directory(), link.c_str(), &d.st, 0) != 0)
        return system_error(errno, "cannot examine " + label(d));
    Result<std::string> info = source.read(("fdinfo/" + std::to_string(fd)).c_str());
    if (!info)
        return info.error();
    d.info = std::move(*info);
    const auto flags = std::strtoul(field(d.info, "flags").c_str(), nullptr, 8);
    d.flags = std::uint32_t(flags) & ~std::uint32_t(O_CLOEXEC);
    d.slots.front().close_on_exec = (flags & O_CLOEXEC) != 0;
    d.position = std::strtoull(field(d.info, "pos").c_str(), nullptr, 10);
    if (const std::string id = d.path == "anon_inode:[eventfd]" ? field(d.info, "eventfd-id") : "";
        !id.empty())
        d.event_id = std::strtoll(id.c_str(), nullptr, 10);
    return d;
}

// All files without an inode of their own have the same one.
bool look_the_same(const OpenDescription& a, const OpenDescription& b) {
    return a.st.st_dev == b.st.st_dev && a.st.st_ino == b.st.st_ino && a.flags == b.flags &&
           a.position == b.position && a.event_id == b.event_id && a.path == b.path;
}

Result<bool> same(const Source& source, const OpenDescription& a, const OpenDescription& b) {
    if (!look_the_same(a, b))
        return false;
    if (a.event_id >= 0)
        return true;
    const long r = syscall(SYS_kcmp, source.pid(), source.pid(), KCMP_FILE, a.number(), b.number());
    // Containers often forbid kcmp(2). Standard streams that look the same are the same (2>&1).
    if (r < 0 && a.number() <= 2 && b.number() <= 2)
        return true;
    if (r < 0)
        return system_error(errno, "cannot find out whether " + label(a) + " and " + label(b) +
                                       " share their offset");
    return r == 0; // 1 and 2 give an order of different files
}

} // namespace

Result<std::vector<OpenDescription>> list_open_descriptions(const Source& source) {
    const Result<std::vector<int>> numbers = list(source);
    if (!numbers)
        return numbers.error();
    std::vector<OpenDescription> all;
    for (int fd : *numbers) {
        Result<OpenDescription> d = examine(source, fd);
        if (!d)
            return d.error();
        OpenDescription* first = nullptr;
        for (std::size_t i = 0; i < all.size() && !first; ++i) {
            const Result<bool> is_same = same(source, all[i], *d);
            if (!is_same)
                return is_same.error();
            if (*is_same)
                first = &all[i];
        }
        if (first)
            first->slots.push_back(d->slots.front());
        else
            all.push_back(std::move(*d));
    }
    return all;
}

} // namespace rfork::capture
