/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a head writes. The clean run is made once with hooks; z, v and the
 * final norm's scale are copied to host memory as they come by, because the
 * forward drops what it no longer needs.
 */
#include "edgewise/head.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/forward.h"
#include "edgewise/mem.h"

enum { MAX_ROWS = 256 };
enum { MAX_LOGITS = 1 << 25 }; /* of one product: 128 MB */

struct seen {
    int layer, head, kv_head;
    size_t n;     /* prompts times positions */
    float *z;     /* (n, K) */
    float *v;     /* (n, K) */
    float *scale; /* (n); 1 where the model has no final norm */
    size_t k;     /* d_head */
};

static void take_head(struct ew_scope *s, const struct ew_tensor *t, int head,
                      float *out, size_t n)
{
    ew_read_f32(s, ew_contiguous(s, ew_select(s, t, 2, head)), out, n);
}

static void hook(void *user, struct ew_scope *s, const char *name,
                 struct ew_tensor *t)
{
    struct seen *seen = user;
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "blocks.%d.attn.hook_z", seen->layer);
    if (strcmp(name, wanted) == 0) {
        take_head(s, t, seen->head, seen->z, seen->n * seen->k);
    }
    wanted[strlen(wanted) - 1] = 'v';
    if (strcmp(name, wanted) == 0) {
        take_head(s, t, seen->kv_head, seen->v, seen->n * seen->k);
    }
    if (strcmp(name, "ln_final.hook_scale") == 0) {
        ew_read_f32(s, t, seen->scale, seen->n);
    }
}

static struct seen seen_open(const struct ew_model *m, int layer, int head,
                             const struct ew_head_prompts *p)
{
    size_t n = p->n_prompts * p->n_pos;
    size_t k = (size_t)m->arch.d_head;
    struct seen seen = {
        .layer = layer,
        .head = head,
        .kv_head = head / (m->arch.n_heads / m->arch.n_kv_heads),
        .n = n,
        .k = k,
        .z = ew_xcalloc(n, k * sizeof(float)),
        .v = ew_xcalloc(n, k * sizeof(float)),
        .scale = ew_xcalloc(n, sizeof(float)),
    };
    for (size_t i = 0; i < n; i++) {
        seen.scale[i] = 1.0f;
    }
    return seen;
}

static void seen_close(struct seen *seen)
{
    free(seen->z);
    free(seen->v);
    free(seen->scale);
}

static bool run(const struct ew_model *m, const struct ew_head_prompts *p,
                struct seen *seen, const struct ew_cancel *cancel,
                struct ew_err *err)
{
    struct ew_scope *s = ew_scope_open(m->device);
    int64_t shape[] = {(int64_t)p->n_prompts, (int64_t)p->n_pos};
    struct ew_forward_params params = {
        .hook = hook, .hook_user = seen, .no_logits = true, .cancel = cancel};
    struct ew_tensor *ids = ew_from_i64(s, p->ids, 2, shape);
    ew_forward(s, m, ids, &params);
    return ew_scope_finish(s, err);
}

/* Rows (n, K) of a head's z or v, `at` of the (prompt, position) pairs, as
 * logits (n, V) before the final norm's scale. */
static struct ew_tensor *to_logits(struct ew_scope *s, const struct ew_model *m,
                                   const struct seen *seen, const float *from,
                                   const size_t *at, size_t n)
{
    float *rows = ew_xcalloc(n, seen->k * sizeof(*rows));
    for (size_t i = 0; i < n; i++) {
        memcpy(rows + i * seen->k, from + at[i] * seen->k,
               seen->k * sizeof(*rows));
    }
    int64_t k = (int64_t)seen->k;
    struct ew_tensor *x = ew_from_f32(s, rows, 2, (int64_t[]){(int64_t)n, k});
    free(rows);
    struct ew_tensor *w_o =
        ew_narrow(s, m->layers[seen->layer].w_o, 0, seen->head * k, k);
    struct ew_tensor *written = ew_matmul(s, x, w_o);
    return ew_matmul(s, ew_block_norm_linear(s, m, &m->ln_final, written),
                     m->w_u);
}

static double mean_at(const float *row, const int64_t *ids, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)row[ids[i]];
    }
    return sum / (double)n;
}

/* `rows` (n_prompts, V) are the logits at the answer positions. */
static void direct(const float *rows, size_t n_vocab,
                   const struct ew_head_prompts *p, struct ew_head_output *out)
{
    double sum = 0.0;
    double square = 0.0;
    double n = (double)p->n_prompts;
    out->direct = NAN;
    out->direct_se = NAN;
    for (size_t i = 0; i < p->n_prompts; i++) {
        const struct ew_head_answers *a = &p->answers[i];
        if (a->n_right == 0 || a->n_wrong == 0) {
            return;
        }
        const float *row = rows + i * n_vocab;
        double by = mean_at(row, a->right, a->n_right) -
                    mean_at(row, a->wrong, a->n_wrong);
        sum += by;
        square += by * by;
    }
    out->direct = sum / n;
    if (p->n_prompts > 1) {
        double variance = (square - sum * sum / n) / (n - 1.0);
        out->direct_se = sqrt(variance > 0 ? variance / n : 0.0);
    }
}

/* The ends of the mean over prompts. */
static void writes(struct ew_scope *s, const struct ew_tensor *logits,
                   struct ew_head_output *out)
{
    struct ew_tensor *mean = ew_mean(s, logits, 0, false);
    struct ew_tensor *over = ew_sub(s, mean, ew_mean(s, mean, -1, true));
    struct ew_tensor *value;
    struct ew_tensor *index;
    int64_t n = ew_dim(logits, -1);
    n = n < EW_HEAD_WRITES ? n : EW_HEAD_WRITES;
    if (ew_topk(s, over, n, &value, &index)) {
        ew_read_f64(s, value, out->up_by, (size_t)n);
        ew_read_i64(s, index, out->up, (size_t)n);
    }
    if (ew_topk(s, ew_neg(s, over), n, &value, &index)) {
        ew_read_f64(s, ew_neg(s, value), out->down_by, (size_t)n);
        ew_read_i64(s, index, out->down, (size_t)n);
    }
    out->n_writes = (size_t)n;
}

static bool towards_answers(const struct ew_model *m,
                            const struct ew_head_prompts *p,
                            const struct seen *seen, struct ew_head_output *out,
                            struct ew_err *err)
{
    size_t n = p->n_prompts;
    size_t *at = ew_xcalloc(n, sizeof(*at));
    float *scale = ew_xcalloc(n, sizeof(*scale));
    for (size_t i = 0; i < n; i++) {
        at[i] = i * p->n_pos + (size_t)p->position[i];
        scale[i] = seen->scale[at[i]];
    }
    struct ew_scope *s = ew_scope_open(m->device);
    struct ew_tensor *logits = to_logits(s, m, seen, seen->z, at, n);
    logits =
        ew_div(s, logits, ew_from_f32(s, scale, 2, (int64_t[]){(int64_t)n, 1}));
    writes(s, logits, out);
    size_t n_vocab = (size_t)ew_dim(logits, -1);
    float *rows = ew_xcalloc(n, (n_vocab ? n_vocab : 1) * sizeof(*rows));
    if (ew_read_f32(s, logits, rows, n * n_vocab)) {
        direct(rows, n_vocab, p, out);
    }
    free(rows);
    free(at);
    free(scale);
    return ew_scope_finish(s, err);
}

/* Tokens to look at: all but each prompt's first, or as many as fit, spread
 * evenly. */
static size_t choose_rows(const struct ew_model *m,
                          const struct ew_head_prompts *p, size_t *at)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_prompts; i++) {
        for (int32_t t = 1; t < p->length[i]; t++) {
            at[n++] = i * p->n_pos + (size_t)t;
        }
    }
    size_t max = MAX_LOGITS / (size_t)m->arch.d_vocab_out;
    max = max < 1 ? 1 : max < MAX_ROWS ? max : MAX_ROWS;
    if (n <= max) {
        return n;
    }
    for (size_t i = 0; i < max; i++) {
        at[i] = at[i * n / max];
    }
    return max;
}

static bool copying(const struct ew_model *m, const struct ew_head_prompts *p,
                    const struct seen *seen, struct ew_head_output *out,
                    struct ew_err *err)
{
    out->copying = NAN;
    out->n_copying = 0;
    size_t *at = ew_xcalloc(seen->n, sizeof(*at));
    size_t n = choose_rows(m, p, at);
    if (m->arch.d_vocab_out != m->arch.d_vocab || n == 0 ||
        m->arch.d_vocab_out < EW_HEAD_COPY_TOP) {
        free(at);
        return true;
    }
    int64_t *best = ew_xcalloc(n, EW_HEAD_COPY_TOP * sizeof(*best));
    struct ew_scope *s = ew_scope_open(m->device);
    struct ew_tensor *value;
    struct ew_tensor *index;
    struct ew_tensor *logits = to_logits(s, m, seen, seen->v, at, n);
    if (ew_topk(s, logits, EW_HEAD_COPY_TOP, &value, &index) &&
        ew_read_i64(s, index, best, n * EW_HEAD_COPY_TOP)) {
        size_t hits = 0;
        for (size_t i = 0; i < n * EW_HEAD_COPY_TOP; i++) {
            hits += best[i] == p->ids[at[i / EW_HEAD_COPY_TOP]];
        }
        out->copying = (double)hits / (double)n;
        out->n_copying = n;
    }
    free(best);
    free(at);
    return ew_scope_finish(s, err);
}

bool ew_head_output(const struct ew_model *m, int layer, int head,
                    const struct ew_head_prompts *prompts,
                    struct ew_head_output *out, const struct ew_cancel *cancel,
                    struct ew_err *err)
{
    *out = (struct ew_head_output){.direct = NAN, .copying = NAN};
    if (layer < 0 || layer >= m->arch.n_layers || head < 0 ||
        head >= m->arch.n_heads) {
        return ew_fail(err, EW_ERR_INPUT, "no head a%d.h%d", layer, head);
    }
    if (m->layers[layer].ln1_post.w) {
        return ew_fail(err, EW_ERR_INPUT,
                       "a%d.h%d: the heads of a layer are normed together, "
                       "one alone has no direct part",
                       layer, head);
    }
    struct seen seen = seen_open(m, layer, head, prompts);
    bool ok = run(m, prompts, &seen, cancel, err) &&
              towards_answers(m, prompts, &seen, out, err) &&
              copying(m, prompts, &seen, out, err);
    seen_close(&seen);
    return ok;
}
