#include "process/memory_map.h"

#include <cerrno>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

// Reads one field after another from a line that the kernel wrote.
class Scanner {
  public:
    explicit Scanner(std::string_view line) : rest_(line) {}

    bool number(std::uint64_t& value, unsigned base) {
        value = 0;
        std::size_t n = 0;
        for (; n < rest_.size(); ++n) {
            const char c = rest_[n];
            unsigned digit;
            if (c >= '0' && c <= '9')
                digit = unsigned(c - '0');
            else if (base == 16 && c >= 'a' && c <= 'f')
                digit = unsigned(c - 'a') + 10;
            else
                break;
            value = value * base + digit;
        }
        rest_.remove_prefix(n);
        return n > 0;
    }
    bool skip(char c) {
        if (rest_.empty() || rest_[0] != c)
            return false;
        rest_.remove_prefix(1);
        return true;
    }
    void blanks() {
        while (!rest_.empty() && rest_[0] == ' ')
            rest_.remove_prefix(1);
    }
    std::string_view word() {
        const std::string_view w = rest_.substr(0, rest_.find(' '));
        rest_.remove_prefix(w.size());
        blanks();
        return w;
    }
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
};

// The kernel writes a newline in a path as \012 and leaves a backslash alone, so "\012" in a path
// is ambiguous; a newline is what it means.
std::string unescape(std::string_view text) {
    std::string plain(text);
    for (std::size_t at; (at = plain.find("\\012")) != std::string::npos;)
        plain.replace(at, 4, "\n");
    return plain;
}

// "7f0000-7f1000 r-xp 00000000 fe:00 1234   /usr/lib/libc.so.6"
bool parse_mapping(std::string_view line, MemoryMapEntry& entry) {
    Scanner s(line);
    if (!s.number(entry.start, 16) || !s.skip('-') || !s.number(entry.end, 16) || !s.skip(' '))
        return false;
    const std::string_view permissions = s.word();
    if (permissions.size() != 4)
        return false;
    entry.prot = (permissions[0] == 'r' ? PROT_READ : 0u) |
                 (permissions[1] == 'w' ? PROT_WRITE : 0u) |
                 (permissions[2] == 'x' ? PROT_EXEC : 0u);
    entry.shared = permissions[3] == 's';
    if (!s.number(entry.offset, 16))
        return false;
    s.blanks();
    std::uint64_t minor = 0;
    if (!s.number(entry.device, 16) || !s.skip(':') || !s.number(minor, 16))
        return false;
    entry.device = entry.device << 32 | minor;
    s.blanks();
    if (!s.number(entry.inode, 10))
        return false;
    s.blanks();
    entry.name = unescape(s.rest());
    return true;
}

std::uint32_t flag_of(std::string_view letters) {
    static constexpr struct {
        char letters[3];
        std::uint32_t flag;
    } table[] = {{"gd", vm_growsdown},  {"hg", vm_hugepage},  {"nh", vm_nohugepage},
                 {"wf", vm_wipeonfork}, {"dd", vm_dontdump},  {"nr", vm_noreserve},
                 {"mg", vm_mergeable},  {"mw", vm_maywrite},  {"ht", vm_hugetlb},
                 {"pf", vm_device},     {"io", vm_device},    {"um", vm_userfault},
                 {"uw", vm_userfault},  {"ui", vm_userfault}, {"ss", vm_shadow_stack},
                 {"ac", vm_accounted},  {"dc", vm_dontfork},  {"sr", vm_sequential},
                 {"rr", vm_random},     {"dp", vm_droppable}, {"sl", vm_sealed}};
    for (const auto& entry : table)
        if (letters == entry.letters)
            return entry.flag;
    return 0;
}

void parse_detail(std::string_view line, MemoryMapEntry& entry) {
    Scanner s(line);
    const std::string_view name = s.word();
    std::uint64_t kib = 0; // of most lines
    if (name == "Rss:" && s.number(kib, 10))
        entry.rss = kib * 1024;
    else if (name == "Swap:" && s.number(kib, 10))
        entry.swap = kib * 1024;
    else if (name == "ProtectionKey:" && s.number(kib, 10))
        entry.flags |= kib != 0 ? vm_protection_key : 0u;
    else if (name == "VmFlags:")
        while (!s.rest().empty())
            entry.flags |= flag_of(s.word());
}

void take_line(std::string_view line, std::vector<MemoryMapEntry>& entries) {
    // Details begin with a capital letter, a mapping with a hexadecimal digit.
    if (!line.empty() && line[0] >= 'A' && line[0] <= 'Z') {
        if (!entries.empty())
            parse_detail(line, entries.back());
        return;
    }
    MemoryMapEntry entry;
    if (parse_mapping(line, entry))
        entries.push_back(std::move(entry));
}

} // namespace

Result<std::vector<MemoryMapEntry>> read_memory_map(int fd) {
    std::vector<MemoryMapEntry> entries;
    entries.reserve(64);
    std::string pending;
    std::vector<char> buffer(64 * 1024);
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0)
            return system_error(errno, "cannot read the mappings of the process");
        if (got == 0)
            break;
        std::string_view text(buffer.data(), std::size_t(got));
        for (;;) {
            const std::size_t end = text.find('\n');
            if (end == std::string_view::npos)
                break;
            if (pending.empty()) {
                take_line(text.substr(0, end), entries);
            } else {
                pending.append(text.substr(0, end));
                take_line(pending, entries);
                pending.clear();
            }
            text.remove_prefix(end + 1);
        }
        pending.append(text);
    }
    return entries;
}

} // namespace rfork::capture
