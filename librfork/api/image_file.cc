#include "api/image_file.h"

#include "image/writer.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace rfork::api {
namespace {

Result<UniqueFd> create_image(int directory, const FreezeOrder& order) {
    UniqueFd fd(openat(directory, order.temporary.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0700));
    if (!fd)
        return system_error(errno, "cannot create an image in '" + order.directory + "'",
                            errno == EROFS    ? "the directory must be writable"
                            : errno == EACCES ? "you must be allowed to write there"
                                              : "see that the file system is in order");
    if (fchmod(fd.get(), 0700) != 0) // whatever the umask is
        return system_error(errno, "cannot set the mode of the image");
    return fd;
}

Error in_directory(const FreezeOrder& order, const Error& error) {
    std::string sentence = "in '" + order.directory + "': " + error.sentence;
    if (error.code == ENOSPC || error.code == EDQUOT)
        sentence += ": make room there";
    return {error.code, sentence};
}

Result<std::uint64_t> try_to_write(const FreezeOrder& order, const capture::Snapshot& snapshot,
                                   int directory) {
    Result<UniqueFd> file = create_image(directory, order);
    if (!file)
        return file.error();
    const Result<image::Written> written = image::write_image(snapshot, file->get());
    if (!written)
        return in_directory(order, written.error());
    // Close-to-open: another NFS client sees all of it once this close has returned.
    if (close(file->release()) != 0)
        return in_directory(order, system_error(errno, "cannot write the image"));
    if (renameat(directory, order.temporary.c_str(), directory, order.name.c_str()) != 0)
        return system_error(errno, "cannot give the image its name '" + order.name + "'");
    return written->bytes;
}

} // namespace

Result<UniqueFd> open_directory(const FreezeOrder& order) {
    const std::string what = order.travels ? "the spool directory '" : "the directory '";
    UniqueFd fd(open(order.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot open " + what + order.directory + "'",
                            order.travels ? "RFORK_SPOOL must be a directory that all hosts share"
                                          : "choose one that exists and that you may read");
    struct statvfs fs;
    if (order.travels && fstatvfs(fd.get(), &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        return Error{EACCES, what + order.directory +
                                 "' is on a file system mounted noexec, and "
                                 "images are executables: mount it with exec"};
    return fd;
}

Result<std::uint64_t> write_file(const FreezeOrder& order, const capture::Snapshot& snapshot,
                                 int directory) {
    Result<std::uint64_t> bytes = try_to_write(order, snapshot, directory);
    if (!bytes)
        unlinkat(directory, order.temporary.c_str(), 0);
    return bytes;
}

void remove_temporary(const FreezeOrder& order) {
    unlink((order.directory + "/" + order.temporary).c_str());
}

} // namespace rfork::api
