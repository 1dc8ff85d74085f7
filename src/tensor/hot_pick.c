/* SPDX-License-Identifier: Apache-2.0 */
/* Which build of hot.c this machine runs. */
#include "hot.h"

extern const struct ew_hot ew_hot_base;

#ifdef EW_HOT_X86
extern const struct ew_hot ew_hot_avx2;
extern const struct ew_hot ew_hot_avx512;
#endif

const struct ew_hot *ew_hot_pick(void)
{
#ifdef EW_HOT_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        return &ew_hot_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return &ew_hot_avx2;
    }
#endif
    return &ew_hot_base;
}
