#include "rexecd/checked_image.h"

#include "image/reader.h"
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
        return Error{header.error().code, job.ticket + ": " + header.error().sentence};
    if (std::memcmp(&header->id, &job.image, sizeof(job.image)) != 0)
        return Error{EPERM, job.ticket + " is another image than the one the request names"};
    if (!(header->flags & image::flag_travels))
        return Error{EPERM, job.ticket +
                                " is a checkpoint, which rexecd does not run: start it by hand"};
    return {};
}

} // namespace

Result<UniqueFd> open_image(const Job& job, int directory) {
    Result<Entry> image = open_entry(directory, job.ticket, O_RDONLY);
    if (!image)
        return image.error();
    if (Result<void> trusted = check_entry(image->status, job.ticket); !trusted)
        return trusted.error();
    if (Result<void> right = check_front(job, image->fd.get()); !right)
        return right.error();
    return std::move(image->fd);
}

} // namespace rexecd
