#include "ping.h"

#include "base/printable.h"
#include "remote/address.h"
#include "remote/client.h"
#include "remote/key.h"
#include "remote/spool.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace rfork::tool {
namespace {

Result<remote::Welcome> greet(const std::string& host, const remote::Key& key, int timeout_ms) {
    const Result<remote::Address> address = remote::parse_address(host, remote::default_port);
    if (!address)
        return address.error();
    const Result<sockaddr_in> resolved = remote::resolve(*address);
    if (!resolved)
        return resolved.error();
    remote::ResumeRequest request;
    request.id = remote::new_id();
    request.host = host;
    request.address = *resolved;
    request.key = key;
    request.timeout_ms = timeout_ms;
    return remote::Greeting(request).answer();
}

Result<std::string> key_file(const PingOptions& options) {
    if (!options.key_file.empty())
        return options.key_file;
    if (const char* file = std::getenv("RFORK_KEY_FILE"); file && *file)
        return std::string(file);
    return Error{ENOENT, "no key: give --key FILE, or set RFORK_KEY_FILE"};
}

} // namespace

Result<void> ping(const PingOptions& options) {
    const Result<std::string> file = key_file(options);
    if (!file)
        return file.error();
    const Result<remote::Key> key = remote::read_key(*file);
    if (!key)
        return key.error();
    int silent = 0;
    for (const std::string& host : options.hosts) {
        const Result<remote::Welcome> welcome = greet(host, *key, options.timeout_ms);
        if (welcome) {
            std::printf("%s: rexecd answers as %s, %.2f ms\n", printable(host).c_str(),
                        printable(welcome->host).c_str(), double(welcome->round_trip_ns) / 1e6);
        } else {
            ++silent;
            std::fprintf(stderr, "rfork: %s\n", printable(welcome.error().sentence).c_str());
        }
        std::fflush(stdout);
    }
    if (silent == 0)
        return {};
    return Error{ETIMEDOUT, std::to_string(silent) + " of " + std::to_string(options.hosts.size()) +
                                (options.hosts.size() == 1 ? " host does" : " hosts do") +
                                " not answer"};
}

} // namespace rfork::tool
