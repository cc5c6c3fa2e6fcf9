// What objects/open_file/restore.cc would refuse, with the same settings. Files are looked at, and
// not opened: that alone can have an effect.
#include "in_the_way.h"

#include "base/printable.h"
#include "base/proc.h"
#include "describe/describe.h"
#include "format/kinds.h"
#include "format/records/open_file.h"
#include "format/records/working_directory.h"
#include "records.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

using kinds::FileType;
using kinds::OpenFileRecord;

bool trusts(const image::Image& image) {
    const std::string files = stub_setting("RFORK_FILES");
    return files.empty() ? bool(image.header().flags & image::flag_trusts_files) : files == "trust";
}

bool is_writable(const OpenFileRecord& record) {
    return !(record.object.flags & O_PATH) && (record.object.flags & O_ACCMODE) != O_RDONLY;
}

int access_of(const OpenFileRecord& record) {
    if (record.object.flags & O_PATH)
        return F_OK;
    constexpr int needed[] = {R_OK, W_OK, R_OK | W_OK, F_OK};
    return needed[record.object.flags & O_ACCMODE];
}

std::uint64_t number(dev_t device) {
    return std::uint64_t(major(device)) << 32 | minor(device);
}

bool is_other_type(const OpenFileRecord& record, const struct stat& here) {
    return (here.st_mode & S_IFMT) != (record.mode & S_IFMT) ||
           (record.type == FileType::device && number(here.st_rdev) != record.device);
}

bool is_same_boot(const FrozenProgram& program, const OpenFileRecord& record) {
    const std::string was = raw_string_at(program, record.boot);
    return !was.empty() && text_of("/proc/sys/kernel/random/boot_id").starts_with(was);
}

bool is_replaced(const FrozenProgram& program, const OpenFileRecord& record,
                 const struct stat& here) {
    return record.inode != 0 && here.st_ino != record.inode &&
           number(here.st_dev) == record.device && is_same_boot(program, record);
}

// "", or why not.
std::string trouble_with(const FrozenProgram& program, const OpenFileRecord& record, bool trusted) {
    const std::string path = raw_string_at(program, record.object.name);
    const std::string name = printable(path);
    struct stat here {};
    if ((trusted ? ::stat(path.c_str(), &here) : ::lstat(path.c_str(), &here)) != 0)
        return "a file that the program had open cannot be found: " + name + ": " +
               std::string(errno_text(errno));
    if (is_other_type(record, here))
        return "what the program had open is here a file of another type: " + name;
    if (::faccessat(AT_FDCWD, path.c_str(), access_of(record), AT_EACCESS) != 0)
        return "a file that the program had open cannot be opened as it was: " + name + ": " +
               std::string(errno_text(errno));
    if (trusted || record.type == FileType::device)
        return {};
    if (!is_owner(record.owner, here.st_uid, ::geteuid()))
        return "a file that the program had open belongs here to another user (RFORK_FILES=trust "
               "goes on with it): " +
               name;
    if (record.type == FileType::directory || (record.object.flags & O_PATH))
        return {};
    if (std::uint64_t(here.st_size) < std::min(record.position, record.size))
        return "a file in which the program was at byte " + std::to_string(record.position) +
               " has only " + std::to_string(here.st_size) +
               " here (RFORK_FILES=trust goes on with it): " + name;
    if (is_writable(record) && is_replaced(program, record, here))
        return "another file is now where the program was writing to one (RFORK_FILES=trust goes "
               "on with it): " +
               name;
    return {};
}

void look_at_directory(const FrozenProgram& program, const kinds::WorkingDirectoryRecord& record,
                       bool trusted, std::vector<std::string>& troubles) {
    const std::string path = raw_string_at(program, record.path);
    struct stat here {};
    if (::stat(path.c_str(), &here) != 0 || ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS))
        troubles.push_back("the program's working directory cannot be entered: " + printable(path) +
                           ": " + std::string(errno_text(errno)));
    else if (!S_ISDIR(here.st_mode))
        troubles.push_back("the program's working directory is here something else: " +
                           printable(path));
    else if (!trusted && !is_owner(record.owner, here.st_uid, ::geteuid()))
        troubles.push_back("the program's working directory belongs here to another user "
                           "(RFORK_FILES=trust enters it): " +
                           printable(path));
}

} // namespace

void add_file_troubles(const image::Image& image, std::vector<std::string>& troubles) {
    const FrozenProgram program{-1, image, 0};
    const bool trusted = trusts(image);
    each_state<kinds::WorkingDirectoryRecord>(
        image, image::Kind::working_directory,
        [&](const auto& record) { look_at_directory(program, record, trusted, troubles); });
    constexpr std::size_t enough = 64;
    std::size_t more = 0;
    std::set<std::string> told; // a file can be open more than once
    each_record<OpenFileRecord>(
        image.objects(), image::Kind::open_file, [&](const OpenFileRecord& record) {
            const std::string trouble =
                record.type == FileType::stream ? "" : trouble_with(program, record, trusted);
            if (trouble.empty() || told.contains(trouble))
                return;
            if (told.size() >= enough) {
                ++more;
                return;
            }
            told.insert(trouble);
            troubles.push_back(trouble);
        });
    if (more > 0)
        troubles.push_back("of " + std::to_string(more) + " more files something is wrong");
}

} // namespace rfork::tool
