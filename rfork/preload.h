// The other side of librfork-preload.so: a program that freezes itself, when it is asked to.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <string>
#include <sys/types.h>

namespace rfork::tool {

class Preload {
  public:
    // The program's images are to be at `image`.
    static Result<Preload> prepare(const std::string& image);
    Preload(Preload&&) = default;
    ~Preload();

    // In the process that is to become the program.
    void set_environment() const;
    // Asks it, and waits until it has answered, or has ended (ESRCH).
    Result<void> checkpoint(pid_t program) const;

  private:
    Preload() = default;
    std::string library_, image_, answer_;
    UniqueFd reads_;
};

} // namespace rfork::tool
