#include "api/destination.h"

#include "api/last_error.h"
#include "api/public.h"
#include "base/notice.h"
#include "base/printable.h"
#include "remote/spool.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace rfork::api {
namespace {

thread_local rfork_copy last_copy;

template <std::size_t size>
void put(char (&to)[size], const std::string& text) {
    to[text.copy(to, size - 1)] = '\0';
}

bool speaks(bool ends) {
    if (const char* verbose = secure_getenv("RFORK_VERBOSE"); verbose && *verbose)
        return std::strcmp(verbose, "0") != 0;
    return ends && isatty(STDERR_FILENO) == 1;
}

} // namespace

void remember_copy(const remote::ResumeRequest& request, const remote::Reply& reply) {
    last_copy.size = sizeof last_copy;
    last_copy.pid = reply.pid;
    put(last_copy.image, remote::id_text(request.image));
    put(last_copy.host, request.host);
    put(last_copy.log, reply.log);
}

void tell_where(const remote::ResumeRequest& request, const remote::Reply& reply, bool ends) {
    const int before = errno; // isatty(3) has an opinion on everything else
    if (speaks(ends)) {
        std::string line =
            request.program + (ends ? ": goes on on " : ": a copy runs on ") + request.host;
        if (reply.pid)
            line += " as process " + std::to_string(reply.pid);
        if (!reply.log.empty())
            line += "; output: " + printable(reply.log);
        write_notice(line + "\n");
    }
    errno = before;
}

extern "C" RFORK_API int rfork_last_copy(rfork_copy* copy) {
    if (!copy || copy->size < sizeof copy->size)
        return fail({EINVAL, "the structure is a null pointer, or its size is not set: set it to "
                             "sizeof(struct rfork_copy)"});
    if (!last_copy.size)
        return fail({ENOENT, "this thread has made no copy yet"});
    const std::size_t size = copy->size;
    std::memcpy(copy, &last_copy, std::min(size, sizeof last_copy));
    copy->size = size;
    return 0;
}

} // namespace rfork::api
