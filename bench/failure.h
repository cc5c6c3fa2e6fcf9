// A benchmark that cannot go on has one way out: a sentence, carried to main() past destructors
// that end the daemons and remove the files.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

namespace rfork::bench {

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const std::string& sentence) {
    throw Failure(sentence);
}

[[noreturn]] inline void fail(const std::string& what, int code) {
    throw Failure(what + ": " + ::strerror(code));
}

} // namespace rfork::bench
