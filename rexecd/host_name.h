// What this host is called.
#pragma once

#include <string>
#include <unistd.h>

namespace rexecd {

inline std::string host_name() {
    char name[256] = "";
    ::gethostname(name, sizeof(name) - 1);
    return name;
}

} // namespace rexecd
