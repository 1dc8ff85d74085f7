/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How numbers and names look on the screen: few digits, always a sign where
 * the sign means something, "-" for what is not known.
 */
#ifndef EW_TUI_FIGURES_H
#define EW_TUI_FIGURES_H

#include <stddef.h>

#include "edgewise/graph.h"

enum { EW_FIGURE_SIZE = 40, EW_NAME_SIZE = 64 };

/* "14.8", "0.063", "1.2e-5", "-" for NaN: at most 8 columns. */
const char *ew_figure(char out[EW_FIGURE_SIZE], double value);
/* The same with a sign: "+0.41", " 0" for exactly 0. */
const char *ew_figure_signed(char out[EW_FIGURE_SIZE], double value);
/*
 * A difference of two figures of about this size, 0 where it is no more than
 * rounding in single precision: -3e-8 on a metric of 1 is no effect.
 */
double ew_without_noise(double difference, double size);
/* "32,923" */
const char *ew_figure_count(char out[EW_FIGURE_SIZE], uint64_t n);
/* "91%", "-" when it means nothing. */
const char *ew_figure_percent(char out[EW_FIGURE_SIZE], double ratio);
/* "0:04", "1:02:33" */
const char *ew_figure_time(char out[EW_FIGURE_SIZE], double seconds);

const char *ew_name_of_sender(char out[EW_NAME_SIZE], const struct ew_graph *g,
                              uint32_t sender);
const char *ew_name_of_receiver(char out[EW_NAME_SIZE],
                                const struct ew_graph *g, uint32_t receiver);
/* "a0.h1->a1.h2<q>" */
const char *ew_name_of_edge(char out[EW_NAME_SIZE], const struct ew_graph *g,
                            uint32_t edge);

#endif
