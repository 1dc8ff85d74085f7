/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mailbox: a queue under a lock, and a pipe that holds one byte exactly
 * while the queue is not empty, so that poll() sees what the queue says.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "edgewise/jobs.h"
#include "edgewise/mem.h"

#include "queue.h"

struct ew_mailbox {
    pthread_mutex_t lock; /* guards all below */
    struct queue waiting;
    int read_fd;
    int write_fd;
};

void ew_message_finish(struct ew_message *message)
{
    if (message->free_body) {
        message->free_body(message->body);
    } else {
        free(message->body);
    }
    *message = (struct ew_message){0};
}

struct ew_mailbox *ew_mailbox_create(void)
{
    int ends[2];
    if (pipe(ends) < 0) {
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    struct ew_mailbox *box = ew_xcalloc(1, sizeof(*box));
    pthread_mutex_init(&box->lock, NULL);
    box->read_fd = ends[0];
    box->write_fd = ends[1];
    return box;
}

void ew_mailbox_destroy(struct ew_mailbox *box)
{
    if (!box) {
        return;
    }
    queue_finish(&box->waiting);
    close(box->read_fd);
    close(box->write_fd);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

/* Move one byte in or out; the lock is held. */
static void set_readable(struct ew_mailbox *box, bool on)
{
    char byte = 0;
    ssize_t n;
    do {
        n = on ? write(box->write_fd, &byte, 1) : read(box->read_fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
}

/* The lock is held. */
static void put(struct ew_mailbox *box, struct ew_message message)
{
    bool wake = queue_empty(&box->waiting);
    queue_put(&box->waiting, message);
    if (wake) {
        set_readable(box, true);
    }
}

void ew_mailbox_post(struct ew_mailbox *box, struct ew_message message)
{
    pthread_mutex_lock(&box->lock);
    put(box, message);
    pthread_mutex_unlock(&box->lock);
}

void ew_mailbox_post_latest(struct ew_mailbox *box, struct ew_message message)
{
    struct ew_message old = {0};
    pthread_mutex_lock(&box->lock);
    struct ew_message *unread = queue_find(&box->waiting, message.kind);
    if (unread) {
        old = *unread;
        *unread = message;
    } else {
        put(box, message);
    }
    pthread_mutex_unlock(&box->lock);
    ew_message_finish(&old); /* free_body may be slow or post in turn */
}

bool ew_mailbox_take(struct ew_mailbox *box, struct ew_message *out)
{
    pthread_mutex_lock(&box->lock);
    bool found = queue_take(&box->waiting, out);
    if (found && queue_empty(&box->waiting)) {
        set_readable(box, false);
    }
    pthread_mutex_unlock(&box->lock);
    return found;
}

int ew_mailbox_fd(const struct ew_mailbox *box)
{
    return box->read_fd;
}
