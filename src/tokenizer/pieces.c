/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of pieces, and what Unicode says about a character. */
#include "pieces.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "edgewise/mem.h"

void pieces_clear(struct pieces *p)
{
    ew_buf_clear(&p->text);
    p->n = 0;
    p->at_start = false;
}

void pieces_finish(struct pieces *p)
{
    ew_buf_finish(&p->text);
    free(p->ends);
    *p = (struct pieces){0};
}

void pieces_end(struct pieces *p)
{
    p->ends = ew_grow(p->ends, p->n, &p->cap, sizeof(*p->ends));
    p->ends[p->n++] = p->text.len;
}

void pieces_add(struct pieces *p, const char *text, size_t len)
{
    ew_buf_add_n(&p->text, text, len);
    pieces_end(p);
}

struct span pieces_at(const struct pieces *p, size_t i)
{
    size_t start = i ? p->ends[i - 1] : 0;
    return (struct span){.ptr = ew_buf_str(&p->text) + start,
                         .len = p->ends[i] - start};
}

size_t char_at(const char *text, size_t len, int32_t *code)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                          (utf8proc_ssize_t)len, &c);
    if (code) {
        *code = n > 0 ? c : -1;
    }
    return n > 0 ? (size_t)n : 1;
}

void add_code_point(struct ew_buf *out, int32_t code)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(code, bytes);
    ew_buf_add_n(out, (const char *)bytes, (size_t)n);
}

bool is_space(int32_t code)
{
    if ((code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85) {
        return true;
    }
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return false;
    }
}

bool is_word(int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return code == 0x200c || code == 0x200d ||
               (code >= 0x24b6 && code <= 0x24e9);
    }
}

bool is_punctuation(int32_t code)
{
    if (code > 0x20 && code < 0x7f) {
        return !((code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
                 (code >= 'a' && code <= 'z'));
    }
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return true;
    default:
        return false;
    }
}

bool is_numeric(int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return false;
    }
}
