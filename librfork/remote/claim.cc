#include "remote/claim.h"

#include "base/unique_fd.h"
#include "image/status.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace rfork::remote {
namespace {

constexpr int first_pause_ms = 1, longest_pause_ms = 200;

// Between two looks at a file system that cannot notify: doubling, with an end.
class Patience {
  public:
    explicit Patience(int total_ms) : left_ms_(total_ms) {}
    bool wait() {
        if (left_ms_ <= 0)
            return false;
        ::poll(nullptr, 0, pause_ms_);
        left_ms_ -= pause_ms_;
        pause_ms_ = std::min(pause_ms_ * 2, longest_pause_ms);
        return true;
    }

  private:
    int left_ms_;
    int pause_ms_ = first_pause_ms;
};

void write_reason(int fd) {
    utsname host{};
    uname(&host);
    const std::string line = "0 " + std::string(host.nodename) + "\n"; // pid 0: given up
    if (write(fd, line.data(), line.size()) < 0)
        return; // a claim without words is a claim all the same
}

// An open asks the server, where stat(2) may believe an NFS client's cache.
bool exists(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd)
        return errno != ENOENT && errno != ESTALE;
    struct stat st;
    return fstat(fd.get(), &st) != 0 || st.st_nlink > 0;
}

enum class Attempt { created, taken, unclear };

Attempt create_claim(const std::string& image, const std::string& claim) {
    UniqueFd fd(open(claim.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd) {
        write_reason(fd.get());
        return Attempt::created;
    }
    if (errno == EEXIST)
        return Attempt::taken;
    // On a full spool a second name for the image is as exclusive, and takes no space.
    if ((errno == ENOSPC || errno == EDQUOT) && link(image.c_str(), claim.c_str()) == 0)
        return Attempt::created;
    return errno == EEXIST ? Attempt::taken : Attempt::unclear;
}

} // namespace

ClaimOutcome withdraw(const std::string& spool, const std::string& image_name) {
    const std::string image = spool + "/" + image_name, claim = image + image::claim_suffix;
    constexpr int patience_ms = 60'000;
    Patience patience(patience_ms);
    Attempt attempt;
    while ((attempt = create_claim(image, claim)) == Attempt::unclear && patience.wait()) {
    }
    if (attempt == Attempt::taken)
        return ClaimOutcome::lost;
    // A spool that has been unusable for a minute cannot have let a copy claim just now either.
    unlink(image.c_str());
    unlink(claim.c_str());
    return ClaimOutcome::won;
}

void tidy(const std::string& spool, const std::string& image_name) {
    const std::string image = spool + "/" + image_name;
    constexpr int patience_ms = 2'000;
    Patience patience(patience_ms);
    while (exists(image))
        if (!patience.wait())
            return;
    unlink((image + image::claim_suffix).c_str());
}

} // namespace rfork::remote
