/* SPDX-License-Identifier: Apache-2.0 */
/* The table of built-in tasks, and opening a task by what was typed. */
#include "generate.h"

#include <string.h>

#include "edgewise/path.h"

static const struct generator *const generators[] = {
    &induction_task,        &ioi_acdc_task,     &ioi_mib_task,
    &gendered_pronoun_task, &greater_than_task, &docstring_task,
    &subject_verb_task,
};

enum { MAX_PROMPTS = 100000 };

bool common_options(struct spec *spec, struct common *common, int64_t default_n,
                    struct draft *draft, struct ew_err *err)
{
    common->n = default_n;
    common->seed = 0;
    if (!spec_int(spec, "n", 1, MAX_PROMPTS, &common->n, err) ||
        !spec_int(spec, "seed", 0, INT64_MAX, &common->seed, err) ||
        !spec_metric(spec, &draft->metric, &draft->metric_set, err)) {
        return false;
    }
    ew_rng_seed(&common->rng, (uint64_t)common->seed);
    return true;
}

static const struct generator *find(const char *name)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(generators); i++) {
        if (strcmp(generators[i]->name, name) == 0) {
            return generators[i];
        }
    }
    return NULL;
}

static bool unknown_task(const char *name, struct ew_err *err)
{
    struct ew_buf names = {0};
    for (size_t i = 0; i < EW_ARRAY_LEN(generators); i++) {
        ew_buf_printf(&names, "%s%s", i ? ", " : "", generators[i]->name);
    }
    ew_fail(err, EW_ERR_INPUT,
            "\"%.100s\" is neither a file nor a built-in task (%s)", name,
            ew_buf_str(&names));
    ew_buf_finish(&names);
    return false;
}

struct ew_task *ew_task_generate(const char *text,
                                 const struct ew_task_env *env,
                                 struct ew_err *err)
{
    struct spec spec = {0};
    struct draft draft = {.bos_id = -1};
    struct ew_task *task = NULL;
    const struct generator *g = NULL;
    if (spec_parse(&spec, text, err)) {
        g = find(spec.name);
        if (!g) {
            unknown_task(spec.name, err);
        }
    }
    if (g && g->generate(&spec, env, &draft, err)) {
        task = draft_task(&draft, g->name);
    }
    draft_finish(&draft);
    spec_finish(&spec);
    return task;
}

struct ew_task *ew_task_open(const char *spec_or_path,
                             const struct ew_task_env *env, struct ew_err *err)
{
    struct spec spec = {0};
    struct ew_err why;
    bool named = spec_parse(&spec, spec_or_path, &why);
    bool built_in = spec.name && find(spec.name);
    bool file = strcmp(spec_or_path, "-") == 0 || spec_or_path[0] == '{' ||
                ew_path_is_file(spec_or_path) ||
                (named && (strcmp(spec.name, "-") == 0 ||
                           ew_path_is_file(spec.name))) ||
                strchr(spec.name, '/') || *ew_path_ext(spec.name);
    spec_finish(&spec);
    if (built_in || !file) {
        return ew_task_generate(spec_or_path, env, err);
    }
    return ew_task_load(spec_or_path, env, err);
}

void ew_task_list(struct ew_buf *out)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(generators); i++) {
        ew_buf_printf(out, "%-16s %s; %s\n", generators[i]->name,
                      generators[i]->what, generators[i]->options);
    }
}
