/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where heads look in the clean run: of one head for its card, of all of
 * them, some at a time, for the node panes. It does not depend on the circuit.
 */
#include <stdlib.h>

#include "edgewise/mem.h"

#include "backend.h"

enum { BATCH = 12 };

bool ew_backend_look(struct ew_backend *b, int layer, int head,
                     struct ew_head_attention *out,
                     const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct ew_task *t = b->task;
    float *pattern = ew_xcalloc(t->n_pos * t->n_pos, sizeof(*pattern));
    bool ok = true;
    *out = (struct ew_head_attention){0};
    for (size_t p = 0; p < t->n_prompts && ok; p++) {
        ok = !ew_cancel_check(cancel, err) &&
             ew_engine_attention(b->engine, EW_RUN_CLEAN, layer, head, (int)p,
                                 pattern, err);
        if (ok) {
            ew_head_attention_add(out, pattern, t->n_pos,
                                  t->clean + p * t->n_pos,
                                  (size_t)t->length[p]);
        }
    }
    ew_head_attention_mean(out);
    free(pattern);
    return ok;
}

bool ew_backend_kinds(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    uint32_t n = ew_graph_n_senders(b->graph);
    struct ew_ev_kinds *event =
        ew_xcalloc(1, sizeof(*event) + BATCH * sizeof(event->items[0]));
    uint32_t s = b->kind_at;
    bool ok = true;
    for (; s < n && event->n < BATCH && ok; s++) {
        struct ew_node node = ew_graph_sender(b->graph, s);
        if (node.kind == EW_NODE_HEAD) {
            struct ew_kind *item = &event->items[event->n++];
            item->sender = s;
            ok = ew_backend_look(b, node.layer, node.head, &item->attention,
                                 cancel, &err);
        }
    }
    if (!ok) {
        free(event);
        if (err.code == EW_ERR_CANCELLED) {
            return false;
        }
        ew_post_event(b->out, EW_EV_ERROR, b->gen, &err, sizeof(err));
        b->kind_at = n; /* not again */
        return true;
    }
    b->kind_at = s;
    ew_mailbox_post(b->out,
                    (struct ew_message){EW_EV_KINDS, b->gen, event, NULL});
    return true;
}
