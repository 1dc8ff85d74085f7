/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: a ring of the newest in memory, and standard error when on. */
#include "edgewise/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RING = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *ring[RING]; /* owned lines */
static size_t n_lines;
static bool to_stderr = true;
static enum ew_log_level min_level = EW_LOG_WARN;

void ew_log_stderr(bool on, enum ew_log_level level)
{
    pthread_mutex_lock(&lock);
    to_stderr = on;
    min_level = level;
    pthread_mutex_unlock(&lock);
}

void ew_note(enum ew_log_level level, const char *module, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    va_list args;
    va_start(args, fmt);
    char text[512];
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct ew_buf line = {0};
    ew_buf_printf(&line, "%s: %s: %s", module, names[level], text);

    pthread_mutex_lock(&lock);
    if (to_stderr && level >= min_level) {
        fprintf(stderr, "edgewise: %s\n", ew_buf_str(&line));
    }
    size_t slot = n_lines++ % RING;
    free(ring[slot]);
    ring[slot] = ew_buf_steal(&line);
    pthread_mutex_unlock(&lock);
}

void ew_log_recent(struct ew_buf *out)
{
    pthread_mutex_lock(&lock);
    size_t first = n_lines > RING ? n_lines - RING : 0;
    for (size_t i = first; i < n_lines; i++) {
        ew_buf_printf(out, "%s\n", ring[i % RING]);
    }
    pthread_mutex_unlock(&lock);
}

long long ew_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}
