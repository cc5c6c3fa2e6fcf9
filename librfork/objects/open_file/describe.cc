#include "describe/describe.h"
#include "format/records/open_file.h"

#include <fcntl.h>

namespace rfork::tool {
namespace {

std::string open_flags(std::uint32_t flags) {
    static constexpr struct {
        std::uint32_t bit;
        const char* name;
    } names[] = {{O_APPEND, "append"},      {O_NONBLOCK, "nonblocking"}, {O_DSYNC, "dsync"},
                 {O_DIRECT, "direct"},      {O_NOATIME, "noatime"},      {O_PATH, "path only"},
                 {O_ASYNC, "signal-driven"}};
    static constexpr const char* access[] = {"read", "write", "read and write", "no access"};
    std::string text = access[flags & O_ACCMODE];
    for (const auto& name : names) {
        if (flags & name.bit)
            text += std::string(", ") + name.name;
    }
    return text;
}

// See kinds::window_size().
std::string window(std::uint64_t size) {
    if (size == 0)
        return "";
    return format(", a terminal of %lu rows and %lu columns", size >> 16 & 0xffff, size & 0xffff);
}

std::string file_description(const FrozenProgram& program, const kinds::OpenFileRecord& record) {
    std::string path = string_at(program, record.object.name);
    std::string flags = open_flags(record.object.flags);
    switch (record.type) {
    case kinds::FileType::regular:
        return format("%s at %lu of %lu (%s)", path.c_str(), record.position, record.size,
                      flags.c_str());
    case kinds::FileType::directory:
        return path + " (directory)";
    case kinds::FileType::device:
        return path + " (device, " + flags + ")";
    case kinds::FileType::mapped:
        return format("%s, mapped shared up to %lu of %lu", path.c_str(), record.position,
                      record.size);
    case kinds::FileType::stream:
        return format("standard stream %u", record.stream) + window(record.size);
    }
    return format("file of unknown type %u", static_cast<unsigned>(record.type));
}

} // namespace

Lines describe_open_file(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::OpenFileRecord>(
        whole, [&](const kinds::OpenFileRecord& record) -> Lines {
            return {{"file " + descriptors(program, record.object.id),
                     file_description(program, record)}};
        });
}

} // namespace rfork::tool
