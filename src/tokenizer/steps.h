/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a tokenizer.json around its model: normalizers and
 * pre-tokenizers on the way in, decoders on the way out. All are functions
 * from pieces to pieces, named by the file's "type" and loaded by a table.
 */
#ifndef EW_TOKENIZER_STEPS_H
#define EW_TOKENIZER_STEPS_H

#include <jansson.h>

#include "pieces.h"
#include "regex.h"

struct step;

/* `out` is empty and already has at_start of `in`. */
typedef bool (*step_fn)(const struct step *step, const struct pieces *in,
                        struct pieces *out, struct ew_err *err);

struct step {
    step_fn apply;
    struct regex *regex; /* owned; NULL: `pattern` is literal */
    struct ew_buf pattern;
    struct ew_buf content;
    int mode; /* behaviour of a split, prepend scheme, ... */
    bool invert;
    int64_t start; /* how many to strip */
    int64_t stop;
};

struct steps {
    struct step *list;
    size_t n;
    size_t cap;
};

enum step_role { STEP_NORMALIZER, STEP_PRE_TOKENIZER, STEP_DECODER };

/* Where the JSON of a step stands, for messages. */
struct field {
    const char *file;
    const char *path; /* "pre_tokenizer.pretokenizers[1]" */
};

/* Append the steps of `json`, which may be null or a Sequence. */
EW_MUST_CHECK bool steps_load(struct steps *steps, enum step_role role,
                              const json_t *json, const char *file,
                              const char *path, struct ew_err *err);
/* Append a step that takes no JSON, by its name in the table. */
void steps_push(struct steps *steps, enum step_role role, const char *type);
struct step *steps_append(struct steps *steps, step_fn apply);
void steps_finish(struct steps *steps);
/* Replace `p` by the last step's result. */
EW_MUST_CHECK bool steps_run(const struct steps *steps, struct pieces *p,
                             struct ew_err *err);

/* ---- what the three tables hold ---- */

typedef bool (*step_load_fn)(struct step *step, const json_t *json,
                             const struct field *at, struct ew_err *err);

struct step_kind {
    const char *type;
    step_fn apply;
    step_load_fn load; /* NULL: no options */
};

extern const struct step_kind normalizer_kinds[];
extern const struct step_kind pre_tokenizer_kinds[];
extern const struct step_kind decoder_kinds[];

bool field_fail(const struct field *at, struct ew_err *err, const char *fmt,
                ...) EW_PRINTF(3, 4);
/* A string option, into `out`; absent is an error unless `fallback`. */
bool load_text(struct ew_buf *out, const json_t *json, const char *key,
               const char *fallback, const struct field *at,
               struct ew_err *err);
bool load_flag(bool *out, const json_t *json, const char *key, bool fallback,
               const struct field *at, struct ew_err *err);
/* "pattern": {"String": ..} or {"Regex": ..}. */
bool load_pattern(struct step *step, const json_t *json, const struct field *at,
                  struct ew_err *err);
/*
 * The next match of the step's pattern in text[from ..): false when there is
 * none, or, with `err` filled in, when the regex gave up. `match` may be NULL
 * for a literal pattern.
 */
bool step_next(const struct step *step, struct regex_match *match,
               struct span text, size_t from, size_t *start, size_t *end,
               struct ew_err *err);
/* Replace is both a normalizer and a decoder. */
bool apply_replace(const struct step *step, const struct pieces *in,
                   struct pieces *out, struct ew_err *err);
bool load_replace(struct step *step, const json_t *json, const struct field *at,
                  struct ew_err *err);

/* The byte-level alphabet of GPT-2: each byte as a printable character. */
int32_t byte_to_code(unsigned char byte);
/* -1 when the character stands for no byte. */
int code_to_byte(int32_t code);

/* GPT-2's own pattern, and Qwen2's, for folders without tokenizer.json. */
EW_MUST_CHECK bool push_split_regex(struct steps *steps, const char *pattern,
                                    struct ew_err *err);
extern const char gpt2_pattern[];
extern const char qwen2_pattern[];

#endif
