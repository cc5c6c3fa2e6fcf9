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

// Between two looks at a file system that cannot notify: doubling, up to a limit.
constexpr int forever = -1;

class Patience {
  public:
    explicit Patience(int total_ms) : left_ms_(total_ms) {}
    bool wait() {
        if (left_ms_ == 0)
            return false;
        ::poll(nullptr, 0, pause_ms_);
        if (left_ms_ > 0)
            left_ms_ = std::max(left_ms_ - pause_ms_, 0);
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

// Whether the image still has its name. Of all questions only an exclusive create is one that no NFS
// client answers from its cache: the target unlinks an image that it executes, so its client renames
// it (to .nfs...), and an open by the old name, which goes by file handle here, would still succeed.
bool exists(const std::string& image) {
    UniqueFd fd(open(image.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
        return true;
    unlink(image.c_str());
    return false;
}

enum class Attempt { created, copy_has_it, unclear };

// Whether the claim that is there means that a copy runs. Not if it says "0 HOST": then somebody has
// given up, as rexecd does with an image that hangs. And not if it is another user's than the image:
// anyone may create files in a spool, but our copy would have created it as ourselves, and it cannot
// run past a claim that it has not made.
bool is_copys(const std::string& image, const std::string& claim) {
    UniqueFd image_fd(open(image.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!image_fd)
        return true; // only a copy's rexecd takes the image away
    UniqueFd claim_fd(open(claim.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat image_st, claim_st;
    if (lstat(claim.c_str(), &claim_st) != 0 || fstat(image_fd.get(), &image_st) != 0)
        return true;
    if (claim_st.st_uid != image_st.st_uid)
        return false;
    char first[2] = {};
    return !claim_fd || read(claim_fd.get(), first, sizeof first) < ssize_t(sizeof first) ||
           first[0] != '0' || first[1] != ' ';
}

Attempt create_claim(const std::string& image, const std::string& claim) {
    UniqueFd fd(open(claim.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd) {
        write_reason(fd.get());
        return Attempt::created;
    }
    // On a full spool a second name for the image is as exclusive, and takes no space.
    if ((errno == ENOSPC || errno == EDQUOT) && link(image.c_str(), claim.c_str()) == 0)
        return Attempt::created;
    if (errno != EEXIST)
        return Attempt::unclear;
    return is_copys(image, claim) ? Attempt::copy_has_it : Attempt::created;
}

} // namespace

ClaimOutcome withdraw(const std::string& spool, const std::string& image_name) {
    const std::string image = spool + "/" + image_name, claim = image + image::claim_suffix;
    Patience patience(forever);
    Attempt attempt;
    while ((attempt = create_claim(image, claim)) == Attempt::unclear)
        patience.wait();
    if (attempt == Attempt::copy_has_it)
        return ClaimOutcome::lost;
    unlink(image.c_str());
    unlink(claim.c_str()); // another user's stays; it means nothing without the image
    return ClaimOutcome::won;
}

void remove_claim(const std::string& spool, const std::string& image_name) {
    unlink((spool + "/" + image_name + image::claim_suffix).c_str());
}

void tidy(const std::string& spool, const std::string& image_name) {
    const std::string image = spool + "/" + image_name;
    constexpr int patience_ms = 2'000;
    Patience patience(patience_ms);
    while (exists(image))
        if (!patience.wait())
            return;
    remove_claim(spool, image_name);
}

} // namespace rfork::remote
