/* SPDX-License-Identifier: Apache-2.0 */
/* A linked list: nothing waits long and nothing is looked up by place. */
#include "queue.h"

#include <stdlib.h>

#include "edgewise/mem.h"

struct queue_node {
    struct ew_message message;
    struct queue_node *next;
};

void queue_put(struct queue *q, struct ew_message message)
{
    struct queue_node *node = ew_xcalloc(1, sizeof(*node));
    node->message = message;
    *(q->first ? q->last : &q->first) = node;
    q->last = &node->next;
}

bool queue_take(struct queue *q, struct ew_message *out)
{
    struct queue_node *node = q->first;
    if (!node) {
        return false;
    }
    *out = node->message;
    q->first = node->next;
    free(node);
    return true;
}

bool queue_empty(const struct queue *q)
{
    return !q->first;
}

struct ew_message *queue_find(struct queue *q, int kind)
{
    for (struct queue_node *node = q->first; node; node = node->next) {
        if (node->message.kind == kind) {
            return &node->message;
        }
    }
    return NULL;
}

void queue_finish(struct queue *q)
{
    struct ew_message message;
    while (queue_take(q, &message)) {
        ew_message_finish(&message);
    }
}
