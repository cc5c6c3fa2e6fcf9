#include "describe/describe.h"
#include "format/records/attributes.h"

namespace rfork::tool {

Lines describe_attributes(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::AttributesRecord>(
        whole, [](const kinds::AttributesRecord& record) -> Lines {
            std::string flags;
            if (record.no_new_privileges)
                append_word(flags, "no-new-privileges");
            if (record.child_subreaper)
                append_word(flags, "child-subreaper");
            if (record.thp_disable)
                append_word(flags, "no-huge-pages");
            if (record.deny_write_execute)
                append_word(flags, "no-write-execute");
            if (record.memory_merge)
                append_word(flags, "merges-memory");
            if (record.keep_capabilities)
                append_word(flags, "keeps-capabilities");
            if (record.core_filter != kinds::default_core_filter)
                append_word(flags, format("core-filter=%#x", record.core_filter));
            if (record.oom_score_adj)
                append_word(flags, format("oom-score-adj=%d", record.oom_score_adj));
            return {{"attributes", or_none(flags)}};
        });
}

} // namespace rfork::tool
