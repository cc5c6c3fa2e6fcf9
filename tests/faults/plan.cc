#include "faults/plan.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <sstream>
#include <sys/resource.h>

namespace faults {
namespace {

constexpr const char* role_names[] = {"caller", "writer", "daemon", "runner", "stub", "other"};
constexpr const char* call_names[] = {"rename", "create", "open", "unlink", "link",
                                      "mkdir",  "write",  "read", "sync",   "list",
                                      "stat",   "tell",   "send", "exec",   "other"};

struct ActionWords {
    const char* name;
    bool error, ms, limit;
};

constexpr ActionWords action_words[] = {
    {"kill", false, false, false},        {"kill-after", false, false, false},
    {"kill-late", false, true, false},    {"error", true, false, false},
    {"error-after", true, false, false},  {"error-late", true, true, false},
    {"late", false, true, false},         {"late-answer", false, true, false},
    {"stop", false, true, false},         {"outage", true, true, false},
    {"hang", false, true, false},         {"drop", false, false, false},
    {"lose-ticket", false, false, false}, {"lose-directory", false, false, false},
    {"full", false, true, false},         {"read-only", false, true, false},
    {"limit", false, false, true},        {"orphan", false, false, false},
};

struct Limit {
    const char* name;
    int resource;
    long least, most; // what a random plan takes
};

// A file of the least size is what the program writes when all is over; so for the descriptors.
constexpr Limit limits[] = {{"fsize", RLIMIT_FSIZE, 65536, 3 << 20},
                            {"nofile", RLIMIT_NOFILE, 8, 40},
                            {"as", RLIMIT_AS, 4 << 20, 64 << 20},
                            {"nproc", RLIMIT_NPROC, 1, 4}};

template <std::size_t N>
int index_of(const std::string& word, const char* const (&names)[N]) {
    auto found = std::find(std::begin(names), std::end(names), word);
    return found == std::end(names) ? -1 : int(found - std::begin(names));
}

int error_of(const std::string& name) {
    for (int error = 1; error < 134; ++error)
        if (const char* known = ::strerrorname_np(error); known && name == known)
            return error;
    return 0;
}

bool parse_fault(std::istringstream& words, const std::string& role, Fault& fault) {
    std::string call, nth, action;
    words >> call >> nth >> action;
    const int r = index_of(role, role_names), c = index_of(call, call_names);
    auto known = std::find_if(std::begin(action_words), std::end(action_words),
                              [&](const ActionWords& a) { return action == a.name; });
    if (r < 0 || c < 0 || nth.empty() || known == std::end(action_words))
        return false;
    fault.role = Role(r);
    fault.call = Call(c);
    const std::size_t dots = nth.find("..");
    fault.first = std::atoi(nth.c_str());
    fault.last = dots == std::string::npos ? fault.first : std::atoi(nth.c_str() + dots + 2);
    fault.action = Action(known - std::begin(action_words));
    std::string word;
    if (known->error && (!(words >> word) || !(fault.error = error_of(word))))
        return false;
    if (known->ms && !(words >> fault.ms))
        return false;
    if (known->limit) {
        words >> word >> fault.value;
        auto limit = std::find_if(std::begin(limits), std::end(limits),
                                  [&](const Limit& l) { return word == l.name; });
        if (!words || limit == std::end(limits))
            return false;
        fault.resource = limit->resource;
    }
    return true;
}

std::string text_of(const Fault& fault) {
    const ActionWords& action = action_words[int(fault.action)];
    std::ostringstream text;
    text << name_of(fault.role) << ' ' << name_of(fault.call) << ' ' << fault.first;
    if (fault.last != fault.first)
        text << ".." << (fault.last ? std::to_string(fault.last) : "");
    text << ' ' << action.name;
    if (action.error)
        text << ' ' << ::strerrorname_np(fault.error);
    if (action.ms)
        text << ' ' << fault.ms;
    for (const Limit& limit : limits)
        if (action.limit && limit.resource == fault.resource)
            text << ' ' << limit.name << ' ' << fault.value;
    return text.str();
}

// --- random
// ---------------------------------------------------------------------------------------

class Chance {
  public:
    explicit Chance(std::mt19937_64& random) : random_(random) {}
    // Not std::uniform_int_distribution: the same seed gives the same plans with any library.
    long between(long least, long most) {
        return least + long(random_() % std::uint64_t(most - least + 1));
    }
    bool in(int n) { return between(1, n) == 1; }
    template <class T>
    const T& one_of(const std::vector<T>& all) {
        return all[std::size_t(between(0, long(all.size()) - 1))];
    }

  private:
    std::mt19937_64& random_;
};

// What each of them does on the spool; more often named, more often chosen.
const std::vector<Call>& calls_of(Role role) {
    using enum Call;
    static const std::vector<Call> of_caller = {rename, rename, rename, rename, stat, list,
                                                unlink, mkdir,  open,   create, send, link};
    static const std::vector<Call> of_writer = {rename, create, write, write,
                                                sync,   unlink, open,  stat};
    static const std::vector<Call> of_daemon = {send, send, open, list};
    static const std::vector<Call> of_runner = {rename, rename, open, list, stat, create,
                                                unlink, read,   exec, tell, tell};
    static const std::vector<Call> of_stub = {rename, rename, rename, rename, stat,
                                              list,   open,   tell,   read,   unlink};
    switch (role) {
    case Role::caller:
        return of_caller;
    case Role::writer:
        return of_writer;
    case Role::daemon:
        return of_daemon;
    case Role::runner:
        return of_runner;
    default:
        return of_stub;
    }
}

// Only what leaves open whether the call is still on its way may be followed by its effect; an
// error after it may be any, that of a call which was made twice in particular.
int random_error(Call call, Action action, Chance& chance) {
    std::vector<int> errors = {EIO, EIO, EIO, ETIMEDOUT, ESTALE, ENOMEM};
    if (action == Action::error_late)
        return chance.one_of(errors);
    errors.insert(errors.end(), {EACCES, EROFS, ENOSPC, EDQUOT});
    if (action == Action::error_after) {
        if (call == Call::rename || call == Call::unlink)
            errors.insert(errors.end(), 5, ENOENT);
        if (call == Call::create || call == Call::link || call == Call::mkdir)
            errors.insert(errors.end(), 5, EEXIST);
    }
    return chance.one_of(errors);
}

// A pipe does not fail.
Action random_action(Call call, Chance& chance) {
    using enum Action;
    switch (call) {
    case Call::send:
        return chance.one_of<Action>({drop, drop, kill, kill_after, late, stop, error});
    case Call::exec:
    case Call::tell:
        return chance.one_of<Action>({kill, kill_after, stop, late, outage, lose_ticket});
    default:
        return chance.one_of<Action>({kill, kill_after, kill_late, kill_late, error, error,
                                      error_after, error_after, error_late, error_late, late,
                                      late_answer, stop, outage, hang, lose_ticket, full, read_only,
                                      limit});
    }
}

int random_ms(Action action, Chance& chance) {
    const bool cheap = action == Action::kill_late || action == Action::error_late;
    return int(chance.in(8) ? chance.between(1000, cheap ? 5000 : 3000) : chance.between(1, 400));
}

Fault random_fault(Chance& chance) {
    using enum Role;
    Fault fault;
    fault.role = chance.one_of<Role>(
        {caller, caller, caller, writer, daemon, runner, runner, runner, stub, stub, stub, stub});
    fault.call = chance.one_of(calls_of(fault.role));
    while (fault.first < 6 && chance.in(3))
        ++fault.first;
    fault.last = fault.first;
    fault.action = random_action(fault.call, chance);
    fault.error = random_error(fault.call, fault.action, chance);
    fault.ms = random_ms(fault.action, chance);
    if ((fault.action == Action::error || fault.action == Action::drop) && chance.in(2))
        fault.last += int(chance.between(1, 12));
    if (fault.action == Action::limit) {
        const Limit& limit = limits[chance.between(0, long(std::size(limits)) - 1)];
        fault.resource = limit.resource;
        fault.value = chance.between(limit.least, limit.most);
    }
    return fault;
}

// Without some misfortune caller and runner never get to where they give up, so there is one to
// begin with.
void add_situation(Plan& plan, Chance& chance) {
    static const std::vector<const char*> situations = {
        "timeout 300; daemon send 1.. drop",
        "timeout 300; caller send 1.. drop",
        "timeout 40",
        "timeout 200; stub open 1 stop 500",
        "timeout 200; stub rename 1 late 300",
        "timeout 300; stub rename 1 late-answer 400",
        "timeout 300; runner open 1 late 400",
        "timeout 500; daemon send 2 kill",
        "stub rename 1 kill",
        "stub rename 1 kill-late 200",
        "stub open 1 kill",
        "runner tell 1 kill",
        "timeout 800; stub rename 1 error-late EIO 600; stub rename 2..10 error EIO",
        "timeout 800; stub rename 1 error-late EIO 600; daemon send 2.. drop",
        "timeout 300; caller rename 2 error-late EIO 500; daemon send 2.. drop",
        "timeout 300; caller rename 1 error-late EIO 100",
        "runner exec 1 error EIO",
        "timeout 300; runner exec 1 kill",
    };
    plan = *parse(chance.one_of(situations));
}

} // namespace

const char* name_of(Role role) {
    return role_names[int(role)];
}

const char* name_of(Call call) {
    return call_names[int(call)];
}

std::string text_of(const Plan& plan) {
    std::string text =
        (plan.move ? "move; timeout " : "timeout ") + std::to_string(plan.timeout_ms);
    for (const Fault& fault : plan.faults)
        text += "; " + text_of(fault);
    return text;
}

std::optional<Plan> parse(const std::string& text) {
    Plan plan;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ';');) {
        std::istringstream words(part);
        std::string first;
        if (!(words >> first))
            continue;
        if (first == "move") {
            plan.move = true;
            continue;
        }
        if (first == "timeout") {
            words >> plan.timeout_ms;
            continue;
        }
        Fault fault;
        if (!parse_fault(words, first, fault))
            return std::nullopt;
        plan.faults.push_back(fault);
    }
    return plan;
}

Plan random_plan(std::mt19937_64& random) {
    Chance chance(random);
    Plan plan;
    if (!chance.in(3))
        add_situation(plan, chance);
    plan.move = chance.in(3);
    plan.faults.push_back(random_fault(chance));
    if (plan.move && chance.in(4))
        plan.faults.back().action = Action::orphan;
    while (plan.faults.size() < 4 && chance.in(3))
        plan.faults.push_back(random_fault(chance));
    return plan;
}

} // namespace faults
