// An image holds everything a core file needs: notes, a program header for every mapping, the bytes
// themselves. Only its first 64 bytes are those of an executable. The ELF header that makes it a
// core lies elsewhere in the file, so a core is made by copying the image and putting that header
// over the first one. On file systems with reflinks the copy shares all its blocks with the image.

#include "core.h"

#include "base/printable.h"
#include "base/unique_fd.h"
#include "file_copy.h"
#include "image/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace rfork::tool {
namespace {

// The pids of those processes for which `wanted` is true.
template <class Wanted>
std::string pids(const image::Image& image, Wanted wanted) {
    constexpr std::size_t enough = 64;
    std::string list;
    std::size_t count = 0;
    for (const image::Process& process : image.processes())
        if (wanted(process) && ++count <= enough)
            list += (list.empty() ? "" : ", ") + std::to_string(process.pid);
    return count > enough ? list + " and " + std::to_string(count - enough) + " more" : list;
}

Result<image::Process> choose(const image::Image& image, std::optional<std::int32_t> pid) {
    const auto processes = image.processes();
    if (!pid)
        return processes.front();
    const auto chosen = std::ranges::find(processes, *pid, &image::Process::pid);
    if (chosen == processes.end())
        return Error{ESRCH, "no process in the image has pid " + std::to_string(*pid) +
                                ": choose one of " +
                                pids(image, [](const image::Process&) { return true; })};
    return *chosen;
}

void tell_choice(const image::Image& image, const image::Process& chosen) {
    const std::string others =
        pids(image, [&](const image::Process& other) { return other.id != chosen.id; });
    std::fprintf(stderr, "rfork: this is the core of process %d; --pid chooses another: %s\n",
                 chosen.pid, others.c_str());
}

Result<Elf64_Ehdr> read_core_header(int fd, const image::Image& image,
                                    const image::Process& process) {
    const image::Section* view = image.section(image::SectionKind::core_view, process.id);
    if (!view)
        return Error{ENODATA, "the image has no core view: it was written without one"};
    Elf64_Ehdr core;
    ssize_t n = ::pread(fd, &core, sizeof core, static_cast<off_t>(view->offset));
    if (n < 0)
        return system_error(errno, "cannot read the header of the core view");
    if (n != sizeof core || std::memcmp(core.e_ident, ELFMAG, SELFMAG) != 0 ||
        core.e_type != ET_CORE)
        return Error{EBADMSG, "the image is damaged: its core view has no core header: copy it "
                              "again, or freeze the program again"};
    return core;
}

bool same_file(int fd, const std::string& path) {
    struct stat a, b;
    return ::fstat(fd, &a) == 0 && ::stat(path.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

// A file beside its final place, removed again unless it gets there.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string& final_path)
        : path_(final_path + ".XXXXXX"), fd_(::mkostemp(path_.data(), O_CLOEXEC)) {}
    ~TemporaryFile() {
        if (fd_)
            ::unlink(path_.c_str());
    }
    int fd() const { return fd_.get(); }
    bool rename_to(const std::string& path) {
        if (::rename(path_.c_str(), path.c_str()) != 0)
            return false;
        fd_.reset();
        return true;
    }

  private:
    std::string path_;
    UniqueFd fd_;
};

// A device, a pipe or a link is not what anybody wants replaced.
Result<void> check_replaceable(const std::string& path) {
    struct stat there;
    if (::lstat(path.c_str(), &there) != 0 || S_ISREG(there.st_mode))
        return {};
    return Error{EEXIST, path + " is there and is no regular file, so it is not replaced: choose "
                                "another name for the core"};
}

} // namespace

Result<void> write_core(const std::string& image_path, const std::string& core_path,
                        std::optional<std::int32_t> pid) {
    // Nonblocking, for whoever names a pipe.
    UniqueFd image(::open(image_path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!image)
        return system_error(errno, "cannot open " + image_path);
    auto checked = image::read_image(image.get());
    if (!checked)
        return Error{checked.error().code, image_path + ": " + checked.error().sentence};
    auto process = choose(*checked, pid);
    if (!process)
        return Error{process.error().code, image_path + ": " + process.error().sentence};
    auto core_header = read_core_header(image.get(), *checked, *process);
    if (!core_header)
        return Error{core_header.error().code, image_path + ": " + core_header.error().sentence};
    if (auto replaceable = check_replaceable(core_path); !replaceable)
        return replaceable;
    if (same_file(image.get(), core_path))
        return Error{EINVAL, core_path + " is the image itself: name another file for the core"};

    TemporaryFile core(core_path);
    if (core.fd() < 0)
        return system_error(errno, "cannot create a file beside " + core_path);
    Progress progress("copying " + printable(image_path));
    if (auto copied = copy_file(image.get(), core.fd(), checked->header().file_size, progress);
        !copied)
        return Error{copied.error().code,
                     "cannot copy " + image_path + ": " + copied.error().sentence};
    if (::pwrite(core.fd(), &*core_header, sizeof *core_header, 0) !=
        static_cast<ssize_t>(sizeof *core_header))
        return system_error(errno, "cannot write the header of " + core_path);
    if (!core.rename_to(core_path))
        return system_error(errno, "cannot rename the finished core to " + core_path);
    if (!pid && checked->processes().size() > 1)
        tell_choice(*checked, *process);
    return {};
}

} // namespace rfork::tool
