/* SPDX-License-Identifier: Apache-2.0 */
/* Lines typed before, kept in a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "command.h"

enum { MAX_LINES = 500 };

static void push(struct ew_history *h, const char *line, size_t len)
{
    if (h->n == MAX_LINES) {
        free(h->lines[0]);
        memmove(h->lines, h->lines + 1, --h->n * sizeof(*h->lines));
    }
    h->lines = ew_grow(h->lines, h->n, &h->cap, sizeof(*h->lines));
    h->lines[h->n++] = ew_xstrndup(line, len);
    h->at = h->n;
}

void ew_history_open(struct ew_history *h)
{
    struct ew_err err = {0};
    struct ew_buf text = {0};
    h->path = ew_xdg_path(EW_XDG_STATE, "history");
    if (h->path && ew_path_is_file(h->path) &&
        ew_file_read(&text, h->path, &err)) {
        for (const char *p = ew_buf_str(&text); *p;) {
            size_t len = strcspn(p, "\n");
            if (len > 0) {
                push(h, p, len);
            }
            p += len + (p[len] == '\n');
        }
    }
    ew_buf_finish(&text);
}

void ew_history_finish(struct ew_history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free(h->lines[i]);
    }
    free(h->lines);
    free(h->path);
}

/* A history that cannot be written is only forgotten. */
static void save(const struct ew_history *h)
{
    struct ew_err err = {0};
    struct ew_buf text = {0};
    if (!h->path || !ew_path_make_parents(h->path)) {
        return;
    }
    for (size_t i = 0; i < h->n; i++) {
        ew_buf_printf(&text, "%s\n", h->lines[i]);
    }
    bool ok = ew_file_write(h->path, text.data, text.len, &err);
    (void)ok;
    ew_buf_finish(&text);
}

void ew_history_add(struct ew_history *h, const char *line)
{
    h->at = h->n;
    if (*line && (h->n == 0 || strcmp(h->lines[h->n - 1], line) != 0)) {
        push(h, line, strlen(line));
        save(h);
    }
}

void ew_history_move(struct ew_history *h, int step, char *line, size_t size)
{
    if ((step < 0 && h->at == 0) || (step > 0 && h->at >= h->n)) {
        return;
    }
    if (h->at == h->n) {
        snprintf(h->typed, sizeof(h->typed), "%s", line);
    }
    h->at += (size_t)step;
    snprintf(line, size, "%s", h->at == h->n ? h->typed : h->lines[h->at]);
}
