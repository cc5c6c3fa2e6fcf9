// An open file description, and all descriptors of the process that refer to it.
#pragma once

#include "format/record.h"

#include <cstdint>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace rfork::capture {

struct DescriptorSlot {
    int fd;
    bool close_on_exec;
};

struct OpenDescription {
    std::uint32_t object = 0;          // its id in the image
    std::vector<DescriptorSlot> slots; // ascending, at least one
    struct stat st {};
    std::string path; // as the kernel names it: a path, "pipe:[1234]", "anon_inode:[eventpoll]" ...
    std::uint32_t flags = 0; // access mode and status flags
    std::uint64_t position = 0;
    std::int64_t event_id = -1; // the kernel's number for an eventfd; else -1
    std::string info;           // /proc/PID/fdinfo/N of the first descriptor
    image::Kind kind{};         // whose collector takes it
    bool refused = false;       // an image cannot carry it
    bool dropped = false;       // likewise, but /dev/null takes its place

    int number() const { return slots.front().fd; }
};

std::string label(const OpenDescription&); // "descriptor 7 (pipe:[1234])"

} // namespace rfork::capture
