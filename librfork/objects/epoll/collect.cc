// What an epoll instance watches is in its fdinfo, each file by the number of the descriptor with
// which it was added, which may be closed since, or be another file's. Which file it is, kcmp(2)
// tells, and every description of the process is asked for.
//
// An instance that watches another comes after that in the image.
#include "format/kinds.h"
#include "format/records/epoll.h"

#include "objects/descriptors.h"
#include "process/source.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Source;

struct Watched {
    std::uint32_t number = 0;
    std::uint32_t order = 0; // among those with the same number
    std::uint32_t events = 0;
    std::uint64_t data = 0;
    std::uint64_t inode = 0;
};

// Lines "tfd: 5 events: 19 data: 5 pos:0 ino:61af sdev:7", in the order in which kcmp(2) counts.
std::vector<Watched> parse(const std::string& info) {
    std::vector<Watched> all;
    for (std::size_t at = info.find("\ntfd:"); at != std::string::npos;
         at = info.find("\ntfd:", at + 1)) {
        Watched w;
        unsigned long long data = 0, inode = 0;
        if (std::sscanf(info.c_str() + at + 1, "tfd: %u events: %x data: %llx pos:%*d ino:%llx",
                        &w.number, &w.events, &data, &inode) != 4)
            continue;
        w.data = data;
        w.inode = inode;
        for (const Watched& other : all)
            w.order += other.number == w.number;
        all.push_back(w);
    }
    return all;
}

bool has_number(const OpenDescription& d, std::uint32_t number) {
    return std::any_of(d.slots.begin(), d.slots.end(), [number](const DescriptorSlot& slot) {
        return slot.fd == std::int32_t(number);
    });
}

enum class Same { no, yes, unknown };

Same compare(const Source& source, const OpenDescription& epoll, const Watched& watched,
             const OpenDescription& d) {
    kcmp_epoll_slot slot{std::uint32_t(epoll.number()), watched.number, watched.order};
    const long r = syscall(SYS_kcmp, source.pid(), source.pid(), KCMP_EPOLL_TFD, d.number(), &slot);
    return r < 0 ? Same::unknown : r == 0 ? Same::yes : Same::no;
}

// Where kcmp(2) is forbidden, the file that has the number now is taken for the one that was added,
// if it has the same inode.
const OpenDescription* find(const Source& source, const OpenDescriptions& all,
                            const OpenDescription& epoll, const Watched& watched) {
    for (const OpenDescription& d : all) {
        if (!has_number(d, watched.number))
            continue;
        const Same same = compare(source, epoll, watched, d);
        if (same == Same::yes)
            return &d;
        if (same == Same::unknown)
            return d.st.st_ino == watched.inode ? &d : nullptr;
    }
    for (const OpenDescription& d : all)
        if (compare(source, epoll, watched, d) == Same::yes)
            return &d;
    return nullptr;
}

std::uint32_t other_end(const OpenDescriptions& all, const OpenDescription& d) {
    if (d.kind != image::Kind::pipe || (d.flags & O_ACCMODE) == O_RDWR)
        return 0;
    for (const OpenDescription& other : all)
        if (other.kind == image::Kind::pipe && other.st.st_ino == d.st.st_ino &&
            other.st.st_dev == d.st.st_dev && (other.flags & O_ACCMODE) != (d.flags & O_ACCMODE))
            return other.object;
    return 0;
}

std::uint32_t flags_of(const OpenDescription& d) {
    if (d.kind == image::Kind::pipe || d.kind == image::Kind::event_fd)
        return epoll_quiet;
    return d.kind == image::Kind::open_file && is_stream(d) ? epoll_stream : 0;
}

struct Instance {
    const OpenDescription* description;
    std::vector<EpollEntry> entries;
    std::vector<const OpenDescription*> files;
    bool added = false;
};

// EPIOCSPARAMS, Linux 6.9.
bool polls_busily(int fd) {
    struct {
        std::uint32_t microseconds;
        std::uint16_t budget;
        std::uint8_t prefer, pad;
    } parameters{};
    return ioctl(fd, _IOR(0x8a, 2, decltype(parameters)), &parameters) == 0 &&
           (parameters.microseconds || parameters.budget || parameters.prefer);
}

// Standard streams that are one description are an object each, so the number counts.
std::uint32_t object_of(const ProcessSnapshot& process, const OpenDescription& d, int number) {
    const std::uint32_t object = object_at(process, number);
    return object ? object : d.object; // of an epoll instance, which is added later
}

Result<Instance> examine(const Source& source, const ProcessSnapshot& process,
                         const OpenDescription& epoll) {
    const OpenDescriptions& all = process.open_descriptions;
    if (epoll.info.size() >= capture::Source::read_limit)
        return cannot_carry(epoll, "watches more files than an image can carry");
    Instance instance{&epoll, {}, {}};
    const Result<UniqueFd> fd = source.descriptor(epoll.number());
    if (!fd)
        return fd.error();
    if (polls_busily(fd->get()))
        return cannot_carry(epoll, "polls the network busily, which an image cannot carry yet");
    for (const Watched& watched : parse(epoll.info)) {
        const OpenDescription* d = find(source, all, epoll, watched);
        if (!d)
            return cannot_carry(epoll, "watches a file that was descriptor " +
                                           std::to_string(watched.number) +
                                           " and is no longer open in this process");
        if (d->dropped)
            continue;
        const bool same_number = has_number(*d, watched.number);
        EpollEntry entry{};
        entry.number = std::int32_t(watched.number);
        entry.file = object_of(process, *d, same_number ? entry.number : d->number());
        entry.events = watched.events;
        entry.flags = flags_of(*d);
        entry.data = watched.data;
        entry.other_end = other_end(all, *d);
        instance.entries.push_back(entry);
        instance.files.push_back(d);
    }
    return instance;
}

// poll(2) here takes from the caller's list what is not ready; and a signalfd is ready for the one
// who asks. So where there is one, nobody may ask.
bool may_be_ready(const ProcessSnapshot& process, int fd) {
    for (const OpenDescription& d : process.open_descriptions)
        if (d.kind == image::Kind::signal_fd)
            return true;
    pollfd poll{fd, POLLIN, 0};
    return ::poll(&poll, 1, 0) != 0;
}

// Another instance that has been left out since is /dev/null now, which nobody can watch.
void forget_dropped(Instance& instance) {
    for (std::size_t i = instance.files.size(); i-- > 0;)
        if (instance.files[i]->dropped) {
            instance.files.erase(instance.files.begin() + std::ptrdiff_t(i));
            instance.entries.erase(instance.entries.begin() + std::ptrdiff_t(i));
        }
}

Result<void> add(const Source& source, ProcessSnapshot& process, Instance& instance) {
    forget_dropped(instance);
    const OpenDescription& d = *instance.description;
    const Result<UniqueFd> fd = source.descriptor(d.number());
    if (!fd)
        return fd.error();
    EpollRecord record{};
    record.object = add_object(process, d);
    record.ready = may_be_ready(process, fd->get());
    record.entries = std::uint32_t(instance.entries.size());
    std::vector<std::uint8_t> extra;
    append(extra, instance.entries);
    process.all.objects.add(image::Kind::epoll, record, extra.data(), extra.size());
    return {};
}

bool waits_for_another(const Instance& instance, const std::vector<Instance>& all) {
    for (const OpenDescription* file : instance.files)
        for (const Instance& other : all)
            if (other.description == file && !other.added)
                return true;
    return false;
}

} // namespace

bool is_epoll(const Source&, const OpenDescriptions&, const OpenDescription& d) {
    return is_anonymous(d, "eventpoll");
}

Result<void> collect_epoll(const Source& source, ProcessSnapshot& process) {
    std::vector<Instance> all;
    Result<void> examined = collect_each(
        source, process, image::Kind::epoll, [&](const OpenDescription& d) -> Result<void> {
            Result<Instance> instance = examine(source, process, d);
            if (!instance)
                return instance.error();
            all.push_back(std::move(*instance));
            return {};
        });
    if (!examined)
        return examined;
    // The kernel lets none watch itself by way of others, so each round finds one.
    for (std::size_t round = 0; round < all.size(); ++round) {
        for (Instance& instance : all) {
            if (instance.added || waits_for_another(instance, all))
                continue;
            if (Result<void> r = add(source, process, instance); !r)
                return r;
            instance.added = true;
        }
    }
    return {};
}

} // namespace rfork::kinds
