/* SPDX-License-Identifier: Apache-2.0 */
/* Making the explorer's state, and what the worker's messages do to it. */
#include "app.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#define DEFAULT_MODEL "induction-2l"
#define DEFAULT_TASK "induction"

enum { TREE_MAX_NODES = 40 };

static bool open_graph(struct ew_app *a, struct ew_err *err)
{
    a->model_path = ew_model_locate(a->model_name, err);
    if (!a->model_path || !ew_arch_load(&a->arch, a->model_path, err)) {
        return false;
    }
    struct ew_graph_spec spec = {
        .n_layers = a->arch.n_layers,
        .n_heads = a->arch.n_heads,
        .has_mlp = a->arch.d_mlp > 0,
        .parallel = a->arch.parallel,
        .split_embed = a->params.split_embed,
    };
    a->graph = ew_graph_create(&spec, err);
    return a->graph != NULL;
}

static bool open_circuit(struct ew_app *a, struct ew_err *err)
{
    if (a->params.circuit) {
        a->circuit = ew_circuit_load(a->params.circuit, a->graph, NULL, err);
    } else if (a->params.resume) {
        char *path = ew_path_join(a->params.resume, "circuit.json");
        a->circuit = ew_circuit_load(path, a->graph, NULL, err);
        free(path);
    } else {
        a->circuit = ew_circuit_create(a->graph);
    }
    return a->circuit != NULL;
}

/* $XDG_CONFIG_HOME/edgewise/keys.conf over the defaults; a broken one is
 * told, not fatal. */
static void read_keys(struct ew_app *a)
{
    struct ew_err err = {0};
    struct ew_buf text = {0};
    char *path = ew_xdg_path(EW_XDG_CONFIG, "keys.conf");
    a->keys = ew_keymap_create();
    if (path && ew_path_is_file(path) &&
        (!ew_file_read(&text, path, &err) ||
         !ew_keymap_read(a->keys, ew_buf_str(&text), path, &err))) {
        ew_notice(a, true, "%s", err.message);
    }
    ew_buf_finish(&text);
    free(path);
}

/* theme.conf beside it, and --theme over that. */
static void read_theme(struct ew_app *a)
{
    struct ew_err err = {0};
    struct ew_buf text = {0};
    enum ew_theme theme;
    char *path = ew_xdg_path(EW_XDG_CONFIG, "theme.conf");
    ew_theme_set(EW_THEME_DARK);
    ew_theme_forget();
    if (path && ew_path_is_file(path) &&
        (!ew_file_read(&text, path, &err) ||
         !ew_theme_read(ew_buf_str(&text), path, &err))) {
        ew_notice(a, true, "%s", err.message);
    }
    ew_buf_finish(&text);
    free(path);
    if (a->params.theme && !ew_theme_parse(a->params.theme, &theme)) {
        ew_notice(a, true, "no theme called '%s'", a->params.theme);
    } else if (a->params.theme) {
        ew_theme_set(theme);
    }
}

static void set_defaults(struct ew_app *a)
{
    uint32_t n_nodes = ew_graph_n_senders(a->graph) + 1;
    a->map = n_nodes > TREE_MAX_NODES;
    a->quantity = a->map ? EW_QTY_DIRECT : EW_QTY_KNOCK;
    a->node = ew_logits_of(a);
    a->edge = EW_NONE;
    a->gen = 1;
    a->now_se = NAN;
    a->now = ew_score_unknown();
    a->ready.full = a->now;
    a->ready.empty = a->now;
    a->metric = a->params.has_metric ? a->params.metric : EW_METRIC_LOGIT_DIFF;
    a->acdc.threshold = a->params.threshold > 0 ? a->params.threshold : 0.06;
    a->acdc.doubt = 0.25;
    a->acdc.next = EW_NONE;
    a->acdc.metric = NAN;
    ew_panes_reset(a);
    a->picture.look = (struct ew_look){0.5, 0.5, 1};
    a->attention_prompt = -1;
    a->attention_list.cur = -1; /* the answer position, once it is known */
    a->rows_old = true;
    for (size_t i = n_nodes; i < ew_bitset_size(a->unfolded); i++) {
        ew_bitset_put(a->unfolded, i, true); /* layers start open */
    }
}

/* What the user says, what the session says, what is usual; free() it. */
static char *choose(const char *given, const char *resumed, const char *usual)
{
    return ew_xstrdup(given ? given : resumed ? resumed : usual);
}

struct ew_app *ew_app_create(const struct ew_tui_params *params,
                             struct ew_graph *graph, struct ew_err *err)
{
    struct ew_app *a = ew_xcalloc(1, sizeof(*a));
    a->params = *params;
    a->graph = graph;
    a->session.base = -1;
    if (params->resume && !ew_session_load(a, params->resume, err)) {
        ew_app_destroy(a);
        return NULL;
    }
    a->model_name = choose(params->model, a->session.model, DEFAULT_MODEL);
    if (graph) { /* made up, with room for any made-up task */
        a->arch = (struct ew_arch){.d_vocab = 512, .n_ctx = 64, .bos_token = 0};
    }
    if ((!graph && !open_graph(a, err)) || !open_circuit(a, err)) {
        ew_app_destroy(a);
        return NULL;
    }
    a->task_name = choose(params->task, a->session.task,
                          a->arch.default_task[0] ? a->arch.default_task
                                                  : DEFAULT_TASK);
    uint32_t n_senders = ew_graph_n_senders(a->graph);
    uint32_t n_edges = ew_graph_n_edges(a->graph);
    const struct ew_graph_spec *spec = ew_graph_spec(a->graph);
    a->edges = ew_xcalloc(n_edges, sizeof(*a->edges));
    a->nodes = ew_xcalloc(n_senders, sizeof(*a->nodes));
    a->kinds = ew_xcalloc(n_senders, sizeof(*a->kinds));
    a->cards = ew_xcalloc(n_senders, sizeof(struct ew_ev_card *));
    a->n_in = ew_xcalloc(ew_graph_n_receivers(a->graph), sizeof(*a->n_in));
    a->n_out = ew_xcalloc(n_senders, sizeof(*a->n_out));
    a->counts_old = true;
    a->marked = ew_bitset_create(n_edges);
    a->unfolded = ew_bitset_create(n_senders + 1 + (size_t)spec->n_layers);
    a->folded = ew_bitset_create(n_senders);
    set_defaults(a);
    if (params->resume && !ew_session_restore(a, params->resume, err)) {
        ew_app_destroy(a);
        return NULL;
    }
    read_keys(a);
    ew_history_open(&a->history);
    read_theme(a);
    if (params->labels) {
        ew_labels_load(a, params->labels);
    }
    return a;
}

void ew_app_destroy(struct ew_app *a)
{
    if (!a) {
        return;
    }
    ew_keymap_destroy(a->keys);
    ew_filter_destroy(a->filter);
    ew_circuit_destroy(a->circuit);
    ew_bitset_destroy(a->marked);
    ew_bitset_destroy(a->unfolded);
    ew_bitset_destroy(a->folded);
    if (a->task) {
        ew_ev_task_free(a->task);
    }
    free(a->visits);
    ew_session_finish(&a->session);
    ew_groups_destroy(a->groups);
    ew_pin_finish(&a->pin);
    ew_history_finish(&a->history);
    for (uint32_t s = 0; a->cards && s < ew_graph_n_senders(a->graph); s++) {
        free(a->cards[s]);
    }
    free(a->cards);
    free(a->n_in);
    free(a->n_out);
    free(a->prompts);
    free(a->attention);
    free(a->top);
    free(a->edges);
    free(a->nodes);
    free(a->kinds);
    ew_picture_finish(&a->picture);
    free(a->told);
    free(a->estimates);
    free(a->where.places);
    ew_rows_finish(a);
    free(a->acdc.log);
    free(a->tradeoff.items);
    ew_graph_destroy(a->graph);
    free(a->model_name);
    free(a->model_path);
    free(a->task_name);
    free(a->editor.pending);
    free(a);
}

void ew_app_start(struct ew_app *a, const struct ew_app_ports *ports)
{
    a->ports = *ports;
    a->start_ns = ports->now_ns(ports->user);
    struct ew_req_load load = {
        .path = a->model_path,
        .task = a->task_name,
        .graph = a->graph,
        .arch = a->arch,
        .engine = a->params.engine,
        .device = a->params.device,
        .processing = a->params.processing,
        .threads = a->params.threads,
        .bos = a->params.bos || (a->arch.default_bos && !a->params.no_bos),
        .has_metric = a->params.has_metric,
        .metric = a->params.metric,
    };
    a->ports.post(a->ports.user, ew_request_load(&load));
    a->ports.expect(a->ports.user, a->gen);
    a->ports.post(a->ports.user,
                  ew_request_set(a->gen, ew_circuit_kept(a->circuit)));
    struct ew_req_acdc acdc = {.threshold = a->acdc.threshold};
    a->ports.post(a->ports.user,
                  ew_request_acdc(EW_REQ_THRESHOLD, a->gen, acdc));
}

void ew_notice(struct ew_app *a, bool bad, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(a->notice, sizeof(a->notice), fmt, args);
    va_end(args);
    a->notice_bad = bad;
    if (!a->told) {
        a->told = ew_xcalloc(EW_TOLD, sizeof(*a->told));
    }
    struct ew_told *told = &a->told[a->n_told++ % EW_TOLD];
    memcpy(told->text, a->notice, sizeof(told->text));
    told->bad = bad;
    told->at_ns =
        a->ports.now_ns ? a->ports.now_ns(a->ports.user) - a->start_ns : 0;
}

static void on_ready(struct ew_app *a, const struct ew_ev_ready *ready)
{
    a->load = EW_LOADED;
    a->ready = *ready;
    a->metric = ready->metric;
    struct ew_provenance *p = ew_circuit_provenance(a->circuit);
    ew_provenance_set(&p->model, a->model_name);
    if (ready->model_hash[0]) {
        ew_provenance_set(&p->model_hash, ready->model_hash);
    }
    ew_provenance_set(&p->task, ready->task);
    ew_provenance_set(&p->task_hash, ready->task_hash);
    ew_provenance_set(&p->metric, ew_metric_name(a->metric));
    ew_provenance_set(&p->ablation,
                      ew_ablation_name(a->params.engine.ablation));
    ew_provenance_set(&p->corruption, ready->corruption);
    if (a->params.has_metric && a->params.metric != ready->metric) {
        ew_notice(
            a, true, "the task has no wrong answers: metric %s instead of %s",
            ew_metric_name(ready->metric), ew_metric_name(a->params.metric));
    }
    if (a->editor.pending) {
        ew_editor_loaded(a);
        ew_edit_new_task(a);
        ew_notice(a, false, "the typed prompts are the task now");
    }
    if (ready->dropped) {
        ew_notice(a, false, "%zu prompts were left out of the task",
                  ready->dropped);
    }
}

static void on_effects(struct ew_app *a, const struct ew_ev_effects *e,
                       uint64_t gen)
{
    double size = ew_score_metric(&a->now, a->metric);
    for (size_t i = 0; i < e->n; i++) {
        const struct ew_effect *effect = &e->items[i];
        double by = ew_without_noise((double)effect->effect, size);
        a->n_known += a->edges[effect->edge].gen == 0;
        a->edges[effect->edge] = (struct ew_known_edge){
            .effect = (float)by,
            .ld = effect->ld,
            .se = effect->se,
            .gen = (uint32_t)gen,
            .why = (uint8_t)effect->why,
        };
        ew_circuit_set_score(a->circuit, effect->edge, (float)by);
    }
    a->effects_serial++;
    ew_rows_changed(a);
}

static void on_knocks(struct ew_app *a, const struct ew_ev_knocks *e,
                      uint64_t gen)
{
    double size = ew_score_metric(&a->now, a->metric);
    for (size_t i = 0; i < e->n; i++) {
        double by = ew_without_noise((double)e->items[i].effect, size);
        a->nodes[e->items[i].sender] = (struct ew_known_node){
            .effect = (float)by,
            .ld = e->items[i].ld,
            .gen = (uint32_t)gen,
        };
    }
}

static void on_export(struct ew_app *a, const struct ew_ev_export *e)
{
    a->exporting = false;
    if (e->err.code == EW_OK) {
        ew_notice(a, false, "wrote %s (%.1f s)", e->path, e->seconds);
    } else {
        ew_notice(a, true, "%s", e->err.message);
    }
}

/* Moves the body out of the message. */
static void *take_body(struct ew_message *m)
{
    void *body = m->body;
    m->body = NULL;
    m->free_body = NULL;
    return body;
}

static void on_task(struct ew_app *a, struct ew_ev_task *task)
{
    if (a->task) {
        ew_ev_task_free(a->task);
    }
    a->task = task;
    if (a->attention_list.cur < 0 && task->n_prompts > 0) {
        a->attention_list.cur = task->prompts[0].answer_position;
    }
}

static void on_card(struct ew_app *a, struct ew_ev_card *card)
{
    uint32_t node = ew_graph_find_sender(
        a->graph, (struct ew_node){EW_NODE_HEAD, card->layer, card->head});
    free(a->cards[node]);
    a->cards[node] = card;
}

/* The largest of the three; NaN where there is no such query. */
static struct ew_known_kind kind_of(const struct ew_head_attention *at)
{
    const double shares[] = {[EW_ATTENDS_PREVIOUS] = at->previous,
                             [EW_ATTENDS_DUPLICATE] = at->duplicate,
                             [EW_ATTENDS_INDUCTION] = at->induction};
    struct ew_known_kind kind = {EW_ATTENDS_UNKNOWN, 0.0f};
    for (int i = EW_ATTENDS_PREVIOUS; i <= EW_ATTENDS_INDUCTION; i++) {
        if (shares[i] > (double)kind.share) {
            kind = (struct ew_known_kind){(enum ew_attends)i, (float)shares[i]};
        }
    }
    return kind;
}

static void on_estimates(struct ew_app *a, const struct ew_ev_estimates *e)
{
    a->estimating = false;
    if (e->n == 0) {
        return;
    }
    if (!a->estimates) {
        a->estimates = ew_xcalloc(e->n, sizeof(*a->estimates));
    }
    memcpy(a->estimates, e->values, e->n * sizeof(*a->estimates));
    a->estimate_by = e->method;
    a->estimate_of = e->metric;
    a->rows_old = true;
    ew_notice(a, false, "%zu effects estimated by %s; s can sort by them",
              e->n, ew_attribution_name(e->method));
}

static void on_kinds(struct ew_app *a, const struct ew_ev_kinds *e)
{
    for (size_t i = 0; i < e->n; i++) {
        a->kinds[e->items[i].sender] = kind_of(&e->items[i].attention);
    }
}

void ew_app_message(struct ew_app *a, struct ew_message *m)
{
    const struct ew_err *err = m->body;
    switch ((enum ew_event_kind)m->kind) {
    case EW_EV_STAGE:
        snprintf(a->stage, sizeof(a->stage), "%s",
                 ((const struct ew_ev_text *)m->body)->text);
        break;
    case EW_EV_READY:
        on_ready(a, m->body);
        break;
    case EW_EV_FAILED:
        a->load = EW_LOAD_FAILED;
        a->load_err = *err;
        break;
    case EW_EV_REFUSED:
        ew_editor_refused(a);
        ew_notice(a, true, "%s", err->message);
        break;
    case EW_EV_STATE:
        a->now = ((const struct ew_ev_state *)m->body)->now;
        a->now_se = ((const struct ew_ev_state *)m->body)->ld_se;
        a->now_gen = m->gen;
        ew_tradeoff_note(a);
        ew_snapshot_note(a);
        if (m->gen == a->gen) {
            ew_journal_visit(a);
        }
        break;
    case EW_EV_EFFECTS:
        if (m->gen == a->gen) {
            on_effects(a, m->body, m->gen);
        }
        break;
    case EW_EV_KNOCKS:
        if (m->gen == a->gen) {
            on_knocks(a, m->body, m->gen);
        }
        break;
    case EW_EV_ACDC:
        ew_edit_acdc_event(a, m->body, m->gen);
        break;
    case EW_EV_ERROR:
        if (err->code != EW_ERR_CANCELLED) {
            ew_notice(a, true, "%s", err->message);
        }
        break;
    case EW_EV_SAVED:
        ew_session_was_saved(a, m->body);
        break;
    case EW_EV_EXPORT:
        on_export(a, m->body);
        break;
    case EW_EV_TASK:
        on_task(a, take_body(m));
        break;
    case EW_EV_JOINT:
        ew_next_joint_event(a, m->body, m->gen);
        break;
    case EW_EV_CARD:
        on_card(a, take_body(m));
        break;
    case EW_EV_ESTIMATES:
        on_estimates(a, m->body);
        break;
    case EW_EV_PICTURE:
        ew_picture_event(a, m->body, m->gen);
        break;
    case EW_EV_WHERE:
        ew_where_event(a, m->body, m->gen);
        break;
    case EW_EV_KINDS:
        on_kinds(a, m->body);
        break;
    case EW_EV_WAS:
        ew_pin_event(a, m->body);
        break;
    case EW_EV_PROMPTS:
        free(a->prompts);
        a->prompts = take_body(m);
        a->prompts_gen = m->gen;
        break;
    case EW_EV_ATTENTION:
        free(a->attention);
        a->attention = take_body(m);
        a->attention_gen = m->gen;
        break;
    case EW_EV_TOP:
        free(a->top);
        a->top = take_body(m);
        a->top_gen = m->gen;
        break;
    }
}
