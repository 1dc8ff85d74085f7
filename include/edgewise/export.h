/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures and tables of a circuit. DOT is written by pure code; other
 * formats are laid out by Graphviz in a child process, which can be killed:
 * gvc has no way to stop and takes 12 s for 2,000 edges.
 */
#ifndef EW_EXPORT_H
#define EW_EXPORT_H

#include "edgewise/buf.h"
#include "edgewise/cancel.h"
#include "edgewise/circuit.h"
#include "edgewise/groups.h"

EW_BEGIN_DECLS

struct ew_dot_params {
    const char *title; /* NULL: made from the provenance */
    bool group_qkv;    /* one line into a head for its q, k and v; else each
                        * has its own port on the head's node */
    bool no_legend;
    const struct ew_groups *groups; /* drawn as clusters; NULL: none */
    uint32_t max_edges; /* keep the largest |score|; 0 means all kept */
};

/*
 * The kept part of the circuit as DOT: ranks by layer from the embedding at
 * the bottom to logits at the top; edges into q, k, v distinguishable by port
 * and line style; colour = sign of the effect, pen width = size; cut direct
 * edges as a pinned q, k or v; tooltips with exact figures; legend with the
 * provenance. Nodes without kept edges are left out. Every name is escaped.
 * `params` NULL is all zero.
 */
void ew_dot_print(struct ew_buf *out, const struct ew_circuit *c,
                  const struct ew_dot_params *params);

/* How many lines that picture has, max_edges counted in. */
uint32_t ew_dot_n_lines(const struct ew_circuit *c,
                        const struct ew_dot_params *params);
/* Pictures of more lines are not laid out: see ew_export(). */
#define EW_DOT_MAX_LINES 1500

/* Was Graphviz built in? */
bool ew_graphviz_available(void);
/*
 * Lay out and render `dot` as `format` ("svg", "png", "pdf", "plain", any
 * that gvc can write) into `out`. Runs in a child process; stops at `cancel`
 * or after `timeout_ms` (0: 60 s). EW_ERR_BACKEND with Graphviz's reason.
 */
EW_MUST_CHECK bool ew_graphviz_render(struct ew_buf *out, const char *dot,
                                      const char *format, int timeout_ms,
                                      const struct ew_cancel *cancel,
                                      struct ew_err *err);

/* A heading, then one line per edge: edge,kind,sender,receiver,kept,score;
 * score is empty where unknown. */
void ew_csv_print(struct ew_buf *out, const struct ew_circuit *c);

/*
 * Write `c` to `path` in the format its extension names: dot, gv, json, csv,
 * or one of Graphviz's; "-" writes DOT to standard output. EW_ERR_USAGE for
 * an unknown extension and for a picture of more than EW_DOT_MAX_LINES lines
 * (except as DOT). `params` as for ew_dot_print().
 */
EW_MUST_CHECK bool ew_export(const struct ew_circuit *c, const char *path,
                             const struct ew_dot_params *params,
                             const struct ew_cancel *cancel,
                             struct ew_err *err);

EW_END_DECLS

#endif
