/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders: tokens in, one piece each, text out. at_start says that piece 0
 * begins a text; where it does not (a token shown alone) nothing is stripped
 * from its left.
 */
#include <stdlib.h>
#include <string.h>

#include "steps.h"

/*
 * GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes
 * for the characters from U+0100 on, in order.
 */
static bool stands_for_itself(int byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
           (byte >= 0xae && byte <= 0xff);
}

int32_t byte_to_code(unsigned char byte)
{
    if (stands_for_itself(byte)) {
        return byte;
    }
    if (byte <= 0x20) {
        return 0x100 + byte;
    }
    return byte == 0xad ? 0x143 : 0x121 + (byte - 0x7f);
}

int code_to_byte(int32_t code)
{
    if (code >= 0 && code < 0x100) {
        return stands_for_itself(code) ? (int)code : -1;
    }
    if (code >= 0x100 && code <= 0x120) {
        return (int)code - 0x100;
    }
    if (code >= 0x121 && code <= 0x142) {
        return (int)code - 0x121 + 0x7f;
    }
    return code == 0x143 ? 0xad : -1;
}

/* A token with a character outside the alphabet is text as it stands. */
static bool apply_byte_level(const struct step *step, const struct pieces *in,
                             struct pieces *out, struct ew_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        size_t before = out->text.len;
        bool known = true;
        for (size_t at = 0; known && at < p.len;) {
            int32_t code;
            at += char_at(p.ptr + at, p.len - at, &code);
            int byte = code_to_byte(code);
            known = byte >= 0;
            if (known) {
                ew_buf_putc(&out->text, (char)byte);
            }
        }
        if (!known) {
            out->text.len = before;
            ew_buf_add_n(&out->text, p.ptr, p.len);
        }
        pieces_end(out);
    }
    return true;
}

/* "<0x0A>" -> 10; -1 for anything else. */
static int byte_token(struct span p)
{
    static const char digits[] = "0123456789ABCDEF";
    if (p.len != 6 || memcmp(p.ptr, "<0x", 3) != 0 || p.ptr[5] != '>') {
        return -1;
    }
    const char *high = memchr(digits, p.ptr[3], 16);
    const char *low = memchr(digits, p.ptr[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

static bool apply_byte_fallback(const struct step *step,
                                const struct pieces *in, struct pieces *out,
                                struct ew_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        int byte = byte_token(p);
        char c = (char)byte;
        pieces_add(out, byte >= 0 ? &c : p.ptr, byte >= 0 ? 1 : p.len);
    }
    return true;
}

static bool apply_fuse(const struct step *step, const struct pieces *in,
                       struct pieces *out, struct ew_err *err)
{
    pieces_add(out, ew_buf_str(&in->text), in->text.len);
    return true;
}

static bool load_strip(struct step *step, const json_t *json,
                       const struct field *at, struct ew_err *err)
{
    const json_t *start = json_object_get(json, "start");
    const json_t *stop = json_object_get(json, "stop");
    if (!load_text(&step->pattern, json, "content", NULL, at, err)) {
        return false;
    }
    if (!json_is_integer(start) || !json_is_integer(stop) ||
        step->pattern.len == 0) {
        return field_fail(at, err, ": expected content, start and stop");
    }
    step->start = json_integer_value(start);
    step->stop = json_integer_value(stop);
    return true;
}

static bool apply_strip(const struct step *step, const struct pieces *in,
                        struct pieces *out, struct ew_err *err)
{
    const struct ew_buf *what = &step->pattern;
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        int64_t left = in->at_start ? step->start : 0;
        int64_t right = in->at_start ? step->stop : 0;
        for (; left > 0 && p.len >= what->len &&
               memcmp(p.ptr, what->data, what->len) == 0;
             left--) {
            p.ptr += what->len;
            p.len -= what->len;
        }
        for (; right > 0 && p.len >= what->len &&
               memcmp(p.ptr + p.len - what->len, what->data, what->len) == 0;
             right--) {
            p.len -= what->len;
        }
        pieces_add(out, p.ptr, p.len);
    }
    return true;
}

/* mode: the mark that begins a text was put there by the tokenizer */
static bool load_metaspace(struct step *step, const json_t *json,
                           const struct field *at, struct ew_err *err)
{
    struct ew_buf scheme = {0};
    bool prefix; /* older files */
    bool ok = load_text(&step->pattern, json, "replacement", "\xe2\x96\x81", at,
                        err) &&
              load_flag(&prefix, json, "add_prefix_space", true, at, err) &&
              load_text(&scheme, json, "prepend_scheme",
                        prefix ? "always" : "never", at, err);
    if (ok && step->pattern.len == 0) {
        ok = field_fail(at, err, ".replacement: empty");
    }
    step->mode = strcmp(ew_buf_str(&scheme), "never") != 0;
    ew_buf_finish(&scheme);
    return ok;
}

static bool apply_metaspace(const struct step *step, const struct pieces *in,
                            struct pieces *out, struct ew_err *err)
{
    const struct ew_buf *mark = &step->pattern;
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        for (size_t at = 0; at < p.len;) {
            if (p.len - at >= mark->len &&
                memcmp(p.ptr + at, mark->data, mark->len) == 0) {
                if (!(i == 0 && at == 0 && in->at_start && step->mode)) {
                    ew_buf_putc(&out->text, ' ');
                }
                at += mark->len;
            } else {
                ew_buf_putc(&out->text, p.ptr[at++]);
            }
        }
        pieces_end(out);
    }
    return true;
}

static bool load_suffix(struct step *step, const json_t *json,
                        const struct field *at, struct ew_err *err)
{
    if (!load_text(&step->pattern, json, "suffix", "</w>", at, err)) {
        return false;
    }
    return step->pattern.len > 0 || field_fail(at, err, ".suffix: empty");
}

/* Words end in a mark, which is a space except in the last token. */
static bool apply_suffix(const struct step *step, const struct pieces *in,
                         struct pieces *out, struct ew_err *err)
{
    const struct ew_buf *mark = &step->pattern;
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        bool ends = p.len >= mark->len && memcmp(p.ptr + p.len - mark->len,
                                                 mark->data, mark->len) == 0;
        ew_buf_add_n(&out->text, p.ptr, p.len - (ends ? mark->len : 0));
        if (ends && i + 1 < in->n) {
            ew_buf_putc(&out->text, ' ');
        }
        pieces_end(out);
    }
    return true;
}

const struct step_kind decoder_kinds[] = {
    {"BPEDecoder", apply_suffix, load_suffix},
    {"ByteFallback", apply_byte_fallback, NULL},
    {"ByteLevel", apply_byte_level, NULL},
    {"Fuse", apply_fuse, NULL},
    {"Metaspace", apply_metaspace, load_metaspace},
    {"Replace", apply_replace, load_replace},
    {"Strip", apply_strip, load_strip},
    {0},
};
