/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a sweep. */
#include "sweep.h"

#include <math.h>

#include "edgewise/names.h"

static void add_fixed(struct cli_table *table, double value, int digits)
{
    if (isnan(value)) {
        cli_table_add(table, "-");
    } else {
        cli_table_addf(table, "%.*f", digits, value);
    }
}

static void add_curve(struct cli_table *table, const struct cli_curve *c)
{
    add_fixed(table, c->cpr, 3);
    add_fixed(table, c->cmd, 3);
    if (c->reach.chosen > 0) {
        cli_table_addf(table, "%u", c->reach.chosen);
    } else {
        cli_table_add(table, "-");
    }
}

static void add_head(struct cli_table *table, const char *const *head,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cli_table_add(table, head[i]);
    }
}

void sweep_print_methods(const struct sweep *s, const struct cli_opts *opts)
{
    static const char *const head[] = {"method", "CPR", "CMD", "edges for 90%",
                                       "seconds"};
    static const char *const held_out[] = {"held-out CPR", "CMD",
                                           "edges for 90%"};
    static const char *const auroc[] = {"AUROC"};
    struct cli_table table = {.n_columns = EW_ARRAY_LEN(head) +
                                           (s->other.engine ? 3U : 0U) +
                                           (s->truth ? 1U : 0U),
                              .align = "lrrrrrrrr"};
    add_head(&table, head, EW_ARRAY_LEN(head));
    add_head(&table, held_out, s->other.engine ? EW_ARRAY_LEN(held_out) : 0);
    add_head(&table, auroc, s->truth ? 1 : 0);
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct sweep_row *row = &s->rows[i];
        struct cli_curve none = {.cpr = NAN, .cmd = NAN, .auroc = NAN};
        const struct cli_curve *c = row->judged ? &row->curve : &none;
        cli_table_add(&table, row->name);
        add_curve(&table, c);
        add_fixed(&table, row->seconds, 2);
        if (s->other.engine) {
            add_curve(&table, row->judged ? &row->held_out : &none);
        }
        if (s->truth) {
            add_fixed(&table, c->auroc, 3);
        }
    }
    cli_table_print_as(&table, opts, stdout);
}

/* ---- the ladder ---- */

/* Is the edge kept at one rung and not at the other? */
static bool changes(const struct ew_rung *from, const struct ew_rung *to,
                    uint32_t edge)
{
    return !ew_bitset_has(from->kept, edge) && ew_bitset_has(to->kept, edge);
}

static size_t count(const struct sweep *s, const struct ew_rung *from,
                    const struct ew_rung *to)
{
    size_t n = 0;
    for (uint32_t e = 0; e < ew_graph_n_edges(s->open.graph); e++) {
        n += changes(from, to, e);
    }
    return n;
}

static const struct ew_ladder *ladder_of(const struct sweep *s)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].ladder) {
            return s->rows[i].ladder;
        }
    }
    return NULL;
}

static void print_changes(const struct sweep *s, char mark,
                          const struct ew_rung *from, const struct ew_rung *to,
                          size_t most, FILE *out)
{
    size_t n = 0;
    struct ew_buf name = {0};
    for (uint32_t e = 0; e < ew_graph_n_edges(s->open.graph); e++) {
        if (changes(from, to, e) && n++ < most) {
            ew_buf_clear(&name);
            ew_edge_print(&name, s->open.graph, e, EW_NAMES_CANONICAL);
            fprintf(out, "%c %s\n", mark, ew_buf_str(&name));
        }
    }
    if (n > most) {
        fprintf(out, "%c ... and %zu more\n", mark, n - most);
    }
    ew_buf_finish(&name);
}

void sweep_print_ladder(const struct sweep *s, const struct cli_opts *opts)
{
    static const char *const head[] = {"threshold", "edges", "metric",
                                       "recovered", "s.e.",  "come",
                                       "go",        "tested"};
    static const char *const held_out[] = {"held out", "s.e."};
    const struct ew_ladder *l = ladder_of(s);
    bool other = s->other.engine != NULL;
    struct cli_table table = {.n_columns =
                                  EW_ARRAY_LEN(head) + (other ? 2U : 0U),
                              .align = "rrrrrrrrrr"};
    add_head(&table, head, EW_ARRAY_LEN(head));
    add_head(&table, held_out, other ? 2 : 0);
    for (size_t i = 0; i < s->n_rungs; i++) {
        const struct ew_rung *rung = ew_ladder_rung(l, i);
        const struct ew_rung *before = i > 0 ? rung - 1 : rung;
        cli_table_addf(&table, "%g", rung->threshold);
        cli_table_addf(&table, "%zu", ew_bitset_count(rung->kept));
        cli_table_add_real(&table, s->rungs[i].here.metric);
        add_fixed(&table, s->rungs[i].here.recovered, 4);
        add_fixed(&table, s->rungs[i].here.error, 4);
        cli_table_addf(&table, "%zu", count(s, before, rung));
        cli_table_addf(&table, "%zu", count(s, rung, before));
        cli_table_addf(&table, "%zu", rung->n - rung->n_shared);
        if (other) {
            add_fixed(&table, s->rungs[i].held_out.recovered, 4);
            add_fixed(&table, s->rungs[i].held_out.error, 4);
        }
    }
    cli_table_print_as(&table, opts, stdout);
    size_t most = opts->top > 0 ? (size_t)opts->top : 10;
    for (size_t i = 1; !opts->csv && !opts->markdown && i < s->n_rungs; i++) {
        const struct ew_rung *rung = ew_ladder_rung(l, i);
        printf("from %g to %g:\n", (rung - 1)->threshold, rung->threshold);
        print_changes(s, '+', rung - 1, rung, most, stdout);
        print_changes(s, '-', rung, rung - 1, most, stdout);
    }
}

/* ---- JSON ---- */

static json_t *changes_json(const struct sweep *s, const struct ew_rung *from,
                            const struct ew_rung *to)
{
    json_t *array = json_array();
    for (uint32_t e = 0; e < ew_graph_n_edges(s->open.graph); e++) {
        if (changes(from, to, e)) {
            json_t *item = json_object();
            cli_json_edge(item, s->open.graph, e);
            json_array_append_new(array, item);
        }
    }
    return array;
}

static json_t *ladder_json(const struct sweep *s, const struct ew_ladder *l)
{
    json_t *array = json_array();
    for (size_t i = 0; i < s->n_rungs; i++) {
        const struct ew_rung *rung = ew_ladder_rung(l, i);
        const struct ew_rung *before = i > 0 ? rung - 1 : rung;
        const struct sweep_judged *judged = &s->rungs[i];
        json_t *o = json_object();
        json_object_set_new(o, "threshold", cli_real(rung->threshold));
        json_object_set_new(
            o, "edges", json_integer((json_int_t)ew_bitset_count(rung->kept)));
        json_object_set_new(o, "metric", cli_real(judged->here.metric));
        json_object_set_new(o, "recovered", cli_real(judged->here.recovered));
        json_object_set_new(o, "error", cli_real(judged->here.error));
        if (s->other.engine) {
            json_object_set_new(o, "held_out",
                                cli_real(judged->held_out.recovered));
        }
        json_object_set_new(o, "decisions", json_integer((json_int_t)rung->n));
        json_object_set_new(o, "shared",
                            json_integer((json_int_t)rung->n_shared));
        json_object_set_new(o, "come", changes_json(s, before, rung));
        json_object_set_new(o, "go", changes_json(s, rung, before));
        json_array_append_new(array, o);
    }
    return array;
}

void sweep_print_json(const struct sweep *s)
{
    json_t *methods = json_array();
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct sweep_row *row = &s->rows[i];
        json_t *o = row->judged ? cli_curve_json(&row->curve) : json_object();
        json_object_set_new(o, "method", json_string(row->name));
        json_object_set_new(o, "seconds", cli_real(row->seconds));
        json_object_set_new(o, "done", json_boolean(row->judged));
        if (row->judged && s->other.engine) {
            json_object_set_new(o, "held_out", cli_curve_json(&row->held_out));
        }
        if (row->ladder) {
            json_object_set_new(o, "ladder", ladder_json(s, row->ladder));
        }
        json_array_append_new(methods, o);
    }
    json_t *object = json_object();
    json_object_set_new(object, "metric",
                        json_string(ew_metric_name(s->open.metric)));
    json_object_set_new(object, "task", json_string(s->open.task->name));
    json_object_set_new(object, "additions",
                        json_integer(ew_graph_n_addition(s->open.graph)));
    json_object_set_new(object, "methods", methods);
    cli_json_line(stdout, object);
}
