#include "rexecd/program_log.h"

#include "remote/spool.h"
#include "rexecd/spool_access.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace rexecd {

using namespace rfork;

Result<ProgramLog> open_program_log(int spool, const std::string& image_name) {
    const std::string name = remote::log_name(image_name);
    constexpr int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
    ProgramLog log;
    log.fd.reset(::openat(spool, name.c_str(), flags | O_CREAT | O_EXCL, 0600));
    log.is_new = bool(log.fd);
    if (!log.fd && errno != EEXIST)
        return system_error(errno, "cannot make " + name + " in the spool");
    if (log.is_new)
        return log;
    // A daemon that was killed over the same request has made it.
    Result<Entry> existing = open_entry(spool, name, O_WRONLY | O_APPEND);
    if (!existing)
        return existing.error();
    if (Result<void> trusted = check_entry(existing->status, name); !trusted)
        return trusted.error();
    if (existing->status.st_uid != ::geteuid())
        return Error{EPERM, name + " in the spool belongs to another user"};
    log.fd = std::move(existing->fd);
    return log;
}

} // namespace rexecd
