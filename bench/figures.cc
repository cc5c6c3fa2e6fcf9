#include "figures.h"

#include "base/json.h"
#include "statistics.h"

#include <cstdio>
#include <fstream>
#include <sys/utsname.h>
#include <unistd.h>

namespace rfork::bench {
namespace {

// Floor and ratio belong to the first size: a small dynamic program.
bool has_ratio(const HeapSize& size) {
    return size.suffix[0] == '\0';
}

std::string cpu_model() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name"))
            return line.substr(line.find(':') + 2);
    }
    return "unknown CPU";
}

} // namespace

std::vector<Figure> figures(const HeapSize& size, const Samples* samples) {
    const Samples none;
    const Samples& s = samples ? *samples : none;
    const std::string suffix = size.suffix, heap = size.name + std::string(" heap: ");
    double floor = median(s.floor), hop = median(s.hop), resume = median(s.resume);

    std::vector<Figure> result;
    if (has_ratio(size))
        result.push_back(
            {"floor_ms", "ms", "vfork + exec + exit of a program that does nothing", floor});
    result.push_back({"hop_ms_p50" + suffix, "ms",
                      heap + "rfork() called to the copy's next instruction, median", hop});
    if (has_ratio(size)) {
        result.push_back({"hop_ms_p99", "ms", heap + "the same, 99 of 100 hops are faster",
                          quantile(s.hop, 0.99)});
        result.push_back(
            {"hop_ratio_self", "", heap + "hop_ms_p50 / floor_ms", floor > 0 ? hop / floor : 0});
    }
    result.push_back({"fork_ms" + suffix, "ms", heap + "the caller stands still", median(s.fork)});
    result.push_back(
        {"write_ms" + suffix, "ms", heap + "the copy writes its image", median(s.write)});
    result.push_back({"request_ms" + suffix, "ms",
                      heap + "datagram, checks, rexecd's fork: the rest of the hop",
                      median(s.rest) - resume});
    result.push_back({"exec_to_resume_ms" + suffix, "ms",
                      heap + "exec of the image to the program's next instruction", resume});
    return result;
}

std::vector<Figure> stall_figures(const StallSamples* samples) {
    const StallSamples none;
    const StallSamples& s = samples ? *samples : none;
    const std::string who = "64 threads, 1 GiB heap: ";
    double fork = median(s.fork), stall = median(s.stall);
    return {
        {"stall_fork_ms", "ms", who + "fork(2) until it returns in the parent, median", fork},
        {"stall_ms", "ms", who + "the threads stand still, median", stall},
        {"stall_p90_ms", "ms", who + "the same, 9 of 10 are shorter", quantile(s.stall, 0.9)},
        {"stall_seen_ms", "ms", who + "the same, as one of the threads sees it, median",
         median(s.seen)},
        {"stall_ratio", "", who + "stall_ms / stall_fork_ms", fork > 0 ? stall / fork : 0},
    };
}

Machine this_machine() {
    utsname name{};
    ::uname(&name);
    return {cpu_model(), ::sysconf(_SC_NPROCESSORS_ONLN),
            std::string(name.sysname) + " " + name.release};
}

void print_table(const Machine& machine, const std::vector<Figure>& figures) {
    std::printf("%s, %ld cores, %s\n", machine.cpu.c_str(), machine.cores, machine.kernel.c_str());
    for (const Figure& figure : figures)
        std::printf("%-22s %10.3f %-2s  %s\n", figure.key.c_str(), figure.value,
                    figure.unit.c_str(), figure.meaning.c_str());
}

void print_json(const Machine& machine, const std::vector<Figure>& figures) {
    Json json;
    json.object([&] {
        json.key("machine").text(machine.cpu);
        json.key("cores").number(machine.cores);
        json.key("kernel").text(machine.kernel);
        for (const Figure& figure : figures)
            json.key(figure.key).number(figure.value, 4);
    });
    std::printf("%s\n", json.str().c_str());
}

} // namespace rfork::bench
