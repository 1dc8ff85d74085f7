/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card of a head: where it looks and what it writes in the clean run.
 * Neither depends on the circuit, so a card is made once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "backend.h"

/* As much of a token as fits, whole characters. */
static void put_token(const struct ew_backend *b, int64_t id,
                      char out[EW_CARD_TOKEN])
{
    struct ew_buf text = {0};
    ew_token_print(&text, b->tok, id);
    const char *s = ew_buf_str(&text);
    size_t n = strlen(s);
    if (n >= EW_CARD_TOKEN) {
        n = EW_CARD_TOKEN - 1;
        while (n > 0 && (s[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    memcpy(out, s, n);
    out[n] = '\0';
    ew_buf_finish(&text);
}

static bool write_out(struct ew_backend *b, struct ew_ev_card *card,
                      const struct ew_cancel *cancel, struct ew_err *err)
{
    const struct ew_task *t = b->task;
    struct ew_head_answers *answers =
        ew_xcalloc(t->n_prompts, sizeof(*answers));
    for (size_t p = 0; p < t->n_prompts; p++) {
        const struct ew_answers *a = &t->answers[p];
        answers[p] = (struct ew_head_answers){a->right, a->wrong, a->n_right,
                                              a->n_wrong};
    }
    struct ew_head_prompts prompts = {
        .ids = t->clean,
        .length = t->length,
        .position = t->answer_position,
        .answers = answers,
        .n_prompts = t->n_prompts,
        .n_pos = t->n_pos,
    };
    bool ok = ew_head_output(b->model, card->layer, card->head, &prompts,
                             &card->output, cancel, err);
    for (size_t i = 0; ok && i < card->output.n_writes; i++) {
        put_token(b, card->output.up[i], card->up[i]);
        put_token(b, card->output.down[i], card->down[i]);
    }
    free(answers);
    return ok;
}

bool ew_backend_card(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err err = {0};
    struct ew_ev_card card = {.layer = b->focus.layer, .head = b->focus.head};
    bool ok = ew_backend_look(b, card.layer, card.head, &card.attention, cancel,
                              &err);
    if (ok && b->model) {
        ok = write_out(b, &card, cancel, &err);
    } else if (ok) {
        ok = ew_fail(&err, EW_ERR_INPUT, "without a model nothing is written");
    }
    if (err.code == EW_ERR_CANCELLED) {
        return false;
    }
    b->card_told = true;
    if (!ok) {
        snprintf(card.why_not, sizeof(card.why_not), "%.*s",
                 (int)sizeof(card.why_not) - 1, err.message);
    }
    ew_post_event(b->out, EW_EV_CARD, b->gen, &card, sizeof(card));
    return true;
}
