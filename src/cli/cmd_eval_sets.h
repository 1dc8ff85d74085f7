/* SPDX-License-Identifier: Apache-2.0 */
/* `edgewise eval --completeness` and `--minimality`, of the engine's
 * circuit. */
#ifndef EW_CLI_CMD_EVAL_SETS_H
#define EW_CLI_CMD_EVAL_SETS_H

#include "open.h"

EW_MUST_CHECK bool cli_eval_completeness(struct cli_open *open,
                                         const struct cli_opts *opts,
                                         struct ew_err *err);
EW_MUST_CHECK bool cli_eval_minimality(struct cli_open *open,
                                       const struct cli_opts *opts,
                                       struct ew_err *err);

#endif
