/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeated random tokens: BOS, r1..rk, r1..rk. What followed the last token
 * when it stood in the first half is r1, so a model with induction heads
 * answers r1 at the end. Positions: BOS 0, first half 1..k, second k+1..2k.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "generate.h"
#include "text.h"

enum corruption { RANDOM, QUERY, KEY };
static const char *const corruptions[] = {"random", "query", "key", NULL};

struct induction {
    struct common common;
    int64_t k;
    int64_t j; /* 0: drawn for each prompt */
    int corrupt;
    int64_t bos;
    int64_t *pool; /* tokens that may be drawn, in order of id */
    size_t n_pool;
    int64_t *drawn; /* a copy of the pool that draws are swapped within */
};

static bool is_special(const struct ew_task_env *env, int64_t bos, int64_t id)
{
    if (id == bos) {
        return true;
    }
    for (size_t i = 0; i < env->n_special; i++) {
        if (env->special_ids[i] == id) {
            return true;
        }
    }
    return env->tok && (!ew_tokenizer_has(env->tok, id) ||
                        ew_tokenizer_is_special(env->tok, id));
}

static void make_pool(struct induction *in, const struct ew_task_env *env)
{
    size_t n = env->d_vocab > 0 ? (size_t)env->d_vocab : 0;
    in->pool = ew_xcalloc(n, sizeof(*in->pool));
    for (size_t id = 0; id < n; id++) {
        if (!is_special(env, in->bos, (int64_t)id)) {
            in->pool[in->n_pool++] = (int64_t)id;
        }
    }
    in->drawn = ew_xcalloc(in->n_pool, sizeof(*in->drawn));
}

/* Draw `n` tokens: all different if there are as many, independent if not. */
static void draw(struct induction *in, int64_t *out, size_t n)
{
    struct ew_rng *rng = &in->common.rng;
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)ew_rng_below(rng, n <= in->n_pool ? in->n_pool - i
                                                              : in->n_pool);
        if (n <= in->n_pool) { /* Fisher-Yates from the front */
            at += i;
        }
        out[i] = in->drawn[at];
        if (n <= in->n_pool) {
            in->drawn[at] = in->drawn[i];
            in->drawn[i] = out[i];
        }
    }
}

/* Another token than the prompt's own; if there is none, than the answer. */
static int64_t draw_wrong(struct induction *in, const int64_t *r)
{
    size_t k = (size_t)in->k;
    size_t forbidden = in->n_pool > k ? k : 1; /* leaves at least one */
    for (;;) {
        int64_t id = in->pool[ew_rng_below(&in->common.rng, in->n_pool)];
        size_t i = 0;
        while (i < forbidden && r[i] != id) {
            i++;
        }
        if (i == forbidden) {
            return id;
        }
    }
}

static void fill(struct list *row, const struct induction *in,
                 const int64_t *tokens)
{
    if (in->bos >= 0) {
        list_push(row, in->bos);
    }
    for (int64_t i = 0; i < 2 * in->k; i++) {
        list_push(row, tokens[i]);
    }
}

/*
 * The corrupted tokens from the clean ones, and the wrong answer; r[i] is
 * r_{i+1}. With j = k-1 the swap of `key` puts r_k right before r_j, which
 * then follows it; elsewhere r_{j+1} does.
 */
static int64_t corrupt_tokens(struct induction *in, const int64_t *clean,
                              int64_t *corrupt)
{
    size_t k = (size_t)in->k;
    size_t bytes = 2 * k * sizeof(*clean);
    if (in->corrupt == RANDOM) {
        draw(in, corrupt, 2 * k);
        return draw_wrong(in, clean);
    }
    size_t j = (size_t)in->j;
    if (j == 0) {
        j = 1 + (size_t)ew_rng_below(&in->common.rng, k > 2 ? k - 2 : 1);
    }
    memcpy(corrupt, clean, bytes);
    if (in->corrupt == QUERY) {
        corrupt[2 * k - 1] = clean[j - 1];
        return clean[j];
    }
    corrupt[j - 1] = clean[k - 1];
    corrupt[k - 1] = clean[j - 1];
    return corrupt[j];
}

static void add_prompt(struct induction *in, struct draft *draft)
{
    size_t k = (size_t)in->k;
    int64_t *clean = ew_xcalloc(2 * k, sizeof(*clean));
    int64_t *corrupt = ew_xcalloc(2 * k, sizeof(*corrupt));
    struct draft_prompt *p = draft_add(draft);
    memcpy(in->drawn, in->pool, in->n_pool * sizeof(*in->pool));
    draw(in, clean, k);
    memcpy(clean + k, clean, k * sizeof(*clean));
    memcpy(in->drawn, in->pool, in->n_pool * sizeof(*in->pool));
    list_push(&p->right, clean[0]);
    list_push(&p->wrong, corrupt_tokens(in, clean, corrupt));
    fill(&p->clean, in, clean);
    fill(&p->corrupt, in, corrupt);
    int64_t shift = in->bos >= 0; /* position of r1 */
    for (int64_t t = in->k; t <= 2 * in->k - 2; t++) {
        list_push(&p->scored, t + shift);
    }
    draft_role(draft, "MATCH", in->k - 1 + shift);
    draft_role(draft, "NEXT", in->k + shift);
    draft_role(draft, "END", 2 * in->k - 1 + shift);
    free(clean);
    free(corrupt);
}

/* bos=ID|no; what the model has, else token 0, as its absence would shift
 * every position. */
static bool choose_bos(struct induction *in, struct spec *spec,
                       const struct ew_task_env *env, struct draft *draft,
                       struct ew_err *err)
{
    const char *text = spec_get(spec, "bos");
    in->bos = text_bos(env);
    if (text && strcmp(text, "no") == 0) {
        in->bos = -1;
    } else if (text &&
               !spec_int(spec, "bos", 0, env->d_vocab - 1, &in->bos, err)) {
        return false;
    } else if (in->bos < 0 || in->bos >= env->d_vocab) {
        in->bos = 0;
        ew_buf_add(&draft->bos, "BOS is token 0");
    }
    draft->bos_id = in->bos;
    return true;
}

static bool read_options(struct induction *in, struct spec *spec,
                         const struct ew_task_env *env, struct draft *draft,
                         struct ew_err *err)
{
    if (!common_options(spec, &in->common, 20, draft, err) ||
        !choose_bos(in, spec, env, draft, err) ||
        !spec_choice(spec, "corrupt", corruptions, &in->corrupt, err)) {
        return false;
    }
    int64_t most = (env->n_ctx - (in->bos >= 0)) / 2;
    in->k = most < 15 ? most : 15;
    int64_t least = in->corrupt == KEY ? 3 : 2;
    if (most < least) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: a context of %lld tokens is too short for k of at "
                       "least %lld",
                       spec->name, (long long)env->n_ctx, (long long)least);
    }
    if (!spec_int(spec, "k", least, most, &in->k, err) ||
        !spec_int(spec, "j", 1, in->k - 1, &in->j, err)) {
        return false;
    }
    return spec_done(spec, err);
}

static bool generate(struct spec *spec, const struct ew_task_env *env,
                     struct draft *draft, struct ew_err *err)
{
    struct induction in = {.corrupt = RANDOM};
    bool ok = read_options(&in, spec, env, draft, err);
    if (ok) {
        make_pool(&in, env);
        /* query and key mean something only when r1..rk differ */
        size_t need = in.corrupt == RANDOM ? 2 : (size_t)in.k;
        if (in.n_pool < need) {
            ok = ew_fail(err, EW_ERR_INPUT,
                         "%s: needs %zu tokens to draw from, the vocabulary "
                         "has %zu",
                         spec->name, need, in.n_pool);
        }
    }
    for (int64_t i = 0; ok && i < in.common.n; i++) {
        add_prompt(&in, draft);
    }
    ew_buf_add(&draft->corruption, corruptions[in.corrupt]);
    free(in.pool);
    free(in.drawn);
    return ok;
}

const struct generator induction_task = {
    .name = "induction",
    .what = "BOS, k random tokens, the same again; answer the first of them",
    .options = "n=20 k=15 seed=0 corrupt=random|query|key j=(drawn) bos=ID|no "
               "metric=logit-diff",
    .generate = generate,
};
