// A shared object that lies in memory as its file does, as a vDSO does: its build-id, and the
// functions that it exports. Shared with freestanding code.
//
// It may come from an image, or from memory that a program could write. So every access is checked
// against the size, and what does not add up is as if it were not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <elf.h>

namespace rfork::image {

struct BuildId {
    std::uint8_t bytes[32];
    std::uint32_t size; // 0: it has none
};

class ElfObject {
  public:
    struct Function {
        const char* name;
        std::uint64_t offset; // from the start of the object
        std::uint64_t size;
    };

    // `base` is aligned to 8 bytes at least.
    ElfObject(const void* base, std::uint64_t size)
        : base_(static_cast<const std::uint8_t*>(base)), size_(size) {
        const auto* header = at<Elf64_Ehdr>(0);
        if (!header || !is_elf64(*header))
            return;
        segments_ = at<Elf64_Phdr>(header->e_phoff, header->e_phnum);
        segment_count_ = segments_ ? header->e_phnum : 0;
        for (unsigned i = segment_count_; i-- > 0;)
            if (segments_[i].p_type == PT_LOAD)
                bias_ = segments_[i].p_vaddr - segments_[i].p_offset;
        read_dynamic();
    }

    BuildId build_id() const {
        BuildId id{};
        for (unsigned i = 0; i < segment_count_ && !id.size; ++i)
            if (segments_[i].p_type == PT_NOTE)
                find_build_id(segments_[i], id);
        return id;
    }

    // How many entries its dynamic symbol table has; 0 also if it has none to be believed.
    std::uint32_t symbols() const { return symbol_count_; }

    // Whether symbol number `index` is a function that lies in the object.
    bool function(std::uint32_t index, Function& function) const {
        if (index >= symbol_count_)
            return false;
        const Elf64_Sym& s = symbols_[index];
        function = {name_at(s.st_name), s.st_value - bias_, s.st_size};
        return function.name && ELF64_ST_TYPE(s.st_info) == STT_FUNC && s.st_shndx != SHN_UNDEF &&
               fits(function.offset, function.size);
    }

  private:
    static bool is_elf64(const Elf64_Ehdr& h) {
        return h.e_ident[0] == ELFMAG0 && h.e_ident[1] == ELFMAG1 && h.e_ident[2] == ELFMAG2 &&
               h.e_ident[3] == ELFMAG3 && h.e_ident[EI_CLASS] == ELFCLASS64 &&
               h.e_ident[EI_DATA] == ELFDATA2LSB && h.e_phentsize == sizeof(Elf64_Phdr);
    }

    bool fits(std::uint64_t offset, std::uint64_t size) const {
        return offset <= size_ && size <= size_ - offset;
    }

    template <class T>
    const T* at(std::uint64_t offset, std::uint64_t count = 1) const {
        if (offset % alignof(T) != 0 || count > size_ / sizeof(T) ||
            !fits(offset, count * sizeof(T)))
            return nullptr;
        return reinterpret_cast<const T*>(base_ + offset);
    }

    const char* name_at(std::uint64_t offset) const {
        for (std::uint64_t i = offset; i < name_bytes_; ++i)
            if (names_[i] == '\0')
                return names_ + offset;
        return nullptr;
    }

    void find_build_id(const Elf64_Phdr& segment, BuildId& id) const {
        constexpr std::uint64_t align = 4, owner_size = 4; // "GNU"
        if (!fits(segment.p_offset, segment.p_filesz))
            return;
        const std::uint64_t end = segment.p_offset + segment.p_filesz;
        for (std::uint64_t next = segment.p_offset; next < end;) {
            const auto* note = at<Elf64_Nhdr>(next);
            if (!note)
                return;
            const std::uint64_t content =
                next + sizeof *note + (std::uint64_t(note->n_namesz) + align - 1) / align * align;
            if (!fits(content, note->n_descsz))
                return;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == owner_size) {
                id.size = note->n_descsz < sizeof id.bytes ? note->n_descsz : sizeof id.bytes;
                for (unsigned i = 0; i < id.size; ++i)
                    id.bytes[i] = base_[content + i];
                return;
            }
            next = content + (std::uint64_t(note->n_descsz) + align - 1) / align * align;
        }
    }

    void read_dynamic() {
        const Elf64_Dyn* entries = nullptr;
        std::uint64_t count = 0;
        for (unsigned i = 0; i < segment_count_; ++i) {
            if (segments_[i].p_type != PT_DYNAMIC)
                continue;
            count = segments_[i].p_filesz / sizeof(Elf64_Dyn);
            entries = at<Elf64_Dyn>(segments_[i].p_offset, count);
        }
        constexpr std::uint64_t none = ~std::uint64_t(0);
        std::uint64_t symbols = none, names = none, hash = none, gnu_hash = none;
        for (std::uint64_t i = 0; entries && i < count && entries[i].d_tag != DT_NULL; ++i) {
            const std::uint64_t value = entries[i].d_un.d_val;
            if (entries[i].d_tag == DT_SYMTAB)
                symbols = value - bias_;
            else if (entries[i].d_tag == DT_STRTAB)
                names = value - bias_;
            else if (entries[i].d_tag == DT_STRSZ)
                name_bytes_ = value;
            else if (entries[i].d_tag == DT_HASH)
                hash = value - bias_;
            else if (entries[i].d_tag == DT_GNU_HASH)
                gnu_hash = value - bias_;
        }
        names_ = at<char>(names, name_bytes_);
        if (!names_)
            name_bytes_ = 0;
        const std::uint64_t all = hash != none ? count_by_hash(hash) : count_by_gnu_hash(gnu_hash);
        symbols_ = at<Elf64_Sym>(symbols, all);
        symbol_count_ = symbols_ ? std::uint32_t(all) : 0;
    }

    // The tables do not say how many symbols there are, but the hash table has a chain for each.
    std::uint64_t count_by_hash(std::uint64_t offset) const {
        const auto* buckets_and_chains = at<std::uint32_t>(offset, 2);
        return buckets_and_chains ? buckets_and_chains[1] : 0;
    }

    // Here only the last chain does: its last entry is marked by an odd value.
    std::uint64_t count_by_gnu_hash(std::uint64_t offset) const {
        const auto* head = at<std::uint32_t>(offset, 4);
        if (!head)
            return 0;
        const std::uint64_t buckets = head[0], first = head[1], filter = head[2];
        const std::uint64_t bucket_offset =
            offset + 4 * sizeof *head + filter * sizeof(std::uint64_t);
        const auto* bucket = at<std::uint32_t>(bucket_offset, buckets);
        std::uint64_t last = 0;
        for (std::uint64_t i = 0; bucket && i < buckets; ++i)
            last = bucket[i] > last ? bucket[i] : last;
        if (!bucket || last < first)
            return bucket ? first : 0;
        for (const std::uint64_t chains = bucket_offset + buckets * sizeof *bucket;; ++last) {
            const auto* chain = at<std::uint32_t>(chains + (last - first) * sizeof *bucket);
            if (!chain)
                return 0;
            if (*chain & 1)
                return last + 1;
        }
    }

    const std::uint8_t* base_;
    std::uint64_t size_;
    const Elf64_Phdr* segments_ = nullptr;
    unsigned segment_count_ = 0;
    std::uint64_t bias_ = 0; // of addresses in the object over offsets
    const Elf64_Sym* symbols_ = nullptr;
    std::uint32_t symbol_count_ = 0;
    const char* names_ = nullptr;
    std::uint64_t name_bytes_ = 0;
};

} // namespace rfork::image
