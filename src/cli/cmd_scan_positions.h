/* SPDX-License-Identifier: Apache-2.0 */
/* `edgewise scan --edge`: where given edges matter. */
#ifndef EW_CLI_CMD_SCAN_POSITIONS_H
#define EW_CLI_CMD_SCAN_POSITIONS_H

#include "cli.h"

EW_MUST_CHECK bool cli_scan_positions(const struct cli_opts *opts,
                                      struct ew_err *err);

#endif
