/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Works through encode() alone, so that it holds for any tokenizer: a token
 * is found by what is added when the text grows by a word.
 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

int64_t text_bos(const struct ew_task_env *env)
{
    if (env->bos >= 0 || !env->tok) {
        return env->bos;
    }
    return ew_tokenizer_bos(env->tok);
}

bool text_encode(const struct ew_task_env *env, const char *text, bool bos,
                 struct list *out, struct ew_err *err)
{
    if (!env->tok) {
        return ew_fail(err, EW_ERR_INPUT,
                       "text needs a tokenizer, and the model has none");
    }
    int64_t *ids = NULL;
    size_t n = 0;
    if (!ew_tokenizer_encode(env->tok, text, strlen(text), &ids, &n, err)) {
        return false;
    }
    int64_t first = text_bos(env);
    if (bos && first < 0) {
        free(ids);
        return ew_fail(err, EW_ERR_INPUT,
                       "BOS is asked for, and the model has none");
    }
    if (bos && !(n > 0 && ids[0] == first)) {
        list_push(out, first);
    }
    for (size_t i = 0; i < n; i++) {
        list_push(out, ids[i]);
    }
    free(ids);
    return true;
}

static bool ordinary(const struct ew_task_env *env, int64_t id)
{
    return !ew_tokenizer_is_special(env->tok, id) && id < env->d_vocab;
}

/* The one token that the text gains by its last bytes; -1: not just one. */
static int64_t gained(const struct ew_task_env *env, const char *text,
                      size_t before)
{
    struct list all = {0};
    struct list head = {0};
    char *start = ew_xstrndup(text, before);
    int64_t id = -1;
    if (text_encode(env, text, false, &all, NULL) &&
        text_encode(env, start, false, &head, NULL) && all.n == head.n + 1 &&
        (head.n == 0 ||
         memcmp(all.at, head.at, head.n * sizeof(*head.at)) == 0)) {
        id = all.at[head.n];
    }
    free(start);
    list_finish(&all);
    list_finish(&head);
    return id;
}

/* The word, where blanks before it are no part of any token. */
static int64_t unspaced(const struct ew_task_env *env, const char *answer)
{
    struct list ids = {0};
    int64_t id = ew_tokenizer_find(env->tok, answer + strspn(answer, " "));
    bool same = text_encode(env, answer, false, &ids, NULL) && ids.n == 1 &&
                ids.at[0] == id;
    list_finish(&ids);
    return same ? id : -1;
}

int64_t text_answer(const struct ew_task_env *env, const char *prompt,
                    const char *answer)
{
    if (!env->tok || answer[0] == '\0') {
        return -1;
    }
    int64_t id = ew_tokenizer_find(env->tok, answer);
    if (id < 0 && prompt) {
        char *both = ew_xasprintf("%s%s", prompt, answer);
        id = gained(env, both, strlen(prompt));
        free(both);
    }
    if (id < 0 || !ordinary(env, id)) {
        id = unspaced(env, answer);
    }
    return id >= 0 && ordinary(env, id) ? id : -1;
}

int64_t text_position(const struct ew_task_env *env, const char *text,
                      size_t end, bool bos, const struct list *ids)
{
    struct list head = {0};
    char *start = ew_xstrndup(text, end);
    int64_t position = -1;
    if (text_encode(env, start, bos, &head, NULL) && head.n > 0 &&
        head.n <= ids->n &&
        memcmp(ids->at, head.at, head.n * sizeof(*head.at)) == 0) {
        position = (int64_t)head.n - 1;
    }
    free(start);
    list_finish(&head);
    return position;
}

void text_show(struct ew_buf *out, const struct ew_task_env *env,
               const struct list *ids, size_t from, size_t to)
{
    enum { MOST = 8 };
    for (size_t i = from; i < to && i < from + MOST; i++) {
        ew_buf_add(out, i > from ? "|" : "");
        ew_token_print(out, env->tok, ids->at[i]);
    }
    ew_buf_add(out, to > from + MOST ? "|.." : "");
}

void text_show_answer(struct ew_buf *out, const struct ew_task_env *env,
                      const char *prompt, const char *answer)
{
    struct list head = {0};
    struct list all = {0};
    char *both = ew_xasprintf("%s%s", prompt ? prompt : "", answer);
    if (text_encode(env, prompt ? prompt : "", false, &head, NULL) &&
        text_encode(env, both, false, &all, NULL)) {
        size_t from = 0;
        while (from < head.n && from < all.n &&
               head.at[from] == all.at[from]) {
            from++;
        }
        text_show(out, env, &all, from, all.n);
    }
    free(both);
    list_finish(&head);
    list_finish(&all);
}

void text_show_unequal(struct ew_buf *out, const struct ew_task_env *env,
                       const struct list *clean, const struct list *corrupt)
{
    size_t most = clean->n < corrupt->n ? clean->n : corrupt->n;
    size_t head = 0;
    size_t tail = 0;
    while (head < most && clean->at[head] == corrupt->at[head]) {
        head++;
    }
    while (tail < most - head && clean->at[clean->n - 1 - tail] ==
                                     corrupt->at[corrupt->n - 1 - tail]) {
        tail++;
    }
    ew_buf_printf(out,
                  "clean has %zu tokens and corrupt %zu: they must be equally "
                  "long; at token %zu, clean \"",
                  clean->n, corrupt->n, head);
    text_show(out, env, clean, head, clean->n - tail);
    ew_buf_add(out, "\", corrupt \"");
    text_show(out, env, corrupt, head, corrupt->n - tail);
    ew_buf_putc(out, '"');
}

/* Some vocabularies have runs of blanks as added tokens. */
static bool blank(const struct ew_task_env *env, int64_t id)
{
    struct ew_buf text = {0};
    ew_tokenizer_decode(env->tok, &id, 1, &text);
    bool is = text.len > 0 && id < env->d_vocab &&
              strspn(ew_buf_str(&text), " \t\n") == text.len;
    ew_buf_finish(&text);
    return is;
}

bool text_known(const struct ew_task_env *env, const char *text)
{
    struct list ids = {0};
    bool known = text_encode(env, text, false, &ids, NULL);
    for (size_t i = 0; known && i < ids.n; i++) {
        known = ordinary(env, ids.at[i]) || blank(env, ids.at[i]);
    }
    list_finish(&ids);
    return known;
}
