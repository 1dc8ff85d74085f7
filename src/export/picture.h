/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a picture shows, before any of it is drawn: the lines, the nodes they
 * touch and the scale of their effects.
 */
#ifndef EW_EXPORT_PICTURE_H
#define EW_EXPORT_PICTURE_H

#include "edgewise/buf.h"
#include "edgewise/export.h"

/* One line: an edge, or the edges from a sender to q, k and v of a head. */
struct line {
    uint32_t sender;
    uint32_t node; /* the sender it feeds; n_senders for logits */
    uint32_t n_edges;
    uint32_t edges[3];
    float score; /* the largest |score| of its edges; NaN where unknown */
};

struct picture {
    const struct ew_circuit *circuit;
    const struct ew_graph *graph;
    struct ew_dot_params params;
    uint32_t n_additions; /* kept, drawn or not */
    uint32_t n_drawn;     /* edges in the lines */
    struct line *lines;   /* in order of edge ids */
    size_t n_lines;
    bool *shown;            /* (n_senders + 1) nodes with a line; logits last */
    struct ew_bitset *live; /* receivers that reach logits */
    float largest;          /* |score| of the lines; 0 when all are unknown */
    bool any_pinned;        /* a shown head has a cut direct edge */
};

void picture_init(struct picture *p, const struct ew_circuit *c,
                  const struct ew_dot_params *params);
void picture_finish(struct picture *p);

/* What a score says of its edge. */
enum effect { EFFECT_UNKNOWN, EFFECT_NONE, EFFECT_NEEDED, EFFECT_HURTS };
enum effect picture_effect(const struct picture *p, float score);
/* Is the q, k or v at a receiver pinned by a cut direct edge? */
bool picture_pinned(const struct picture *p, uint32_t receiver);

/* Colours, "#rrggbb"; blue and orange as colour-blind eyes tell them apart. */
#define COLOUR_NEEDED "#0072b2"
#define COLOUR_HURTS "#d55e00"
#define COLOUR_UNKNOWN "#9aa3ad"
#define COLOUR_INK "#1f2937"
#define COLOUR_FAINT "#94a3b8"
#define COLOUR_FRAME "#475569"
#define COLOUR_MLP "#f3e8d2"

/* Append text inside an HTML-like label: escaped, bytes that are no UTF-8
 * replaced. */
void put_html(struct ew_buf *out, const char *text);
/* Append a number with a point in it, whatever the locale says. */
void put_real(struct ew_buf *out, int digits, double value);
/* 32923 as 32,923. */
void put_count(struct ew_buf *out, uint32_t n);
/* The graph's label attribute: title and legend, in letters that suit the
 * height of the picture. */
void put_legend(struct ew_buf *out, const struct picture *p, int n_ranks);

#endif
