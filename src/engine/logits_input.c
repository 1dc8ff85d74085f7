/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logits' input. Cut after cut in one head changes it by what that head
 * sends, which is d_head wide until somebody wants to see it: dz is summed,
 * and goes through W_O once.
 */
#include "state.h"

#include "edgewise/block.h"

struct ew_tensor *logits_input(struct ew_scope *s, struct ew_engine *e)
{
    struct incremental *st = e->state;
    struct ew_tensor **x = &st->cur.x[logits_receiver(&st->geo)];
    if (st->owed) {
        int head = st->owed_head;
        struct ew_tensor *w_o = ew_block_w_o(s, e->model,
                                             head / st->geo.n_heads,
                                             head % st->geo.n_heads);
        struct ew_tensor *sum = ew_add(s, *x, ew_matmul(s, st->owed, w_o));
        if (!sum) {
            return NULL;
        }
        put_ref(x, sum);
        put_ref(&st->owed, NULL);
    }
    return *x;
}

void logits_owe(struct ew_scope *s, struct ew_engine *e, int head,
                struct ew_tensor *dz)
{
    struct incremental *st = e->state;
    if (st->owed && st->owed_head != head) {
        logits_input(s, e);
    }
    struct ew_tensor *sum =
        st->owed ? ew_add(s, st->owed, dz) : ew_clone(s, dz);
    if (sum) {
        st->owed_head = head;
        put_ref(&st->owed, sum);
    }
}

struct ew_tensor *receiver_input(struct ew_scope *s, struct ew_engine *e,
                                 uint32_t r)
{
    struct incremental *st = e->state;
    return r == logits_receiver(&st->geo) ? logits_input(s, e) : st->cur.x[r];
}
