#include "records.h"

#include "format/kinds.h"
#include "format/records/thread.h"

#include <algorithm>
#include <initializer_list>

namespace rfork::tool {

// One describer a kind, in objects/<name>/describe.cc or state/<name>/describe.cc.
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    Lines describe_##name(const FrozenProgram&, const image::Record&);
#include "format/kinds.def"

namespace {

// In the order in which they are printed.
enum class Part {
    attributes,
    program,
    memory,
    surroundings,
    identity,
    threads,
    signals,
    timers,
    descriptors,
    machine,
    nowhere
};

using Describer = Lines (*)(const FrozenProgram&, const image::Record&);

struct Entry {
    image::Kind kind;
    const char* name;
    Part part;
    Describer describe; // nullptr: nowhere
};

constexpr Entry table[] = {
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    {image::Kind::name, #name, Part::described, []() -> Describer {                                \
         if constexpr (Part::described == Part::nowhere)                                           \
             return nullptr;                                                                       \
         else                                                                                      \
             return describe_##name;                                                               \
     }()},
#include "format/kinds.def"
};

// Null if this program does not know the kind.
const Entry* entry_of(image::Kind kind) {
    const auto entry = std::ranges::find(table, kind, &Entry::kind);
    return entry == std::end(table) ? nullptr : entry;
}

struct Found {
    image::Record record;
    const Entry* entry;
};

// By part, and in a part as the table has them; what is not known comes last.
bool comes_before(const Found& a, const Found& b) {
    if (!a.entry || !b.entry)
        return a.entry && !b.entry;
    return a.entry->part != b.entry->part ? a.entry->part < b.entry->part : a.entry < b.entry;
}

Lines describe(const FrozenProgram& program, const Found& found) {
    const auto& [record, entry] = found;
    if (!entry)
        return {{format("kind %u", static_cast<unsigned>(record.header().kind)),
                 format("%zu bytes that this release does not understand", record.bytes().size())}};
    return entry->describe ? entry->describe(program, record) : Lines{};
}

void append(Lines& lines, const Lines& more) {
    lines.insert(lines.end(), more.begin(), more.end());
}

Lines describe(const FrozenProgram& program, std::initializer_list<image::Records> all) {
    std::vector<Found> found;
    for (image::Records records : all)
        for (image::Record record : records)
            found.push_back({record, entry_of(record.header().kind)});
    std::ranges::stable_sort(found, comes_before);
    Lines lines;
    for (const Found& one : found)
        append(lines, describe(program, one));
    return lines;
}

// A line for each object that it has descriptors of.
Lines describe_descriptors(const FrozenProgram& program) {
    Lines lines;
    std::uint32_t last = 0;
    for (const image::Descriptor& d : program.image.descriptors(program.process)) {
        if (d.object != last)
            lines.push_back(
                {format("object %u", d.object), "descriptor " + descriptors(program, d.object)});
        last = d.object;
    }
    return lines;
}

// Of the thread that called.
std::string name_of(const FrozenProgram& program) {
    for (image::Record record : program.image.state(program.process))
        if (record.header().kind == image::Kind::thread)
            if (const auto* thread = record.as<kinds::ThreadRecord>())
                return fixed_text(thread->name, sizeof thread->name);
    return {};
}

} // namespace

const char* name_of(image::Kind kind) {
    const Entry* entry = entry_of(kind);
    return entry ? entry->name : "";
}

Lines describe_record(const FrozenProgram& program, const image::Record& record) {
    return describe(program, {record, entry_of(record.header().kind)});
}

Lines describe_records(const FrozenProgram& program) {
    return describe(program, {program.image.objects(), program.image.state(program.process)});
}

Lines describe_objects(int fd, const image::Image& image) {
    return describe({fd, image, 0}, {image.objects()});
}

Lines describe_state(const FrozenProgram& program) {
    Lines lines = describe(program, {program.image.state(program.process)});
    append(lines, describe_descriptors(program));
    return lines;
}

Line title_of(const FrozenProgram& program) {
    const image::Process& process = program.image.processes()[program.process - 1];
    return {format("process %d", process.pid),
            format("parent %d, '%s'", process.parent, name_of(program).c_str())};
}

} // namespace rfork::tool
