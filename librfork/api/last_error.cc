#include "api/last_error.h"

#include "api/public.h"

#include <cerrno>
#include <cstring>

namespace rfork::api {
namespace {

thread_local char sentence[1024];

} // namespace

int fail(const Error& error) {
    const std::size_t size = error.sentence.copy(sentence, sizeof sentence - 1);
    sentence[size] = '\0';
    errno = error.code;
    return -1;
}

void forget_failure() {
    sentence[0] = '\0';
}

extern "C" RFORK_API const char* rfork_strerror_last() {
    return sentence;
}

// There is not even memory for a session, nor for a sentence with parts.
extern "C" int rfork_session_failed() {
    std::strcpy(sentence, "no mapping to be had for working memory: raise the limit on virtual "
                          "memory (ulimit -v) or on mappings (sysctl vm.max_map_count)");
    errno = ENOMEM;
    return -1;
}

} // namespace rfork::api
