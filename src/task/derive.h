/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers told from a prompt's own text, for files whose answer ids belong to
 * another model's vocabulary.
 */
#ifndef EW_TASK_DERIVE_H
#define EW_TASK_DERIVE_H

#include <stdbool.h>
#include <stddef.h>

struct derived_word { /* bytes of the text */
    size_t start;
    size_t len;
};

/*
 * Indirect object: two names "X and Y" of which one, the subject, comes again
 * behind them: S1 and S2; the other is IO.
 */
struct derived_ioi {
    struct derived_word io;
    struct derived_word s1;
    struct derived_word s2;
};

bool derive_ioi(const char *text, struct derived_ioi *out);

/*
 * Greater-than: a year "1741" and, at the end of the text, its century "17".
 * *yy is 41; *xx_end and *yy_end are the bytes behind "17" and "1741".
 */
bool derive_year(const char *text, int *yy, size_t *xx_end, size_t *yy_end);

#endif
