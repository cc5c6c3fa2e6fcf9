#include "kinds/attributes/record.h"
#include "kinds/collectors.h"

namespace rfork::kinds {

Result<void> collect_attributes(const capture::Source& source, capture::Snapshot& snapshot) {
    const capture::KernelFacts& facts = source.facts();
    AttributesRecord record{};
    record.no_new_privileges = facts.no_new_privileges;
    record.child_subreaper = facts.child_subreaper;
    record.thp_disable = facts.thp_disable;
    record.not_dumpable = !facts.dumpable;
    snapshot.records.add(image::Kind::attributes, record);
    return {};
}

} // namespace rfork::kinds
