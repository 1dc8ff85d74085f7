/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-tokenizers. Each cuts its pieces at matches (of a pattern or of a kind
 * of character), and a behaviour says where the matches go.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "steps.h"

enum behavior { REMOVED, ISOLATED, MERGED_PREVIOUS, MERGED_NEXT, CONTIGUOUS };

struct stretch {
    size_t start;
    size_t end;
    bool match;
};

struct stretches { /* of one piece: they cover it */
    struct stretch *list;
    size_t n;
    size_t cap;
};

static void stretch_add(struct stretches *s, size_t start, size_t end,
                        bool match)
{
    if (end > start) {
        s->list = ew_grow(s->list, s->n, &s->cap, sizeof(*s->list));
        s->list[s->n++] = (struct stretch){start, end, match};
    }
}

static void emit(const struct stretches *s, enum behavior behavior,
                 const char *text, struct pieces *out)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct stretch *now = &s->list[i];
        const struct stretch *next = i + 1 < s->n ? now + 1 : NULL;
        size_t end = now->end;
        switch (behavior) {
        case REMOVED:
            if (now->match) {
                continue;
            }
            break;
        case ISOLATED:
            break;
        case MERGED_PREVIOUS:
        case MERGED_NEXT:
            if (next && now->match != next->match &&
                now->match == (behavior == MERGED_NEXT)) {
                end = next->end;
                i++;
            }
            break;
        case CONTIGUOUS:
            while (i + 1 < s->n && s->list[i + 1].match == now->match) {
                end = s->list[++i].end;
            }
            break;
        }
        pieces_add(out, text + now->start, end - now->start);
    }
}

/* Find the matches of step->regex or step->pattern in a piece. */
static bool find_pattern(const struct step *step, struct regex_match *match,
                         struct span p, struct stretches *s, struct ew_err *err)
{
    struct ew_err why = {0};
    size_t from = 0;
    size_t start;
    size_t end;
    s->n = 0;
    while (from < p.len &&
           step_next(step, match, p, from, &start, &end, &why)) {
        stretch_add(s, from, start, step->invert);
        stretch_add(s, start, end, !step->invert);
        from = end;
    }
    stretch_add(s, from, p.len, step->invert);
    return why.code == EW_OK || ew_fail(err, why.code, "%s", why.message);
}

static bool apply_split(const struct step *step, const struct pieces *in,
                        struct pieces *out, struct ew_err *err)
{
    struct stretches s = {0};
    bool ok = true;
    struct regex_match *match =
        step->regex ? regex_match_create(step->regex) : NULL;
    for (size_t i = 0; ok && i < in->n; i++) {
        struct span p = pieces_at(in, i);
        ok = find_pattern(step, match, p, &s, err);
        emit(&s, (enum behavior)step->mode, p.ptr, out);
    }
    regex_match_destroy(match);
    free(s.list);
    return ok;
}

/* Cut where characters are of a kind; each is a match of its own. */
static void split_kind(bool (*kind)(int32_t), enum behavior behavior,
                       const struct pieces *in, struct pieces *out)
{
    struct stretches s = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        size_t from = 0;
        s.n = 0;
        for (size_t at = 0; at < p.len;) {
            int32_t code;
            size_t n = char_at(p.ptr + at, p.len - at, &code);
            if (kind(code)) {
                stretch_add(&s, from, at, false);
                stretch_add(&s, at, at + n, true);
                from = at + n;
            }
            at += n;
        }
        stretch_add(&s, from, p.len, false);
        emit(&s, behavior, p.ptr, out);
    }
    free(s.list);
}

static bool apply_whitespace_split(const struct step *step,
                                   const struct pieces *in, struct pieces *out,
                                   struct ew_err *err)
{
    split_kind(is_space, REMOVED, in, out);
    return true;
}

static bool apply_digits(const struct step *step, const struct pieces *in,
                         struct pieces *out, struct ew_err *err)
{
    split_kind(is_numeric, (enum behavior)step->mode, in, out);
    return true;
}

static bool apply_punctuation(const struct step *step, const struct pieces *in,
                              struct pieces *out, struct ew_err *err)
{
    split_kind(is_punctuation, (enum behavior)step->mode, in, out);
    return true;
}

static bool apply_bert(const struct step *step, const struct pieces *in,
                       struct pieces *out, struct ew_err *err)
{
    struct pieces words = {0};
    split_kind(is_space, REMOVED, in, &words);
    split_kind(is_punctuation, ISOLATED, &words, out);
    pieces_finish(&words);
    return true;
}

/* Runs of word characters, and runs of what is neither word nor space. */
static bool apply_whitespace(const struct step *step, const struct pieces *in,
                             struct pieces *out, struct ew_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        size_t from = 0;
        int last = 0; /* 0 space, 1 word, 2 other */
        for (size_t at = 0; at < p.len;) {
            int32_t code;
            size_t n = char_at(p.ptr + at, p.len - at, &code);
            int now = is_space(code) ? 0 : is_word(code) ? 1 : 2;
            if (now != last) {
                if (last) {
                    pieces_add(out, p.ptr + from, at - from);
                }
                from = at;
                last = now;
            }
            at += n;
        }
        if (last) {
            pieces_add(out, p.ptr + from, p.len - from);
        }
    }
    return true;
}

static bool load_behavior(struct step *step, const json_t *json,
                          const char *fallback, const struct field *at,
                          struct ew_err *err)
{
    static const char *const names[] = {
        [REMOVED] = "Removed",
        [ISOLATED] = "Isolated",
        [MERGED_PREVIOUS] = "MergedWithPrevious",
        [MERGED_NEXT] = "MergedWithNext",
        [CONTIGUOUS] = "Contiguous",
    };
    struct ew_buf name = {0};
    bool ok = load_text(&name, json, "behavior", fallback, at, err);
    size_t i = 0;
    while (ok && i < EW_ARRAY_LEN(names) &&
           strcmp(names[i], ew_buf_str(&name)) != 0) {
        i++;
    }
    if (ok && i == EW_ARRAY_LEN(names)) {
        ok = field_fail(at, err, ".behavior: \"%s\" is not supported",
                        ew_buf_str(&name));
    }
    step->mode = (int)i;
    ew_buf_finish(&name);
    return ok;
}

static bool load_split(struct step *step, const json_t *json,
                       const struct field *at, struct ew_err *err)
{
    return load_pattern(step, json, at, err) &&
           load_behavior(step, json, NULL, at, err) &&
           load_flag(&step->invert, json, "invert", false, at, err);
}

static bool load_punctuation(struct step *step, const json_t *json,
                             const struct field *at, struct ew_err *err)
{
    return load_behavior(step, json, "Isolated", at, err);
}

static bool load_digits(struct step *step, const json_t *json,
                        const struct field *at, struct ew_err *err)
{
    bool each;
    bool ok = load_flag(&each, json, "individual_digits", false, at, err);
    step->mode = each ? ISOLATED : CONTIGUOUS;
    return ok;
}

static bool load_delimiter(struct step *step, const json_t *json,
                           const struct field *at, struct ew_err *err)
{
    step->mode = REMOVED;
    if (!load_text(&step->pattern, json, "delimiter", NULL, at, err)) {
        return false;
    }
    return step->pattern.len > 0 || field_fail(at, err, ".delimiter: empty");
}

/* ---- Metaspace: spaces become a visible mark that starts each word ---- */

enum prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

static bool load_metaspace(struct step *step, const json_t *json,
                           const struct field *at, struct ew_err *err)
{
    struct ew_buf scheme = {0};
    bool prefix; /* older files */
    bool split;
    bool ok = load_text(&step->pattern, json, "replacement", "\xe2\x96\x81", at,
                        err) &&
              load_flag(&prefix, json, "add_prefix_space", true, at, err) &&
              load_flag(&split, json, "split", true, at, err) &&
              load_text(&scheme, json, "prepend_scheme",
                        prefix ? "always" : "never", at, err);
    if (ok && step->pattern.len == 0) {
        ok = field_fail(at, err, ".replacement: empty");
    }
    if (ok) {
        const char *name = ew_buf_str(&scheme);
        step->mode = strcmp(name, "always") == 0  ? PREPEND_ALWAYS
                     : strcmp(name, "first") == 0 ? PREPEND_FIRST
                                                  : PREPEND_NEVER;
        step->start = split;
        if (step->mode == PREPEND_NEVER && strcmp(name, "never") != 0) {
            ok = field_fail(at, err, ".prepend_scheme: \"%s\" is not supported",
                            name);
        }
    }
    ew_buf_finish(&scheme);
    return ok;
}

static bool apply_metaspace(const struct step *step, const struct pieces *in,
                            struct pieces *out, struct ew_err *err)
{
    const struct ew_buf *mark = &step->pattern;
    struct ew_buf text = {0};
    struct stretches s = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        ew_buf_clear(&text);
        for (size_t at = 0; at < p.len; at++) {
            if (p.ptr[at] == ' ') {
                ew_buf_add_n(&text, mark->data, mark->len);
            } else {
                ew_buf_putc(&text, p.ptr[at]);
            }
        }
        bool marked = text.len >= mark->len &&
                      memcmp(text.data, mark->data, mark->len) == 0;
        if (!marked &&
            (step->mode == PREPEND_ALWAYS ||
             (step->mode == PREPEND_FIRST && i == 0 && in->at_start))) {
            struct ew_buf whole = {0};
            ew_buf_add_n(&whole, mark->data, mark->len);
            ew_buf_add_n(&whole, ew_buf_str(&text), text.len);
            ew_buf_finish(&text);
            text = whole;
        }
        struct span all = {.ptr = ew_buf_str(&text), .len = text.len};
        if (step->start) {
            if (!find_pattern(step, NULL, all, &s, err)) {
                break; /* not reached: the pattern is literal */
            }
            emit(&s, MERGED_NEXT, all.ptr, out);
        } else {
            pieces_add(out, all.ptr, all.len);
        }
    }
    ew_buf_finish(&text);
    free(s.list);
    return true;
}

/* ---- ByteLevel ---- */

const char gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|"
                            " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const char qwen2_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

bool push_split_regex(struct steps *steps, const char *pattern,
                      struct ew_err *err)
{
    struct step *step = steps_append(steps, apply_split);
    step->mode = ISOLATED;
    step->regex = regex_compile(pattern, strlen(pattern), "built-in", err);
    return step->regex != NULL;
}

/* start: add a leading space; regex: GPT-2's, unless use_regex is false. */
static bool load_byte_level(struct step *step, const json_t *json,
                            const struct field *at, struct ew_err *err)
{
    bool prefix;
    bool use_regex;
    if (!load_flag(&prefix, json, "add_prefix_space", true, at, err) ||
        !load_flag(&use_regex, json, "use_regex", true, at, err)) {
        return false;
    }
    step->start = prefix;
    step->mode = ISOLATED;
    if (use_regex) {
        step->regex = regex_compile(gpt2_pattern, sizeof(gpt2_pattern) - 1,
                                    at->file, err);
        return step->regex != NULL;
    }
    return true;
}

static void to_alphabet(const struct pieces *in, struct pieces *out)
{
    for (size_t i = 0; i < in->n; i++) {
        struct span p = pieces_at(in, i);
        for (size_t at = 0; at < p.len; at++) {
            add_code_point(&out->text, byte_to_code((unsigned char)p.ptr[at]));
        }
        pieces_end(out);
    }
}

static bool apply_byte_level(const struct step *step, const struct pieces *in,
                             struct pieces *out, struct ew_err *err)
{
    struct pieces spaced = {0};
    struct pieces cut = {0};
    bool ok = true;
    for (size_t i = 0; step->start && i < in->n; i++) {
        struct span p = pieces_at(in, i);
        int32_t first = 0;
        if (p.len > 0) {
            char_at(p.ptr, p.len, &first);
        }
        if (!is_space(first)) {
            ew_buf_putc(&spaced.text, ' ');
        }
        pieces_add(&spaced, p.ptr, p.len);
    }
    const struct pieces *from = step->start ? &spaced : in;
    if (step->regex) {
        ok = apply_split(step, from, &cut, err);
        from = &cut;
    }
    to_alphabet(from, out);
    pieces_finish(&spaced);
    pieces_finish(&cut);
    return ok;
}

const struct step_kind pre_tokenizer_kinds[] = {
    {"BertPreTokenizer", apply_bert, NULL},
    {"ByteLevel", apply_byte_level, load_byte_level},
    {"CharDelimiterSplit", apply_split, load_delimiter},
    {"Digits", apply_digits, load_digits},
    {"Metaspace", apply_metaspace, load_metaspace},
    {"Punctuation", apply_punctuation, load_punctuation},
    {"Split", apply_split, load_split},
    {"Whitespace", apply_whitespace, NULL},
    {"WhitespaceSplit", apply_whitespace_split, NULL},
    {0},
};
