/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FNV-1a, 64 bits: tells weights, tasks and rankings from others by accident,
 * not by intent.
 */
#ifndef EW_HASH_H
#define EW_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "edgewise/err.h"

EW_BEGIN_DECLS

#define EW_HASH_START UINT64_C(0xcbf29ce484222325)
enum { EW_HASH_HEX = 17 };

/* Go on with a hash, or begin with EW_HASH_START. */
uint64_t ew_hash(uint64_t hash, const void *bytes, size_t n);
/* 16 digits; returns out. */
char *ew_hash_hex(uint64_t hash, char out[EW_HASH_HEX]);

EW_END_DECLS

#endif
