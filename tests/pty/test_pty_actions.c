/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every action of the table, by its first key, in the real program on the
 * bundled model: one walk through it, in which each key shows its text, or
 * takes one away, or at least changes what is seen. An action that the walk
 * passes by fails the test.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "edgewise/common.h"

#include "actions.h"
#include "ew_cmocka.h"
#include "pty_run.h"

enum { ROWS = 40, COLS = 120 };

#define X(id, name, flags, keys, footer, help) {name, keys},
static const struct {
    const char *name, *keys;
} table[] = {EW_ACTIONS(X)};
#undef X

struct step {
    enum ew_action action;
    const char *before; /* typed first */
    const char *first;  /* to be waited for before the action's key; "" */
    const char *text;   /* appears; NULL: any change of the screen */
    const char *gone;   /* disappears; NULL */
    const char *after;  /* typed at the end */
};

static const struct step walk[] = {
    /* about the nodes */
    {EW_DO_DOWN, "j", "", "into a1.h0", NULL, ""},
    {EW_DO_UP, "", "", NULL, NULL, ""},
    {EW_DO_BOTTOM, "", "", "into input", NULL, ""},
    {EW_DO_TOP, "", "", "into logits", NULL, ""},
    {EW_DO_FOLD, "jj", "", NULL, NULL, ""},
    {EW_DO_UNFOLD, "", "", NULL, NULL, ""},
    {EW_DO_UNFOLD_ALL, "", "", NULL, NULL, "*"},
    {EW_DO_RIGHT, "", "", "● q ", NULL, ""},
    {EW_DO_LEFT, "", "", NULL, "● q ", "g"},
    {EW_DO_MAP_QUANTITY, "", "", "nodes show:", NULL, ""},
    {EW_DO_TREE, "", "", NULL, "▾ layer 1", "t"},
    {EW_DO_SEARCH, "", "", "find:", NULL, "a0\r"},
    {EW_DO_SEARCH_NEXT, "", "1/8", "2/8", NULL, ""},
    {EW_DO_SEARCH_PREV, "", "", "1/8", NULL, "g"},
    {EW_DO_NEXT_PANE, "", "into logits", NULL, NULL, ""},
    {EW_DO_PREV_PANE, "", "", NULL, NULL, "\t"},
    /* about the edges, all 17 into the logits */
    {EW_DO_ZOOM, "", "", NULL, "layer 0", "f"},
    {EW_DO_HALF_DOWN, "", "layer 0", NULL, NULL, ""},
    {EW_DO_HALF_UP, "", "", NULL, NULL, ""},
    {EW_DO_PAGE_DOWN, "", "", NULL, NULL, ""},
    {EW_DO_PAGE_UP, "", "", NULL, NULL, ""},
    {EW_DO_DIRECTION, "\033[Z/a0.h2\r", "into a0.h2", "out of a0.h2", NULL,
     "og\t"},
    {EW_DO_ALL_EDGES, "", "into logits", "all edges", NULL, "Og"},
    {EW_DO_OPEN, "", "into logits", "into a1.h6", NULL, ""},
    {EW_DO_BACK, "", "", "into logits", NULL, ""},
    {EW_DO_SORT, "", "", "order of the edges", NULL, "\033"},
    {EW_DO_INVERT, "", "", NULL, NULL, "I"},
    {EW_DO_FILTER, "", "", "show only:", NULL, "from:a0\r"},
    {EW_DO_MARK_ROWS, "", "8 of 17", "8 marked", NULL, "&\033"},
    {EW_DO_MARK, "", "17 kept", "1 marked", NULL, ""},
    {EW_DO_JOINT, "m", "2 marked", "one by one:", NULL, "kkmm"},
    {EW_DO_TOGGLE, "g", "", "304/305 edges", NULL, ""},
    {EW_DO_UNDO, "", "", "305/305 edges", NULL, ""},
    {EW_DO_REDO, "", "", "304/305 edges", NULL, ""},
    {EW_DO_RESTORE_ALL, "", "", "305/305 edges", NULL, ""},
    {EW_DO_COMPLEMENT, "", "", "0/305 edges", NULL, "~"},
    {EW_DO_PIN, "", "305/305 edges", "pinned at 305", NULL, "="},
    {EW_DO_NEXT_EDGE, "", "unpinned", "gains", NULL, ""},
    {EW_DO_SNAPSHOT, "", "", ":snapshot", NULL, " one\r"},
    {EW_DO_COMPARE, "", "", "compared with now", NULL, "\033[Z"},
    {EW_DO_METRIC, "", "", "minimised", NULL, ":metric logit-diff\r"},
    {EW_DO_ESTIMATE, "", "", "estimate", NULL, ""},
    /* about a head */
    {EW_DO_KNOCK_OUT, "\033[Z/a0.h1\r", "into a0.h1", "280/305 edges", NULL,
     "R"},
    {EW_DO_MARK_NODE, "", "305/305 edges", " marked", NULL, "H"},
    {EW_DO_GROUP, "", "", ":group", NULL, " mine red\r"},
    {EW_DO_LABELS, "", "", ":labels", NULL, "\033"},
    /* ACDC */
    {EW_DO_THRESHOLD_UP, "", "", "ACDC threshold 0.068", NULL, ""},
    {EW_DO_THRESHOLD_DOWN, "", "", NULL, "threshold 0.068", ""},
    {EW_DO_THRESHOLD, "", "", ":threshold", NULL, " 0.1\r"},
    {EW_DO_ACDC_STEP, "", "tau 0.1", "ACDC keeps", NULL, ""},
    {EW_DO_ACDC_BACK, "", "", "back to before", NULL, ""},
    {EW_DO_ACDC_OVERRULE, "", "", "ACDC cuts", NULL, "R"},
    {EW_DO_ACDC_INPUT, "", "305/305 edges", "ACDC so far", NULL, "R"},
    {EW_DO_ACDC_DOUBT, "", "305/305 edges", "of tau", NULL, "R"},
    {EW_DO_ACDC_RUN, "", "305/305 edges", "ACDC done", NULL, "R"},
    /* the rest */
    {EW_DO_INFO, "", "305/305 edges", "definitions in force", NULL, "q"},
    {EW_DO_HELP, "", "", "j k scroll", NULL, ""},
    {EW_DO_CLOSE, "", "", NULL, "j k scroll", ""},
    {EW_DO_COMMAND, "", "", " :", NULL, "\033"},
    {EW_DO_EXPORT, "", "", "circuit.svg", NULL, "\033"},
    {EW_DO_SCRIPT, "", "", ":script circuit.sh", NULL, "\033"},
    {EW_DO_EDIT_PROMPT, "", "", "clean", NULL, "\033"},
    {EW_DO_VIEW, "", "", NULL, NULL, ""},
    {EW_DO_PANE_VIEW, "", "", NULL, NULL, ""},
    {EW_DO_THEME, "", "", NULL, NULL, ""},
    {EW_DO_REDRAW, "", "", NULL, "DEBRIS", ""},
    {EW_DO_CANCEL, "", "", "nothing is running; quit?", NULL, "n"},
    {EW_DO_SUSPEND, "", "", "stop 1 of job", NULL, "fg\n"},
    {EW_DO_QUIT, "", "into", NULL, NULL, ""},
};

/* What a terminal sends for the first of an action's keys. */
static const char *bytes_of(enum ew_action action)
{
    static const struct {
        const char *name, *bytes;
    } named[] = {
        {"<Enter>", "\r"},     {"<Tab>", "\t"},  {"<S-Tab>", "\033[Z"},
        {"<Esc>", "\033"},     {"<Space>", " "}, {"<PgDn>", "\033[6~"},
        {"<PgUp>", "\033[5~"},
    };
    static char out[8];
    char key[16];
    const char *keys = table[action].keys;
    size_t len = strcspn(keys, " ");
    assert_true(len > 0 && len < sizeof(key));
    memcpy(key, keys, len);
    key[len] = '\0';
    for (size_t i = 0; i < EW_ARRAY_LEN(named); i++) {
        if (strcmp(key, named[i].name) == 0) {
            return named[i].bytes;
        }
    }
    out[0] = strncmp(key, "<C-", 3) == 0 ? (char)(key[3] & 31) : key[0];
    out[1] = '\0';
    return out;
}

/* All that is seen, colours and cursor's row included, as one number. */
static uint64_t fingerprint(struct program *p)
{
    uint64_t sum = 14695981039346656037u;
    for (int y = 0; y < p->rows; y++) {
        for (int x = 0; x < p->cols; x++) {
            VTermScreenCell cell;
            VTermPos pos = {.row = y, .col = x};
            vterm_screen_get_cell(p->screen, pos, &cell);
            const uint64_t parts[] = {cell.chars[0],   cell.attrs.reverse,
                                      cell.attrs.bold, cell.fg.type,
                                      cell.fg.rgb.red, cell.bg.type,
                                      cell.bg.rgb.red, cell.attrs.underline};
            for (size_t i = 0; i < EW_ARRAY_LEN(parts); i++) {
                sum = (sum ^ parts[i]) * 1099511628211u;
            }
        }
    }
    return sum;
}

/* Until nothing has changed for a while. */
static uint64_t settled(struct program *p)
{
    enum { QUIET_US = 150000 };
    uint64_t sum = fingerprint(p);
    for (long long since = pty_now_us(); pty_now_us() - since < QUIET_US;) {
        assert_true(pty_pump(p, 20));
        uint64_t now = fingerprint(p);
        if (now != sum) {
            sum = now;
            since = pty_now_us();
        }
    }
    return sum;
}

static void wait_change(struct program *p, uint64_t before, const char *name)
{
    long long limit = pty_now_us() + 240000000;
    while (fingerprint(p) == before) {
        if (!pty_pump(p, 50) || pty_now_us() > limit) {
            pty_print(p);
            fail_msg("%s changes nothing", name);
        }
    }
}

static void take(struct program *p, const struct step *step)
{
    static const char debris[] = "\033[8;10HDEBRIS"; /* not the program's */
    const char *name = table[step->action].name;
    print_message("  %s\n", name);
    pty_type(p, step->before);
    if (*step->first) {
        pty_wait_for(p, step->first);
    }
    uint64_t before = settled(p);
    if (step->action == EW_DO_REDRAW) {
        vterm_input_write(p->vt, debris, strlen(debris));
    }
    if (step->text && pty_shows(p, step->text)) {
        pty_print(p);
        fail_msg("%s: '%s' is there before", name, step->text);
    }
    if (step->gone) {
        assert_true(pty_shows(p, step->gone));
    }
    pty_type(p, bytes_of(step->action));
    if (step->action == EW_DO_QUIT) {
        return;
    }
    if (step->text) {
        pty_wait_for(p, step->text);
    } else if (step->gone) {
        pty_wait_gone(p, step->gone);
    } else {
        wait_change(p, before, name);
    }
    pty_type(p, step->after);
}

static void every_action_is_taken_by_its_key(void **state)
{
    (void)state;
    struct program p;
    pty_start_job(&p, ROWS, COLS);
    pty_wait_ready(&p);
    for (size_t i = 0; i < EW_ARRAY_LEN(walk); i++) {
        take(&p, &walk[i]);
    }
    assert_int_equal(pty_finish(&p), 0);
}

static void no_action_is_passed_by(void **state)
{
    (void)state;
    for (int action = 0; action < EW_N_ACTIONS; action++) {
        bool found = false;
        for (size_t i = 0; i < EW_ARRAY_LEN(walk) && !found; i++) {
            found = (int)walk[i].action == action;
        }
        if (!found) {
            fail_msg("%s is not in the walk", table[action].name);
        }
    }
}

int main(void)
{
    pty_need();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_action_is_passed_by),
        cmocka_unit_test(every_action_is_taken_by_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
