/* SPDX-License-Identifier: Apache-2.0 */
/* The log layer's clock and switch, under names of our own. */
#include "clock.h"

#include "edgewise/log.h"

long long ew_clock_ns(void)
{
    return ew_now_ns();
}

void ew_clock_quiet_log(bool quiet)
{
    ew_log_stderr(!quiet, EW_LOG_WARN);
}
