// Shared memory is known by its mappings alone, so it is collected when these are known
// (measure_shared_memory), and added when those of all processes are. Of a memfd it matters where
// it ends: behind that a mapping has no pages.
#include "format/kinds.h"
#include "format/records/shared_memory.h"

#include "objects/descriptors.h"

#include <algorithm>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::SharedMemory;
using capture::Source;
using image::Mapping;

constexpr std::uint64_t page = image::page_size;

// How much of a mapping its memory has. (Nothing is looked at that need not be: to look at a hole
// of the memory fills it.)
std::uint64_t size_of(const Source& source, const Mapping& m, bool is_memfd) {
    auto is_there = [&](std::uint64_t pages) { // so many
        char byte;
        return pages == 0 || source.read_memory(m.start + (pages - 1) * page, &byte, 1) == 1;
    };
    const std::uint64_t all = (m.end - m.start) / page;
    if (!is_memfd || is_there(all))
        return all * page;
    std::uint64_t there = 0, missing = all;
    while (missing - there > 1) {
        const std::uint64_t middle = there + (missing - there) / 2;
        (is_there(middle) ? there : missing) = middle;
    }
    return there * page;
}

std::string name_of_memfd(const std::string& shown) {
    constexpr std::string_view before = "/memfd:", behind = " (deleted)";
    std::string name = shown.substr(before.size());
    if (name.size() >= behind.size() && name.substr(name.size() - behind.size()) == behind)
        name.resize(name.size() - behind.size());
    return name;
}

} // namespace

void measure_shared_memory(const Source& source, ProcessSnapshot& process) {
    for (const Mapping& m : process.mappings) {
        if (m.kind != image::MappingKind::shared_memory)
            continue;
        SharedMemory& memory = *process.all.find_shared_memory(m.object);
        memory.size =
            std::max(memory.size, m.origin_offset + size_of(source, m, memory.is_memfd()));
    }
}

void add_shared_memory(capture::Snapshot& snapshot) {
    for (const SharedMemory& memory : snapshot.shared_memory) {
        SharedMemoryRecord record{};
        record.object = object_header(
            memory.id, memory.is_memfd() ? snapshot.strings.add(name_of_memfd(memory.name)) : 0);
        record.type = memory.is_memfd() ? SharedMemoryType::memfd : SharedMemoryType::anonymous;
        record.size = memory.size;
        snapshot.objects.add(image::Kind::shared_memory, record);
    }
}

} // namespace rfork::kinds
