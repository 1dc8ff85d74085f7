/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept edges, scores and the tree of revisions. A revision is the set of
 * edges it flips: undo and redo are the same operation, and the way between
 * any two revisions is the flips up to their common ancestor and down again.
 */
#include "edgewise/circuit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "internal.h"

struct ew_circuit *ew_circuit_create(const struct ew_graph *g)
{
    struct ew_circuit *c = ew_xcalloc(1, sizeof(*c));
    uint32_t n_receivers = ew_graph_n_receivers(g);
    c->graph = g;
    c->kept = ew_bitset_create(ew_graph_n_edges(g));
    ew_bitset_fill(c->kept, true);
    c->n_kept = ew_graph_n_edges(g);
    c->n_out = ew_xcalloc(ew_graph_n_senders(g), sizeof(*c->n_out));
    c->n_in = ew_xcalloc(n_receivers, sizeof(*c->n_in));
    for (uint32_t s = 0; s < ew_graph_n_senders(g); s++) {
        c->n_out[s] = n_receivers - ew_graph_first_receiver_of(g, s);
    }
    for (uint32_t r = 0; r < n_receivers; r++) {
        c->n_in[r] = ew_graph_n_senders_of(g, r);
    }
    c->provenance.threshold = (double)NAN;
    c->provenance.sign = EW_SIGN_NEEDED;
    ew_circuit_add_revision(c, "start", 0, NULL, 0);
    return c;
}

static void provenance_finish(struct ew_provenance *p)
{
    free(p->model);
    free(p->model_hash);
    free(p->task);
    free(p->task_hash);
    free(p->metric);
    free(p->ablation);
    free(p->corruption);
    free(p->scores);
}

void ew_circuit_destroy(struct ew_circuit *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->n_revisions; i++) {
        free(c->revisions[i].what);
        free(c->revisions[i].changes);
    }
    free(c->revisions);
    free(c->group);
    free(c->group_what);
    free(c->n_out);
    free(c->n_in);
    free(c->score);
    ew_bitset_destroy(c->kept);
    provenance_finish(&c->provenance);
    free(c);
}

const struct ew_graph *ew_circuit_graph(const struct ew_circuit *c)
{
    return c->graph;
}

const struct ew_bitset *ew_circuit_kept(const struct ew_circuit *c)
{
    return c->kept;
}

bool ew_circuit_has(const struct ew_circuit *c, uint32_t edge)
{
    return ew_bitset_has(c->kept, edge);
}

uint32_t ew_circuit_n_kept(const struct ew_circuit *c)
{
    return c->n_kept;
}

uint32_t ew_circuit_n_out(const struct ew_circuit *c, uint32_t sender)
{
    assert(sender < ew_graph_n_senders(c->graph));
    return c->n_out[sender];
}

uint32_t ew_circuit_n_in(const struct ew_circuit *c, uint32_t receiver)
{
    assert(receiver < ew_graph_n_receivers(c->graph));
    return c->n_in[receiver];
}

/* ---- scores ---- */

float ew_circuit_score(const struct ew_circuit *c, uint32_t edge)
{
    assert(edge < ew_graph_n_edges(c->graph));
    return c->score ? c->score[edge] : NAN;
}

void ew_circuit_set_score(struct ew_circuit *c, uint32_t edge, float score)
{
    uint32_t n = ew_graph_n_edges(c->graph);
    assert(edge < n);
    if (!c->score) {
        c->score = ew_xcalloc(n, sizeof(*c->score));
        for (uint32_t e = 0; e < n; e++) {
            c->score[e] = NAN;
        }
    }
    c->score[edge] = score;
}

void ew_circuit_forget_scores(struct ew_circuit *c)
{
    free(c->score);
    c->score = NULL;
}

/* ---- provenance ---- */

struct ew_provenance *ew_circuit_provenance(struct ew_circuit *c)
{
    return &c->provenance;
}

const struct ew_provenance *
ew_circuit_get_provenance(const struct ew_circuit *c)
{
    return &c->provenance;
}

void ew_provenance_set(char **field, const char *text)
{
    char *copy = text ? ew_xstrdup(text) : NULL;
    free(*field);
    *field = copy;
}

void ew_circuit_copy_provenance(struct ew_circuit *dst,
                                const struct ew_circuit *src)
{
    struct ew_provenance *to = &dst->provenance;
    const struct ew_provenance *from = &src->provenance;
    ew_provenance_set(&to->model, from->model);
    ew_provenance_set(&to->model_hash, from->model_hash);
    ew_provenance_set(&to->task, from->task);
    ew_provenance_set(&to->task_hash, from->task_hash);
    ew_provenance_set(&to->metric, from->metric);
    ew_provenance_set(&to->ablation, from->ablation);
    ew_provenance_set(&to->corruption, from->corruption);
    ew_provenance_set(&to->scores, from->scores);
    to->threshold = from->threshold;
    to->sign = from->sign;
    to->d_model = from->d_model;
}

static void *copy_of(const void *from, size_t n, size_t size)
{
    void *to = ew_xcalloc(n, size);
    if (n > 0) {
        memcpy(to, from, n * size);
    }
    return to;
}

struct ew_circuit *ew_circuit_clone(const struct ew_circuit *c)
{
    const struct ew_graph *g = c->graph;
    struct ew_circuit *out = ew_xcalloc(1, sizeof(*out));
    out->graph = g;
    out->kept = ew_bitset_clone(c->kept);
    out->n_kept = c->n_kept;
    out->n_out =
        copy_of(c->n_out, ew_graph_n_senders(g), sizeof(*out->n_out));
    out->n_in = copy_of(c->n_in, ew_graph_n_receivers(g), sizeof(*out->n_in));
    if (c->score) {
        out->score =
            copy_of(c->score, ew_graph_n_edges(g), sizeof(*out->score));
    }
    ew_circuit_copy_provenance(out, c);
    out->revisions =
        copy_of(c->revisions, c->n_revisions, sizeof(*out->revisions));
    out->n_revisions = out->cap_revisions = c->n_revisions;
    out->now = c->now;
    for (size_t i = 0; i < c->n_revisions; i++) {
        struct revision *r = &out->revisions[i];
        r->what = ew_xstrdup(r->what);
        r->changes = copy_of(r->changes, r->n_changes, sizeof(*r->changes));
    }
    return out;
}

/* ---- changes ---- */

static void flip(struct ew_circuit *c, uint32_t edge)
{
    bool keep = !ew_bitset_has(c->kept, edge);
    ew_bitset_put(c->kept, edge, keep);
    c->n_kept += keep ? 1 : UINT32_MAX;
    if (ew_edge_kind(c->graph, edge) == EW_EDGE_ADDITION) {
        uint32_t step = keep ? 1 : UINT32_MAX; /* plus or minus one */
        c->n_out[ew_edge_sender(c->graph, edge)] += step;
        c->n_in[ew_edge_receiver(c->graph, edge)] += step;
    }
}

void ew_circuit_init_edge(struct ew_circuit *c, uint32_t edge, bool keep)
{
    if (ew_bitset_has(c->kept, edge) != keep) {
        flip(c, edge);
    }
}

static int compare_edges(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sort the flips and drop those that cancel out; how many are left. */
static size_t net_flips(uint32_t *edges, size_t n)
{
    size_t out = 0;
    if (n > 1) { /* qsort wants no NULL */
        qsort(edges, n, sizeof(*edges), compare_edges);
    }
    for (size_t i = 0; i < n;) {
        size_t j = i;
        while (j < n && edges[j] == edges[i]) {
            j++;
        }
        if ((j - i) % 2) {
            edges[out++] = edges[i];
        }
        i = j;
    }
    return out;
}

void ew_circuit_add_revision(struct ew_circuit *c, const char *what,
                             uint32_t parent, uint32_t *changes,
                             size_t n_changes)
{
    c->revisions = ew_grow(c->revisions, c->n_revisions, &c->cap_revisions,
                           sizeof(*c->revisions));
    uint32_t number = (uint32_t)c->n_revisions++;
    c->revisions[number] = (struct revision){
        .what = ew_xstrdup(what),
        .parent = parent,
        .newest = EW_NONE,
        .n_changes = (uint32_t)net_flips(changes, n_changes),
        .changes = changes,
    };
    if (number > 0) {
        assert(parent < number);
        c->revisions[parent].newest = number;
    }
}

void ew_circuit_begin(struct ew_circuit *c, const char *what)
{
    assert(!c->in_group);
    c->in_group = true;
    c->n_group = 0;
    ew_provenance_set(&c->group_what, what ? what : "");
}

void ew_circuit_flip(struct ew_circuit *c, uint32_t edge)
{
    bool alone = !c->in_group;
    assert(edge < ew_graph_n_edges(c->graph));
    if (alone) {
        ew_circuit_begin(c, ew_circuit_has(c, edge) ? "cut" : "restore");
    }
    flip(c, edge);
    c->group = ew_grow(c->group, c->n_group, &c->cap_group, sizeof(*c->group));
    c->group[c->n_group++] = edge;
    if (alone) {
        ew_circuit_end(c);
    }
}

void ew_circuit_put(struct ew_circuit *c, uint32_t edge, bool keep)
{
    if (ew_circuit_has(c, edge) != keep) {
        ew_circuit_flip(c, edge);
    }
}

size_t ew_circuit_end(struct ew_circuit *c)
{
    assert(c->in_group);
    c->in_group = false;
    size_t n = net_flips(c->group, c->n_group);
    if (n > 0) {
        uint32_t *changes = ew_xcalloc(n, sizeof(*changes));
        memcpy(changes, c->group, n * sizeof(*changes));
        ew_circuit_add_revision(c, c->group_what, c->now, changes, (uint32_t)n);
        c->now = (uint32_t)c->n_revisions - 1;
    }
    c->n_group = 0;
    return n;
}

size_t ew_circuit_assign(struct ew_circuit *c, const struct ew_bitset *kept,
                         const char *what)
{
    uint32_t n = ew_graph_n_edges(c->graph);
    assert(ew_bitset_size(kept) == n);
    ew_circuit_begin(c, what);
    for (uint32_t e = 0; e < n; e++) {
        ew_circuit_put(c, e, ew_bitset_has(kept, e));
    }
    return ew_circuit_end(c);
}

/* ---- the tree ---- */

static void flip_revision(struct ew_circuit *c, uint32_t revision)
{
    const struct revision *r = &c->revisions[revision];
    for (uint32_t i = 0; i < r->n_changes; i++) {
        flip(c, r->changes[i]);
    }
}

bool ew_circuit_undo(struct ew_circuit *c, const char **what)
{
    assert(!c->in_group);
    if (c->now == 0) {
        return false;
    }
    if (what) {
        *what = c->revisions[c->now].what;
    }
    /* redo comes back here, even after a checkout of an older branch */
    c->revisions[c->revisions[c->now].parent].newest = c->now;
    ew_circuit_checkout(c, c->revisions[c->now].parent);
    return true;
}

bool ew_circuit_redo(struct ew_circuit *c, const char **what)
{
    assert(!c->in_group);
    uint32_t next = c->revisions[c->now].newest;
    if (next == EW_NONE) {
        return false;
    }
    if (what) {
        *what = c->revisions[next].what;
    }
    ew_circuit_checkout(c, next);
    return true;
}

uint32_t ew_circuit_n_revisions(const struct ew_circuit *c)
{
    return (uint32_t)c->n_revisions;
}

uint32_t ew_circuit_revision(const struct ew_circuit *c)
{
    return c->now;
}

struct ew_revision ew_circuit_get_revision(const struct ew_circuit *c,
                                           uint32_t revision)
{
    assert(revision < c->n_revisions);
    const struct revision *r = &c->revisions[revision];
    return (struct ew_revision){
        .what = r->what,
        .parent = r->parent,
        .n_changes = r->n_changes,
        .changes = r->changes,
    };
}

void ew_circuit_checkout(struct ew_circuit *c, uint32_t revision)
{
    assert(!c->in_group);
    assert(revision < c->n_revisions);
    uint32_t from = c->now;
    uint32_t to = revision;
    /* a child's number is larger than its parent's: walk the larger up */
    while (from != to) {
        uint32_t *larger = from > to ? &from : &to;
        flip_revision(c, *larger);
        *larger = c->revisions[*larger].parent;
    }
    c->now = revision;
}
