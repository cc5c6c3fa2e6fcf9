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
constexpr int longest_silence = 16; // looks at a claim without words: about two seconds

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

// Whether the image still has its name. Of all questions only an exclusive create is one that no
// NFS client answers from its cache: the target unlinks an image that it executes, so its client
// renames it (to .nfs...), and an open by the old name, which goes by file handle here, would still
// succeed.
bool exists(const std::string& image) {
    UniqueFd fd(open(image.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
        return true;
    unlink(image.c_str());
    return false;
}

// What the claim that is there says.
enum class Word {
    copy,    // a copy has made it, and runs
    nothing, // it binds nobody: another user's, or given up
    none,    // there is none
    unclear, // it is being written, or the spool does not answer
};

// "0 HOST": somebody has given up, as rexecd does with an image that hangs. And anyone may create
// files in a spool, but a copy creates its claim as the owner of its image.
Word read_claim(const std::string& claim, uid_t owner) {
    struct stat st;
    if (lstat(claim.c_str(), &st) != 0)
        return errno == ENOENT ? Word::none : Word::unclear;
    if (st.st_uid != owner || !S_ISREG(st.st_mode))
        return Word::nothing;
    UniqueFd fd(open(claim.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd)
        return Word::unclear;
    char start[2];
    const ssize_t got = read(fd.get(), start, sizeof start);
    if (got < ssize_t(sizeof start))
        return Word::unclear;
    return start[0] == '0' && start[1] == ' ' ? Word::nothing : Word::copy;
}

enum class Attempt { created, taken, unclear };

Attempt create_claim(const std::string& image, const std::string& claim) {
    UniqueFd fd(open(claim.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd) {
        write_reason(fd.get());
        return Attempt::created;
    }
    // On a full spool a second name for the image is as exclusive, and takes no space.
    if ((errno == ENOSPC || errno == EDQUOT) && link(image.c_str(), claim.c_str()) == 0)
        return Attempt::created;
    return errno == EEXIST ? Attempt::taken : Attempt::unclear;
}

void remove_own(const std::string& claim, uid_t owner) {
    struct stat st;
    if (lstat(claim.c_str(), &st) == 0 && st.st_uid == owner)
        unlink(claim.c_str());
}

// A claim that binds nobody may go away, and a copy may then make its own. So the image goes first:
// a copy that claims after that does not run, and takes its claim back.
ClaimOutcome withdraw_past(const std::string& image, const std::string& claim, uid_t owner) {
    unlink(image.c_str());
    Patience patience(forever);
    for (int silent = 0;; patience.wait()) {
        switch (read_claim(claim, owner)) {
        case Word::copy:
            return ClaimOutcome::lost;
        case Word::nothing:
            remove_own(claim, owner);
            return ClaimOutcome::won;
        case Word::none:
            return ClaimOutcome::won;
        case Word::unclear: // a copy whose spool is full has no words, but it runs
            if (++silent == longest_silence)
                return ClaimOutcome::lost;
        }
    }
}

} // namespace

ClaimOutcome withdraw(const std::string& spool, const std::string& image_name) {
    const std::string image = spool + "/" + image_name, claim = image + image::claim_suffix;
    Patience patience(forever);
    for (int silent = 0;; patience.wait()) {
        const Attempt attempt = create_claim(image, claim);
        if (attempt == Attempt::created) {
            unlink(image.c_str());
            unlink(claim.c_str());
            return ClaimOutcome::won;
        }
        if (attempt == Attempt::unclear)
            continue;
        struct stat st;
        if (lstat(image.c_str(), &st) != 0) {
            if (errno == ENOENT) // only the rexecd of a copy that runs takes the image away
                return ClaimOutcome::lost;
            continue;
        }
        switch (read_claim(claim, st.st_uid)) {
        case Word::copy:
            return ClaimOutcome::lost;
        case Word::nothing:
            return withdraw_past(image, claim, st.st_uid);
        case Word::none:
            break; // gone meanwhile: try again
        case Word::unclear:
            if (++silent == longest_silence)
                return ClaimOutcome::lost;
        }
    }
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
