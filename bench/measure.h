// One run: a traveller with a heap of one size, and the floor measured between its hops.
#pragma once

#include "base/progress.h"
#include "host.h"
#include "programs.h"
#include "workplace.h"

#include <cstdint>
#include <vector>

namespace rfork::bench {

struct HeapSize {
    const char* suffix; // of the keys
    const char* name;
    std::uint64_t bytes;
    unsigned warm_up; // hops that do not count
    unsigned hops;
    unsigned resumes;
};

struct Samples { // milliseconds
    std::vector<double> floor;
    std::vector<double> hop;
    std::vector<double> fork;
    std::vector<double> write;
    std::vector<double> rest;   // of a hop, neither fork nor write: the request and the resume
    std::vector<double> resume; // of the same program, by hand: exec to next instruction
};

Samples measure(const HeapSize& size, const Programs& programs, const Workplace& workplace,
                const Host& first, const Host& second, Progress& progress);

} // namespace rfork::bench
