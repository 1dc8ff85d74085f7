/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: what a user may want to know and nobody waits for. Thread-safe.
 */
#ifndef EW_LOG_H
#define EW_LOG_H

#include <stdbool.h>

#include "edgewise/buf.h"

EW_BEGIN_DECLS

enum ew_log_level { EW_LOG_DEBUG, EW_LOG_INFO, EW_LOG_WARN, EW_LOG_ERROR };

/* Lines at or above the level go to standard error; off while curses is up. */
void ew_log_stderr(bool on, enum ew_log_level level);
void ew_note(enum ew_log_level level, const char *module, const char *fmt, ...)
    EW_PRINTF(3, 4);
/* The newest lines kept in memory (a ring), oldest first, into `out`. */
void ew_log_recent(struct ew_buf *out);

/* Monotonic clock, nanoseconds. */
long long ew_now_ns(void);

EW_END_DECLS

#endif
