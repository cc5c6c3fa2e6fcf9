// RFORK_MAP: what stands at the beginning of the program's paths is something else here, such as
// the scratch directory of a job, which has another name at each run.
//
//   RFORK_MAP=OLD=NEW:OLD=NEW...     with a backslash in front of what belongs to a path: : = \ .
//
// OLD stands for whole components: /scratch/1 is not the beginning of /scratch/10. Of several that
// fit, the longest is taken.
#include "format/kinds.h"
#include "format/records/address_space.h"
#include "stub/stub.h"

#include <linux/errno.h>
#include <linux/mman.h>

namespace rfork::stub {
namespace {

// The text of RFORK_MAP, one path after the other.
class MapReader {
  public:
    MapReader(Stub& stub, const char* text) : stub_(stub), text_(text), rest_(text) {}

    void read_all() {
        while (*rest_) {
            read_path('=');
            read_path(':');
        }
    }

  private:
    // Up to `end`, which is not part of it; only the last one may do without.
    void read_path(char end) {
        if (*rest_ != '/')
            malformed();
        const unsigned begin = stub_.paths.size;
        while (*rest_ && *rest_ != end)
            put(*rest_ == '\\' ? escaped() : *rest_++);
        if (*rest_)
            ++rest_;
        else if (end == '=')
            malformed();
        unsigned& size = stub_.paths.size;
        while (size > begin && stub_.paths.text[size - 1] == '/')
            --size;
        put('\0');
    }

    char escaped() {
        if (!*++rest_)
            malformed();
        return *rest_++;
    }

    void put(char byte) {
        if (stub_.paths.size == sizeof stub_.paths.text)
            fail(stub_, EINVAL, "RFORK_MAP in the environment is longer than 8192 bytes");
        stub_.paths.text[stub_.paths.size++] = byte;
    }

    [[noreturn]] void malformed() const {
        fail(stub_, EINVAL,
             "RFORK_MAP must be OLD=NEW, or several of these with a colon between them, all of "
             "them absolute paths, and is",
             text_);
    }

    Stub& stub_;
    const char* text_;
    const char* rest_;
};

bool begins_with(const char* path, const char* old) {
    const unsigned size = length(old);
    return starts_with(path, old) && (path[size] == '/' || (path[size] == '\0' && size > 0));
}

struct Rule {
    const char* old = nullptr;
    const char* now = nullptr;
};

Rule rule_for(const PathMap& map, const char* path) {
    Rule found;
    for (const char* at = map.text; at < map.text + map.size;) {
        const Rule rule{at, at + length(at) + 1};
        if (begins_with(path, rule.old) && (!found.old || length(rule.old) >= length(found.old)))
            found = rule;
        at = rule.now + length(rule.now) + 1;
    }
    return found;
}

bool is_writable(const Stub& stub, std::uint64_t start, std::uint64_t end) {
    constexpr std::uint32_t prot_rw = PROT_READ | PROT_WRITE;
    for (const image::Mapping& m : mappings_of(stub))
        if (m.start <= start && end <= m.end)
            return m.kind == image::MappingKind::anonymous && (m.prot & prot_rw) == prot_rw;
    return false;
}

// The value of a variable of the environment with which the program was started.
char* find_variable(std::uint64_t start, std::uint64_t end, const char* name) {
    auto* const last = reinterpret_cast<char*>(end);
    for (auto* at = reinterpret_cast<char*>(start); at < last;) {
        char* const begin = at;
        while (at < last && *at)
            ++at;
        if (at++ < last && starts_with(begin, name))
            return begin + length(name);
    }
    return nullptr;
}

} // namespace

void parse_map(Stub& stub, const char* text) {
    MapReader(stub, text).read_all();
}

const char* path_here(const Stub& stub, const char* path) {
    const Rule rule = rule_for(stub.paths, path);
    if (!rule.old)
        return path;
    const char* rest = path + length(rule.old);
    if (length(rule.now) + length(rest) >= sizeof stub.paths.here)
        fail(stub, EINVAL, "RFORK_MAP makes a path of the program longer than a path may be,",
             path);
    Text here(stub.paths.here, sizeof stub.paths.here);
    here << rule.now << (rule.now[0] || rest[0] ? rest : "/");
    return stub.paths.here;
}

void map_temporary_directory(const Stub& stub, const kinds::AddressSpaceRecord& r) {
    if (stub.paths.size == 0 || !is_writable(stub, r.env_start, r.env_end))
        return;
    char* value = find_variable(r.env_start, r.env_end, "TMPDIR=");
    const char* here = value ? path_here(stub, value) : nullptr;
    if (here == value)
        return;
    const unsigned room = length(value), size = length(here);
    if (size > room)
        return note(stub, "TMPDIR of the program stays what it was, as there is no room for", here);
    __builtin_memcpy(value, here, size);
    __builtin_memset(value + size, 0, room - size);
}

} // namespace rfork::stub
