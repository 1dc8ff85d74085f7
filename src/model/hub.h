/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models in the Hugging Face cache, as its own tools lay it out:
 *   HUB/models--ORG--NAME/refs/main        the commit that main stands at
 *   HUB/models--ORG--NAME/snapshots/COMMIT/config.json ...
 * HUB is $HF_HUB_CACHE, or $HF_HOME/hub, or huggingface/hub in the user's
 * cache folder. Nothing is ever fetched.
 */
#ifndef EW_MODEL_HUB_H
#define EW_MODEL_HUB_H

#include "edgewise/buf.h"
#include "edgewise/err.h"

/*
 * "org/name", "name", or either with "@" and a branch, tag or commit: the
 * folder of that snapshot; free() it. NULL when the cache has none; `err` then
 * says why, but is left alone for what may be no such name: one that is not
 * well formed, or "name" alone that the cache does not have.
 */
char *ew_hub_find(const char *name, struct ew_err *err);
/* What the cache has, sorted, as "org/a, org/b", at most a few. */
void ew_hub_list(struct ew_buf *out);
/*
 * The model's name for a folder in the cache: "name" of
 * ../models--org--name/snapshots/COMMIT; NULL elsewhere; free() it.
 */
char *ew_hub_name(const char *folder);

#endif
