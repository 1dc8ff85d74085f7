/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circuit as EAP-IG/MIB JSON, one node, edge or revision a line so that
 * files can be compared with diff. Scores are floats printed with nine
 * digits, which is what it takes to read the same float back.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/buf.h"
#include "edgewise/circuit.h"
#include "edgewise/file.h"
#include "edgewise/mem.h"
#include "edgewise/names.h"

#include "internal.h"

/* A JSON string; bytes that are no UTF-8 become question marks. */
static void put_string(struct ew_buf *out, const char *text)
{
    json_t *value = json_string(text);
    if (!value) {
        char *copy = ew_xstrdup(text);
        for (char *p = copy; *p; p++) {
            *p = (unsigned char)*p < 0x80 ? *p : '?';
        }
        value = json_string(copy);
        free(copy);
    }
    char *quoted = json_dumps(value, JSON_ENCODE_ANY);
    ew_buf_add(out, quoted);
    free(quoted);
    json_decref(value);
}

/* A finite number with a point in it, whatever the locale says. */
static void put_real(struct ew_buf *out, int digits, double value)
{
    char text[64];
    snprintf(text, sizeof(text), "%.*g", digits, value);
    for (char *p = text; *p; p++) {
        *p = strchr("0123456789+-e", *p) ? *p : '.';
    }
    ew_buf_add(out, text);
}

static void put_cfg(struct ew_buf *out, const struct ew_circuit *c)
{
    const struct ew_graph_spec *spec = ew_graph_spec(c->graph);
    ew_buf_printf(out,
                  "\"cfg\": {\"n_layers\": %d, \"n_heads\": %d, "
                  "\"parallel_attn_mlp\": %s",
                  spec->n_layers, spec->n_heads,
                  spec->parallel ? "true" : "false");
    if (c->provenance.d_model > 0) {
        ew_buf_printf(out, ", \"d_model\": %lld",
                      (long long)c->provenance.d_model);
    }
    ew_buf_add(out, "}");
}

/* A node is in the circuit when something comes in and goes out. */
static bool node_in_circuit(const struct ew_circuit *c, uint32_t sender)
{
    uint32_t first;
    uint32_t n;
    ew_graph_inputs_of(c->graph, sender, &first, &n);
    bool any_in = n == 0; /* the embedding needs none */
    for (uint32_t r = first; r < first + n; r++) {
        any_in = any_in || c->n_in[r] > 0;
    }
    return any_in && c->n_out[sender] > 0;
}

static void put_nodes(struct ew_buf *out, const struct ew_circuit *c)
{
    ew_buf_add(out, ",\n\"nodes\": {");
    for (uint32_t s = 0; s < ew_graph_n_senders(c->graph); s++) {
        ew_buf_add(out, "\n\"");
        ew_sender_print(out, c->graph, s, EW_NAMES_CANONICAL);
        ew_buf_printf(out, "\": {\"in_graph\": %s},",
                      node_in_circuit(c, s) ? "true" : "false");
    }
    ew_buf_add(out, "\n\"logits\": {\"in_graph\": true}}");
}

static void put_edges(struct ew_buf *out, const struct ew_circuit *c,
                      const char *key, uint32_t from, uint32_t to)
{
    ew_buf_printf(out, ",\n\"%s\": {", key);
    for (uint32_t e = from; e < to; e++) {
        float score = ew_circuit_score(c, e);
        bool known = isfinite(score);
        ew_buf_add(out, e == from ? "\n\"" : ",\n\"");
        ew_edge_print(out, c->graph, e, EW_NAMES_CANONICAL);
        ew_buf_add(out, "\": {\"score\": ");
        put_real(out, 9, known ? (double)score : 0.0);
        ew_buf_add(out, ew_circuit_has(c, e) ? ", \"in_graph\": true"
                                             : ", \"in_graph\": false");
        ew_buf_add(out, known ? "}" : ", \"scored\": false}");
    }
    ew_buf_add(out, "}");
}

static void put_field(struct ew_buf *out, const char **between, const char *key,
                      const char *value)
{
    if (value) {
        ew_buf_printf(out, "%s\n\"%s\": ", *between, key);
        put_string(out, value);
        *between = ",";
    }
}

static void put_provenance(struct ew_buf *out, const struct ew_circuit *c)
{
    static const char *const signs[] = {
        [EW_SIGN_UNKNOWN] = "unknown",
        [EW_SIGN_NEEDED] = "needed",
        [EW_SIGN_HARMFUL] = "harmful",
    };
    const struct ew_provenance *p = &c->provenance;
    const char *between = "";
    ew_buf_add(out, ",\n\"provenance\": {");
    put_field(out, &between, "model", p->model);
    put_field(out, &between, "model_hash", p->model_hash);
    put_field(out, &between, "task", p->task);
    put_field(out, &between, "task_hash", p->task_hash);
    put_field(out, &between, "metric", p->metric);
    put_field(out, &between, "ablation", p->ablation);
    put_field(out, &between, "corruption", p->corruption);
    if (isfinite(p->threshold)) {
        ew_buf_printf(out, "%s\n\"threshold\": ", between);
        put_real(out, 17, p->threshold);
        between = ",";
    }
    put_field(out, &between, "scores", p->scores);
    put_field(out, &between, "positive_score", signs[p->sign]);
    ew_buf_add(out, "}");
}

static void put_journal(struct ew_buf *out, const struct ew_circuit *c)
{
    if (c->n_revisions < 2) {
        return;
    }
    ew_buf_add(out, ",\n\"revisions\": [");
    for (size_t i = 1; i < c->n_revisions; i++) {
        const struct revision *r = &c->revisions[i];
        ew_buf_add(out, i == 1 ? "\n{\"what\": " : ",\n{\"what\": ");
        put_string(out, r->what);
        ew_buf_printf(out, ", \"parent\": %u, \"flipped\": [",
                      (unsigned)r->parent);
        for (uint32_t k = 0; k < r->n_changes; k++) {
            ew_buf_add(out, k == 0 ? "\"" : ", \"");
            ew_edge_print(out, c->graph, r->changes[k], EW_NAMES_CANONICAL);
            ew_buf_add(out, "\"");
        }
        ew_buf_add(out, "]}");
    }
    ew_buf_printf(out, "],\n\"revision\": %u", (unsigned)c->now);
}

char *ew_circuit_to_json(const struct ew_circuit *c)
{
    struct ew_buf out = {0};
    uint32_t n_addition = ew_graph_n_addition(c->graph);
    ew_buf_add(&out, "{");
    put_cfg(&out, c);
    put_nodes(&out, c);
    put_edges(&out, c, "edges", 0, n_addition);
    put_edges(&out, c, "direct", n_addition, ew_graph_n_edges(c->graph));
    put_provenance(&out, c);
    put_journal(&out, c);
    ew_buf_add(&out, "}\n");
    return ew_buf_steal(&out);
}

bool ew_circuit_save(const struct ew_circuit *c, const char *path,
                     struct ew_err *err)
{
    char *text = ew_circuit_to_json(c);
    bool ok = ew_file_write(path, text, strlen(text), err);
    free(text);
    return ok;
}
