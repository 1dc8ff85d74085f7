/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EW_CLI_BENCH_CANCEL_H
#define EW_CLI_BENCH_CANCEL_H

#include "open.h"

/* Seconds from the moment a token is raised, at a random time of the work, to
 * the return of the function that was given it: the worst of several. */
struct bench_cancel {
    double what_if, score, attribution;
};

EW_MUST_CHECK bool bench_measure_cancel(struct cli_open *open, unsigned want,
                                        struct bench_cancel *out,
                                        struct ew_err *err);

#endif
