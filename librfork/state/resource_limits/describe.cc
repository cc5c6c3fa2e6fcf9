#include "describe/describe.h"
#include "format/records/resource_limits.h"

namespace rfork::tool {
namespace {

std::string limit_text(std::uint64_t limit) {
    return limit == ~std::uint64_t(0) ? "unlimited" : std::to_string(limit);
}

} // namespace

Lines describe_resource_limits(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::ResourceLimitsRecord>(
        whole, [](const kinds::ResourceLimitsRecord& record) -> Lines {
            static constexpr const char* names[kinds::limit_count] = {
                "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
                "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
            std::string own;
            for (unsigned i = 0; i < kinds::limit_count; ++i)
                if ((record.own_soft | record.own_hard) >> i & 1)
                    append_word(own, std::string(names[i]) + "=" +
                                         limit_text(record.limits[i].soft) + "/" +
                                         limit_text(record.limits[i].hard));
            return {{"limits of its own", or_none(own)}};
        });
}

} // namespace rfork::tool
