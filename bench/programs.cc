#include "programs.h"

#include "failure.h"

#include <filesystem>
#include <initializer_list>
#include <unistd.h>

namespace rfork::bench {
namespace {

namespace fs = std::filesystem;

std::string find(const fs::path& here, const char* name,
                 std::initializer_list<const char*> places) {
    for (const char* place : places) {
        fs::path path = here / place / name;
        if (::access(path.c_str(), X_OK) == 0)
            return path.lexically_normal();
    }
    fail(std::string("cannot find ") + name + " near " + here.string() +
         ": build or install all of rfork");
}

} // namespace

Programs find_programs() {
    std::error_code error;
    fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
    if (error)
        fail("cannot read /proc/self/exe: mount /proc");
    return {find(here, "crowd", {".", "../libexec/rfork"}),
            find(here, "floor", {".", "../libexec/rfork"}),
            find(here, "traveller", {".", "../libexec/rfork"}),
            find(here, "rexecd", {"../rexecd", "../sbin", "."})};
}

} // namespace rfork::bench
