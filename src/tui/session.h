/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives the screen: named snapshots of the circuit, the session that
 * is saved by itself and resumed, and the journal as a script of edgewise
 * commands. A snapshot is a revision of the undo tree with a name, so it
 * costs nothing and is saved with the circuit.
 */
#ifndef EW_TUI_SESSION_H
#define EW_TUI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/bitset.h"
#include "edgewise/engine.h"

struct ew_app;
struct ew_circuit;
struct ew_tui_params;

struct ew_snapshot {
    char *name; /* owned */
    uint32_t revision;
    uint32_t n_kept;
    struct ew_score score; /* NaN: not known when it was taken */
};

struct ew_session {
    struct ew_snapshot *items; /* owned */
    size_t n, cap;
    long base; /* what snapshots are compared with; -1: the present circuit */
    uint64_t saved_gen;
    long long saved_ns;
    bool saving; /* on another thread, which has not answered yet */
    char *model, *task; /* owned: read from the session; NULL */
};

void ew_session_finish(struct ew_session *s);
/* Name the present circuit; a name that exists moves. */
void ew_snapshot_take(struct ew_app *a, const char *name);
/* Scores of the present circuit have come: its snapshots get them too. */
void ew_snapshot_note(struct ew_app *a);
/* Compare with the snapshot of that name; "" with the present circuit. */
void ew_snapshot_base(struct ew_app *a, const char *name);
/* The kept edges at a revision; destroy it. */
struct ew_bitset *ew_kept_at(const struct ew_app *a, uint32_t revision);

/*
 * A session is a folder of circuit.json (with its journal), labels.json and
 * session.json. ew_session_load() reads names and parameters that the user
 * has not given; ew_session_restore() the rest, panes included, when the graph
 * is there.
 */
char *ew_session_dir(void); /* where sessions are saved; free() */
bool ew_session_save(const struct ew_app *a, const char *dir,
                     struct ew_err *err);
/* The same in two steps: what is to be saved, and writing it, which takes its
 * time for a large graph and needs nothing of the explorer's. */
struct ew_saved {
    char *dir;                  /* all owned */
    struct ew_circuit *circuit;
    char *labels; /* JSON; NULL: none */
    char *session;
};
struct ew_saved *ew_saved_create(const struct ew_app *a, const char *dir);
bool ew_saved_write(const struct ew_saved *saved, struct ew_err *err);
void ew_saved_destroy(void *saved); /* NULL is fine */
bool ew_session_load(struct ew_app *a, const char *dir, struct ew_err *err);
bool ew_session_restore(struct ew_app *a, const char *dir, struct ew_err *err);
/* Save if something has changed and the last time is a while ago; here and
 * now, changed or not, if it is the end. Failures are told, nothing more. */
void ew_session_autosave(struct ew_app *a, bool end);
/* The other thread has answered: EW_OK, or why not. */
void ew_session_was_saved(struct ew_app *a, const struct ew_err *err);

/* A shell script whose commands give the present circuit. */
void ew_session_script(struct ew_app *a, const char *path);

#endif
