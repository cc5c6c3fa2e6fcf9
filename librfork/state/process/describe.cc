#include "describe/describe.h"
#include "format/records/process.h"

namespace rfork::tool {
namespace {

std::string seconds(std::int64_t nanoseconds) {
    constexpr std::int64_t second = 1'000'000'000;
    return format("%ld.%09ld s", nanoseconds / second, nanoseconds % second);
}

} // namespace

Lines describe_process(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::ProcessRecord>(
        whole, [](const kinds::ProcessRecord& record) -> Lines {
            return {{"pid",
                     format("%d, %s", record.pid,
                            record.keeps_ids ? "kept, with the tids" : "new where it is resumed")},
                    {"clocks", "monotonic " + seconds(record.monotonic) + ", since boot " +
                                   seconds(record.boottime)}};
        });
}

} // namespace rfork::tool
