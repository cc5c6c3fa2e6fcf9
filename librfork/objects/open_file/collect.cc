// Files with a name, and the standard streams. What each type of file needs is decided in one
// function a type; what nobody recognises is refused by name.
#include "base/proc.h"
#include "base/unique_fd.h"
#include "format/kinds.h"
#include "format/records/open_file.h"
#include "objects/descriptors.h"
#include "process/owner.h"
#include "process/source.h"
#include "remote/spool.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Source;

constexpr int access_of(std::uint32_t flags) {
    const std::uint32_t mode = flags & O_ACCMODE;
    return mode == O_RDONLY ? R_OK : mode == O_WRONLY ? W_OK : R_OK | W_OK;
}

Result<void> check_mode(const Source& source, const OpenDescription& d) {
    const int access = access_of(d.flags);
    if ((d.flags & O_PATH) || source.check_access(d.path, access) != EACCES)
        return {};
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", d.st.st_mode & 07777);
    const std::string what = access == R_OK ? "reading" : "writing";
    return cannot_carry(d, "is open for " + what + ", which its mode does not allow now (" + mode +
                               ", user " + std::to_string(d.st.st_uid) +
                               "'s), so that it could not be opened again (chown or chmod it)");
}

// Its path is that in a file system which nobody need have mounted.
bool is_message_queue(const Source& source, const OpenDescription& d) {
    constexpr std::uint32_t mqueue = 0x19800202;
    struct statfs fs {};
    const Result<UniqueFd> fd = source.descriptor(d.number());
    return fd && fstatfs(fd->get(), &fs) == 0 && std::uint32_t(fs.f_type) == mqueue;
}

// The file that a path names must still be the one that is open, or the copy would get another; and
// who has it open must be allowed to open it so again, which the mode may have been changed to
// forbid.
Result<void> check_path(const Source& source, const OpenDescription& d) {
    struct stat named;
    if (d.st.st_nlink == 0)
        return cannot_carry(d, d.path.compare(0, 7, "/memfd:") == 0
                                   ? "is memory that was made with memfd_create(2), which an image "
                                     "cannot carry yet"
                                   : "is a deleted file, whose contents an image cannot carry yet");
    if (const int error = source.examine(d.path, named)) {
        if (error == EACCES)
            return cannot_carry(d, "is a file that you may no longer look up by its path");
        named = {};
    }
    if (named.st_dev != d.st.st_dev || named.st_ino != d.st.st_ino)
        return cannot_carry(d, is_message_queue(source, d)
                                   ? "is a POSIX message queue, which an image cannot carry yet"
                                   : "is a file that is no longer at that path");
    return check_mode(source, d);
}

// Devices that keep nothing between two calls. Linux: Documentation/admin-guide/devices.txt.
bool is_stateless_device(const struct stat& st) {
    constexpr unsigned memory_devices = 1;
    constexpr unsigned null = 3, zero = 5, full = 7, random = 8, urandom = 9;
    if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != memory_devices)
        return false;
    const unsigned number = minor(st.st_rdev);
    return number == null || number == zero || number == full || number == random ||
           number == urandom;
}

// What rexecd gave a copy for its output, in the user's directory of the spool: every hop has a log
// of its own.
bool is_log(const OpenDescription& d) {
    const std::string_view path = d.path;
    const std::size_t slash = path.rfind('/');
    if (!S_ISREG(d.st.st_mode) || slash == std::string_view::npos || slash == 0)
        return false;
    const std::size_t before = path.rfind('/', slash - 1);
    return before != std::string_view::npos &&
           remote::user_of_directory(path.substr(before + 1, slash - before - 1)).has_value();
}

bool is_kernel_file(const OpenDescription& d) {
    return d.path.compare(0, 6, "/proc/") == 0 || d.path.compare(0, 5, "/sys/") == 0;
}

// A named pipe that the program has opened for itself connects it with nobody.
bool is_both_ends(const OpenDescription& d) {
    return d.path.compare(0, 1, "/") == 0 && (d.flags & O_ACCMODE) == O_RDWR;
}

Error cannot_carry_pipe(const OpenDescription& d) {
    if (d.path.compare(0, 1, "/") == 0)
        return cannot_carry(d, "is a named pipe, which an image cannot carry yet");
    return cannot_carry(d, "is a pipe whose other end is in another process, which an image cannot "
                           "carry yet");
}

Result<FileType> recognise(const OpenDescription& d) {
    if (is_stream(d))
        return FileType::stream;
    if (is_kernel_file(d))
        return cannot_carry(d, "speaks of this machine, which an image cannot carry");
    const bool has_path = d.path.compare(0, 1, "/") == 0; // a namespace has none
    if (S_ISREG(d.st.st_mode) && has_path)
        return FileType::regular;
    if (S_ISDIR(d.st.st_mode))
        return FileType::directory;
    if (is_stateless_device(d.st))
        return FileType::device;
    if (d.flags & O_PATH)
        return cannot_carry(d,
                            "stands for something that has no path of its own (O_PATH), which an "
                            "image cannot carry yet");
    if (S_ISFIFO(d.st.st_mode))
        return cannot_carry_pipe(d);
    if (S_ISSOCK(d.st.st_mode))
        return cannot_carry(d, "is a socket that does not listen for TCP or Unix connections, "
                               "which an image cannot carry yet");
    if (S_ISCHR(d.st.st_mode) || S_ISBLK(d.st.st_mode))
        return cannot_carry(d, "is a device, which an image cannot carry yet");
    return cannot_carry(d, "is of a kind that an image cannot carry yet");
}

// Which run of which machine this is: the machine's, and the same for all its processes.
std::string read_boot_id() {
    std::string id = text_of("/proc/sys/kernel/random/boot_id");
    return id.substr(0, id.find('\n'));
}

std::uint64_t number_of(dev_t device) {
    return std::uint64_t(major(device)) << 32 | minor(device);
}

// File systems that make up the numbers of inodes as they go: another number need not be another
// file.
bool makes_up_inodes(const struct statfs& fs) {
    constexpr std::uint32_t fuse = 0x65735546, msdos = 0x4d44, exfat = 0x2011bab0,
                            cifs = 0xff534d42, smb2 = 0xfe534d42;
    const auto type = std::uint32_t(fs.f_type);
    return type == fuse || type == msdos || type == exfat || type == cifs || type == smb2;
}

// What a client of NFS has written gets its time from the server, when it comes there.
bool has_settled_time(const struct statfs& fs, const OpenDescription& d) {
    constexpr std::uint32_t nfs = 0x6969;
    return (d.flags & O_ACCMODE) == O_RDONLY || std::uint32_t(fs.f_type) != nfs;
}

std::uint64_t window_of(const Source& source, const OpenDescription& d) {
    winsize window{};
    if (!S_ISCHR(d.st.st_mode))
        return 0;
    const Result<UniqueFd> fd = source.descriptor(d.number());
    return fd && ioctl(fd->get(), TIOCGWINSZ, &window) == 0
               ? window_size(window.ws_row, window.ws_col)
               : 0;
}

void describe(const Source& source, const OpenDescription& d, FileType type, std::uint32_t user,
              OpenFileRecord& record) {
    constexpr std::int64_t second = 1'000'000'000;
    record.mode = d.st.st_mode;
    record.owner = owner_of(d.st, user);
    record.device = number_of(type == FileType::device ? d.st.st_rdev : d.st.st_dev);
    if (type != FileType::regular && type != FileType::mapped)
        return;
    struct statfs fs {};
    (void)source.examine_file_system(d.path, fs);
    record.inode = makes_up_inodes(fs) ? 0 : d.st.st_ino;
    record.size = std::uint64_t(d.st.st_size);
    if (has_settled_time(fs, d))
        record.modified = d.st.st_mtim.tv_sec * second + d.st.st_mtim.tv_nsec;
}

void add_record(const Source& source, ProcessSnapshot& process, FileType type,
                const OpenDescription& d, std::uint32_t object,
                const std::vector<DescriptorSlot>& slots, std::uint32_t boot = 0) {
    OpenFileRecord record{};
    record.object = object_header(object, process.all.strings.add(d.path),
                                  d.flags & ~std::uint32_t(O_CREAT | O_EXCL | O_TRUNC));
    record.type = type;
    record.stream = type == FileType::stream ? std::uint32_t(slots.front().fd) : 0;
    record.position = d.position;
    record.boot = boot;
    if (type == FileType::stream)
        record.size = window_of(source, d);
    else
        describe(source, d, type, process.identity.uid, record);
    process.all.objects.add(image::Kind::open_file, record);
    add_descriptors(process, object, slots);
}

// On a terminal all three standard streams are one open file. After the resume each is what the
// image was started with; a further duplicate goes along with standard output, or whichever of them
// is there.
void add_streams(const Source& source, ProcessSnapshot& process, const OpenDescription& d) {
    std::size_t streams = 0;
    while (streams < d.slots.size() && d.slots[streams].fd <= 2)
        ++streams;
    std::size_t main = 0;
    for (std::size_t i = 0; i < streams; ++i)
        if (d.slots[i].fd == 1)
            main = i;
    for (std::size_t i = 0; i < streams; ++i) {
        std::vector<DescriptorSlot> slots{d.slots[i]};
        for (std::size_t other = streams; i == main && other < d.slots.size(); ++other)
            slots.push_back(d.slots[other]);
        add_record(source, process, FileType::stream, d,
                   i == main ? d.object : process.all.new_object(), slots);
    }
}

// A file once for each way in which it is mapped.
OpenDescription& description_of(OpenDescriptions& files, const std::string& path,
                                std::uint32_t flags) {
    for (OpenDescription& file : files)
        if (file.path == path && file.flags == flags)
            return file;
    files.emplace_back();
    files.back().path = path;
    files.back().flags = flags;
    return files.back();
}

} // namespace

bool is_stream(const OpenDescription& d) {
    return d.number() <= 2 &&
           ((S_ISFIFO(d.st.st_mode) && !is_both_ends(d)) || S_ISSOCK(d.st.st_mode) || is_log(d) ||
            (S_ISCHR(d.st.st_mode) && !is_stateless_device(d.st)));
}

Result<void> check_open_file(const Source& source, const OpenDescription& d) {
    const Result<FileType> type = recognise(d);
    if (!type)
        return type.error();
    if (*type == FileType::stream)
        return {};
    return check_path(source, d);
}

void add_null(const Source& source, ProcessSnapshot& process, const OpenDescription& d) {
    constexpr unsigned memory_devices = 1, null = 3;
    OpenDescription instead = d;
    instead.path = "/dev/null";
    instead.flags = d.flags & O_ACCMODE;
    instead.position = 0;
    instead.st = {};
    instead.st.st_mode = S_IFCHR | 0666;
    instead.st.st_rdev = makedev(memory_devices, null);
    add_record(source, process, FileType::device, instead, d.object, instead.slots);
}

Result<void> collect_open_file(const Source& source, ProcessSnapshot& process) {
    const std::uint32_t boot = process.all.strings.add(read_boot_id());
    return collect_each(source, process, image::Kind::open_file, [&](const OpenDescription& d) {
        const FileType type = *recognise(d);
        if (type == FileType::stream)
            add_streams(source, process, d);
        else
            add_record(source, process, type, d, d.object, d.slots, boot);
        return Result<void>();
    });
}

Result<void> add_mapped_files(const Source& source, ProcessSnapshot& process) {
    OpenDescriptions files;
    for (image::Mapping& m : process.mappings) {
        if (m.kind != image::MappingKind::file_shared)
            continue;
        const std::uint32_t flags = m.flags & image::mapping_writable_file ? O_RDWR : O_RDONLY;
        OpenDescription& file =
            description_of(files, std::string(process.all.strings.at(m.name)), flags);
        file.position = std::max(file.position, m.origin_offset + (m.end - m.start));
        if (!file.object)
            file.object = process.all.new_object();
        m.object = file.object;
    }
    if (files.empty())
        return {};
    const std::uint32_t boot = process.all.strings.add(read_boot_id());
    for (OpenDescription& file : files) {
        if (const int error = source.examine(file.path, file.st))
            return system_error(error, "cannot examine '" + file.path +
                                           "', which the program has mapped shared");
        add_record(source, process, FileType::mapped, file, file.object, file.slots, boot);
    }
    return {};
}

} // namespace rfork::kinds
