/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise task`: what a task's prompts are, as text or as the JSON file
 * that every command reads.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"

#include "open.h"

/* Tokens separated by bars; those that differ from `other` in brackets. */
static void print_prompt(const struct cli_open *open, const char *label,
                         const int64_t *ids, const int64_t *other, int n)
{
    struct ew_buf line = {0};
    for (int i = 0; i < n; i++) {
        bool differs = other && ids[i] != other[i];
        ew_buf_add(&line, i ? "|" : "");
        ew_buf_add(&line, differs ? "[" : "");
        ew_token_print(&line, open->tok, ids[i]);
        ew_buf_add(&line, differs ? "]" : "");
    }
    printf("  %-9s %s\n", label, ew_buf_str(&line));
    ew_buf_finish(&line);
}

static void print_answers(const struct cli_open *open, const char *label,
                          const int64_t *ids, size_t n)
{
    if (n) {
        print_prompt(open, label, ids, NULL, (int)n);
    }
}

static void print_task(const struct cli_open *open)
{
    const struct ew_task *t = open->task;
    printf("task        %s\n", t->name);
    printf("prompts     %zu, up to %zu tokens, %s\n", t->n_prompts, t->n_pos,
           t->bos ? t->bos : "BOS unknown");
    printf("corruption  %s\n", t->corruption ? t->corruption : "unknown");
    printf("metric      %s: %s\n", ew_metric_name(open->metric),
           ew_metric_formula(open->metric));
    printf("scored      %zu positions\n", t->n_scored);
    for (size_t i = 0; i < t->n_roles; i++) {
        printf("role        %s\n", t->roles[i].name);
    }
    for (size_t i = 0; i < t->n_prompts; i++) {
        const int64_t *clean = t->clean + i * t->n_pos;
        const int64_t *corrupt = t->corrupt + i * t->n_pos;
        printf("#%zu, read at position %d\n", i, t->answer_position[i]);
        print_prompt(open, "clean", clean, NULL, t->length[i]);
        print_prompt(open, "corrupted", corrupt, clean, t->length[i]);
        print_answers(open, "right", t->answers[i].right,
                      t->answers[i].n_right);
        print_answers(open, "wrong", t->answers[i].wrong,
                      t->answers[i].n_wrong);
    }
}

static bool print_json(const struct cli_open *open, struct ew_err *err)
{
    char *json = ew_task_to_json(open->task, open->tok);
    size_t len = strlen(json);
    bool newline = len > 0 && json[len - 1] == '\n';
    printf("%s%s", json, newline ? "" : "\n");
    free(json);
    return cli_flush(err);
}

static bool write_files(const struct cli_open *open,
                        const struct cli_opts *opts, struct ew_err *err)
{
    char *json = ew_task_to_json(open->task, open->tok);
    bool ok = true;
    for (size_t i = 0; ok && i < opts->output.n; i++) {
        ok = ew_file_write(opts->output.items[i].text, json, strlen(json), err);
    }
    free(json);
    return ok;
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    if (opts->list) {
        struct ew_buf text = {0};
        ew_task_list(&text);
        fputs(ew_buf_str(&text), stdout);
        ew_buf_finish(&text);
        return true;
    }
    struct cli_open open = {0};
    struct cli_opts model_opts = *opts;
    if (!model_opts.model) {
        model_opts.model = CLI_DEFAULT_MODEL; /* the argument is the task */
    }
    const char *spec = opts->args.n ? opts->args.items[0].text : opts->task;
    bool ok = cli_open_task(&open, spec, &model_opts, err);
    if (ok && opts->output.n) {
        ok = write_files(&open, opts, err);
    } else if (ok && opts->json) {
        ok = print_json(&open, err);
    } else if (ok) {
        print_task(&open);
    }
    cli_close(&open);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"model", 'm', CLI_STRING, CLI_AT(model), 0, "MODEL",
     "whose vocabulary and tokenizer (induction-2l)"},
    {"task", 't', CLI_STRING, CLI_AT(task), 0, "TASK",
     "the same as the argument"},
    {"metric", 0, CLI_STRING, CLI_AT(metric), 0, "M",
     "kl, kl-mib, logit-diff, prob-diff, docstring, nll or accuracy (the "
     "task's)"},
    {"output", 'o', CLI_LIST, CLI_AT(output), 0, "FILE",
     "write the task as a file"},
    {"list", 0, CLI_FLAG, CLI_AT(list), 0, NULL,
     "the built-in tasks and their options"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options, cli_options_typed, cli_options_bos, cli_options_common, NULL};

const struct cli_command cli_task = {
    .name = "task",
    .args = "[options] TASK",
    .help = "show or write the prompts of a task, built in or a file",
    .more = "In the listing, corrupted tokens that differ from the clean ones "
            "stand in brackets.",
    .max_args = 1,
    .options = options,
    .run = run,
};
