// What there is to look at, one function each. None needs a privilege, and none leaves anything
// behind: what has to be tried is tried in a child, in namespaces of its own, or under a name that
// goes again.
#pragma once

#include "doctor/check.h"

#include <cstdint>
#include <functional>
#include <string_view>

namespace rfork::tool {

// The kernel.
Finding look_at_release();
Finding look_at_memory_areas();
Finding look_at_pagemap_scan();
Finding look_at_pidfd_getfd();
Finding look_at_kcmp();
Finding look_at_process_vm_readv();
Finding look_at_timers();
Finding look_at_timer_numbers();
Finding look_at_children();
Finding look_at_userfaultfd();
Finding look_at_seccomp();

// Tracing.
Finding look_at_tracing_others();
Finding look_at_tracing_children();
Finding look_at_rseq();

// Namespaces.
Finding look_at_user_namespaces();
Finding look_at_pids();
Finding look_at_clocks();
Finding look_at_proc();

// What the process may use, and the CPU.
Finding look_at_open_files();
Finding look_at_processes();
Finding look_at_address_space();
Finding look_at_cpu();

// The user's settings, and another host. `needed`: something is to be sent to one.
Finding look_at_key(bool needed);
using Tell = std::function<void(std::string_view check, const Finding&)>;
void look_at_spool(bool needed, const Tell& tell);
void look_at_host(const std::string& host, const Tell& tell);

} // namespace rfork::tool
