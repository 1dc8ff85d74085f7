/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON with messages that name the file and the field, over jansson.
 * A field path is what the user sees: "prompts[3].clean".
 */
#ifndef EW_JSON_H
#define EW_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "edgewise/err.h"

EW_BEGIN_DECLS

/*
 * Parse a file ("-" is standard input) or `len` bytes of memory called
 * `name` in messages. NULL on failure (EW_ERR_IO, EW_ERR_INPUT); the caller
 * releases with json_decref(). Duplicate keys: the last one counts. Integers
 * beyond 64 bits become reals; NaN and Infinity are refused.
 */
json_t *ew_json_load(const char *path, struct ew_err *err);
json_t *ew_json_parse(const char *text, size_t len, const char *name,
                      struct ew_err *err);

/*
 * Optional fields of `object`: absent or null leaves `*out` as it is; a
 * wrong kind fails with "<name>: <key>: expected an integer, found a string".
 */
EW_MUST_CHECK bool ew_json_int(const json_t *object, const char *name,
                               const char *key, int64_t *out,
                               struct ew_err *err);
EW_MUST_CHECK bool ew_json_real(const json_t *object, const char *name,
                                const char *key, double *out,
                                struct ew_err *err);
EW_MUST_CHECK bool ew_json_bool(const json_t *object, const char *name,
                                const char *key, bool *out,
                                struct ew_err *err);
/* Borrowed from `object`. */
EW_MUST_CHECK bool ew_json_str(const json_t *object, const char *name,
                               const char *key, const char **out,
                               struct ew_err *err);

/* "a string", "an object", ... for messages. */
const char *ew_json_kind(const json_t *value);

/* A string of bytes that need not be UTF-8: U+FFFD where they are not. */
json_t *ew_json_text(const char *bytes, size_t n);

EW_END_DECLS

#endif
