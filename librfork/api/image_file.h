// The file that an image is written into: a temporary one, which gets the image's name when it is
// complete.
#pragma once

#include "api/freeze.h"
#include "base/unique_fd.h"
#include "image/writer.h"

namespace rfork::api {

Result<UniqueFd> open_directory(const FreezeOrder& order);

// Writes the image and gives it its name; returns how long it is. After an error there is no file.
Result<std::uint64_t> write_file(const FreezeOrder& order, const capture::Snapshot& snapshot,
                                 int directory, image::Progress& progress);

// After a copy that died without cleaning up.
void remove_temporary(const FreezeOrder& order);

// Whose pipe it may be that an image goes through.
inline bool may_read_memory(uid_t user) {
    return user == geteuid() || user == 0;
}

} // namespace rfork::api
