// The process from which a lane's programs are forked, because it has the filter and so its
// children have it, too: "a filter that the program's parent has as well counts as surroundings".
//
// It and the lane talk by readv(2) and writev(2), which the filter lets pass.
#pragma once

#include "faults/seccomp.h"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace faults {

struct Program {
    std::vector<std::string> command; // with what brings it to its host
    std::vector<std::string> environment;
    std::string output, errors; // files, appended to
};

struct Ended {
    pid_t process = 0;
    int status = 0; // of waitpid(2)
};

class Zygote {
  public:
    Zygote(std::vector<Program> programs);
    ~Zygote();

    Listener& listener() { return *listener_; }
    int fd() const { return channel_.get(); }

    // The zygote's own calls need the listener served meanwhile: so what it has to say comes later.
    void start(std::size_t program, int timeout_ms);

    struct News {
        bool started = false; // else ended
        std::size_t program = 0;
        Ended ended; // process, too, when it has started
    };
    News news();

  private:
    [[noreturn]] void be_zygote(int channel);
    pid_t spawn(const Program& program, int timeout_ms);

    std::vector<Program> programs_;
    rfork::UniqueFd channel_;
    std::optional<Listener> listener_;
    pid_t process_ = 0;
};

} // namespace faults
