// What a program we have started says, for the day it does not do what it should.
#pragma once

#include "base/unique_fd.h"

#include <string>

namespace rfork::bench {

class LogFile {
  public:
    explicit LogFile(std::string path);

    int fd() const { return fd_.get(); }
    std::string content() const;
    std::string last_line() const; // or that there is none

  private:
    std::string path_;
    UniqueFd fd_;
};

} // namespace rfork::bench
