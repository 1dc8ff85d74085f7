/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to actions. Every action can be called by its name; those in the
 * table below take something behind it, and say what there is to choose from.
 */
#include "command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"

/* Names that a word may be, one after the other; NULL at the end. */
typedef const char *(*choice_fn)(const struct ew_app *a, int i);

struct command {
    enum ew_action action;
    void (*run)(struct ew_app *a, const char *arg); /* arg is not empty */
    choice_fn choice;                               /* NULL: free text */
};

static const char *view_name(const struct ew_app *a, int i)
{
    (void)a;
    return i < ew_n_views ? ew_views[i]->name : NULL;
}

static const char *metric_name(const struct ew_app *a, int i)
{
    (void)a;
    return i < EW_N_METRICS ? ew_metric_name((enum ew_metric)i) : NULL;
}

static const struct ew_view_ops *find_view(struct ew_app *a, const char *name)
{
    for (int i = 0; i < ew_n_views; i++) {
        if (strcmp(ew_views[i]->name, name) == 0) {
            return ew_views[i];
        }
    }
    ew_notice(a, true, "no view called '%s': Tab lists them", name);
    return NULL;
}

static void run_view(struct ew_app *a, const char *arg)
{
    const struct ew_view_ops *view = find_view(a, arg);
    if (view) {
        ew_app_show(a, view);
    }
}

static void run_pane_view(struct ew_app *a, const char *arg)
{
    const struct ew_view_ops *view = find_view(a, arg);
    if (view) {
        ew_pane_put(a, a->pane, view);
    }
}

static void run_metric(struct ew_app *a, const char *arg)
{
    struct ew_err err = {0};
    enum ew_metric metric;
    if (!ew_metric_parse(arg, &metric, &err)) {
        ew_notice(a, true, "%s", err.message);
        return;
    }
    ew_edit_set_metric(a, metric);
}

/* A number, or a percentage; NaN when it is none. */
static double read_number(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text) {
        return NAN;
    }
    bool percent = *end == '%';
    end += percent;
    end += strspn(end, " ");
    return *end ? NAN : percent ? value / 100.0 : value;
}

static void run_threshold(struct ew_app *a, const char *arg)
{
    double tau = read_number(arg);
    if (!(tau > 0) || !isfinite(tau)) {
        ew_notice(a, true, "threshold: '%s' is no number above 0", arg);
        return;
    }
    ew_edit_set_threshold(a, tau);
}

static void run_doubt(struct ew_app *a, const char *arg)
{
    double share = read_number(arg);
    if (!(share > 0) || share >= 1) {
        ew_notice(a, true, "acdc-doubt: '%s' is no share like 25%% or 0.25",
                  arg);
        return;
    }
    a->acdc.doubt = share;
    ew_app_act(a, EW_DO_ACDC_DOUBT);
}

static void run_filter(struct ew_app *a, const char *arg)
{
    ew_filter_set(a, arg);
}

static void run_search(struct ew_app *a, const char *arg)
{
    snprintf(a->search, sizeof(a->search), "%s", arg);
    ew_search(a, 0);
}

static void run_export(struct ew_app *a, const char *arg)
{
    ew_edit_export(a, arg, false);
}

static const char *labels_name(const struct ew_app *a, int i)
{
    (void)a;
    return ew_groups_shipped(i);
}

static const char *group_name(const struct ew_app *a, int i)
{
    return i < (int)ew_groups_n(a->groups)
               ? ew_groups_get(a->groups, (size_t)i)->name
               : NULL;
}

static const char *snapshot_name(const struct ew_app *a, int i)
{
    return i < (int)a->session.n ? a->session.items[i].name : NULL;
}

static const char *theme_name(const struct ew_app *a, int i)
{
    (void)a;
    return i < EW_N_THEMES ? ew_theme_name((enum ew_theme)i) : NULL;
}

static const char *quantity_name(const struct ew_app *a, int i)
{
    (void)a;
    return i < EW_N_QTY ? ew_quantity_name((enum ew_quantity)i) : NULL;
}

static void run_quantity(struct ew_app *a, const char *arg)
{
    for (int i = 0; i < EW_N_QTY; i++) {
        if (strcmp(arg, ew_quantity_name((enum ew_quantity)i)) == 0) {
            ew_node_show(a, (enum ew_quantity)i);
            return;
        }
    }
    ew_notice(a, true, "nodes have no '%s': Tab lists what they have", arg);
}

static const char *attribution_name(const struct ew_app *a, int i)
{
    (void)a;
    return i < EW_N_ATTRIBUTIONS ? ew_attribution_name((enum ew_attribution)i)
                                 : NULL;
}

static void run_estimate(struct ew_app *a, const char *arg)
{
    enum ew_attribution method;
    if (!ew_attribution_parse(arg, &method)) {
        ew_notice(a, true, "no way of estimating called '%s': Tab lists them",
                  arg);
    } else if (a->load != EW_LOADED) {
        ew_notice(a, true, "there is no engine yet");
    } else {
        ew_edit_estimate(a, method);
    }
}

static const char *sort_name(const struct ew_app *a, int i)
{
    (void)a;
    return i < EW_N_SORTS ? ew_sort_name((enum ew_sort)i) : NULL;
}

static void run_sort(struct ew_app *a, const char *arg)
{
    for (int i = 0; i < EW_N_SORTS; i++) {
        if (strcmp(arg, ew_sort_name((enum ew_sort)i)) == 0) {
            a->sort = (enum ew_sort)i;
            a->rows_old = true;
            return;
        }
    }
    ew_notice(a, true, "no order called '%s': Tab lists them", arg);
}

static void run_theme(struct ew_app *a, const char *arg)
{
    enum ew_theme theme;
    if (!ew_theme_parse(arg, &theme)) {
        ew_notice(a, true, "no theme called '%s': Tab lists them", arg);
        return;
    }
    ew_theme_set(theme);
    a->todo |= EW_TODO_REDRAW;
}

static const struct command commands[] = {
    {EW_DO_SNAPSHOT, ew_snapshot_take, snapshot_name},
    {EW_DO_COMPARE, ew_snapshot_base, snapshot_name},
    {EW_DO_SCRIPT, ew_session_script, NULL},
    {EW_DO_THEME, run_theme, theme_name},
    {EW_DO_LABELS, ew_labels_load, labels_name},
    {EW_DO_GROUP, ew_labels_put, group_name},
    {EW_DO_VIEW, run_view, view_name},
    {EW_DO_PANE_VIEW, run_pane_view, view_name},
    {EW_DO_ESTIMATE, run_estimate, attribution_name},
    {EW_DO_MAP_QUANTITY, run_quantity, quantity_name},
    {EW_DO_METRIC, run_metric, metric_name},
    {EW_DO_THRESHOLD, run_threshold, NULL},
    {EW_DO_ACDC_DOUBT, run_doubt, NULL},
    {EW_DO_SORT, run_sort, sort_name},
    {EW_DO_FILTER, run_filter, NULL},
    {EW_DO_SEARCH, run_search, NULL},
    {EW_DO_EXPORT, run_export, NULL},
};

static const struct command *find(enum ew_action action)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(commands); i++) {
        if (commands[i].action == action) {
            return &commands[i];
        }
    }
    return NULL;
}

void ew_command_run(struct ew_app *a, const char *line)
{
    line += strspn(line, " ");
    size_t len = strcspn(line, " ");
    char *name = ew_xstrndup(line, len);
    const char *arg = line + len + strspn(line + len, " ");
    enum ew_action action = ew_action_find(name);
    const struct command *command = find(action);
    if (action == EW_DO_NONE && *name) {
        ew_notice(a, true, "no action called '%s': ? lists them", name);
    } else if (*arg && !command) {
        ew_notice(a, true, "%s takes nothing", name);
    } else if (*arg) {
        a->notice[0] = '\0';
        command->run(a, arg);
    } else if (action != EW_DO_NONE) {
        ew_app_act(a, action);
    }
    free(name);
}

/* ---- completion ---- */

static const char *action_name(const struct ew_app *a, int i)
{
    (void)a;
    return i < EW_N_ACTIONS ? ew_action_info((enum ew_action)i)->name : NULL;
}

/* Those that begin with `word`: how many, what they share, and a list. */
static size_t gather(const struct ew_app *a, choice_fn choice, const char *word,
                     char *shared, size_t size, struct ew_buf *list)
{
    size_t n = 0;
    const char *name;
    for (int i = 0; (name = choice(a, i)) != NULL; i++) {
        if (strncmp(name, word, strlen(word)) != 0) {
            continue;
        }
        if (n++ == 0) {
            snprintf(shared, size, "%s", name);
        }
        size_t common = 0;
        while (shared[common] && shared[common] == name[common]) {
            common++;
        }
        shared[common] = '\0';
        ew_buf_printf(list, "%s%s", list->len ? "  " : "", name);
    }
    return n;
}

/* The i-th of them. */
static const char *nth(const struct ew_app *a, choice_fn choice,
                       const char *word, size_t i)
{
    const char *name;
    for (int k = 0; (name = choice(a, k)) != NULL; k++) {
        if (strncmp(name, word, strlen(word)) == 0 && i-- == 0) {
            return name;
        }
    }
    return word;
}

/* What the last word of a line may be, and where it begins. */
static choice_fn choices(const char *line, const char **word)
{
    size_t head = strcspn(line, " ");
    *word = line;
    if (line[head] != ' ') {
        return action_name;
    }
    char *name = ew_xstrndup(line, head);
    const struct command *command = find(ew_action_find(name));
    free(name);
    *word = line + head + strspn(line + head, " ");
    return command ? command->choice : NULL;
}

/* `stem` with its word made `name`. */
static void put_word(struct ew_line *l, const char *stem, const char *word,
                     const char *name, const char *tail)
{
    char *text = ew_xasprintf("%.*s%s%s", (int)(word - stem), stem, name, tail);
    ew_line_set(l, text);
    free(text);
}

/*
 * As far as all that fit agree, and a list of them. When that adds nothing,
 * the next Tab puts the first in, the one after that the second, and round.
 */
void ew_command_complete(struct ew_app *a)
{
    struct ew_line *l = &a->line;
    struct ew_completion *c = &a->completion;
    bool again = c->stem[0] && strcmp(l->text, c->put) == 0;
    if (!again) {
        snprintf(c->stem, sizeof(c->stem), "%s", l->text);
    }
    const char *word;
    choice_fn choice = choices(c->stem, &word);
    char shared[EW_LINE_SIZE] = "";
    struct ew_buf list = {0};
    size_t n =
        choice ? gather(a, choice, word, shared, sizeof(shared), &list) : 0;
    if (n > 1 && again) {
        put_word(l, c->stem, word, nth(a, choice, word, c->next++ % n), "");
    } else if (n > 0) {
        bool more = n == 1 && choice == action_name &&
                    find(ew_action_find(shared)) != NULL;
        bool stuck = strcmp(word, shared) == 0;
        put_word(l, c->stem, word, shared, more ? " " : "");
        c->next = 0;
        if (n == 1 || !stuck) {
            c->stem[0] = '\0';
        }
    }
    snprintf(c->put, sizeof(c->put), "%s", l->text);
    if (n > 1) {
        ew_notice(a, false, "%s", ew_buf_str(&list));
    } else {
        a->notice[0] = '\0';
    }
    ew_buf_finish(&list);
}
