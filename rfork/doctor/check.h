// What one look at the machine, or at the user's settings, has found.
#pragma once

#include "base/result.h"

#include <string>

namespace rfork::tool {

enum class State {
    ok,
    warning, // something is lacking that only some programs need
    problem, // something that rfork cannot do without
};

struct Finding {
    State state = State::ok;
    std::string found;
    std::string remedy; // what to do; empty if all is well
};

inline Finding ok(std::string found) {
    return {State::ok, std::move(found), {}};
}
inline Finding warning(std::string found, std::string remedy) {
    return {State::warning, std::move(found), std::move(remedy)};
}
inline Finding problem(std::string found, std::string remedy) {
    return {State::problem, std::move(found), std::move(remedy)};
}
Finding problem(const Error& error); // its sentence says what to do

} // namespace rfork::tool
