/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circuit: the kept edges of a graph, what is known about each edge, the
 * tree of revisions that led here, and where it came from. It knows no
 * tensor and no engine. Not thread-safe.
 */
#ifndef EW_CIRCUIT_H
#define EW_CIRCUIT_H

#include "edgewise/bitset.h"
#include "edgewise/err.h"
#include "edgewise/graph.h"

EW_BEGIN_DECLS

/* What a positive score says about its edge. */
enum ew_score_sign {
    EW_SIGN_UNKNOWN, /* read from a file that does not say */
    EW_SIGN_NEEDED,  /* the edge is needed: ours */
    EW_SIGN_HARMFUL, /* the edge hurts */
};

/* Where a circuit comes from: the definition badge. Strings owned by the
 * circuit, NULL where unknown. */
struct ew_provenance {
    char *model;      /* name or path */
    char *model_hash; /* of the weights; NULL when not computed */
    char *task;
    char *task_hash; /* of its prompts and answers */
    char *metric; /* "kl", "logit-diff", ... */
    char *ablation;
    char *corruption;
    double threshold;        /* NaN when none was used */
    char *scores;            /* what they are: "exact", "eap-ig", ... */
    enum ew_score_sign sign; /* EW_SIGN_NEEDED for a created circuit */
    int64_t d_model;         /* 0 unknown; EAP-IG's reader wants it */
};

struct ew_circuit; /* opaque */

/* All edges kept, no score known. `g` is borrowed and must outlive it. */
struct ew_circuit *ew_circuit_create(const struct ew_graph *g);
void ew_circuit_destroy(struct ew_circuit *c); /* NULL is fine */
const struct ew_graph *ew_circuit_graph(const struct ew_circuit *c);
/* Borrowed; valid until the circuit is destroyed; changes with it. */
const struct ew_bitset *ew_circuit_kept(const struct ew_circuit *c);
bool ew_circuit_has(const struct ew_circuit *c, uint32_t edge);
/* As ACDC counts: addition and direct edges. */
uint32_t ew_circuit_n_kept(const struct ew_circuit *c);
/* Kept edges from a sender (additions). */
uint32_t ew_circuit_n_out(const struct ew_circuit *c, uint32_t sender);
/* Kept additions into a receiver. */
uint32_t ew_circuit_n_in(const struct ew_circuit *c, uint32_t receiver);

/* ---- scores: d(metric) when the edge is cut; NaN = unknown; in a file of
 * another tool's making whatever provenance.sign says ---- */
float ew_circuit_score(const struct ew_circuit *c, uint32_t edge);
void ew_circuit_set_score(struct ew_circuit *c, uint32_t edge, float score);
void ew_circuit_forget_scores(struct ew_circuit *c);

/* With its revisions and provenance, outside of any group; the graph is the
 * same. */
struct ew_circuit *ew_circuit_clone(const struct ew_circuit *c);

struct ew_provenance *ew_circuit_provenance(struct ew_circuit *c);
const struct ew_provenance *
ew_circuit_get_provenance(const struct ew_circuit *c);
/* Replace a provenance string by a copy. */
void ew_provenance_set(char **field, const char *text);
void ew_circuit_copy_provenance(struct ew_circuit *dst,
                                const struct ew_circuit *src);

/* ---- changes ----
 *
 * A revision groups the edge changes of one action of the user and is what
 * undo and redo step over: begin, put or flip, end. An empty group leaves no
 * revision. Undoing and then changing starts a new branch; older branches
 * stay in the tree and redo follows the newest. A put or flip outside a group
 * is a revision of its own.
 */
void ew_circuit_begin(struct ew_circuit *c, const char *what);
void ew_circuit_put(struct ew_circuit *c, uint32_t edge, bool keep);
void ew_circuit_flip(struct ew_circuit *c, uint32_t edge);
/* Number of edges the revision changed. */
size_t ew_circuit_end(struct ew_circuit *c);
/* Make the kept set equal to `kept`, in one revision. */
size_t ew_circuit_assign(struct ew_circuit *c, const struct ew_bitset *kept,
                         const char *what);

/* False when there is nothing to undo or redo. `*what` (optional) borrows
 * the revision's description. */
bool ew_circuit_undo(struct ew_circuit *c, const char **what);
bool ew_circuit_redo(struct ew_circuit *c, const char **what);

/* The journal: revisions in order of making, 0 is the start. */
struct ew_revision {
    const char *what; /* borrowed */
    uint32_t parent;  /* its own number for revision 0 */
    uint32_t n_changes;
    const uint32_t *changes; /* flipped edges, borrowed */
};
uint32_t ew_circuit_n_revisions(const struct ew_circuit *c);
uint32_t ew_circuit_revision(const struct ew_circuit *c); /* where we are */
struct ew_revision ew_circuit_get_revision(const struct ew_circuit *c,
                                           uint32_t revision);
/* Go to any revision of the tree. */
void ew_circuit_checkout(struct ew_circuit *c, uint32_t revision);

/* ---- files: EAP-IG/MIB JSON with extra top-level keys ---- */

/*
 * cfg {n_layers, n_heads, parallel_attn_mlp, d_model?}, nodes {name:
 * {in_graph}}, edges {canonical: {score, in_graph}}, and ours: "direct" (as
 * "edges"), "provenance", and the journal: "revisions" [{what, parent,
 * flipped}] and "revision", where we are. An unknown score is written as 0
 * with "scored": false beside it, so that EAP-IG can read the file. Text to
 * free().
 */
char *ew_circuit_to_json(const struct ew_circuit *c);
EW_MUST_CHECK bool ew_circuit_save(const struct ew_circuit *c, const char *path,
                                   struct ew_err *err);
/*
 * Read a circuit ("-" is standard input). With `g` NULL the graph is made
 * from the file's cfg and nodes and handed to the caller in `*made`, who
 * destroys it after the circuit. With `g` the file's edges must be edges of
 * it (`made` may be NULL). Files without scores, without direct edges (all
 * kept while their head has a kept edge out), EAP-IG's without MLPs or with
 * nodes as booleans, and edges as a list of names are read too. What the file
 * does not list is cut. NULL on failure (EW_ERR_IO, EW_ERR_INPUT).
 */
struct ew_circuit *ew_circuit_load(const char *path, const struct ew_graph *g,
                                   struct ew_graph **made, struct ew_err *err);

EW_END_DECLS

#endif
