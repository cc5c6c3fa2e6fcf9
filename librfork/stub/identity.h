// What identity.cc, and the files it calls, share among themselves: see the essay there.
#pragma once

#include "format/records/process.h"
#include "stub/stub.h"

#include <linux/time.h>

namespace rfork::stub {

// identity.cc: returns in the program, which may be a child of who has called.
void keep_ids(Stub&, const kinds::ProcessRecord&);
// As fork(2); `pid`: that it is to have, or 0.
long make_process(int pid, int exit_signal);

// For sentences.
struct PidText {
    char text[16];
    explicit PidText(int pid) { Text(text, sizeof text) << std::uint64_t(pid); }
};

// rights.cc
inline constexpr unsigned cap_sys_admin = 21, cap_checkpoint_restore = 40; // the latter: Linux 5.9
inline constexpr std::uint64_t bit(unsigned number) {
    return std::uint64_t(1) << number;
}
Rights read_rights();
bool may_choose_pids(const Rights&);
// From those that a user namespace gives back to `rights`, and `extra`.
void limit_rights(const Stub&, const Rights& rights, std::uint64_t extra);

// namespaces.cc: 0 or -errno.
long enter_user_namespace(Stub&, std::uint64_t others);
long enter_pid_namespace(Stub&); // its children do; it takes a user namespace if it must
void mount_proc();               // the proc of this pid namespace, if that is permitted

// clocks.cc
class Clocks {
  public:
    explicit Clocks(const kinds::ProcessRecord& record) : record_(record) {}
    bool are_continuous() const; // the program will not notice
    long continue_in_children(); // by a time namespace, with the rights there are; 0 or -errno
    void continue_here(Stub&);   // if they are not; takes a user namespace if it must, or rebases
    void rebase(Stub&) const;    // tells the stub by how much the program sees its clocks jump

  private:
    const kinds::ProcessRecord& record_;
};

// A page that the executed process shares with its helper.
enum class Command : std::uint32_t { none, guard, ask, outlive, end };
enum class Answer : std::uint32_t { none, no, yes, leaving };
struct SupervisionPage {
    Command command; // the helper's to clear
    Answer answer;
    std::uint32_t signal;  // ask: whether this one is pending
    std::int32_t program;  // guard
    std::int32_t executed; // the process that asks
    std::uint32_t guarded; // futex: the helper knows the program
    std::uint32_t arrived; // futex: the program is about to leave the stub
    std::uint32_t door;    // futex: and may, if it is to be stopped there
};

struct Supervision {
    SupervisionPage* page = nullptr;
    int helper = 0;
    int program = 0;
    bool own_pids = false;     // the helper is the init of a pid namespace
    bool own_session = false;  // the program leads one: what the executed one gets is not its
    bool shows_stops = true;   // to whoever has executed the image
    bool other_window = false; // of which the program has not heard yet
};

// helper.cc
enum class HelperKind { init, guard };
void start_helper(const Stub&, Supervision&, HelperKind); // supervision.helper
Answer tell_helper(Supervision&, Command);

// door.cc
inline constexpr timespec moment{0, 20'000'000};
void stop_at_the_door(const Stub&, const Supervision&); // once it is there
bool is_at_the_door(const Supervision&);                // or has passed it

// watcher.cc
enum class State { unknown, stopped, not_stopped };
State state_of(int pid);
int start_watcher(const Supervision&); // its pid, or -errno
void dismiss_watcher(int watcher);

// title.cc: what ps(1) shows of the executed process and its helper, for as long as `title` exists.
inline constexpr unsigned title_size = 1024;
void show_program(const Stub&, int program, char (&title)[title_size]); // reads the image
void show_helper(const Stub&, int executed, char (&title)[title_size]);

// supervisor.cc
void default_action(int signal);
void reap(int child);
void dismiss_helper(Supervision&); // once the program has ended, or if there is none
[[noreturn]] void supervise(const Stub&, Supervision);

// What a process of ours sheds that is not the program: descriptors, directory, memory, rights.
void become_tiny(const Stub&, int descriptor = -1); // which it keeps

} // namespace rfork::stub
