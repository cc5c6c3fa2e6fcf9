// A thread that may not read the time-stamp counter (PR_SET_TSC) cannot ask the vDSO for the time
// either, and libc asks there; for the duration of a call it may.
#pragma once

#include "arch/arch.h"

#include <linux/prctl.h>
#include <sys/syscall.h>

namespace rfork::api {

class ReadableClock {
  public:
    ReadableClock() {
        int tsc = PR_TSC_ENABLE;
        arch::syscall(SYS_prctl, PR_GET_TSC, &tsc, 0, 0, 0);
        opened_ = tsc == PR_TSC_SIGSEGV;
        if (opened_)
            arch::syscall(SYS_prctl, PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
    }
    ~ReadableClock() {
        if (opened_)
            arch::syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    }
    ReadableClock(const ReadableClock&) = delete;
    ReadableClock& operator=(const ReadableClock&) = delete;
    bool opened() const { return opened_; }

  private:
    bool opened_;
};

} // namespace rfork::api
