// The figures the bench knows, by key, and how they are printed.
#pragma once

#include "measure.h"
#include "stall.h"

#include <string>
#include <vector>

namespace rfork::bench {

struct Figure {
    std::string key;
    std::string unit; // "ms", or "" for a ratio
    std::string meaning;
    double value = 0;
};

// Every figure a run with this size yields, without values when `samples` is null.
std::vector<Figure> figures(const HeapSize& size, const Samples* samples);
std::vector<Figure> stall_figures(const StallSamples* samples);

struct Machine {
    std::string cpu;
    long cores;
    std::string kernel;
};
Machine this_machine();

void print_table(const Machine& machine, const std::vector<Figure>& figures);
void print_json(const Machine& machine, const std::vector<Figure>& figures);

} // namespace rfork::bench
