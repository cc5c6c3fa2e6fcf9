// Where the programs are that the bench starts: in the build tree beside itself, or installed.
#pragma once

#include <string>

namespace rfork::bench {

struct Programs {
    std::string crowd;
    std::string floor;
    std::string traveller;
    std::string rexecd;
};

// Looks relative to the running executable.
Programs find_programs();

} // namespace rfork::bench
