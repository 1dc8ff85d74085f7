/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks as ACDC takes them: one figure asked for, edge after edge tested and
 * cut, nobody looking at the state in between. The engine then keeps what it
 * need not write down; each effect, and the state at the end, have to be the
 * full rerun's all the same.
 */
#include "engine_pair.h"

#include "edgewise/names.h"

struct walk {
    unsigned want;
    uint64_t look; /* at the state, one time in so many; 0: never */
    bool whole;    /* commits leave nothing out of date */
    bool bare;     /* a model without biases */
};

/* Of a figure that is not wanted both know nothing. */
static void assert_wanted(const struct walk *w, const struct ew_score *a,
                          const struct ew_score *b)
{
    if (w->want & EW_WANT_KL) {
        assert_close(a->kl, b->kl, "KL");
    }
    if (w->want & EW_WANT_LOGIT_DIFF) {
        assert_close(a->logit_diff, b->logit_diff, "logit difference");
    }
    if (w->want & EW_WANT_NLL) {
        assert_close(a->nll, b->nll, "NLL");
    }
}

static void look(struct pair *p, const struct walk *w)
{
    struct ew_err err = {0};
    struct ew_score fast, slow;
    /* what is asked by prompt is read off the state, not remembered */
    struct ew_what_if none = {.edges = NULL, .n = 0};
    double *by_prompt =
        ew_xcalloc(p->task->n_prompts, sizeof(*by_prompt));
    must(ew_engine_what_if(p->fast, &none, 1, w->want, &fast, by_prompt, NULL,
                           &err),
         &err);
    free(by_prompt);
    must(ew_engine_score(p->slow, w->want, &slow, NULL, &err), &err);
    assert_wanted(w, &fast, &slow);
}

/* Flip the edge, then take it so three times in four. */
static void step(struct pair *p, const struct walk *w, uint32_t edge)
{
    struct ew_err err = {0};
    struct ew_what_if one = {.edges = &edge, .n = 1};
    struct ew_score fast, slow;
    must(ew_engine_what_if(p->fast, &one, 1, w->want, &fast, NULL, NULL, &err),
         &err);
    must(ew_engine_what_if(p->slow, &one, 1, w->want, &slow, NULL, NULL, &err),
         &err);
    assert_wanted(w, &fast, &slow);
    if (ew_rng_below(&p->rng, 4) > 0) {
        must(ew_engine_commit(p->fast, &edge, 1, NULL, &err), &err);
        must(ew_engine_commit(p->slow, &edge, 1, NULL, &err), &err);
    }
    if (w->look && ew_rng_below(&p->rng, w->look) == 0) {
        look(p, w);
    }
}

static void name_step(const struct pair *p, enum ew_ablation ablation,
                      uint32_t edge)
{
    struct ew_buf name = {0};
    ew_edge_print(&name, p->g, edge, EW_NAMES_CANONICAL);
    snprintf(context, sizeof(context), "%s, %s, %s: ", p->m->arch.name,
             ew_ablation_name(ablation), ew_buf_str(&name));
    ew_buf_finish(&name);
}

/* Cut and restored at random, edges come back to what was left alone. */
static void stroll(struct pair *p, enum ew_ablation ablation,
                   const struct walk *w)
{
    static const double densities[] = {0.7, 0.4, 0.2};
    struct ew_err err = {0};
    uint32_t n = ew_graph_n_edges(p->g);
    for (size_t d = 0; d < EW_ARRAY_LEN(densities); d++) {
        struct ew_bitset *kept = ew_bitset_create(n);
        for (uint32_t i = 0; i < n; i++) {
            ew_bitset_put(kept, i, ew_rng_unit(&p->rng) < densities[d]);
        }
        must(ew_engine_set(p->fast, kept, NULL, &err), &err);
        must(ew_engine_set(p->slow, kept, NULL, &err), &err);
        ew_bitset_destroy(kept);
        for (int i = 0; i < 40; i++) {
            uint32_t edge = (uint32_t)ew_rng_below(&p->rng, n);
            name_step(p, ablation, edge);
            step(p, w, edge);
        }
        look(p, w);
    }
}

static void walk_all(size_t arch, enum ew_ablation ablation,
                     const struct walk *w, uint64_t seed)
{
    struct pair p;
    struct ew_err err = {0};
    open_model(&p, &fixture_archs[arch], false, seed);
    if (w->bare) {
        fixture_drop_biases(p.m);
    }
    open_engines(&p, ablation, w->want, !w->whole);
    for (uint32_t i = ew_graph_n_edges(p.g); i-- > 0;) {
        name_step(&p, ablation, i);
        step(&p, w, i);
    }
    look(&p, w);
    /* and back, edge by edge: what was cut returns */
    for (uint32_t i = 0; i < ew_graph_n_edges(p.g); i++) {
        if (!ew_bitset_has(ew_engine_kept(p.fast), i)) {
            must(ew_engine_commit(p.fast, &i, 1, NULL, &err), &err);
        }
    }
    must(ew_engine_set(p.slow, ew_engine_kept(p.fast), NULL, &err), &err);
    look(&p, w);
    stroll(&p, ablation, w);
    close_pair(&p);
}

static void walks_equal_reruns(void **state)
{
    (void)state;
    static const struct walk walks[] = {
        {.want = EW_WANT_KL},
        {.want = EW_WANT_KL, .whole = true},
        {.want = EW_WANT_KL, .look = 5},
        {.want = EW_WANT_LOGIT_DIFF},
        {.want = EW_WANT_KL, .bare = true},
        {.want = EW_WANT_KL | EW_WANT_LOGIT_DIFF, .look = 9, .bare = true},
        {.want = EW_WANT_KL | EW_WANT_NLL},
        {.want = EW_WANT_KL | EW_WANT_LOGIT_DIFF, .look = 9},
    };
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        for (int ablation = 0; ablation <= EW_ABLATE_MEAN; ablation++) {
            for (size_t j = 0; j < EW_ARRAY_LEN(walks); j++) {
                walk_all(i, (enum ew_ablation)ablation, &walks[j],
                         31 * i + 7 * j + (uint64_t)ablation + 1);
            }
        }
    }
}

/* A head of the last layer writes nearly all of the residual stream, and
 * nothing when nothing reaches its values. */
static void make_loud(struct ew_model *m, int64_t head)
{
    struct ew_err err = {0};
    struct ew_layer *last = &m->layers[m->arch.n_layers - 1];
    struct ew_scope *s = ew_scope_open(m->device);
    struct ew_tensor *rows = ew_narrow(s, last->w_o, 0, head * m->arch.d_head,
                                       m->arch.d_head);
    ew_copy_into(s, rows, ew_scale(s, rows, 100.0));
    must(ew_scope_finish(s, &err), &err);
    fixture_drop_biases(m);
}

static void what_if(struct ew_engine *e, const struct ew_what_if *ifs,
                    size_t n, struct ew_score *out)
{
    struct ew_err err = {0};
    must(ew_engine_what_if(e, ifs, n, EW_WANT_KL, out, NULL, NULL, &err),
         &err);
}

static void assert_what_ifs(struct pair *p, const struct ew_what_if *ifs,
                            size_t n)
{
    const struct walk w = {.want = EW_WANT_KL};
    struct ew_score fast[2], slow[2];
    assert_true(n <= EW_ARRAY_LEN(fast));
    what_if(p->slow, ifs, n, slow);
    /* maps to the logits are made when they have been of use */
    for (int again = 0; again < 4; again++) {
        what_if(p->fast, ifs, n, fast);
        for (size_t i = 0; i < n; i++) {
            assert_wanted(&w, &fast[i], &slow[i]);
        }
    }
}

static void commit(struct pair *p, const struct ew_what_if *one)
{
    struct ew_err err = {0};
    must(ew_engine_commit(p->fast, one->edges, one->n, NULL, &err), &err);
    must(ew_engine_commit(p->slow, one->edges, one->n, NULL, &err), &err);
}

/* Cut all edges into a receiver: at once, behind all but the last, and the
 * last when the others are cut. */
static void assert_silent(struct pair *p, const char *arch, uint32_t r)
{
    const struct walk w = {.want = EW_WANT_KL};
    uint32_t edges[16], n = ew_graph_n_senders_of(p->g, r);
    assert_true(n <= EW_ARRAY_LEN(edges));
    for (uint32_t j = 0; j < n; j++) {
        edges[j] = ew_graph_first_edge(p->g, r) + j;
    }
    const struct ew_what_if others = {.edges = edges, .n = n - 1};
    const struct ew_what_if last = {.edges = &edges[n - 1], .n = 1};
    const struct ew_what_if all = {.edges = edges, .n = n};
    snprintf(context, sizeof(context), "%s, receiver %u silent: ", arch, r);
    assert_what_ifs(p, &all, 1);
    assert_what_ifs(p, (struct ew_what_if[]){others, all}, 2);
    commit(p, &others);
    assert_what_ifs(p, &last, 1);
    assert_what_ifs(p, (struct ew_what_if[]){last, last}, 2);
    commit(p, &last);
    look(p, &w);
}

static void keep_all(struct pair *p)
{
    struct ew_err err = {0};
    struct ew_bitset *all = ew_bitset_create(ew_graph_n_edges(p->g));
    ew_bitset_fill(all, true);
    must(ew_engine_set(p->fast, all, NULL, &err), &err);
    must(ew_engine_set(p->slow, all, NULL, &err), &err);
    ew_bitset_destroy(all);
}

/*
 * A head that wrote nearly all there was falls silent, its values' input
 * being nothing at all: a difference would be rounding that a norm makes
 * large. Of the square of the final norm's denominator a part in 1e3 is left,
 * which is too little for a sum of changes. Then the logits' own input.
 */
static void norms_that_nearly_cancel(void **state)
{
    (void)state;
    const int head = 1;
    for (size_t i = 0; i < EW_ARRAY_LEN(fixture_archs); i++) {
        struct ew_arch arch = fixture_archs[i];
        struct pair p;
        if (arch.post_norms) {
            continue; /* no head is loud behind a norm */
        }
        arch.d_mlp = 0; /* nothing but the head changes */
        arch.gated_mlp = arch.parallel = false;
        arch.n_kv_heads = arch.n_heads;
        open_model(&p, &arch, false, i + 1);
        make_loud(p.m, head);
        open_engines(&p, EW_ABLATE_ZERO, EW_WANT_KL, true);
        struct ew_node v = {
            .kind = EW_NODE_V, .layer = arch.n_layers - 1, .head = head};
        assert_silent(&p, arch.name, ew_graph_find_receiver(p.g, v));
        keep_all(&p);
        assert_silent(&p, arch.name, ew_graph_n_receivers(p.g) - 1);
        close_pair(&p);
    }
}

/* Every effect of a walk in KL, out (edges), with so many threads. */
static void effects_with(int threads, double *out)
{
    struct ew_arch arch = fixture_archs[1];
    struct ew_err err = {0};
    struct pair p;
    arch.d_model = 64;
    arch.n_heads = arch.n_kv_heads = 4;
    arch.d_head = 16;
    arch.d_mlp = 256;
    arch.d_vocab = arch.d_vocab_out = 3000;
    ew_torch_set_threads(threads);
    open_pair_for(&p, &arch, EW_ABLATE_CORRUPTED, false, 3, EW_WANT_KL,
                  true);
    for (uint32_t i = ew_graph_n_edges(p.g); i-- > 0;) {
        struct ew_what_if one = {.edges = &i, .n = 1};
        struct ew_score score;
        must(ew_engine_what_if(p.fast, &one, 1, EW_WANT_KL, &score, NULL, NULL,
                               &err),
             &err);
        out[i] = score.kl;
        if (i % 3 > 0) {
            must(ew_engine_commit(p.fast, &i, 1, NULL, &err), &err);
        }
    }
    close_pair(&p);
}

static void threads_change_rounding_alone(void **state)
{
    (void)state;
    struct ew_graph *g = fixture_graph(
        &(struct ew_arch){.n_layers = 3, .n_heads = 4, .d_mlp = 256}, false);
    uint32_t n = ew_graph_n_edges(g);
    double *one = ew_xcalloc(n, sizeof(*one));
    double *two = ew_xcalloc(n, sizeof(*two));
    int before = ew_torch_threads();
    effects_with(1, one);
    effects_with(2, two);
    ew_torch_set_threads(before);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(context, sizeof(context), "edge %u: ", i);
        assert_close(two[i], one[i], "KL of two threads and of one");
    }
    free(one);
    free(two);
    ew_graph_destroy(g);
}

int main(void)
{
    struct ew_err err = {0};
    if (!ew_torch_load(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    ew_torch_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_equal_reruns),
        cmocka_unit_test(norms_that_nearly_cancel),
        cmocka_unit_test(threads_change_rounding_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
