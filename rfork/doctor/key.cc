#include "doctor/looks.h"

#include "base/printable.h"
#include "remote/key.h"

#include <cstdlib>

namespace rfork::tool {

Finding look_at_key(bool needed) {
    const char* file = std::getenv("RFORK_KEY_FILE");
    if (!file || !*file)
        return {needed ? State::problem : State::warning,
                "RFORK_KEY_FILE is not set: no other host can be asked for anything",
                "set it to the key that all hosts share; rfork keygen makes one"};
    const Result<remote::Key> key = remote::read_key(file);
    return key ? ok(printable(file) + ", closed to others") : problem(key.error());
}

} // namespace rfork::tool
