/* SPDX-License-Identifier: Apache-2.0 */
/* `edgewise hooks`: a run with cache, and what every activation is like. */
#include <stdlib.h>

#include "edgewise/forward.h"

#include "open.h"

static void print_json(const struct ew_hook_stat *stats, size_t n)
{
    struct cli_array array;
    cli_array_open(&array, stdout, 15);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_object();
        json_object_set_new(item, "name", json_string(stats[i].name));
        json_object_set_new(item, "shape",
                            cli_shape(stats[i].shape, stats[i].ndim));
        json_object_set_new(item, "mean", cli_real(stats[i].mean));
        json_object_set_new(item, "std", cli_real(stats[i].std));
        json_object_set_new(item, "l2", cli_real(stats[i].l2));
        cli_array_item(&array, item);
    }
    cli_array_close(&array);
}

static void print_text(const struct ew_hook_stat *stats, size_t n)
{
    struct cli_table table = {.n_columns = 5, .align = "llrrr"};
    cli_table_add(&table, "hook");
    cli_table_add(&table, "shape");
    cli_table_add(&table, "mean");
    cli_table_add(&table, "std");
    cli_table_add(&table, "l2");
    for (size_t i = 0; i < n; i++) {
        struct ew_buf shape = {0};
        cli_print_shape(&shape, stats[i].shape, stats[i].ndim);
        cli_table_add(&table, stats[i].name);
        cli_table_add(&table, ew_buf_str(&shape));
        cli_table_add_real(&table, stats[i].mean);
        cli_table_add_real(&table, stats[i].std);
        cli_table_add_real(&table, stats[i].l2);
        ew_buf_finish(&shape);
    }
    cli_table_print(&table, stdout);
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct cli_open open = {0};
    struct ew_hook_stat *stats = NULL;
    size_t n = 0;
    bool ok = cli_open_task(&open, opts->task, opts, err) &&
              cli_open_model(&open, opts, err);
    if (ok) {
        const struct ew_task *task = open.task;
        const int64_t *ids = opts->corrupted ? task->corrupt : task->clean;
        ok = ew_hooks_run(open.model, ids, (int64_t)task->n_prompts,
                          (int64_t)task->n_pos, &stats, &n, cli_cancel(), err);
    }
    if (ok && opts->json) {
        print_json(stats, n);
    } else if (ok) {
        print_text(stats, n);
    }
    free(stats);
    cli_close(&open);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"task", 't', CLI_STRING, CLI_AT(task), 0, "TASK",
     "whose prompts to run: a file or a built-in task (induction)"},
    {"corrupted", 0, CLI_FLAG, CLI_AT(corrupted), 0, NULL,
     "run the corrupted prompts instead of the clean ones"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options,         cli_options_typed, cli_options_bos,
    cli_options_weights, cli_options_model, cli_options_common,
    NULL};

const struct cli_command cli_hooks = {
    .name = "hooks",
    .args = "[options] MODEL -t TASK",
    .help = "run with cache: hook names, shapes and statistics",
    .more = "Names, order and shapes are those of TransformerLens's "
            "run_with_cache with use_attn_result, use_split_qkv_input and "
            "use_hook_mlp_in. std is the unbiased one. Masked attention "
            "scores count as 0.",
    .max_args = 1,
    .options = options,
    .run = run,
};
