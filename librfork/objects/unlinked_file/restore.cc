// Makes a file without a name, of what the image has of it: where the old one was, if that can be,
// else where temporary files are, else in memory. It is filled through an open file of the stub's
// own, and opened again, through /proc, for each one that the program had; for that it is opened to
// its owner, whatever its mode.
#include "format/records/unlinked_file.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/stat.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

using kinds::UnlinkedFileRecord;
using kinds::UnlinkedFileType;

constexpr unsigned path_limit = 4096;
constexpr int nameless = 020000000 | O_DIRECTORY; // O_TMPFILE
constexpr std::uint32_t owner_may = 0600;

const char* name_of(const Stub& stub, const UnlinkedFileRecord& record) {
    return string_at(stub, record.object.name);
}

[[noreturn]] void cannot_make(const Stub& stub, const UnlinkedFileRecord& record, long error) {
    fail(stub, int(-error), "cannot make again a deleted file of the program,",
         name_of(stub, record));
}

// The directory of a path, "/" included.
void take_directory(const char* path, char (&directory)[path_limit]) {
    unsigned size = 0;
    for (unsigned i = 0; path[i] && i < path_limit - 1; ++i)
        if (path[i] == '/')
            size = i + 1;
    for (unsigned i = 0; i < size; ++i)
        directory[i] = path[i];
    directory[size] = '\0';
}

long make_in(const char* directory) {
    return arch::syscall(__NR_open, directory, nameless | O_RDWR | O_CLOEXEC, owner_may);
}

// Where only those are allowed that cannot be executed (vm.memfd_noexec), it is one of them.
long make_memfd(const char* name) {
    constexpr unsigned noexec_seal = 8; // MFD_NOEXEC_SEAL, Linux 6.3
    const long fd = arch::syscall(__NR_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd != -EACCES ? fd
                         : arch::syscall(__NR_memfd_create, name,
                                         MFD_CLOEXEC | MFD_ALLOW_SEALING | noexec_seal);
}

int make_empty(const Stub& stub, const UnlinkedFileRecord& record) {
    const char* name = name_of(stub, record);
    long fd = -ENOENT;
    if (record.type == UnlinkedFileType::file) {
        char directory[path_limit];
        take_directory(path_here(stub, name), directory);
        if ((fd = make_in(directory)) < 0 && (fd = make_in(stub.temporary)) < 0)
            fd = make_in("/tmp");
        name = "deleted file";
    }
    if (fd < 0 && (fd = make_memfd(name)) < 0)
        cannot_make(stub, record, fd);
    return int(fd);
}

void write_all(const Stub& stub, const UnlinkedFileRecord& record, int fd, std::uint64_t from,
               std::uint64_t size, std::uint64_t at) {
    for (std::uint64_t done = 0; done < size;) {
        const long put = arch::syscall(__NR_pwrite64, fd, from + done, size - done, at + done);
        if (put < 0 && put != -EINTR)
            cannot_make(stub, record, put);
        done += put > 0 ? std::uint64_t(put) : 0;
    }
}

// By way of memory, where each extent is checked.
void fill(const Stub& stub, const UnlinkedFileRecord& record, int fd) {
    const Extents all = extents_of(stub, image::SectionKind::shared_memory, record.file);
    const long buffer = arch::syscall(__NR_mmap, 0, image::extent_limit, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer < 0)
        cannot_make(stub, record, buffer);
    image::Mapping about{};
    about.start = std::uint64_t(buffer);
    about.end = about.start + image::extent_limit;
    for (std::size_t i = 0; i < all.extents.size(); ++i) {
        const image::Extent& extent = all.extents[i];
        read_extent(stub, about, {about.start, extent, all.hashes[i]});
        write_all(stub, record, fd, about.start, extent.size(), extent.at);
    }
    arch::syscall(__NR_munmap, buffer, image::extent_limit);
    if (long r = arch::syscall(__NR_ftruncate, fd, record.size); r < 0)
        cannot_make(stub, record, r);
}

// An open file of it that was made for the program before.
int find(const Stub& stub, const UnlinkedFileRecord& record) {
    const Descriptors made = descriptors_of(stub, record.file);
    if (made.empty())
        fail(stub, EBADMSG, "the image does not have what is in a deleted file,",
             name_of(stub, record));
    return made.front().fd;
}

int open_again(const Stub& stub, const UnlinkedFileRecord& record, int fd) {
    const std::uint32_t flags = record.object.flags & ~std::uint32_t(nameless | O_NOFOLLOW);
    char path[32];
    Text(path, sizeof path) << "/proc/self/fd/" << std::uint64_t(fd);
    arch::syscall(__NR_fchmod, fd, record.mode | owner_may);
    const long opened = arch::syscall(__NR_open, path, flags | O_CLOEXEC | O_NOCTTY, 0);
    arch::syscall(__NR_fchmod, fd, record.mode);
    if (opened < 0)
        cannot_make(stub, record, opened);
    return int(opened);
}

void set_modified(const UnlinkedFileRecord& record, int fd) {
    constexpr std::int64_t second = 1'000'000'000;
    constexpr long omit = (1l << 30) - 2; // UTIME_OMIT
    const struct {
        std::int64_t s, ns;
    } times[2] = {{0, omit}, {record.modified / second, record.modified % second}};
    arch::syscall(__NR_utimensat, fd, nullptr, times, 0);
}

void seal(const Stub& stub, const UnlinkedFileRecord& record, int fd) {
    if (!record.seals)
        return;
    if (long r = arch::syscall(__NR_fcntl, fd, F_ADD_SEALS, record.seals); r < 0)
        fail(stub, int(-r), "cannot seal again memory of memfd_create(2),", name_of(stub, record));
}

int make(const Stub& stub, const UnlinkedFileRecord& record) {
    const int fd = make_empty(stub, record);
    fill(stub, record, fd);
    const int opened = open_again(stub, record, fd);
    set_modified(record, fd);
    if (record.type == UnlinkedFileType::memfd)
        seal(stub, record, fd);
    arch::syscall(__NR_close, fd);
    return opened;
}

} // namespace

void restore_unlinked_file(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<UnlinkedFileRecord>(header);
    const int fd = record.file == record.object.id ? make(stub, record)
                                                   : open_again(stub, record, find(stub, record));
    if (long r = arch::syscall(__NR_lseek, fd, record.position, 0); r < 0)
        cannot_make(stub, record, r);
    place(stub, fd, record.object);
}

} // namespace rfork::stub
