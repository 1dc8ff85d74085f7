/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `edgewise run`: the model as it is, on prompts from the command line. Each
 * prompt runs by itself, so that results do not depend on its neighbours.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/forward.h"
#include "edgewise/json.h"
#include "edgewise/mem.h"

#include "open.h"

struct prompt {
    int64_t *ids; /* owned; grows with --generate */
    size_t n;
    size_t cap;
    size_t n_given; /* tokens that were not generated */
};

struct logits {
    float *values; /* (n_rows, n_vocab), owned */
    size_t n_rows;
    size_t n_vocab;
};

enum show { SHOW_TOP, SHOW_LAST, SHOW_ALL };

static void push(struct prompt *p, int64_t id)
{
    p->ids = ew_grow(p->ids, p->n, &p->cap, sizeof(*p->ids));
    p->ids[p->n++] = id;
}

static bool push_text(void *user, const char *piece, struct ew_err *err)
{
    char *end;
    errno = 0;
    long long id = strtoll(piece, &end, 10);
    if (end == piece || *end || errno) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--tokens: expected ids such as 0,5,7, found '%s'",
                       piece);
    }
    push(user, id);
    return true;
}

static bool encode(const struct cli_open *open, const struct cli_opts *opts,
                   const struct cli_word *word, struct prompt *out,
                   struct ew_err *err)
{
    bool is_text = strcmp(word->option, "text") == 0;
    if (is_text && !open->tok) {
        return ew_fail(err, EW_ERR_INPUT,
                       "--text: %s has no tokenizer; use --tokens", open->path);
    }
    int64_t bos = open->arch.bos_token;
    if (bos < 0 && open->tok) {
        bos = ew_tokenizer_bos(open->tok);
    }
    /* ids are taken as they are unless --bos says otherwise */
    if (is_text ? cli_wants_bos(open, opts) : opts->bos) {
        if (bos >= 0) {
            push(out, bos);
        } else if (opts->bos) {
            return ew_fail(err, EW_ERR_INPUT, "--bos: %s names no such token",
                           open->path);
        }
    }
    if (!is_text) {
        return cli_split(word->text, push_text, out, err);
    }
    int64_t *ids = NULL;
    size_t n = 0;
    bool ok = ew_tokenizer_encode(open->tok, word->text, strlen(word->text),
                                  &ids, &n, err);
    for (size_t i = 0; ok && i < n; i++) {
        push(out, ids[i]);
    }
    free(ids);
    return ok;
}

static bool check(const struct cli_open *open, const struct prompt *p,
                  int generate, struct ew_err *err)
{
    if (p->n == 0) {
        return ew_fail(err, EW_ERR_INPUT, "the prompt is empty");
    }
    if (p->n + (size_t)generate > (size_t)open->arch.n_ctx) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%zu tokens and %d more are over the model's context "
                       "of %d",
                       p->n, generate, open->arch.n_ctx);
    }
    for (size_t i = 0; i < p->n; i++) {
        if (p->ids[i] < 0 || p->ids[i] >= open->arch.d_vocab) {
            return ew_fail(err, EW_ERR_INPUT,
                           "token %lld at position %zu: the vocabulary is "
                           "0..%d",
                           (long long)p->ids[i], i, open->arch.d_vocab - 1);
        }
    }
    return true;
}

static bool forward(const struct cli_open *open, const struct prompt *p,
                    bool last_only, struct logits *out, struct ew_err *err)
{
    struct ew_scope *s = ew_scope_open(open->model->device);
    int64_t shape[] = {1, (int64_t)p->n};
    struct ew_tensor *logits =
        ew_forward(s, open->model, ew_from_i64(s, p->ids, 2, shape),
                   &(struct ew_forward_params){.last_only = last_only,
                                               .cancel = cli_cancel()});
    out->n_vocab = (size_t)ew_dim(logits, -1);
    out->n_rows = (size_t)ew_dim(logits, 1);
    size_t n = out->n_rows * out->n_vocab;
    out->values = ew_xrealloc(out->values, n ? n : 1, sizeof(float));
    ew_read_f32(s, logits, out->values, n);
    return ew_scope_finish(s, err);
}

static size_t argmax(const float *row, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (row[i] > row[best]) {
            best = i;
        }
    }
    return best;
}

static bool generate(const struct cli_open *open, struct prompt *p, int n,
                     struct ew_err *err)
{
    struct logits logits = {0};
    bool ok = true;
    for (int i = 0; ok && i < n; i++) {
        ok = forward(open, p, true, &logits, err);
        if (ok) {
            push(p, (int64_t)argmax(logits.values, logits.n_vocab));
        }
    }
    free(logits.values);
    return ok;
}

/* ---- printing ---- */

struct choice {
    size_t id;
    double logit;
    double prob;
};

/* The `n` largest of a row, largest first; fewer when it is shorter. */
static struct choice *largest(const float *row, size_t n_vocab, size_t *n)
{
    double top = row[argmax(row, n_vocab)];
    double sum = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        sum += exp(row[i] - top);
    }
    if (*n > n_vocab) {
        *n = n_vocab;
    }
    struct choice *best = ew_xcalloc(*n + 1, sizeof(*best));
    size_t have = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        if (have == *n && (*n == 0 || row[i] <= best[*n - 1].logit)) {
            continue;
        }
        size_t at = have < *n ? have++ : *n - 1;
        for (; at > 0 && best[at - 1].logit < row[i]; at--) {
            best[at] = best[at - 1];
        }
        best[at] = (struct choice){
            .id = i, .logit = row[i], .prob = exp(row[i] - top) / sum};
    }
    return best;
}

static char *token_text(const struct cli_open *open, int64_t id)
{
    struct ew_buf text = {0};
    ew_token_print(&text, open->tok, id);
    return ew_buf_steal(&text);
}

static json_t *choices_json(const struct cli_open *open, const float *row,
                            size_t n_vocab, size_t n)
{
    struct choice *best = largest(row, n_vocab, &n);
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        char *text = token_text(open, (int64_t)best[i].id);
        json_t *item = json_object();
        json_object_set_new(item, "token", json_integer((int)best[i].id));
        json_object_set_new(item, "text", ew_json_text(text, strlen(text)));
        json_object_set_new(item, "logit", cli_real(best[i].logit));
        json_object_set_new(item, "prob", cli_real(best[i].prob));
        json_array_append_new(array, item);
        free(text);
    }
    free(best);
    return array;
}

static json_t *row_json(const float *row, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(array, cli_real(row[i]));
    }
    return array;
}

static json_t *prompt_json(const struct cli_open *open, const struct prompt *p,
                           const struct logits *l, enum show show, int n_top)
{
    const float *last = l->values + (l->n_rows - 1) * l->n_vocab;
    json_t *item = json_object();
    json_object_set_new(item, "tokens", cli_ids(p->ids, p->n_given));
    if (show == SHOW_TOP) {
        json_object_set_new(
            item, "predictions",
            choices_json(open, last, l->n_vocab, (size_t)n_top));
    } else if (show == SHOW_LAST) {
        json_object_set_new(item, "logits", row_json(last, l->n_vocab));
    } else {
        json_t *rows = json_array();
        for (size_t t = 0; t < l->n_rows; t++) {
            json_array_append_new(
                rows, row_json(l->values + t * l->n_vocab, l->n_vocab));
        }
        json_object_set_new(item, "logits", rows);
    }
    if (p->n > p->n_given) {
        struct ew_buf text = {0};
        if (open->tok) {
            ew_tokenizer_decode(open->tok, p->ids + p->n_given,
                                p->n - p->n_given, &text);
        }
        json_object_set_new(item, "generated",
                            cli_ids(p->ids + p->n_given, p->n - p->n_given));
        json_object_set_new(item, "text",
                            open->tok
                                ? ew_json_text(ew_buf_str(&text), text.len)
                                : json_null());
        ew_buf_finish(&text);
    }
    return item;
}

static void print_tokens(const struct cli_open *open, const char *label,
                         const int64_t *ids, size_t n)
{
    printf("%s", label);
    for (size_t i = 0; i < n; i++) {
        char *text = token_text(open, ids[i]);
        printf("%s%s", i ? "|" : "", text);
        free(text);
    }
    putchar('\n');
}

static void print_row(const struct cli_open *open, const float *row,
                      size_t n_vocab, size_t n)
{
    struct cli_table table = {.n_columns = 4, .align = "rrrl"};
    struct choice *best = largest(row, n_vocab, &n);
    for (size_t i = 0; i < n; i++) {
        char *text = token_text(open, (int64_t)best[i].id);
        cli_table_addf(&table, "%6.2f%%", 100 * best[i].prob);
        cli_table_addf(&table, "%.4f", best[i].logit);
        cli_table_addf(&table, "%zu", best[i].id);
        cli_table_add(&table, text);
        free(text);
    }
    free(best);
    cli_table_print(&table, stdout);
}

static void print_prompt(const struct cli_open *open, const struct prompt *p,
                         const struct logits *l, enum show show, int n_top)
{
    print_tokens(open, "prompt: ", p->ids, p->n_given);
    for (size_t t = show == SHOW_ALL ? 0 : l->n_rows - 1; t < l->n_rows; t++) {
        if (show == SHOW_ALL) {
            printf("after position %zu:\n", t);
        }
        print_row(open, l->values + t * l->n_vocab, l->n_vocab, (size_t)n_top);
    }
    if (p->n > p->n_given) {
        print_tokens(open, "continues: ", p->ids + p->n_given,
                     p->n - p->n_given);
    }
}

static bool run_prompt(const struct cli_open *open, const struct cli_opts *opts,
                       const struct cli_word *word, enum show show,
                       struct cli_array *array, struct ew_err *err)
{
    struct prompt p = {0};
    struct logits logits = {0};
    int n_top = opts->top ? opts->top : 10;
    bool ok = encode(open, opts, word, &p, err) &&
              check(open, &p, opts->generate, err);
    p.n_given = p.n;
    ok = ok && forward(open, &p, show != SHOW_ALL, &logits, err) &&
         generate(open, &p, opts->generate, err);
    if (ok && opts->json) {
        cli_array_item(array, prompt_json(open, &p, &logits, show, n_top));
    } else if (ok) {
        print_prompt(open, &p, &logits, show, n_top);
    }
    free(logits.values);
    free(p.ids);
    return ok;
}

static bool parse_show(const char *text, enum show *show, struct ew_err *err)
{
    *show = SHOW_TOP;
    if (text && strcmp(text, "last") == 0) {
        *show = SHOW_LAST;
    } else if (text && strcmp(text, "all") == 0) {
        *show = SHOW_ALL;
    } else if (text) {
        return ew_fail(err, EW_ERR_USAGE,
                       "--logits: expected last or all, found '%s'", text);
    }
    return true;
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct cli_open open = {0};
    enum show show;
    if (!parse_show(opts->logits, &show, err)) {
        return false;
    }
    if (opts->prompts.n == 0) {
        return ew_fail(err, EW_ERR_USAGE, "give --text or --tokens");
    }
    struct cli_array array = {0};
    bool ok = cli_open_arch(&open, opts, err) &&
              cli_open_tokenizer(&open, err) &&
              cli_open_model(&open, opts, err);
    if (ok && opts->json) {
        cli_array_open(&array, stdout, 9);
    }
    for (size_t i = 0; ok && i < opts->prompts.n; i++) {
        ok =
            run_prompt(&open, opts, &opts->prompts.items[i], show, &array, err);
    }
    if (array.out) {
        cli_array_close(&array);
    }
    cli_close(&open);
    return ok;
}

// clang-format off
static const struct cli_option own_options[] = {
    {"tokens", 0, CLI_LIST, CLI_AT(prompts), 0, "IDS",
     "a prompt of token ids, such as 0,5,7; may be repeated"},
    {"text", 0, CLI_LIST, CLI_AT(prompts), 0, "TEXT",
     "a prompt of text; may be repeated"},
    {"top", 0, CLI_INT, CLI_AT(top), 0, "K",
     "how many predictions to show (10)"},
    {"logits", 0, CLI_STRING, CLI_AT(logits), 0, "WHICH",
     "last or all: with --json the logits of the last position or of every "
     "one, instead of the predictions"},
    {"generate", 0, CLI_INT, CLI_AT(generate), 0, "N",
     "continue greedily by N tokens"},
    {0},
};
// clang-format on

static const struct cli_option *const options[] = {
    own_options,       cli_options_bos,    cli_options_weights,
    cli_options_model, cli_options_common, NULL};

const struct cli_command cli_run = {
    .name = "run",
    .args = "[options] MODEL --text TEXT | --tokens IDS",
    .help = "run prompts: top predictions, logits, greedy continuation",
    .max_args = 1,
    .options = options,
    .run = run,
};
