/* SPDX-License-Identifier: Apache-2.0 */
/* A model of seeded random weights and a task of random tokens, by their
 * sizes alone. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"
#include "edgewise/rng.h"

#include "bench_shape.h"

enum { MOST_NUMBERS = 5 };

static const struct {
    const char *name;
    int64_t size[MOST_NUMBERS]; /* layers, heads, d_model, d_mlp, d_vocab */
} shapes[] = {
    {"gpt2", {12, 12, 768, 3072, 50257}},
    {"pythia-70m", {6, 8, 512, 2048, 50304}},
    {"attn-only-2l", {2, 8, 512, 0, 48262}},
};

/* Numbers with commas between, `least` to `most` of them; how many. */
static size_t parse_numbers(const char *option, const char *text,
                            size_t least, size_t most, int64_t *out,
                            struct ew_err *err)
{
    size_t n = 0;
    const char *at = text;
    while (n < most && isdigit((unsigned char)*at)) {
        char *end;
        out[n++] = strtoll(at, &end, 10);
        if (*end != ',') {
            at = end;
            break;
        }
        at = end + 1;
    }
    if (n < least || *at || strlen(text) > 60) {
        ew_fail(err, EW_ERR_USAGE,
                "%s: expected %zu numbers with commas between%s, found '%s'",
                option, most, most == MOST_NUMBERS ? " or a shape's name" : "",
                text);
        return 0;
    }
    return n;
}

static bool parse_shape(const char *text, struct ew_arch *out,
                        struct ew_err *err)
{
    int64_t size[MOST_NUMBERS] = {0};
    bool named = false;
    for (size_t i = 0; i < EW_ARRAY_LEN(shapes) && !named; i++) {
        named = strcmp(text, shapes[i].name) == 0;
        if (named) {
            memcpy(size, shapes[i].size, sizeof(size));
        }
    }
    if (!named && !parse_numbers("--shape", text, MOST_NUMBERS, MOST_NUMBERS,
                                 size, err)) {
        return false;
    }
    static const struct {
        const char *what;
        int64_t least, most;
    } bounds[MOST_NUMBERS] = {{"layers", 1, 512},
                              {"heads", 1, 512},
                              {"d_model", 1, 65536},
                              {"d_mlp", 0, 1 << 20},
                              {"d_vocab", 2, 1 << 20}};
    for (size_t i = 0; i < MOST_NUMBERS; i++) {
        if (size[i] < bounds[i].least || size[i] > bounds[i].most) {
            return ew_fail(err, EW_ERR_USAGE, "--shape: %s of %lld",
                           bounds[i].what, (long long)size[i]);
        }
    }
    if (size[2] % size[1] != 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--shape: d_model %lld is no multiple of %lld heads",
                       (long long)size[2], (long long)size[1]);
    }
    int d_head = (int)(size[2] / size[1]);
    *out = (struct ew_arch){.n_layers = (int)size[0],
                            .n_heads = (int)size[1],
                            .n_kv_heads = (int)size[1],
                            .d_model = (int)size[2],
                            .d_head = d_head,
                            .d_mlp = (int)size[3],
                            .d_vocab = (int)size[4],
                            .d_vocab_out = (int)size[4],
                            .n_ctx = 1024,
                            .norm = EW_NORM_LN,
                            .final_norm = EW_NORM_LN,
                            .eps = 1e-5,
                            .act = size[3] ? EW_ACT_GELU_NEW : EW_ACT_NONE,
                            .pos = EW_POS_STANDARD,
                            .attn_scale = sqrt((double)d_head),
                            .embed_scale = 1.0,
                            .bos_token = -1};
    snprintf(out->name, sizeof(out->name), "random %s", text);
    return true;
}

/* n prompts of t tokens, the first `same` of which are not corrupted; only
 * the last position is scored. */
static struct ew_task *random_task(size_t n, size_t t, size_t same,
                                   int64_t d_vocab, enum ew_metric metric)
{
    struct ew_task *task = ew_xcalloc(1, sizeof(*task));
    struct ew_rng rng;
    ew_rng_seed(&rng, 1);
    task->name = ew_xasprintf("random %zu,%zu,%zu", n, t, same);
    task->corruption = ew_xstrdup("random");
    task->bos = ew_xstrdup("no BOS");
    task->metric = metric;
    task->n_prompts = n;
    task->n_pos = t;
    task->n_scored = n;
    task->length = ew_xcalloc(n, sizeof(*task->length));
    task->clean = ew_xcalloc(n * t, sizeof(*task->clean));
    task->corrupt = ew_xcalloc(n * t, sizeof(*task->corrupt));
    task->answers = ew_xcalloc(n, sizeof(*task->answers));
    task->answer_position = ew_xcalloc(n, sizeof(*task->answer_position));
    task->scored = ew_xcalloc(n, sizeof(*task->scored));
    for (size_t b = 0; b < n; b++) {
        for (size_t i = 0; i < t; i++) {
            int64_t id = (int64_t)ew_rng_below(&rng, (uint64_t)d_vocab);
            int64_t other = (int64_t)ew_rng_below(&rng, (uint64_t)d_vocab - 1);
            task->clean[b * t + i] = id;
            task->corrupt[b * t + i] =
                i < same ? id : other + (other >= id);
        }
        int64_t right = (int64_t)ew_rng_below(&rng, (uint64_t)d_vocab - 1);
        struct ew_answers *a = &task->answers[b];
        a->right = ew_xcalloc(1, sizeof(*a->right));
        a->wrong = ew_xcalloc(1, sizeof(*a->wrong));
        a->right[0] = right;
        a->wrong[0] = right + 1;
        a->n_right = a->n_wrong = 1;
        task->length[b] = (int32_t)t;
        task->answer_position[b] = (int32_t)t - 1;
        task->scored[b] = (struct ew_scored){.prompt = (int32_t)b,
                                             .position = (int32_t)t - 1,
                                             .target = right};
    }
    return task;
}

bool bench_open_shape(struct cli_open *open, unsigned want,
                      const struct cli_opts *opts, struct ew_err *err)
{
    int64_t size[3] = {10, 20, 2};
    struct ew_engine_params params;
    struct ew_device device;
    if (opts->args.n > 0 || opts->model || opts->task) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--shape stands for a model and a task of its own");
    }
    if (!parse_shape(opts->shape, &open->arch, err) ||
        (opts->prompts_size &&
         !parse_numbers("--size", opts->prompts_size, 2, 3, size, err)) ||
        !cli_engine_params(opts, &params, err) ||
        !cli_parse_device(opts->device, &device, err)) {
        return false;
    }
    if (size[0] < 1 || size[0] > 100000 || size[1] < 1 ||
        size[1] > open->arch.n_ctx || size[2] >= size[1]) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--size: expected prompts, tokens up to %d, and fewer "
                       "that both runs share, found '%s'",
                       open->arch.n_ctx, opts->prompts_size);
    }
    open->metric = EW_METRIC_KL;
    if (opts->metric && !ew_metric_parse(opts->metric, &open->metric, err)) {
        return ew_fail_prefix(err, "--metric");
    }
    open->name = open->arch.name;
    open->path = ew_xstrdup(open->name); /* opened, so far as others see */
    open->task = random_task((size_t)size[0], (size_t)size[1],
                             (size_t)size[2], open->arch.d_vocab,
                             open->metric);
    if (!cli_open_graph(open, opts, err) || !cli_load_torch(err)) {
        return false;
    }
    ew_torch_set_threads(opts->threads);
    open->model = ew_model_random(&open->arch, 1, device, err);
    open->ablation = params.ablation;
    params.want = want | ew_metric_want(open->metric);
    params.walk = true;
    open->engine = open->model
                       ? ew_engine_create(open->model, open->task, open->graph,
                                          &params, cli_cancel(), err)
                       : NULL;
    return open->engine != NULL;
}
