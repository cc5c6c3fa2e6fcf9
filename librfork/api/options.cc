#include "api/options.h"

#include "api/public.h"

#include <cerrno>
#include <cstring>

namespace rfork::api {
namespace {

// A program may have been compiled with a later version's, which is longer; what is beyond this
// version's must then be zero. It may also have been compiled with an earlier one's.
bool copy_known(const rfork_options& given, rfork_options& known) {
    constexpr std::size_t least = offsetof(rfork_options, flags) + sizeof known.flags;
    constexpr std::size_t most = 4096;
    if (given.size < least || given.size > most)
        return false;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&given);
    for (std::size_t i = sizeof known; i < given.size; ++i)
        if (bytes[i])
            return false;
    std::memcpy(&known, bytes, given.size < sizeof known ? given.size : sizeof known);
    return known.reserved == 0;
}

Result<rfork_options> read_known(const rfork_options* given, unsigned allowed) {
    rfork_options known{};
    if (given && (!copy_known(*given, known) || known.flags & ~allowed))
        return Error{EINVAL, "the options have a size or flags that this call of this version of "
                             "librfork does not know: begin with RFORK_OPTIONS_INIT, and see "
                             "rfork_options(3)"};
    return known;
}

} // namespace

Result<OtherOptions> read_other_options(const rfork_options* given, unsigned allowed) {
    const Result<rfork_options> known = read_known(given, allowed);
    if (!known)
        return known.error();
    return OtherOptions{known->flags, known->ignore ? known->ignore : ""};
}

Result<Options> read_options(const rfork_options* given, Operation operation) {
    Options options;
    const Result<rfork_options> read =
        read_known(given, RFORK_END | RFORK_LEAVE_CHILDREN | RFORK_BACKGROUND);
    if (!read)
        return read.error();
    const rfork_options& known = *read;
    if (known.ignore)
        options.ignored = known.ignore;
    options.ends = operation == Operation::move || known.flags & RFORK_END;
    const bool as_fork_does = operation != Operation::checkpoint && !options.ends;
    options.in_background = known.flags & RFORK_BACKGROUND;
    if (options.in_background && (options.ends || operation != Operation::checkpoint))
        return Error{EINVAL, "RFORK_BACKGROUND is for checkpoints after which the program goes on: "
                             "leave it out, or RFORK_END"};
    options.leaves_children = as_fork_does || known.flags & RFORK_LEAVE_CHILDREN;
    return options;
}

} // namespace rfork::api
