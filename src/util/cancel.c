/* SPDX-License-Identifier: Apache-2.0 */
/* One lock-free flag. */
#include "edgewise/cancel.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "edgewise/mem.h"

struct ew_cancel {
    atomic_bool raised;
};

struct ew_cancel *ew_cancel_create(void)
{
    return ew_xcalloc(1, sizeof(struct ew_cancel));
}

void ew_cancel_destroy(struct ew_cancel *token)
{
    free(token);
}

void ew_cancel_raise(struct ew_cancel *token)
{
    atomic_store(&token->raised, true);
}

void ew_cancel_reset(struct ew_cancel *token)
{
    atomic_store(&token->raised, false);
}

bool ew_cancelled(const struct ew_cancel *token)
{
    return token && atomic_load(&token->raised);
}

bool ew_cancel_check(const struct ew_cancel *token, struct ew_err *err)
{
    if (ew_cancelled(token)) {
        ew_fail(err, EW_ERR_CANCELLED, "interrupted");
        return true;
    }
    return false;
}
