/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cancel token: raised by one thread, tested by another between pieces of
 * work. A NULL token is never raised.
 */
#ifndef EW_CANCEL_H
#define EW_CANCEL_H

#include <stdbool.h>

#include "edgewise/err.h"

EW_BEGIN_DECLS

struct ew_cancel; /* thread-safe */

struct ew_cancel *ew_cancel_create(void);
void ew_cancel_destroy(struct ew_cancel *token); /* NULL is fine */
/* Async-signal-safe. */
void ew_cancel_raise(struct ew_cancel *token);
/* By itself, the n-th time that it is tested from now on; until then it is
 * not raised. For whoever wants work stopped at a certain step: tests. One
 * thread may test it. */
void ew_cancel_raise_after(struct ew_cancel *token, long n);
void ew_cancel_reset(struct ew_cancel *token);
bool ew_cancelled(const struct ew_cancel *token);
/* True when raised, with `err` filled in (EW_ERR_CANCELLED). */
bool ew_cancel_check(const struct ew_cancel *token, struct ew_err *err);

EW_END_DECLS

#endif
