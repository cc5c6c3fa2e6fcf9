#include "in_the_way.h"

#include "base/printable.h"
#include "describe/describe.h"
#include "doctor/looks.h"
#include "format/kinds.h"
#include "format/records/cpu.h"
#include "format/records/process.h"
#include "format/records/resource_limits.h"
#include "format/records/ticket.h"
#include "format/ticket.h"
#include "kernel_needs.h"
#include "records.h"
#include "remote/user_directory.h"

#include <cerrno>
#include <cstdlib>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

using Troubles = std::vector<std::string>;

void add(Troubles& troubles, const Finding& finding) {
    if (finding.state == State::problem)
        troubles.push_back(finding.found + ": " + finding.remedy);
}

void look_at_image_file(int fd, Troubles& troubles) {
    struct stat status {};
    struct statvfs fs {};
    if (::fstat(fd, &status) == 0) {
        if (!(status.st_mode & 0111))
            troubles.push_back("the image is not executable: chmod u+x it");
        if (status.st_mode & (S_ISUID | S_ISGID))
            troubles.push_back("the image would have rights that its user does not have: chmod "
                               "ug-s it");
    }
    if (::fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        troubles.push_back("the image is on a file system mounted noexec: copy it to another");
}

void look_at_cpu(const image::Image& image, Troubles& troubles) {
    const std::string missing = feature_names(missing_cpu_features(image));
    if (!missing.empty() && stub_setting("RFORK_CPU") != "ignore")
        troubles.push_back("this CPU lacks what the program may be using (RFORK_CPU=ignore, if it "
                           "does not): " +
                           missing);
    std::uint64_t in_use = 0;
    each_state<kinds::CpuRecord>(image, image::Kind::cpu,
                                 [&](const auto& record) { in_use |= record.xstate; });
    if (in_use & ~arch::enabled_xstate(arch::cpuid(1).ecx & (1u << 27)))
        troubles.push_back("this CPU lacks registers that the program holds values in");
}

void look_at_kernel(const image::Image& image, Troubles& troubles) {
    for (const KernelNeed& need : kernel_needs(image))
        if (!need.is_here)
            troubles.push_back("this kernel lacks what the program uses: " + need.what +
                               ", which Linux " + release_text(need.since) + " has");
    add(troubles, look_at_memory_areas());
}

void look_at_identity(const image::Image& image, Troubles& troubles) {
    bool keeps_ids = image.processes().size() > 1;
    each_state<kinds::ProcessRecord>(
        image, image::Kind::process,
        [&](const kinds::ProcessRecord& record) { keeps_ids = keeps_ids || record.keeps_ids; });
    if (keeps_ids && stub_setting("RFORK_PID") != "new")
        add(troubles, look_at_pids());
}

void look_at_stack_limit(const image::Image& image, Troubles& troubles) {
    rlimit here{};
    ::getrlimit(RLIMIT_STACK, &here);
    each_state<kinds::ResourceLimitsRecord>(
        image, image::Kind::resource_limits, [&](const kinds::ResourceLimitsRecord& record) {
            if ((record.own_soft >> RLIMIT_STACK & 1) &&
                record.limits[RLIMIT_STACK].soft > here.rlim_max)
                troubles.push_back("the program has asked for a larger stack than is allowed here: "
                                   "raise the hard limit (ulimit -Hs)");
        });
}

void look_at_ticket(const image::Image& image, Troubles& troubles) {
    if (!(image.header().flags & image::flag_travels) ||
        !stub_setting(image::ticket_variable).empty())
        return;
    const FrozenProgram program{-1, image};
    each_state<kinds::TicketRecord>(image, image::Kind::ticket, [&](const kinds::TicketRecord& t) {
        const std::string directory = raw_string_at(program, t.directory);
        struct stat status {};
        if (::stat(directory.c_str(), &status) != 0)
            troubles.push_back("the image runs once, where its ticket is, and the directory of "
                               "that cannot be reached: " +
                               printable(directory) + ": " + std::string(errno_text(errno)));
        else if (!remote::is_private_directory(status, ::geteuid()))
            troubles.push_back("the image runs once, and where its ticket is belongs to another "
                               "user, or others may write: " +
                               printable(directory));
        else if (::access((directory + "/" + raw_string_at(program, t.name)).c_str(), F_OK) != 0)
            troubles.push_back("the image runs once: it has run already, or was given up, as its "
                               "ticket is gone");
    });
}

} // namespace

arch::CpuFeatureSet required_cpu_features(const image::Image& image) {
    arch::CpuFeatureSet required{};
    each_state<kinds::CpuRecord>(image, image::Kind::cpu, [&](const kinds::CpuRecord& record) {
        for (unsigned i = 0; i < arch::cpu_feature_count; ++i)
            if (record.required.has(i))
                required.add(i);
    });
    return required;
}

arch::CpuFeatureSet missing_cpu_features(const image::Image& image) {
    const arch::CpuFeatureSet here = arch::usable_cpu_features();
    arch::CpuFeatureSet missing = required_cpu_features(image);
    for (unsigned i = 0; i < arch::cpu_feature_count; ++i)
        if (here.has(i))
            missing.remove(i);
    return missing;
}

std::string stub_setting(const char* variable) {
    const char* value = std::getenv(variable);
    return value ? value : "";
}

std::vector<std::string> what_is_in_the_way(int fd, const image::Image& image) {
    Troubles troubles;
    look_at_image_file(fd, troubles);
    look_at_cpu(image, troubles);
    look_at_kernel(image, troubles);
    look_at_identity(image, troubles);
    look_at_stack_limit(image, troubles);
    look_at_ticket(image, troubles);
    add_file_troubles(image, troubles);
    return troubles;
}

} // namespace rfork::tool
