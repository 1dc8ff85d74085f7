/* SPDX-License-Identifier: Apache-2.0 */
/* The explorer's parameters from options: for `explore` and `show`. */
#ifndef EW_CLI_SHOW_H
#define EW_CLI_SHOW_H

#include "config.h"

#if EW_HAVE_TUI
#include "edgewise/tui.h"

#include "cli.h"

/* *typed: the task of typed prompts, which `out` borrows; free() it. */
EW_MUST_CHECK bool cli_tui_params(const struct cli_opts *opts,
                                  struct ew_tui_params *out, char **typed,
                                  struct ew_err *err);
#endif

#endif
