/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a code that callers may act on and a message for people, which
 * names the file, field, tensor or node and the reason. Low layers fill one
 * in, only the command line prints it and only the screen shows it.
 */
#ifndef EW_ERR_H
#define EW_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

enum ew_err_code {
    EW_OK = 0,
    EW_ERR_FAILED,    /* anything else; exit status 1 */
    EW_ERR_USAGE,     /* a wrong option or argument; exit status 2 */
    EW_ERR_INPUT,     /* a file or prompt that is not as it should be; 3 */
    EW_ERR_IO,        /* the operating system said no; 3 */
    EW_ERR_NOMEM,     /* a tensor-sized allocation failed; 1 */
    EW_ERR_BACKEND,   /* libtorch or graphviz failed; 1 */
    EW_ERR_CANCELLED, /* the user stopped it; state is as before; 130 */
};

struct ew_err {
    enum ew_err_code code;
    char message[512];
};

/*
 * Fill in `err` (NULL is fine: the reason is dropped). The message is cut
 * with an ellipsis at its size. Always returns false, so that
 * `return ew_fail(err, ...)` reads well.
 */
bool ew_fail(struct ew_err *err, enum ew_err_code code, const char *fmt, ...)
    EW_PRINTF(3, 4);
bool ew_vfail(struct ew_err *err, enum ew_err_code code, const char *fmt,
              va_list args)
    EW_PRINTF(3, 0);

/* Put "prefix: " in front of a message that is already there. False. */
bool ew_fail_prefix(struct ew_err *err, const char *fmt, ...) EW_PRINTF(2, 3);

/* Exit status of the program for a code, as the man page lists them. */
int ew_exit_status(enum ew_err_code code);

EW_END_DECLS

#endif
