#include "describe/describe.h"
#include "format/records/file_lock.h"

namespace rfork::tool {
namespace {

std::string range(const kinds::FileLockRecord& record) {
    if (record.type == kinds::FileLockType::whole || (!record.start && !record.size))
        return "of all of it";
    if (!record.size)
        return format("from byte %lu on", record.start);
    return format("of bytes %lu to %lu", record.start, record.start + record.size - 1);
}

const char* holder(kinds::FileLockType type) {
    switch (type) {
    case kinds::FileLockType::whole:
        return "flock(2)";
    case kinds::FileLockType::of_process:
        return "of the process";
    case kinds::FileLockType::of_open_file:
        return "of the open file";
    }
    return "of unknown type";
}

} // namespace

Lines describe_file_lock(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::FileLockRecord>(
        whole, [&](const kinds::FileLockRecord& record) -> Lines {
            return {{"lock by " + descriptors(program, record.object),
                     format("%s, %s, %s", record.exclusive ? "exclusive" : "shared",
                            range(record).c_str(), holder(record.type))}};
        });
}

} // namespace rfork::tool
