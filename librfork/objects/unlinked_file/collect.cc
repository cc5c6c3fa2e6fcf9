// Files to which no name leads any more, and what is in them. A file that has another name still, or
// one that cannot be seen, belongs to others as well, and only who reads it may have a copy.
//
// The bytes are read through an open file of our own, so that the process's offset stays where it
// is. Where that cannot be had, as its mode forbids it, they are read through the process's, and
// without asking for holes, which would move it.
#include "format/kinds.h"
#include "format/records/unlinked_file.h"

#include "base/proc.h"
#include "objects/descriptors.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

namespace rfork::kinds {
namespace {

using capture::FileContents;
using capture::ProcessSnapshot;
using capture::Source;

constexpr std::string_view before_memfd = "/memfd:", behind_deleted = " (deleted)";

bool is_memfd(const OpenDescription& d) {
    return d.path.starts_with(before_memfd);
}

// What a read brings is not always all there is of a file.
bool is_special(const Source& source, const OpenDescription& d) {
    constexpr std::uint32_t mqueue = 0x19800202;
    struct statfs fs {};
    const Result<UniqueFd> fd = source.descriptor(d.number());
    if (!fd || fstatfs(fd->get(), &fs) != 0)
        return true;
    const auto type = std::uint32_t(fs.f_type);
    return type == mqueue || type == PROC_SUPER_MAGIC || type == SYSFS_MAGIC ||
           type == HUGETLBFS_MAGIC;
}

bool is_where_it_was(const Source& source, const OpenDescription& d) {
    struct stat named;
    const int error = source.examine(d.path, named);
    return error ? error != ENOENT : named.st_dev == d.st.st_dev && named.st_ino == d.st.st_ino;
}

std::string name_of_file(const OpenDescription& d) {
    std::string name = is_memfd(d) ? d.path.substr(before_memfd.size()) : d.path;
    if (name.ends_with(behind_deleted))
        name.resize(name.size() - behind_deleted.size());
    return name;
}

std::uint32_t seals_of(int fd) {
    const int seals = fcntl(fd, F_GET_SEALS);
    return seals < 0 ? 0 : std::uint32_t(seals);
}

Result<void> add_contents(ProcessSnapshot& process, const OpenDescription& d, int fd) {
    Result<FileContents> contents = FileContents::make(d.object, std::uint64_t(d.st.st_size));
    if (!contents)
        return contents.error();
    const UniqueFd own(::open(path_of_descriptor(fd).c_str(), O_RDONLY | O_CLOEXEC));
    if (!own && (d.flags & O_ACCMODE) == O_WRONLY)
        return cannot_carry(d, "is a deleted file that is only open for writing, and may not be "
                               "read");
    if (Result<void> r = contents->copy_from(own ? own.get() : fd, bool(own)); !r)
        return r;
    process.all.files.push_back(std::make_unique<FileContents>(std::move(*contents)));
    return {};
}

bool is_same_file(const OpenDescription& a, const OpenDescription& b) {
    return a.st.st_dev == b.st.st_dev && a.st.st_ino == b.st.st_ino;
}

Result<void> add(const Source& source, ProcessSnapshot& process, const OpenDescription& d,
                 std::vector<const OpenDescription*>& files) {
    const Result<UniqueFd> fd = source.descriptor(d.number());
    if (!fd)
        return fd.error();
    UnlinkedFileRecord record{};
    record.type = is_memfd(d) ? UnlinkedFileType::memfd : UnlinkedFileType::file;
    record.file = d.object;
    for (const OpenDescription* other : files)
        if (is_same_file(*other, d))
            record.file = other->object;
    if (record.file == d.object) {
        if (Result<void> r = add_contents(process, d, fd->get()); !r)
            return r;
        files.push_back(&d);
    }
    constexpr std::int64_t second = 1'000'000'000;
    record.object = object_header(d.object, process.all.strings.add(name_of_file(d)), d.flags);
    record.mode = d.st.st_mode & 07777;
    record.seals = is_memfd(d) ? seals_of(fd->get()) : 0;
    record.position = d.position;
    record.size = std::uint64_t(d.st.st_size);
    record.modified = d.st.st_mtim.tv_sec * second + d.st.st_mtim.tv_nsec;
    process.all.objects.add(image::Kind::unlinked_file, record);
    add_descriptors(process, d.object, d.slots);
    return {};
}

} // namespace

bool is_unlinked_file(const Source& source, const OpenDescriptions&, const OpenDescription& d) {
    if (!S_ISREG(d.st.st_mode) || (d.flags & O_PATH) || !d.path.starts_with('/') || is_stream(d))
        return false;
    if (d.st.st_nlink != 0 && ((d.flags & O_ACCMODE) != O_RDONLY || is_where_it_was(source, d)))
        return false;
    return !is_special(source, d);
}

Result<void> collect_unlinked_file(const Source& source, ProcessSnapshot& process) {
    std::vector<const OpenDescription*> files;
    return collect_each(source, process, image::Kind::unlinked_file,
                        [&](const OpenDescription& d) { return add(source, process, d, files); });
}

Result<void> check_not_mapped(const ProcessSnapshot& process) {
    for (const OpenDescription& d : process.open_descriptions)
        for (const capture::SharedMemory& memory : process.all.shared_memory)
            if (d.kind == image::Kind::unlinked_file && !d.dropped && memory.inode == d.st.st_ino &&
                memory.device == (std::uint64_t(major(d.st.st_dev)) << 32 | minor(d.st.st_dev)))
                return cannot_carry(d, "is memory that was made with memfd_create(2) and is mapped "
                                       "as well, which an image cannot carry yet: close it or "
                                       "unmap it first");
    return {};
}

} // namespace rfork::kinds
