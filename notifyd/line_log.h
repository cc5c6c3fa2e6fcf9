// Where the lines go: a file, to which others may append as well, or standard output.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <string>
#include <string_view>

namespace notifyd {

class LineLog {
  public:
    // Standard output when `path` is empty.
    explicit LineLog(std::string path) : path_(std::move(path)) {}

    // Opens the file, or opens it anew, so that it can be renamed away. On an error the old one
    // stays in use.
    rfork::Result<void> open();

    bool is_terminal() const;

    // One write(2) a line. Says on standard error when writing fails, and when it works again.
    void write(std::string_view line);

  private:
    std::string path_;
    rfork::UniqueFd file_;
    bool failing_ = false;
};

} // namespace notifyd
