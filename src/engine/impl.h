/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine is behind the public interface: a table of the operations
 * that differ between the incremental engine, the full rerun and the toy, and
 * what they have in common.
 */
#ifndef EW_ENGINE_IMPL_H
#define EW_ENGINE_IMPL_H

#include "edgewise/engine.h"

/* What the operations of one kind of engine are given. */
struct ew_engine {
    const struct ew_engine_ops *ops;
    const struct ew_model *model; /* borrowed; NULL for the toy */
    const struct ew_task *task;   /* borrowed */
    const struct ew_graph *graph; /* borrowed */
    struct ew_engine_params params;
    struct ew_bitset *kept; /* the current circuit; owned */
    void *state;            /* the operations' own */
};

/* After a what-if's scores: are those of the rest not wanted any more? */
struct until {
    bool (*enough)(void *data, struct ew_score *score);
    void *data;
};

struct ew_engine_ops {
    const char *name;
    bool (*open)(struct ew_engine *e, const struct ew_cancel *cancel,
                 struct ew_err *err);
    void (*close)(struct ew_engine *e);
    uint64_t (*memory)(const struct ew_engine *e);
    /* Scores of any circuit, from scratch, state untouched. */
    bool (*score_of)(struct ew_engine *e, const struct ew_bitset *kept,
                     unsigned want, struct ew_score *out, double *prompt_ld,
                     const struct ew_cancel *cancel, struct ew_err *err);
    /* Scores of the current circuit. */
    bool (*score)(struct ew_engine *e, unsigned want, struct ew_score *out,
                  double *prompt_ld, const struct ew_cancel *cancel,
                  struct ew_err *err);
    /* In order; `until`, which may be NULL, is asked after each. */
    bool (*what_if)(struct ew_engine *e, const struct ew_what_if *ifs,
                    size_t n, unsigned want, struct ew_score *out,
                    double *prompt_ld, const struct until *until,
                    const struct ew_cancel *cancel, struct ew_err *err);
    size_t (*batch)(const struct ew_engine *e);
    /* Bring the state from e->kept to `kept`, which differs by the n flipped
     * edges; e->kept is changed by the caller afterwards. */
    bool (*commit)(struct ew_engine *e, const struct ew_bitset *kept,
                   const uint32_t *flipped, size_t n,
                   const struct ew_cancel *cancel, struct ew_err *err);
    bool (*same)(struct ew_engine *e, uint32_t sender);
    bool (*attention)(struct ew_engine *e, enum ew_run run, int layer,
                      int head, int prompt, float *out, struct ew_err *err);
    /* NULL: not at single positions. */
    bool (*flip_at)(struct ew_engine *e, uint32_t edge,
                    const struct ew_bitset *const *where, size_t n,
                    unsigned want, struct ew_score *out, double *prompt_ld,
                    const struct ew_cancel *cancel, struct ew_err *err);
    /* NULL: it cannot be told. */
    bool (*top)(struct ew_engine *e, enum ew_run run, int prompt, size_t k,
                struct ew_top *out, struct ew_err *err);
};

extern const struct ew_engine_ops ew_engine_incremental_ops;
extern const struct ew_engine_ops ew_engine_rerun_ops;
extern const struct ew_engine_ops ew_engine_toy_ops;

#endif
