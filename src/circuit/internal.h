/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a circuit, for the files of this folder.
 */
#ifndef EW_CIRCUIT_INTERNAL_H
#define EW_CIRCUIT_INTERNAL_H

#include <jansson.h>

#include "edgewise/circuit.h"

struct revision {
    char *what; /* owned */
    uint32_t parent;
    uint32_t newest; /* the child that redo follows; EW_NONE */
    uint32_t n_changes;
    uint32_t *changes; /* owned: flipped edges, each once */
};

struct ew_circuit {
    const struct ew_graph *graph; /* borrowed */
    struct ew_bitset *kept;
    uint32_t n_kept;
    uint32_t *n_out; /* (n_senders) kept additions */
    uint32_t *n_in;  /* (n_receivers) kept additions */
    float *score;    /* (n_edges), NULL while all are unknown */
    struct ew_provenance provenance;

    struct revision *revisions;
    size_t n_revisions;
    size_t cap_revisions;
    uint32_t now;

    bool in_group;
    char *group_what; /* owned */
    uint32_t *group;  /* flips in order of making, repeats and all */
    size_t n_group;
    size_t cap_group;
};

/* Set an edge without a revision: how a file's state is put in place. */
void ew_circuit_init_edge(struct ew_circuit *c, uint32_t edge, bool keep);
/* Append a revision; the state is left alone. `what` is copied, `changes` is
 * transferred, `parent` exists. An edge listed twice is not changed. */
void ew_circuit_add_revision(struct ew_circuit *c, const char *what,
                             uint32_t parent, uint32_t *changes,
                             size_t n_changes);

/* ---- files (load.c) ---- */

/* What messages call a file: "-" is standard input. */
const char *ew_file_name(const char *path);
/* The JSON of a file, "-" too; NaN and Infinity, which Python writes, become
 * null. NULL on failure; json_decref() it. */
json_t *ew_file_json(const char *path, struct ew_err *err);
/* A graph of a shape that a file asks for, unless it is too large. `where`
 * is what messages begin with. */
struct ew_graph *ew_file_graph(const struct ew_graph_spec *spec,
                               const char *where, struct ew_err *err);
/* As ew_circuit_load(), from JSON already read; `name` is for messages. */
struct ew_circuit *ew_circuit_from_json(const json_t *root, const char *name,
                                        const struct ew_graph *g,
                                        struct ew_graph **made,
                                        struct ew_err *err);

#endif
