#include "stub/stub.h"

#include <linux/errno.h>

namespace rfork::stub {
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
        return Stage::process;
    }
    return Stage::process;
}

bool is_known(image::Kind kind) {
    switch (kind) {
#define RFORK_KIND(number, phase, name) case image::Kind::name:
#include "format/kinds.def"
#undef RFORK_KIND
        return true;
    }
    return false;
}

template <class Restorer>
void restore_kind(Stub& stub, image::Kind kind, Phase phase, Restorer restore) {
    stub.stage = stage_of(kind, phase);
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == kind)
            restore(stub, *record);
}

} // namespace

void check_records(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (!is_known(record->kind))
            fail(stub, EBADMSG, "the image holds a kind of state that its own stub does not know");
}

// Kind by kind in the order of kinds.def. The restorers are lambdas, told apart by their types: the
// address of a function would need relocation.
void restore(Stub& stub, Phase phase) {
#define RFORK_KIND(number, phase_name, name)                                                       \
    if (phase == Phase::phase_name)                                                                \
        restore_kind(stub, image::Kind::name, phase,                                               \
                     [](Stub& s, const image::RecordHeader& r) { restore_##name(s, r); });
#include "format/kinds.def"
#undef RFORK_KIND
}

} // namespace rfork::stub
