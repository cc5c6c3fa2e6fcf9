// What launchers leave open (flock(1), editors, CI runners), the user has not opened and cannot
// close in his code; so a refusal has to say where it comes from. Who opened a descriptor nobody
// tells later: so the library looks once, before main(), or when dlopen(3) loads it. That costs
// five system calls, and one for each descriptor that there is from 3 on, as a rule none.
//
// A number may have been closed since, and be another file's: only the same file counts. Files
// without an inode of their own (eventfd and its like) cannot be told from one another, and are
// never counted.
#include "api/inherited.h"

#include "base/directory_names.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rfork::api {
namespace {

constexpr std::size_t limit = 64;
capture::InheritedFile files[limit];
std::size_t count;

void note(int fd) {
    struct stat st;
    if (count < limit && fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) != 0)
        files[count++] = {fd, st.st_dev, st.st_ino};
}

[[gnu::constructor]] void note_inherited_files() {
    const int error = errno;
    const int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        errno = error;
        return;
    }
    for_each_name(directory, [directory](std::string_view name) {
        const int fd = std::atoi(name.data());
        if (fd > 2 && fd != directory)
            note(fd);
    });
    close(directory);
    errno = error;
}

} // namespace

std::span<const capture::InheritedFile> inherited_files() {
    return {files, count};
}

} // namespace rfork::api
