/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EW_CLI_BENCH_SHAPE_H
#define EW_CLI_BENCH_SHAPE_H

#include "open.h"

/*
 * cli_open_engine() for --shape and --size: random weights, the same at every
 * start, and prompts of random tokens. EW_ERR_USAGE for sizes that are none.
 */
EW_MUST_CHECK bool bench_open_shape(struct cli_open *open, unsigned want,
                                    const struct cli_opts *opts,
                                    struct ew_err *err);

#endif
