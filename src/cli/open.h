/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening what most commands need, each step once and in order: the shape of
 * the model, its graph, the task, the weights, the engine. A command opens no
 * more than it uses: libtorch is loaded by cli_open_model() alone.
 */
#ifndef EW_CLI_OPEN_H
#define EW_CLI_OPEN_H

#include "edgewise/circuit.h"
#include "edgewise/engine.h"
#include "edgewise/model.h"
#include "edgewise/task.h"
#include "edgewise/tokenizer.h"

#include "cli.h"

#define CLI_DEFAULT_MODEL "induction-2l"
#define CLI_DEFAULT_TASK "induction"

/* Zero-initialise; members are NULL until opened; cli_close() frees all. */
struct cli_open {
    char *path;       /* of the model's folder or file */
    const char *name; /* as the user wrote it */
    struct ew_arch arch;
    struct ew_graph *graph;
    struct ew_tokenizer *tok; /* NULL: the model has none */
    struct ew_task *task;
    enum ew_metric metric;
    struct ew_model *model;
    enum ew_ablation ablation;
    struct ew_engine *engine;
};

/* MODEL is the first argument that is not an option, or the bundled one. */
EW_MUST_CHECK bool cli_open_arch(struct cli_open *open,
                                 const struct cli_opts *opts,
                                 struct ew_err *err);
EW_MUST_CHECK bool cli_open_graph(struct cli_open *open,
                                  const struct cli_opts *opts,
                                  struct ew_err *err);
/* The tokenizer where there is one; a broken one is an error. */
EW_MUST_CHECK bool cli_open_tokenizer(struct cli_open *open,
                                      struct ew_err *err);
/*
 * The task that --clean and its like type, as ew_task_typed() makes it;
 * free() it. *out is NULL where none was typed. EW_ERR_USAGE beside `spec`.
 */
EW_MUST_CHECK bool cli_typed_task(char **out, const struct cli_opts *opts,
                                  const char *spec, struct ew_err *err);
/* Task (`spec`, what was typed, or the default) and the metric in force. */
EW_MUST_CHECK bool cli_open_task(struct cli_open *open, const char *spec,
                                 const struct cli_opts *opts,
                                 struct ew_err *err);
EW_MUST_CHECK bool cli_load_torch(struct ew_err *err);
/* Loads libtorch and the weights. */
EW_MUST_CHECK bool cli_open_model(struct cli_open *open,
                                  const struct cli_opts *opts,
                                  struct ew_err *err);
/* What --engine, --ablation and --max-memory say. */
EW_MUST_CHECK bool cli_engine_params(const struct cli_opts *opts,
                                     struct ew_engine_params *out,
                                     struct ew_err *err);
/*
 * Everything above, then the engine. `want`: the figures the command will ask
 * for beside the metric's own.
 */
EW_MUST_CHECK bool cli_open_engine(struct cli_open *open, unsigned want,
                                   const struct cli_opts *opts,
                                   struct ew_err *err);
void cli_close(struct cli_open *open);
/*
 * Another task on the same model and graph, which stay `open`'s, with an
 * engine of its own; cli_close_other() closes what is the other's.
 */
EW_MUST_CHECK bool cli_open_other(struct cli_open *other,
                                  const struct cli_open *open,
                                  const char *spec,
                                  const struct cli_opts *opts,
                                  struct ew_err *err);
void cli_close_other(struct cli_open *other);

/* Whether text prompts begin with BOS: the options, or the model's way. */
bool cli_wants_bos(const struct cli_open *open, const struct cli_opts *opts);
EW_MUST_CHECK bool cli_parse_weights(const char *text,
                                     enum ew_processing *out,
                                     struct ew_err *err);
EW_MUST_CHECK bool cli_parse_device(const char *text, struct ew_device *out,
                                    struct ew_err *err);
/* Put the engine into the circuit of a file. */
EW_MUST_CHECK bool cli_set_circuit(struct cli_open *open, const char *path,
                                   struct ew_err *err);
/* A circuit of the engine's kept edges with its provenance filled in; `what`
 * names the revision that cut the others. */
struct ew_circuit *cli_make_circuit(const struct cli_open *open,
                                    double threshold, const char *what);
/* "edge" and "acdc" of an edge, added to a JSON object. */
void cli_json_edge(json_t *object, const struct ew_graph *g, uint32_t edge);
/* The same of a unit (edgewise/unit.h). */
void cli_json_unit(json_t *object, const struct ew_graph *g, bool whole,
                   uint32_t unit);

#endif
