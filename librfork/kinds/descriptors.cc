#include "kinds/descriptors.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>

namespace rfork::kinds {
namespace {

using capture::cannot_carry;
using capture::Snapshot;
using capture::Source;

constexpr struct {
    image::Kind kind;
    Recogniser recognises;
} table[] = {
    {image::Kind::pipe, is_pipe},
    {image::Kind::event_fd, is_event_fd},
    {image::Kind::signal_fd, is_signal_fd},
    {image::Kind::timer_fd, is_timer_fd},
    {image::Kind::listening_socket, is_listening_socket},
    {image::Kind::epoll, is_epoll},
};

image::Kind kind_of(const Source& source, const OpenDescriptions& all, const OpenDescription& d) {
    for (const auto& entry : table)
        if (entry.recognises(source, all, d))
            return entry.kind;
    return image::Kind::open_file;
}

// What no kind can carry. A stream's locks are left behind with it.
Result<void> check(const OpenDescription& d) {
    if (d.locked && !(d.kind == image::Kind::open_file && is_stream(d)))
        return cannot_carry(d, "holds a file lock, which an image cannot carry yet");
    if (d.flags & O_ASYNC)
        return cannot_carry(d, "sends a signal when it is ready (O_ASYNC), which an image cannot "
                               "carry yet");
    return {};
}

} // namespace

Result<void> sort_descriptors(const Source& source, Snapshot& snapshot) {
    Result<OpenDescriptions> all = capture::list_open_descriptions(source);
    if (!all)
        return all.error();
    for (OpenDescription& d : *all) {
        d.kind = kind_of(source, *all, d);
        if (Result<void> r = check(d); !r)
            return r;
        for (const DescriptorSlot& slot : d.slots)
            snapshot.descriptors.push_back(slot.fd);
    }
    std::sort(snapshot.descriptors.begin(), snapshot.descriptors.end());
    snapshot.open_descriptions = std::move(*all);
    return {};
}

bool is_anonymous(const OpenDescription& d, const char* name) {
    return !(d.flags & O_PATH) && d.path == std::string("anon_inode:[") + name + "]";
}

std::uint32_t name_of(const OpenDescription& d, Snapshot& snapshot) {
    return snapshot.strings.add(label(d));
}

std::uint64_t number_in(const std::string& info, const char* name, int base) {
    return std::strtoull(capture::field(info, name).c_str(), nullptr, base);
}

} // namespace rfork::kinds
