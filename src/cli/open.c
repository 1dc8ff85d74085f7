/* SPDX-License-Identifier: Apache-2.0 */
/* Opening model, task and engine as the shared options say. */
#include "open.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/names.h"
#include "edgewise/unit.h"

bool cli_open_arch(struct cli_open *open, const struct cli_opts *opts,
                   struct ew_err *err)
{
    if (open->path) {
        return true;
    }
    open->name = opts->model        ? opts->model
                 : opts->args.n > 0 ? opts->args.items[0].text
                                    : CLI_DEFAULT_MODEL;
    open->path = ew_model_locate(open->name, err);
    return open->path && ew_arch_load(&open->arch, open->path, err);
}

bool cli_open_graph(struct cli_open *open, const struct cli_opts *opts,
                    struct ew_err *err)
{
    if (open->graph) {
        return true;
    }
    if (!cli_open_arch(open, opts, err)) {
        return false;
    }
    open->graph = ew_graph_create(
        &(struct ew_graph_spec){
            .n_layers = open->arch.n_layers,
            .n_heads = open->arch.n_heads,
            .has_mlp = open->arch.d_mlp > 0,
            .parallel = open->arch.parallel,
            .split_embed = opts->split_embed,
        },
        err);
    return open->graph != NULL;
}

bool cli_open_tokenizer(struct cli_open *open, struct ew_err *err)
{
    if (open->tok || !ew_tokenizer_exists(open->path)) {
        return true;
    }
    open->tok = ew_tokenizer_load(open->path, err);
    return open->tok != NULL;
}

bool cli_wants_bos(const struct cli_open *open, const struct cli_opts *opts)
{
    return opts->bos || (open->arch.default_bos && !opts->no_bos);
}

static int64_t bos_of(const struct cli_open *open)
{
    int64_t bos = open->arch.bos_token;
    if (bos < 0 && open->tok) {
        bos = ew_tokenizer_bos(open->tok);
    }
    return bos;
}

bool cli_open_task(struct cli_open *open, const char *spec,
                   const struct cli_opts *opts, struct ew_err *err)
{
    if (!cli_open_arch(open, opts, err) || !cli_open_tokenizer(open, err)) {
        return false;
    }
    struct ew_task_env env = {
        .tok = open->tok,
        .d_vocab = open->arch.d_vocab,
        .n_ctx = open->arch.n_ctx,
        .bos = bos_of(open),
        .default_bos = cli_wants_bos(open, opts),
    };
    char *typed = NULL;
    if (!cli_typed_task(&typed, opts, spec, err)) {
        return false;
    }
    open->task = ew_task_open(typed  ? typed
                              : spec ? spec
                              : open->arch.default_task[0]
                                  ? open->arch.default_task
                                  : CLI_DEFAULT_TASK,
                              &env, err);
    free(typed);
    if (!open->task) {
        return false;
    }
    open->metric = open->task->metric;
    if (opts->metric && !ew_metric_parse(opts->metric, &open->metric, err)) {
        return ew_fail_prefix(err, "--metric");
    }
    open->task->metric = open->metric; /* the check asks for it */
    if (open->task->dropped && open->task->dropped_why) {
        fprintf(stderr, "edgewise: %zu left out: %s\n",
                open->task->dropped, open->task->dropped_why);
    }
    return ew_task_check(open->task, open->arch.d_vocab, open->arch.n_ctx, err);
}

bool cli_parse_device(const char *text, struct ew_device *out,
                      struct ew_err *err)
{
    *out = (struct ew_device){0};
    if (!text || strcmp(text, "cpu") == 0) {
        return true;
    }
    char *end = NULL;
    if (strcmp(text, "cuda") == 0) {
        out->cuda = true;
        return true;
    }
    if (strncmp(text, "cuda:", 5) == 0 && isdigit((unsigned char)text[5])) {
        long index = strtol(text + 5, &end, 10);
        out->cuda = true;
        out->index = (int)index;
        if (*end == '\0' && index < 1024) {
            return true;
        }
    }
    return ew_fail(err, EW_ERR_USAGE,
                   "--device: expected cpu, cuda or cuda:N, found '%s'", text);
}

static bool parse_bytes(const char *text, uint64_t *out, struct ew_err *err)
{
    static const char units[] = "KMGT";
    *out = 0;
    if (!text) {
        return true;
    }
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : 0;
    if (end == text || errno || !(value > 0) || (*end && !unit) ||
        (*end && end[1])) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--max-memory: expected bytes such as 4G, found '%s'",
                       text);
    }
    *out = (uint64_t)ldexp(value, unit ? 10 * (int)(unit - units + 1) : 0);
    return true;
}

bool cli_parse_weights(const char *text, enum ew_processing *out,
                       struct ew_err *err)
{
    *out = EW_WEIGHTS_RAW;
    if (text && strcmp(text, "tl") == 0) {
        *out = EW_WEIGHTS_TL;
    } else if (text && strcmp(text, "raw") != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--weights: expected raw or tl, found '%s'", text);
    }
    return true;
}

/* libtorch's threads inherit the mask: signals are for this thread. */
bool cli_load_torch(struct ew_err *err)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool ok = ew_torch_load(err);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ok;
}

bool cli_open_model(struct cli_open *open, const struct cli_opts *opts,
                    struct ew_err *err)
{
    struct ew_device device;
    enum ew_processing processing;
    if (!cli_open_arch(open, opts, err) ||
        !cli_parse_device(opts->device, &device, err) ||
        !cli_parse_weights(opts->weights, &processing, err) ||
        !cli_load_torch(err)) {
        return false;
    }
    if (device.cuda && !ew_torch_has_cuda()) {
        return ew_fail(err, EW_ERR_INPUT,
                       "--device: libtorch %s sees no CUDA device",
                       ew_torch_version());
    }
    ew_torch_set_threads(opts->threads);
    open->model = ew_model_load_with(
        open->path,
        &(struct ew_load_params){.device = device, .processing = processing},
        err);
    return open->model != NULL;
}

bool cli_engine_params(const struct cli_opts *opts,
                       struct ew_engine_params *out, struct ew_err *err)
{
    *out = (struct ew_engine_params){.kind = EW_ENGINE_INCREMENTAL};
    if (opts->engine && strcmp(opts->engine, "rerun") == 0) {
        out->kind = EW_ENGINE_RERUN;
    } else if (opts->engine && strcmp(opts->engine, "incremental") != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--engine: expected incremental or rerun, found '%s'",
                       opts->engine);
    }
    if (opts->ablation &&
        !ew_ablation_parse(opts->ablation, &out->ablation, err)) {
        return ew_fail_prefix(err, "--ablation");
    }
    return parse_bytes(opts->max_memory, &out->max_memory, err);
}

bool cli_open_engine(struct cli_open *open, unsigned want,
                     const struct cli_opts *opts, struct ew_err *err)
{
    struct ew_engine_params params;
    /* what can be told wrong without a tensor is told first */
    if (!cli_engine_params(opts, &params, err) ||
        !cli_open_graph(open, opts, err) ||
        !cli_open_task(open, opts->task, opts, err) ||
        !cli_open_model(open, opts, err)) {
        return false;
    }
    open->ablation = params.ablation;
    params.want = want | ew_metric_want(open->metric);
    params.walk = true;
    open->engine = ew_engine_create(open->model, open->task, open->graph,
                                    &params, cli_cancel(), err);
    return open->engine != NULL;
}

void cli_close(struct cli_open *open)
{
    ew_engine_destroy(open->engine);
    ew_model_destroy(open->model);
    ew_task_destroy(open->task);
    ew_tokenizer_destroy(open->tok);
    ew_graph_destroy(open->graph);
    free(open->path);
    *open = (struct cli_open){0};
}

bool cli_open_other(struct cli_open *other, const struct cli_open *open,
                    const char *spec, const struct cli_opts *opts,
                    struct ew_err *err)
{
    struct ew_engine_params params;
    struct cli_opts untyped = *opts; /* what is typed is the first task */
    untyped.typed = (struct cli_words){0};
    if (!cli_engine_params(opts, &params, err) ||
        !cli_open_task(other, spec, &untyped, err)) {
        return false;
    }
    other->metric = open->metric; /* figures of two metrics do not compare */
    other->task->metric = open->metric;
    other->ablation = params.ablation;
    params.want = ew_metric_want(open->metric);
    other->graph = open->graph;
    other->model = open->model;
    if (!ew_task_can_score(other->task, open->metric, err)) {
        return false;
    }
    other->engine = ew_engine_create(open->model, other->task, open->graph,
                                     &params, cli_cancel(), err);
    return other->engine != NULL;
}

void cli_close_other(struct cli_open *other)
{
    other->graph = NULL;
    other->model = NULL;
    cli_close(other);
}

bool cli_set_circuit(struct cli_open *open, const char *path,
                     struct ew_err *err)
{
    struct ew_circuit *c = ew_circuit_load(path, open->graph, NULL, err);
    bool ok =
        c && ew_engine_set(open->engine, ew_circuit_kept(c), cli_cancel(), err);
    ew_circuit_destroy(c);
    return ok;
}

struct ew_circuit *cli_make_circuit(const struct cli_open *open,
                                    double threshold, const char *what)
{
    struct ew_circuit *c = ew_circuit_create(open->graph);
    struct ew_provenance *p = ew_circuit_provenance(c);
    char hash[EW_HASH_HEX];
    ew_provenance_set(&p->model, open->name);
    ew_provenance_set(&p->model_hash, open->model->hash);
    ew_provenance_set(&p->task, open->task->name);
    ew_provenance_set(&p->task_hash, ew_task_hash(open->task, hash));
    ew_provenance_set(&p->metric, ew_metric_name(open->metric));
    ew_provenance_set(&p->ablation, ew_ablation_name(open->ablation));
    ew_provenance_set(&p->corruption, open->task->corruption);
    ew_provenance_set(&p->scores, "exact");
    p->threshold = threshold;
    p->sign = EW_SIGN_NEEDED;
    p->d_model = open->arch.d_model;
    ew_circuit_assign(c, ew_engine_kept(open->engine), what);
    return c;
}

void cli_json_edge(json_t *object, const struct ew_graph *g, uint32_t edge)
{
    cli_json_unit(object, g, false, edge);
}

void cli_json_unit(json_t *object, const struct ew_graph *g, bool whole,
                   uint32_t unit)
{
    struct ew_buf name = {0};
    struct ew_buf receiver = {0};
    struct ew_buf sender = {0};
    ew_unit_print(&name, g, whole, unit);
    ew_unit_print_acdc(&receiver, &sender, g, whole, unit);
    json_object_set_new(object, "edge", json_string(ew_buf_str(&name)));
    json_object_set_new(object, "acdc",
                        json_pack("{s:s, s:s}", "receiver",
                                  ew_buf_str(&receiver), "sender",
                                  ew_buf_str(&sender)));
    ew_buf_finish(&name);
    ew_buf_finish(&receiver);
    ew_buf_finish(&sender);
}
