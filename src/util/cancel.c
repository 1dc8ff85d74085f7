/* SPDX-License-Identifier: Apache-2.0 */
/* One lock-free flag, and for tests a countdown to it. */
#include "edgewise/cancel.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "edgewise/mem.h"

struct ew_cancel {
    atomic_bool raised;
    long *left; /* tests until it is raised; NULL: it waits to be told */
};

struct ew_cancel *ew_cancel_create(void)
{
    return ew_xcalloc(1, sizeof(struct ew_cancel));
}

void ew_cancel_destroy(struct ew_cancel *token)
{
    if (token) {
        free(token->left);
        free(token);
    }
}

void ew_cancel_raise(struct ew_cancel *token)
{
    atomic_store(&token->raised, true);
}

void ew_cancel_raise_after(struct ew_cancel *token, long n)
{
    if (!token->left) {
        token->left = ew_xcalloc(1, sizeof(*token->left));
    }
    *token->left = n;
    ew_cancel_reset(token);
}

void ew_cancel_reset(struct ew_cancel *token)
{
    atomic_store(&token->raised, false);
}

bool ew_cancelled(const struct ew_cancel *token)
{
    if (!token || atomic_load(&token->raised)) {
        return token != NULL;
    }
    return token->left && --*token->left <= 0;
}

bool ew_cancel_check(const struct ew_cancel *token, struct ew_err *err)
{
    if (ew_cancelled(token)) {
        ew_fail(err, EW_ERR_CANCELLED, "interrupted");
        return true;
    }
    return false;
}
