#include "workplace.h"

#include "failure.h"
#include "remote/key.h"

#include <cerrno>
#include <cstdlib>
#include <sys/statvfs.h>

namespace rfork::bench {
namespace {

namespace fs = std::filesystem;

void check_executable(const std::string& directory) {
    struct statvfs status;
    if (::statvfs(directory.c_str(), &status) != 0)
        fail("cannot use " + directory, errno);
    if (status.f_flag & ST_NOEXEC)
        fail("cannot use " + directory +
             ": it is mounted noexec: name another tmpfs with --directory");
}

fs::path make_directory(const std::string& parent) {
    check_executable(parent);
    std::string path = parent + "/rfork-bench.XXXXXX";
    if (!::mkdtemp(path.data()))
        fail("cannot make a directory in " + parent, errno);
    return path;
}

} // namespace

Workplace::Workplace(const std::string& parent) : root_(make_directory(parent)) {
    fs::create_directory(spool());
    fs::permissions(spool(), fs::perms::owner_all);
    if (auto made = remote::generate_key(key()); !made)
        fail(made.error().sentence);
}

Workplace::~Workplace() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

} // namespace rfork::bench
