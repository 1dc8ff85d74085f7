/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's side of the explorer: what runs on the worker thread, and the
 * messages between it and the screen. It alone loads libtorch and calls the
 * engine and ACDC. Messages are values: whoever takes one owns its body and
 * frees it with ew_message_finish().
 *
 * Every request carries a generation, which the screen raises whenever the
 * circuit or the metric changes; answers carry the generation of the circuit
 * they are true for.
 */
#ifndef EW_TUI_WORKER_H
#define EW_TUI_WORKER_H

#include "edgewise/acdc.h"
#include "edgewise/attribute.h"
#include "edgewise/engine.h"
#include "edgewise/hash.h"
#include "edgewise/head.h"
#include "edgewise/jobs.h"

#include "raster.h"

/* ---- requests: screen to worker ---- */

enum ew_request_kind {
    EW_REQ_LOAD,      /* struct ew_req_load */
    EW_REQ_TASK,      /* struct ew_req_task: another task, same model */
    EW_REQ_SET,       /* struct ew_req_set */
    EW_REQ_METRIC,    /* struct ew_req_metric */
    EW_REQ_FOCUS,     /* struct ew_req_focus */
    EW_REQ_ACDC_STEP, /* struct ew_req_acdc */
    EW_REQ_ACDC_RUN,
    EW_REQ_ACDC_BACK, /* struct ew_req_back */
    EW_REQ_JOINT,     /* struct ew_req_joint */
    EW_REQ_THRESHOLD, /* struct ew_req_acdc */
    EW_REQ_ESTIMATE,  /* struct ew_req_estimate */
};

struct ew_req_load {
    char *path;                   /* owned: the model's folder or file */
    char *task;                   /* owned */
    const struct ew_graph *graph; /* borrowed; outlives the worker */
    struct ew_arch arch;
    struct ew_engine_params engine;
    struct ew_device device;
    enum ew_processing processing;
    int threads;
    bool bos;
    bool has_metric;
    enum ew_metric metric;
};

struct ew_req_task {
    char *task; /* owned */
};

struct ew_req_set {
    struct ew_bitset *kept; /* owned */
};

struct ew_req_metric {
    enum ew_metric metric;
};

/* A head's attention: that of a run, or the difference of two. */
enum ew_pattern {
    EW_PATTERN_CLEAN,
    EW_PATTERN_CORRUPTED,
    EW_PATTERN_CIRCUIT,
    EW_PATTERN_CIRCUIT_CHANGE,   /* in the circuit less clean */
    EW_PATTERN_CORRUPTED_CHANGE, /* corrupted less clean */
    EW_N_PATTERNS
};

/* What the background should compute, most wanted first. */
struct ew_req_focus {
    uint32_t *edges; /* owned: effects of these */
    size_t n_edges;
    uint32_t *nodes; /* owned: knock-outs of these senders */
    size_t n_nodes;
    bool peek;            /* test ACDC's next edge ahead */
    bool prompts;         /* logit difference by prompt ... */
    uint32_t prompt_edge; /* ... and after flipping this edge; EW_NONE */
    uint32_t *was; /* owned: effects of these in the pinned circuit, ... */
    size_t n_was;
    uint32_t *apart; /* owned: ... which is the present one with these */
    size_t n_apart;  /* flipped */
    uint32_t pin;    /* which pin: comes back with the answer */
    bool card;       /* of this head, and ... */
    bool attention;  /* ... its attention: */
    int layer, head;
    int prompt; /* -1: the mean over prompts */
    enum ew_pattern pattern;
    bool kinds;     /* where every head looks */
    bool where;     /* where this edge acts: */
    uint32_t where_edge;
    bool top;       /* what is said next, ... */
    int top_prompt; /* ... of this prompt */
};

enum ew_verdict { EW_VERDICT_ACDC, EW_VERDICT_OVERRULE };

/* How far a run goes. */
enum ew_until {
    EW_UNTIL_END,
    EW_UNTIL_INPUT, /* the next receiver's first edge */
    EW_UNTIL_DOUBT, /* an effect within `doubt` of the threshold */
};

struct ew_req_acdc {
    double threshold;
    enum ew_verdict verdict; /* steps only */
    enum ew_until until;     /* runs only */
    double doubt;            /* share of the threshold */
};

/* Is this effect so near to the threshold that a person should look? */
static inline bool ew_doubtful(double effect, double threshold, double doubt)
{
    double off = effect > threshold ? effect - threshold : threshold - effect;
    return off <= doubt * threshold;
}

/* Stand where ACDC stood before its last decisions. */
struct ew_req_back {
    double threshold;
    struct ew_bitset *kept; /* owned: the circuit then */
    uint32_t *passed;       /* owned: what it had decided to keep, in order */
    size_t n_passed;
    uint32_t n_done; /* decisions it had made */
};

/* Edges to flip, together and one by one. */
struct ew_req_joint {
    uint32_t *edges; /* owned */
    size_t n;
};

/* Estimate the effects of all edges when nothing else waits. */
struct ew_req_estimate {
    bool stop; /* no more: leave it */
    enum ew_attribution method;
};

struct ew_message ew_request_load(const struct ew_req_load *load);
struct ew_message ew_request_task(uint64_t gen, const char *task);
struct ew_message ew_request_set(uint64_t gen, const struct ew_bitset *kept);
struct ew_message ew_request_metric(uint64_t gen, enum ew_metric metric);
/* Takes both arrays. */
struct ew_message ew_request_focus(uint64_t gen, struct ew_req_focus focus);
struct ew_message ew_request_acdc(enum ew_request_kind kind, uint64_t gen,
                                  struct ew_req_acdc acdc);
/* Takes what `back` owns. */
struct ew_message ew_request_back(uint64_t gen, struct ew_req_back back);

struct ew_message ew_request_estimate(uint64_t gen, enum ew_attribution method);
struct ew_message ew_request_estimate_stop(uint64_t gen);

/* Takes the edges. */
struct ew_message ew_request_joint(uint64_t gen, struct ew_req_joint joint);

/* ---- events: worker to screen ---- */

enum ew_event_kind {
    EW_EV_STAGE,     /* struct ew_ev_text: what it is doing while loading */
    EW_EV_READY,     /* struct ew_ev_ready */
    EW_EV_FAILED,    /* struct ew_err: loading failed, there is no engine */
    EW_EV_REFUSED,   /* struct ew_err: the task asked for; the old one stays */
    EW_EV_STATE,     /* struct ew_ev_state */
    EW_EV_EFFECTS,   /* struct ew_ev_effects */
    EW_EV_KNOCKS,    /* struct ew_ev_knocks */
    EW_EV_ACDC,      /* struct ew_ev_acdc */
    EW_EV_ERROR,     /* struct ew_err: a request failed */
    EW_EV_EXPORT,    /* struct ew_ev_export */
    EW_EV_SAVED,     /* struct ew_err, EW_OK when it was written */
    EW_EV_TASK,      /* struct ew_ev_task */
    EW_EV_PROMPTS,   /* struct ew_ev_prompts */
    EW_EV_ATTENTION, /* struct ew_ev_attention */
    EW_EV_TOP,       /* struct ew_ev_top */
    EW_EV_WAS,       /* struct ew_ev_was */
    EW_EV_JOINT,     /* struct ew_ev_joint */
    EW_EV_CARD,      /* struct ew_ev_card */
    EW_EV_KINDS,     /* struct ew_ev_kinds */
    EW_EV_WHERE,     /* struct ew_ev_where */
    EW_EV_ESTIMATES, /* struct ew_ev_estimates */
    EW_EV_PICTURE,   /* struct ew_ev_picture */
};

struct ew_ev_text {
    char text[160];
};

struct ew_ev_ready {
    char task[96];
    char corruption[96];
    char bos[48];
    char device[48];
    char torch[48];
    size_t n_prompts, n_pos, n_scored, dropped;
    uint64_t memory; /* bytes */
    enum ew_metric metric;
    bool has_ld; /* the task has wrong answers */
    struct ew_score full, empty;
    double seconds; /* since the request */
    char model_hash[EW_HASH_HEX];
    char task_hash[EW_HASH_HEX];
};

struct ew_ev_state {
    struct ew_score now;
    double ld_se; /* standard error over prompts; NaN when unknown */
};

struct ew_effect {
    uint32_t edge;
    float effect; /* metric without the edge minus metric with it */
    float ld;     /* logit difference after flipping it */
    float se;     /* of the effect, over prompts; NaN when unknown */
    enum ew_zero_why why;
};

struct ew_ev_effects {
    size_t n;
    struct ew_effect items[];
};

struct ew_knock {
    uint32_t sender;
    float effect; /* metric with all its edges cut minus metric now */
    float ld;
};

struct ew_ev_knocks {
    size_t n;
    struct ew_knock items[];
};

struct ew_ev_acdc {
    uint32_t next; /* EW_NONE: done */
    uint32_t n_done, n_left;
    double metric;
    bool run;      /* of a run, not of a step */
    bool ended;    /* the step, or the run, is over */
    bool stopped;  /* by the user */
    bool doubtful; /* the run ended before an edge that is */
    bool has_peek;
    struct ew_acdc_decision peek; /* what `next` would be decided as */
    size_t n;
    struct ew_acdc_decision items[];
};

struct ew_ev_export {
    char path[512];
    double seconds;
    struct ew_err err; /* EW_OK when it was written */
};

/* The prompts as text, safe to show. */
struct ew_ev_task {
    size_t n_prompts, n_pos;
    bool has_text; /* there is a tokenizer */
    struct ew_prompt_text {
        int length;          /* tokens */
        int answer_position; /* where the answer is read off */
        char *right, *wrong; /* owned; "" when there is none */
        char *text[2];       /* owned: clean and corrupted, as typed; */
        char *answer, *wrong_answer; /* these too, "|" between several */
        char **tokens;       /* (length) owned */
    } * prompts;             /* (n_prompts) owned */
};
void ew_ev_task_free(void *task);

struct ew_ev_prompts {
    uint32_t edge; /* EW_NONE: `then` means nothing */
    size_t n;
    double values[]; /* (n) logit difference now, (n) after the flip */
};

/* Changes of the metric when edges are flipped. */
struct ew_ev_joint {
    size_t n; /* 0: it failed, and an error follows, or it was stopped */
    double joint, sum;
};

/* Effects in the pinned circuit. */
struct ew_ev_was {
    uint32_t pin;
    struct ew_score base; /* of the pinned circuit */
    size_t n;
    struct ew_effect items[]; /* se and why are not told */
};

enum { EW_CARD_TOKEN = 24, EW_TOP_TOKENS = 40 };

/* What the three runs (EW_RUN_*) say next, likeliest first. */
struct ew_ev_top {
    int prompt;
    size_t n;
    struct ew_top_token {
        char text[EW_CARD_TOKEN];
        double p;
        int answer; /* 1: a right one, -1: a wrong one */
    } runs[3][EW_TOP_TOKENS];
    char why_not[512]; /* not "": nothing is known, and why */
};

/* What is known of a head without any circuit. */
struct ew_ev_card {
    int layer, head;
    struct ew_head_attention attention;
    struct ew_head_output output;
    char up[EW_HEAD_WRITES][EW_CARD_TOKEN]; /* tokens as text */
    char down[EW_HEAD_WRITES][EW_CARD_TOKEN];
    char why_not[256]; /* not "": there is no output, and why */
};

/* Where heads look in the clean run. */
struct ew_ev_kinds {
    size_t n;
    struct ew_kind {
        uint32_t sender;
        struct ew_head_attention attention;
    } items[];
};

/* Places of an edge, [at, at + n) of n_all: the task's roles, then the
 * positions. */
struct ew_ev_where {
    uint32_t edge;
    size_t at, n, n_all;
    struct ew_place {
        char roles[24]; /* its name, or what the first prompt has there */
        int position;   /* -1: the role's */
        float effect;   /* of the edge at this place alone */
        float se;       /* over prompts; NaN when unknown */
    } items[];
};

struct ew_ev_estimates {
    enum ew_attribution method;
    enum ew_metric metric;
    size_t n;       /* all edges, or 0: it failed, and an error was told */
    float values[]; /* metric without the edge minus metric with it */
};

struct ew_ev_picture {
    struct ew_raster raster; /* owned; none when it failed */
    struct ew_err err;       /* EW_OK when it was drawn */
};
void ew_ev_picture_free(void *picture);

/* draw_picture.c: by Graphviz; any thread. */
struct ew_circuit;
struct ew_groups;
void ew_draw_picture(const struct ew_circuit *c, const struct ew_groups *groups,
                     struct ew_ev_picture *out, const struct ew_cancel *cancel);

struct ew_ev_attention {
    int layer, head, prompt;
    enum ew_pattern pattern;
    size_t n_pos;
    float weights[]; /* (n_pos, n_pos), row = query */
};

/* ---- the worker ---- */

struct ew_backend; /* one thread at a time, but for ew_backend_expect() */

/* `out` is borrowed: answers go there. */
struct ew_backend *ew_backend_create(struct ew_mailbox *out);
void ew_backend_destroy(struct ew_backend *b);
/* The two functions of ew_worker_start(); `user` is the backend. */
void ew_backend_handle(void *user, const struct ew_message *request,
                       const struct ew_cancel *cancel);
bool ew_backend_idle(void *user, const struct ew_cancel *cancel);
/* Thread-safe: circuits older than `gen` need no answer any more. */
void ew_backend_expect(struct ew_backend *b, uint64_t gen);
/* Thread-safe: nothing needs an answer any more. Stops also what a request's
 * token does not: following the screen's circuit and metric. */
void ew_backend_close(struct ew_backend *b);

/* Post one fixed-size event (copied). */
void ew_post_event(struct ew_mailbox *out, enum ew_event_kind kind,
                   uint64_t gen, const void *body, size_t size);

#endif
