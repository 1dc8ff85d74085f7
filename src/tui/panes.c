/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which view is in which pane. Every pane holds any view, each view is in one
 * pane at most: what comes into a pane from another changes places with what
 * was there. The lists of nodes and of edges are views as well; 'v' leaves
 * them where they are, so that it turns the pages of the third pane from
 * wherever the cursor is.
 */
#include "app.h"

// clang-format off
const struct ew_view_ops *const ew_views[] = {
    &ew_view_circuit, &ew_view_picture, &ew_view_acdc, &ew_view_tradeoff,
    &ew_view_attention, &ew_view_head, &ew_view_prompts, &ew_view_where,
    &ew_view_tokens, &ew_view_groups, &ew_view_snapshots, &ew_view_text,
    &ew_view_journal, &ew_view_info, &ew_view_jobs, &ew_view_log,
    &ew_view_tree, &ew_view_edges,
};
// clang-format on
const int ew_n_views = (int)EW_ARRAY_LEN(ew_views);

enum { AT_NODES = EW_ARRAY_LEN(ew_views) - 2, AT_EDGES };

void ew_panes_reset(struct ew_app *a)
{
    a->view[EW_PANE_NODES] = AT_NODES;
    a->view[EW_PANE_EDGES] = AT_EDGES;
    a->view[EW_PANE_VIEW] = 0;
    a->view[EW_PANE_VIEW2] = 2; /* ACDC */
}

const struct ew_view_ops *ew_app_view(const struct ew_app *a, enum ew_pane pane)
{
    const struct ew_view_ops *view = ew_views[a->view[pane]];
    return view == &ew_view_tree && a->map ? &ew_view_map : view;
}

bool ew_pane_on(const struct ew_app *a, const struct ew_view_ops *view)
{
    return ew_views[a->view[a->pane]] == view;
}

/* Is there, or would there be without the zoom, such a pane? */
static bool has_pane(const struct ew_app *a, int pane)
{
    return pane != EW_PANE_VIEW2 || a->layout.pane[pane].rows > 0;
}

/* The pane a view is in; EW_N_PANES: none. */
static int pane_of(const struct ew_app *a, const struct ew_view_ops *view)
{
    for (int p = 0; p < EW_N_PANES; p++) {
        if (has_pane(a, p) && ew_views[a->view[p]] == view) {
            return p;
        }
    }
    return EW_N_PANES;
}

int ew_pane_rows(const struct ew_app *a, const struct ew_view_ops *view)
{
    int pane = pane_of(a, view);
    return pane == EW_N_PANES ? 10 : a->inner_rows[pane];
}

bool ew_view_shown(const struct ew_app *a, const struct ew_view_ops *view)
{
    int pane = pane_of(a, view);
    return pane != EW_N_PANES && a->layout.pane[pane].rows > 0;
}

void ew_pane_next(struct ew_app *a, int step)
{
    int pane = (int)a->pane;
    for (int i = 0; i < EW_N_PANES; i++) {
        pane = (pane + step + EW_N_PANES) % EW_N_PANES;
        if (a->zoomed || a->layout.pane[pane].rows > 0) {
            break;
        }
    }
    a->pane = (enum ew_pane)pane;
    if (a->zoomed && a->pane == EW_PANE_VIEW2) {
        a->pane = step > 0 ? EW_PANE_NODES : EW_PANE_VIEW;
    }
}

/* Put the i-th view into a pane. */
static void put(struct ew_app *a, enum ew_pane pane, int i)
{
    for (int p = 0; p < EW_N_PANES; p++) {
        if (a->view[p] == i) {
            a->view[p] = a->view[pane];
        }
    }
    a->view[pane] = i;
    a->rows_old = true; /* the list of edges may have another height */
}

void ew_pane_turn(struct ew_app *a, enum ew_pane pane)
{
    int i = a->view[pane];
    bool taken;
    do {
        i = (i + 1) % ew_n_views;
        int other = pane_of(a, ew_views[i]);
        taken = other != EW_N_PANES && other != (int)pane;
    } while (taken);
    put(a, pane, i);
    if (a->zoomed) {
        a->pane = pane;
    }
}

static int index_of(const struct ew_view_ops *view)
{
    int i = 0;
    while (i < ew_n_views - 1 && ew_views[i] != view) {
        i++;
    }
    return i;
}

void ew_pane_put(struct ew_app *a, enum ew_pane pane,
                 const struct ew_view_ops *view)
{
    put(a, pane, index_of(view));
}

void ew_app_show(struct ew_app *a, const struct ew_view_ops *view)
{
    int pane = pane_of(a, view);
    if (pane == EW_N_PANES) {
        pane = a->pane == EW_PANE_VIEW2 ? EW_PANE_VIEW2 : EW_PANE_VIEW;
        put(a, (enum ew_pane)pane, index_of(view));
    }
    a->pane = (enum ew_pane)pane;
}
