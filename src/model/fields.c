/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed fields of a config.json. Every message names the file and the field,
 * what was expected and what was found.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

int64_t ew_field_int(struct ew_fields *f, const char *key, int64_t min,
                     int64_t max, int64_t absent)
{
    int64_t value = absent;
    if (f->failed) {
        return absent == EW_REQUIRED ? min : absent;
    }
    if (!ew_json_int(f->object, f->file, key, &value, f->err)) {
        f->failed = true;
        return absent == EW_REQUIRED ? min : absent;
    }
    if (value == EW_REQUIRED) {
        ew_field_reject(f, key, "missing");
        return min;
    }
    if (value != absent && (value < min || value > max)) {
        ew_field_reject(f, key, "expected %lld to %lld, found %lld",
                        (long long)min, (long long)max, (long long)value);
    }
    return f->failed ? min : value;
}

double ew_field_positive(struct ew_fields *f, const char *key, double absent)
{
    double value = absent;
    if (f->failed) {
        return absent;
    }
    if (!ew_json_real(f->object, f->file, key, &value, f->err)) {
        f->failed = true;
        return absent;
    }
    bool given = ew_field_has(f, key);
    if (given && value != absent && !(value > 0 && value < 1e30)) {
        ew_field_reject(f, key, "expected a positive number, found %g", value);
        return absent;
    }
    return value;
}

bool ew_field_flag(struct ew_fields *f, const char *key, bool absent)
{
    bool value = absent;
    if (!f->failed && !ew_json_bool(f->object, f->file, key, &value, f->err)) {
        f->failed = true;
    }
    return value;
}

const char *ew_field_text(struct ew_fields *f, const char *key,
                          const char *absent)
{
    const char *value = absent;
    if (!f->failed && !ew_json_str(f->object, f->file, key, &value, f->err)) {
        f->failed = true;
    }
    return value;
}

bool ew_field_has(const struct ew_fields *f, const char *key)
{
    const json_t *value = json_object_get(f->object, key);
    return value && !json_is_null(value);
}

void ew_field_reject(struct ew_fields *f, const char *key, const char *fmt, ...)
{
    if (f->failed) {
        return;
    }
    char reason[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);
    ew_fail(f->err, EW_ERR_INPUT, "%s: %s: %s", f->file, key, reason);
    f->failed = true;
}

void ew_field_refuse(struct ew_fields *f, const char *key)
{
    if (ew_field_flag(f, key, false)) {
        ew_field_reject(f, key, "not supported");
    }
}

/* TransformerLens's name of a kind comes first. */
static const struct {
    const char *name;
    enum ew_act_kind act;
} acts[] = {
    {"relu", EW_ACT_RELU},
    {"gelu", EW_ACT_GELU},
    {"gelu_new", EW_ACT_GELU_NEW},
    {"gelu_fast", EW_ACT_GELU_NEW},
    {"gelu_pytorch_tanh", EW_ACT_GELU_NEW},
    {"silu", EW_ACT_SILU},
    {"swish", EW_ACT_SILU},
    {"solu", EW_ACT_SOLU},
    {"solu_ln", EW_ACT_SOLU_LN},
};

const char *ew_act_name(enum ew_act_kind act)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(acts); i++) {
        if (acts[i].act == act) {
            return acts[i].name;
        }
    }
    return NULL;
}

enum ew_act_kind ew_field_act(struct ew_fields *f, const char *key)
{
    const char *name = ew_field_text(f, key, NULL);
    for (size_t i = 0; name && i < EW_ARRAY_LEN(acts); i++) {
        if (strcmp(name, acts[i].name) == 0) {
            return acts[i].act;
        }
    }
    if (name) {
        ew_field_reject(f, key,
                        "expected relu, gelu, gelu_new, silu, solu or "
                        "solu_ln, found '%s'",
                        name);
    } else {
        ew_field_reject(f, key, "missing");
    }
    return EW_ACT_NONE;
}
