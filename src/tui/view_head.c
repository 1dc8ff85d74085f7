/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head under the cursor, on one card: where it looks, what it writes, and
 * whether it copies, all in the clean run.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "theme.h"

enum { LABEL = 9, WIDE = 62 };

static int put_label(struct ew_area area, int y, const char *label)
{
    ew_put(area, y, 1, ew_style(EW_R_HEADER), label);
    return LABEL + 1;
}

static int put_share(struct ew_area area, int y, int x, const char *name,
                     double share)
{
    char text[EW_FIGURE_SIZE] = "-";
    if (!isnan(share)) {
        snprintf(text, sizeof(text), "%.2f", share);
    }
    x += ew_putf(area, y, x, ew_style(EW_R_DIM), "%s ", name);
    return x +
           ew_put(area, y, x, ew_style(ew_ramp_text(ew_ramp_step(share, 1.0))),
                  text) +
           2;
}

static void draw_looks(struct ew_area area, int y, const struct ew_ev_card *c)
{
    bool wide = area.rect.cols >= WIDE;
    int x = put_label(area, y, "looks");
    x = put_share(area, y, x, wide ? "to the token before" : "prev",
                  c->attention.previous);
    x = put_share(area, y, x, wide ? "the same" : "dup",
                  c->attention.duplicate);
    put_share(area, y, x, wide ? "after it" : "ind", c->attention.induction);
}

static void draw_direct(const struct ew_app *a, struct ew_area area, int y,
                        const struct ew_head_output *out)
{
    char text[EW_FIGURE_SIZE];
    double full = a->ready.full.logit_diff;
    int x = put_label(area, y, "direct");
    int step = ew_ramp_step(out->direct, fabs(full));
    x += ew_put(area, y, x, ew_style(ew_ramp_text(step)),
                ew_figure_signed(text, out->direct));
    if (!isnan(out->direct)) {
        x += ew_putf(area, y, x, ew_style(EW_R_FAINT), " %s%s",
                     ew_glyph(area, EW_G_PLUSMINUS),
                     ew_figure(text, out->direct_se));
        x += ew_putf(area, y, x, ew_style(EW_R_DIM), " of LD %s, ",
                     ew_figure(text, full));
    }
    ew_put(area, y, x + isnan(out->direct), ew_style(EW_R_FAINT),
           "norm frozen");
}

static void draw_tokens(struct ew_area area, int y, const char *label,
                        const char tokens[][EW_CARD_TOKEN], const double *by,
                        size_t n)
{
    char text[EW_FIGURE_SIZE];
    int x = put_label(area, y, label);
    for (size_t i = 0; i < n; i++) {
        int cols = ew_text_cols(tokens[i]) + 8;
        if (x + cols > area.rect.cols) {
            break;
        }
        x += ew_put(area, y, x, ew_style(EW_R_NODE), tokens[i]) + 1;
        int step = ew_ramp_step(by[i], fabs(by[0]));
        x += ew_put(area, y, x, ew_style(ew_ramp_text(step)),
                    ew_figure_signed(text, by[i])) +
             2;
    }
}

static void draw_copies(const struct ew_app *a, struct ew_area area, int y,
                        const struct ew_head_output *out)
{
    char text[EW_FIGURE_SIZE];
    int x = put_label(area, y, "copies");
    if (isnan(out->copying)) {
        ew_put(area, y, x, ew_style(EW_R_DIM), "-");
        return;
    }
    int step = ew_ramp_step(out->copying, 1.0);
    x += ew_put(area, y, x, ew_style(ew_ramp_text(step)),
                ew_figure_percent(text, out->copying));
    ew_putf(area, y, x, ew_style(EW_R_DIM), " of %zu tokens, top %d of %s",
            out->n_copying, EW_HEAD_COPY_TOP,
            ew_figure_count(text, (uint64_t)a->arch.d_vocab_out));
}

static void draw_group(const struct ew_app *a, struct ew_area area, int y)
{
    const struct ew_group *group = ew_node_group(a, a->node);
    if (!group) {
        return;
    }
    int x = put_label(area, y, "group");
    x += ew_put(area, y, x, ew_style(ew_group_ink(group)), group->name);
    if (group->note && *group->note) {
        ew_putf(area, y, x, ew_style(EW_R_DIM), ": %s", group->note);
    }
}

static void head_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    (void)focused;
    if (!ew_node_is_head(a, a->node)) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM), "choose a head");
        return;
    }
    const struct ew_ev_card *c = ew_card(a, a->node);
    if (!c) {
        ew_put(area, 1, 2, ew_style(EW_R_FAINT), ew_glyph(area, EW_G_ELLIPSIS));
        return;
    }
    const struct ew_head_output *out = &c->output;
    int y = 0;
    draw_looks(area, y++, c);
    if (c->why_not[0]) {
        ew_put(area, y, 1, ew_style(EW_R_DIM), c->why_not);
        y++;
    } else {
        draw_direct(a, area, y++, out);
        draw_tokens(area, y++, "raises", c->up, out->up_by, out->n_writes);
        draw_tokens(area, y++, "lowers", c->down, out->down_by, out->n_writes);
        draw_copies(a, area, y++, out);
    }
    draw_group(a, area, y);
}

static void head_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    char name[EW_NAME_SIZE];
    ew_buf_printf(title, "head %s",
                  ew_node_is_head(a, a->node) ? ew_node_name(a, a->node, name)
                                              : "card");
    ew_buf_add(note, "clean run");
}

const struct ew_view_ops ew_view_head = {
    .name = "head",
    .about = "The head on the clean run: shares of attention on the previous "
             "token, the same token before and the one after that; its direct "
             "part of LD with the final norm frozen; the tokens it raises and "
             "lowers; whether it copies.",
    .title = head_title,
    .draw = head_draw,
};
