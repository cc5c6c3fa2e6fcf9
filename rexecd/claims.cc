#include "rexecd/claims.h"

#include "base/unique_fd.h"
#include "image/status.h"

#include <cerrno>
#include <charconv>
#include <ctime>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace rexecd {

using rfork::Error;
using rfork::Result;
using rfork::UniqueFd;

namespace {

constexpr int attempts = 50;
constexpr timespec pause_between{0, 20'000'000};

Error claim_error(int code, const std::string& image_name) {
    return rfork::system_error(code, "cannot use the claim of " + image_name + " in the spool");
}

void parse(std::string_view text, Claim& claim) {
    if (text.empty())
        return;
    std::int64_t pid = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
    claim.given_up = error != std::errc() || pid <= 0;
    claim.pid = claim.given_up ? 0 : pid;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' '))
        claim.host = text.substr(1, text.find('\n') - 1);
}

} // namespace

std::string claim_name(const std::string& image_name) {
    return image_name + rfork::image::claim_suffix;
}

std::string host_name() {
    char name[256] = "";
    ::gethostname(name, sizeof(name) - 1);
    return name;
}

Result<std::optional<Claim>> read_claim(int spool, const std::string& image_name) {
    const std::string name = claim_name(image_name);
    for (int attempt = 1;; ++attempt) {
        // Opened anew each time: that is when NFS asks the server.
        UniqueFd fd(::openat(spool, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        if (!fd && errno == ENOENT)
            return std::optional<Claim>();
        struct stat status;
        if (!fd || ::fstat(fd.get(), &status) != 0)
            return claim_error(errno, image_name);
        char text[512];
        ssize_t size = ::read(fd.get(), text, sizeof(text));
        if (size < 0)
            return claim_error(errno, image_name);
        if (size > 0 || attempt == attempts) {
            Claim claim;
            claim.owner = status.st_uid;
            parse({text, static_cast<std::size_t>(size)}, claim);
            return std::optional<Claim>(std::move(claim));
        }
        ::nanosleep(&pause_between, nullptr);
    }
}

Result<bool> take_claim(int spool, const std::string& image_name) {
    UniqueFd fd(::openat(spool, claim_name(image_name).c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd && errno == EEXIST)
        return false;
    if (!fd)
        return claim_error(errno, image_name);
    const std::string words = "0 " + host_name() + "\n";
    [[maybe_unused]] ssize_t written = ::write(fd.get(), words.data(), words.size());
    return true;
}

void remove_claim(int spool, const std::string& image_name) {
    ::unlinkat(spool, claim_name(image_name).c_str(), 0);
}

} // namespace rexecd
