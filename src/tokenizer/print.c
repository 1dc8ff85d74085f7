/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes for the screen: nothing printed here moves a cursor or is invisible. */
#include <utf8proc.h>

#include "impl.h"

static bool printable(int32_t code)
{
    if (code < 0) {
        return false;
    }
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC: /* control */
    case UTF8PROC_CATEGORY_CF: /* format: direction marks, joiners */
    case UTF8PROC_CATEGORY_CN: /* unassigned */
    case UTF8PROC_CATEGORY_CO: /* private use */
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

void print_bytes(struct ew_buf *out, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        int32_t code;
        size_t n = char_at(bytes + at, len - at, &code);
        if (printable(code)) {
            ew_buf_add_n(out, bytes + at, n);
        } else if (code == '\n' || code == '\t' || code == '\r') {
            ew_buf_add(out, code == '\n'   ? "\\n"
                            : code == '\t' ? "\\t"
                                           : "\\r");
        } else {
            for (size_t i = 0; i < n; i++) {
                ew_buf_printf(out, "\\x%02X", (unsigned char)bytes[at + i]);
            }
        }
        at += n;
    }
}
