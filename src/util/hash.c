/* SPDX-License-Identifier: Apache-2.0 */
/* Fowler, Noll and Vo's hash, 1a. */
#include "edgewise/hash.h"

#include <stdio.h>

uint64_t ew_hash(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

char *ew_hash_hex(uint64_t hash, char out[EW_HASH_HEX])
{
    snprintf(out, EW_HASH_HEX, "%016llx", (unsigned long long)hash);
    return out;
}
