/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit as a list: every receiver that still has edges, from logits
 * down, with its senders and their effects, the strongest first.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "edgewise/mem.h"

#include "app.h"
#include "theme.h"

enum { NAME_COLS = 11 };

/* The i-th receiver with edges, from the top; EW_NONE past the end. */
static long count(const struct ew_app *a)
{
    long n = 0;
    for (uint32_t r = 0; r < ew_graph_n_receivers(a->graph); r++) {
        n += ew_count_in(a, r) > 0;
    }
    return n;
}

struct item {
    uint32_t sender, edge;
    double size;
};

static int by_size(const void *x, const void *y)
{
    const struct item *a = x;
    const struct item *b = y;
    if (a->size != b->size) {
        return a->size > b->size ? -1 : 1;
    }
    return a->sender < b->sender ? 1 : -1;
}

static size_t senders(const struct ew_app *a, uint32_t receiver,
                      struct item *items)
{
    size_t n = 0;
    uint32_t first = ew_graph_first_edge(a->graph, receiver);
    for (uint32_t s = 0; s < ew_graph_n_senders_of(a->graph, receiver); s++) {
        if (ew_edge_kept(a, first + s)) {
            struct ew_known_edge known;
            bool stale;
            bool is = ew_edge_known(a, first + s, &known, &stale);
            items[n++] = (struct item){s, first + s,
                                       is ? fabs((double)known.effect) : 0.0};
        }
    }
    qsort(items, n, sizeof(*items), by_size);
    return n;
}

static void draw_line(struct ew_app *a, struct ew_area area, int y,
                      uint32_t receiver, struct item *items)
{
    char name[EW_NAME_SIZE];
    char effect[EW_FIGURE_SIZE];
    uint32_t feeds = ew_graph_feeds(a->graph, receiver);
    uint32_t node = feeds == EW_NONE ? ew_logits_of(a) : feeds;
    bool here = node == a->node;
    ew_put_n(area, y, 0, NAME_COLS - 1, ew_style(here ? EW_R_NAME : EW_R_NODE),
             ew_name_of_receiver(name, a->graph, receiver));
    int x = NAME_COLS;
    x += ew_put(area, y, x, ew_style(EW_R_FAINT), ew_glyph(area, EW_G_LEFT));
    x++;
    size_t n = senders(a, receiver, items);
    for (size_t i = 0; i < n; i++) {
        struct ew_known_edge known;
        bool stale;
        bool is = ew_edge_known(a, items[i].edge, &known, &stale);
        ew_name_of_sender(name, a->graph, items[i].sender);
        effect[0] = '\0';
        if (is) {
            ew_figure_signed(effect, (double)known.effect);
        }
        int need = ew_text_cols(name) + ew_text_cols(effect) + 3;
        if (x + need + 5 > area.rect.cols && i + 1 < n) {
            ew_putf(area, y, x, ew_style(EW_R_DIM), "+%zu", n - i);
            return;
        }
        x += ew_put(area, y, x, ew_style(EW_R_NODE), name) + 1;
        int step = is ? ew_ramp_step((double)known.effect, a->rows_full) : 0;
        x += ew_put(area, y, x,
                    ew_style(stale ? EW_R_FAINT : ew_ramp_text(step)), effect) +
             2;
    }
}

static void text_draw(struct ew_app *a, struct ew_area area, bool focused)
{
    long n = count(a);
    long i = 0;
    struct item *items =
        ew_xcalloc(ew_graph_n_senders(a->graph), sizeof(*items));
    ew_list_fit(&a->text_list, n, area.rect.rows);
    for (uint32_t r = ew_graph_n_receivers(a->graph); r-- > 0;) {
        if (ew_count_in(a, r) == 0) {
            continue;
        }
        int y = (int)(i++ - a->text_list.top);
        if (y >= area.rect.rows) {
            break;
        }
        if (y >= 0) {
            draw_line(a, area, y, r, items);
            if (i - 1 == a->text_list.cur && focused) {
                ew_tint(area, y, 0, 1, area.rect.cols, EW_R_SELECT_BG);
            }
        }
    }
    if (n == 0) {
        ew_put(area, 1, 2, ew_style(EW_R_DIM),
               "no edge is kept: u undoes, R keeps all again");
    }
    free(items);
    ew_draw_scroll(area, 0, a->text_list.top, area.rect.rows, n);
}

static void text_title(struct ew_app *a, struct ew_buf *title,
                       struct ew_buf *note)
{
    ew_buf_add(title, "kept edges by receiver");
    ew_buf_printf(note, "%ld receivers", count(a));
}

static bool text_act(struct ew_app *a, enum ew_action action, int rows)
{
    long n = count(a);
    if (action != EW_DO_OPEN) {
        return ew_list_act(&a->text_list, n, rows, action);
    }
    long i = 0;
    for (uint32_t r = ew_graph_n_receivers(a->graph); r-- > 0;) {
        if (ew_count_in(a, r) > 0 && i++ == a->text_list.cur) {
            uint32_t feeds = ew_graph_feeds(a->graph, r);
            ew_node_go(a, feeds == EW_NONE ? ew_logits_of(a) : feeds);
            break;
        }
    }
    ew_app_show(a, &ew_view_edges);
    return true;
}

const struct ew_view_ops ew_view_text = {
    .name = "text",
    .about = "A line for each input that keeps an edge: the strongest of them, "
             "and how many more.",
    .keys = {{EW_DO_OPEN, "to the input's edges"}},
    .title = text_title,
    .draw = text_draw,
    .act = text_act,
    .list = offsetof(struct ew_app, text_list),
};
