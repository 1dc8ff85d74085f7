/* SPDX-License-Identifier: Apache-2.0 */
/* One record at a time; see csv.h for what is read. */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

void csv_init(struct csv *csv, const struct ew_buf *text)
{
    const char *start = ew_buf_str(text);
    *csv = (struct csv){.at = start, .end = start + text->len, .next_line = 1};
    if (strncmp(start, "\xef\xbb\xbf", 3) == 0) {
        csv->at += 3;
    }
}

static void drop_fields(struct csv *csv)
{
    for (size_t i = 0; i < csv->n; i++) {
        free(csv->fields[i]);
    }
    csv->n = 0;
}

void csv_finish(struct csv *csv)
{
    drop_fields(csv);
    free(csv->fields);
    *csv = (struct csv){0};
}

/* Bytes of the line end here; 0: none. The end of the text is none. */
static size_t line_end(const struct csv *csv)
{
    if (csv->at < csv->end && *csv->at == '\n') {
        return 1;
    }
    return csv->end - csv->at >= 2 && csv->at[0] == '\r' && csv->at[1] == '\n'
               ? 2
               : 0;
}

static bool at_break(const struct csv *csv)
{
    return csv->at == csv->end || *csv->at == ',' || line_end(csv) > 0;
}

static bool quoted(struct csv *csv, struct ew_buf *out, struct ew_err *err)
{
    size_t began = csv->next_line;
    for (csv->at++;; csv->at++) {
        if (csv->at == csv->end) {
            return ew_fail(err, EW_ERR_INPUT,
                           "line %zu: a quote is opened and never closed",
                           began);
        }
        if (*csv->at == '"' && csv->at[1] == '"') {
            csv->at++; /* a doubled one is one */
        } else if (*csv->at == '"') {
            break;
        }
        csv->next_line += *csv->at == '\n';
        ew_buf_putc(out, *csv->at);
    }
    csv->at++;
    return at_break(csv) ||
           ew_fail(err, EW_ERR_INPUT,
                   "line %zu: text behind a closing quote; a quote inside a "
                   "field is written twice",
                   csv->next_line);
}

static bool field(struct csv *csv, struct ew_err *err)
{
    struct ew_buf text = {0};
    if (csv->at < csv->end && *csv->at == '"') {
        if (!quoted(csv, &text, err)) {
            ew_buf_finish(&text);
            return false;
        }
    } else {
        while (!at_break(csv)) {
            ew_buf_putc(&text, *csv->at++);
        }
    }
    csv->fields = ew_grow(csv->fields, csv->n, &csv->cap, sizeof(*csv->fields));
    csv->fields[csv->n++] = ew_xstrndup(ew_buf_str(&text), text.len);
    bool whole = strlen(csv->fields[csv->n - 1]) == text.len;
    ew_buf_finish(&text);
    return whole ||
           ew_fail(err, EW_ERR_INPUT, "line %zu: a NUL byte: this is no text",
                   csv->next_line);
}

bool csv_next(struct csv *csv, bool *ok, struct ew_err *err)
{
    drop_fields(csv);
    *ok = true;
    while (line_end(csv) > 0) { /* empty lines */
        csv->at += line_end(csv);
        csv->next_line++;
    }
    if (csv->at == csv->end) {
        return false;
    }
    csv->line = csv->next_line;
    for (;;) {
        if (!field(csv, err)) {
            *ok = false;
            return false;
        }
        if (csv->at == csv->end) {
            return true;
        }
        if (*csv->at != ',') {
            csv->at += line_end(csv);
            csv->next_line++;
            return true;
        }
        csv->at++;
    }
}
