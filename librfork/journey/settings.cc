#include "journey/settings.h"

#include "remote/protocol.h"

#include <cerrno>
#include <cstdlib>
#include <sys/auxv.h>

namespace rfork::journey {
namespace {

Result<std::string> required(const char* name, const char* what) {
    const char* value = secure_getenv(name);
    if (!value && getauxval(AT_SECURE))
        return Error{EPERM, std::string(name) + " is not believed: the program was started with "
                                                "rights that its user does not have (set-user-ID)"};
    if (!value || !*value)
        return Error{ENOENT, std::string(name) + " is not set: set it to " + what};
    return std::string(value);
}

Result<int> milliseconds(const char* name, int otherwise) {
    const char* value = secure_getenv(name);
    if (!value || !*value)
        return otherwise;
    constexpr long longest = 24 * 3600 * 1000;
    char* end = nullptr;
    const long ms = std::strtol(value, &end, 10);
    if (*end || ms < 1 || ms > longest)
        return Error{EINVAL, std::string(name) + " is '" + value +
                                 "': it must be a number of milliseconds from 1 to 86400000"};
    return int(ms);
}

// Its other words are for images, whose stub reads them (rfork-image(5)).
Result<bool> trusts_files() {
    const char* value = secure_getenv("RFORK_FILES");
    const std::string_view word = value ? value : "";
    if (word.empty() || word == "check" || word == "rollback")
        return false;
    if (word == "trust")
        return true;
    return Error{EINVAL, "RFORK_FILES must be check, trust or rollback, and is '" +
                             std::string(word) + "'"};
}

} // namespace

Result<int> read_timeout() {
    return milliseconds("RFORK_TIMEOUT_MS", Settings{}.timeout_ms);
}

// A set-user-ID program must not lose what is its own by the word of who runs it.
Result<capture::Ignored> read_ignored(const std::string& said) {
    if (!said.empty())
        return capture::parse_ignored(said);
    const char* value = secure_getenv("RFORK_IGNORE");
    return capture::parse_ignored(value ? value : "");
}

Result<Settings> read_settings() {
    Settings settings;
    Result<std::string> spool =
        required("RFORK_SPOOL", "the directory that the hosts share, by the same path on each");
    if (!spool)
        return spool.error();
    settings.spool = std::move(*spool);
    Result<std::string> key =
        required("RFORK_KEY_FILE", "the file with the hosts' shared key (rfork keygen makes one)");
    if (!key)
        return key.error();
    settings.key_file = std::move(*key);
    if (const char* monitor = secure_getenv("RFORK_MONITOR"))
        settings.monitor = monitor;
    if (const char* log = secure_getenv("RFORK_LOG"))
        settings.log = log;
    if (settings.log.size() > remote::max_log_name)
        return Error{ENAMETOOLONG, "RFORK_LOG is longer than the 512 bytes that fit: shorten it"};
    const Result<int> timeout = read_timeout();
    if (!timeout)
        return timeout.error();
    settings.timeout_ms = *timeout;
    const Result<bool> trusts = trusts_files();
    if (!trusts)
        return trusts.error();
    settings.trusts_files = *trusts;
    return settings;
}

} // namespace rfork::journey
