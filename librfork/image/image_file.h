// The file that an image is written into: a temporary one, which gets the image's name when it is
// complete.
#pragma once

#include "base/unique_fd.h"
#include "image/writer.h"

#include <string>
#include <unistd.h>

namespace rfork::image {

// Where an image goes.
struct Place {
    std::string directory;
    std::string temporary; // its name there while it is written
    std::string name;      // and when it is complete
    bool travels = false;
    bool is_stream = false; // a named pipe of that name is there, and is written into
    int patience_ms = 0;    // with its reader, and with threads that have called rfork_block()
};

// Of a checkpoint: a path where there is nothing, a regular file, which is replaced, or a named pipe.
Result<Place> place_at(const std::string& path, const Id& id);

Result<UniqueFd> open_directory(const Place& place);

// Writes the image and gives it its name; returns how long it is. After an error there is no file.
Result<std::uint64_t> write_file(const Place& place, const capture::Snapshot& snapshot,
                                 int directory, Progress& progress);

// After a writer that died without cleaning up.
void remove_temporary(const Place& place);

// Whose pipe it may be that an image goes through.
inline bool may_read_memory(uid_t user) {
    return user == geteuid() || user == 0;
}

} // namespace rfork::image
