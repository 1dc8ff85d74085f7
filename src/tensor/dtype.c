/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of element types: for the forwarder and the module alike. */
#include "edgewise/tensor.h"

size_t ew_dtype_size(enum ew_dtype dtype)
{
    switch (dtype) {
    case EW_F64:
    case EW_I64:
        return 8;
    case EW_F32:
    case EW_I32:
        return 4;
    case EW_F16:
    case EW_BF16:
        return 2;
    case EW_U8:
    case EW_BOOL:
        break;
    }
    return 1;
}
