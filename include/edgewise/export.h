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

EW_BEGIN_DECLS

struct ew_dot_params {
    const char *title; /* NULL: made from the provenance */
    bool group_qkv;    /* draw a head's q, k, v as one node's ports */
    bool no_legend;
    uint32_t max_edges; /* keep the largest |score|; 0 means all kept */
};

/*
 * The kept part of the circuit as DOT: ranks by layer from the embedding at
 * the bottom (or top) to logits; edges into q, k, v distinguishable by style
 * and label; colour = sign of the effect, pen width = size; tooltips with
 * exact figures; legend with the provenance. Nodes without kept edges are
 * left out. Every name is escaped.
 */
void ew_dot_print(struct ew_buf *out, const struct ew_circuit *c,
                  const struct ew_dot_params *params);

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

/* One line per edge: edge,kind,sender,receiver,kept,score (CSV). */
void ew_csv_print(struct ew_buf *out, const struct ew_circuit *c);

/*
 * Write `c` to `path` in the format its extension names: dot, json, csv, or
 * one of Graphviz's. EW_ERR_USAGE for an unknown extension.
 */
EW_MUST_CHECK bool ew_export(const struct ew_circuit *c, const char *path,
                             const struct ew_dot_params *params,
                             const struct ew_cancel *cancel,
                             struct ew_err *err);

EW_END_DECLS

#endif
