/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circuit as DOT. The picture reads from the embedding at the bottom to
 * the logits at the top, one rank for the heads and one for the MLP of a
 * layer, with the layers named along the left edge. Heads are rounded boxes
 * with q, k, v ports along the bottom, where the edges come in.
 *
 * Colour is kept for the sign of an effect and width for its size, so q, k
 * and v are told apart by port and by dashes, never by colour alone.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "edgewise/names.h"

#include "picture.h"

void put_html(struct ew_buf *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
        size_t have = 1;
        while (have < n && (p[have] & 0xc0) == 0x80) {
            have++;
        }
        if (n == 1 && strchr("<>&\"\\", *p)) {
            ew_buf_printf(out, "&#%d;", *p);
        } else if (n == 1) {
            ew_buf_putc(out, *p < ' ' || *p == 0x7f ? ' ' : (char)*p);
        } else if (*p < 0xc2 || *p > 0xf4 || have < n) {
            ew_buf_putc(out, '?');
        } else {
            ew_buf_add_n(out, (const char *)p, n);
        }
        p += have;
    }
}

void put_real(struct ew_buf *out, int digits, double value)
{
    char text[64];
    snprintf(text, sizeof(text), "%.*g", digits, value);
    for (char *p = text; *p; p++) {
        *p = strchr("0123456789+-einfa", *p) ? *p : '.';
    }
    ew_buf_add(out, text);
}

/* ---- nodes ---- */

/* Names are made of letters, digits and .<>_ only: quotes are enough. */
static void put_node_name(struct ew_buf *out, const struct picture *p,
                          uint32_t node)
{
    ew_buf_putc(out, '"');
    if (node == ew_graph_n_senders(p->graph)) {
        ew_buf_add(out, "logits");
    } else {
        ew_sender_print(out, p->graph, node, EW_NAMES_CANONICAL);
    }
    ew_buf_putc(out, '"');
}

/* Does anything that a node sends reach the logits? */
static bool node_lives(const struct picture *p, uint32_t node)
{
    uint32_t n_receivers = ew_graph_n_receivers(p->graph);
    for (uint32_t r = ew_graph_first_receiver_of(p->graph, node);
         r < n_receivers; r++) {
        if (ew_bitset_has(p->live, r) &&
            ew_circuit_has(p->circuit, ew_graph_edge(p->graph, node, r))) {
            return true;
        }
    }
    return false;
}

static void put_node_tooltip(struct ew_buf *out, const struct picture *p,
                             uint32_t node)
{
    uint32_t first;
    uint32_t n;
    uint32_t n_receivers = ew_graph_n_receivers(p->graph);
    ew_buf_add(out, "tooltip=\"");
    ew_sender_print(out, p->graph, node, EW_NAMES_CANONICAL);
    ew_graph_inputs_of(p->graph, node, &first, &n);
    for (uint32_t r = first; r < first + n; r++) {
        ew_buf_add(out, r == first ? ": into " : ", ");
        ew_receiver_print(out, p->graph, r, EW_NAMES_CANONICAL);
        ew_buf_printf(out, " %u of %u edges",
                      (unsigned)ew_circuit_n_in(p->circuit, r),
                      (unsigned)ew_graph_n_senders_of(p->graph, r));
        if (picture_pinned(p, r)) {
            ew_buf_add(out, " (pinned: direct edge cut)");
        }
    }
    ew_buf_printf(
        out, "; out %u of %u%s\"", (unsigned)ew_circuit_n_out(p->circuit, node),
        (unsigned)(n_receivers - ew_graph_first_receiver_of(p->graph, node)),
        node_lives(p, node) ? "" : "; reaches no logits");
}

/* One of the three cells that edges run into; dark when pinned. */
static void put_port(struct ew_buf *out, const struct picture *p,
                     uint32_t receiver, const char *ink)
{
    char letter = "qkv"[ew_graph_receiver(p->graph, receiver).kind - EW_NODE_Q];
    bool pinned = picture_pinned(p, receiver);
    ew_buf_printf(
        out,
        "<TD PORT=\"%c\"%s><FONT POINT-SIZE=\"9\" COLOR=\"%s\">%c"
        "</FONT></TD>",
        letter, pinned ? " STYLE=\"ROUNDED\" BGCOLOR=\"" COLOUR_FRAME "\"" : "",
        pinned ? "white" : ink, letter);
}

static void put_head(struct ew_buf *out, const struct picture *p, uint32_t node,
                     bool live)
{
    uint32_t first;
    uint32_t n;
    const char *ink = live ? COLOUR_INK : COLOUR_FAINT;
    ew_graph_inputs_of(p->graph, node, &first, &n);
    ew_buf_printf(out,
                  "shape=plain, label=<<TABLE BORDER=\"1\" CELLBORDER=\"0\" "
                  "CELLSPACING=\"1\" CELLPADDING=\"2\" STYLE=\"ROUNDED\" "
                  "BGCOLOR=\"white\" COLOR=\"%s\"><TR><TD COLSPAN=\"3\">"
                  "<FONT COLOR=\"%s\">",
                  live ? COLOUR_FRAME : COLOUR_FAINT, ink);
    ew_sender_print(out, p->graph, node, EW_NAMES_CANONICAL);
    ew_buf_add(out, "</FONT></TD></TR>");
    bool any_pinned = false;
    for (uint32_t r = first; r < first + n; r++) {
        any_pinned = any_pinned || picture_pinned(p, r);
    }
    if (!p->params.group_qkv || any_pinned) {
        ew_buf_add(out, "<TR>");
        for (uint32_t r = first; r < first + n; r++) {
            put_port(out, p, r, p->params.group_qkv ? COLOUR_FAINT : ink);
        }
        ew_buf_add(out, "</TR>");
    }
    ew_buf_add(out, "</TABLE>>, ");
}

static void put_node(struct ew_buf *out, const struct picture *p, uint32_t node)
{
    enum ew_node_kind kind = ew_graph_sender(p->graph, node).kind;
    bool live = node_lives(p, node);
    ew_buf_add(out, "  ");
    put_node_name(out, p, node);
    ew_buf_add(out, " [id=");
    put_node_name(out, p, node);
    ew_buf_add(out, ", ");
    if (kind == EW_NODE_HEAD) {
        put_head(out, p, node, live);
    } else if (kind == EW_NODE_MLP) {
        ew_buf_printf(out,
                      "shape=hexagon, style=filled, fillcolor=\"%s\", "
                      "color=\"%s\", fontcolor=\"%s\", ",
                      COLOUR_MLP, live ? COLOUR_FRAME : COLOUR_FAINT,
                      live ? COLOUR_INK : COLOUR_FAINT);
    } else {
        ew_buf_add(out, "style=\"rounded,filled\", fillcolor=\"" COLOUR_INK
                        "\", fontcolor=white, margin=\"0.2,0.06\", ");
    }
    put_node_tooltip(out, p, node);
    ew_buf_add(out, "];\n");
}

static void put_logits(struct ew_buf *out, const struct picture *p)
{
    uint32_t r = ew_graph_n_receivers(p->graph) - 1;
    ew_buf_printf(out,
                  "  \"logits\" [id=\"logits\", style=\"rounded,filled\", "
                  "fillcolor=\"" COLOUR_INK "\", fontcolor=white, "
                  "margin=\"0.2,0.06\", tooltip=\"logits: %u of %u edges "
                  "in\"];\n",
                  (unsigned)ew_circuit_n_in(p->circuit, r),
                  (unsigned)ew_graph_n_senders_of(p->graph, r));
}

/* ---- ranks ---- */

/* The rank of a node: embedding 0, heads 1 + 2 l, MLP 2 + 2 l, logits. */
static int rank_of(const struct picture *p, uint32_t node)
{
    if (node == ew_graph_n_senders(p->graph)) {
        return 2 * ew_graph_spec(p->graph)->n_layers + 1;
    }
    struct ew_node n = ew_graph_sender(p->graph, node);
    if (n.layer < 0) {
        return 0;
    }
    return 1 + 2 * n.layer + (n.kind == EW_NODE_MLP);
}

/* The name of a rank along the left edge: a layer is named once. */
static void put_axis(struct ew_buf *out, const struct picture *p, int rank,
                     int previous)
{
    int logits = 2 * ew_graph_spec(p->graph)->n_layers + 1;
    int layer = (rank - 1) / 2;
    bool named = rank > 0 && rank < logits &&
                 !(previous > 0 && (previous - 1) / 2 == layer);
    ew_buf_printf(out,
                  "  \"rank %d\" [shape=plaintext, fontsize=10, "
                  "fontcolor=\"" COLOUR_FAINT "\", tooltip=\" \", ",
                  rank);
    if (named) {
        ew_buf_printf(out, "label=\"layer %d\"];\n", layer);
    } else {
        ew_buf_add(out, "label=\"\"];\n");
    }
    if (previous >= 0) {
        ew_buf_printf(out,
                      "  \"rank %d\" -> \"rank %d\" [style=invis, "
                      "weight=50];\n",
                      previous, rank);
    }
}

/* Nodes come in order of ranks: the run from `node` on; its end. */
static uint32_t rank_end(const struct picture *p, uint32_t node, bool *any)
{
    uint32_t n = ew_graph_n_senders(p->graph) + 1;
    int rank = rank_of(p, node);
    *any = false;
    for (; node < n && rank_of(p, node) == rank; node++) {
        *any = *any || p->shown[node];
    }
    return node;
}

static int count_ranks(const struct picture *p)
{
    uint32_t n = ew_graph_n_senders(p->graph) + 1;
    int ranks = 0;
    for (uint32_t node = 0; node < n;) {
        bool any;
        node = rank_end(p, node, &any);
        ranks += any;
    }
    return ranks;
}

static void put_ranks(struct ew_buf *out, const struct picture *p)
{
    uint32_t n = ew_graph_n_senders(p->graph) + 1;
    int previous = -1;
    for (uint32_t node = 0; node < n;) {
        bool any;
        int rank = rank_of(p, node);
        uint32_t end = rank_end(p, node, &any);
        if (any) {
            put_axis(out, p, rank, previous);
            ew_buf_printf(out, "  { rank=same; \"rank %d\";", rank);
            for (uint32_t i = node; i < end; i++) {
                if (p->shown[i]) {
                    ew_buf_putc(out, ' ');
                    put_node_name(out, p, i);
                    ew_buf_putc(out, ';');
                }
            }
            ew_buf_add(out, " }\n");
            previous = rank;
        }
        node = end;
    }
}

/* ---- edges ---- */

static void put_edge_tooltip(struct ew_buf *out, const struct picture *p,
                             const struct line *line)
{
    const struct ew_provenance *from = ew_circuit_get_provenance(p->circuit);
    static const char *const says[] = {
        [EFFECT_UNKNOWN] = "",
        [EFFECT_NONE] = " (no effect)",
        [EFFECT_NEEDED] = " (needed)",
        [EFFECT_HURTS] = " (hurts)",
    };
    ew_buf_add(out, "tooltip=\"");
    for (uint32_t i = 0; i < line->n_edges; i++) {
        float score = ew_circuit_score(p->circuit, line->edges[i]);
        enum effect effect = picture_effect(p, score);
        ew_buf_add(out, i > 0 ? "\\n" : "");
        ew_edge_print(out, p->graph, line->edges[i], EW_NAMES_CANONICAL);
        if (effect == EFFECT_UNKNOWN) {
            ew_buf_add(out, ": effect unknown");
        } else {
            ew_buf_add(out, from->sign == EW_SIGN_UNKNOWN ? ": score "
                                                          : ": effect ");
            ew_buf_add(out, score > 0.0f ? "+" : "");
            put_real(out, 9, (double)score);
            ew_buf_add(out, from->sign == EW_SIGN_UNKNOWN ? "" : says[effect]);
        }
    }
    ew_buf_putc(out, '"');
}

static void put_edge_style(struct ew_buf *out, const struct picture *p,
                           float score)
{
    static const char *const colours[] = {
        [EFFECT_UNKNOWN] = COLOUR_UNKNOWN,
        [EFFECT_NONE] = COLOUR_UNKNOWN,
        [EFFECT_NEEDED] = COLOUR_NEEDED,
        [EFFECT_HURTS] = COLOUR_HURTS,
    };
    enum effect effect = picture_effect(p, score);
    float size = 0.0f; /* 0 to 1; the root keeps small ones visible */
    if (effect != EFFECT_UNKNOWN && p->largest > 0.0f) {
        size = sqrtf(fabsf(score) / p->largest);
    }
    bool known = effect == EFFECT_NEEDED || effect == EFFECT_HURTS;
    unsigned alpha = known ? 0x60 + (unsigned)(0x9f * size) : 0xff;
    ew_buf_printf(out, "color=\"%s%02x\", penwidth=", colours[effect], alpha);
    put_real(out, 3, known ? 0.8 + 3.7 * (double)size : 0.9);
    ew_buf_printf(out, ", weight=%d, ", 1 + (int)(8.0f * size));
}

static void put_edge(struct ew_buf *out, const struct picture *p,
                     const struct line *line)
{
    static const char *const dashes[] = {"style=dashed, ", "style=dotted, ",
                                         ""};
    uint32_t r = ew_edge_receiver(p->graph, line->edges[0]);
    struct ew_node to = ew_graph_receiver(p->graph, r);
    bool port = to.head >= 0 && !p->params.group_qkv;
    ew_buf_add(out, "  ");
    put_node_name(out, p, line->sender);
    ew_buf_add(out, " -> ");
    put_node_name(out, p, line->node);
    if (port) {
        ew_buf_printf(out, ":%c:s", "qkv"[to.kind - EW_NODE_Q]);
    }
    ew_buf_add(out, " [");
    put_edge_style(out, p, line->score);
    ew_buf_add(out, port ? dashes[to.kind - EW_NODE_Q] : "");
    put_edge_tooltip(out, p, line);
    ew_buf_add(out, "];\n");
}

static void put_head_of_file(struct ew_buf *out, const struct picture *p)
{
    int n_ranks = count_ranks(p);
    ew_buf_printf(out,
                  "digraph circuit {\n"
                  "  graph [rankdir=BT, bgcolor=white, pad=0.3, "
                  "nodesep=0.25, ranksep=%s, outputorder=edgesfirst, "
                  "%sfontname=\"Helvetica\", fontcolor=\"" COLOUR_INK
                  "\", tooltip=\" \"];\n"
                  "  node [shape=box, fontname=\"Helvetica\", fontsize=12, "
                  "fontcolor=\"" COLOUR_INK "\", color=\"" COLOUR_FRAME
                  "\", height=0.3, width=0.4, margin=\"0.08,0.04\"];\n"
                  "  edge [arrowsize=0.5];\n",
                  n_ranks > 10 ? "0.55" : "0.85",
                  /* boxes that reach over ranks need the newer ranking */
                  ew_groups_n(p->params.groups) ? "newrank=true, " : "");
    if (!p->params.no_legend) {
        put_legend(out, p, n_ranks);
    }
}

/* The nodes of each group in a box with its name. */
static void put_clusters(struct ew_buf *out, const struct picture *p)
{
    const struct ew_groups *groups = p->params.groups;
    for (size_t i = 0; i < ew_groups_n(groups); i++) {
        const struct ew_group *group = ew_groups_get(groups, i);
        const char *hex = ew_group_colour_hex(group->colour);
        bool open = false;
        for (uint32_t s = 0; s < ew_graph_n_senders(p->graph); s++) {
            if (!p->shown[s] || ew_groups_of(groups, s) != group) {
                continue;
            }
            if (!open) {
                ew_buf_printf(out, "  subgraph \"cluster_%zu\" {\n", i);
                ew_buf_add(out, "  label=\"");
                put_html(out, group->name);
                ew_buf_printf(out,
                              "\"; color=\"%s\"; fontcolor=\"%s\"; "
                              "bgcolor=\"%s1f\"; style=rounded; "
                              "penwidth=1.5; tooltip=\"",
                              hex, hex, hex);
                put_html(out, *group->note ? group->note : group->name);
                ew_buf_add(out, "\";\n");
                open = true;
            }
            put_node(out, p, s);
        }
        ew_buf_add(out, open ? "  }\n" : "");
    }
}

void ew_dot_print(struct ew_buf *out, const struct ew_circuit *c,
                  const struct ew_dot_params *params)
{
    struct picture p;
    picture_init(&p, c, params);
    uint32_t n_senders = ew_graph_n_senders(p.graph);
    put_head_of_file(out, &p);
    put_ranks(out, &p);
    put_clusters(out, &p);
    for (uint32_t s = 0; s < n_senders; s++) {
        if (p.shown[s] && !ew_groups_of(p.params.groups, s)) {
            put_node(out, &p, s);
        }
    }
    if (p.shown[n_senders]) {
        put_logits(out, &p);
    }
    for (size_t i = 0; i < p.n_lines; i++) {
        put_edge(out, &p, &p.lines[i]);
    }
    ew_buf_add(out, "}\n");
    picture_finish(&p);
}
