/* SPDX-License-Identifier: Apache-2.0 */
/* Finding added tokens: candidates by first byte, the longest first. */
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "impl.h"

void added_put(struct added *a, const char *text, size_t len, int64_t id,
               struct added_token flags)
{
    if (len == 0) {
        return; /* would be found everywhere */
    }
    a->list = ew_grow(a->list, a->n, &a->cap, sizeof(*a->list));
    flags.text = (struct ew_buf){0};
    flags.id = id;
    ew_buf_add_n(&flags.text, text, len);
    a->list[a->n++] = flags;
}

static unsigned char first_byte(const struct added_token *t)
{
    return (unsigned char)t->text.data[0];
}

static int compare(const void *left, const void *right)
{
    const struct added_token *a = left;
    const struct added_token *b = right;
    if (first_byte(a) != first_byte(b)) {
        return first_byte(a) < first_byte(b) ? -1 : 1;
    }
    return a->text.len > b->text.len ? -1 : a->text.len < b->text.len;
}

void added_sort(struct added *a)
{
    if (a->n > 0) {
        qsort(a->list, a->n, sizeof(*a->list), compare);
    }
    size_t at = 0;
    for (int byte = 0; byte <= 256; byte++) {
        while (at < a->n && first_byte(&a->list[at]) < byte) {
            at++;
        }
        a->first[byte] = at;
    }
}

/* Does a word character end text[.. at)? */
static bool word_before(struct span text, size_t at)
{
    if (at == 0) {
        return false;
    }
    size_t from = at - 1;
    while (from > 0 && at - from < 4 &&
           ((unsigned char)text.ptr[from] & 0xc0) == 0x80) {
        from--;
    }
    int32_t code;
    return char_at(text.ptr + from, at - from, &code) == at - from &&
           code >= 0 && is_word(code);
}

static bool word_after(struct span text, size_t at)
{
    int32_t code = -1;
    if (at < text.len) {
        char_at(text.ptr + at, text.len - at, &code);
    }
    return code >= 0 && is_word(code);
}

/* Where the white space that ends text[from .. at) begins. */
static size_t spaces_before(struct span text, size_t from, size_t at)
{
    size_t start = from;
    while (from < at) {
        int32_t code;
        from += char_at(text.ptr + from, at - from, &code);
        if (!is_space(code)) {
            start = from;
        }
    }
    return start;
}

static size_t spaces_after(struct span text, size_t at)
{
    while (at < text.len) {
        int32_t code;
        size_t n = char_at(text.ptr + at, text.len - at, &code);
        if (!is_space(code)) {
            break;
        }
        at += n;
    }
    return at;
}

static const struct added_token *
match_at(const struct added *a, bool normalized, struct span text, size_t at)
{
    unsigned char byte = (unsigned char)text.ptr[at];
    for (size_t i = a->first[byte]; i < a->first[byte + 1]; i++) {
        const struct added_token *t = &a->list[i];
        if (t->normalized == normalized && t->text.len <= text.len - at &&
            memcmp(t->text.data, text.ptr + at, t->text.len) == 0) {
            return t;
        }
    }
    return NULL;
}

bool added_next(const struct added *a, bool normalized, struct span text,
                size_t from, size_t *start, size_t *end, int64_t *id)
{
    if (a->n == 0) {
        return false;
    }
    for (size_t at = from; at < text.len; at++) {
        const struct added_token *t = match_at(a, normalized, text, at);
        if (!t) {
            continue;
        }
        size_t stop = at + t->text.len;
        if (t->single_word &&
            (word_before(text, at) || word_after(text, stop))) {
            at = stop - 1;
            continue;
        }
        *start = t->lstrip ? spaces_before(text, from, at) : at;
        *end = t->rstrip ? spaces_after(text, stop) : stop;
        *id = t->id;
        return true;
    }
    return false;
}

void added_finish(struct added *a)
{
    for (size_t i = 0; i < a->n; i++) {
        ew_buf_finish(&a->list[i].text);
    }
    free(a->list);
    *a = (struct added){0};
}
