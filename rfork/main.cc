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

// What the command line asks for. Each command below has its options to itself.
int (*chosen)() = nullptr;

void add_core(CLI::App& app) {
    static std::string image, core;
    static std::optional<std::int32_t> pid;
    auto* command = app.add_subcommand("core", "Write the core view of an image, for gdb");
    command->add_option("IMAGE", image, "The image")->required();
    command->add_option("-o,--output", core, "Where the core goes; replaced if it is there")
        ->required()
        ->type_name("FILE");
    command->add_option("--pid", pid, "Of which process; otherwise of the first")->type_name("N");
    command->callback([] { chosen = [] { return finish(tool::write_core(image, core, pid)); }; });
}

void add_inspect(CLI::App& app) {
    static tool::InspectOptions options;
    static std::string image;
    auto* command = app.add_subcommand("inspect", "Tell what is in an image");
    command->add_option("IMAGE", image, "The image")->required();
    command->add_flag("--verify", options.verify, "Check every byte against its checksum");
    command->add_flag("--mappings", options.mappings, "List every mapping");
    command->add_flag("--json", options.json, "Print one JSON object");
    command->add_option("--top", options.top, "List the N mappings of which the image carries most")
        ->type_name("N");
    command->callback([] { chosen = [] { return finish(tool::inspect(image, options)); }; });
}

void add_keygen(CLI::App& app) {
    static std::string key;
    auto* command = app.add_subcommand("keygen", "Make a key; never overwrites one");
    command->add_option("FILE", key, "The key file")->required();
    command->callback([] { chosen = [] { return finish(remote::generate_key(key)); }; });
}

void add_ping(CLI::App& app) {
    static tool::PingOptions options;
    auto* command =
        app.add_subcommand("ping", "Ask whether rexecd answers, with our key and our time");
    command->add_option("HOST", options.hosts, "name, name:port, 1.2.3.4")->required();
    command->add_option("--key", options.key_file, "The key; otherwise RFORK_KEY_FILE")
        ->type_name("FILE");
    command->add_option("--timeout", options.timeout_ms, "Patience with each host, milliseconds")
        ->check(CLI::Range(1, 86'400'000))
        ->type_name("MS")
        ->capture_default_str();
    command->callback([] { chosen = [] { return finish(tool::ping(options)); }; });
}

void add_doctor(CLI::App& app) {
    static tool::DoctorOptions options;
    auto* command = app.add_subcommand(
        "doctor", "Tell what this machine, the settings and a host offer, and what to do");
    command->add_option("HOST", options.host, "name, name:port, 1.2.3.4; otherwise none");
    command->add_flag("--json", options.json, "Print one JSON object");
    command->callback([] { chosen = [] { return finish(tool::doctor(options)); }; });
}

void add_checkpoint(CLI::App& app) {
    static tool::CheckpointOptions options;
    auto* command =
        app.add_subcommand("checkpoint", "Write a running process into an executable file");
    command->add_option("PID", options.pid, "The process")->required();
    command
        ->add_option("-o,--output", options.output,
                     "Where the image goes: a file, a named pipe, - or fd:N; otherwise "
                     "rfork.NAME.PID")
        ->type_name("FILE");
    auto* afterwards = command->add_option_group("afterwards");
    afterwards->add_flag_callback(
        "--kill", [] { options.afterwards = tool::Afterwards::kill; },
        "End the process when its image is complete");
    afterwards->add_flag_callback(
        "--stop", [] { options.afterwards = tool::Afterwards::stop; },
        "Stop it (SIGSTOP) when its image is complete");
    afterwards->add_flag_callback(
        "--leave-running", [] { options.afterwards = tool::Afterwards::leave_running; },
        "Let it go on, which is the default");
    afterwards->require_option(0, 1);
    command->add_flag("!--background", options.stands_still,
                      "Let it go on while a copy of it is written, which is the default");
    command
        ->add_option("--ignore", options.ignored,
                     "What the image may do without: sorts of descriptors, or numbers (rfork(3), "
                     "RFORK_IGNORE)")
        ->type_name("KIND[,KIND]");
    command->add_flag("-q,--quiet", options.quiet, "Show no progress");
    command->add_flag("--for-library", for_library)->group(""); // not shown
    command->add_flag("--json", options.json,
                      "Tell on standard output what has been done, as JSON");
    command->callback([] { chosen = [] { return finish(tool::checkpoint(options)); }; });
}

// A process, and where it goes.
CLI::App* add_travel(CLI::App& app, const char* name, const char* what,
                     tool::TravelOptions& options) {
    auto* command = app.add_subcommand(name, what);
    command->add_option("PID", options.pid, "The process")->required();
    command->add_option("HOST", options.host, "name, name:port, 1.2.3.4")->required();
    command
        ->add_option("--ignore", options.ignored,
                     "What it may go on without: sorts of descriptors, or numbers (rfork(3), "
                     "RFORK_IGNORE)")
        ->type_name("KIND[,KIND]");
    command->add_flag("--for-library", for_library)->group("");
    command->add_flag("-q,--quiet", options.quiet, "Show no progress, and do not tell where");
    return command;
}

void add_migrate(CLI::App& app) {
    static tool::TravelOptions options;
    add_travel(app, "migrate", "Move a running process to another host, and end it here", options)
        ->callback([] { chosen = [] { return finish(tool::migrate(options)); }; });
}

void add_clone(CLI::App& app) {
    static tool::TravelOptions options;
    add_travel(app, "clone", "Start a copy of a running process on another host", options)
        ->callback([] { chosen = [] { return finish(tool::clone(options)); }; });
}

void add_exec(CLI::App& app) {
    static tool::ExecOptions options;
    auto* command = app.add_subcommand("exec", "Run an image on another host");
    command->add_option("HOST", options.host, "name, name:port, 1.2.3.4")->required();
    command->add_option("IMAGE", options.image, "The image; it is there afterwards")->required();
    command->add_flag("-q,--quiet", options.quiet, "Show no progress, and do not tell where");
    command->callback([] { chosen = [] { return finish(tool::exec(options)); }; });
}

void add_run(CLI::App& app) {
    static tool::RunOptions options;
    auto* command = app.add_subcommand(
        "run", "Start a program, and keep an image of it; its exit status is the program's");
    command
        ->add_option_function<std::string>(
            "--every",
            [](const std::string& text) { options.every = parsed(tool::parse_duration(text)); },
            "Make a checkpoint each time that much time has passed: 90s, 15m, 2h")
        ->type_name("TIME");
    command
        ->add_option_function<std::string>(
            "--at-least",
            [](const std::string& text) { options.at_least = parsed(tool::parse_duration(text)); },
            "Leave no less time than that between two checkpoints")
        ->type_name("TIME");
    command
        ->add_option_function<std::string>(
            "--on-signal",
            [](const std::string& text) { options.signals = parsed(tool::parse_signals(text)); },
            "Make one when rfork is sent one of these signals, which the program is not")
        ->type_name("SIG[,SIG]");
    command->add_option("--keep", options.keep, "Keep the last N images: FILE, FILE.1 ...")
        ->check(CLI::Range(1, 1000))
        ->type_name("N");
    command
        ->add_option("-o,--output", options.output,
                     "The image; otherwise rfork.NAME OF THE COMMAND")
        ->type_name("FILE");
    command->add_flag("--restart", options.restart,
                      "Go on from FILE, if it is there, instead of starting COMMAND");
    command->add_flag("!--no-rollback", options.rolls_back,
                      "Then, do not cut files back to the length they had at the checkpoint");
    command
        ->add_option("--exit-after-checkpoint", options.exit_after,
                     "After a checkpoint at a signal, end the program, and exit with this status")
        ->check(CLI::Range(0, 255))
        ->type_name("CODE");
    command
        ->add_option("--ignore", options.ignored,
                     "What images may do without: sorts of descriptors, or numbers (rfork(3), "
                     "RFORK_IGNORE)")
        ->type_name("KIND[,KIND]");
    command->add_flag("--preload", options.preloads,
                      "Let the program freeze itself at a signal, by a library that it is "
                      "started with, where nobody may trace it");
    command->add_flag("-q,--quiet", options.quiet, "Show no progress");
    command->add_option("COMMAND", options.command, "The program and its arguments, behind --")
        ->required();
    command->callback([] { chosen = [] { return finish(tool::run(options)); }; });
}

void add_settle(CLI::App& app) {
    app.add_subcommand("settle", "Finish what an rfork migrate that was killed has left stopped")
        ->callback([] { chosen = [] { return finish(tool::settle_all()); }; });
}

void add_restart(CLI::App& app) {
    static tool::RestartOptions options;
    auto* command =
        app.add_subcommand("restart", "Continue the program of an image, as executing it does");
    command->add_option("IMAGE", options.image, "The image")->required();
    command->add_option("--pid", options.pid, "Whether it keeps its pid, which is the default")
        ->check(CLI::IsMember({"keep", "new"}))
        ->type_name("WHICH");
    command->add_flag("--stop", options.stop, "Stop it (SIGSTOP) before its first instruction");
    command->add_option("--map", options.maps, "What begins with the path OLD is found at NEW")
        ->allow_extra_args(false)
        ->check(tool::trouble_with_map)
        ->type_name("OLD=NEW");
    command->add_flag("--rollback", options.rollback,
                      "Cut files that it writes to back to the length they had");
    command->callback([] { chosen = [] { return finish(tool::restart(options)); }; });
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "Freezes running programs into executable images, moves them to other hosts, looks "
        "into images, and tells what there is to do before.",
        "rfork"};
    app.set_version_flag("--version", "rfork " RFORK_VERSION);
    app.require_subcommand(1);
    for (auto* add : {add_checkpoint, add_migrate, add_clone, add_exec, add_run, add_restart,
                      add_settle, add_inspect, add_core, add_keygen, add_ping, add_doctor})
        add(app);
    app.set_help_all_flag("--help-all", "Print the help of all commands and exit");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return answer(app, error);
    }
    return chosen();
}
