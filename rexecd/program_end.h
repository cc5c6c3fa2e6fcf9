// How a program ended, in words.
#pragma once

#include <csignal>
#include <cstring>
#include <string>
#include <sys/wait.h>

namespace rexecd {

// Of a status from waitpid(2): "status 7", "killed by SIGSEGV (core dumped)".
inline std::string end_text(int status) {
    if (!WIFSIGNALED(status))
        return "status " + std::to_string(WEXITSTATUS(status));
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    const std::string signal = name ? std::string("SIG") + name
                                    : "signal " + std::to_string(WTERMSIG(status));
    return "killed by " + signal + (WCOREDUMP(status) ? " (core dumped)" : "");
}

} // namespace rexecd
