// Quantiles by nearest rank: always a value that was measured.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace rfork::bench {

inline double quantile(std::vector<double> values, double part) {
    if (values.empty())
        return 0;
    std::sort(values.begin(), values.end());
    auto rank = static_cast<std::size_t>(part * static_cast<double>(values.size()));
    return values[std::min(rank, values.size() - 1)];
}

inline double median(const std::vector<double>& values) {
    return quantile(values, 0.5);
}

} // namespace rfork::bench
