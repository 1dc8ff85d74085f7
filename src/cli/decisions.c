/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading ACDC's decisions. */
#include "decisions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/unit.h"

#include "open.h"

json_t *cli_decision_json(const struct ew_graph *g, bool whole,
                          const struct ew_acdc_decision *d)
{
    json_t *object = json_object();
    cli_json_unit(object, g, whole, d->edge);
    if (d->dropped) {
        json_object_set_new(object, "dropped", json_true());
    } else {
        json_object_set_new(object, "before", cli_real(d->before));
        json_object_set_new(object, "after", cli_real(d->after));
        json_object_set_new(object, "effect", cli_real(d->effect));
        json_object_set_new(object, "threshold", cli_real(d->threshold));
        json_object_set_new(object, "kept", json_boolean(d->kept));
    }
    return object;
}

bool cli_decisions_add(struct cli_decisions *out, const struct ew_graph *g,
                       bool whole, const json_t *json, const char *name,
                       struct ew_err *err)
{
    struct ew_acdc_decision d = {.before = NAN, .after = NAN, .effect = NAN,
                                 .threshold = NAN};
    const char *edge = NULL;
    if (!ew_json_str(json, name, "edge", &edge, err) ||
        !ew_json_bool(json, name, "dropped", &d.dropped, err) ||
        !ew_json_real(json, name, "before", &d.before, err) ||
        !ew_json_real(json, name, "after", &d.after, err) ||
        !ew_json_real(json, name, "effect", &d.effect, err) ||
        !ew_json_real(json, name, "threshold", &d.threshold, err) ||
        !ew_json_bool(json, name, "kept", &d.kept, err)) {
        return false;
    }
    if (!edge || (!d.dropped && (isnan(d.before) || isnan(d.after) ||
                                 isnan(d.effect)))) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: expected a decision: edge, and before, after and "
                       "effect, or dropped",
                       name);
    }
    if (!ew_unit_parse(g, whole, edge, &d.edge, err)) {
        return ew_fail_prefix(err, "%s", name);
    }
    out->items = ew_grow(out->items, out->n, &out->cap, sizeof(*out->items));
    out->items[out->n++] = d;
    return true;
}

bool cli_decisions_load(struct cli_decisions *out, const struct ew_graph *g,
                        bool whole, const char *path, struct ew_err *err)
{
    struct ew_buf text = {0};
    bool ok = ew_file_read(&text, path, err);
    const char *line = ew_buf_str(&text);
    const char *end;
    *out = (struct cli_decisions){0};
    for (; ok && (end = strchr(line, '\n')); line = end + 1) {
        char *name = ew_xasprintf("%s: line %zu", path, out->n + 1);
        json_t *json = ew_json_parse(line, (size_t)(end - line), name, err);
        ok = json && cli_decisions_add(out, g, whole, json, name, err);
        out->bytes = end + 1 - text.data;
        json_decref(json);
        free(name);
    }
    ew_buf_finish(&text);
    if (!ok) {
        cli_decisions_finish(out);
    }
    return ok;
}

void cli_decisions_finish(struct cli_decisions *d)
{
    free(d->items);
    *d = (struct cli_decisions){0};
}

const struct ew_acdc_decision *
cli_decisions_first(const struct cli_decisions *d)
{
    for (size_t i = 0; i < d->n; i++) {
        if (!d->items[i].dropped) {
            return &d->items[i];
        }
    }
    return NULL;
}
