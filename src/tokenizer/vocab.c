/* SPDX-License-Identifier: Apache-2.0 */
/* One text arena, an open-addressing hash over it, and an array by id. */
#include "vocab.h"

#include <stdlib.h>
#include <string.h>

#include "edgewise/hash.h"
#include "edgewise/mem.h"

/* Finished so that the low bits depend on all of it. */
static uint64_t hash_bytes(const char *text, size_t len)
{
    uint64_t h = ew_hash(EW_HASH_START, text, len);
    return h ^ (h >> 29);
}

/* The slot that holds the text, or the empty one where it belongs. */
static uint32_t *slot_of(const struct vocab *v, const char *text, size_t len)
{
    size_t at = hash_bytes(text, len) & (v->n_slots - 1);
    for (;; at = (at + 1) & (v->n_slots - 1)) {
        if (v->slots[at] == 0) {
            return &v->slots[at];
        }
        const struct vocab_entry *e = &v->entries[v->slots[at] - 1];
        if (e->len == len && memcmp(v->text.data + e->offset, text, len) == 0) {
            return &v->slots[at];
        }
    }
}

static void grow_slots(struct vocab *v)
{
    if (v->n_slots > 2 * v->n_entries) {
        return;
    }
    v->n_slots = v->n_slots ? 2 * v->n_slots : 1024;
    free(v->slots);
    v->slots = ew_xcalloc(v->n_slots, sizeof(*v->slots));
    for (size_t i = 0; i < v->n_entries; i++) {
        const struct vocab_entry *e = &v->entries[i];
        *slot_of(v, v->text.data + e->offset, e->len) = (uint32_t)i + 1;
    }
}

static void put_id(struct vocab *v, size_t id, size_t entry)
{
    if (id >= v->cap_ids) {
        size_t cap = v->cap_ids ? v->cap_ids : 1024;
        while (cap <= id) {
            cap *= 2;
        }
        v->by_id = ew_xrealloc(v->by_id, cap, sizeof(*v->by_id));
        memset(v->by_id + v->cap_ids, 0,
               (cap - v->cap_ids) * sizeof(*v->by_id));
        v->cap_ids = cap;
    }
    v->by_id[id] = (uint32_t)entry + 1;
    v->n_ids = id + 1 > v->n_ids ? id + 1 : v->n_ids;
}

bool vocab_add(struct vocab *v, const char *text, size_t len, int64_t id)
{
    if (id < 0 || id >= VOCAB_MAX_ID || len > UINT32_MAX) {
        return false;
    }
    grow_slots(v);
    uint32_t *slot = slot_of(v, text, len);
    if (*slot == 0) {
        v->entries = ew_grow(v->entries, v->n_entries, &v->cap_entries,
                             sizeof(*v->entries));
        v->entries[v->n_entries] =
            (struct vocab_entry){.offset = v->text.len, .len = (uint32_t)len};
        ew_buf_add_n(&v->text, text, len);
        *slot = (uint32_t)++v->n_entries;
    }
    v->entries[*slot - 1].id = (uint32_t)id;
    put_id(v, (size_t)id, *slot - 1);
    return true;
}

int64_t vocab_find(const struct vocab *v, const char *text, size_t len)
{
    if (v->n_slots == 0) {
        return -1;
    }
    uint32_t slot = *slot_of(v, text, len);
    return slot ? (int64_t)v->entries[slot - 1].id : -1;
}

bool vocab_text(const struct vocab *v, int64_t id, struct span *out)
{
    if (id < 0 || (size_t)id >= v->n_ids || v->by_id[id] == 0) {
        return false;
    }
    const struct vocab_entry *e = &v->entries[v->by_id[id] - 1];
    *out = (struct span){.ptr = v->text.data + e->offset, .len = e->len};
    return true;
}

void vocab_finish(struct vocab *v)
{
    ew_buf_finish(&v->text);
    free(v->entries);
    free(v->slots);
    free(v->by_id);
    *v = (struct vocab){0};
}
