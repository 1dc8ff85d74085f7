/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The title and the legend, as one HTML-like label of the graph: what the
 * circuit is a circuit of, how its edges are counted, and how to read lines.
 * A picture that is passed on without its definitions says nothing.
 */
#include <math.h>
#include <string.h>

#include "picture.h"

/* Formulas as minimised, by the names that a circuit's file carries. */
static const struct {
    const char *metric;
    const char *formula;
} formulas[] = {
    {"accuracy", "-(share of prompts with the answer on top)"},
    {"kl", "KL(clean || circuit), nats"},
    {"logit-diff", "-(logit of the answer - logit of the wrong answer)"},
    {"nll", "-log p(answer), nats"},
};

void put_count(struct ew_buf *out, uint32_t n)
{
    if (n >= 1000) {
        put_count(out, n / 1000);
        ew_buf_printf(out, ",%03u", (unsigned)(n % 1000));
    } else {
        ew_buf_printf(out, "%u", (unsigned)n);
    }
}

/* Is the title made of task and model? Then the legend need not say them. */
static bool title_says_all(const struct picture *p)
{
    const struct ew_provenance *from = ew_circuit_get_provenance(p->circuit);
    return !p->params.title && from->task && from->model;
}

static void put_title(struct ew_buf *out, const struct picture *p, int size)
{
    const struct ew_provenance *from = ew_circuit_get_provenance(p->circuit);
    struct ew_buf title = {0};
    if (p->params.title) {
        put_html(&title, p->params.title);
    } else if (title_says_all(p)) {
        put_html(&title, from->task);
        ew_buf_add(&title, " in ");
        put_html(&title, from->model);
    } else if (from->task || from->model) {
        put_html(&title, from->task ? from->task : from->model);
    }
    /* Graphviz takes an empty element for a syntax error */
    ew_buf_printf(out,
                  "<TR><TD ALIGN=\"LEFT\"><FONT POINT-SIZE=\"%d\">%s"
                  "</FONT></TD></TR>",
                  size, title.len > 0 ? title.data : "circuit");
    ew_buf_finish(&title);
}

/* The picture may show less than the circuit has: say both. */
static void put_counts(struct ew_buf *out, const struct picture *p)
{
    ew_buf_add(out, "<TR><TD ALIGN=\"LEFT\">");
    put_count(out, ew_circuit_n_kept(p->circuit));
    ew_buf_add(out, " of ");
    put_count(out, ew_graph_n_edges(p->graph));
    ew_buf_add(out, " edges kept, direct edges counted");
    if (p->n_drawn < p->n_additions) {
        ew_buf_add(out, "; drawn: the ");
        put_count(out, p->n_drawn);
        ew_buf_add(out, " of largest effect");
    }
    ew_buf_add(out, "</TD></TR>");
}

static void put_definition(struct ew_buf *out, bool *any, const char *name,
                           const char *value)
{
    if (value && *value) {
        ew_buf_add(out, *any ? ", &#160;" : "");
        ew_buf_add(out, name);
        ew_buf_add(out, " ");
        put_html(out, value);
        *any = true;
    }
}

static void put_definitions(struct ew_buf *out, const struct picture *p)
{
    const struct ew_provenance *from = ew_circuit_get_provenance(p->circuit);
    struct ew_buf row = {0};
    bool any = false;
    if (!title_says_all(p)) {
        put_definition(&row, &any, "model", from->model);
        put_definition(&row, &any, "task", from->task);
    }
    put_definition(&row, &any, "metric", from->metric);
    for (size_t i = 0; from->metric && i < EW_ARRAY_LEN(formulas); i++) {
        if (strcmp(from->metric, formulas[i].metric) == 0) {
            ew_buf_add(&row, " = ");
            put_html(&row, formulas[i].formula);
        }
    }
    if (any) {
        ew_buf_printf(out, "<TR><TD ALIGN=\"LEFT\">%s</TD></TR>", row.data);
    }
    ew_buf_clear(&row);
    any = false;
    put_definition(&row, &any, "ablation", from->ablation);
    put_definition(&row, &any, "corruption", from->corruption);
    if (!isnan(from->threshold)) {
        struct ew_buf number = {0};
        put_real(&number, 6, from->threshold);
        put_definition(&row, &any, "threshold", ew_buf_str(&number));
        ew_buf_finish(&number);
    }
    put_definition(&row, &any, "scores", from->scores);
    if (any) {
        ew_buf_printf(out, "<TR><TD ALIGN=\"LEFT\">%s</TD></TR>", row.data);
    }
    ew_buf_finish(&row);
}

static void put_swatch(struct ew_buf *out, const char *colour, const char *text)
{
    ew_buf_printf(out, "<FONT COLOR=\"%s\">&#9632;</FONT> %s", colour, text);
}

static void put_colours(struct ew_buf *out, const struct picture *p)
{
    const struct ew_provenance *from = ew_circuit_get_provenance(p->circuit);
    bool ours = from->sign != EW_SIGN_UNKNOWN;
    ew_buf_add(out, "<TR><TD ALIGN=\"LEFT\">");
    put_swatch(out, COLOUR_NEEDED,
               ours ? "needed: cutting it raises the metric &#160;"
                    : "score above 0 &#160;");
    put_swatch(out, COLOUR_HURTS,
               ours ? "hurts: cutting it lowers the metric &#160;"
                    : "score below 0 &#160;");
    put_swatch(out, COLOUR_UNKNOWN, "0 or unknown");
    ew_buf_add(out, ours ? "</TD></TR>"
                         : " (the file does not say which sign means "
                           "needed)</TD></TR>");
}

static void put_lines(struct ew_buf *out, const struct picture *p)
{
    ew_buf_add(out, "<TR><TD ALIGN=\"LEFT\">");
    ew_buf_add(out, p->params.group_qkv
                        ? "one line into a head for its q, k and v"
                        : "dashed into q, dotted into k, solid into v, MLP "
                          "and logits");
    if (p->largest > 0.0f) {
        ew_buf_add(out, "; the wider the larger, up to ");
        put_real(out, 3, (double)p->largest);
    }
    ew_buf_add(out, "</TD></TR>");
    if (p->any_pinned) {
        ew_buf_add(out, "<TR><TD ALIGN=\"LEFT\">dark q, k, v: direct edge "
                        "cut, pinned to the ablated run</TD></TR>");
    }
}

void put_legend(struct ew_buf *out, const struct picture *p, int n_ranks)
{
    /* readable beside twelve layers, modest beside two */
    int size = n_ranks < 40 ? 10 + n_ranks / 4 : 20;
    ew_buf_printf(out,
                  "  labelloc=t; labeljust=l; fontsize=%d;\n"
                  "  label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" "
                  "CELLSPACING=\"0\" CELLPADDING=\"2\">",
                  size);
    put_title(out, p, size + 8);
    ew_buf_add(out, "\n");
    put_counts(out, p);
    put_definitions(out, p);
    ew_buf_add(out, "\n");
    put_colours(out, p);
    put_lines(out, p);
    ew_buf_add(out, "</TABLE>>;\n");
}
