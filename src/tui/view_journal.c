/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was done: the revisions of the circuit, newest first, with the one we
 * are at; Enter goes to any of them, on whatever branch of the undo tree.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "edgewise/mem.h"

#include "app.h"
#include "theme.h"

enum { WHAT = 26 };

static uint32_t revision_at(const struct ew_app *a, long row)
{
    return ew_circuit_n_revisions(a->circuit) - 1 - (uint32_t)row;
}

/* Is `r` on the way from the start to where we are? */
static bool on_path(const struct ew_app *a, uint32_t r)
{
    uint32_t at = ew_circuit_revision(a->circuit);
    while (at > r) {
        at = ew_circuit_get_revision(a->circuit, at).parent;
    }
    return at == r;
}

void ew_journal_visit(struct ew_app *a)
{
    uint32_t r = ew_circuit_revision(a->circuit);
    if (a->revision_open) {
        return; /* of a run that goes on */
    }
    while (a->n_visits <= r) {
        a->visits =
            ew_grow(a->visits, a->n_visits, &a->cap_visits, sizeof(*a->visits));
        a->visits[a->n_visits++] = (struct ew_visit){0, NAN};
    }
    a->visits[r] =
        (struct ew_visit){ew_circuit_n_kept(a->circuit), a->now.logit_diff};
}

/* Edges kept and logit difference after it, as far as they were seen. */
static void draw_visit(const struct ew_app *a, struct ew_area area, int y,
                       uint32_t r)
{
    char text[EW_FIGURE_SIZE];
    if (r >= a->n_visits || a->visits[r].n_kept == 0) {
        return;
    }
    ew_put_right(area, y, 7, 9, ew_style(EW_R_DIM),
                 ew_figure_count(text, a->visits[r].n_kept));
    if (!isnan(a->visits[r].ld)) {
        ew_put_right(area, y, 16, 8, ew_style(EW_R_DIM),
                     ew_figure(text, a->visits[r].ld));
    }
}

static void draw_revision(const struct ew_app *a, struct ew_area area, int y,
                          uint32_t r)
{
    struct ew_revision rev = ew_circuit_get_revision(a->circuit, r);
    bool here = r == ew_circuit_revision(a->circuit);
    char text[64];
    snprintf(text, sizeof(text), "%u", (unsigned)r);
    ew_put_right(area, y, 0, 4, ew_style(EW_R_FAINT), text);
    ew_put(area, y, 5, ew_style(EW_R_NAME),
           here ? ew_glyph(area, EW_G_CURSOR) : " ");
    draw_visit(a, area, y, r);
    struct ew_style style = ew_style(here            ? EW_R_NAME
                                     : on_path(a, r) ? EW_R_NODE
                                                     : EW_R_FAINT);
    int x = WHAT;
    x += ew_put(area, y, x, style, r == 0 ? "start" : rev.what);
    if (rev.n_changes > 1) {
        x += ew_putf(area, y, x + 2, ew_style(EW_R_DIM), "%u edges",
                     (unsigned)rev.n_changes) +
             2;
    }
    if (r > 0 && rev.parent + 1 != r) { /* a branch */
        ew_putf(area, y, x + 2, ew_style(EW_R_HEADER), "from %u",
                (unsigned)rev.parent);
    }
}

static void journal_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    struct ew_style head = ew_style(EW_R_HEADER);
    long n = (long)ew_circuit_n_revisions(a->circuit);
    int rows = area.rect.rows - 1;
    ew_list_fit(&a->journal_list, n, rows);
    ew_put_right(area, 0, 7, 9, head, "edges");
    ew_put_right(area, 0, 16, 8, head, "LD");
    ew_put(area, 0, WHAT, head, "change");
    for (int y = 0; y < rows && a->journal_list.top + y < n; y++) {
        long i = a->journal_list.top + y;
        draw_revision(a, area, y + 1, revision_at(a, i));
        if (focused && i == a->journal_list.cur) {
            ew_tint(area, y + 1, 0, 1, area.rect.cols, EW_R_SELECT_BG);
        }
    }
    ew_draw_scroll(area, 1, a->journal_list.top, rows, n);
}

static void journal_title(struct ew_app *a, struct ew_buf *title,
                          struct ew_buf *note)
{
    ew_buf_add(title, "journal");
    ew_buf_add(note, "Enter goes there");
}

static bool journal_act(struct ew_app *a, enum ew_action action, int rows)
{
    long n = (long)ew_circuit_n_revisions(a->circuit);
    if (ew_list_act(&a->journal_list, n, rows - 1, action)) {
        return true;
    }
    if (action != EW_DO_OPEN) {
        return false;
    }
    uint32_t r = revision_at(a, a->journal_list.cur);
    if (a->acdc.running) {
        ew_notice(a, true, "ACDC is running: ^C stops it");
    } else if (r != ew_circuit_revision(a->circuit)) {
        ew_circuit_checkout(a->circuit, r);
        ew_edit_changed(a);
        ew_notice(a, false, "at revision %u", (unsigned)r);
    }
    return true;
}

const struct ew_view_ops ew_view_journal = {
    .name = "journal",
    .about = "Every change, with the edges and the logit difference it led to "
             "as far as they were seen. Undo leaves branches, none is lost: "
             "where a change follows an older one, that one's number stands "
             "behind it.",
    .keys = {{EW_DO_OPEN, "go to that state"},
             {EW_DO_UNDO, "one back"},
             {EW_DO_SCRIPT, "write it as a shell script"}},
    .title = journal_title,
    .draw = journal_draw,
    .act = journal_act,
    .list = offsetof(struct ew_app, journal_list),
    .head = 1,
};
