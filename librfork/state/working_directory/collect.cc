#include "format/kinds.h"
#include "format/records/working_directory.h"
#include "process/owner.h"
#include "process/source.h"

#include <cerrno>
#include <sys/stat.h>

namespace rfork::kinds {

Result<void> collect_working_directory(const capture::Source& source,
                                       capture::ProcessSnapshot& process) {
    const Result<std::string> path = source.link("cwd");
    if (!path)
        return path.error();
    struct stat there, named;
    if (fstatat(source.directory(), "cwd", &there, 0) != 0 || source.examine(*path, named) != 0 ||
        there.st_ino != named.st_ino || there.st_dev != named.st_dev)
        return Error{ENOTSUP, "the working directory '" + *path +
                                  "' is no longer at that path, so the copy could not find it: "
                                  "change to a directory that exists first"};
    WorkingDirectoryRecord record{};
    record.path = process.all.strings.add(*path);
    record.owner = owner_of(there, process.identity.uid);
    process.records.add(image::Kind::working_directory, record);
    return {};
}

} // namespace rfork::kinds
