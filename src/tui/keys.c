/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and the mouse to actions, and what each action does. A view gets the
 * first word on movement in its own pane; what no view knows is done here.
 */
#include <stdio.h>
#include <string.h>

#include "app.h"

static void next_quantity(struct ew_app *a)
{
    int next = ((int)a->quantity + 1) % EW_N_QTY;
    if (next == EW_QTY_GROUP && ew_groups_n(a->groups) == 0) {
        next++;
    }
    if (next == EW_QTY_CHANGE && !ew_pinned(a)) {
        next = EW_QTY_DIRECT;
    }
    ew_node_show(a, (enum ew_quantity)next);
}

/* The other end of the edge under the cursor becomes the node. */
static void follow_edge(struct ew_app *a)
{
    uint32_t edge = ew_rows_edge(a);
    if (edge == EW_NONE) {
        return;
    }
    if (a->all) {
        ew_next_go(a, edge);
        return;
    }
    uint32_t sender = ew_edge_sender(a->graph, edge);
    uint32_t receiver = ew_edge_receiver(a->graph, edge);
    uint32_t feeds = ew_graph_feeds(a->graph, receiver);
    uint32_t node =
        a->out ? (feeds == EW_NONE ? ew_logits_of(a) : feeds) : sender;
    if (node == EW_NONE || node == a->node) {
        ew_notice(a, false, "a direct edge stays inside its head");
        return;
    }
    if (a->n_back == EW_ARRAY_LEN(a->back)) {
        memmove(a->back, a->back + 1, sizeof(a->back) - sizeof(a->back[0]));
        a->n_back--;
    }
    a->back[a->n_back++] = a->node;
    ew_node_go(a, node);
}

static void first_row(struct ew_app *a)
{
    a->edge = EW_NONE;
    a->edge_at = 0;
    a->edge_top = 0;
    a->rows_old = true;
}

static void turn_direction(struct ew_app *a)
{
    a->out = !a->all && !a->out;
    a->all = false;
    first_row(a);
}

/* The whole graph's edges, and back to the node's; the cursor stays with its
 * edge when that is in both. */
static void turn_all(struct ew_app *a)
{
    a->edge = ew_rows_edge(a);
    a->all = !a->all;
    a->rows_old = true;
}

static void go_back(struct ew_app *a)
{
    if (a->filter) {
        ew_filter_drop(a);
    } else if (a->all) {
        turn_all(a);
    } else if (a->n_back > 0) {
        ew_node_go(a, a->back[--a->n_back]);
    } else if (a->zoomed) {
        a->zoomed = false;
    } else {
        a->pane = EW_PANE_NODES;
    }
}

static void close_something(struct ew_app *a)
{
    if (a->zoomed) {
        a->zoomed = false;
    } else {
        a->todo |= EW_TODO_QUIT;
    }
}

/* Only what runs, lest it hits what the engine does of its own accord. */
static void cancel_something(struct ew_app *a)
{
    bool engine = a->acdc.running || a->acdc.steps_waiting > 0 ||
                  a->joints_waiting > 0 || a->editor.pending;
    if (engine) {
        a->acdc.run_next = false;
        a->ports.cancel(a->ports.user);
    }
    if (a->exporting) {
        a->ports.cancel_export(a->ports.user);
    }
    if (engine || a->exporting) {
        ew_notice(a, false, "stopping ...");
    } else if (a->estimating) {
        ew_edit_estimate_stop(a);
    } else {
        ew_prompt_open(a, EW_PROMPT_QUIT, "");
    }
}

static void mark(struct ew_app *a)
{
    uint32_t edge = ew_rows_edge(a);
    if (edge == EW_NONE) {
        return;
    }
    ew_bitset_flip(a->marked, edge);
    ew_app_show(a, &ew_view_edges);
    ew_app_act(a, EW_DO_DOWN);
    ew_notice(a, false, "%zu marked: Space cuts or keeps them together",
              ew_bitset_count(a->marked));
}

static bool act_circuit(struct ew_app *a, enum ew_action action)
{
    switch (action) {
    case EW_DO_TOGGLE:
        ew_edit_toggle(a);
        return true;
    case EW_DO_KNOCK_OUT:
        ew_edit_knock_out(a);
        return true;
    case EW_DO_MARK:
        mark(a);
        return true;
    case EW_DO_NEXT_EDGE:
        ew_next_edge(a);
        return true;
    case EW_DO_JOINT:
        ew_next_joint(a);
        return true;
    case EW_DO_MARK_NODE:
        ew_next_mark_node(a);
        return true;
    case EW_DO_MARK_ROWS:
        ew_next_mark_rows(a);
        return true;
    case EW_DO_COMPLEMENT:
        ew_next_complement(a);
        return true;
    case EW_DO_GROUP:
        ew_prompt_open(a, EW_PROMPT_COMMAND, "group ");
        return true;
    case EW_DO_LABELS:
        ew_prompt_open(a, EW_PROMPT_COMMAND, "labels ");
        return true;
    case EW_DO_PIN:
        ew_pin_toggle(a);
        return true;
    case EW_DO_UNDO:
    case EW_DO_REDO:
        ew_edit_undo(a, action == EW_DO_REDO);
        return true;
    case EW_DO_RESTORE_ALL:
        ew_edit_restore_all(a);
        return true;
    case EW_DO_ACDC_STEP:
        ew_edit_acdc(a, EW_REQ_ACDC_STEP, EW_VERDICT_ACDC, EW_UNTIL_END);
        return true;
    case EW_DO_ACDC_OVERRULE:
        ew_edit_acdc(a, EW_REQ_ACDC_STEP, EW_VERDICT_OVERRULE, EW_UNTIL_END);
        return true;
    case EW_DO_ACDC_RUN:
    case EW_DO_ACDC_INPUT:
    case EW_DO_ACDC_DOUBT:
        ew_edit_acdc(a, EW_REQ_ACDC_RUN, EW_VERDICT_ACDC,
                     action == EW_DO_ACDC_INPUT   ? EW_UNTIL_INPUT
                     : action == EW_DO_ACDC_DOUBT ? EW_UNTIL_DOUBT
                                                  : EW_UNTIL_END);
        return true;
    case EW_DO_ACDC_BACK:
        ew_edit_acdc_back(a);
        return true;
    case EW_DO_THRESHOLD_DOWN:
    case EW_DO_THRESHOLD_UP:
        ew_edit_threshold(a, action == EW_DO_THRESHOLD_UP ? 1 : -1);
        return true;
    case EW_DO_THRESHOLD:
        ew_prompt_open(a, EW_PROMPT_COMMAND, "threshold ");
        return true;
    case EW_DO_METRIC:
        ew_edit_metric(a);
        return true;
    case EW_DO_EXPORT:
        ew_prompt_open(a, EW_PROMPT_EXPORT,
                       a->export_path[0] ? a->export_path : "circuit.svg");
        return true;
    default:
        return false;
    }
}

static bool act_view(struct ew_app *a, enum ew_action action)
{
    switch (action) {
    case EW_DO_NEXT_PANE:
    case EW_DO_PREV_PANE:
        ew_pane_next(a, action == EW_DO_NEXT_PANE ? 1 : -1);
        return true;
    case EW_DO_OPEN:
        if (ew_pane_on(a, &ew_view_edges)) {
            follow_edge(a);
        } else {
            ew_app_show(a, &ew_view_edges);
        }
        return true;
    case EW_DO_BACK:
        go_back(a);
        return true;
    case EW_DO_DIRECTION:
        turn_direction(a);
        return true;
    case EW_DO_ALL_EDGES:
        turn_all(a);
        return true;
    case EW_DO_SEARCH:
        ew_prompt_open(a, EW_PROMPT_SEARCH, "");
        return true;
    case EW_DO_SEARCH_NEXT:
    case EW_DO_SEARCH_PREV:
        ew_search(a, action == EW_DO_SEARCH_NEXT ? 1 : -1);
        return true;
    case EW_DO_FILTER:
        ew_prompt_open(a, EW_PROMPT_FILTER, a->filter_text);
        return true;
    case EW_DO_SORT:
        a->popup = EW_POPUP_SORT;
        a->popup_list = (struct ew_list){.cur = (long)a->sort};
        return true;
    case EW_DO_INVERT:
        a->inverted = !a->inverted;
        a->rows_old = true;
        return true;
    case EW_DO_VIEW:
        ew_pane_turn(a, a->pane >= EW_PANE_VIEW ? a->pane : EW_PANE_VIEW);
        return true;
    case EW_DO_PANE_VIEW:
        ew_pane_turn(a, a->pane);
        return true;
    case EW_DO_TREE:
        a->map = !a->map;
        return true;
    case EW_DO_MAP_QUANTITY:
        next_quantity(a);
        return true;
    case EW_DO_ZOOM:
        a->zoomed = !a->zoomed;
        return true;
    default:
        return false;
    }
}

static void act_program(struct ew_app *a, enum ew_action action)
{
    switch (action) {
    case EW_DO_HELP:
    case EW_DO_INFO:
        a->popup = action == EW_DO_HELP ? EW_POPUP_HELP : EW_POPUP_INFO;
        a->popup_list = (struct ew_list){0};
        break;
    case EW_DO_ESTIMATE:
        ew_edit_estimate(a, EW_ATTR_EAP);
        break;
    case EW_DO_EDIT_PROMPT:
        ew_editor_open(a);
        break;
    case EW_DO_SNAPSHOT:
        ew_prompt_open(a, EW_PROMPT_COMMAND, "snapshot ");
        break;
    case EW_DO_COMPARE:
        ew_snapshot_base(a, "");
        break;
    case EW_DO_SCRIPT:
        ew_prompt_open(a, EW_PROMPT_COMMAND, "script circuit.sh");
        break;
    case EW_DO_THEME:
        ew_theme_set((enum ew_theme)((ew_theme() + 1) % EW_N_THEMES));
        ew_notice(a, false, "theme: %s", ew_theme_name(ew_theme()));
        a->todo |= EW_TODO_REDRAW;
        break;
    case EW_DO_COMMAND:
        ew_prompt_open(a, EW_PROMPT_COMMAND, "");
        break;
    case EW_DO_CANCEL:
        cancel_something(a);
        break;
    case EW_DO_CLOSE:
        close_something(a);
        break;
    case EW_DO_QUIT:
        a->todo |= EW_TODO_QUIT;
        break;
    case EW_DO_REDRAW:
        a->todo |= EW_TODO_REDRAW;
        break;
    case EW_DO_SUSPEND:
        a->todo |= EW_TODO_SUSPEND;
        break;
    default:
        break;
    }
}

void ew_app_act(struct ew_app *a, enum ew_action action)
{
    a->notice[0] = '\0';
    const struct ew_view_ops *view = ew_app_view(a, a->pane);
    if (view->act && view->act(a, action, a->inner_rows[a->pane])) {
        return;
    }
    if (!act_circuit(a, action) && !act_view(a, action)) {
        act_program(a, action);
    }
}

/* ---- popups ---- */

static void popup_act(struct ew_app *a, enum ew_action action)
{
    if (a->popup == EW_POPUP_SORT && action == EW_DO_OPEN) {
        a->sort = (enum ew_sort)a->popup_list.cur;
        a->rows_old = true;
        a->popup = EW_POPUP_NONE;
        return;
    }
    long n = a->popup == EW_POPUP_SORT ? EW_N_SORTS : 10000;
    if (a->popup == EW_POPUP_SORT) {
        if (action == EW_DO_SORT) {
            action = EW_DO_DOWN;
            a->popup_list.cur =
                a->popup_list.cur == n - 1 ? -1 : a->popup_list.cur;
        }
        if (!ew_list_act(&a->popup_list, n, (int)n, action)) {
            a->popup = EW_POPUP_NONE;
        }
        return;
    }
    /* text: the top row is what moves; drawing keeps it in range */
    long rows = a->layout.status.y > 6 ? a->layout.status.y - 6 : 4;
    switch (action) {
    case EW_DO_DOWN:
        a->popup_list.top++;
        break;
    case EW_DO_UP:
        a->popup_list.top--;
        break;
    case EW_DO_HALF_DOWN:
    case EW_DO_PAGE_DOWN:
    case EW_DO_TOGGLE:
        a->popup_list.top += rows;
        break;
    case EW_DO_HALF_UP:
    case EW_DO_PAGE_UP:
        a->popup_list.top -= rows;
        break;
    case EW_DO_TOP:
        a->popup_list.top = 0;
        break;
    case EW_DO_BOTTOM:
        a->popup_list.top = n;
        break;
    case EW_DO_QUIT:
        a->todo |= EW_TODO_QUIT;
        break;
    default:
        a->popup = EW_POPUP_NONE;
    }
}

void ew_app_key(struct ew_app *a, uint32_t key)
{
    if (a->prompt != EW_PROMPT_NONE) {
        ew_prompt_key(a, key);
        return;
    }
    if (a->popup == EW_POPUP_EDITOR) {
        ew_editor_key(a, key);
        return;
    }
    enum ew_action action = ew_keymap_action(a->keys, key);
    if (a->popup != EW_POPUP_NONE) {
        popup_act(a, action);
        return;
    }
    if (action != EW_DO_NONE) {
        ew_app_act(a, action);
        return;
    }
    struct ew_buf text = {0};
    ew_buf_add(&text, "no action on ");
    ew_key_print(key, &text);
    ew_buf_add(&text, ": press ");
    ew_keymap_print(a->keys, EW_DO_HELP, true, &text);
    ew_buf_add(&text, " for help");
    ew_notice(a, true, "%s", ew_buf_str(&text));
    ew_buf_finish(&text);
}

/* ---- mouse ---- */

static bool inside(struct ew_rect r, int y, int x)
{
    return y >= r.y && y < r.y + r.rows && x >= r.x && x < r.x + r.cols;
}

static void click_view(struct ew_app *a, const struct ew_view_ops *view,
                       const struct ew_click *c)
{
    if (view->click) {
        view->click(a, c);
    } else if (view->list) {
        ew_list_click((struct ew_list *)((char *)a + view->list),
                      c->y - view->head);
    }
}

void ew_app_mouse(struct ew_app *a, enum ew_mouse what, int y, int x)
{
    if (a->prompt != EW_PROMPT_NONE || a->popup == EW_POPUP_EDITOR ||
        a->layout.too_small) {
        return;
    }
    if (a->popup != EW_POPUP_NONE) {
        popup_act(a, what == EW_MOUSE_CLICK        ? EW_DO_BACK
                     : what == EW_MOUSE_WHEEL_DOWN ? EW_DO_DOWN
                                                   : EW_DO_UP);
        return;
    }
    if (what == EW_MOUSE_CLICK && inside(a->layout.footer, y, x)) {
        enum ew_action action = ew_footer_at(a, a->layout.footer.cols, x);
        if (action != EW_DO_NONE) {
            ew_app_act(a, action);
        }
        return;
    }
    for (int p = 0; p < EW_N_PANES; p++) {
        struct ew_rect r = a->layout.pane[p];
        const struct ew_view_ops *view = ew_app_view(a, (enum ew_pane)p);
        if (!inside(r, y, x)) {
            continue;
        }
        a->notice[0] = '\0';
        if (what != EW_MOUSE_CLICK) {
            for (int i = 0; i < 3 && view->act; i++) {
                view->act(a,
                          what == EW_MOUSE_WHEEL_DOWN ? EW_DO_DOWN : EW_DO_UP,
                          a->inner_rows[p]);
            }
            return;
        }
        struct ew_click click = {y - r.y - 1, x - r.x - 1, r.rows - 2,
                                 r.cols - 2, a->pane == (enum ew_pane)p};
        a->pane = (enum ew_pane)p;
        click_view(a, view, &click);
        return;
    }
}

int ew_app_timeout(const struct ew_app *a)
{
    return a->acdc.running ? 200 : a->table.later ? 100 : -1;
}
