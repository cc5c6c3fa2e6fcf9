// rfork: the command-line tool. Exit status 0: done, 1: failed, 2: wrong usage.
#include "base/command_line.h"
#include "checkpoint.h"
#include "core.h"
#include "doctor.h"
#include "inspect.h"
#include "ping.h"
#include "remote/key.h"

#include <cstdint>
#include <cstdio>
#include <optional>

using namespace rfork;

namespace {

constexpr int done = 0, failed = 1;

int finish(const Result<void>& result) {
    bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
    if (!result)
        std::fprintf(stderr, "rfork: %s\n", result.error().sentence.c_str());
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
    checkpoint_command->add_flag("!--background", checkpoint.stands_still,
                                 "Let it go on while a copy of it is written, which is the default");
    checkpoint_command
        ->add_option("--ignore", checkpoint.ignored,
                     "What the image may do without: sorts of descriptors, or numbers (rfork(3), "
                     "RFORK_IGNORE)")
        ->type_name("KIND[,KIND]");
    checkpoint_command->add_flag("-q,--quiet", checkpoint.quiet, "Show no progress");

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
    if (*inspect_command)
        return finish(tool::inspect(image, options));
    if (*doctor_command)
        return finish(tool::doctor(doctor));
    if (*ping_command)
        return finish(tool::ping(ping));
    return finish(remote::generate_key(key));
}
