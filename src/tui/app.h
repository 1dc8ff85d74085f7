/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The explorer's state on the screen's thread: the circuit with its undo
 * tree, what is known about edges and nodes and whether it is still true, the
 * cursors, and the panes. Keys become actions, actions become edits and
 * requests, messages from the worker become state, and drawing reads it. No
 * curses, no engine, no blocking.
 *
 * `gen` is the generation of circuit and metric: knowledge tagged with an
 * older one is stale, shown dimmed, and asked for again.
 */
#ifndef EW_TUI_APP_H
#define EW_TUI_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "edgewise/arch.h"
#include "edgewise/circuit.h"
#include "edgewise/groups.h"
#include "edgewise/tui.h"

#include "actions.h"
#include "command.h"
#include "editor.h"
#include "figures.h"
#include "filter.h"
#include "keymap.h"
#include "layout.h"
#include "mosaic.h"
#include "next.h"
#include "pin.h"
#include "session.h"
#include "surface.h"
#include "theme.h"
#include "tradeoff.h"
#include "worker.h"

enum ew_quantity {
    EW_QTY_DIRECT,
    EW_QTY_KNOCK,
    EW_QTY_KEPT,
    EW_QTY_KIND,   /* where a head looks */
    EW_QTY_GROUP,  /* short names, on the map */
    EW_QTY_CHANGE, /* of the direct effect since the pin */
    EW_N_QTY
};
enum ew_channel { EW_CH_ALL, EW_CH_Q, EW_CH_K, EW_CH_V, EW_N_CHANNELS };
enum ew_sort {
    EW_SORT_ABS,
    EW_SORT_SIGNED,
    EW_SORT_NAME,
    EW_SORT_KEPT,
    EW_SORT_TAU, /* nearest to ACDC's threshold first */
    EW_SORT_SE,
    EW_SORT_KIND, /* the input it goes into */
    EW_SORT_GROUP,
    EW_SORT_ESTIMATE, /* |estimate| */
    EW_SORT_ESTIMATE_SIGNED,
    EW_SORT_CHANGE, /* |change|; from here on about the pin */
    EW_SORT_CHANGE_SIGNED,
    EW_SORT_WAS, /* effect in the pinned circuit */
    EW_N_SORTS
};
enum ew_popup {
    EW_POPUP_NONE,
    EW_POPUP_HELP,
    EW_POPUP_INFO,
    EW_POPUP_SORT,
    EW_POPUP_EDITOR
};
enum ew_prompt_kind {
    EW_PROMPT_NONE,
    EW_PROMPT_SEARCH,
    EW_PROMPT_FILTER,
    EW_PROMPT_EXPORT,
    EW_PROMPT_OVERWRITE,
    EW_PROMPT_QUIT,
    EW_PROMPT_COMMAND
};
enum ew_load { EW_LOADING, EW_LOADED, EW_LOAD_FAILED };

/* What the loop has to do after keys. */
enum { EW_TODO_QUIT = 1, EW_TODO_REDRAW = 2, EW_TODO_SUSPEND = 4 };

/* A list that scrolls. */
struct ew_list {
    long cur, top;
    long n;   /* lines, and */
    int rows; /* how many there was room for, as last fitted */
};

/* A row with what it is sorted by. */
struct ew_keyed {
    uint32_t edge;
    uint32_t key; /* smaller first */
};

/* What rows.c works with: as large as the largest table was. */
struct ew_table {
    char (*names)[EW_NAME_SIZE]; /* of senders, then receivers */
    struct ew_keyed *keyed, *other;
    size_t n, cap, cap_other;
    long long made_ns; /* when the rows were made, ... */
    bool later;        /* ... and figures have come since, of many edges */
};

struct ew_known_edge {
    float effect, ld, se;
    uint32_t gen; /* 0: never known */
    uint8_t why;  /* enum ew_zero_why */
};

struct ew_known_node {
    float effect, ld;
    uint32_t gen;
};

/* What a head attends to most. */
enum ew_attends {
    EW_ATTENDS_UNKNOWN,
    EW_ATTENDS_PREVIOUS,
    EW_ATTENDS_DUPLICATE,
    EW_ATTENDS_INDUCTION
};

struct ew_known_kind {
    enum ew_attends to;
    float share; /* of its attention, mean over the clean prompts */
};

/* Where an edge acts. */
struct ew_where {
    uint32_t edge;
    uint64_t gen;
    size_t n;
    struct ew_place *places; /* (n) owned; effect NaN: not known yet */
    struct ew_list list;     /* the edge as a whole, then the places */
};

/* The circuit laid out. */
struct ew_picture {
    struct ew_raster raster; /* owned */
    struct ew_err err;       /* of the last try */
    uint64_t gen;            /* that is of this circuit */
    uint64_t asked;          /* the one that is drawn now; 0: none */
    uint64_t serial;         /* counts pictures */
    struct ew_look look;
    bool plain;            /* half blocks, whatever chafa can */
    struct ew_drawn {      /* the cells it was drawn in last, and how */
        struct ew_cell *cells; /* (rows, cols) owned */
        int rows, cols;
        struct ew_look look;
        uint64_t serial;
        enum ew_theme theme;
        bool plain;
    } drawn;
    enum ew_pixels pixels; /* what the terminal takes, ... */
    struct ew_rect rect;   /* ... and where it is to show it; rows 0: not */
};

/* What was seen of a revision when it was the present one. */
struct ew_visit {
    uint32_t n_kept; /* 0: not seen yet, or nothing was kept */
    double ld;       /* NaN: not known */
};

/* Tab, pressed again. */
struct ew_completion {
    char stem[EW_LINE_SIZE]; /* what was typed; "": not again */
    char put[EW_LINE_SIZE];  /* what stands there in its place */
    size_t next;
};

/* A message of the past. */
enum { EW_TOLD = 256 };
struct ew_told {
    long long at_ns; /* since the start */
    bool bad;
    char text[256];
};

/* How the app reaches the other threads; `user` comes first. */
struct ew_app_ports {
    void *user;
    void (*post)(void *user, struct ew_message request); /* takes it */
    void (*expect)(void *user, uint64_t gen);
    /* Stop what the engine was asked for so far; what is being written. */
    void (*cancel)(void *user);
    void (*cancel_export)(void *user);
    /* Write the circuit with its groups (both taken) to the path; EW_EV_EXPORT
     * answers. */
    void (*export_file)(void *user, struct ew_circuit *c,
                        struct ew_groups *groups, const char *path);
    /* Lay the circuit (it and its groups are taken) out; EW_EV_PICTURE. */
    void (*draw_picture)(void *user, struct ew_circuit *c,
                         struct ew_groups *groups, uint64_t gen);
    /* Write a session, which is taken; EW_EV_SAVED answers. NULL: there is no
     * other thread to do it. */
    void (*save)(void *user, struct ew_saved *saved);
    long long (*now_ns)(void *user);
};

enum { EW_SCALE_COLS = 64 }; /* of the scale of effects, at most */

struct ew_acdc_view {
    double threshold;
    double doubt; /* effects within this share of it are doubtful */
    bool running;
    unsigned steps_waiting;  /* single steps, on or back, not answered yet */
    bool edited;             /* the circuit, while they wait */
    bool run_next;           /* a run was asked for meanwhile, ... */
    enum ew_until run_until; /* ... this far */
    bool begun;              /* there is a session */
    bool done;
    uint32_t next;
    uint32_t n_done, n_left, n_kept, n_cut, n_dropped;
    double metric;
    bool has_peek;
    struct ew_acdc_decision peek;
    struct ew_acdc_decision *log; /* owned; oldest first */
    size_t n_log, cap_log;
    long long start_ns;
    uint32_t start_done;
    struct ew_list list;
    struct ew_bins { /* the log's effects on the scale, as last drawn */
        size_t n;    /* so many of the log are in; 0: none */
        int cols;
        double tau;
        int count[EW_SCALE_COLS];
    } bins;
};

struct ew_view_ops;

struct ew_app {
    struct ew_app_ports ports;
    long long start_ns;
    struct ew_keymap *keys;
    /* what is explored */
    struct ew_tui_params params;
    char *model_name, *model_path, *task_name; /* owned */
    struct ew_arch arch;
    struct ew_graph *graph;
    struct ew_circuit *circuit;
    enum ew_load load;
    char stage[160];
    struct ew_err load_err;
    struct ew_ev_ready ready;
    enum ew_metric metric;
    /* what is known */
    uint64_t gen;
    struct ew_score now;
    double now_se;
    uint64_t now_gen;
    double ld_before; /* the last edit, and its generation */
    uint64_t edit_gen;
    long edit_told; /* messages before the one that tells of it */
    struct ew_known_edge *edges; /* (n_edges) */
    uint32_t n_known;            /* of them with an effect, stale or not */
    uint64_t effects_serial; /* counts what changed them, and ACDC's cuts */
    struct ew_known_node *nodes; /* (n_senders) knock-outs */
    struct ew_known_kind *kinds; /* (n_senders) */
    uint32_t *n_in;              /* (n_receivers) kept edges into each ... */
    uint32_t *n_out; /* (n_senders) ... and out of each, counted when */
    bool counts_old; /* the circuit has changed and someone asks */
    float *estimates; /* (n_edges) owned; NULL: not known */
    enum ew_attribution estimate_by;
    enum ew_metric estimate_of;
    bool estimating;
    struct ew_bitset *marked;
    unsigned joints_waiting; /* not answered yet: the marked together */
    struct ew_pin pin;
    struct ew_groups *groups; /* owned; NULL: none */
    struct ew_acdc_view acdc;
    struct ew_tradeoff tradeoff;
    struct ew_session session;
    bool revision_open; /* an ACDC run's */
    struct ew_visit *visits; /* (n_visits) owned, by revision */
    size_t n_visits, cap_visits;
    /* cursors */
    uint32_t node; /* sender, or n_senders for logits */
    enum ew_channel channel;
    uint32_t back[32]; /* nodes that were left by Enter */
    size_t n_back;
    uint32_t edge; /* EW_NONE: the first row */
    bool out;      /* edges out of the node */
    bool all;      /* the whole graph's edges, whatever the node */
    enum ew_sort sort;
    bool inverted;
    char filter_text[EW_LINE_SIZE];
    struct ew_filter *filter;
    char search[EW_LINE_SIZE];
    uint32_t *rows; /* edges shown, in order; owned */
    size_t n_rows, cap_rows, n_all;
    long edge_at, edge_top; /* in rows */
    double rows_full;       /* largest |effect| among the rows */
    bool rows_old;          /* rows must be made again */
    struct ew_table table;
    /* panes */
    int rows_cols[2]; /* terminal */
    struct ew_layout layout;
    int inner_rows[EW_N_PANES];
    enum ew_pane pane;
    bool zoomed;
    bool map; /* nodes as head map, not as tree */
    enum ew_quantity quantity;
    struct ew_bitset *unfolded; /* nodes, then layers */
    struct ew_bitset *folded;   /* nodes whose group is one box */
    struct ew_list tree;
    long map_top, map_left;
    int view[EW_N_PANES]; /* index in ew_views */
    struct ew_list text_list, journal_list, groups_list, snapshots_list,
        popup_list, prompt_list;
    long snapshots_skip;   /* edges that differ, out of sight above, ... */
    long snapshots_differ; /* ... of how many, as last drawn */
    struct ew_ev_task *task;       /* owned; NULL until loaded */
    struct ew_ev_prompts *prompts; /* owned; NULL: not known */
    uint64_t prompts_gen;
    struct ew_ev_card **cards; /* (n_senders) owned; NULL: not known */
    struct ew_ev_attention *attention; /* owned; NULL: not known */
    uint64_t attention_gen;
    int attention_prompt; /* wanted; -1: mean */
    enum ew_pattern attention_pattern;
    struct ew_where where;
    struct ew_picture picture;
    struct ew_ev_top *top; /* owned; NULL: not known */
    uint64_t top_gen;
    struct ew_list attention_list; /* the query under the cursor */
    enum ew_popup popup;
    enum ew_prompt_kind prompt;
    struct ew_line line;
    struct ew_editor editor;
    struct ew_completion completion;
    struct ew_history history;
    char export_path[512];
    bool exporting;
    char notice[256]; /* transient message */
    bool notice_bad;
    struct ew_told *told; /* the last EW_TOLD of them, a ring; owned */
    long n_told;
    struct ew_list log_list;
    unsigned todo;
    /* what the worker was last asked to compute */
    uint64_t asked_hash;
};

/* Where a view was clicked. */
struct ew_click {
    int y, x;       /* inside its frame */
    int rows, cols; /* of the inside */
    bool again;     /* the pane had the focus before */
};

/* What an action does in a view. */
struct ew_view_key {
    enum ew_action action;
    const char *text; /* NULL: no more */
};

enum { EW_VIEW_KEYS = 6 };

struct ew_view_ops {
    const char *name;
    const char *about; /* what it shows and what its figures mean */
    struct ew_view_key keys[EW_VIEW_KEYS];
    /* Title left, note right, in the frame. */
    void (*title)(struct ew_app *a, struct ew_buf *title, struct ew_buf *note);
    void (*draw)(struct ew_app *a, struct ew_area area, bool focused);
    /* True when the view knows the action. */
    bool (*act)(struct ew_app *a, enum ew_action action, int rows);
    /* NULL: a click puts the cursor of the list there. */
    void (*click)(struct ew_app *a, const struct ew_click *c);
    size_t list; /* of its struct ew_list in struct ew_app; 0: none */
    int head;    /* lines above that list */
};

extern const struct ew_view_ops ew_view_map, ew_view_tree, ew_view_edges,
    ew_view_snapshots, ew_view_circuit, ew_view_text, ew_view_acdc,
    ew_view_tradeoff, ew_view_groups, ew_view_journal, ew_view_attention,
    ew_view_picture, ew_view_jobs, ew_view_log, ew_view_head, ew_view_prompts,
    ew_view_where, ew_view_tokens, ew_view_info, ew_view_help;
/* What `V` goes through. */
extern const struct ew_view_ops *const ew_views[];
extern const int ew_n_views;

/* ---- app.c: life and messages ---- */

/*
 * Strings of `params` are copied. Reads the model's config and, if given, the
 * circuit; posts nothing yet. `graph` (optional, taken) stands for a config.
 */
struct ew_app *ew_app_create(const struct ew_tui_params *params,
                             struct ew_graph *graph, struct ew_err *err);
void ew_app_destroy(struct ew_app *a);
/* Ask the worker to load, and to follow the circuit. */
void ew_app_start(struct ew_app *a, const struct ew_app_ports *ports);
/* May take the message's body; the caller finishes the rest. */
void ew_app_message(struct ew_app *a, struct ew_message *m);
void ew_notice(struct ew_app *a, bool bad, const char *fmt, ...)
    EW_PRINTF(3, 4);

/* ---- keys.c ---- */

void ew_app_key(struct ew_app *a, uint32_t key);
void ew_app_act(struct ew_app *a, enum ew_action action);
enum ew_mouse { EW_MOUSE_CLICK, EW_MOUSE_WHEEL_UP, EW_MOUSE_WHEEL_DOWN };
void ew_app_mouse(struct ew_app *a, enum ew_mouse what, int y, int x);
/* Milliseconds until something changes by itself; -1: never. */
int ew_app_timeout(const struct ew_app *a);

/* ---- panes.c: which view is where ---- */

void ew_panes_reset(struct ew_app *a);
/* The view in a pane; the list of nodes may be a map. */
const struct ew_view_ops *ew_app_view(const struct ew_app *a,
                                      enum ew_pane pane);
/* Is the cursor in a view? Nodes are ew_view_tree, map or not. */
bool ew_pane_on(const struct ew_app *a, const struct ew_view_ops *view);
/* Lines of a view's pane, inside its frame. */
int ew_pane_rows(const struct ew_app *a, const struct ew_view_ops *view);
/* Is a view on the screen? */
bool ew_view_shown(const struct ew_app *a, const struct ew_view_ops *view);
void ew_pane_next(struct ew_app *a, int step);
/* The next view that is nowhere else, into a pane. */
void ew_pane_turn(struct ew_app *a, enum ew_pane pane);
/* A view into a pane; it changes places when it is in another. */
void ew_pane_put(struct ew_app *a, enum ew_pane pane,
                 const struct ew_view_ops *view);
/* Go to a view; one that is nowhere comes into the third pane, or the fourth
 * from there. */
void ew_app_show(struct ew_app *a, const struct ew_view_ops *view);

/* ---- prompt.c ---- */

void ew_prompt_open(struct ew_app *a, enum ew_prompt_kind kind,
                    const char *text);
void ew_prompt_key(struct ew_app *a, uint32_t key);
const char *ew_prompt_label(enum ew_prompt_kind kind);
void ew_search(struct ew_app *a, int step);
/* Show only what passes; "" shows all. */
void ew_filter_set(struct ew_app *a, const char *text);
void ew_filter_drop(struct ew_app *a);

/* ---- edit.c: what changes the circuit ---- */

/* False, and told, while a run of ACDC has the circuit. */
bool ew_edit_may(struct ew_app *a);
void ew_edit_toggle(struct ew_app *a);
void ew_edit_knock_out(struct ew_app *a);
void ew_edit_restore_all(struct ew_app *a);
void ew_edit_undo(struct ew_app *a, bool redo);
void ew_edit_metric(struct ew_app *a); /* the next one */
void ew_edit_set_metric(struct ew_app *a, enum ew_metric metric);
/* Another task is loaded: nothing is known of this circuit any more. */
void ew_edit_new_task(struct ew_app *a);
/* The circuit as it is, for another thread; the caller destroys it. */
struct ew_circuit *ew_edit_copy(const struct ew_app *a);
/* False, and told: "-", which is standard output everywhere else. */
bool ew_edit_may_write(struct ew_app *a, const char *path);
void ew_edit_export(struct ew_app *a, const char *path, bool overwrite);
/* The circuit has changed: new generation, tell the worker. */
void ew_edit_changed(struct ew_app *a);

/* Ask for estimates of all edges' effects. */
void ew_edit_estimate(struct ew_app *a, enum ew_attribution method);
void ew_edit_estimate_stop(struct ew_app *a);

/* ---- edit_acdc.c: ACDC's decisions ---- */

void ew_edit_acdc(struct ew_app *a, enum ew_request_kind kind,
                  enum ew_verdict verdict, enum ew_until until);
void ew_edit_acdc_back(struct ew_app *a);
void ew_edit_set_threshold(struct ew_app *a, double tau);
void ew_edit_threshold(struct ew_app *a, int steps); /* of the ladder */
void ew_edit_acdc_event(struct ew_app *a, const struct ew_ev_acdc *e,
                        uint64_t gen);

/* ---- labels.c: groups of nodes ---- */

/* Read a shipped file of labels, or another. */
void ew_labels_load(struct ew_app *a, const char *name);
/* Put the node under the cursor into a group: "NAME [COLOUR][: NOTE]", or "-"
 * for none. */
void ew_labels_put(struct ew_app *a, const char *text);
const struct ew_group *ew_node_group(const struct ew_app *a, uint32_t node);
enum ew_ink ew_group_ink(const struct ew_group *group);

/* ---- rows.c: the edges table's rows ---- */

void ew_rows_update(struct ew_app *a);
/* Figures have come that rows may be sorted or filtered by. */
void ew_rows_changed(struct ew_app *a);
/* Is it time to sort many edges anew? */
bool ew_rows_due(const struct ew_app *a);
bool ew_rows_match(struct ew_app *a, struct ew_filter *filter, uint32_t edge);
void ew_rows_finish(struct ew_app *a);
typedef void (*ew_edge_fn)(struct ew_app *a, void *user, uint32_t edge,
                           uint32_t sender, uint32_t receiver);
/* The edges that the table is about, filtered or not, in graph order; sender
 * EW_NONE: a direct edge. */
void ew_rows_each(struct ew_app *a, ew_edge_fn fn, void *user);
/* Edge under the cursor, EW_NONE when there is none. */
uint32_t ew_rows_edge(struct ew_app *a);
void ew_rows_go(struct ew_app *a, uint32_t edge);

/* ---- focus.c: what to compute next ---- */

/* Ask the worker for what the screen shows, if that has changed. */
void ew_focus_update(struct ew_app *a);

/* view_picture.c: ask for a picture if one is to be seen; take one (its
 * pixels). */
void ew_picture_update(struct ew_app *a);
void ew_picture_finish(struct ew_picture *p);
void ew_picture_event(struct ew_app *a, struct ew_ev_picture *e, uint64_t gen);

/* view_tree.c: columns that the tree would like, inside its frame */
int ew_tree_cols(const struct ew_app *a);

/* view_journal.c: the score of the present revision has come */
void ew_journal_visit(struct ew_app *a);

/* view_where.c */
void ew_where_event(struct ew_app *a, const struct ew_ev_where *e,
                    uint64_t gen);

/* ---- draw.c, status.c ---- */

void ew_app_draw(struct ew_app *a, struct ew_surface *s);
void ew_draw_badge(struct ew_app *a, struct ew_area area);
void ew_draw_status(struct ew_app *a, struct ew_area area);
void ew_draw_footer(struct ew_app *a, struct ew_area area);
/* The action whose footer label is at column x; EW_DO_NONE. */
enum ew_action ew_footer_at(const struct ew_app *a, int cols, int x);
/* "-LD": the metric as it is minimised. */
const char *ew_metric_short(enum ew_metric metric);
const char *ew_sort_name(enum ew_sort sort);
const char *ew_quantity_name(enum ew_quantity quantity);

/* ---- nodes.c: what the node panes share ---- */

uint32_t ew_logits_of(const struct ew_app *a); /* as a node */
const char *ew_node_name(const struct ew_app *a, uint32_t node,
                         char out[EW_NAME_SIZE]);
/* Receivers of a node under a channel: [*first, *first + *n). */
void ew_node_inputs(const struct ew_app *a, uint32_t node,
                    enum ew_channel channel, uint32_t *first, uint32_t *n);
void ew_node_counts(const struct ew_app *a, uint32_t node,
                    enum ew_channel channel, uint32_t *in_kept,
                    uint32_t *in_all, uint32_t *out_kept, uint32_t *out_all);
/* Kept edges into a receiver, and out of a sender. */
uint32_t ew_count_in(const struct ew_app *a, uint32_t receiver);
uint32_t ew_count_out(const struct ew_app *a, uint32_t sender);
/* Count anew if the circuit has changed. */
void ew_counts_update(struct ew_app *a);
/* The quantity that the node panes show; NaN when unknown. */
double ew_node_value(const struct ew_app *a, uint32_t node, bool *stale);
/* Let the node panes show it. */
void ew_node_show(struct ew_app *a, enum ew_quantity quantity);
/* Largest |value| of all nodes, for scales. */
double ew_node_value_full(const struct ew_app *a);
void ew_node_go(struct ew_app *a, uint32_t node);
bool ew_node_is_head(const struct ew_app *a, uint32_t node);
/* "prev", "dup", "ind"; "" when it is not known. */
const char *ew_attends_name(enum ew_attends to);
enum ew_ink ew_attends_ink(enum ew_attends to);
/* NULL while it is not known, and for what is no head. */
const struct ew_ev_card *ew_card(const struct ew_app *a, uint32_t node);
/* Layer of a node: -1 for embeddings, n_layers for logits. */
int ew_node_layer(const struct ew_app *a, uint32_t node);
/* What is known about an edge; false: nothing. */
bool ew_edge_known(const struct ew_app *a, uint32_t edge,
                   struct ew_known_edge *out, bool *stale);
bool ew_edge_kept(const struct ew_app *a, uint32_t edge);
/* NaN when there is none for the metric in force. */
double ew_edge_estimate(const struct ew_app *a, uint32_t edge);

/* ---- lists ---- */

/* Move in a list of n rows of which `rows` are seen; false: not a move. The
 * cursor is in the list afterwards either way. */
bool ew_list_act(struct ew_list *list, long n, int rows, enum ew_action action);
/* To the line shown `row` below the list's first; none there: nowhere. */
void ew_list_click(struct ew_list *list, int row);
/* Bring the cursor into the list and into view. */
void ew_list_fit(struct ew_list *list, long n, int rows);
/* A scroll mark in the area's last column. */
void ew_draw_scroll(struct ew_area area, int top_row, long top, int rows,
                    long n);

#endif
