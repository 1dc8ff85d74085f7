/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the explorer needs of the log layer, apart from it: log.h and tensor.h
 * both have an ew_log, so one file may not include the two.
 */
#ifndef EW_TUI_CLOCK_H
#define EW_TUI_CLOCK_H

#include <stdbool.h>

/* Monotonic, nanoseconds. */
long long ew_clock_ns(void);
/* Log lines stay in memory while curses has the screen. */
void ew_clock_quiet_log(bool quiet);

#endif
