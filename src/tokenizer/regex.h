/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of tokenizer files, written for Oniguruma or Rust's regex crate,
 * run by PCRE2 with Unicode properties. Where the dialects differ in what
 * such files use, the pattern is rewritten or refused. Invalid UTF-8 in a
 * subject matches nothing.
 */
#ifndef EW_TOKENIZER_REGEX_H
#define EW_TOKENIZER_REGEX_H

#include "vocab.h"

struct regex;       /* opaque; immutable, shareable */
struct regex_match; /* opaque; one thread */

/* `name` is the file and field, for messages. NULL on failure. */
struct regex *regex_compile(const char *pattern, size_t len, const char *name,
                            struct ew_err *err);
void regex_destroy(struct regex *re); /* NULL is fine */

struct regex_match *regex_match_create(const struct regex *re);
void regex_match_destroy(struct regex_match *m); /* NULL is fine */
/*
 * The first match of at least one byte in text[from .. len). False when
 * there is none, and with `err` filled in when the limits were exceeded.
 */
bool regex_next(const struct regex *re, struct regex_match *m, const char *text,
                size_t len, size_t from, size_t *start, size_t *end,
                struct ew_err *err);

#endif
