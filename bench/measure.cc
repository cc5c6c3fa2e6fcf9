#include "measure.h"

#include "clock.h"
#include "failure.h"
#include "journey.h"

#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::bench {
namespace {

constexpr unsigned floors_per_hop = 3;

[[noreturn]] void become_floor(const char* floor) {
    char* const arguments[] = {const_cast<char*>(floor), nullptr};
    char* const environment[] = {nullptr};
    ::execve(floor, arguments, environment);
    ::_exit(127);
}

double floor_once(const char* floor) {
    std::int64_t before = now();
    pid_t child = ::vfork();
    if (child == 0)
        become_floor(floor);
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0)
        fail(std::string("cannot run ") + floor);
    return milliseconds(now() - before);
}

void measure_floor(const Programs& programs, Samples& samples) {
    for (unsigned i = 0; i < floors_per_hop; ++i)
        samples.floor.push_back(floor_once(programs.floor.c_str()));
}

void measure_hops(const HeapSize& size, const Programs& programs, Journey& journey,
                  Samples& samples, Progress& progress) {
    for (unsigned i = 0; i < size.warm_up; ++i)
        (void)journey.hop();
    for (unsigned i = 0; i < size.hops; ++i) {
        progress.at_step(size.name + std::string(" heap, hop"), i + 1, size.hops);
        measure_floor(programs, samples);
        Hop hop = journey.hop();
        samples.hop.push_back(milliseconds(hop.whole));
        samples.fork.push_back(milliseconds(hop.fork));
        samples.write.push_back(milliseconds(hop.write));
        samples.rest.push_back(milliseconds(hop.whole - hop.fork - hop.write));
    }
}

// What happens between the exec and the program's next instruction cannot be told apart from the
// request in a hop, so the same program is frozen into a file and started from it by hand.
void measure_resumes(const HeapSize& size, const Workplace& workplace, Journey& journey,
                     Samples& samples, Progress& progress) {
    std::string image = workplace.path("frozen");
    journey.freeze(image);
    (void)journey.resume(image);
    for (unsigned i = 0; i < size.resumes; ++i) {
        progress.at_step(size.name + std::string(" heap, start of an image"), i + 1, size.resumes);
        samples.resume.push_back(milliseconds(journey.resume(image)));
    }
    std::filesystem::remove(image);
}

} // namespace

Samples measure(const HeapSize& size, const Programs& programs, const Workplace& workplace,
                const Host& first, const Host& second, Progress& progress) {
    Samples samples;
    Journey journey(programs.traveller, workplace, size.bytes, first, second);
    measure_hops(size, programs, journey, samples, progress);
    measure_resumes(size, workplace, journey, samples, progress);
    return samples;
}

} // namespace rfork::bench
