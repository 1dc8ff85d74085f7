/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a key can do, in one table. The keymap, the help screen, the
 * footer, the command line and the man page's key section are made from it.
 *
 * Keys are written as in keys.conf: a character, <Space>, <Enter>, <Esc>,
 * <Tab>, <S-Tab>, <Up>, <PgDn>, <F1>, <C-r>; several with blanks between.
 */
#ifndef EW_TUI_ACTIONS_H
#define EW_TUI_ACTIONS_H

#include <stdbool.h>

enum {
    EW_ACT_EDIT = 1,   /* changes the circuit: one revision, undoable */
    EW_ACT_ENGINE = 2, /* needs the engine to be there */
    EW_ACT_FOOTER = 4, /* worth a place in the footer, in table order */
};

// clang-format off
/*    id            name              flags  keys                footer     help */
#define EW_ACTIONS(X)                                                                          \
  X(DOWN,           "down",           0, "j <Down>",             "",        "next row")                                        \
  X(UP,             "up",             0, "k <Up>",               "",        "previous row")                                    \
  X(LEFT,           "left",           0, "h <Left>",             "",        "previous head or input; fold")                    \
  X(RIGHT,          "right",          0, "l <Right>",            "",        "next head or input; unfold")                      \
  X(HALF_DOWN,      "half-page-down", 0, "<C-d>",                "",        "half a page down")                                \
  X(HALF_UP,        "half-page-up",   0, "<C-u>",                "",        "half a page up")                                  \
  X(PAGE_DOWN,      "page-down",      0, "<PgDn> <C-f>",         "",        "a page down")                                     \
  X(PAGE_UP,        "page-up",        0, "<PgUp> <C-b>",         "",        "a page up")                                       \
  X(TOP,            "top",            0, "g <Home>",             "",        "first row")                                       \
  X(BOTTOM,         "bottom",         0, "G <End>",              "",        "last row")                                        \
  X(OPEN,           "open",           0, "<Enter>",              "",        "go in: a node's edges, an edge's other end")      \
  X(BACK,           "back",           0, "<Esc> <",              "",        "go back; clear the filter")                       \
  X(NEXT_PANE,      "next-pane",      0, "<Tab>",                "",        "next pane")                                       \
  X(PREV_PANE,      "previous-pane",  0, "<S-Tab>",              "",        "previous pane")                                   \
  X(TOGGLE,         "toggle",         EW_ACT_EDIT | EW_ACT_FOOTER, "<Space>", "cut",  "cut or restore the edge or node under the cursor") \
  X(KNOCK_OUT,      "knock-out",      EW_ACT_EDIT | EW_ACT_FOOTER, "x",   "knock", "cut all edges out of the node")          \
  X(MARK,           "mark",           0, "m",                    "",        "mark the edge; cut then takes all that are marked") \
  X(UNDO,           "undo",           EW_ACT_EDIT | EW_ACT_FOOTER, "u z", "undo",    "undo the last change")                   \
  X(REDO,           "redo",           EW_ACT_EDIT, "<C-r> Z",     "redo",    "redo what was undone")                            \
  X(RESTORE_ALL,    "restore-all",    EW_ACT_EDIT, "R",           "",        "keep every edge again")                           \
  X(PIN,            "pin",            EW_ACT_FOOTER, "=",         "pin",     "pin the circuit: was, now, change against it; unpin") \
  X(GROUP,          "group",          0, "#",                    "",        "put the node into a group: NAME [COLOUR][: NOTE], or -") \
  X(LABELS,         "labels",         0, "L",                    "",        "read groups: ioi, greater-than, docstring or a file") \
  X(NEXT_EDGE,      "next-edge",      0, ".",                    "",        "go to the edge whose cut or return gains most")   \
  X(JOINT,          "joint",          EW_ACT_ENGINE, "J",        "",        "what the marked edges do together and one by one") \
  X(MARK_NODE,      "mark-node",      0, "H",                    "",        "mark all edges of the node, or unmark them")      \
  X(MARK_ROWS,      "mark-rows",      0, "&",                    "",        "mark all edges the table shows, or unmark them")  \
  X(COMPLEMENT,     "complement",     EW_ACT_EDIT, "~",          "",        "keep what is cut and cut what is kept")           \
  X(SNAPSHOT,       "snapshot",       0, "S",                    "",        "name the circuit as it is now")                   \
  X(COMPARE,        "compare",        0, "C",                    "",        "compare snapshots with one of them, or with now") \
  X(SCRIPT,         "script",         0, "W",                    "",        "write the journal as a shell script of commands") \
  X(THEME,          "theme",          0, "Y",                    "",        "next theme: dark, light, safe, mono")             \
  X(DIRECTION,      "direction",      EW_ACT_FOOTER, "o",         "in/out",  "edges into the node, or out of it")               \
  X(ALL_EDGES,      "all-edges",      0, "O",                    "",        "edges of the whole graph, or of the node")        \
  X(ACDC_STEP,      "acdc-step",      EW_ACT_EDIT | EW_ACT_ENGINE | EW_ACT_FOOTER, "a <F7>", "ACDC", "let ACDC decide about its next edge") \
  X(ACDC_RUN,       "acdc-run",       EW_ACT_EDIT | EW_ACT_ENGINE, "A <F8>", "",  "run ACDC to the end")      \
  X(ACDC_OVERRULE,  "acdc-overrule",  EW_ACT_EDIT | EW_ACT_ENGINE, "!", "overrule", "decide the next edge against ACDC's verdict") \
  X(ACDC_BACK,      "acdc-back",      EW_ACT_EDIT | EW_ACT_ENGINE, "b", "", "take ACDC's last decision back")      \
  X(ACDC_INPUT,     "acdc-input",     EW_ACT_EDIT | EW_ACT_ENGINE, "}", "", "let ACDC decide the rest of this input's edges") \
  X(ACDC_DOUBT,     "acdc-doubt",     EW_ACT_EDIT | EW_ACT_ENGINE, "D", "", "run ACDC up to an edge whose effect is near tau") \
  X(THRESHOLD_DOWN, "threshold-down", EW_ACT_FOOTER, "[",         "tau",     "lower ACDC's threshold: larger circuit")          \
  X(THRESHOLD_UP,   "threshold-up",   0, "]",                    "",        "raise ACDC's threshold: smaller circuit")         \
  X(THRESHOLD,      "threshold",      0, "T",                    "",        "type ACDC's threshold")                           \
  X(METRIC,         "metric",         0, "M",                    "",        "next metric for effects and ACDC")                \
  X(ESTIMATE,       "estimate",       EW_ACT_ENGINE, "E",        "",        "estimate all effects by gradients: eap, eap-ig-inputs, ...") \
  X(EDIT_PROMPT,    "edit-prompt",    EW_ACT_ENGINE, "p",        "",        "type a clean and a corrupted prompt, and their answers") \
  X(EXPORT,         "export",         EW_ACT_FOOTER, "e <F9>",    "export",  "write the circuit: svg png pdf dot json csv")     \
  X(SEARCH,         "search",         EW_ACT_FOOTER, "/ <F3>",    "find",    "find a node or edge by name")                     \
  X(SEARCH_NEXT,    "search-next",    0, "n",                    "",        "next match")                                      \
  X(SEARCH_PREV,    "search-previous",0, "N",                    "",        "previous match")                                  \
  X(FILTER,         "filter",         EW_ACT_FOOTER, "\\ <F4>",   "filter",  "show only some edges: kept, from:a0, |effect|>0.1") \
  X(SORT,           "sort",           EW_ACT_FOOTER, "s <F6>",    "sort",    "choose the order of the edges")                   \
  X(INVERT,         "invert-sort",    0, "I",                    "",        "turn the order round")                            \
  X(VIEW,           "view",           EW_ACT_FOOTER, "v",         "view",    "next view in the third pane, or the fourth")      \
  X(PANE_VIEW,      "pane-view",      0, "V",                    "",        "next view in the pane under the cursor, whichever") \
  X(TREE,           "tree",           0, "t <F5>",               "",        "nodes as head map or as tree")                    \
  X(MAP_QUANTITY,   "map-quantity",   0, "w",                    "",        "what nodes show: effect, knock-out, kept, attention, group") \
  X(FOLD,           "fold",           0, "-",                    "",        "fold; in the circuit, the node's group into a box")\
  X(UNFOLD,         "unfold",         0, "+",                    "",        "unfold")                                          \
  X(UNFOLD_ALL,     "unfold-all",     0, "*",                    "",        "unfold all, or fold all")                         \
  X(ZOOM,           "zoom",           0, "f",                    "",        "this pane alone, and back")                       \
  X(INFO,           "info",           0, "i",                    "",        "definitions in force: all of them")               \
  X(COMMAND,        "command",        0, ":",                    "",        "type an action's name, and what it takes")                           \
  X(HELP,           "help",           EW_ACT_FOOTER, "? <F1>",    "help",    "the view under the cursor, and all keys")         \
  X(CANCEL,         "cancel",         0, "<C-c>",                "",        "stop what runs, else ask to quit")                \
  X(REDRAW,         "redraw",         0, "<C-l>",                "",        "draw the screen again")                           \
  X(SUSPEND,        "suspend",        0, "<C-z>",                "",        "stop the program, fg continues it")               \
  X(CLOSE,          "close",          EW_ACT_FOOTER, "q <F10>",   "quit",    "close what is open; quit at the last")            \
  X(QUIT,           "quit",           0, "Q",                    "",        "quit")
// clang-format on

#define X(id, name, flags, keys, footer, help) EW_DO_##id,
enum ew_action { EW_DO_NONE = -1, EW_ACTIONS(X) EW_N_ACTIONS };
#undef X

struct ew_action_info {
    const char *name;
    unsigned flags;
    const char *keys;   /* defaults */
    const char *footer; /* short label, "" for none */
    const char *help;
};

const struct ew_action_info *ew_action_info(enum ew_action action);
/* EW_DO_NONE when there is no action of that name. */
enum ew_action ew_action_find(const char *name);

#endif
