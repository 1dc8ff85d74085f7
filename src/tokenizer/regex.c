/* SPDX-License-Identifier: Apache-2.0 */
/* PCRE2 behind four functions, and the translation into its dialect. */
#include "regex.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "edgewise/mem.h"

struct regex {
    pcre2_code *code;
};

struct regex_match {
    pcre2_match_data *data;
};

/* Unicode's White_Space; PCRE2's own \s has U+180E too. */
#define SPACE_SET "\\p{Z}\\t-\\r\\x{85}"

/*
 * Copy a pattern with \s and \S spelled out. False for what PCRE2 would read
 * differently without a word: intersections and classes inside classes.
 */
static bool translate(struct ew_buf *out, const char *p, size_t len)
{
    bool in_class = false;
    for (size_t i = 0; i < len; i++) {
        char next = i + 1 < len ? p[i + 1] : '\0';
        if (p[i] == '\\') {
            if (next == 's') {
                ew_buf_add(out, in_class ? SPACE_SET : "[" SPACE_SET "]");
            } else if (next == 'S' && !in_class) {
                ew_buf_add(out, "[^" SPACE_SET "]");
            } else {
                ew_buf_add_n(out, p + i, i + 1 < len ? 2 : 1);
            }
            i++;
            continue;
        }
        if (in_class &&
            ((p[i] == '&' && next == '&') || (p[i] == '[' && next != ':'))) {
            return false;
        }
        ew_buf_putc(out, p[i]);
        if (p[i] == '[' && !in_class) {
            in_class = true;
            /* a ']' right after '[' or '[^' is a member */
            size_t first = next == '^' ? i + 2 : i + 1;
            if (first < len && p[first] == ']') {
                ew_buf_add_n(out, p + i + 1, first - i);
                i = first;
            }
        } else if (in_class && p[i] == '[') { /* [:name:] */
            const char *close = memmem(p + i, len - i, ":]", 2);
            if (!close) {
                return false;
            }
            ew_buf_add_n(out, p + i + 1, (size_t)(close + 1 - (p + i)));
            i = (size_t)(close + 1 - p);
        } else if (p[i] == ']') {
            in_class = false;
        }
    }
    return true;
}

struct regex *regex_compile(const char *pattern, size_t len, const char *name,
                            struct ew_err *err)
{
    struct ew_buf text = {0};
    struct regex *re = NULL;
    if (!translate(&text, pattern, len)) {
        ew_fail(err, EW_ERR_INPUT,
                "%s: sets inside character classes are not supported: %.*s",
                name, (int)(len < 200 ? len : 200), pattern);
        goto out;
    }
    int code = 0;
    PCRE2_SIZE where = 0;
    pcre2_code *compiled = pcre2_compile(
        (PCRE2_SPTR)ew_buf_str(&text), text.len,
        PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &code, &where, NULL);
    if (!compiled) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof(why));
        ew_fail(err, EW_ERR_INPUT, "%s: %s: %.*s", name, (const char *)why,
                (int)(len < 200 ? len : 200), pattern);
        goto out;
    }
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* faster where it can */
    re = ew_xcalloc(1, sizeof(*re));
    re->code = compiled;
out:
    ew_buf_finish(&text);
    return re;
}

void regex_destroy(struct regex *re)
{
    if (re) {
        pcre2_code_free(re->code);
        free(re);
    }
}

struct regex_match *regex_match_create(const struct regex *re)
{
    struct regex_match *m = ew_xcalloc(1, sizeof(*m));
    m->data = pcre2_match_data_create_from_pattern(re->code, NULL);
    return m;
}

void regex_match_destroy(struct regex_match *m)
{
    if (m) {
        pcre2_match_data_free(m->data);
        free(m);
    }
}

bool regex_next(const struct regex *re, struct regex_match *m, const char *text,
                size_t len, size_t from, size_t *start, size_t *end,
                struct ew_err *err)
{
    while (from < len) {
        int n = pcre2_match(re->code, (PCRE2_SPTR)text, len, from, 0, m->data,
                            NULL);
        if (n == PCRE2_ERROR_JIT_STACKLIMIT) { /* long matches: no JIT */
            n = pcre2_match(re->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_JIT,
                            m->data, NULL);
        }
        if (n == PCRE2_ERROR_NOMATCH) {
            return false;
        }
        if (n < 0) {
            PCRE2_UCHAR why[128];
            pcre2_get_error_message(n, why, sizeof(why));
            return ew_fail(err, EW_ERR_INPUT, "splitting the text: %s",
                           (const char *)why);
        }
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(m->data);
        *start = ends[0];
        *end = ends[1];
        if (*end > *start) {
            return true;
        }
        /* an empty match: look again behind the next character */
        from = *start + 1;
        while (from < len && ((unsigned char)text[from] & 0xc0) == 0x80) {
            from++;
        }
    }
    return false;
}
