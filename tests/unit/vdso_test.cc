// The vDSO as a file in memory, damaged ones included, and the code that takes its functions'
// place.
#include "arch/x86_64/vdso_code.h"
#include "base/elf_object.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <dlfcn.h>
#include <random>
#include <string>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

using namespace rfork;
using image::ElfObject;

namespace {

constexpr std::size_t page = 4096;

// A copy of bytes that ends where memory ends.
class Copy {
  public:
    Copy(const void* bytes, std::size_t size) : size_(size) {
        mapped_ = (size + page - 1) / page * page + page;
        area_ = static_cast<std::uint8_t*>(
            mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        REQUIRE(area_ != MAP_FAILED);
        REQUIRE(mprotect(area_ + mapped_ - page, page, PROT_NONE) == 0);
        if (bytes)
            std::memcpy(data(), bytes, size);
    }
    ~Copy() { munmap(area_, mapped_); }
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;

    std::uint8_t* data() { return area_ + mapped_ - page - size_; }
    std::size_t size() const { return size_; }
    ElfObject object() { return {data(), size_}; }

  private:
    std::size_t size_, mapped_;
    std::uint8_t* area_;
};

// The headers and tables are in the first page; the code behind them matters to no test here.
const std::uint8_t* own_vdso() {
    return reinterpret_cast<const std::uint8_t*>(getauxval(AT_SYSINFO_EHDR));
}

std::vector<std::string> functions_of(const ElfObject& object) {
    std::vector<std::string> names;
    ElfObject::Function function;
    for (std::uint32_t i = 0; i < object.symbols(); ++i)
        if (object.function(i, function))
            names.push_back(function.name);
    return names;
}

void replace_tag(Copy& copy, std::int64_t from, std::int64_t to) {
    auto* header = reinterpret_cast<Elf64_Ehdr*>(copy.data());
    auto* segment = reinterpret_cast<Elf64_Phdr*>(copy.data() + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; ++i)
        if (segment[i].p_type == PT_DYNAMIC)
            for (auto* d = reinterpret_cast<Elf64_Dyn*>(copy.data() + segment[i].p_offset);
                 d->d_tag != DT_NULL; ++d)
                if (d->d_tag == from)
                    d->d_tag = to;
}

bool has_tag(Copy& copy, std::int64_t tag) {
    Copy changed(copy.data(), copy.size());
    replace_tag(changed, tag, DT_DEBUG);
    return std::memcmp(changed.data(), copy.data(), copy.size()) != 0;
}

// Executable memory with the code of one slot in it.
class Slot {
  public:
    explicit Slot(const char* name) {
        area_ = static_cast<std::uint8_t*>(
            mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        REQUIRE(area_ != MAP_FAILED);
        std::uint8_t* slot = area_ + page / 2;
        if (name)
            arch::write_without_vdso(slot, name);
        else
            arch::write_jump(slot, reinterpret_cast<std::uint64_t>(&::getpagesize));
        for (std::size_t i = arch::vdso_slot_size; i < page / 2; ++i)
            REQUIRE(slot[i] == 0);
        arch::write_vdso_entry(area_, slot);
        REQUIRE(mprotect(area_, page, PROT_READ | PROT_EXEC) == 0);
    }
    ~Slot() { munmap(area_, page); }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    template <class... Arguments>
    long operator()(Arguments... arguments) const {
        return reinterpret_cast<long (*)(Arguments...)>(area_)(arguments...);
    }

  private:
    std::uint8_t* area_;
};

} // namespace

TEST_CASE("the functions of a vDSO are found, and its build-id") {
    if (!own_vdso())
        return;
    const std::size_t size = 2 * page; // as much as any has had for years
    const ElfObject object(own_vdso(), size);
    CHECK(object.build_id().size == 20);

    void* library = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    REQUIRE(library);
    unsigned functions = 0;
    ElfObject::Function function;
    for (std::uint32_t i = 0; i < object.symbols(); ++i) {
        if (!object.function(i, function))
            continue;
        CHECK(own_vdso() + function.offset == dlsym(library, function.name));
        CHECK(function.size >= arch::vdso_entry_size);
        ++functions;
    }
    CHECK(functions >= 8); // clock_gettime, gettimeofday, time, getcpu, each by two names
    dlclose(library);
}

TEST_CASE("either hash table of a vDSO tells how many symbols there are") {
    if (!own_vdso())
        return;
    Copy copy(own_vdso(), 2 * page);
    const auto all = functions_of(copy.object());
    REQUIRE_FALSE(all.empty());
    if (has_tag(copy, DT_HASH) && has_tag(copy, DT_GNU_HASH)) {
        replace_tag(copy, DT_HASH, DT_DEBUG);
        CHECK(functions_of(copy.object()) == all);
        replace_tag(copy, DT_GNU_HASH, DT_HASH);
        functions_of(copy.object()); // whatever it says, it says it without a crash
    }
    replace_tag(copy, DT_HASH, DT_DEBUG);
    replace_tag(copy, DT_GNU_HASH, DT_DEBUG);
    CHECK(copy.object().symbols() == 0);
}

TEST_CASE("a damaged vDSO is read without a step outside") {
    if (!own_vdso())
        return;
    std::size_t seen = 0;
    for (std::size_t size = 0; size < 2 * page; size += 8) {
        Copy copy(own_vdso(), size);
        seen += functions_of(copy.object()).size() + copy.object().build_id().size;
    }
    std::mt19937 random(1989);
    Copy copy(own_vdso(), 2 * page);
    for (int i = 0; i < 20000; ++i) {
        std::memcpy(copy.data(), own_vdso(), copy.size());
        for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
            const std::size_t at = random() % 1600; // headers, tables, notes
            copy.data()[at] = std::uint8_t(random() % 3 ? random() : random() % 2 ? 0xff : 0);
        }
        for (const std::string& name : functions_of(copy.object()))
            seen += name.size();
        seen += copy.object().build_id().size;
    }
    CHECK(seen > 0);
    CHECK(ElfObject(nullptr, 0).symbols() == 0);
}

TEST_CASE("a redirected function comes out where it is sent") {
    CHECK(Slot(nullptr)() == getpagesize());
}

TEST_CASE("without a vDSO its functions are system calls") {
    timespec slow{}, fast{};
    CHECK(Slot("__vdso_clock_getres")(CLOCK_MONOTONIC_COARSE, &fast) == 0);
    REQUIRE(clock_getres(CLOCK_MONOTONIC_COARSE, &slow) == 0);
    CHECK(fast.tv_nsec == slow.tv_nsec);

    timespec before{}, now{}, after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK(Slot("clock_gettime")(CLOCK_MONOTONIC, &now) == 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK(std::tie(before.tv_sec, before.tv_nsec) <= std::tie(now.tv_sec, now.tv_nsec));
    CHECK(std::tie(now.tv_sec, now.tv_nsec) <= std::tie(after.tv_sec, after.tv_nsec));
    CHECK(Slot("__vdso_clock_gettime")(1000, &now) == -EINVAL);

    timeval day{};
    time_t stored = 0;
    const time_t start = time(nullptr);
    CHECK(Slot("__vdso_gettimeofday")(&day, nullptr) == 0);
    CHECK(day.tv_sec >= start);
    CHECK(Slot("__vdso_time")(&stored) == stored);
    CHECK(stored >= start);

    unsigned cpu = ~0u, node = ~0u;
    CHECK(Slot("__vdso_getcpu")(&cpu, &node, nullptr) == 0);
    CHECK(cpu < 65536);
    CHECK(node < 65536);
}

TEST_CASE("without a vDSO getrandom is a system call, and knows no states") {
    const Slot slot("__vdso_getrandom");
    unsigned char bytes[16] = {}, zeroes[16] = {}, state[256] = {};
    CHECK(slot(bytes, sizeof bytes, 0u, state, sizeof state) == sizeof bytes);
    CHECK(std::memcmp(bytes, zeroes, sizeof bytes) != 0);
    CHECK(slot(bytes, sizeof bytes, ~0u, state, sizeof state) == -EINVAL);
    CHECK(slot(nullptr, std::size_t(0), 0u, state, ~std::size_t(0)) == -ENOSYS);
}

TEST_CASE("a function that nobody knows says so") {
    CHECK(Slot("__vdso_sgx_enter_enclave")(1, 2, 3) == -ENOSYS);
    CHECK(Slot("clock_gettime_")(CLOCK_MONOTONIC, nullptr) == -ENOSYS);
    CHECK(Slot("")() == -ENOSYS);
}
