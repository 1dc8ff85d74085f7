/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The incremental engine's state. Shapes: B prompts, W lanes (what-ifs that
 * are evaluated together), T positions, P live positions, D d_model, K
 * d_head. A run's tensors are (B, P, ..), an overlay's (B, W, P, ..): lanes
 * second, so that a product with something all lanes share is one product.
 *
 * Positions. By causality, under corrupted-run ablation, nothing before the
 * first clean/corrupted difference ever changes: live positions start at
 * `a`. What the last layer sends is needed only from `o`, the first position
 * that is scored. Positions after the last scored one are cut off: T counts
 * up to it. In a circuit the same holds of every sender from which no kept
 * path leads through a key or a value: it is a tail, needed from `o`. Where
 * tails are changed by what-ifs and these committed, the state is right from
 * `o` only, which suffices until such a path comes back.
 */
#ifndef EW_ENGINE_STATE_H
#define EW_ENGINE_STATE_H

#include "impl.h"

enum { MAX_LANES = 64 }; /* what-ifs in one batch */

struct geometry {
    int64_t b; /* prompts */
    int64_t t; /* positions in use */
    int64_t a; /* first live position */
    int64_t o; /* first needed position of what the last layer sends */
    int64_t d; /* d_model */
    int64_t k; /* d_head */
    int n_layers;
    int n_heads;
    int n_inputs; /* 1, or 2 with a split embedding */
    bool mlp;
    bool parallel;
    const struct ew_bitset *tail; /* of senders; NULL: none is one */
};

/* One head in one run. q, k are rotated. */
struct head {
    struct ew_tensor *q;       /* (B, T - out_start, K) */
    struct ew_tensor *k;       /* (B, T, K) */
    struct ew_tensor *v;       /* (B, T, K) */
    struct ew_tensor *pattern; /* (B, T - out_start, T); NULL in carriers */
    struct ew_tensor *z;       /* (B, T - out_start, K) */
};

/* Everything about one run; all tensors are references of its own, and
 * receivers with the same input share one tensor. */
struct run {
    struct ew_tensor **x;    /* n_receivers: (B, T - in_start, D) */
    struct head *heads;      /* n_layers * n_heads */
    struct ew_tensor **mlp;  /* n_layers: (B, T - out_start, D), or NULL */
    struct ew_tensor *in[2]; /* (B, T - a, D) each */
};

/* Where the scores are read off, on the device. */
struct readout {
    int64_t n_scored;
    int64_t *scored_row;         /* prompt * T + position, host */
    struct ew_tensor *logp;      /* (R, V) clean log-probabilities, or NULL */
    struct ew_tensor *targets;   /* (R, 1) I64, or NULL */
    int64_t *answer_row;         /* (B): prompt * T + position, host */
    struct ew_tensor *answer_u;  /* (B, D, C) columns of W_U, or NULL */
    struct ew_tensor *answer_b;  /* (B, 1, C) their biases */
    struct ew_tensor *answer_w;  /* (B, 1, C) weights: 1/n, -1/n, 0 */
    int64_t first_answer;        /* smallest position needed by LD */
    int64_t first_scored;        /* smallest position needed by the rest */
};

/* The final norm at the logits' input x, and towards one head
 * (lowrank_norm.c). */
struct low_rank_norm {
    struct ew_tensor *square; /* (B, T - o, 1) of the denominators, or NULL */
    int head;                 /* that the others are of */
    struct ew_tensor *toward; /* (B, T - o, K): 2 x W~^T / D, or NULL */
    struct ew_tensor *gram;   /* (K, K): W~ W~^T / D, or NULL */
};

/* Logits from the head space (lowrank.c). */
struct low_rank {
    bool on;                   /* KL is wanted, and there is memory */
    uint64_t budget;           /* bytes left for maps */
    struct ew_tensor *u;       /* (R, V): linear(x) W_U, or NULL */
    struct ew_tensor *shift;   /* (R) log-sum-exp of the logits u once gave */
    uint32_t changes;          /* of u since it was made */
    struct ew_tensor *p;       /* (R, V) clean probabilities */
    struct ew_tensor *entropy; /* (R) of them */
    struct ew_tensor *offset;  /* (V), or NULL */
    struct ew_tensor **map;    /* n_layers * n_heads: M_h (K, V), or NULL */
    double *served;            /* rows that each head's map was asked for */
    struct low_rank_norm norm;
};

struct incremental {
    struct geometry geo;
    uint32_t n_senders;
    uint32_t n_receivers;
    struct run cur;     /* the current circuit */
    struct run cut;     /* what cut edges and cut direct edges carry */
    struct readout out;
    struct ew_bitset *stale_x;   /* receivers whose input is out of date */
    struct ew_bitset *stale_out; /* senders whose output is */
    struct ew_bitset *tail_x;    /* inputs that are up to date from `o` */
    struct ew_bitset *tail_out;  /* outputs that are */
    struct ew_tensor **diff;   /* n_senders: y - c (B, P, D), or NULL */
    struct ew_tensor **dz;     /* n_senders: z - c of heads, or NULL */
    /* Of q, k, v from the head space (thin.c). */
    struct ew_tensor **raw;    /* n_receivers: linear(x) W, or NULL */
    struct ew_tensor **link;   /* addition edges: linear(W_O) W, or NULL */
    uint64_t link_budget;      /* bytes left for these */
    signed char *same;         /* n_senders: y = c? -1 not known */
    struct ew_bitset *mute;    /* senders that send nothing when nothing but
                                  biases reaches them; NULL but for zero
                                  ablation (silent.c) */
    struct ew_score score;     /* of the current circuit; NaN: not known */
    bool lost;                 /* a commit failed half way: of no use */
    uint32_t commits;          /* since the last evaluation from scratch */
    /* What a head adds to the logits' input that is not yet written down
     * there (logits_input()): (B, T - o, K), or NULL. */
    struct ew_tensor *owed;
    int owed_head;
    struct low_rank low;
    struct overlay *last;      /* of the last what-if batch; may be NULL */
    /* Committed, but still to be taken over from `last`. */
    uint32_t pending[MAX_LANES];
    size_t n_pending;
    int64_t pending_lane;
};

static inline int64_t out_start(const struct geometry *g, int layer)
{
    return layer == g->n_layers - 1 ? g->o : g->a;
}

static inline uint32_t receiver_of(const struct geometry *g, int layer,
                                   int head, enum ew_qkv which)
{
    int per_layer = 3 * g->n_heads + g->mlp;
    return (uint32_t)(layer * per_layer + 3 * head + (int)which);
}

static inline uint32_t mlp_receiver(const struct geometry *g, int layer)
{
    int per_layer = 3 * g->n_heads + g->mlp;
    return (uint32_t)(layer * per_layer + 3 * g->n_heads);
}

static inline uint32_t logits_receiver(const struct geometry *g)
{
    return (uint32_t)(g->n_layers * (3 * g->n_heads + g->mlp));
}

static inline uint32_t head_sender(const struct geometry *g, int layer,
                                   int head)
{
    return (uint32_t)(g->n_inputs + layer * (g->n_heads + g->mlp) + head);
}

/* layer * n_heads + head of a head's sender, or -1. */
static inline int sender_head(const struct geometry *g, uint32_t sender)
{
    int i = (int)sender - g->n_inputs;
    int per_layer = g->n_heads + g->mlp;
    return i < 0 || i % per_layer == g->n_heads
               ? -1
               : i / per_layer * g->n_heads + i % per_layer;
}

static inline uint32_t mlp_sender(const struct geometry *g, int layer)
{
    return head_sender(g, layer, g->n_heads);
}

/* First position of what a sender's tensors hold (node.c). */
int64_t sent_start(const struct geometry *g, uint32_t sender);
/* First position of a receiver's input: what the last layer's MLP and the
 * logits read is needed only from `o`, as what tails read but keys and
 * values. */
int64_t receiver_start(const struct geometry *g, uint32_t r);

static inline int64_t head_start(const struct geometry *g, int layer, int head)
{
    return sent_start(g, head_sender(g, layer, head));
}

/* ---- small tensor helpers (node.c) ---- */

/* Rows from position `want` of a tensor (.., T - have, X). */
struct ew_tensor *rows_from(struct ew_scope *s, struct ew_tensor *t,
                            int64_t have, int64_t want);
/* (.., X) -> (N, X). */
struct ew_tensor *as_rows(struct ew_scope *s, const struct ew_tensor *t);
/* Replace a reference by one to `t` (NULL clears). */
void put_ref(struct ew_tensor **slot, struct ew_tensor *t);

/* ---- nodes, for any number of lanes (node.c) ---- */

/*
 * Project the inputs of one layer: xin[3 h + which] is (B, W, T - from, D),
 * each with a `from` of its own, or NULL where nothing is new; equal pointers
 * share one norm and, when all are equal, one product. out[3 h + which] is
 * (B, W, rows, K), rotated: for q from max(from, head_start), for k and v from
 * `from`.
 */
void project_layer(struct ew_scope *s, const struct ew_model *m,
                   const struct geometry *g, int layer,
                   struct ew_tensor *const *xin, struct ew_tensor **out);

struct head_lanes {
    struct ew_tensor *q;       /* (B, W, T - start, K) or NULL: as before */
    struct ew_tensor *k;       /* (B, W, T, K) or NULL */
    struct ew_tensor *v;       /* (B, W, T, K) or NULL */
    struct ew_tensor *pattern; /* (B, W, T - start, T) or NULL */
    struct ew_tensor *z;       /* (B, W, T - start, K) */
};
/*
 * A head from whichever of q, k, v are new (k, v: (B, W, T - a, K), put
 * behind the base's unchanged positions). `base`, whose q and pattern start
 * at position `have`, may be NULL when all three are new and a is 0.
 */
void mix_head(struct ew_scope *s, const struct ew_model *m,
              const struct geometry *g, int layer, int h,
              const struct head *base, int64_t have, struct ew_tensor *q,
              struct ew_tensor *k, struct ew_tensor *v, struct head_lanes *out);

/* dst (B, W, T - start, D), contiguous, += sign * (what sender s sends),
 * given as z (B, W, T - have, K) for a head or y (.., D). */
void add_sent(struct ew_scope *s, const struct ew_model *m,
              const struct geometry *g, uint32_t sender,
              struct ew_tensor *sent, struct ew_tensor *dst, int64_t start,
              double sign);

/* What a sender sends in a run: z of a head, y of an MLP or embedding. */
struct ew_tensor *sent_in(const struct geometry *g, const struct run *run,
                          uint32_t sender);

/* q, k or v that a cut direct edge carries, as one lane; k and v from a. */
struct ew_tensor *pinned(struct ew_scope *s, const struct incremental *st,
                         int layer, int head, enum ew_qkv which);

/* ---- what a layer's heads send together (post_norm.c) ---- */

/*
 * u (B, T - start, D) of a layer's attention as receiver r reads it, before a
 * post-norm: b_O, the heads of `run` whose edges into r are kept, and what
 * the other edges carry. `kept` NULL: all heads of `run`, whatever r; then
 * `g` may be any run's geometry, else it is the state's.
 */
struct ew_tensor *attn_sum(struct ew_scope *s, const struct ew_engine *e,
                           const struct geometry *g, const struct run *run,
                           const struct ew_bitset *kept, uint32_t r, int layer,
                           int64_t start);
/* Do the layer's heads send to r? False from the first layer that does not. */
bool reads_layer(const struct ew_engine *e, uint32_t r, int layer);

/* ---- runs (evaluate.c) ---- */

void run_init(struct run *run, const struct geometry *g);
void run_finish(struct run *run, const struct geometry *g);
/*
 * Evaluate a circuit from scratch into `run` (initialised, empty, but for
 * in[]), with cut edges and pinned q, k, v from st->cut and unchanged
 * positions from st->cur; `kept` NULL: the plain model, which needs neither.
 */
bool run_evaluate(struct ew_engine *e, const struct geometry *g,
                  struct run *run, const struct ew_bitset *kept,
                  const struct ew_cancel *cancel, struct ew_err *err);

/* ---- what cut edges carry (carrier.c) ---- */

/* Fill st->cur (all edges kept) and st->cut. */
bool carriers_make(struct ew_engine *e, const struct ew_cancel *cancel,
                   struct ew_err *err);
/* z_s - c_s of a head (B, T - sent_start, K), y_s - c_s of others; kept for
 * the next time, as is: */
struct ew_tensor *sender_dz(struct ew_scope *s, struct ew_engine *e,
                            uint32_t sender);
/* y_s - c_s (B, T - sent_start, D). */
struct ew_tensor *sender_diff(struct ew_scope *s, struct ew_engine *e,
                              uint32_t sender);

/* ---- inputs without edges, under zero ablation (silent.c) ---- */

/* Fill st->mute, after the carriers. */
bool silent_open(struct ew_engine *e, struct ew_err *err);
/* The circuit without the edges that carry nothing: the same in all that it
 * computes. Owned by the caller. */
struct ew_bitset *silent_cut(const struct ew_engine *e,
                             const struct ew_bitset *kept);

/* ---- liveness (live.c) ---- */

/* Mark the receivers that a commit skipped, and all that hangs on them. */
void mark_stale(struct ew_engine *e, const struct ew_bitset *kept,
                const struct ew_bitset *skipped);
/* Is anything out of date that matters with these edges kept, these receivers
 * live and these senders tails (NULL: none)? */
bool needs_refresh(const struct ew_engine *e, const struct ew_bitset *kept,
                   const struct ew_bitset *live, const struct ew_bitset *tail);
/* The senders that no live receiver needs before `o`. */
void find_tails(const struct ew_graph *graph, const struct ew_bitset *kept,
                const struct ew_bitset *live, struct ew_bitset *tail);

/* ---- reading off (score.c) ---- */

/* Positions that scores need: geo->t and the two firsts; no tensor. */
bool readout_plan(const struct ew_engine *e, struct readout *out,
                  struct geometry *g, struct ew_err *err);
/* Targets, answer columns and, from st->cur, the clean log-probabilities. */
bool readout_make(struct ew_engine *e, struct readout *out,
                  const struct geometry *g, const struct run *clean,
                  const struct ew_cancel *cancel, struct ew_err *err);
void readout_finish(struct readout *out);
/*
 * Rows of x (B, W, P, D), whose first row is position `start`, at `row`
 * (prompt * T + position), lane after lane: (W n, D).
 */
struct ew_tensor *pick_rows(struct ew_scope *s, const struct geometry *g,
                            const struct ew_tensor *x, int64_t start,
                            const int64_t *row, int64_t n);
/* How many rows of logits to make at a time. */
int64_t readout_piece(const struct ew_engine *e);
/* Add the figures of one lane's logits (n, V), scored rows from `first`. */
void readout_sum(struct ew_scope *s, const struct readout *ro,
                 struct ew_tensor *logits, int64_t first, int64_t n,
                 unsigned want, struct ew_score *sum);
/* Sums over n rows -> means, of all but the logit difference. */
void readout_mean(struct ew_score *out, const struct ew_score *sum, int64_t n,
                  unsigned want);
/* First position that these figures need. */
int64_t readout_start(const struct readout *out, unsigned want);
/*
 * Scores of W lanes from the logits receiver's input x (B, W, T - start, D);
 * out (W), prompt_ld (W, B) or NULL.
 */
bool readout_score(struct ew_scope *s, const struct ew_engine *e,
                   const struct readout *ro, const struct geometry *g,
                   struct ew_tensor *x, int64_t start, unsigned want,
                   struct ew_score *out, double *prompt_ld);

/* All of them but the logit difference, which stays as it is in `out`. */
void readout_score_rows(struct ew_scope *s, const struct ew_engine *e,
                        const struct readout *ro, const struct geometry *g,
                        const struct ew_tensor *x, int64_t start,
                        unsigned want, struct ew_score *out);

/* ---- what the rerun engine has in common with this one (state.c) ---- */

bool incremental_open(struct ew_engine *e, const struct ew_cancel *cancel,
                      struct ew_err *err);
void incremental_close(struct ew_engine *e);
uint64_t incremental_memory(const struct ew_engine *e);
bool incremental_same(struct ew_engine *e, uint32_t sender);
bool incremental_attention(struct ew_engine *e, enum ew_run run, int layer,
                           int head, int prompt, float *out,
                           struct ew_err *err);

/* ---- the logits' input, written down when wanted (logits_input.c) ---- */

/* (B, T - o, D) of the current circuit; NULL once the scope failed. */
struct ew_tensor *logits_input(struct ew_scope *s, struct ew_engine *e);
/* From now on it has dz (B, T - o, K) of a head more. */
void logits_owe(struct ew_scope *s, struct ew_engine *e, int head,
                struct ew_tensor *dz);
/* That of any receiver. */
struct ew_tensor *receiver_input(struct ew_scope *s, struct ew_engine *e,
                                 uint32_t r);

/* ---- what is said next (top.c) ---- */

bool incremental_top(struct ew_engine *e, enum ew_run run, int prompt,
                     size_t k, struct ew_top *out, struct ew_err *err);

/* ---- scores from the head space (lowrank.c) ---- */

void low_rank_open(struct ew_engine *e);
void low_rank_close(struct incremental *st);
/* Bytes that it takes besides: u, p and a lane's u, and the maps so far. */
uint64_t low_rank_memory(const struct ew_engine *e);
/* The state changed otherwise than by low_rank_commit(). */
void low_rank_forget(struct incremental *st);

/* ---- overlays (overlay.c, commit.c) ---- */

struct overlay;
void overlay_destroy(struct overlay *ov); /* NULL is fine */
bool overlay_what_if(struct ew_engine *e, const struct ew_what_if *ifs,
                     size_t n, unsigned want, struct ew_score *out,
                     double *prompt_ld, const struct until *until,
                     const struct ew_cancel *cancel, struct ew_err *err);
/* As ew_engine_flip_at() (positions.c). */
bool overlay_flip_at(struct ew_engine *e, uint32_t edge,
                     const struct ew_bitset *const *where, size_t n,
                     unsigned want, struct ew_score *out, double *prompt_ld,
                     const struct ew_cancel *cancel, struct ew_err *err);
/* What-ifs in one batch. */
size_t overlay_lanes(const struct ew_engine *e);
bool overlay_commit(struct ew_engine *e, const struct ew_bitset *kept,
                    const uint32_t *flipped, size_t n,
                    const struct ew_cancel *cancel, struct ew_err *err);
/* Bring the state up to what was committed; from scratch where a commit has
 * failed half way. */
bool overlay_flush(struct ew_engine *e, struct ew_err *err);
/* Evaluate the current circuit from scratch: nothing is stale after. */
bool state_refresh(struct ew_engine *e, const struct ew_bitset *kept,
                   const struct ew_cancel *cancel, struct ew_err *err);

#endif
