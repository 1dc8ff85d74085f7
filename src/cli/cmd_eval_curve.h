/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EW_CLI_CMD_EVAL_CURVE_H
#define EW_CLI_CMD_EVAL_CURVE_H

#include "cli.h"

/* eval with --curve. */
EW_MUST_CHECK bool cli_eval_curve(const struct cli_opts *opts,
                                  struct ew_err *err);

#endif
