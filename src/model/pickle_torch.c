/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few names that a state dict written by torch.save needs: ordered
 * dictionaries, tensors as views of storages, parameters. Any other name is
 * refused, so nothing that a file brings is ever run.
 */
#include <string.h>

#include "edgewise/mem.h"

#include "pickle_vm.h"

enum global {
    GLOBAL_DICT,
    GLOBAL_TENSOR,    /* _rebuild_tensor, _rebuild_tensor_v2 */
    GLOBAL_PARAMETER, /* _rebuild_parameter */
    GLOBAL_SIZE,
    GLOBAL_IGNORED, /* a value that we have no use for */
    GLOBAL_STORAGE,
};

static const struct {
    const char *module;
    const char *name;
    enum global global;
    int dtype; /* of a storage; -1: one that we cannot use */
    int size;
} globals[] = {
    {"collections", "OrderedDict", GLOBAL_DICT, 0, 0},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_tensor", GLOBAL_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_parameter", GLOBAL_PARAMETER, 0, 0},
    {"torch", "Size", GLOBAL_SIZE, 0, 0},
    {"torch", "device", GLOBAL_IGNORED, 0, 0},
    {"torch", "float32", GLOBAL_IGNORED, 0, 0},
    {"torch", "float16", GLOBAL_IGNORED, 0, 0},
    {"torch", "bfloat16", GLOBAL_IGNORED, 0, 0},
    {"torch", "FloatStorage", GLOBAL_STORAGE, EW_F32, 4},
    {"torch", "DoubleStorage", GLOBAL_STORAGE, EW_F64, 8},
    {"torch", "HalfStorage", GLOBAL_STORAGE, EW_F16, 2},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE, EW_BF16, 2},
    {"torch", "LongStorage", GLOBAL_STORAGE, EW_I64, 8},
    {"torch", "IntStorage", GLOBAL_STORAGE, EW_I32, 4},
    {"torch", "ByteStorage", GLOBAL_STORAGE, EW_U8, 1},
    {"torch", "BoolStorage", GLOBAL_STORAGE, EW_BOOL, 1},
    {"torch", "ShortStorage", GLOBAL_STORAGE, -1, 2},
    {"torch", "CharStorage", GLOBAL_STORAGE, -1, 1},
};

/* ---- names of classes and functions: all but a dozen are refused ---- */

bool ew_pickle_global(struct ew_pickle *p, const char *module, const char *name)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(globals); i++) {
        if (strcmp(module, globals[i].module) != 0 ||
            strcmp(name, globals[i].name) != 0) {
            continue;
        }
        struct ew_value *v = ew_pickle_make(p, EW_VALUE_GLOBAL);
        if (v) {
            v->number = globals[i].global;
            v->dtype =
                globals[i].dtype < 0 ? EW_U8 : (enum ew_dtype)globals[i].dtype;
            v->unreadable = globals[i].dtype < 0 ? globals[i].name : NULL;
            v->element_size = globals[i].size;
        }
        return ew_pickle_push(p, v);
    }
    return ew_fail(p->err, EW_ERR_INPUT,
                   "%s: refused: it names %.80s.%.80s, which no state dict "
                   "needs (nothing of it was run)",
                   p->file, module, name);
}

/* ---- calls ---- */

static bool read_extents(const struct ew_value *seq, int64_t *out, int *n)
{
    if (seq->kind != EW_VALUE_SEQ || seq->n_items > EW_MAX_DIMS) {
        return false;
    }
    for (size_t i = 0; i < seq->n_items; i++) {
        if (seq->items[i]->kind != EW_VALUE_INT || seq->items[i]->number < 0) {
            return false;
        }
        out[i] = seq->items[i]->number;
    }
    *n = (int)seq->n_items;
    return true;
}

/* (storage, offset, size, stride, ...) */
static struct ew_value *rebuild_tensor(struct ew_pickle *p,
                                       const struct ew_value *args)
{
    struct ew_value *v = ew_pickle_make(p, EW_VALUE_TENSOR);
    int n_strides = 0;
    if (!v) {
        return NULL;
    }
    if (args->n_items < 4 || args->items[0]->kind != EW_VALUE_STORAGE ||
        args->items[1]->kind != EW_VALUE_INT || args->items[1]->number < 0 ||
        !read_extents(args->items[2], v->shape, &v->ndim) ||
        !read_extents(args->items[3], v->stride, &n_strides) ||
        n_strides != v->ndim) {
        ew_pickle_broken(p, "a tensor that is none");
        return NULL;
    }
    v->storage = args->items[0];
    v->offset = args->items[1]->number;
    return v;
}

/* OrderedDict(), or OrderedDict([(key, value), ...]) */
static struct ew_value *make_dict(struct ew_pickle *p,
                                  const struct ew_value *args)
{
    struct ew_value *v = ew_pickle_make(p, EW_VALUE_DICT);
    const struct ew_value *pairs = args->n_items > 0 ? args->items[0] : NULL;
    for (size_t i = 0; v && pairs && i < pairs->n_items; i++) {
        const struct ew_value *pair = pairs->items[i];
        if (pair->kind != EW_VALUE_SEQ || pair->n_items != 2) {
            ew_pickle_broken(p, "a dictionary of something else than pairs");
            return NULL;
        }
        ew_value_append(v, pair->items[0]);
        ew_value_append(v, pair->items[1]);
    }
    return v;
}

bool ew_pickle_reduce(struct ew_pickle *p)
{
    const struct ew_value *args = ew_pickle_pop(p);
    const struct ew_value *what = args ? ew_pickle_pop(p) : NULL;
    struct ew_value *result = NULL;
    if (!what) {
        return false;
    }
    if (what->kind != EW_VALUE_GLOBAL || args->kind != EW_VALUE_SEQ) {
        return ew_pickle_broken(p, "a call of something that cannot be called");
    }
    switch ((enum global)what->number) {
    case GLOBAL_DICT:
        result = make_dict(p, args);
        break;
    case GLOBAL_TENSOR:
        result = rebuild_tensor(p, args);
        break;
    case GLOBAL_PARAMETER:
    case GLOBAL_SIZE:
        if (args->n_items == 0) {
            return ew_pickle_broken(p, "a call without arguments");
        }
        result = args->items[0];
        break;
    case GLOBAL_IGNORED:
        result = ew_pickle_make(p, EW_VALUE_NONE);
        break;
    case GLOBAL_STORAGE:
        return ew_pickle_broken(p, "a call of a storage");
    }
    return ew_pickle_push(p, result);
}

/* ("storage", type, key, location, elements, ...) */
bool ew_pickle_persistent(struct ew_pickle *p)
{
    const struct ew_value *id = ew_pickle_pop(p);
    if (!id) {
        return false;
    }
    if (id->kind != EW_VALUE_SEQ || id->n_items < 5 ||
        id->items[1]->kind != EW_VALUE_GLOBAL ||
        id->items[1]->number != GLOBAL_STORAGE ||
        id->items[2]->kind != EW_VALUE_TEXT ||
        id->items[4]->kind != EW_VALUE_INT || id->items[4]->number < 0) {
        return ew_pickle_broken(p, "a storage that is none");
    }
    if (id->n_items > 5 && id->items[5]->kind != EW_VALUE_NONE) {
        return ew_pickle_broken(p,
                                "a view of a storage, from torch 0.3 or older");
    }
    struct ew_value *v = ew_pickle_make(p, EW_VALUE_STORAGE);
    if (v) {
        v->text = ew_xstrdup(id->items[2]->text);
        v->number = id->items[4]->number;
        v->dtype = id->items[1]->dtype;
        v->unreadable = id->items[1]->unreadable;
        v->element_size = id->items[1]->element_size;
    }
    return ew_pickle_push(p, v);
}
