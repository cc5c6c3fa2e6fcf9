#include "traced/traced_process.h"

#include "base/clock.h"
#include "base/proc.h"
#include "format/kinds.h"
#include "format/records/attributes.h"
#include "format/records/executable.h"
#include "image/reader.h"
#include "process/peek.h"
#include "process/refused.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

Error cannot_carry(const std::string& what) {
    return {ENOTSUP, what + ", which an image cannot carry yet"};
}

// The last of the numbers behind "name:", which is what the process itself knows.
std::int32_t own_number(const std::string& status, const char* name) {
    std::istringstream numbers(field(status, name));
    std::int32_t number = 0;
    while (numbers >> number) {
    }
    return number;
}

bool shares_namespace(const std::string& path, const char* name) {
    struct stat its, mine;
    return stat((path + "/ns/" + name).c_str(), &its) == 0 &&
           stat((std::string("/proc/self/ns/") + name).c_str(), &mine) == 0 &&
           its.st_ino == mine.st_ino;
}

// What a time namespace adds to a clock, in ns: "monotonic  <seconds>  <nanoseconds>".
std::int64_t offset_in(const std::string& text, const char* name) {
    std::istringstream lines(text);
    std::string clock;
    std::int64_t seconds = 0, nanoseconds = 0;
    while (lines >> clock >> seconds >> nanoseconds)
        if (clock == name)
            return seconds * 1'000'000'000 + nanoseconds;
    return 0;
}

// Fields of proc(5)'s stat from number 3 on.
std::string stat_field(const std::string& text, int wanted) {
    std::istringstream fields(fields_in_stat(text));
    std::string value;
    for (int i = 3; i <= wanted; ++i)
        fields >> value;
    return value;
}

// The program's file: if it is an image, what that says.
std::string program_of(int executable, const std::string& link) {
    const Result<image::Image> image = image::read_image(executable);
    if (!image)
        return link;
    for (image::Record record : image->state())
        if (record.header().kind == image::Kind::executable)
            if (const auto* of = record.as<kinds::ExecutableRecord>())
                return std::string(image->string(of->path).value_or(""));
    return {};
}

} // namespace

Result<TracedProcess> TracedProcess::open(pid_t pid, const std::string& directory,
                                          const TracedFacts& facts, const Twin& twin) {
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot open " + directory);
    TracedProcess process(pid, std::move(fd), facts, twin);
    Result<std::string> status = process.read("status");
    if (!status)
        return status.error();
    process.status_ = std::move(*status);
    process.find_beginnings();
    return process;
}

// What it has set for itself is what its parent has otherwise; or, if nobody may ask about that one,
// this process.
void TracedProcess::find_beginnings() {
    const auto parent = pid_t(std::atoi(field(status_, "PPid").c_str()));
    for (unsigned i = 0; i < kinds::limit_count; ++i)
        if (arch::syscall(SYS_prlimit64, parent, i, nullptr, &beginnings_->limits[i]) < 0)
            arch::syscall(SYS_prlimit64, 0, i, nullptr, &beginnings_->limits[i]);
    const Result<UniqueFd> file = executable();
    const Result<std::string> path = link("exe");
    std::string program = file && path ? program_of(file->get(), *path) : "";
    program.copy(beginnings_->executable, sizeof beginnings_->executable - 1);
}

std::uint32_t TracedProcess::core_filter() const {
    const Result<std::string> text = read("coredump_filter");
    if (!text || text->empty())
        return kinds::default_core_filter;
    return std::uint32_t(std::strtoul(text->c_str(), nullptr, 16));
}

bool TracedProcess::has_owner(int number) const {
    const Result<UniqueFd> fd = descriptor(number);
    f_owner_ex owner{};
    return fd && ((fcntl(fd->get(), F_GETOWN_EX, &owner) == 0 && owner.pid != 0) ||
                  fcntl(fd->get(), F_GETSIG) > 0);
}

// As the process itself knows the numbers.
Result<Identity> TracedProcess::identity() const {
    const Result<std::string> stat = read("stat"), comm = read("comm");
    if (!stat || !comm)
        return !stat ? stat.error() : comm.error();
    Identity identity;
    identity.pid = own_id_in(status_);
    identity.parent =
        shares_namespace(path_, "pid") ? std::atoi(field(status_, "PPid").c_str()) : 0;
    identity.process_group = own_number(status_, "NSpgid");
    identity.session = own_number(status_, "NSsid");
    identity.uid = getuid();
    identity.gid = getgid();
    identity.exit_signal = std::uint32_t(std::atoi(stat_field(*stat, 38).c_str()));
    identity.nice = std::atoi(stat_field(*stat, 19).c_str());
    identity.name = comm->substr(0, comm->find('\n'));
    if (Result<std::string> arguments = read("cmdline")) {
        std::replace(arguments->begin(), arguments->end(), '\0', ' ');
        arguments->resize(arguments->find_last_not_of(' ') + 1);
        identity.arguments = std::move(*arguments);
    }
    return identity;
}

// By stacking domains in the twin until there are too many: one is left of the sixteen if there was
// one before.
Result<bool> TracedProcess::is_confined() const {
    constexpr int most_layers = 16; // landlock(7)
    landlock_ruleset_attr rules{};
    rules.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_CHAR;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&rules);
    for (std::size_t i = 0; i < sizeof rules.handled_access_fs; i += sizeof(long)) {
        long word = 0;
        std::memcpy(&word, bytes + i, sizeof word);
        if (arch::syscall(SYS_ptrace, 5 /* PTRACE_POKEDATA */, twin_->pid(), twin_->buffer() + i,
                          word) < 0)
            return Error{EIO, "cannot write into a copy of the process"};
    }
    Result<long> fd = twin_->call(SYS_landlock_create_ruleset, twin_->buffer(),
                                  sizeof rules.handled_access_fs, 0);
    if (!fd)
        return fd.error();
    if (*fd == -ENOSYS || *fd == -EOPNOTSUPP)
        return false;
    for (int layer = 0; *fd >= 0 && layer < most_layers; ++layer) {
        const Result<long> r = twin_->call(SYS_landlock_restrict_self, std::uint64_t(*fd), 0);
        if (!r)
            return r.error();
        if (*r < 0)
            return *r == -E2BIG;
    }
    if (*fd < 0)
        return system_error(int(-*fd), "cannot find out whether the process is confined by "
                                       "Landlock");
    return false;
}

Result<void> TracedProcess::check_capturable() const {
    if (facts_->kernel.refused.call)
        return refused_by_surroundings(facts_->kernel.refused);
    if (std::atoi(field(status_, "NoNewPrivs").c_str())) {
        const Result<bool> confined = is_confined();
        if (!confined)
            return confined.error();
        if (*confined)
            return cannot_carry("the process is confined by Landlock");
    }
    return {};
}

Result<UniqueFd> TracedProcess::executable() const {
    UniqueFd file(openat(directory(), "exe", O_RDONLY | O_CLOEXEC));
    if (!file)
        return system_error(errno, "cannot open the program's file (/proc/PID/exe)");
    return file;
}

// The twin's, since its memory is what becomes the image.
Result<std::vector<MemoryMapEntry>> TracedProcess::memory_map() const {
    const std::string name = "/proc/" + std::to_string(twin_->pid()) + "/smaps";
    const UniqueFd smaps(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!smaps)
        return system_error(errno, "cannot read the memory map of the process");
    Result<std::vector<MemoryMapEntry>> map = read_memory_map(smaps.get());
    if (map)
        for (MemoryMapEntry& entry : *map)
            for (const auto& [range, flags] : facts_->given)
                if (entry.start >= range.start && entry.end <= range.end)
                    entry.flags |= flags;
    return map;
}

std::size_t TracedProcess::read_memory(std::uint64_t address, void* to, std::size_t size) const {
    return std::size_t(std::max(peek_bytes(twin_->pid(), address, to, size), 0L));
}

// From its own root and working directory; absolute links on the way, too.
Result<UniqueFd> TracedProcess::look_up(const std::string& path, bool follows) const {
    const bool absolute = path.starts_with('/');
    const UniqueFd from(
        openat(directory(), absolute ? "root" : "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!from)
        return system_error(errno, "cannot look into the directories of the process");
    open_how how{};
    how.flags = std::uint64_t(O_PATH | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW));
    how.resolve = absolute ? RESOLVE_IN_ROOT : 0;
    const long fd = arch::syscall(SYS_openat2, from.get(), path.c_str(), &how, sizeof how);
    if (fd < 0)
        return system_error(int(-fd), "cannot look up '" + path + "'");
    return UniqueFd(int(fd));
}

int TracedProcess::examine(const std::string& path, struct stat& to, bool follows) const {
    const Result<UniqueFd> file = look_up(path, follows);
    if (!file)
        return file.error().code;
    return fstat(file->get(), &to) == 0 ? 0 : errno;
}

int TracedProcess::examine_file_system(const std::string& path, struct statfs& to) const {
    const Result<UniqueFd> file = look_up(path, true);
    if (!file)
        return file.error().code;
    return fstatfs(file->get(), &to) == 0 ? 0 : errno;
}

int TracedProcess::check_access(const std::string& path, int mode) const {
    const Result<UniqueFd> file = look_up(path, true);
    if (!file)
        return file.error().code;
    const std::string name = path_of_descriptor(file->get());
    return faccessat(AT_FDCWD, name.c_str(), mode, AT_EACCESS) == 0 ? 0 : errno;
}

// Elsewhere by the twin, which is there.
Result<UniqueFd> TracedProcess::socket(int domain, int type, int protocol) const {
    constexpr char what[] = "cannot make a socket to compare with";
    if (shares_namespace(path_, "net")) {
        UniqueFd made(::socket(domain, type | SOCK_CLOEXEC, protocol));
        if (!made)
            return system_error(errno, what);
        return made;
    }
    const Result<long> number = twin_->call(SYS_socket, std::uint64_t(domain), std::uint64_t(type),
                                            std::uint64_t(protocol));
    if (!number)
        return number.error();
    if (*number < 0)
        return system_error(int(-*number), what);
    Result<UniqueFd> made = twin_->descriptor(int(*number));
    const Result<long> closed = twin_->call(SYS_close, std::uint64_t(*number));
    if (!closed)
        return closed.error();
    return made;
}

std::int64_t TracedProcess::clock(int id) const {
    const auto now = std::int64_t(clock_ns(id));
    const char* name = id == CLOCK_MONOTONIC ? "monotonic" : id == CLOCK_BOOTTIME ? "boottime" : "";
    if (!*name || shares_namespace(path_, "time"))
        return now;
    return now + offset_in(text_of("timens_offsets", directory()), name) -
           offset_in(text_of("/proc/self/timens_offsets"), name);
}

kinds::Limit TracedProcess::limit(unsigned resource) const {
    kinds::Limit limit{};
    arch::syscall(SYS_prlimit64, pid_, resource, nullptr, &limit);
    return limit;
}

} // namespace rfork::capture
