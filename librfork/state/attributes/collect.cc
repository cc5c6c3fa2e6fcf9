#include "format/kinds.h"
#include "format/records/attributes.h"
#include "process/source.h"

#include <cstdlib>
#include <cstring>

namespace rfork::kinds {
Result<void> collect_attributes(const capture::Source& source, capture::ProcessSnapshot& process) {
    const capture::KernelFacts& facts = source.facts();
    AttributesRecord record{};
    record.no_new_privileges = facts.no_new_privileges;
    record.child_subreaper = facts.child_subreaper;
    record.thp_disable = facts.thp_disable;
    record.not_dumpable = !facts.dumpable;
    record.deny_write_execute = facts.deny_write_execute;
    record.memory_merge = facts.memory_merge;
    record.keep_capabilities = facts.keep_capabilities;
    record.core_filter = source.core_filter();
    const Result<std::string> oom_score_adj = source.read("oom_score_adj");
    if (!oom_score_adj)
        return oom_score_adj.error();
    record.oom_score_adj = std::atoi(oom_score_adj->c_str());
    std::memcpy(record.name, facts.name_of_ended_main, sizeof record.name);
    process.records.add(image::Kind::attributes, record);
    return {};
}

} // namespace rfork::kinds
