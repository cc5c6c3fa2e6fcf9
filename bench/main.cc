// rfork-bench: what a hop costs on this machine.
//
// Two rexecd on loopback are the hosts, a directory on a tmpfs is their spool, and a program with a
// heap of known size hops between them. Everything is started here and gone at the end. Hops never
// overlap with each other or with the floor, the time of the smallest possible exec, which is
// measured between them: machines are busy at times, and a ratio of figures taken at different
// times says nothing. For the same reason the stall of a process with many threads is measured by
// turns with a fork of it.
#include "base/command_line.h"
#include "failure.h"
#include "figures.h"
#include "host.h"
#include "measure.h"
#include "programs.h"
#include "stall.h"
#include "workplace.h"

#include <algorithm>
#include <csignal>
#include <cstdio>

using namespace rfork::bench;

namespace {

constexpr int done = 0, failed = 1;

constexpr std::uint64_t mebibyte = 1024 * 1024;
constexpr HeapSize sizes[] = {
    {"", "1 MiB", mebibyte, 10, 300, 50},
    {"_64m", "64 MiB", 64 * mebibyte, 3, 50, 20},
    {"_1g", "1 GiB", 1024 * mebibyte, 2, 12, 8},
};

constexpr const char* stall_group = "stall"; // of figures, on the command line

using Keys = std::vector<std::string>;

bool contains(const Keys& keys, const std::string& key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

Keys known_keys() {
    Keys keys;
    for (const HeapSize& size : sizes) {
        for (const Figure& figure : figures(size, nullptr))
            keys.push_back(figure.key);
    }
    for (const Figure& figure : stall_figures(nullptr))
        keys.push_back(figure.key);
    return keys;
}

std::vector<Figure> only(std::vector<Figure> all, const Keys& wanted) {
    std::erase_if(all, [&](const Figure& figure) { return !contains(wanted, figure.key); });
    return all;
}

void append(std::vector<Figure>& result, std::vector<Figure> more) {
    result.insert(result.end(), more.begin(), more.end());
}

void run_hops(const Keys& wanted, const Programs& programs, const Workplace& workplace,
              std::vector<Figure>& result, rfork::Progress& progress) {
    Host first(programs.rexecd, workplace, "first.log");
    Host second(programs.rexecd, workplace, "second.log");
    for (const HeapSize& size : sizes) {
        if (only(figures(size, nullptr), wanted).empty())
            continue;
        Samples samples = measure(size, programs, workplace, first, second, progress);
        append(result, only(figures(size, &samples), wanted));
    }
}

// What --help says of the figures.
std::string key_list() {
    std::string list;
    auto add = [&list](const std::vector<Figure>& figures) {
        for (const Figure& figure : figures)
            list += "  " + figure.key +
                    std::string(24 - std::min<std::size_t>(22, figure.key.size()), ' ') +
                    figure.meaning + '\n';
    };
    for (const HeapSize& size : sizes)
        add(figures(size, nullptr));
    add(stall_figures(nullptr));
    return list;
}

// CLI11's own check would put all names on one line.
CLI::Validator known_key(const Keys& names) {
    return CLI::Validator(
        [names](const std::string& name) {
            return contains(names, name) ? std::string() : "there is no figure " + name;
        },
        "");
}

// A run takes seconds to minutes, so only those are made that somebody asked for.
std::vector<Figure> run(const Keys& wanted, const std::string& directory) {
    Programs programs = find_programs();
    Workplace workplace(directory);

    rfork::Progress progress("measuring");
    std::vector<Figure> result;
    run_hops(wanted, programs, workplace, result, progress);
    if (!only(stall_figures(nullptr), wanted).empty()) {
        StallSamples samples = measure_stall(programs, workplace, progress);
        append(result, only(stall_figures(&samples), wanted));
    }
    return result;
}

// "stall" stands for all that is measured in one go with it; and no ratio goes without what it is a
// ratio to.
Keys complete(Keys wanted) {
    if (contains(wanted, stall_group))
        for (const Figure& figure : stall_figures(nullptr))
            wanted.push_back(figure.key);
    if (contains(wanted, "hop_ratio_self"))
        wanted.push_back("floor_ms");
    if (contains(wanted, "stall_ratio"))
        wanted.push_back("stall_fork_ms");
    return wanted;
}

// The default action would leave daemons and files behind; waiting calls fail instead.
void survive_signals() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
        ::sigaction(signal, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app{"Measures what a hop costs on this machine, in milliseconds.", "rfork-bench"};
    app.set_version_flag("--version", "rfork-bench " RFORK_VERSION);
    const Keys keys = known_keys();
    Keys names = keys, wanted;
    names.push_back(stall_group);
    bool json = false;
    std::string directory = "/dev/shm";
    app.add_option("--only", wanted, "Only these figures; they are listed below")
        ->delimiter(',')
        ->type_name("KEY[,KEY...]")
        ->check(known_key(names));
    app.footer("Figures:\n" + key_list() + "\n" + stall_group +
               " stands for all whose names begin with it.");
    app.add_flag("--json", json, "One JSON object instead of a table");
    app.add_option("--directory", directory, "A tmpfs for the spool")->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return rfork::answer(app, error);
    }

    wanted = wanted.empty() ? keys : complete(wanted);
    survive_signals();
    try {
        auto result = run(wanted, directory);
        json ? print_json(this_machine(), result) : print_table(this_machine(), result);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "rfork-bench: %s\n", failure.what());
        return failed;
    }
    return done;
}
