/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first-in, first-out queue of messages for the mailbox and the worker,
 * which lock it. Zero-initialised is empty.
 */
#ifndef EW_JOBS_QUEUE_H
#define EW_JOBS_QUEUE_H

#include <stdbool.h>

#include "edgewise/jobs.h"

struct queue_node; /* owned by the queue */

struct queue {
    struct queue_node *first;
    struct queue_node **last; /* where the next node hangs; NULL: `first` */
};

void queue_put(struct queue *q, struct ew_message message);
/* False when the queue is empty. */
bool queue_take(struct queue *q, struct ew_message *out);
bool queue_empty(const struct queue *q);
/* The oldest waiting message of a kind, or NULL; borrowed. */
struct ew_message *queue_find(struct queue *q, int kind);
/* Drop and free what is left. */
void queue_finish(struct queue *q);

#endif
