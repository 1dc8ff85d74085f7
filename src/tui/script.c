/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal as a shell script: one `edgewise eval` whose --cut and --keep
 * are gathered revision by revision, each under a comment that says what it
 * was. Running it gives the same circuit, without the screen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "app.h"

/* 'text' for the shell, whatever is in it. */
static void put_quoted(struct ew_buf *out, const char *text)
{
    ew_buf_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'') {
            ew_buf_add(out, "'\\''");
        } else {
            ew_buf_putc(out, *text);
        }
    }
    ew_buf_putc(out, '\'');
}

/* A comment stays on its line. */
static void put_comment(struct ew_buf *out, const char *text)
{
    for (; *text; text++) {
        ew_buf_putc(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
}

/* The edges of a revision that became kept, or cut. */
static void put_edges(const struct ew_app *a, struct ew_buf *out,
                      const struct ew_revision *rev,
                      const struct ew_bitset *kept, bool keep)
{
    char name[EW_NAME_SIZE];
    bool any = false;
    for (uint32_t i = 0; i < rev->n_changes; i++) {
        uint32_t edge = rev->changes[i];
        if (ew_bitset_has(kept, edge) != keep) {
            continue;
        }
        ew_buf_printf(out, "%s%s",
                      any    ? ","
                      : keep ? "set -- \"$@\" --keep '"
                             : "set -- \"$@\" --cut '",
                      ew_name_of_edge(name, a->graph, edge));
        any = true;
    }
    ew_buf_add(out, any ? "'\n" : "");
}

static void put_head(const struct ew_app *a, struct ew_buf *out)
{
    const struct ew_tui_params *p = &a->params;
    ew_buf_add(out, "#!/bin/sh\n# A circuit of ");
    put_comment(out, a->model_name);
    ew_buf_printf(out,
                  ", %u edges, as it was made in edgewise.\n"
                  "# usage: sh SCRIPT [OUT.json]\n"
                  "set -eu\nout=${1:-circuit.json}\nset -- --task ",
                  (unsigned)ew_circuit_n_kept(a->circuit));
    put_quoted(out, a->task_name);
    ew_buf_printf(out, " --metric %s --ablation %s%s%s%s%s",
                  ew_metric_name(a->metric),
                  ew_ablation_name(p->engine.ablation),
                  p->split_embed ? " --split-embed" : "",
                  p->bos ? " --bos" : "", p->no_bos ? " --no-bos" : "",
                  p->processing == EW_WEIGHTS_TL ? " --weights tl" : "");
    if (p->circuit) {
        ew_buf_add(out, " \\\n  --circuit ");
        put_quoted(out, p->circuit);
    }
    ew_buf_putc(out, '\n');
}

static void put_journal(const struct ew_app *a, struct ew_buf *out)
{
    uint32_t at = ew_circuit_revision(a->circuit);
    uint32_t *path = ew_xcalloc((size_t)at + 1, sizeof(*path));
    size_t n = 0;
    while (at != 0) {
        path[n++] = at;
        at = ew_circuit_get_revision(a->circuit, at).parent;
    }
    struct ew_bitset *kept = ew_kept_at(a, 0);
    while (n-- > 0) {
        struct ew_revision rev = ew_circuit_get_revision(a->circuit, path[n]);
        for (uint32_t i = 0; i < rev.n_changes; i++) {
            ew_bitset_flip(kept, rev.changes[i]);
        }
        ew_buf_printf(out, "# %u: ", (unsigned)path[n]);
        put_comment(out, rev.what);
        ew_buf_putc(out, '\n');
        put_edges(a, out, &rev, kept, false);
        put_edges(a, out, &rev, kept, true);
    }
    ew_bitset_destroy(kept);
    free(path);
}

void ew_session_script(struct ew_app *a, const char *path)
{
    struct ew_err err = {0};
    struct ew_buf out = {0};
    if (!ew_edit_may_write(a, path)) {
        return;
    }
    if (ew_path_is_file(path)) {
        ew_notice(a, true, "%s exists: choose another name", path);
        return;
    }
    put_head(a, &out);
    put_journal(a, &out);
    ew_buf_add(&out, "edgewise eval ");
    put_quoted(&out, a->model_name);
    ew_buf_add(&out, " \"$@\" -o \"$out\"\n");
    if (ew_file_write(path, out.data, out.len, &err)) {
        chmod(path, 0755);
        ew_notice(a, false, "wrote %s", path);
    } else {
        ew_notice(a, true, "%s", err.message);
    }
    ew_buf_finish(&out);
}
