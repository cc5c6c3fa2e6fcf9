#include "log_file.h"

#include "failure.h"

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <iterator>

namespace rfork::bench {

LogFile::LogFile(std::string path)
    : path_(std::move(path)),
      fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600)) {
    if (!fd_)
        fail("cannot create " + path_, errno);
}

std::string LogFile::content() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string LogFile::last_line() const {
    std::string text = content();
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    if (text.empty())
        return "it ended without a word";
    auto line = text.rfind('\n');
    return line == std::string::npos ? text : text.substr(line + 1);
}

} // namespace rfork::bench
