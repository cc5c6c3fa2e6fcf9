#include "rexecd/checked_image.h"

#include "image/reader.h"
#include "remote/spool.h"
#include "rexecd/spool_access.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace rexecd {

using namespace rfork;

namespace {

Result<void> check_front(const Job& job, int image) {
    Result<image::Header> header = image::read_front(image);
    if (!header)
        return Error{header.error().code, job.request.ticket + ": " + header.error().sentence};
    if (std::memcmp(&header->id, &job.request.image, sizeof(job.request.image)) != 0)
        return Error{EPERM, job.request.ticket + " is another image than the one the request names"};
    if (!(header->flags & image::flag_travels))
        return Error{EPERM, job.request.ticket +
                                " is a checkpoint, which rexecd does not run: start it by hand"};
    // It has a ticket of its own, or had one.
    if (job.request.ticket != remote::ticket_name(header->id))
        return Error{EPERM, job.request.ticket +
                                " is an image with another name, and runs under that only"};
    if (!remote::is_proof(job.request, header->secret))
        return Error{EPERM, "the request does not prove that it comes from the owner of " +
                                job.request.ticket};
    return {};
}

} // namespace

Result<UniqueFd> open_image(const Job& job, int directory) {
    Result<Entry> image = open_entry(directory, job.request.ticket, O_RDONLY);
    if (!image)
        return image.error();
    if (Result<void> trusted = check_entry(image->status, job.request.ticket); !trusted)
        return trusted.error();
    if (Result<void> right = check_front(job, image->fd.get()); !right)
        return right.error();
    return std::move(image->fd);
}

} // namespace rexecd
