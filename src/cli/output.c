/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How results are written: JSON through jansson, aligned tables, and one
 * line of progress. Standard output is buffered and checked once, at the end,
 * so that a full disk is noticed and a closed pipe is not an error message.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"

#include "cli.h"

/* ---- JSON ---- */

json_t *cli_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_ids(const int64_t *ids, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(array, json_integer(ids[i]));
    }
    return array;
}

json_t *cli_shape(const int64_t *shape, int ndim)
{
    return cli_ids(shape, (size_t)ndim);
}

void cli_json_line(FILE *out, json_t *value)
{
    json_dumpf(value, out, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    putc('\n', out);
    json_decref(value);
}

void cli_array_open(struct cli_array *array, FILE *out, int digits)
{
    *array = (struct cli_array){.out = out, .digits = digits};
    putc('[', out);
}

void cli_array_item(struct cli_array *array, json_t *value)
{
    fputs(array->n++ ? ",\n " : "\n ", array->out);
    json_dumpf(value, array->out,
               JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)array->digits));
    json_decref(value);
}

void cli_array_close(struct cli_array *array)
{
    fputs(array->n ? "\n]\n" : "]\n", array->out);
}

/* ---- text ---- */

void cli_print_shape(struct ew_buf *out, const int64_t *shape, int ndim)
{
    ew_buf_putc(out, '[');
    for (int i = 0; i < ndim; i++) {
        ew_buf_printf(out, "%s%lld", i ? ", " : "", (long long)shape[i]);
    }
    ew_buf_putc(out, ']');
}

int cli_width(const char *text)
{
    mbstate_t state = {0};
    int width = 0;
    size_t left = strlen(text);
    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        if (n == (size_t)-1 || n == (size_t)-2 || n == 0) {
            state = (mbstate_t){0}; /* not text: a byte is a column */
            width++;
            n = 1;
        } else {
            int w = wcwidth(c);
            width += w > 0 ? w : 0;
        }
        text += n;
        left -= n;
    }
    return width;
}

void cli_print_real(struct ew_buf *out, double value)
{
    if (isnan(value)) {
        ew_buf_putc(out, '-');
    } else {
        ew_buf_printf(out, "%.6g", value);
    }
}

static void table_push(struct cli_table *table, char *text)
{
    table->cells =
        ew_grow(table->cells, table->n, &table->cap, sizeof(*table->cells));
    table->cells[table->n++] = text;
}

void cli_table_add(struct cli_table *table, const char *text)
{
    table_push(table, ew_xstrdup(text));
}

void cli_table_addf(struct cli_table *table, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    table_push(table, len < 0 ? ew_xstrdup("") : text);
}

void cli_table_add_real(struct cli_table *table, double value)
{
    struct ew_buf buf = {0};
    cli_print_real(&buf, value);
    table_push(table, ew_buf_steal(&buf));
}

void cli_table_print(struct cli_table *table, FILE *out)
{
    size_t columns = table->n_columns;
    int *widths = ew_xcalloc(columns, sizeof(*widths));
    for (size_t i = 0; i < table->n; i++) {
        int width = cli_width(table->cells[i]);
        if (width > widths[i % columns]) {
            widths[i % columns] = width;
        }
    }
    for (size_t i = 0; i < table->n; i++) {
        size_t column = i % columns;
        bool last = column + 1 == columns;
        int pad = widths[column] - cli_width(table->cells[i]);
        if (table->align[column] == 'r') {
            fprintf(out, "%*s%s", pad, "", table->cells[i]);
        } else {
            fprintf(out, "%s%*s", table->cells[i], last ? 0 : pad, "");
        }
        fputs(last ? "\n" : "  ", out);
        free(table->cells[i]);
    }
    free(widths);
    free(table->cells);
    *table = (struct cli_table){.n_columns = columns, .align = table->align};
}

/* ---- progress ---- */

long long cli_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

enum { PROGRESS_NS = 100 * 1000 * 1000 };

void cli_progress_init(struct cli_progress *progress)
{
    const char *term = getenv("TERM");
    *progress = (struct cli_progress){
        .on = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
    };
}

void cli_progress_show(struct cli_progress *progress, const char *fmt, ...)
{
    long long now = progress->on ? cli_now_ns() : 0;
    if (!progress->on || now - progress->last_ns < PROGRESS_NS) {
        return;
    }
    progress->last_ns = now;
    char line[80]; /* one row of any terminal: longer is cut */
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    size_t len = strlen(line);
    size_t wipe = progress->shown > len ? progress->shown - len : 0;
    fprintf(stderr, "\r%s%*s", line, (int)wipe, "");
    fflush(stderr);
    progress->shown = len;
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->shown) {
        fprintf(stderr, "\r%*s\r", (int)progress->shown, "");
        fflush(stderr);
        progress->shown = 0;
    }
}

bool cli_flush(struct ew_err *err)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    if (errno == EPIPE) {
        return ew_fail(err, EW_ERR_FAILED, "%s", "");
    }
    return ew_fail(err, EW_ERR_FAILED, "standard output: %s",
                   errno ? strerror(errno) : "not everything was written");
}

bool cli_stdout_taken(const struct cli_opts *opts)
{
    bool taken = false;
    for (size_t i = 0; i < opts->output.n; i++) {
        taken = taken || strcmp(opts->output.items[i].text, "-") == 0;
    }
    return taken;
}

bool cli_check_outputs(const struct cli_opts *opts, struct ew_err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < opts->output.n; i++) {
        ok = ew_file_may_write(opts->output.items[i].text, err);
    }
    return ok;
}
