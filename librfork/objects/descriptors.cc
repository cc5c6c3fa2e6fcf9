#include "objects/descriptors.h"

#include "format/kinds.h"
#include "objects/table_of_kinds.h"
#include "process/open_descriptions.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Sort;
using capture::Source;

// What no kind can carry. A stream's owner is left behind with it.
Result<void> check(const Source& source, ProcessSnapshot& process, OpenDescription& d) {
    const bool is_file = d.kind == image::Kind::open_file;
    if (is_file)
        if (Result<void> r = check_open_file(source, d); !r)
            return refuse(source, process, d, sort_of(d), r.error());
    const Result<void> locks = leaves_locks_behind(d) ? Result<void>() : check_locks(d);
    if (!locks && !process.all.ignored.has(Sort::lock))
        return refuse(source, process, d, Sort::lock, locks.error());
    // A lease comes with signals, and is left behind with them.
    if (!locks || process.all.ignored.has(Sort::async)) {
        d.flags &= ~std::uint32_t(O_ASYNC);
        return {};
    }
    if (d.flags & O_ASYNC)
        return refuse(source, process, d, Sort::async,
                      cannot_carry(d, "sends a signal when it is ready (O_ASYNC), which an image "
                                      "cannot carry yet (RFORK_IGNORE=async goes on without)"));
    // Also a file that sends none by itself has it, as sockets do for urgent data.
    if (!(d.flags & O_PATH) && !(is_file && is_stream(d)) && source.has_owner(d.number()))
        return refuse(source, process, d, Sort::async,
                      cannot_carry(d, "has somebody to send signals to (F_SETOWN, F_SETSIG), which "
                                      "an image cannot carry yet (RFORK_IGNORE=async goes on "
                                      "without)"));
    return {};
}

bool was_inherited(const ProcessSnapshot& process, const OpenDescription& d) {
    for (const DescriptorSlot& slot : d.slots)
        for (const capture::InheritedFile& file : process.inherited)
            if (file.fd == slot.fd && file.device == d.st.st_dev && file.inode == d.st.st_ino)
                return true;
    return false;
}

void drop(const Source& source, ProcessSnapshot& process, OpenDescription& d) {
    d.kind = image::Kind::open_file;
    d.dropped = true;
    add_null(source, process, d);
}

// Of the descriptors that share an open file, those that are to be left out.
std::vector<DescriptorSlot> take_ignored(const capture::Ignored& ignored,
                                         std::vector<DescriptorSlot>& slots) {
    std::vector<DescriptorSlot> taken, kept;
    for (const DescriptorSlot& slot : slots)
        (ignored.has(slot.fd) ? taken : kept).push_back(slot);
    slots = std::move(kept);
    return taken;
}

void drop_by_number(const Source& source, ProcessSnapshot& process, OpenDescriptions& all) {
    if (process.all.ignored.numbers.empty())
        return;
    OpenDescriptions kept;
    for (OpenDescription& d : all) {
        OpenDescription left_out = d;
        left_out.slots = take_ignored(process.all.ignored, d.slots);
        left_out.object = process.all.new_object();
        if (!d.slots.empty())
            kept.push_back(std::move(d));
        if (left_out.slots.empty())
            continue;
        drop(source, process, left_out);
        kept.push_back(std::move(left_out));
    }
    all = std::move(kept);
}

} // namespace

bool leaves_locks_behind(const OpenDescription& d) {
    return d.kind == image::Kind::open_file && is_stream(d);
}

Result<void> sort_descriptors(const Source& source, ProcessSnapshot& process) {
    Result<OpenDescriptions> all = capture::list_open_descriptions(source);
    if (!all)
        return all.error();
    for (const OpenDescription& d : *all)
        for (const DescriptorSlot& slot : d.slots)
            process.numbers.push_back(slot.fd);
    std::sort(process.numbers.begin(), process.numbers.end());
    for (OpenDescription& d : *all)
        d.object = process.all.new_object();
    drop_by_number(source, process, *all);
    for (OpenDescription& d : *all) {
        if (d.dropped)
            continue;
        d.kind = recognise(source, *all, d);
        if (Result<void> r = check(source, process, d); !r)
            return r;
    }
    process.open_descriptions = std::move(*all);
    return {};
}

image::ObjectHeader object_header(std::uint32_t id, std::uint32_t name, std::uint32_t flags) {
    return {{}, id, name, flags, 0};
}

void add_descriptors(ProcessSnapshot& process, std::uint32_t object,
                     const std::vector<DescriptorSlot>& slots) {
    for (const DescriptorSlot& slot : slots)
        process.descriptors.push_back(
            {slot.fd, slot.close_on_exec ? std::uint32_t(image::descriptor_close_on_exec) : 0u,
             object, 0});
}

image::ObjectHeader add_object(ProcessSnapshot& process, const OpenDescription& d) {
    add_descriptors(process, d.object, d.slots);
    return object_header(d.object, name_of(d, process), d.flags);
}

Result<void> check_complete(const ProcessSnapshot& process) {
    std::vector<int> numbers;
    for (const image::Descriptor& d : process.descriptors)
        if (!(d.flags & image::descriptor_until_resumed))
            numbers.push_back(d.fd);
    std::sort(numbers.begin(), numbers.end());
    if (numbers == process.numbers)
        return {};
    return Error{EIO, "a descriptor of the process is not in its image, or there twice: this is a "
                      "bug in rfork, please report it"};
}

std::uint32_t object_at(const ProcessSnapshot& process, int number) {
    for (const image::Descriptor& d : process.descriptors)
        if (d.fd == number)
            return d.object;
    return 0;
}

Error cannot_carry(const OpenDescription& d, const std::string& why) {
    return {ENOTSUP, label(d) + " " + why};
}

Sort sort_of(const OpenDescription& d) {
    const mode_t mode = d.st.st_mode;
    if (d.path.compare(0, 6, "/proc/") == 0 || d.path.compare(0, 5, "/sys/") == 0)
        return Sort::proc;
    if ((S_ISREG(mode) || S_ISDIR(mode)) && d.path.compare(0, 1, "/") == 0)
        return Sort::deleted;
    if (d.flags & O_PATH)
        return Sort::other;
    return S_ISSOCK(mode)                   ? Sort::socket
           : S_ISFIFO(mode)                 ? Sort::pipe
           : S_ISCHR(mode) || S_ISBLK(mode) ? Sort::device
                                            : Sort::other;
}

Result<void> refuse(const Source& source, ProcessSnapshot& process, OpenDescription& d, Sort sort,
                    const Error& error) {
    if (error.code != ENOTSUP)
        return error;
    const bool inherited = was_inherited(process, d);
    if (process.all.ignored.has(sort) || (inherited && process.all.ignored.inherited)) {
        drop(source, process, d);
        return {};
    }
    d.refused = true;
    process.all.obstacles.add_descriptor(d.number(), error.sentence, inherited,
                                         sort == Sort::lock    ? "lock"
                                         : sort == Sort::async ? "async"
                                                               : "");
    return {};
}

bool is_anonymous(const OpenDescription& d, const char* name) {
    return !(d.flags & O_PATH) && d.path == std::string("anon_inode:[") + name + "]";
}

std::uint32_t name_of(const OpenDescription& d, ProcessSnapshot& process) {
    return process.all.strings.add(label(d));
}

std::uint64_t number_in(const std::string& info, const char* name, int base) {
    return std::strtoull(field(info, name).c_str(), nullptr, base);
}

} // namespace rfork::kinds
