#include "doctor.h"

#include "base/json.h"
#include "describe/describe.h"
#include "doctor/looks.h"

#include <cerrno>
#include <cstdio>
#include <vector>

namespace rfork::tool {
namespace {

struct Look {
    const char* check;
    Finding (*look)();
};

constexpr Look table[] = {
    {"kernel", look_at_release},
    {"memory-areas", look_at_memory_areas},
    {"user-namespaces", look_at_user_namespaces},
    {"pids", look_at_pids},
    {"clocks", look_at_clocks},
    {"proc", look_at_proc},
    {"trace-children", look_at_tracing_children},
    {"trace-others", look_at_tracing_others},
    {"seccomp", look_at_seccomp},
    {"pidfd-getfd", look_at_pidfd_getfd},
    {"kcmp", look_at_kcmp},
    {"vm-readv", look_at_process_vm_readv},
    {"pagemap-scan", look_at_pagemap_scan},
    {"timers", look_at_timers},
    {"timer-numbers", look_at_timer_numbers},
    {"children", look_at_children},
    {"rseq", look_at_rseq},
    {"userfaultfd", look_at_userfaultfd},
    {"open-files", look_at_open_files},
    {"processes", look_at_processes},
    {"address-space", look_at_address_space},
    {"cpu", look_at_cpu},
};

const char* word_for(State state) {
    switch (state) {
    case State::ok:
        return "ok";
    case State::warning:
        return "warning";
    case State::problem:
        return "problem";
    }
    return "";
}

void print(std::string_view check, const Finding& finding) {
    constexpr int state_width = 8, check_width = 16;
    constexpr std::size_t width = 80 - state_width - check_width - 2;
    const char* state = word_for(finding.state);
    std::string name(check);
    for (const Line& line : folded("", finding.found, width)) {
        std::printf("%-*s %-*s %s\n", state_width, state, check_width, name.c_str(),
                    line.text.c_str());
        state = "";
        name.clear();
    }
    if (finding.remedy.empty())
        return;
    const char* mark = "->";
    for (const Line& line : folded("", finding.remedy, width - 3)) {
        std::printf("%*s %s %s\n", state_width + 1 + check_width, "", mark, line.text.c_str());
        mark = "  ";
    }
}

void write(Json& json, std::string_view check, const Finding& finding) {
    json.object([&] {
        json.key("check").text(check);
        json.key("state").text(word_for(finding.state));
        json.key("found").text(finding.found);
        json.key("remedy");
        if (finding.remedy.empty())
            json.nothing();
        else
            json.text(finding.remedy);
    });
}

void look_at_all(const std::string& host, const Tell& tell) {
    for (const Look& one : table)
        tell(one.check, one.look());
    const bool sends = !host.empty();
    tell("key", look_at_key(sends));
    look_at_spool(sends, tell);
    if (sends)
        look_at_host(host, tell);
}

} // namespace

Finding problem(const Error& error) {
    const std::string& sentence = error.sentence;
    const std::size_t colon = sentence.rfind(": ");
    if (colon == std::string::npos || sentence.substr(colon + 2) == errno_text(error.code))
        return problem(sentence, "");
    return problem(sentence.substr(0, colon), sentence.substr(colon + 2));
}

Result<void> doctor(const DoctorOptions& options) {
    unsigned problems = 0;
    const auto each = [&](const Tell& show) {
        look_at_all(options.host, [&](std::string_view check, const Finding& finding) {
            problems += finding.state == State::problem;
            show(check, finding);
        });
    };
    if (options.json) {
        Json json;
        json.object([&] {
            json.key("checks").list([&] {
                each([&](std::string_view check, const Finding& f) { write(json, check, f); });
            });
            json.key("problems").number(problems);
        });
        std::printf("%s\n", json.str().c_str());
    } else {
        each(print);
    }
    if (problems == 0)
        return {};
    return Error{ENOTSUP, problems == 1
                              ? "there is a problem: see above"
                              : "there are " + std::to_string(problems) + " problems: see above"};
}

} // namespace rfork::tool
