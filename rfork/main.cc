// rfork: the command-line tool. Exit status 0: done, 1: failed, 2: wrong usage; of `rfork restart`,
// the program's.
#include "base/command_line.h"
#include "checkpoint.h"
#include "core.h"
#include "doctor.h"
#include "inspect.h"
#include "moving.h"
#include "ping.h"
#include "remote/key.h"
#include "restart.h"
#include "run.h"
#include "travel.h"

#include <cstdint>
#include <cstdio>
#include <optional>

using namespace rfork;

namespace {

constexpr int done = 0, failed = 1;

// Says the errno, too (librfork/api/other_processes.cc).
bool for_library = false;

void complain(const Error& error) {
    if (for_library)
        std::fprintf(stderr, "rfork: %d: %s\n", error.code, error.sentence.c_str());
    else
        std::fprintf(stderr, "rfork: %s\n", error.sentence.c_str());
}

// A program's own status, or ours.
int finish(const Result<int>& result) {
    if (result)
        return *result;
    complain(result.error());
    return failed;
}

template <class T>
T parsed(const Result<T>& result) {
    if (!result)
        throw CLI::ValidationError(result.error().sentence);
    return *result;
}

int finish(const Result<void>& result) {
    bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
    if (!result)
        complain(result.error());
    else if (!written)
        std::fprintf(stderr, "rfork: cannot write to standard output\n");
    return result && written ? done : failed;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app{"Looks into the images that rfork() and rfork_checkpoint() write, makes keys, and "
                 "asks hosts.",
                 "rfork"};
    app.set_version_flag("--version", "rfork " RFORK_VERSION);
    app.require_subcommand(1);

    std::string image, core, key;
    std::optional<std::int32_t> pid;
    auto* core_command = app.add_subcommand("core", "Write the core view of an image, for gdb");
    core_command->add_option("IMAGE", image, "The image")->required();
    core_command->add_option("-o,--output", core, "Where the core goes; replaced if it is there")
        ->required()
        ->type_name("FILE");
    core_command->add_option("--pid", pid, "Of which process; otherwise of the first")
        ->type_name("N");

    tool::InspectOptions options;
    auto* inspect_command = app.add_subcommand("inspect", "Tell what is in an image");
    inspect_command->add_option("IMAGE", image, "The image")->required();
    inspect_command->add_flag("--verify", options.verify, "Check every byte against its checksum");
    inspect_command->add_flag("--mappings", options.mappings, "List every mapping");
    inspect_command->add_flag("--json", options.json, "Print one JSON object");
    inspect_command
        ->add_option("--top", options.top, "List the N mappings of which the image carries most")
        ->type_name("N");

    auto* keygen_command = app.add_subcommand("keygen", "Make a key; never overwrites one");
    keygen_command->add_option("FILE", key, "The key file")->required();

    tool::PingOptions ping;
    auto* ping_command =
        app.add_subcommand("ping", "Ask whether rexecd answers, with our key and our time");
    ping_command->add_option("HOST", ping.hosts, "name, name:port, 1.2.3.4")->required();
    ping_command->add_option("--key", ping.key_file, "The key; otherwise RFORK_KEY_FILE")
        ->type_name("FILE");
    ping_command->add_option("--timeout", ping.timeout_ms, "Patience with each host, milliseconds")
        ->check(CLI::Range(1, 86'400'000))
        ->type_name("MS")
        ->capture_default_str();

    tool::DoctorOptions doctor;
    auto* doctor_command = app.add_subcommand(
        "doctor", "Tell what this machine, the settings and a host offer, and what to do");
    doctor_command->add_option("HOST", doctor.host, "name, name:port, 1.2.3.4; otherwise none");
    doctor_command->add_flag("--json", doctor.json, "Print one JSON object");

    tool::CheckpointOptions checkpoint;
    auto* checkpoint_command =
        app.add_subcommand("checkpoint", "Write a running process into an executable file");
    checkpoint_command->add_option("PID", checkpoint.pid, "The process")->required();
    checkpoint_command
        ->add_option("-o,--output", checkpoint.output,
                     "Where the image goes: a file, a named pipe, - or fd:N; otherwise "
                     "rfork.NAME.PID")
        ->type_name("FILE");
    auto* afterwards = checkpoint_command->add_option_group("afterwards");
    afterwards->add_flag_callback(
        "--kill", [&] { checkpoint.afterwards = tool::Afterwards::kill; },
        "End the process when its image is complete");
    afterwards->add_flag_callback(
        "--stop", [&] { checkpoint.afterwards = tool::Afterwards::stop; },
        "Stop it (SIGSTOP) when its image is complete");
    afterwards->add_flag_callback(
        "--leave-running", [&] { checkpoint.afterwards = tool::Afterwards::leave_running; },
        "Let it go on, which is the default");
    afterwards->require_option(0, 1);
    checkpoint_command->add_flag(
        "!--background", checkpoint.stands_still,
        "Let it go on while a copy of it is written, which is the default");
    checkpoint_command
        ->add_option("--ignore", checkpoint.ignored,
                     "What the image may do without: sorts of descriptors, or numbers (rfork(3), "
                     "RFORK_IGNORE)")
        ->type_name("KIND[,KIND]");
    checkpoint_command->add_flag("-q,--quiet", checkpoint.quiet, "Show no progress");
    checkpoint_command->add_flag("--for-library", for_library)->group(""); // not shown
    checkpoint_command->add_flag("--json", checkpoint.json,
                                 "Tell on standard output what has been done, as JSON");

    tool::TravelOptions travel;
    auto add_travel = [&](const char* name, const char* what) {
        auto* command = app.add_subcommand(name, what);
        command->add_option("PID", travel.pid, "The process")->required();
        command->add_option("HOST", travel.host, "name, name:port, 1.2.3.4")->required();
        command
            ->add_option("--ignore", travel.ignored,
                         "What it may go on without: sorts of descriptors, or numbers (rfork(3), "
                         "RFORK_IGNORE)")
            ->type_name("KIND[,KIND]");
        command->add_flag("--for-library", for_library)->group("");
        command->add_flag("-q,--quiet", travel.quiet, "Show no progress, and do not tell where");
        return command;
    };
    auto* migrate_command =
        add_travel("migrate", "Move a running process to another host, and end it here");
    auto* clone_command = add_travel("clone", "Start a copy of a running process on another host");

    tool::ExecOptions exec;
    auto* exec_command = app.add_subcommand("exec", "Run an image on another host");
    exec_command->add_option("HOST", exec.host, "name, name:port, 1.2.3.4")->required();
    exec_command->add_option("IMAGE", exec.image, "The image; it is there afterwards")->required();
    exec_command->add_flag("-q,--quiet", exec.quiet, "Show no progress, and do not tell where");

    tool::RunOptions run;
    auto* run_command = app.add_subcommand(
        "run", "Start a program, and keep an image of it; its exit status is the program's");
    run_command
        ->add_option_function<std::string>(
            "--every",
            [&](const std::string& text) { run.every = parsed(tool::parse_duration(text)); },
            "Make a checkpoint each time that much time has passed: 90s, 15m, 2h")
        ->type_name("TIME");
    run_command
        ->add_option_function<std::string>(
            "--at-least",
            [&](const std::string& text) { run.at_least = parsed(tool::parse_duration(text)); },
            "Leave no less time than that between two checkpoints")
        ->type_name("TIME");
    run_command
        ->add_option_function<std::string>(
            "--on-signal",
            [&](const std::string& text) { run.signals = parsed(tool::parse_signals(text)); },
            "Make one when rfork is sent one of these signals, which the program is not")
        ->type_name("SIG[,SIG]");
    run_command->add_option("--keep", run.keep, "Keep the last N images: FILE, FILE.1 ...")
        ->check(CLI::Range(1, 1000))
        ->type_name("N");
    run_command
        ->add_option("-o,--output", run.output, "The image; otherwise rfork.NAME OF THE COMMAND")
        ->type_name("FILE");
    run_command->add_flag("--restart", run.restart,
                          "Go on from FILE, if it is there, instead of starting COMMAND");
    run_command->add_flag("!--no-rollback", run.rolls_back,
                          "Then, do not cut files back to the length they had at the checkpoint");
    run_command
        ->add_option("--exit-after-checkpoint", run.exit_after,
                     "After a checkpoint at a signal, end the program, and exit with this status")
        ->check(CLI::Range(0, 255))
        ->type_name("CODE");
    run_command
        ->add_option("--ignore", run.ignored,
                     "What images may do without: sorts of descriptors, or numbers (rfork(3), "
                     "RFORK_IGNORE)")
        ->type_name("KIND[,KIND]");
    run_command->add_flag("--preload", run.preloads,
                          "Let the program freeze itself at a signal, by a library that it is "
                          "started with, where nobody may trace it");
    run_command->add_flag("-q,--quiet", run.quiet, "Show no progress");
    run_command->add_option("COMMAND", run.command, "The program and its arguments, behind --")
        ->required();

    auto* settle_command = app.add_subcommand(
        "settle", "Finish what an rfork migrate that was killed has left stopped");

    tool::RestartOptions restart;
    auto* restart_command =
        app.add_subcommand("restart", "Continue the program of an image, as executing it does");
    restart_command->add_option("IMAGE", restart.image, "The image")->required();
    restart_command
        ->add_option("--pid", restart.pid, "Whether it keeps its pid, which is the default")
        ->check(CLI::IsMember({"keep", "new"}))
        ->type_name("WHICH");
    restart_command->add_flag("--stop", restart.stop,
                              "Stop it (SIGSTOP) before its first instruction");
    restart_command
        ->add_option("--map", restart.maps, "What begins with the path OLD is found at NEW")
        ->allow_extra_args(false)
        ->check(tool::trouble_with_map)
        ->type_name("OLD=NEW");
    restart_command->add_flag("--rollback", restart.rollback,
                              "Cut files that it writes to back to the length they had");

    app.set_help_all_flag("--help-all", "Print the help of all commands and exit");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return answer(app, error);
    }
    if (*core_command)
        return finish(tool::write_core(image, core, pid));
    if (*checkpoint_command)
        return finish(tool::checkpoint(checkpoint));
    if (*migrate_command)
        return finish(tool::migrate(travel));
    if (*clone_command)
        return finish(tool::clone(travel));
    if (*exec_command)
        return finish(tool::exec(exec));
    if (*run_command)
        return finish(tool::run(run));
    if (*settle_command)
        return finish(tool::settle_all());
    if (*inspect_command)
        return finish(tool::inspect(image, options));
    if (*doctor_command)
        return finish(tool::doctor(doctor));
    if (*ping_command)
        return finish(tool::ping(ping));
    if (*restart_command)
        return finish(tool::restart(restart));
    return finish(remote::generate_key(key));
}
