/* SPDX-License-Identifier: Apache-2.0 */
/* Names and years in English sentences. */
#include "derive.h"

#include <ctype.h>
#include <string.h>

/* Letters, bytes of other scripts, and what stands inside names. */
static bool in_word(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80 || c == '-' ||
           c == '\'';
}

static bool is_name(const char *text, struct derived_word w)
{
    return w.len > 0 && (isupper((unsigned char)text[w.start]) ||
                         (unsigned char)text[w.start] >= 0x80);
}

static struct derived_word word_before(const char *text, size_t end)
{
    size_t start = end;
    while (start > 0 && in_word(text[start - 1])) {
        start--;
    }
    return (struct derived_word){start, end - start};
}

static struct derived_word word_at(const char *text, size_t start)
{
    size_t end = start;
    while (in_word(text[end])) {
        end++;
    }
    return (struct derived_word){start, end - start};
}

/* The same word again, from byte `from` on; of length 0 when there is none. */
static struct derived_word again(const char *text, struct derived_word w,
                                 size_t from)
{
    size_t n = strlen(text);
    while (from < n) {
        struct derived_word here = word_at(text, from);
        if (here.len == w.len &&
            memcmp(text + here.start, text + w.start, w.len) == 0) {
            return here;
        }
        from += here.len ? here.len : 1;
    }
    return (struct derived_word){0, 0};
}

bool derive_ioi(const char *text, struct derived_ioi *out)
{
    static const char joint[] = " and ";
    for (const char *and = strstr(text, joint); and;
             and = strstr(and+1, joint)) {
        size_t at = (size_t)(and-text);
        struct derived_word a = word_before(text, at);
        struct derived_word b = word_at(text, at + strlen(joint));
        if (!is_name(text, a) || !is_name(text, b)) {
            continue;
        }
        struct derived_word a2 = again(text, a, b.start + b.len);
        struct derived_word b2 = again(text, b, b.start + b.len);
        if ((a2.len > 0) == (b2.len > 0)) {
            continue; /* both or neither: which is asked for? */
        }
        *out = a2.len > 0 ? (struct derived_ioi){.io = b, .s1 = a, .s2 = a2}
                          : (struct derived_ioi){.io = a, .s1 = b, .s2 = b2};
        return true;
    }
    return false;
}

static bool digits(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return true;
}

bool derive_year(const char *text, int *yy, size_t *xx_end, size_t *yy_end)
{
    size_t n = strlen(text);
    if (n < 3 || !digits(text + n - 2, 2) ||
        isdigit((unsigned char)text[n - 3])) {
        return false;
    }
    for (size_t i = 0; i + 6 < n; i++) {
        bool alone = (i == 0 || !isdigit((unsigned char)text[i - 1])) &&
                     !isdigit((unsigned char)text[i + 4]);
        if (alone && digits(text + i, 4) &&
            memcmp(text + i, text + n - 2, 2) == 0) {
            *yy = (text[i + 2] - '0') * 10 + (text[i + 3] - '0');
            *xx_end = i + 2;
            *yy_end = i + 4;
            return true;
        }
    }
    return false;
}
