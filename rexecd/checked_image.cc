#include "rexecd/checked_image.h"

#include "image/reader.h"
#include "remote/spool.h"
#include "rexecd/claims.h"
#include "rexecd/spool_access.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>

namespace rexecd {

using namespace rfork;

namespace {

bool same_file(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_uid == b.st_uid;
}

// The image's front as a sentence about this image, when there is something wrong with it.
Result<void> check_front(const Job& job, int image) {
    Result<image::Header> header = image::read_front(image);
    if (!header)
        return Error{header.error().code, job.image_name + ": " + header.error().sentence};
    if (std::memcmp(&header->id, &job.image, sizeof(job.image)) != 0)
        return Error{EPERM, job.image_name + " is another image than the one the request names"};
    if (!(header->flags & image::flag_travels))
        return Error{EPERM, job.image_name +
                                " is a checkpoint, which rexecd does not run: start it by hand"};
    // A claim goes by the name: under a second one the image would run a second time.
    if (job.image_name != remote::image_name(header->id))
        return Error{EPERM, job.image_name + " is an image under another name than its own"};
    return {};
}

} // namespace

Result<Found> find(const Job& job, int spool) {
    // An image written a moment ago by another host may take a moment to be seen here.
    constexpr long pauses_ms[] = {0, 2, 10, 50, 200, 500};
    const std::string claim = claim_name(job.image_name);
    for (long pause : pauses_ms) {
        if (pause > 0) {
            timespec time{0, pause * 1'000'000};
            ::nanosleep(&time, nullptr);
            refresh_listing(spool);
        }
        if (!job.claims_only) {
            Result<Entry> image = open_entry(spool, job.image_name, O_PATH);
            if (image)
                return Found{image->status, image->status.st_uid};
            if (image.error().code != ENOENT)
                return image.error();
        }
        Result<Entry> claimed = open_entry(spool, claim, O_PATH);
        if (claimed)
            return Found{std::nullopt, claimed->status.st_uid};
        if (job.claims_only && claimed.error().code == ENOENT && pause > 0)
            return Error{ESTALE, "rexecd started after this request was sent (or the clocks of the "
                                 "hosts differ) and does not run it: try again"};
        if (claimed.error().code != ENOENT)
            return claimed.error();
    }
    return Error{ENOENT, "the image " + job.image_name + " is not in the spool " + job.spool +
                             ": does this host share the caller's spool?"};
}

Result<UniqueFd> open_image(const Job& job, int spool, const struct stat& found) {
    Result<Entry> image = open_entry(spool, job.image_name, O_RDONLY);
    if (!image)
        return image.error();
    if (Result<void> trusted = check_entry(image->status, job.image_name); !trusted)
        return trusted.error();
    if (!same_file(image->status, found))
        return Error{EPERM, job.image_name + " was replaced while it was opened"};
    if (Result<void> right = check_front(job, image->fd.get()); !right)
        return right.error();
    return std::move(image->fd);
}

} // namespace rexecd
