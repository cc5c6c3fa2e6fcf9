// A checkpoint is written into a file that has no name (O_TMPFILE), so that nothing is left of one
// whose writer was killed; it is linked to its name, or, if there is a file of that name, to a
// temporary one and renamed. Where there are no nameless files (NFS), and for images that travel,
// the file has the temporary name from the beginning. Its writer then holds a lock, and whoever
// writes the next checkpoint in that directory removes what nobody holds any more. (The spool is
// swept by rexecd.)
//
// Where a named pipe of that name is, the image goes through it, and nothing is left there.
//
// That a file has not got its name is not believed on the word of link(2) or rename(2): over a
// network an operation may have had its effect although the answer is an error. Then the inode
// tells.
#include "image/image_file.h"

#include "arch/arch.h"
#include "base/directory_names.h"
#include "base/proc.h"
#include "remote/spool.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::image {
namespace {

struct ImageFile {
    UniqueFd fd;
    bool has_name = false; // the temporary one
};

// By system call, as errno, which the program is to find as it was, has not been written yet.
long open_by_call(int directory, const char* name, int flags) {
    return arch::syscall(SYS_openat, directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags,
                         0700);
}

bool lock(int fd) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    return arch::syscall(SYS_fcntl, fd, F_OFD_SETLK, &whole) == 0;
}

// A file that was made a moment ago may be locked in the next, so it is left alone; so is one that
// cannot be locked because there are no locks.
void remove_if_dead(int directory, const char* name) {
    constexpr time_t a_while = 60;
    const long opened = open_by_call(directory, name, O_NONBLOCK);
    if (opened < 0)
        return;
    const UniqueFd fd{int(opened)};
    struct stat file;
    if (fstat(fd.get(), &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
        file.st_mtime + a_while < time(nullptr) && lock(fd.get()))
        unlinkat(directory, name, 0);
}

void remove_those_of_dead_writers(int directory) {
    for_each_name(directory, [directory](std::string_view name) {
        if (remote::parse_entry(name).kind == remote::EntryKind::temporary)
            remove_if_dead(directory, name.data());
    });
}

Result<ImageFile> create(int directory, const Place& place) {
    long fd = -1;
    if (!place.travels)
        fd = open_by_call(directory, ".", O_TMPFILE);
    const bool has_name = fd < 0;
    if (has_name)
        fd = open_by_call(directory, place.temporary.c_str(), O_CREAT | O_EXCL);
    if (fd == -EEXIST) // nobody else knows the name: it was made, although the answer was lost
        fd = open_by_call(directory, place.temporary.c_str(), O_TRUNC);
    if (fd < 0)
        return system_error(int(-fd), "cannot create an image in '" + place.directory + "'",
                            fd == -EROFS    ? "the directory must be writable"
                            : fd == -EACCES ? "you must be allowed to write there"
                            : fd == -EMFILE ? "raise the limit on open files (ulimit -n)"
                                            : "see that the file system is in order");
    ImageFile file{UniqueFd(int(fd)), has_name};
    if (has_name && !place.travels)
        lock(file.fd.get());
    if (const long r = arch::syscall(SYS_fchmod, fd, 0700); r < 0) // whatever the umask is
        return system_error(int(-r), "cannot set the mode of the image");
    return file;
}

Error in_directory(const Place& place, const Error& error) {
    if (error.code == ENOTSUP) // it is not the file that is wrong
        return error;
    std::string sentence = "in '" + place.directory + "': " + error.sentence;
    if (error.code == ENOSPC || error.code == EDQUOT)
        sentence += ": make room there";
    if (error.code == EFBIG)
        sentence += ": raise the limit on file sizes (ulimit -f)";
    return {error.code, sentence};
}

// What `file` is, however often it is closed.
class Inode {
  public:
    explicit Inode(int file) { known_ = fstat(file, &file_) == 0; }
    bool is_called(int directory, const char* name) const {
        struct stat there;
        return known_ && fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
               there.st_dev == file_.st_dev && there.st_ino == file_.st_ino;
    }

  private:
    bool known_;
    struct stat file_ {};
};

int link_to(int file, int directory, const char* name) {
    const std::string source = path_of_descriptor(file);
    return linkat(AT_FDCWD, source.c_str(), directory, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

// A nameless file gets its own name, or, if that is another file's, the temporary one.
int link_nameless(int file, int directory, const Place& place, bool& has_name) {
    const int error = link_to(file, directory, place.name.c_str());
    if (error != EEXIST)
        return error;
    has_name = true;
    return link_to(file, directory, place.temporary.c_str());
}

Result<void> give_name(ImageFile& image, int directory, const Place& place) {
    const Inode inode(image.fd.get());
    // Which keeps the file when the one that has been written through is closed.
    const UniqueFd handle(open(path_of_descriptor(image.fd.get()).c_str(), O_PATH | O_CLOEXEC));
    if (!handle && !image.has_name)
        return system_error(errno, "cannot keep the image open");
    // Close-to-open: another NFS client sees all of it once this close has returned.
    if (close(image.fd.release()) != 0)
        return in_directory(place, system_error(errno, "cannot write the image"));
    int error = 0;
    if (!image.has_name)
        error = link_nameless(handle.get(), directory, place, image.has_name);
    if (image.has_name &&
        renameat(directory, place.temporary.c_str(), directory, place.name.c_str()) != 0)
        error = error ? error : errno;
    // Without an error it had the name, which another checkpoint may have taken from it since.
    if (!error || inode.is_called(directory, place.name.c_str())) {
        if (!place.travels && image.has_name) // two names of one file are not renamed
            unlinkat(directory, place.temporary.c_str(), 0);
        return {};
    }
    return system_error(error, "cannot give the image its name '" + place.name + "'");
}

// Waits for somebody who reads there, but not for ever: the program waits, too.
long open_stream(const Place& place, int directory) {
    constexpr int pause_ms = 10;
    for (int waited = 0;; waited += pause_ms) {
        const long fd = arch::syscall(SYS_openat, directory, place.name.c_str(),
                                      O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (fd != -ENXIO || waited >= place.patience_ms)
            return fd;
        arch::syscall(SYS_poll, nullptr, 0, pause_ms);
    }
}

// Where another image is on its way, the two would mix.
bool is_locked(int pipe) {
    return arch::syscall(SYS_flock, pipe, LOCK_EX | LOCK_NB) == -EWOULDBLOCK;
}

Error into_pipe(const Place& place, const Error& error) {
    if (error.code == ENOTSUP) // it is not the pipe that is wrong
        return error;
    const std::string directory = place.directory == "." ? "" : place.directory;
    return {error.code, "named pipe '" + directory + place.name + "': " + error.sentence};
}

Result<void> check_pipe(int fd) {
    struct stat there;
    if (fstat(fd, &there) != 0)
        return system_error(errno, "cannot examine it", "make another");
    if (!S_ISFIFO(there.st_mode))
        return Error{EEXIST, "it is no named pipe any more: make another"};
    if (!may_read_memory(there.st_uid))
        return Error{EPERM, "it belongs to another user: make one of your own"};
    if (is_locked(fd))
        return Error{EBUSY, "somebody holds a lock on it (flock(2)), as a program does that writes "
                            "its image there: make a named pipe for each"};
    return {};
}

// All signals are blocked, SIGPIPE too.
Result<std::uint64_t> write_stream(const Place& place, const capture::Snapshot& snapshot,
                                   int directory, Progress& progress) {
    const long opened = open_stream(place, directory);
    if (opened == -ENXIO)
        return into_pipe(place, {ETIMEDOUT, "nobody reads from it: start the reader first, or have "
                                            "more patience (RFORK_TIMEOUT_MS)"});
    if (opened < 0)
        return into_pipe(place, system_error(int(-opened), "cannot open it",
                                             "you must be allowed to write there"));
    const UniqueFd fd{int(opened)};
    if (Result<void> r = check_pipe(fd.get()); !r)
        return into_pipe(place, r.error());
    // A compressor may be at work for a while, or ask its user for a passphrase.
    constexpr int breaths = 40;
    const std::int64_t patience_ms = std::int64_t(place.patience_ms) * breaths;
    DescriptorSink sink(fd.get(), int(std::min<std::int64_t>(patience_ms, INT_MAX)));
    const Result<Written> written = write_image(snapshot, sink, progress);
    if (!written)
        return into_pipe(place, written.error());
    if (Result<void> r = sink.wait_until_read(); !r)
        return into_pipe(place, r.error());
    return written->bytes;
}

Result<std::uint64_t> try_to_write(const Place& place, const capture::Snapshot& snapshot,
                                   int directory, Progress& progress) {
    if (place.is_stream)
        return write_stream(place, snapshot, directory, progress);
    Result<ImageFile> file = create(directory, place);
    if (!file)
        return file.error();
    DescriptorSink sink(file->fd.get());
    const Result<Written> written = write_image(snapshot, sink, progress);
    if (!written)
        return in_directory(place, written.error());
    const bool beside_others = file->has_name && !place.travels;
    if (Result<void> r = give_name(*file, directory, place); !r)
        return r.error();
    if (beside_others)
        remove_those_of_dead_writers(directory);
    return written->bytes;
}

} // namespace

Result<Place> place_at(const std::string& path, const Id& id) {
    const std::size_t slash = path.rfind('/');
    Place place;
    place.directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    place.name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (place.name.empty())
        return Error{EISDIR, "'" + path + "' names a directory: a checkpoint is a file"};
    struct stat there;
    const bool exists = lstat(path.c_str(), &there) == 0;
    place.is_stream = exists && S_ISFIFO(there.st_mode);
    if (exists && S_ISLNK(there.st_mode))
        return Error{EEXIST, "'" + path +
                                 "' is a symbolic link, so it is not written: name the file or the "
                                 "named pipe itself"};
    if (exists && !S_ISREG(there.st_mode) && !place.is_stream)
        return Error{EEXIST, "'" + path +
                                 "' exists and is neither a regular file nor a named pipe, so it "
                                 "is not written: choose another name"};
    if (place.is_stream && !may_read_memory(there.st_uid))
        return Error{EPERM, "the named pipe '" + path +
                                "' belongs to another user, who could read the program's memory "
                                "there: make one of your own"};
    place.temporary = remote::temporary_name(id);
    return place;
}

Result<UniqueFd> open_directory(const Place& place) {
    const std::string what = place.travels ? "the spool directory '" : "the directory '";
    UniqueFd fd(open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot open " + what + place.directory + "'",
                            place.travels ? "RFORK_SPOOL must be a directory that all hosts share"
                                          : "choose one that exists and that you may read");
    struct statvfs fs;
    if (place.travels && fstatvfs(fd.get(), &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        return Error{EACCES, what + place.directory +
                                 "' is on a file system mounted noexec, and "
                                 "images are executables: mount it with exec"};
    return fd;
}

Result<std::uint64_t> write_file(const Place& place, const capture::Snapshot& snapshot,
                                 int directory, Progress& progress) {
    Result<std::uint64_t> bytes = try_to_write(place, snapshot, directory, progress);
    if (!bytes)
        unlinkat(directory, place.temporary.c_str(), 0);
    return bytes;
}

void remove_temporary(const Place& place) {
    unlink((place.directory + "/" + place.temporary).c_str());
}

} // namespace rfork::image
