/* SPDX-License-Identifier: Apache-2.0 */
/* Options after a task's name. */
#include "spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

bool spec_parse(struct spec *spec, const char *text, struct ew_err *err)
{
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    spec->name = ew_xstrndup(text, len);
    const char *at = colon ? colon + 1 : text + len;
    while (*at) {
        size_t n = strcspn(at, ",");
        const char *equals = memchr(at, '=', n);
        if (!equals || equals == at) {
            return ew_fail(err, EW_ERR_USAGE,
                           "%s: \"%.*s\": expected key=value", spec->name,
                           (int)(n < 60 ? n : 60), at);
        }
        spec->options =
            ew_grow(spec->options, spec->n, &spec->cap, sizeof(*spec->options));
        spec->options[spec->n++] = (struct spec_option){
            .key = ew_xstrndup(at, (size_t)(equals - at)),
            .value = ew_xstrndup(equals + 1, n - (size_t)(equals - at) - 1),
        };
        at += n;
        at += *at == ',';
    }
    return true;
}

void spec_finish(struct spec *spec)
{
    for (size_t i = 0; i < spec->n; i++) {
        free(spec->options[i].key);
        free(spec->options[i].value);
    }
    free(spec->options);
    free(spec->name);
    ew_buf_finish(&spec->known);
    *spec = (struct spec){0};
}

/* Is the key among those that were asked for, "n, seed"? */
static bool is_known(const struct spec *spec, const char *key)
{
    size_t len = strlen(key);
    const char *at = ew_buf_str(&spec->known);
    while (*at) {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, key, len) == 0) {
            return true;
        }
        at += n;
        at += strspn(at, ", ");
    }
    return false;
}

const char *spec_get(struct spec *spec, const char *key)
{
    const char *value = NULL;
    for (size_t i = 0; i < spec->n; i++) {
        if (strcmp(spec->options[i].key, key) == 0) {
            spec->options[i].used = true;
            value = spec->options[i].value; /* the last one counts */
        }
    }
    if (!is_known(spec, key)) {
        ew_buf_printf(&spec->known, "%s%s", spec->known.len ? ", " : "", key);
    }
    return value;
}

bool spec_int(struct spec *spec, const char *key, int64_t min, int64_t max,
              int64_t *out, struct ew_err *err)
{
    const char *text = spec_get(spec, key);
    if (!text) {
        return true;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        return ew_fail(err, EW_ERR_USAGE,
                       "%s: %s=%.60s: expected a number from %lld to %lld",
                       spec->name, key, text, (long long)min, (long long)max);
    }
    *out = value;
    return true;
}

bool spec_bool(struct spec *spec, const char *key, bool *out,
               struct ew_err *err)
{
    static const char *const choices[] = {"no", "yes", "false", "true", "0",
                                          "1",  "off", "on",    NULL};
    int choice = *out;
    if (!spec_choice(spec, key, choices, &choice, err)) {
        return false;
    }
    *out = choice % 2 == 1;
    return true;
}

bool spec_choice(struct spec *spec, const char *key, const char *const *choices,
                 int *out, struct ew_err *err)
{
    const char *text = spec_get(spec, key);
    if (!text) {
        return true;
    }
    struct ew_buf names = {0};
    for (int i = 0; choices[i]; i++) {
        if (strcmp(choices[i], text) == 0) {
            *out = i;
            ew_buf_finish(&names);
            return true;
        }
        ew_buf_printf(&names, "%s%s", i ? ", " : "", choices[i]);
    }
    ew_fail(err, EW_ERR_USAGE, "%s: %s=%.60s: expected one of %s", spec->name,
            key, text, ew_buf_str(&names));
    ew_buf_finish(&names);
    return false;
}

bool spec_metric(struct spec *spec, enum ew_metric *metric, bool *set,
                 struct ew_err *err)
{
    const char *text = spec_get(spec, "metric");
    if (!text) {
        return true;
    }
    *set = true;
    return ew_metric_parse(text, metric, err) ||
           ew_fail_prefix(err, "%s", spec->name);
}

bool spec_done(const struct spec *spec, struct ew_err *err)
{
    for (size_t i = 0; i < spec->n; i++) {
        if (!spec->options[i].used) {
            return ew_fail(err, EW_ERR_USAGE,
                           "%s: no option \"%.60s\"; there are %s", spec->name,
                           spec->options[i].key, ew_buf_str(&spec->known));
        }
    }
    return true;
}
