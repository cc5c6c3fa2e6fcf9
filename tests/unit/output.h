// What a function writes to standard output or standard error.
#pragma once

#include "base/unique_fd.h"

#include <cstdio>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace rfork::test {

template <class Function>
std::string output_of(int fd, Function function) {
    const UniqueFd file(::memfd_create("output", MFD_CLOEXEC)), before(::dup(fd));
    std::fflush(nullptr);
    ::dup2(file.get(), fd);
    function();
    std::fflush(nullptr);
    ::dup2(before.get(), fd);
    std::string text(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    (void)!::pread(file.get(), text.data(), text.size(), 0);
    return text;
}

} // namespace rfork::test
