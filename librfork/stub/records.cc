// The stub's half of the table of kinds: one restorer each, restore_<name>() in restore.cc of the
// kind's folder.
#include "format/kinds.h"
#include "stub/stub.h"

#include <linux/errno.h>

namespace rfork::stub {

#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    void restore_##name(Stub&, const image::RecordHeader&);
#include "format/kinds.def"

namespace {

Stage stage_of(image::Kind kind, Phase phase) {
    if (kind == image::Kind::working_directory)
        return Stage::directory;
    switch (phase) {
    case Phase::host:
        return Stage::cpu;
    case Phase::files:
        return Stage::descriptors;
    case Phase::memory:
        return Stage::memory;
    case Phase::threads:
        return Stage::thread;
    case Phase::identity:
    case Phase::process:
    case Phase::armed:
    case Phase::never:
        return Stage::process;
    }
    return Stage::process;
}

bool is_known(image::Kind kind) {
    switch (kind) {
#define RFORK_KIND(number, name, collected, recognised, restored, described) case image::Kind::name:
#include "format/kinds.def"
        return true;
    }
    return false;
}

template <class Restorer>
void restore_each(Stub& stub, image::Kind kind, Records records, Restorer restore) {
    while (const image::RecordHeader* record = records.next())
        if (record->kind == kind)
            restore(stub, *record);
}

template <class Restorer>
void restore_kind(Stub& stub, image::Kind kind, Phase phase, Restorer restore) {
    stub.stage = stage_of(kind, phase);
    if (stub.process == &stub.nobody || !are_several(stub))
        restore_each(stub, kind, Records::of_objects(stub), restore);
    restore_each(stub, kind, Records(stub), restore);
}

void check_records(const Stub& stub, Records records) {
    while (const image::RecordHeader* record = records.next()) {
        if (is_known(record->kind))
            continue;
        char number[24];
        Text(number, sizeof number) << "number " << std::uint64_t(record->kind);
        fail(stub, EBADMSG, "the image holds a kind of state that its own stub does not know,",
             number);
    }
}

} // namespace

void check_records(const Stub& stub) {
    check_records(stub, Records::of_objects(stub));
    for (const image::Process& process : processes_of(stub))
        check_records(stub, Records(stub, process));
}

// The restorers are lambdas, told apart by their types: the address of a function would need
// relocation.
void restore(Stub& stub, Phase phase) {
#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    if constexpr (Phase::restored != Phase::never)                                                 \
        if (phase == Phase::restored)                                                              \
            restore_kind(stub, image::Kind::name, phase,                                           \
                         [](Stub& s, const image::RecordHeader& r) { restore_##name(s, r); });
#include "format/kinds.def"
}

} // namespace rfork::stub
