#include "records.h"

#include "format/kinds.h"

#include <algorithm>

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
    Part part;
    Describer describe; // nullptr: nowhere
};

constexpr Entry table[] = {
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    {image::Kind::name, Part::described, []() -> Describer {                                       \
         if constexpr (Part::described == Part::nowhere)                                           \
             return nullptr;                                                                       \
         else                                                                                      \
             return describe_##name;                                                               \
     }()},
#include "format/kinds.def"
};

bool known(image::Kind kind) {
    return std::any_of(std::begin(table), std::end(table),
                       [kind](const Entry& entry) { return entry.kind == kind; });
}

void append(Lines& lines, const Lines& more) {
    lines.insert(lines.end(), more.begin(), more.end());
}

void append_part(Lines& lines, const FrozenProgram& program, Part part) {
    for (const Entry& entry : table)
        for (image::Records records :
             {program.image.objects(), program.image.state(program.process)})
            for (image::Record record : records)
                if (entry.part == part && record.header().kind == entry.kind)
                    append(lines, entry.describe(program, record));
}

} // namespace

Lines describe_records(const FrozenProgram& program) {
    Lines lines;
    for (int part = 0; part < int(Part::nowhere); ++part)
        append_part(lines, program, Part(part));
    for (image::Records records : {program.image.objects(), program.image.state(program.process)})
        for (image::Record record : records)
            if (!known(record.header().kind))
                lines.push_back({format("kind %u", static_cast<unsigned>(record.header().kind)),
                                 format("%zu bytes that this release does not understand",
                                        record.bytes().size())});
    return lines;
}

} // namespace rfork::tool
