/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An overlay: what W what-ifs change, next to a state that stays as it is.
 * Only what changed is there; everything else is NULL and read from the
 * state. Dropped, or one lane of it committed.
 */
#ifndef EW_ENGINE_OVERLAY_H
#define EW_ENGINE_OVERLAY_H

#include "state.h"

struct toggle {
    uint32_t receiver;
    uint32_t lane;
    uint32_t edge;
    uint32_t order; /* as given */
};

struct overlay {
    struct ew_engine *e;
    struct ew_scope *s;     /* owns every tensor here */
    struct geometry geo;    /* as the state's, but `o` by what is wanted */
    unsigned want;
    const struct until *until; /* NULL: all lanes are wanted */
    bool stopped;              /* by it */
    int64_t w;
    struct toggle *toggles; /* by receiver, then lane, then as given */
    size_t n_toggles;
    struct ew_tensor **x;      /* n_receivers: (B, W, T - receiver_start, D) */
    /* Receivers whose new input is not written down (thin.c), by receiver: */
    struct ew_tensor **raw;    /* (B, W, T - start, K) of q, k, v; or NULL */
    struct ew_tensor **scale;  /* as x, but (.., 1); of twins only */
    uint32_t *twin;            /* the first with the same new input */
    struct head_lanes *heads;  /* n_layers * n_heads */
    struct ew_tensor **mlp;    /* n_layers: (B, W, T - sent_start, D) */
    struct ew_tensor **change; /* n_senders: z' - z or y' - y, W lanes */
    struct ew_tensor **wide;   /* n_senders: the same D wide, of heads */
    /* n_layers: the changes of all heads, (B, W, P, H K); or NULL (layer.c) */
    struct ew_tensor **together;
    struct ew_bitset *changed; /* senders with a change */
    struct ew_bitset *before;  /* the circuit's edges when it was made */
    struct ew_bitset *kept;    /* the circuit's edges and any lane's */
    struct ew_bitset *live;    /* receivers that matter in some lane */
    struct ew_bitset *tail;    /* senders that are tails in all; or NULL */
    struct ew_bitset *unpinned; /* senders with a direct edge flipped unseen */
    /* W each, of receivers and of senders; NULL but for zero ablation. */
    struct ew_bitset **silent;
    struct ew_bitset **quiet;
    struct ew_tensor *silent_rows; /* NULL: all; else silent_where()'s */
    struct ew_bitset *skipped; /* receivers that changed and do not matter */
    struct ew_tensor *sum;     /* all changes in `summed`, D wide, or NULL */
    int64_t sum_start;
    struct ew_bitset *summed;  /* senders */
    struct ew_bitset *used;    /* senders whose change an input has taken */
    bool written;              /* x of the logits is wanted */
    bool low_rank;             /* the new logits may be had by maps */
    struct ew_tensor *u;       /* (R, V) of the only lane, or NULL; owned */
    struct ew_score *scores;   /* W, once scored; unknown past `until` */
};

/* Is the logits' input another than before? */
bool overlay_reaches_logits(const struct overlay *ov);
/* Asked of each scored lane in order: is nothing wanted after it? */
bool overlay_enough(struct overlay *ov, int64_t lane);

/* An overlay of n lanes in which nothing has been computed yet. */
struct overlay *overlay_create(struct ew_engine *e,
                               const struct ew_what_if *ifs, size_t n,
                               unsigned want);
enum {
    OVERLAY_TAILS = 1,  /* change these from `o` only */
    OVERLAY_WRITTEN = 2 /* write down the logits' new input */
};
/* The overlay of one batch, swept, after the state was brought up to date
 * where it has to be; NULL on failure. `how`: the above. */
struct overlay *overlay_evaluate(struct ew_engine *e,
                                 const struct ew_what_if *ifs, size_t n,
                                 unsigned want, unsigned how,
                                 const struct ew_cancel *cancel,
                                 struct ew_err *err);
/* Put (B, n, X) in the place of a slot's last n rows, which the slot's tensor
 * then no longer shares with others. */
void overlay_put_rows(struct ew_scope *s, struct ew_tensor **slot,
                      struct ew_tensor *t);
/* True, or false and the first error of its scope, which is empty then. */
bool overlay_take_error(struct overlay *ov, struct ew_err *err);
/* A sender sends `now` (B, W, ..) rather than `was` (B, ..). */
void overlay_note_change(struct overlay *ov, uint32_t sender,
                         struct ew_tensor *now, struct ew_tensor *was);

/* Which inputs are silent in which lane (silent.c), from the toggles. */
void silent_find(struct overlay *ov);
void silent_forget(struct overlay *ov);
/* In every lane what is in whole's only one, but at these rows alone: 1 in
 * (B, W, T, 1), 0 elsewhere. */
void silent_where(struct overlay *ov, const struct overlay *whole,
                  struct ew_tensor *rows);
/* Is r in any lane? */
bool silent_in_any(const struct overlay *ov, uint32_t r);
/* Put what cut edges carry into such lanes of r's input (B, W, T - start, D).
 */
void silent_put(struct overlay *ov, uint32_t r, struct ew_tensor *x,
                int64_t start);
/* The same of what r reads of a layer's attention, before its post-norm. */
void silent_put_attn(struct overlay *ov, uint32_t r, int layer,
                     struct ew_tensor *u, int64_t start);

/* What a changed sender's change is in the residual: (B, W, P, D); kept. */
struct ew_tensor *overlay_wide_change(struct overlay *ov, uint32_t sender);

/* The new input of receiver r, or NULL when it is as before (input.c). */
struct ew_tensor *overlay_input(struct overlay *ov, uint32_t r);

/* One lane's flip of s -> r, on dst (B, W, T - start, D): the sender's
 * difference, and its change. */
void overlay_apply_toggle(struct overlay *ov, const struct toggle *t,
                          struct ew_tensor *dst, int64_t start);
/* Add to x, the old input of r for every lane, what changed (post_norm.c). */
struct ew_tensor *post_norm_input(struct overlay *ov, uint32_t r,
                                  struct ew_tensor *x, int64_t start);

/*
 * May a layer's heads be swept as one, from the new inputs of its 3 H
 * receivers (layer.c)? No direct edge of theirs may be flipped.
 */
bool layer_applies(const struct overlay *ov, int layer,
                   struct ew_tensor *const *xin);
/* That, from the input x (B, W, T - a, D) of all of them. */
void layer_sweep(struct overlay *ov, int layer, const struct ew_tensor *x);

/* May r's new q, k or v be had without its input (thin.c)? */
bool thin_applies(const struct overlay *ov, uint32_t r);
/* That, as project_layer() gives it; `twin` is the first receiver with the
 * same new input, maybe r itself. */
struct ew_tensor *thin_project(struct overlay *ov, uint32_t r, uint32_t twin);
/* The same for the logits, whose scale is told then; false: write it. */
bool thin_logits(struct overlay *ov);
/* Write down one lane's input of r in the state; of its twin first. */
void thin_commit(struct overlay *ov, uint32_t r, int64_t lane);

/* May all lanes' change of the logits be told by maps (lowrank.c)? */
bool low_rank_applies(struct overlay *ov);
/*
 * Then: KL, NLL and accuracy of all lanes into ov->scores. Errors go to the
 * overlay's scope.
 */
void low_rank_score(struct overlay *ov);
/* Take a lane over, before the state itself does. */
void low_rank_commit(struct overlay *ov, int64_t lane);

/*
 * The final norm's denominators in all lanes, (B, W, T - o, 1), where one
 * head's change is all that is new for the logits; NULL: to be had otherwise
 * (lowrank_norm.c).
 */
struct ew_tensor *low_rank_scale(struct overlay *ov);
/* Take a lane over, before the state itself does. */
void low_rank_norm_commit(struct overlay *ov, int64_t lane);
/* Take its change of the logits' input over without writing it down; false
 * where more than one head has changed. */
bool low_rank_owe(struct overlay *ov, int64_t lane);
void low_rank_norm_forget(struct incremental *st);

/* All changed layers, up to the logits' input (sweep.c). */
bool overlay_sweep(struct overlay *ov);
/* The toggles of one receiver: [*first, end). */
size_t overlay_toggles_of(const struct overlay *ov, uint32_t r,
                          size_t *first);
/* Those of one lane. */
size_t overlay_lane_toggles(const struct overlay *ov, uint32_t r,
                            uint32_t lane, size_t *first);
/* How many toggles at r a lane has in front that are all that the lane
 * before it has there; 0: it starts from the state. */
size_t overlay_shared_toggles(const struct overlay *ov, uint32_t r,
                              uint32_t lane);

#endif
