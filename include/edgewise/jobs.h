/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker thread that runs requests in order, and the mailbox through
 * which it answers. Messages are self-contained values: they are moved in
 * and moved out, never shared. Each carries the generation of the request it
 * answers, so that the receiver can drop what has been superseded.
 */
#ifndef EW_JOBS_H
#define EW_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgewise/cancel.h"

EW_BEGIN_DECLS

/* ---- mailbox: many senders, one receiver ---- */

struct ew_mailbox; /* thread-safe */

struct ew_message {
    int kind;        /* the user's enum */
    uint64_t gen;    /* generation of the request */
    void *body;      /* owned by whoever holds the message */
    void (*free_body)(void *body); /* NULL: free() */
};

/* NULL when the process has no file descriptors left. */
struct ew_mailbox *ew_mailbox_create(void);
void ew_mailbox_destroy(struct ew_mailbox *box); /* frees what is left */
/* Moves the message in and wakes the receiver. */
void ew_mailbox_post(struct ew_mailbox *box, struct ew_message message);
/* As post, but replaces a message of the same kind that nobody has read yet
 * (progress: only the newest counts). */
void ew_mailbox_post_latest(struct ew_mailbox *box,
                            struct ew_message message);
/* Moves the oldest message out; false when there is none. */
bool ew_mailbox_take(struct ew_mailbox *box, struct ew_message *out);
/* Readable while messages wait; for poll(). */
int ew_mailbox_fd(const struct ew_mailbox *box);
void ew_message_finish(struct ew_message *message);

/* ---- worker ---- */

struct ew_worker; /* thread-safe unless said otherwise */

/*
 * What the thread does with a request. `cancel` is raised when the request
 * should stop. Runs on the worker thread, which blocks all signals but those
 * of faults (SIGSEGV, ...). The worker frees the request afterwards.
 */
typedef void (*ew_request_fn)(void *user, const struct ew_message *request,
                              const struct ew_cancel *cancel);
/*
 * Called when no request waits: one piece of background work; false when
 * there is none left (the thread then sleeps until a request has run).
 * `cancel` is raised as soon as a request arrives.
 */
typedef bool (*ew_idle_fn)(void *user, const struct ew_cancel *cancel);

/* `idle` may be NULL. NULL when no thread can be had. */
struct ew_worker *ew_worker_start(ew_request_fn handle, ew_idle_fn idle,
                                  void *user);
/* Cancel what runs, drop what waits, join the thread. NULL is fine. */
void ew_worker_stop(struct ew_worker *w);
/* Moves the request to the end of the queue. */
void ew_worker_post(struct ew_worker *w, struct ew_message request);
/* Cancel what was asked for so far: the request that runs, and those that
 * wait, whose token is raised from their start. */
void ew_worker_cancel(struct ew_worker *w);
/* A request runs or waits. */
bool ew_worker_busy(struct ew_worker *w);

EW_END_DECLS

#endif
