/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the unpickler: its machine, and what the machine may call. */
#ifndef EW_MODEL_PICKLE_VM_H
#define EW_MODEL_PICKLE_VM_H

#include "pickle.h"

struct ew_pickle {
    const char *file;
    struct ew_value **values; /* all that were made, to be freed */
    size_t n_values;
    size_t cap_values;
    struct ew_value **stack;
    size_t n_stack;
    size_t cap_stack;
    struct ew_value **memo;
    size_t n_memo; /* slots allocated; unused ones are NULL */
    size_t n_memoized;
    const unsigned char *at;
    const unsigned char *end;
    struct ew_err *err;
};

/* False, with "file: broken pickle: what". */
bool ew_pickle_broken(struct ew_pickle *p, const char *what);
/* NULL (with the reason) only when there are far too many. */
struct ew_value *ew_pickle_make(struct ew_pickle *p, enum ew_value_kind kind);
/* False when `v` is NULL, its reason given already. */
bool ew_pickle_push(struct ew_pickle *p, struct ew_value *v);
/* NULL (with the reason) when the stack is empty or a mark is in the way. */
struct ew_value *ew_pickle_pop(struct ew_pickle *p);
void ew_value_append(struct ew_value *v, struct ew_value *item);

/* ---- what stands for classes and functions ---- */

/* Push what stands for module.name; refused unless it is on the list. */
bool ew_pickle_global(struct ew_pickle *p, const char *module,
                      const char *name);
bool ew_pickle_reduce(struct ew_pickle *p);
bool ew_pickle_persistent(struct ew_pickle *p);

#endif
