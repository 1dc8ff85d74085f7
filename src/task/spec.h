/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "name:key=value,key=value". Each option is asked for once by the task that
 * knows it; what nobody asked for is an error that lists what there is.
 */
#ifndef EW_TASK_SPEC_H
#define EW_TASK_SPEC_H

#include "edgewise/task.h"

struct spec_option {
    char *key;
    char *value;
    bool used;
};

struct spec {
    char *name; /* before the ':' */
    struct spec_option *options;
    size_t n;
    size_t cap;
    struct ew_buf known; /* keys that were asked for */
};

EW_MUST_CHECK bool spec_parse(struct spec *spec, const char *text,
                              struct ew_err *err);
void spec_finish(struct spec *spec);

/* The value, or NULL; counts as asked for. */
const char *spec_get(struct spec *spec, const char *key);
/* Absent leaves *out as it is. */
EW_MUST_CHECK bool spec_int(struct spec *spec, const char *key, int64_t min,
                            int64_t max, int64_t *out, struct ew_err *err);
/* yes/no, true/false, 1/0, on/off. */
EW_MUST_CHECK bool spec_bool(struct spec *spec, const char *key, bool *out,
                             struct ew_err *err);
/* One of `choices`, NULL-terminated; *out is its index. */
EW_MUST_CHECK bool spec_choice(struct spec *spec, const char *key,
                               const char *const *choices, int *out,
                               struct ew_err *err);
EW_MUST_CHECK bool spec_metric(struct spec *spec, enum ew_metric *metric,
                               bool *set, struct ew_err *err);
/* Fails when an option was not asked for. */
EW_MUST_CHECK bool spec_done(const struct spec *spec, struct ew_err *err);

#endif
