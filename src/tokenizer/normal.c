/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizers: one piece in, one piece out. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "steps.h"

/* The form of a run of valid UTF-8; left as it is when that fails. */
static void add_form(struct ew_buf *out, const char *text, size_t len,
                     utf8proc_option_t options)
{
    utf8proc_uint8_t *result = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text,
                                      (utf8proc_ssize_t)len, &result, options);
    if (n >= 0) {
        ew_buf_add_n(out, (const char *)result, (size_t)n);
    } else {
        ew_buf_add_n(out, text, len);
    }
    free(result);
}

/* Length of the ASCII that no form changes at the start of a text. */
static size_t ascii_run(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && (unsigned char)text[n] < 0x80) {
        n++;
    }
    return n;
}

static bool apply_form(const struct pieces *in, struct pieces *out,
                       utf8proc_option_t options)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        size_t from = ascii_run(p.ptr, p.len);
        if (from == p.len) {
            pieces_add(out, p.ptr, p.len);
            continue;
        }
        size_t at = from = 0;
        while (at < p.len) { /* stretches between invalid bytes */
            int32_t code;
            size_t n = char_at(p.ptr + at, p.len - at, &code);
            if (code < 0) {
                add_form(&out->text, p.ptr + from, at - from, options);
                ew_buf_add_n(&out->text, p.ptr + at, n);
                from = at + n;
            }
            at += n;
        }
        add_form(&out->text, p.ptr + from, at - from, options);
        pieces_end(out);
    }
    return true;
}

static bool apply_nfc(const struct step *step, const struct pieces *in,
                      struct pieces *out, struct ew_err *err)
{
    return apply_form(in, out, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

static bool apply_nfd(const struct step *step, const struct pieces *in,
                      struct pieces *out, struct ew_err *err)
{
    return apply_form(in, out, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
}

static bool apply_nfkc(const struct step *step, const struct pieces *in,
                       struct pieces *out, struct ew_err *err)
{
    return apply_form(in, out,
                      UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
}

static bool apply_nfkd(const struct step *step, const struct pieces *in,
                       struct pieces *out, struct ew_err *err)
{
    return apply_form(in, out,
                      UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
}

static bool apply_lowercase(const struct step *step, const struct pieces *in,
                            struct pieces *out, struct ew_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        for (size_t at = 0; at < p.len;) {
            int32_t code;
            size_t n = char_at(p.ptr + at, p.len - at, &code);
            if (code == 0x130) { /* the one whose lower case is two */
                ew_buf_add(&out->text, "i\xcc\x87");
            } else if (code >= 0) {
                add_code_point(&out->text, utf8proc_tolower(code));
            } else {
                ew_buf_add_n(&out->text, p.ptr + at, n);
            }
            at += n;
        }
        pieces_end(out);
    }
    return true;
}

static bool load_prepend(struct step *step, const json_t *json,
                         const struct field *at, struct ew_err *err)
{
    return load_text(&step->content, json, "prepend", NULL, at, err);
}

static bool apply_prepend(const struct step *step, const struct pieces *in,
                          struct pieces *out, struct ew_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        if (p.len > 0) {
            ew_buf_add_n(&out->text, ew_buf_str(&step->content),
                         step->content.len);
        }
        pieces_add(out, p.ptr, p.len);
    }
    return true;
}

static bool load_strip(struct step *step, const json_t *json,
                       const struct field *at, struct ew_err *err)
{
    bool left;
    bool right;
    if (!load_flag(&left, json, "strip_left", true, at, err) ||
        !load_flag(&right, json, "strip_right", true, at, err)) {
        return false;
    }
    step->start = left;
    step->stop = right;
    return true;
}

static bool apply_strip(const struct step *step, const struct pieces *in,
                        struct pieces *out, struct ew_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        size_t from = 0;
        size_t last = 0; /* end of the last character that is no space */
        for (size_t at = 0; at < p.len;) {
            int32_t code;
            size_t n = char_at(p.ptr + at, p.len - at, &code);
            if (!is_space(code)) {
                last = at + n;
            } else if (step->start && from == at) {
                from = at + n;
            }
            at += n;
        }
        size_t to = step->stop && last >= from ? last : p.len;
        pieces_add(out, p.ptr + from, to - from);
    }
    return true;
}

static bool apply_strip_accents(const struct step *step,
                                const struct pieces *in, struct pieces *out,
                                struct ew_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        for (size_t at = 0; at < p.len;) {
            int32_t code;
            size_t n = char_at(p.ptr + at, p.len - at, &code);
            utf8proc_category_t kind = utf8proc_category(code);
            if (code < 0 ||
                (kind != UTF8PROC_CATEGORY_MN && kind != UTF8PROC_CATEGORY_MC &&
                 kind != UTF8PROC_CATEGORY_ME)) {
                ew_buf_add_n(&out->text, p.ptr + at, n);
            }
            at += n;
        }
        pieces_end(out);
    }
    return true;
}

const struct step_kind normalizer_kinds[] = {
    {"Lowercase", apply_lowercase, NULL},
    {"NFC", apply_nfc, NULL},
    {"NFD", apply_nfd, NULL},
    {"NFKC", apply_nfkc, NULL},
    {"NFKD", apply_nfkd, NULL},
    {"Prepend", apply_prepend, load_prepend},
    {"Replace", apply_replace, load_replace},
    {"Strip", apply_strip, load_strip},
    {"StripAccents", apply_strip_accents, NULL},
    {0},
};
