/* SPDX-License-Identifier: Apache-2.0 */
/* Filling in error messages, and the one table of exit statuses. */
#include "edgewise/err.h"

#include <stdio.h>
#include <string.h>

static void mark_cut(struct ew_err *err, int wanted)
{
    static const char dots[] = "...";
    if (wanted >= (int)sizeof(err->message)) {
        memcpy(err->message + sizeof(err->message) - sizeof(dots), dots,
               sizeof(dots));
    }
}

bool ew_vfail(struct ew_err *err, enum ew_err_code code, const char *fmt,
              va_list args)
{
    if (err) {
        err->code = code;
        mark_cut(err,
                 vsnprintf(err->message, sizeof(err->message), fmt, args));
    }
    return false;
}

bool ew_fail(struct ew_err *err, enum ew_err_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    ew_vfail(err, code, fmt, args);
    va_end(args);
    return false;
}

bool ew_fail_prefix(struct ew_err *err, const char *fmt, ...)
{
    if (!err) {
        return false;
    }
    char old[sizeof(err->message)];
    memcpy(old, err->message, sizeof(old));
    char prefix[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);
    mark_cut(err, snprintf(err->message, sizeof(err->message), "%s: %s",
                           prefix, old));
    return false;
}

int ew_exit_status(enum ew_err_code code)
{
    switch (code) {
    case EW_OK:
        return 0;
    case EW_ERR_USAGE:
        return 2;
    case EW_ERR_INPUT:
    case EW_ERR_IO:
        return 3;
    case EW_ERR_CANCELLED:
        return 130;
    case EW_ERR_FAILED:
    case EW_ERR_NOMEM:
    case EW_ERR_BACKEND:
        break;
    }
    return 1;
}
