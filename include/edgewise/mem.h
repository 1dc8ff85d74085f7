/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small allocations, which never fail: out of memory ends the program with a
 * message, after the hook has had its chance to restore the terminal. What is
 * as large as weights or activations is a tensor and reports EW_ERR_NOMEM.
 */
#ifndef EW_MEM_H
#define EW_MEM_H

#include <stddef.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

/* `count * size` zeroed bytes, overflow checked; release with free(). */
void *ew_xcalloc(size_t count, size_t size);
/* As reallocarray; new bytes are undefined. */
void *ew_xrealloc(void *ptr, size_t count, size_t size);
char *ew_xstrdup(const char *text);
char *ew_xstrndup(const char *text, size_t len);
/* A new string from a format; release with free(). */
char *ew_xasprintf(const char *fmt, ...) EW_PRINTF(1, 2);

/* Called once, before the program ends for want of memory. */
void ew_set_oom_hook(void (*hook)(void));

/*
 * Make room for one more element in a growing array: doubles `*cap` when
 * `len` has reached it. `*array` is reallocated in place.
 */
void *ew_grow(void *array, size_t len, size_t *cap, size_t elem_size);

EW_END_DECLS

#endif
