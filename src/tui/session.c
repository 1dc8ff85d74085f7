/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, and sessions as files. */
#include "session.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "app.h"

#define SAVE_EVERY_NS (20 * 1000000000LL)

void ew_session_finish(struct ew_session *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].name);
    }
    free(s->items);
    free(s->model);
    free(s->task);
}

/* ---- snapshots ---- */

static long find(const struct ew_session *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->items[i].name, name) == 0) {
            return (long)i;
        }
    }
    return -1;
}

static struct ew_snapshot *find_or_add(struct ew_session *s, const char *name)
{
    long at = find(s, name);
    if (at < 0) {
        s->items = ew_grow(s->items, s->n, &s->cap, sizeof(*s->items));
        s->items[s->n] = (struct ew_snapshot){.name = ew_xstrdup(name),
                                              .score = ew_score_unknown()};
        at = (long)s->n++;
    }
    return &s->items[at];
}

void ew_snapshot_take(struct ew_app *a, const char *name)
{
    if (!ew_edit_may(a)) {
        return;
    }
    struct ew_snapshot *snap = find_or_add(&a->session, name);
    snap->revision = ew_circuit_revision(a->circuit);
    snap->n_kept = ew_circuit_n_kept(a->circuit);
    snap->score = ew_score_unknown();
    if (a->now_gen == a->gen) {
        snap->score = a->now;
    }
    a->session.saved_gen = 0;
    ew_notice(a, false, "snapshot %s: %u edges", name, (unsigned)snap->n_kept);
}

static void fill(double *known, double told)
{
    *known = isnan(*known) ? told : *known;
}

void ew_snapshot_note(struct ew_app *a)
{
    for (size_t i = 0; i < a->session.n && a->now_gen == a->gen; i++) {
        struct ew_snapshot *snap = &a->session.items[i];
        if (snap->revision == ew_circuit_revision(a->circuit)) {
            fill(&snap->score.logit_diff, a->now.logit_diff);
            fill(&snap->score.kl, a->now.kl);
            fill(&snap->score.kl_mib, a->now.kl_mib);
            fill(&snap->score.nll, a->now.nll);
            fill(&snap->score.accuracy, a->now.accuracy);
            fill(&snap->score.prob_diff, a->now.prob_diff);
            fill(&snap->score.docstring, a->now.docstring);
        }
    }
}

void ew_snapshot_base(struct ew_app *a, const char *name)
{
    long at = find(&a->session, name);
    if (*name && at < 0) {
        ew_notice(a, true, "no snapshot called '%s': Tab lists them", name);
        return;
    }
    a->session.base = at;
    ew_notice(a, false, "compared with %s", *name ? name : "now");
    ew_app_show(a, &ew_view_snapshots);
}

/* Flip what the revisions from `r` back to the start have flipped. */
static void flip_path(const struct ew_app *a, struct ew_bitset *kept,
                      uint32_t r)
{
    while (r != 0) {
        struct ew_revision rev = ew_circuit_get_revision(a->circuit, r);
        for (uint32_t i = 0; i < rev.n_changes; i++) {
            ew_bitset_flip(kept, rev.changes[i]);
        }
        r = rev.parent;
    }
}

/* Back to the start and forward again; what both ways share cancels out. */
struct ew_bitset *ew_kept_at(const struct ew_app *a, uint32_t revision)
{
    struct ew_bitset *kept = ew_bitset_clone(ew_circuit_kept(a->circuit));
    flip_path(a, kept, ew_circuit_revision(a->circuit));
    flip_path(a, kept, revision);
    return kept;
}

/* ---- saving ---- */

char *ew_session_dir(void)
{
    return ew_xdg_path(EW_XDG_STATE, "sessions/last");
}

char *ew_tui_last_session(void)
{
    return ew_session_dir();
}

static bool write_text(const char *dir, const char *name, const char *text,
                       struct ew_err *err)
{
    char *path = ew_path_join(dir, name);
    bool ok = ew_file_write(path, text, strlen(text), err);
    free(path);
    return ok;
}

/* All there is in a struct ew_score. */
static const struct figure {
    const char *key;
    size_t at;
} figures[] = {
    {"logit_diff", offsetof(struct ew_score, logit_diff)},
    {"kl", offsetof(struct ew_score, kl)},
    {"nll", offsetof(struct ew_score, nll)},
    {"accuracy", offsetof(struct ew_score, accuracy)},
    {"prob_diff", offsetof(struct ew_score, prob_diff)},
    {"docstring", offsetof(struct ew_score, docstring)},
    {"kl_mib", offsetof(struct ew_score, kl_mib)},
};
static_assert(EW_ARRAY_LEN(figures) * sizeof(double) == sizeof(struct ew_score),
              "every figure of a score is saved");

static double *figure_of(struct ew_score *score, const struct figure *f)
{
    return (double *)((char *)score + f->at);
}

static json_t *score_json(struct ew_score score)
{
    json_t *object = json_object();
    for (size_t i = 0; i < EW_ARRAY_LEN(figures); i++) {
        double value = *figure_of(&score, &figures[i]);
        if (isfinite(value)) {
            json_object_set_new(object, figures[i].key, json_real(value));
        }
    }
    return object;
}

static bool read_score(struct ew_score *out, const json_t *object,
                       struct ew_err *err)
{
    *out = ew_score_unknown();
    for (size_t i = 0; i < EW_ARRAY_LEN(figures); i++) {
        if (!ew_json_real(object, "score", figures[i].key,
                          figure_of(out, &figures[i]), err)) {
            return false;
        }
    }
    return true;
}

static char *session_text(const struct ew_app *a)
{
    const struct ew_tui_params *p = &a->params;
    json_t *snaps = json_array();
    for (size_t i = 0; i < a->session.n; i++) {
        const struct ew_snapshot *snap = &a->session.items[i];
        json_t *item = json_object();
        json_object_set_new(item, "name", json_string(snap->name));
        json_object_set_new(item, "revision", json_integer(snap->revision));
        json_object_set_new(item, "kept", json_integer(snap->n_kept));
        json_object_set_new(item, "score", score_json(snap->score));
        json_array_append_new(snaps, item);
    }
    json_t *views = json_array();
    for (int i = 0; i < EW_N_PANES; i++) {
        json_array_append_new(views, json_string(ew_views[a->view[i]]->name));
    }
    json_t *root = json_object();
    json_object_set_new(root, "model", json_string(a->model_name));
    json_object_set_new(root, "task", json_string(a->task_name));
    json_object_set_new(root, "metric", json_string(ew_metric_name(a->metric)));
    json_object_set_new(root, "threshold", json_real(a->acdc.threshold));
    json_object_set_new(root, "ablation",
                        json_string(ew_ablation_name(p->engine.ablation)));
    json_object_set_new(root, "split_embed", json_boolean(p->split_embed));
    json_object_set_new(root, "bos", json_boolean(p->bos));
    json_object_set_new(root, "no_bos", json_boolean(p->no_bos));
    json_object_set_new(root, "tl_weights",
                        json_boolean(p->processing == EW_WEIGHTS_TL));
    json_object_set_new(root, "views", views);
    json_object_set_new(root, "snapshots", snaps);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    return text ? text : ew_xstrdup("{}");
}

struct ew_saved *ew_saved_create(const struct ew_app *a, const char *dir)
{
    struct ew_saved *saved = ew_xcalloc(1, sizeof(*saved));
    saved->dir = ew_xstrdup(dir);
    saved->circuit = ew_circuit_clone(a->circuit);
    saved->labels =
        ew_groups_n(a->groups) > 0 ? ew_groups_to_json(a->groups) : NULL;
    saved->session = session_text(a);
    return saved;
}

void ew_saved_destroy(void *what)
{
    struct ew_saved *saved = what;
    if (saved) {
        free(saved->dir);
        ew_circuit_destroy(saved->circuit);
        free(saved->labels);
        free(saved->session);
        free(saved);
    }
}

static bool write_circuit(const struct ew_saved *saved, struct ew_err *err)
{
    char *path = ew_path_join(saved->dir, "circuit.json");
    bool ok = ew_path_make_parents(path) ||
              ew_fail(err, EW_ERR_IO, "%s: cannot be made", saved->dir);
    ok = ok && ew_circuit_save(saved->circuit, path, err);
    free(path);
    return ok;
}

static bool write_labels(const struct ew_saved *saved, struct ew_err *err)
{
    if (saved->labels) {
        return write_text(saved->dir, "labels.json", saved->labels, err);
    }
    char *path = ew_path_join(saved->dir, "labels.json");
    remove(path); /* of an older session */
    free(path);
    return true;
}

/* session.json comes last: what it tells of is there by then. A file that
 * cannot be written leaves those after it as they were. */
bool ew_saved_write(const struct ew_saved *saved, struct ew_err *err)
{
    return write_circuit(saved, err) && write_labels(saved, err) &&
           write_text(saved->dir, "session.json", saved->session, err);
}

bool ew_session_save(const struct ew_app *a, const char *dir,
                     struct ew_err *err)
{
    struct ew_saved *saved = ew_saved_create(a, dir);
    bool ok = ew_saved_write(saved, err);
    ew_saved_destroy(saved);
    return ok;
}

/* What a run has decided so far is a revision too, if it comes no further. */
static void close_revision(struct ew_app *a)
{
    if (a->revision_open) {
        ew_circuit_end(a->circuit);
        a->revision_open = false;
        a->acdc.running = false;
    }
}

void ew_session_autosave(struct ew_app *a, bool end)
{
    struct ew_session *s = &a->session;
    if (end) {
        close_revision(a);
    }
    bool anything = ew_circuit_n_revisions(a->circuit) > 1 || s->n > 0 ||
                    ew_groups_n(a->groups) > 0;
    if (!a->model_path || a->revision_open || !anything) {
        return;
    }
    long long now = a->ports.now_ns(a->ports.user);
    if (!end && (s->saving || s->saved_gen == a->gen ||
                 now - s->saved_ns < SAVE_EVERY_NS)) {
        return;
    }
    struct ew_err err = {0};
    char *dir = ew_session_dir();
    if (dir && !end && a->ports.save) {
        s->saving = true;
        a->ports.save(a->ports.user, ew_saved_create(a, dir));
    } else if (dir && !ew_session_save(a, dir, &err)) {
        ew_notice(a, true, "session not saved: %s", err.message);
    }
    s->saved_ns = now;
    s->saved_gen = a->gen;
    free(dir);
}

void ew_session_was_saved(struct ew_app *a, const struct ew_err *err)
{
    a->session.saving = false;
    if (err->code != EW_OK) {
        ew_notice(a, true, "session not saved: %s", err->message);
    }
}

/* ---- resuming ---- */

static json_t *read_session(const char *dir, struct ew_err *err)
{
    char *path = ew_path_join(dir, "session.json");
    json_t *root = NULL;
    if (ew_path_is_file(path)) {
        root = ew_json_load(path, err);
    } else {
        ew_fail(err, EW_ERR_INPUT, "there is no session to resume: %s", path);
    }
    free(path);
    return root;
}

static bool load_params(struct ew_app *a, const json_t *root,
                        struct ew_err *err)
{
    static const char where[] = "session.json";
    struct ew_tui_params *p = &a->params;
    const char *model = NULL;
    const char *task = NULL;
    const char *metric = NULL;
    const char *ablation = NULL;
    double threshold = 0;
    bool tl = false;
    bool bos = false;
    bool no_bos = false;
    if (!ew_json_str(root, where, "model", &model, err) ||
        !ew_json_str(root, where, "task", &task, err) ||
        !ew_json_str(root, where, "metric", &metric, err) ||
        !ew_json_str(root, where, "ablation", &ablation, err) ||
        !ew_json_real(root, where, "threshold", &threshold, err) ||
        !ew_json_bool(root, where, "split_embed", &p->split_embed, err) ||
        !ew_json_bool(root, where, "bos", &bos, err) ||
        !ew_json_bool(root, where, "no_bos", &no_bos, err) ||
        !ew_json_bool(root, where, "tl_weights", &tl, err)) {
        return false;
    }
    a->session.model = model ? ew_xstrdup(model) : NULL;
    a->session.task = task ? ew_xstrdup(task) : NULL;
    if (!p->bos && !p->no_bos) {
        p->bos = bos;
        p->no_bos = no_bos;
    }
    p->processing = tl ? EW_WEIGHTS_TL : p->processing;
    p->threshold = p->threshold > 0 ? p->threshold : threshold;
    if (metric && !p->has_metric) {
        p->has_metric = ew_metric_parse(metric, &p->metric, err);
        return p->has_metric &&
               (!ablation ||
                ew_ablation_parse(ablation, &p->engine.ablation, err));
    }
    return !ablation || ew_ablation_parse(ablation, &p->engine.ablation, err);
}

bool ew_session_load(struct ew_app *a, const char *dir, struct ew_err *err)
{
    json_t *root = read_session(dir, err);
    bool ok = root && load_params(a, root, err);
    json_decref(root);
    return ok;
}

static bool restore_snapshot(struct ew_app *a, const json_t *item,
                             struct ew_err *err)
{
    const char *name = NULL;
    int64_t revision = -1;
    int64_t kept = 0;
    struct ew_score score;
    if (!ew_json_str(item, "snapshots", "name", &name, err) ||
        !ew_json_int(item, "snapshots", "revision", &revision, err) ||
        !ew_json_int(item, "snapshots", "kept", &kept, err) ||
        !read_score(&score, json_object_get(item, "score"), err)) {
        return false;
    }
    if (!name || revision < 0 ||
        revision >= (int64_t)ew_circuit_n_revisions(a->circuit)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "session.json: a snapshot of no revision");
    }
    struct ew_snapshot *snap = find_or_add(&a->session, name);
    snap->revision = (uint32_t)revision;
    snap->n_kept = (uint32_t)kept;
    snap->score = score;
    return true;
}

/* The view of each pane; a name that is none leaves its pane as it is. */
static void restore_views(struct ew_app *a, const json_t *names)
{
    size_t i;
    json_t *item;
    json_array_foreach(names, i, item)
    {
        const char *name = json_string_value(item);
        for (int v = 0; v < ew_n_views && name && i < EW_N_PANES; v++) {
            if (strcmp(ew_views[v]->name, name) == 0) {
                ew_pane_put(a, (enum ew_pane)i, ew_views[v]);
            }
        }
    }
}

bool ew_session_restore(struct ew_app *a, const char *dir, struct ew_err *err)
{
    json_t *root = read_session(dir, err);
    const json_t *snaps = json_object_get(root, "snapshots");
    bool ok = root != NULL;
    restore_views(a, json_object_get(root, "views"));
    size_t i;
    json_t *item;
    json_array_foreach(snaps, i, item)
    {
        ok = ok && restore_snapshot(a, item, err);
    }
    json_decref(root);
    char *path = ew_path_join(dir, "labels.json");
    if (ok && !a->groups && ew_path_is_file(path)) {
        a->groups = ew_groups_load(path, a->graph, err);
        ok = a->groups != NULL;
    }
    free(path);
    return ok;
}
