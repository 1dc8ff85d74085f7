/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interactive explorer. It owns the terminal while it runs and gives it
 * back on every way out: quit, error, signal.
 */
#ifndef EW_TUI_H
#define EW_TUI_H

#include <stdbool.h>

#include "edgewise/buf.h"
#include "edgewise/engine.h"

EW_BEGIN_DECLS

enum ew_color {
    EW_COLOR_AUTO, /* unless NO_COLOR is set and not empty */
    EW_COLOR_ALWAYS,
    EW_COLOR_NEVER,
};

/* Zero means the default everywhere. Strings are borrowed. */
struct ew_tui_params {
    const char *model;   /* as typed; NULL: the bundled one */
    const char *task;    /* as typed; NULL: induction */
    const char *circuit; /* file to start from; NULL: all edges kept */
    const char *resume;  /* folder of a saved session; NULL: none */
    const char *labels;  /* groups: shipped name or file; NULL: none */
    struct ew_engine_params engine;
    struct ew_device device;
    enum ew_processing processing; /* of the weights */
    int threads; /* of libtorch; 0: one per core */
    bool split_embed;
    bool bos;        /* begin text prompts with BOS; */
    bool no_bos;     /* or do not. Neither: as the model does */
    bool has_metric; /* otherwise the task's */
    enum ew_metric metric;
    double threshold; /* ACDC's; 0: 0.06 */
    enum ew_color color;
    const char *theme; /* dark, light, safe, mono; NULL: dark */
    bool ascii; /* even where the locale has more */
    bool no_mouse;
};

/*
 * Run the explorer until the user leaves. Fails before it touches the screen:
 * EW_ERR_USAGE when there is no terminal that can be drawn on, EW_ERR_INPUT
 * when the model's config or the circuit file cannot be read. What fails
 * later (weights, task, libtorch) is shown on the screen.
 */
EW_MUST_CHECK bool ew_tui_run(const struct ew_tui_params *params,
                              struct ew_err *err);

/*
 * A screen of the explorer without a terminal: `keys` (as in keys.conf,
 * without blanks between) are typed, everything is computed, and the screen
 * of that size is appended to `out` as text, or as an SVG picture.
 */
EW_MUST_CHECK bool ew_tui_show(const struct ew_tui_params *params,
                               const char *keys, int rows, int cols, bool svg,
                               struct ew_buf *out, struct ew_err *err);
/* Where the last session is; free() it. */
char *ew_tui_last_session(void);

/* The keys as an mdoc list, for the man page: one entry per action. */
void ew_tui_print_keys(struct ew_buf *out);

EW_END_DECLS

#endif
