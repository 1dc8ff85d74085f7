/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: loading model and task, following the screen's circuit, scores.
 * A circuit that has been superseded while it waited is skipped: only the
 * newest is worth a forward pass. A circuit is followed even when its request
 * is cancelled: the user stops what was asked for, not what keeps engine and
 * screen together.
 */
#include "worker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/log.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "backend.h"

/* ---- messages ---- */

static void free_load(void *body)
{
    struct ew_req_load *load = body;
    free(load->path);
    free(load->task);
    free(load);
}

static void free_task(void *body)
{
    struct ew_req_task *req = body;
    free(req->task);
    free(req);
}

static void free_set(void *body)
{
    struct ew_req_set *set = body;
    ew_bitset_destroy(set->kept);
    free(set);
}

static void free_focus(void *body)
{
    struct ew_req_focus *focus = body;
    free(focus->edges);
    free(focus->nodes);
    free(focus->was);
    free(focus->apart);
    free(focus);
}

static void free_back(void *body)
{
    struct ew_req_back *back = body;
    ew_bitset_destroy(back->kept);
    free(back->passed);
    free(back);
}

static void free_joint(void *body)
{
    struct ew_req_joint *joint = body;
    free(joint->edges);
    free(joint);
}

static void *copy(const void *body, size_t size)
{
    void *out = ew_xcalloc(1, size);
    memcpy(out, body, size);
    return out;
}

struct ew_message ew_request_load(const struct ew_req_load *load)
{
    struct ew_req_load *body = copy(load, sizeof(*load));
    body->path = load->path ? ew_xstrdup(load->path) : NULL;
    body->task = load->task ? ew_xstrdup(load->task) : NULL;
    return (struct ew_message){EW_REQ_LOAD, 0, body, free_load};
}

struct ew_message ew_request_task(uint64_t gen, const char *task)
{
    struct ew_req_task *body = ew_xcalloc(1, sizeof(*body));
    body->task = ew_xstrdup(task);
    return (struct ew_message){EW_REQ_TASK, gen, body, free_task};
}

struct ew_message ew_request_set(uint64_t gen, const struct ew_bitset *kept)
{
    struct ew_req_set *body = ew_xcalloc(1, sizeof(*body));
    body->kept = ew_bitset_clone(kept);
    return (struct ew_message){EW_REQ_SET, gen, body, free_set};
}

struct ew_message ew_request_metric(uint64_t gen, enum ew_metric metric)
{
    struct ew_req_metric body = {metric};
    return (struct ew_message){EW_REQ_METRIC, gen, copy(&body, sizeof(body)),
                               NULL};
}

struct ew_message ew_request_focus(uint64_t gen, struct ew_req_focus focus)
{
    return (struct ew_message){EW_REQ_FOCUS, gen, copy(&focus, sizeof(focus)),
                               free_focus};
}

struct ew_message ew_request_acdc(enum ew_request_kind kind, uint64_t gen,
                                  struct ew_req_acdc acdc)
{
    return (struct ew_message){kind, gen, copy(&acdc, sizeof(acdc)), NULL};
}

struct ew_message ew_request_back(uint64_t gen, struct ew_req_back back)
{
    return (struct ew_message){EW_REQ_ACDC_BACK, gen, copy(&back, sizeof(back)),
                               free_back};
}

struct ew_message ew_request_estimate(uint64_t gen, enum ew_attribution method)
{
    struct ew_req_estimate body = {false, method};
    return (struct ew_message){EW_REQ_ESTIMATE, gen, copy(&body, sizeof(body)),
                               NULL};
}

struct ew_message ew_request_estimate_stop(uint64_t gen)
{
    struct ew_req_estimate body = {.stop = true};
    return (struct ew_message){EW_REQ_ESTIMATE, gen, copy(&body, sizeof(body)),
                               NULL};
}

struct ew_message ew_request_joint(uint64_t gen, struct ew_req_joint joint)
{
    return (struct ew_message){EW_REQ_JOINT, gen, copy(&joint, sizeof(joint)),
                               free_joint};
}

void ew_post_event(struct ew_mailbox *out, enum ew_event_kind kind,
                   uint64_t gen, const void *body, size_t size)
{
    ew_mailbox_post(out,
                    (struct ew_message){kind, gen, copy(body, size), NULL});
}

/* ---- life ---- */

struct ew_backend *ew_backend_create(struct ew_mailbox *out)
{
    struct ew_backend *b = ew_xcalloc(1, sizeof(*b));
    b->out = out;
    b->closing = ew_cancel_create();
    atomic_init(&b->newest, 0);
    return b;
}

void ew_backend_destroy(struct ew_backend *b)
{
    if (!b) {
        return;
    }
    ew_acdc_destroy(b->acdc);
    ew_engine_destroy(b->engine);
    ew_model_destroy(b->model);
    ew_task_destroy(b->task);
    ew_tokenizer_destroy(b->tok);
    ew_cancel_destroy(b->closing);
    free(b->base_ld);
    free(b->focus.edges);
    free(b->focus.nodes);
    free(b->focus.was);
    free(b->focus.apart);
    free(b);
}

void ew_backend_expect(struct ew_backend *b, uint64_t gen)
{
    atomic_store(&b->newest, gen);
}

void ew_backend_close(struct ew_backend *b)
{
    ew_cancel_raise(b->closing);
}

void ew_backend_drop_acdc(struct ew_backend *b)
{
    ew_acdc_destroy(b->acdc);
    b->acdc = NULL;
    b->n_before = 0;
    b->peeked = false;
}

/* ---- loading ---- */

static void stage(struct ew_backend *b, const char *text)
{
    struct ew_ev_text body = {{0}};
    snprintf(body.text, sizeof(body.text), "%s", text);
    ew_post_event(b->out, EW_EV_STAGE, 0, &body, sizeof(body));
}

/* A task that is not in use yet, and what is minimised with it. */
struct prepared {
    struct ew_task *task;
    enum ew_metric metric;
    bool has_ld;
    struct ew_engine *engine;
    struct ew_score full, empty;
};

static void drop_prepared(struct prepared *p)
{
    ew_engine_destroy(p->engine);
    ew_task_destroy(p->task);
    *p = (struct prepared){0};
}

static bool load_tokenizer(struct ew_backend *b, const struct ew_req_load *load,
                           struct ew_err *err)
{
    if (load->path && ew_path_is_dir(load->path) &&
        ew_tokenizer_exists(load->path)) {
        b->tok = ew_tokenizer_load(load->path, err);
        return b->tok != NULL;
    }
    return true;
}

/* Do the prompts begin with BOS: those there are, else as is asked for? */
static bool wants_bos(const struct ew_backend *b, int64_t bos)
{
    const struct ew_task *t = b->task;
    return t && t->n_prompts > 0 ? t->clean[0] == bos : b->load.bos;
}

static bool open_task(const struct ew_backend *b, const char *spec,
                      struct prepared *out, struct ew_err *err)
{
    const struct ew_req_load *load = &b->load;
    int64_t bos = load->arch.bos_token;
    if (bos < 0 && b->tok) {
        bos = ew_tokenizer_bos(b->tok);
    }
    struct ew_task_env env = {
        .tok = b->tok,
        .d_vocab = load->arch.d_vocab,
        .n_ctx = load->arch.n_ctx,
        .bos = bos,
        .default_bos = wants_bos(b, bos),
    };
    struct ew_task *task = ew_task_open(spec, &env, err);
    out->task = task;
    if (!task ||
        !ew_task_check(task, load->arch.d_vocab, load->arch.n_ctx, err)) {
        return false;
    }
    out->metric = load->has_metric ? load->metric : task->metric;
    out->has_ld = true;
    for (size_t i = 0; i < task->n_prompts; i++) {
        out->has_ld &=
            task->answers[i].n_right > 0 && task->answers[i].n_wrong > 0;
    }
    if (ew_metric_has_answers(out->metric) && !out->has_ld) {
        out->metric = EW_METRIC_KL;
    }
    return true;
}

static bool load_model(struct ew_backend *b, const struct ew_req_load *load,
                       struct ew_err *err)
{
    stage(b, "loading libtorch");
    if (!ew_torch_load(err)) {
        return false;
    }
    if (load->device.cuda && !ew_torch_has_cuda()) {
        return ew_fail(err, EW_ERR_INPUT, "libtorch %s sees no CUDA device",
                       ew_torch_version());
    }
    ew_torch_set_threads(load->threads);
    stage(b, "reading weights");
    b->model = ew_model_load_with(
        load->path,
        &(struct ew_load_params){.device = load->device,
                                 .processing = load->processing},
        err);
    return b->model != NULL;
}

static unsigned want_of(enum ew_metric metric, bool has_ld)
{
    return ew_metric_want(metric) | EW_WANT_KL |
           (has_ld ? EW_WANT_LOGIT_DIFF : 0u);
}

static unsigned state_want(const struct ew_backend *b)
{
    return want_of(b->metric, b->has_ld);
}

/* The engine of a task, and its ends. */
static bool make_engine(const struct ew_backend *b, struct prepared *p,
                        const struct ew_cancel *cancel, struct ew_err *err)
{
    unsigned want = want_of(p->metric, p->has_ld);
    p->engine = ew_engine_create(b->model, p->task, b->graph,
                                 &b->load.engine, cancel, err);
    return p->engine &&
           ew_engine_score_full(p->engine, want, &p->full, cancel, err) &&
           ew_engine_score_empty(p->engine, want, &p->empty, cancel, err);
}

/* Put what was prepared in the place of what there is. */
static void use_prepared(struct ew_backend *b, struct prepared *p)
{
    ew_backend_drop_acdc(b);
    ew_engine_destroy(b->engine);
    ew_task_destroy(b->task);
    b->engine = p->engine;
    b->task = p->task;
    b->metric = p->metric;
    b->has_ld = p->has_ld;
    b->base_known = false;
    free(b->base_ld);
    b->base_ld = ew_xcalloc(b->task->n_prompts, sizeof(*b->base_ld));
    b->edge_at = b->node_at = b->was_at = 0;
    b->where_at = 0;
    b->kind_at = 0;
    b->prompts_told = b->attention_told = b->card_told = b->top_told = false;
}

static void tell_ready(struct ew_backend *b, const struct prepared *p,
                       long long start)
{
    const struct ew_req_load *load = &b->load;
    const struct ew_task *t = b->task;
    struct ew_ev_ready r = {
        .n_prompts = t->n_prompts,
        .n_pos = t->n_pos,
        .n_scored = t->n_scored,
        .dropped = t->dropped,
        .memory = ew_engine_memory(b->engine),
        .metric = b->metric,
        .has_ld = b->has_ld,
        .full = p->full,
        .empty = p->empty,
        .seconds = (double)(ew_now_ns() - start) / 1e9,
    };
    bool toy = load->engine.kind == EW_ENGINE_TOY;
    snprintf(r.task, sizeof(r.task), "%s", t->name ? t->name : "task");
    ew_task_hash(t, r.task_hash);
    snprintf(r.corruption, sizeof(r.corruption), "%s",
             t->corruption ? t->corruption : "");
    snprintf(r.bos, sizeof(r.bos), "%s", t->bos ? t->bos : "");
    if (load->device.cuda) {
        snprintf(r.device, sizeof(r.device), "cuda:%d f32", load->device.index);
    } else {
        snprintf(r.device, sizeof(r.device), "%s", toy ? "toy" : "cpu f32");
    }
    snprintf(r.torch, sizeof(r.torch), "%s", toy ? "" : ew_torch_version());
    if (b->model) {
        snprintf(r.model_hash, sizeof(r.model_hash), "%s", b->model->hash);
    }
    ew_post_event(b->out, EW_EV_READY, b->gen, &r, sizeof(r));
    ew_describe_task(b);
}

static void check_engine(struct ew_backend *b, const struct ew_cancel *cancel)
{
    struct ew_err check = {0};
    if (!ew_engine_check(b->engine, cancel, &check) &&
        check.code != EW_ERR_CANCELLED) {
        ew_post_event(b->out, EW_EV_ERROR, 0, &check, sizeof(check));
    }
}

static void handle_load(struct ew_backend *b, const struct ew_req_load *load,
                        const struct ew_cancel *cancel)
{
    long long start = ew_now_ns();
    struct ew_err err = {0};
    struct prepared p = {0};
    b->load = *load;
    b->load.path = b->load.task = NULL; /* not ours */
    b->graph = load->graph;
    stage(b, "reading the task");
    bool ok = load_tokenizer(b, load, &err) &&
              open_task(b, load->task, &p, &err) &&
              (load->engine.kind == EW_ENGINE_TOY || load_model(b, load, &err));
    if (ok) {
        stage(b, "running the clean and the corrupted prompts");
        ok = make_engine(b, &p, cancel, &err);
    }
    if (!ok) {
        drop_prepared(&p);
        ew_post_event(b->out, EW_EV_FAILED, 0, &err, sizeof(err));
        return;
    }
    use_prepared(b, &p);
    tell_ready(b, &p, start);
    check_engine(b, cancel);
}

/* Another task for the model and the circuit there are. */
static void handle_task(struct ew_backend *b, const struct ew_req_task *req,
                        const struct ew_cancel *cancel)
{
    long long start = ew_now_ns();
    struct ew_err err = {0};
    struct prepared p = {0};
    if (!open_task(b, req->task, &p, &err) ||
        !make_engine(b, &p, cancel, &err) ||
        !ew_engine_set(p.engine, ew_engine_kept(b->engine), cancel, &err)) {
        drop_prepared(&p);
        ew_post_event(b->out, EW_EV_REFUSED, b->gen, &err, sizeof(err));
        return;
    }
    use_prepared(b, &p);
    tell_ready(b, &p, start);
    check_engine(b, cancel);
}

/* ---- following the screen ---- */

static double standard_error(const double *values, size_t n)
{
    double mean = 0.0;
    double square = 0.0;
    for (size_t i = 0; i < n; i++) {
        mean += values[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        square += (values[i] - mean) * (values[i] - mean);
    }
    return n < 2 ? NAN : sqrt(square / (double)(n - 1) / (double)n);
}

bool ew_backend_rebase(struct ew_backend *b, const struct ew_cancel *cancel,
                       struct ew_err *err)
{
    b->base_known = false;
    if (!ew_engine_score(b->engine, state_want(b), &b->base, cancel, err) ||
        (b->has_ld &&
         !ew_engine_logit_diffs(b->engine, b->base_ld, cancel, err))) {
        return false;
    }
    b->base_known = true;
    struct ew_ev_state state = {
        .now = b->base,
        .ld_se =
            b->has_ld ? standard_error(b->base_ld, b->task->n_prompts) : NAN,
    };
    ew_post_event(b->out, EW_EV_STATE, b->gen, &state, sizeof(state));
    return true;
}

static bool handle_set(struct ew_backend *b, const struct ew_req_set *set,
                       uint64_t gen, struct ew_err *err)
{
    if (gen < atomic_load(&b->newest)) {
        return true;
    }
    /* also when edits cancel out: the screen has ended the session */
    ew_backend_drop_acdc(b);
    if (!ew_bitset_equal(ew_engine_kept(b->engine), set->kept)) {
        b->base_known = false;
        if (!ew_engine_set(b->engine, set->kept, b->closing, err)) {
            return false;
        }
    }
    b->gen = gen;
    return ew_backend_rebase(b, b->closing, err);
}

static bool handle_metric(struct ew_backend *b, enum ew_metric metric,
                          uint64_t gen, struct ew_err *err)
{
    b->metric = metric;
    b->gen = gen;
    ew_backend_drop_acdc(b);
    return ew_backend_rebase(b, b->closing, err);
}

static void handle_focus(struct ew_backend *b, struct ew_req_focus *focus,
                         uint64_t gen)
{
    free(b->focus.edges);
    free(b->focus.nodes);
    free(b->focus.was);
    free(b->focus.apart);
    b->focus = *focus;
    b->focus_gen = gen;
    b->edge_at = 0;
    b->node_at = 0;
    b->was_at = 0;
    b->where_at = 0;
    b->prompts_told = false;
    b->attention_told = false;
    b->card_told = false;
    b->top_told = false;
    focus->edges = NULL; /* taken */
    focus->nodes = NULL;
    focus->was = NULL;
    focus->apart = NULL;
}

static void handle_estimate(struct ew_backend *b,
                            const struct ew_req_estimate *req)
{
    b->estimate_wanted = !req->stop;
    b->estimate_by = req->method;
}

void ew_backend_handle(void *user, const struct ew_message *request,
                       const struct ew_cancel *cancel)
{
    struct ew_backend *b = user;
    struct ew_err err = {0};
    bool ok = true;
    if (request->kind == EW_REQ_LOAD) {
        handle_load(b, request->body, cancel);
        return;
    }
    if (request->kind == EW_REQ_FOCUS) {
        handle_focus(b, request->body, request->gen);
        return;
    }
    if (!b->engine) {
        return;
    }
    switch ((enum ew_request_kind)request->kind) {
    case EW_REQ_TASK:
        handle_task(b, request->body, cancel);
        break;
    case EW_REQ_SET:
        ok = handle_set(b, request->body, request->gen, &err);
        break;
    case EW_REQ_METRIC:
        ok = handle_metric(
            b, ((const struct ew_req_metric *)request->body)->metric,
            request->gen, &err);
        break;
    case EW_REQ_ACDC_STEP:
        ew_stepper_step(b, request->body, request->gen, cancel);
        break;
    case EW_REQ_ACDC_RUN:
        ew_stepper_run(b, request->body, request->gen, cancel);
        break;
    case EW_REQ_ACDC_BACK:
        ew_stepper_back(b, request->body, request->gen, cancel);
        break;
    case EW_REQ_JOINT:
        ok = ew_backend_joint(b, request->body, request->gen, cancel, &err);
        break;
    case EW_REQ_THRESHOLD:
        ew_stepper_threshold(
            b, ((const struct ew_req_acdc *)request->body)->threshold);
        break;
    case EW_REQ_ESTIMATE:
        handle_estimate(b, request->body);
        break;
    case EW_REQ_LOAD:
    case EW_REQ_FOCUS:
        break;
    }
    if (!ok) {
        ew_post_event(b->out, EW_EV_ERROR, request->gen, &err, sizeof(err));
    }
}
