/* SPDX-License-Identifier: Apache-2.0 */
/* What to do next: suggestions, marks, and what edges do together. */
#ifndef EW_TUI_NEXT_H
#define EW_TUI_NEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "worker.h"

struct ew_app;

/* Go to the edge whose cut or return gains most by what is known. */
void ew_next_edge(struct ew_app *a);
/* Go to an edge, in the list of those into its node. True when a filter hid
 * it there, and is off now. */
bool ew_next_go(struct ew_app *a, uint32_t edge);
/* Keep what is cut and cut what is kept. */
void ew_next_complement(struct ew_app *a);
/* Mark all rows of the edges table; all edges of the node. Again: unmark. */
void ew_next_mark_rows(struct ew_app *a);
void ew_next_mark_node(struct ew_app *a);
/* Ask what the marked edges do together and one by one. */
void ew_next_joint(struct ew_app *a);
void ew_next_joint_event(struct ew_app *a, const struct ew_ev_joint *e,
                         uint64_t gen);

#endif
