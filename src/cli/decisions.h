/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACDC's decisions as JSON: one is an object, a log one object a line. What
 * `acdc --log` writes and `acdc --resume` and `sweep --resume` read.
 */
#ifndef EW_CLI_DECISIONS_H
#define EW_CLI_DECISIONS_H

#include "edgewise/acdc.h"

#include "cli.h"

struct cli_decisions {
    struct ew_acdc_decision *items; /* owned */
    size_t n;
    size_t cap;
    long long bytes; /* of the log's whole lines */
};

/* `whole`: of heads as a whole. */
json_t *cli_decision_json(const struct ew_graph *g, bool whole,
                          const struct ew_acdc_decision *d);
/* Append one; `name` is what messages call it. */
EW_MUST_CHECK bool cli_decisions_add(struct cli_decisions *out,
                                     const struct ew_graph *g, bool whole,
                                     const json_t *json, const char *name,
                                     struct ew_err *err);
/* Read a log; a last line that is not whole is left out. */
EW_MUST_CHECK bool cli_decisions_load(struct cli_decisions *out,
                                      const struct ew_graph *g, bool whole,
                                      const char *path, struct ew_err *err);
void cli_decisions_finish(struct cli_decisions *d); /* zeroed is fine */
/* The first that was tested; NULL: none. */
const struct ew_acdc_decision *
cli_decisions_first(const struct cli_decisions *d);

#endif
