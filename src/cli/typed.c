/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --clean, --corrupt, --answer and --wrong: pairs in the order of the command
 * line, each begun by a --clean.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "open.h"

/* Answers of one pair stand next to each other, for so do their options. */
struct typed {
    struct ew_typed_pair *pairs;
    size_t n;
    const char **right;
    size_t n_right;
    const char **wrong;
    size_t n_wrong;
};

static bool add_word(struct typed *t, const struct cli_word *word,
                     struct ew_err *err)
{
    if (strcmp(word->option, "clean") == 0) {
        t->pairs[t->n++] = (struct ew_typed_pair){
            .clean = word->text,
            .answers = t->right + t->n_right,
            .wrong = t->wrong + t->n_wrong,
        };
        return true;
    }
    if (t->n == 0) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--%s '%.60s': expected a --clean before it",
                       word->option, word->text);
    }
    struct ew_typed_pair *p = &t->pairs[t->n - 1];
    if (strcmp(word->option, "answer") == 0) {
        t->right[t->n_right++] = word->text;
        p->n_answers++;
    } else if (strcmp(word->option, "wrong") == 0) {
        t->wrong[t->n_wrong++] = word->text;
        p->n_wrong++;
    } else if (p->corrupt) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--corrupt '%.60s': the prompt '%.60s' has one already",
                       word->text, p->clean);
    } else {
        p->corrupt = word->text;
    }
    return true;
}

static bool all_have_corrupt(const struct typed *t, struct ew_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!t->pairs[i].corrupt) {
            return ew_fail(err, EW_ERR_USAGE,
                           "--clean '%.60s': expected a --corrupt after it",
                           t->pairs[i].clean);
        }
    }
    return true;
}

bool cli_typed_task(char **out, const struct cli_opts *opts, const char *spec,
                    struct ew_err *err)
{
    size_t n = opts->typed.n;
    *out = NULL;
    if (n == 0) {
        return true;
    }
    if (spec) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--%s beside the task '%.60s': expected one of them",
                       opts->typed.items[0].option, spec);
    }
    struct typed t = {
        .pairs = ew_xcalloc(n, sizeof(*t.pairs)),
        .right = ew_xcalloc(n, sizeof(*t.right)),
        .wrong = ew_xcalloc(n, sizeof(*t.wrong)),
    };
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        ok = add_word(&t, &opts->typed.items[i], err);
    }
    if (ok && all_have_corrupt(&t, err)) {
        *out = ew_task_typed(t.pairs, t.n, err);
    }
    free(t.pairs);
    free(t.right);
    free(t.wrong);
    return *out != NULL;
}
