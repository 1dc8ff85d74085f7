/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in tasks. A generator asks the spec for its options, then fills
 * in a draft; the same spec, seed and vocabulary give the same prompts on
 * every machine.
 */
#ifndef EW_TASK_GENERATE_H
#define EW_TASK_GENERATE_H

#include "edgewise/rng.h"

#include "draft.h"
#include "spec.h"

typedef bool (*generate_fn)(struct spec *spec, const struct ew_task_env *env,
                            struct draft *draft, struct ew_err *err);

struct generator {
    const char *name;
    const char *what;    /* one line */
    const char *options; /* "n=20 seed=0 ...", with the defaults */
    generate_fn generate;
};

/* Options that all share. */
struct common {
    int64_t n;
    int64_t seed;
    struct ew_rng rng;
};

/* n, seed and metric; a draft's own metric is the default. */
EW_MUST_CHECK bool common_options(struct spec *spec, struct common *common,
                                  int64_t default_n, struct draft *draft,
                                  struct ew_err *err);

/* One per file. */
extern const struct generator induction_task;
extern const struct generator ioi_acdc_task;
extern const struct generator ioi_mib_task;
extern const struct generator gendered_pronoun_task;
extern const struct generator greater_than_task;
extern const struct generator docstring_task;
extern const struct generator subject_verb_task;

#endif
