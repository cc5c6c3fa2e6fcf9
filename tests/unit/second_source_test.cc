// Collectors see a process through its source alone: here they look at another process than the one
// they run in, and find what is true of that one.
#include "format/kinds.h"
#include "format/records/event_fd.h"
#include "format/records/open_file.h"
#include "format/records/pipe.h"
#include "format/records/resource_limits.h"
#include "format/records/umask.h"
#include "format/records/working_directory.h"
#include "objects/collect_process.h"
#include "objects/descriptors.h"
#include "objects/table_of_kinds.h"
#include "process/children.h"
#include "process/memory.h"
#include "process/program_vdso.h"
#include "process/provenance.h"
#include "snapshot/snapshot.h"
#include "stopped_process.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <climits>
#include <cstring>
#include <filesystem>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

using namespace rfork;
using namespace rfork::capture;
using image::Kind;
using image::MappingKind;

namespace {

constexpr std::size_t page = 4096;
constexpr unsigned limit_of_cores = RLIMIT_CORE;

struct Report { // by the child, in memory that both share
    void *shared, *of_file, *secret;
    int file, duplicate, event, pipe[2];
    pid_t grandchild;
};

// What is true of the child and not of this process.
void become_another(Report& report, const std::string& directory) {
    ::syscall(SYS_close_range, 3, ~0u, 0);
    if (chdir(directory.c_str()) != 0)
        _exit(2);
    umask(0123);
    const rlimit none{};
    setrlimit(RLIMIT_CORE, &none);

    report.file = open("log", O_CREAT | O_RDWR | O_APPEND, 0600);
    report.duplicate = dup(report.file);
    if (write(report.file, "sixteen letters.", 16) != 16)
        _exit(2);
    report.event = eventfd(7, 0);
    if (pipe(report.pipe) != 0 || write(report.pipe[1], "under way", 9) != 9)
        _exit(2);

    constexpr int both = PROT_READ | PROT_WRITE;
    report.shared = mmap(nullptr, 2 * page, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    report.of_file = mmap(nullptr, page, both, MAP_SHARED, report.file, 0);
    report.secret = mmap(nullptr, page, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::strcpy(static_cast<char*>(report.secret), "the child's alone");
}

class Child {
  public:
    explicit Child(bool with_grandchild = false)
        : report_(static_cast<Report*>(mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE,
                                            MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
        char made[] = "/tmp/rfork-second-source-XXXXXX";
        REQUIRE(mkdtemp(made));
        directory = made;
        pid_ = fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            become_another(*report_, directory);
            const pid_t grandchild = with_grandchild ? fork() : -1;
            if (grandchild == 0) {
                for (;;)
                    pause();
            }
            report_->grandchild = grandchild;
            raise(SIGSTOP);
            _exit(0);
        }
        int status = 0;
        const bool stopped = waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status);
        REQUIRE(stopped);
    }
    ~Child() {
        if (report_->grandchild > 0)
            kill(report_->grandchild, SIGKILL);
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        std::filesystem::remove_all(directory);
        munmap(report_, sizeof(Report));
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    pid_t pid() const { return pid_; }
    const Report& report() const { return *report_; }
    std::string directory;

  private:
    Report* report_;
    pid_t pid_ = 0;
};

// All that a test needs to collect something from a child.
struct Capture {
    explicit Capture(bool with_grandchild = false) : child(with_grandchild), source(child.pid()) {
        process.identity = *source.identity();
    }

    // Those records of a kind for which `wanted` is true.
    template <class Record, class Wanted>
    std::vector<const Record*> records(Kind kind, Wanted wanted) const {
        std::vector<const Record*> found;
        const capture::RecordList* const lists[] = {&snapshot.objects, &process.records};
        for (const capture::RecordList* list : lists) {
            const std::vector<std::uint8_t>& bytes = list->bytes();
            for (std::size_t at = 0; at < bytes.size();) {
                const auto* header = reinterpret_cast<const image::RecordHeader*>(&bytes[at]);
                const auto* record = reinterpret_cast<const Record*>(header);
                if (header->kind == kind && wanted(*record))
                    found.push_back(record);
                at += header->size;
            }
        }
        return found;
    }
    template <class Record>
    const Record& the_record(Kind kind) const {
        const auto all = records<Record>(kind, [](const Record&) { return true; });
        REQUIRE(all.size() == 1);
        return *all.front();
    }
    std::string text(std::uint32_t offset) const {
        return std::string(snapshot.strings.at(offset));
    }

    Child child;
    test::StoppedProcess source;
    Snapshot snapshot;
    ProcessSnapshot& process = snapshot.processes.emplace_back(snapshot);
};

std::string own_directory() {
    char here[PATH_MAX];
    return getcwd(here, sizeof here) ? here : "";
}

const image::Mapping* mapping_at(const ProcessSnapshot& process, const void* address) {
    const auto at = reinterpret_cast<std::uint64_t>(address);
    for (const image::Mapping& m : process.mappings)
        if (at >= m.start && at < m.end)
            return &m;
    return nullptr;
}

} // namespace

TEST_CASE("directory, umask and limits are those of the process that the source is of") {
    Capture capture;
    REQUIRE(kinds::collect_working_directory(capture.source, capture.process));
    REQUIRE(kinds::collect_umask(capture.source, capture.process));
    capture.source.notice_beginnings(limit_of_cores, {RLIM_INFINITY, RLIM_INFINITY});
    REQUIRE(kinds::collect_resource_limits(capture.source, capture.process));

    const auto& directory =
        capture.the_record<kinds::WorkingDirectoryRecord>(Kind::working_directory);
    CHECK(capture.text(directory.path) == capture.child.directory);
    CHECK(capture.text(directory.path) != own_directory());
    CHECK(directory.owner.user == getuid());
    CHECK(capture.the_record<kinds::UmaskRecord>(Kind::umask).mask == 0123);

    const auto& limits = capture.the_record<kinds::ResourceLimitsRecord>(Kind::resource_limits);
    CHECK(limits.limits[limit_of_cores] == kinds::Limit{0, 0});
    CHECK(limits.own_soft == 1u << limit_of_cores);
    CHECK(limits.beginnings == 0); // it keeps none
}

TEST_CASE("a directory that another has taken the place of is seen from that process's root") {
    Capture capture;
    const std::string& there = capture.child.directory;
    std::filesystem::rename(there, there + ".moved");
    std::filesystem::create_directory(there);
    REQUIRE(kinds::collect_working_directory(capture.source, capture.process));
    CHECK(capture.text(
              capture.the_record<kinds::WorkingDirectoryRecord>(Kind::working_directory).path) ==
          there + ".moved");
    std::filesystem::remove_all(there + ".moved");

    Snapshot other;
    const Result<void> gone =
        kinds::collect_working_directory(capture.source, other.processes.emplace_back(other));
    REQUIRE(!gone);
    CHECK(gone.error().code == ENOTSUP);
}

TEST_CASE("descriptors are those of the process that the source is of, with their contents") {
    Capture capture;
    const Report& report = capture.child.report();
    REQUIRE(kinds::sort_descriptors(capture.source, capture.process));
    REQUIRE(kinds::collect_open_file(capture.source, capture.process));
    REQUIRE(kinds::collect_pipe(capture.source, capture.process));
    REQUIRE(kinds::collect_event_fd(capture.source, capture.process));
    CHECK(std::ranges::count_if(capture.process.numbers, [](int fd) { return fd > 2; }) == 5);

    const auto files = capture.records<kinds::OpenFileRecord>(
        Kind::open_file, [](const auto& file) { return file.type == kinds::FileType::regular; });
    REQUIRE(files.size() == 1);
    CHECK(capture.text(files[0]->object.name) == capture.child.directory + "/log");
    CHECK(files[0]->position == 16);
    CHECK(files[0]->size == 16);
    CHECK((files[0]->object.flags & O_APPEND) != 0);
    const std::uint32_t file = files[0]->object.id;
    CHECK(kinds::object_at(capture.process, report.file) == file);
    CHECK(kinds::object_at(capture.process, report.duplicate) == file); // by kcmp(2)
    CHECK(kinds::object_at(capture.process, report.event) != file);

    const auto& pipe = capture.the_record<kinds::PipeRecord>(Kind::pipe);
    REQUIRE(pipe.bytes == 9);
    CHECK(std::memcmp(pipe.data(), "under way", 9) == 0);
    CHECK(capture.the_record<kinds::EventFdRecord>(Kind::event_fd).count == 7);
    CHECK(!capture.snapshot.obstacles.any());
}

TEST_CASE("what was in a pipe or a counter is there still when it has been collected") {
    Capture capture;
    const Report& report = capture.child.report();
    REQUIRE(kinds::sort_descriptors(capture.source, capture.process));
    REQUIRE(kinds::collect_pipe(capture.source, capture.process));
    REQUIRE(kinds::collect_event_fd(capture.source, capture.process));
    char text[16];
    CHECK(read(capture.source.descriptor(report.pipe[0])->get(), text, sizeof text) == 9);
    std::uint64_t count = 0;
    CHECK(read(capture.source.descriptor(report.event)->get(), &count, sizeof count) == 8);
    CHECK(count == 7);
}

TEST_CASE("memory is that of the process that the source is of") {
    Capture capture;
    const Report& report = capture.child.report();
    const Result<std::vector<MemoryMapEntry>> entries = capture.source.memory_map();
    REQUIRE(entries);
    REQUIRE(kinds::collect_address_space(capture.source, capture.process));
    // The page that the test shares with the child is the only one it has by another way.
    const auto page_of_report = reinterpret_cast<std::uint64_t>(&report);
    const Range own[] = {{page_of_report, page_of_report + page}};
    const Result<void> done = classify_memory(capture.source, *entries, own, capture.process);
    if (!done)
        FAIL(done.error().sentence);

    const image::Mapping* shared = mapping_at(capture.process, report.shared);
    REQUIRE(shared);
    CHECK(shared->kind == MappingKind::shared_memory);
    CHECK(shared->end - shared->start == 2 * page);
    const image::Mapping* of_file = mapping_at(capture.process, report.of_file);
    REQUIRE(of_file);
    CHECK(of_file->kind == MappingKind::file_shared);
    CHECK(capture.text(of_file->name) == capture.child.directory + "/log");
    CHECK(!mapping_at(capture.process, &report));

    char secret[18] = {};
    CHECK(capture.source.read_memory(reinterpret_cast<std::uint64_t>(report.secret), secret,
                                     sizeof secret) == sizeof secret);
    CHECK(secret == std::string("the child's alone"));
    CHECK(capture.source.read_memory(page_of_report + (std::uint64_t(1) << 50), secret, 1) == 0);

    REQUIRE(kinds::add_mapped_files(capture.source, capture.process));
    const auto& file = capture.the_record<kinds::OpenFileRecord>(Kind::open_file);
    CHECK(file.type == kinds::FileType::mapped);
    CHECK(file.size == 16);
}

TEST_CASE("mappings of the same shared memory are of one object, in all processes") {
    Capture capture;
    auto objects = [&](ProcessSnapshot& process, std::initializer_list<std::uint64_t> inodes) {
        std::vector<MemoryMapEntry> entries;
        for (std::uint64_t inode : inodes) {
            MemoryMapEntry e;
            e.start = 0x100000000 + entries.size() * 2 * page;
            e.end = e.start + page;
            e.shared = true;
            e.inode = inode;
            e.name = "/dev/zero (deleted)";
            entries.push_back(e);
        }
        REQUIRE(classify_memory(capture.source, entries, {}, process));
        std::vector<std::uint32_t> found;
        for (const image::Mapping& m : process.mappings)
            found.push_back(m.object);
        return found;
    };
    CHECK(objects(capture.process, {7, 5, 7, 9, 5}) == std::vector<std::uint32_t>{1, 2, 1, 3, 2});
    CHECK(objects(capture.snapshot.processes.emplace_back(capture.snapshot), {11, 9, 11, 7}) ==
          std::vector<std::uint32_t>{4, 3, 4, 1});
    CHECK(capture.snapshot.shared_memory.size() == 4);
}

TEST_CASE("a mapped file that is no longer at its path is missed there, not here") {
    Capture capture;
    std::filesystem::rename(capture.child.directory + "/log", capture.child.directory + "/moved");
    std::filesystem::copy_file("/proc/self/comm", capture.child.directory + "/moved.copy");
    auto entries = capture.source.memory_map();
    REQUIRE(entries);
    for (MemoryMapEntry& entry : *entries)
        if (entry.name == capture.child.directory + "/moved")
            entry.name += ".copy";
    const Result<void> r = classify_memory(capture.source, *entries, {}, capture.process);
    REQUIRE(!r);
    CHECK(r.error().sentence.find("no longer at that path") != std::string::npos);
}

TEST_CASE("a process that was not resumed has one vDSO, and no image that its files come from") {
    Capture capture;
    auto entries = capture.source.memory_map();
    REQUIRE(entries);
    REQUIRE(kinds::collect_address_space(capture.source, capture.process));
    CHECK(!find_redirection(capture.source, *entries, capture.process.auxv));
    const Provenance provenance = Provenance::of(capture.source);
    for (MemoryMapEntry& entry : *entries) {
        const std::string before = entry.name;
        provenance.restore(entry);
        CHECK(entry.name == before);
    }
}

TEST_CASE("all collectors, one after the other, make a process of it") {
    Capture capture;
    const Result<void> process = kinds::collect_process(capture.source, {}, capture.process);
    if (!process)
        FAIL(process.error().sentence);
    const Report& report = capture.child.report();
    const auto page_of_report = reinterpret_cast<std::uint64_t>(&report);
    const Range own[] = {{page_of_report, page_of_report + page}};
    REQUIRE(kinds::collect_memory(capture.source, own, capture.process));

    CHECK(capture.process.identity.pid == capture.source.pid());
    CHECK(kinds::object_at(capture.process, report.event) != 0);
    CHECK(capture.the_record<kinds::UmaskRecord>(Kind::umask).mask == 0123);
    const image::Mapping* shared = mapping_at(capture.process, report.shared);
    REQUIRE(shared);
    CHECK(shared->object != 0);
    CHECK(!mapping_at(capture.process, &report));

    const Capture parent(true);
    Snapshot other;
    ProcessSnapshot& with_child = other.processes.emplace_back(other);
    const Result<void> refused = kinds::collect_process(parent.source, {}, with_child);
    REQUIRE(!refused);
    CHECK(refused.error().code == ENOTSUP);
    Snapshot another;
    CHECK(
        kinds::collect_process(parent.source, {{}, true}, another.processes.emplace_back(another)));
}

TEST_CASE("children are those of the process that the source is of") {
    const Capture alone, parent(true);
    CHECK(check_no_children(alone.source, {}));
    const Result<void> r = check_no_children(parent.source, {});
    REQUIRE(!r);
    CHECK(r.error().sentence.find("has a child, " +
                                  std::to_string(parent.child.report().grandchild)) !=
          std::string::npos);
    const pid_t ours[] = {parent.child.report().grandchild};
    CHECK(check_no_children(parent.source, ours));
}
