// fault-trials OPTION... - rfork() under faults, many times
//
//   --world SPOOL SCRATCH       of each lane a directory of its number in these
//   --keys CALLERS REXECDS      one key, in files of two users
//   --programs HOP MOVING REXECD
//   --target HOST FIRST_PORT
//   --on-caller 'COMMAND'       brings a command to the caller's host; so does --on-target
//   --lanes N                   trials at the same time
//   --seed N --trials N         random plans; trial I of seed N is always the same
//   --only I                    that one alone
//   --verbose, --trace          print every trial; every call
//   --plans FILE                one a line, # begins a comment
//
// What went wrong is printed with the plan that repeats it. Exit status 0: nothing was lost,
// doubled, damaged, left or hung.
#include "faults/lane.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace faults;

namespace {

struct Options {
    Setting setting;
    std::string host;
    int first_port = 7500, lanes = 4;
    std::uint64_t seed = 1;
    int trials = 0, only = -1;
    std::vector<Plan> plans;
    bool verbose = false;
};

// What the lanes have in common.
struct Board {
    std::atomic<int> next, failed, done, reached, faults, parents, failures, killed, copies;
};

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

[[noreturn]] void wrong_usage(const std::string& why) {
    std::fprintf(stderr, "fault-trials: %s\n", why.c_str());
    std::exit(2);
}

std::vector<Plan> plans_in(const std::string& file) {
    std::vector<Plan> plans;
    std::ifstream lines(file);
    if (!lines)
        wrong_usage("cannot read " + file);
    for (std::string line; std::getline(lines, line);) {
        line = line.substr(0, line.find('#'));
        if (words_of(line).empty())
            continue;
        auto plan = parse(line);
        if (!plan)
            wrong_usage("not a plan: " + line);
        plans.push_back(*plan);
    }
    return plans;
}

Options parse_options(int argc, char** argv) {
    Options options;
    const std::vector<std::string> words(argv + 1, argv + argc);
    for (std::size_t at = 0; at < words.size();) {
        const std::string& option = words[at++];
        auto next = [&]() -> const std::string& {
            if (at >= words.size())
                wrong_usage(option + " lacks a value");
            return words[at++];
        };
        if (option == "--world") {
            options.setting.spool = next();
            options.setting.scratch = next();
        } else if (option == "--keys") {
            options.setting.callers_key = next();
            options.setting.rexecds_key = next();
        } else if (option == "--programs") {
            options.setting.forks = next();
            options.setting.moves = next();
            options.setting.rexecd = next();
        } else if (option == "--target") {
            options.host = next();
            options.first_port = std::stoi(next());
        } else if (option == "--on-caller")
            options.setting.on_caller = words_of(next());
        else if (option == "--on-target")
            options.setting.on_target = words_of(next());
        else if (option == "--lanes")
            options.lanes = std::stoi(next());
        else if (option == "--seed")
            options.seed = std::stoull(next());
        else if (option == "--trials")
            options.trials = std::stoi(next());
        else if (option == "--only")
            options.only = std::stoi(next());
        else if (option == "--plans")
            options.plans = plans_in(next());
        else if (option == "--trace")
            options.setting.trace = options.verbose = true;
        else if (option == "--verbose")
            options.verbose = true;
        else
            wrong_usage("no option " + option);
    }
    if (!options.plans.empty())
        options.trials = int(options.plans.size());
    return options;
}

Plan plan_of(const Options& options, int trial) {
    if (!options.plans.empty())
        return options.plans[std::size_t(trial)];
    std::mt19937_64 random(options.seed * 1'000'003 + std::uint64_t(trial));
    return random_plan(random);
}

void tell(int trial, const Plan& plan, const Verdict& verdict, const Lane& lane, bool counts) {
    std::string text = "trial " + std::to_string(trial) + ": " + text_of(plan) + "\n    " +
                       verdict.outcome + (verdict.copy_ran ? ", a copy ran" : "") +
                       ", faults reached: " + std::to_string(verdict.reached) + "\n";
    if (!verdict.complaint.empty())
        text += "    FAILED: " + verdict.complaint + "\n";
    if (counts) {
        text += "    calls:";
        for (const auto& [what, count] : lane.counts())
            text += " " + what + " " + std::to_string(count) + ",";
        text += "\n";
    }
    std::cout << text << std::flush;
}

void count(Board& board, const Plan& plan, const Verdict& verdict) {
    ++board.done;
    board.faults += int(plan.faults.size());
    board.reached += verdict.reached;
    board.copies += verdict.copy_ran;
    board.parents += verdict.outcome == "PARENT" || verdict.outcome == "moved";
    board.failures += verdict.outcome.starts_with("-1 ");
    board.killed += verdict.outcome == "killed";
    board.failed += !verdict.complaint.empty();
}

void run_lane(const Options& options, int number, Board& board) {
    Setting setting = options.setting;
    const std::string name = "/" + std::to_string(number);
    setting.spool += name;
    setting.scratch += name;
    setting.target = options.host + ":" + std::to_string(options.first_port + number);
    Lane lane(setting);
    for (int trial; (trial = board.next++) < options.trials;) {
        if (options.only >= 0 && trial != options.only)
            continue;
        const Plan plan = plan_of(options, trial);
        const Verdict verdict = lane.run(plan);
        count(board, plan, verdict);
        if (options.verbose || !verdict.complaint.empty())
            tell(trial, plan, verdict, lane, true);
    }
}

} // namespace

int main(int argc, char** argv) {
    const Options options = parse_options(argc, argv);
    auto* board = new (::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Board{};
    std::cout << "seed " << options.seed << ", " << options.trials << " trials\n" << std::flush;
    for (int number = 0; number < options.lanes; ++number)
        if (::fork() == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            run_lane(options, number, *board);
            std::exit(0);
        }
    int status, lost_lanes = 0;
    for (pid_t lane; (lane = ::wait(&status)) > 0;)
        if (status != 0) {
            ++lost_lanes;
            std::cout << "a lane has ended with wait status " << status << "\n";
        }
    std::cout << board->done << " trials: " << board->parents << " PARENT or moved, "
              << board->failures << " -1, " << board->killed << " callers killed, " << board->copies
              << " copies ran; " << board->reached << " of " << board->faults << " faults reached; "
              << board->failed << " trials failed\n";
    return board->failed || lost_lanes || !board->done ? 1 : 0;
}
