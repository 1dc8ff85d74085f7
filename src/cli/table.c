/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as other programs and papers want them. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print_csv_cell(const char *text, FILE *out)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, out);
    }
    putc('"', out);
}

static void print_markdown_cell(const char *text, FILE *out)
{
    putc(' ', out);
    for (; *text; text++) {
        if (*text == '|' || *text == '<') {
            putc('\\', out); /* a column, or the start of a tag */
        }
        putc(*text, out);
    }
    fputs(" |", out);
}

static void print_rule(const struct cli_table *table, FILE *out)
{
    putc('|', out);
    for (size_t i = 0; i < table->n_columns; i++) {
        fputs(table->align[i] == 'r' ? " --: |" : " :-- |", out);
    }
    putc('\n', out);
}

void cli_table_print_as(struct cli_table *table, const struct cli_opts *opts,
                        FILE *out)
{
    if (!opts->csv && !opts->markdown) {
        cli_table_print(table, out);
        return;
    }
    for (size_t i = 0; i < table->n; i++) {
        size_t column = i % table->n_columns;
        if (opts->csv) {
            fputs(column > 0 ? "," : "", out);
            print_csv_cell(table->cells[i], out);
        } else {
            fputs(column > 0 ? "" : "|", out);
            print_markdown_cell(table->cells[i], out);
        }
        bool last = column + 1 == table->n_columns;
        fputs(last ? "\n" : "", out);
        if (opts->markdown && i + 1 == table->n_columns) {
            print_rule(table, out);
        }
        free(table->cells[i]);
    }
    free(table->cells);
    *table = (struct cli_table){.n_columns = table->n_columns,
                                .align = table->align};
}
