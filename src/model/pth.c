/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State dicts as torch.save writes them. Two containers:
 *
 * - a zip archive with NAME/data.pkl, a pickle of the dictionary, and
 *   NAME/data/KEY, the bytes of each storage;
 * - before torch 1.6, pickles one after the other (a magic number, a version,
 *   the machine, the dictionary, the list of keys) and then, for each key,
 *   the number of elements and the bytes.
 *
 * A tensor is a view of a storage; one that is not row-major is copied into
 * order. The dictionary may lie inside a checkpoint's.
 */
#include <stdlib.h>
#include <string.h>

#ifdef EW_HAVE_ZIP
#include <zip.h>
#endif

#include "edgewise/mem.h"

#include "pickle.h"
#include "store.h"

/* Bytes of one; and values that are looked at in search of the tensors, for
 * a dictionary may hold itself. */
enum { MAX_PICKLE = 256 << 20, MOST_VISITS = 20000000 };

/* A storage's bytes, found once. */
struct block {
    const char *key;
    const unsigned char *bytes;
    uint64_t size;
};

struct pth {
    struct ew_weights *w;
    const char *file; /* owned by w */
    struct ew_pickle *pickle;
    struct block *blocks;
    size_t n_blocks;
    size_t cap_blocks;
#ifdef EW_HAVE_ZIP
    zip_t *zip; /* NULL: the older format, all blocks are known */
#endif
    char *prefix; /* "NAME/" in the archive */
    long budget;  /* of visits */
    struct ew_err *err;
};

static const struct block *add_block(struct pth *p, const char *key,
                                     const unsigned char *bytes, uint64_t size)
{
    p->blocks =
        ew_grow(p->blocks, p->n_blocks, &p->cap_blocks, sizeof(*p->blocks));
    p->blocks[p->n_blocks] = (struct block){key, bytes, size};
    return &p->blocks[p->n_blocks++];
}

/* ---- the archive ---- */

#ifdef EW_HAVE_ZIP
/* An entry's first `want` bytes (all of it: SIZE_MAX), owned by w. */
static unsigned char *read_entry(struct pth *p, const char *name, uint64_t want,
                                 uint64_t *size)
{
    zip_stat_t stat;
    zip_file_t *entry = NULL;
    unsigned char *bytes = NULL;
    if (zip_stat(p->zip, name, 0, &stat) != 0 ||
        !(stat.valid & ZIP_STAT_SIZE)) {
        ew_fail(p->err, EW_ERR_INPUT, "%s: %s is not in the archive", p->file,
                name);
        return NULL;
    }
    *size = want == SIZE_MAX ? stat.size : want;
    if (stat.size < *size) {
        ew_fail(p->err, EW_ERR_INPUT, "%s: %s: expected %llu bytes, found %llu",
                p->file, name, (unsigned long long)*size,
                (unsigned long long)stat.size);
        return NULL;
    }
    entry = zip_fopen(p->zip, name, 0);
    bytes = malloc(*size ? (size_t)*size : 1);
    if (!bytes) {
        ew_fail(p->err, EW_ERR_NOMEM, "%s: %s: no memory for %llu bytes",
                p->file, name, (unsigned long long)*size);
    } else if (!entry || zip_fread(entry, bytes, *size) != (zip_int64_t)*size) {
        ew_fail(p->err, EW_ERR_INPUT, "%s: %s cannot be read: %s", p->file,
                name, zip_strerror(p->zip));
        free(bytes);
        bytes = NULL;
    } else {
        ew_store_own(p->w, bytes);
    }
    if (entry) {
        zip_fclose(entry);
    }
    return bytes;
}

/* The folder of data.pkl inside the archive. */
static bool find_prefix(struct pth *p)
{
    static const char wanted[] = "data.pkl";
    zip_int64_t n = zip_get_num_entries(p->zip, 0);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(p->zip, (zip_uint64_t)i, 0);
        size_t len = name ? strlen(name) : 0;
        size_t tail = sizeof(wanted) - 1;
        if (len >= tail && strcmp(name + len - tail, wanted) == 0 &&
            (len == tail || name[len - tail - 1] == '/')) {
            p->prefix = ew_xstrndup(name, len - tail);
            return true;
        }
    }
    return ew_fail(p->err, EW_ERR_INPUT,
                   "%s: not written by torch.save: the archive holds no "
                   "data.pkl",
                   p->file);
}

/* Written on a machine that orders bytes as this one does. */
static bool check_byte_order(struct pth *p)
{
    char *name = ew_xasprintf("%sbyteorder", p->prefix);
    bool ok = true;
    if (zip_name_locate(p->zip, name, 0) >= 0) {
        uint64_t size;
        unsigned char *bytes = read_entry(p, name, SIZE_MAX, &size);
        ok = bytes != NULL;
        if (ok && (size != 6 || memcmp(bytes, "little", 6) != 0)) {
            ok = ew_fail(p->err, EW_ERR_INPUT,
                         "%s: byteorder: only little is read", p->file);
        }
    }
    free(name);
    return ok;
}

static const struct block *
block_from_zip(struct pth *p, const struct ew_value *storage, uint64_t want)
{
    char *name = ew_xasprintf("%sdata/%s", p->prefix, storage->text);
    uint64_t size;
    unsigned char *bytes = read_entry(p, name, want, &size);
    free(name);
    return bytes ? add_block(p, storage->text, bytes, size) : NULL;
}

static const struct ew_value *open_zip(struct pth *p)
{
    int code = 0;
    p->zip = zip_open(p->file, ZIP_RDONLY, &code);
    if (!p->zip) {
        ew_fail(p->err, EW_ERR_INPUT, "%s: not a whole zip archive", p->file);
        return NULL;
    }
    if (!find_prefix(p) || !check_byte_order(p)) {
        return NULL;
    }
    char *name = ew_xasprintf("%sdata.pkl", p->prefix);
    uint64_t size;
    size_t used;
    zip_stat_t stat;
    const unsigned char *bytes = NULL;
    if (zip_stat(p->zip, name, 0, &stat) == 0 && stat.size > MAX_PICKLE) {
        ew_fail(p->err, EW_ERR_INPUT, "%s: data.pkl is too large", p->file);
    } else {
        bytes = read_entry(p, name, SIZE_MAX, &size);
    }
    free(name);
    return bytes ? ew_pickle_read(p->pickle, bytes, size, &used, p->err) : NULL;
}
#endif

/* ---- the older format ---- */

static const unsigned char legacy_magic[] = {
    0x80, 0x02, 0x8a, 0x0a, 'l', 0xfc, 0x9c, 'F',
    0xf9, ' ',  'j',  0xa8, 'P', 0x19, '.',
};

/* Element size of the storage called `key`, anywhere below `v`; 0: none. */
static int element_size(struct pth *p, const struct ew_value *v,
                        const char *key, int depth)
{
    if (p->budget-- <= 0) {
        return 0;
    }
    if (v->kind == EW_VALUE_TENSOR) {
        return strcmp(v->storage->text, key) == 0 ? v->storage->element_size
                                                  : 0;
    }
    for (size_t i = 0; i < v->n_items && depth < 8; i++) {
        int size = element_size(p, v->items[i], key, depth + 1);
        if (size > 0) {
            return size;
        }
    }
    return 0;
}

/* The blocks behind the pickles, in the order of the list of keys. */
static bool find_legacy_blocks(struct pth *p, const struct ew_value *root,
                               const struct ew_value *keys,
                               const unsigned char *at,
                               const unsigned char *end)
{
    if (keys->kind != EW_VALUE_SEQ) {
        return ew_fail(p->err, EW_ERR_INPUT,
                       "%s: expected the list of storages, found %s", p->file,
                       ew_value_kind_name(keys));
    }
    for (size_t i = 0; i < keys->n_items; i++) {
        const char *key = keys->items[i]->text;
        int size = key ? element_size(p, root, key, 0) : 0;
        uint64_t n = 0;
        if (size == 0 || end - at < 8) {
            return ew_fail(p->err, EW_ERR_INPUT,
                           "%s: cut short, or a storage that nothing uses",
                           p->file);
        }
        for (int b = 7; b >= 0; b--) {
            n = n << 8 | at[b];
        }
        at += 8;
        if (n > (uint64_t)(end - at) / (unsigned)size) {
            return ew_fail(p->err, EW_ERR_INPUT,
                           "%s: cut short: storage %s should have %llu "
                           "elements",
                           p->file, key, (unsigned long long)n);
        }
        add_block(p, key, at, n * (unsigned)size);
        at += n * (unsigned)size;
    }
    return true;
}

static const struct ew_value *open_legacy(struct pth *p,
                                          const struct ew_map *map)
{
    const unsigned char *at = map->base;
    const unsigned char *end = map->base + map->size;
    const struct ew_value *part[5];
    struct ew_pickle *const pickle = p->pickle;
    /* magic, version, machine, dictionary, keys */
    for (size_t i = 0; i < EW_ARRAY_LEN(part); i++) {
        size_t used = 0;
        part[i] = ew_pickle_read(pickle, at, (size_t)(end - at), &used, p->err);
        if (!part[i]) {
            return NULL;
        }
        at += used;
    }
    return find_legacy_blocks(p, part[3], part[4], at, end) ? part[3] : NULL;
}

/* ---- tensors ---- */

static const struct block *find_block(struct pth *p,
                                      const struct ew_value *storage)
{
    for (size_t i = 0; i < p->n_blocks; i++) {
        if (strcmp(p->blocks[i].key, storage->text) == 0) {
            return &p->blocks[i];
        }
    }
#ifdef EW_HAVE_ZIP
    uint64_t size = (uint64_t)storage->element_size;
    if (p->zip && (uint64_t)storage->number <= UINT64_MAX / 16) {
        return block_from_zip(p, storage, (uint64_t)storage->number * size);
    }
#endif
    ew_fail(p->err, EW_ERR_INPUT, "%s: storage %s is missing", p->file,
            storage->text);
    return NULL;
}

static bool is_row_major(const struct ew_value *t)
{
    int64_t step = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != step) {
            return false;
        }
        step *= t->shape[i];
    }
    return true;
}

/* Index of the last element in the storage, -1 when it overflows. */
static int64_t last_index(const struct ew_value *t)
{
    int64_t last = t->offset;
    for (int i = 0; i < t->ndim; i++) {
        int64_t steps = t->shape[i] - 1;
        if (t->stride[i] > 0 && steps > (INT64_MAX - last) / t->stride[i]) {
            return -1;
        }
        last += steps * t->stride[i];
    }
    return last;
}

/* Row-major copy of a strided tensor of `n` elements, owned by w. */
static const void *in_order(struct pth *p, const struct ew_value *t,
                            const unsigned char *base, int64_t n)
{
    size_t size = (size_t)t->storage->element_size;
    unsigned char *out = ew_store_own(p->w, malloc((size_t)n * size));
    int64_t index[EW_MAX_DIMS] = {0};
    for (int64_t i = 0; out && i < n; i++) {
        int64_t at = t->offset;
        for (int d = 0; d < t->ndim; d++) {
            at += index[d] * t->stride[d];
        }
        memcpy(out + (size_t)i * size, base + (size_t)at * size, size);
        for (int d = t->ndim - 1; d >= 0 && ++index[d] == t->shape[d]; d--) {
            index[d] = 0;
        }
    }
    if (!out) {
        ew_fail(p->err, EW_ERR_NOMEM, "%s: no memory for a tensor", p->file);
    }
    return out;
}

static bool add_tensor(struct pth *p, const char *name,
                       const struct ew_value *t)
{
    struct ew_weight item = {
        .file = p->file,
        .dtype = t->storage->dtype,
        .unreadable = t->storage->unreadable,
        .ndim = t->ndim,
    };
    memcpy(item.shape, t->shape, sizeof(item.shape));
    item.name = ew_store_own(p->w, ew_xstrdup(name));
    int64_t n = ew_shape_numel(item.shape, item.ndim);
    int64_t last = n > 0 ? last_index(t) : t->offset - 1;
    if (n < 0 || last >= t->storage->number || (n > 0 && last < 0)) {
        return ew_fail(p->err, EW_ERR_INPUT,
                       "%s: tensor %s: it reaches beyond its storage of %lld "
                       "elements",
                       p->file, name, (long long)t->storage->number);
    }
    const struct block *block = find_block(p, t->storage);
    if (!block) {
        return ew_fail_prefix(p->err, "tensor %s", name);
    }
    uint64_t size = (uint64_t)t->storage->element_size;
    if ((uint64_t)n > block->size / size) {
        return ew_fail(p->err, EW_ERR_INPUT,
                       "%s: tensor %s: larger than its storage (expanded "
                       "tensors are not read)",
                       p->file, name);
    }
    if ((uint64_t)(last + 1) > block->size / size) {
        return ew_fail(p->err, EW_ERR_INPUT,
                       "%s: tensor %s: its storage is cut short", p->file,
                       name);
    }
    if (n == 0) {
        item.data = block->bytes;
    } else if (is_row_major(t)) {
        item.data = block->bytes + (uint64_t)t->offset * size;
    } else {
        item.data = in_order(p, t, block->bytes, n);
    }
    if (!item.data) {
        return false;
    }
    ew_store_add(p->w, &item);
    return true;
}

/* ---- which dictionary ---- */

static size_t count_tensors(const struct ew_value *dict)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < dict->n_items; i += 2) {
        n += dict->items[i]->kind == EW_VALUE_TEXT &&
             dict->items[i + 1]->kind == EW_VALUE_TENSOR;
    }
    return n;
}

/* The dictionary with most tensors, *most, down to `depth` levels. */
static const struct ew_value *find_state_dict(struct pth *p,
                                              const struct ew_value *v,
                                              int depth, size_t *most)
{
    *most = 0;
    if (v->kind != EW_VALUE_DICT || p->budget <= 0) {
        return NULL;
    }
    p->budget -= 1 + (long)v->n_items;
    *most = count_tensors(v);
    const struct ew_value *best = *most ? v : NULL;
    for (size_t i = 1; i < v->n_items && depth > 0; i += 2) {
        size_t n;
        const struct ew_value *found =
            find_state_dict(p, v->items[i], depth - 1, &n);
        if (n > *most) {
            best = found;
            *most = n;
        }
    }
    return best;
}

/* What wrappers (DataParallel, compile) put before every name. */
static size_t wrapper_length(const struct ew_value *dict)
{
    static const char *const wrappers[] = {"module.", "_orig_mod."};
    for (size_t k = 0; k < EW_ARRAY_LEN(wrappers); k++) {
        size_t len = strlen(wrappers[k]);
        bool all = true;
        for (size_t i = 0; all && i + 1 < dict->n_items; i += 2) {
            all = dict->items[i + 1]->kind != EW_VALUE_TENSOR ||
                  (dict->items[i]->kind == EW_VALUE_TEXT &&
                   strncmp(dict->items[i]->text, wrappers[k], len) == 0);
        }
        if (all) {
            return len;
        }
    }
    return 0;
}

static bool add_state_dict(struct pth *p, const struct ew_value *root)
{
    size_t n;
    const struct ew_value *dict = find_state_dict(p, root, 3, &n);
    if (!dict) {
        return ew_fail(p->err, EW_ERR_INPUT,
                       "%s: expected a dictionary of tensors, found %s%s",
                       p->file, ew_value_kind_name(root),
                       root->kind == EW_VALUE_DICT ? " without any" : "");
    }
    size_t skip = wrapper_length(dict);
    for (size_t i = 0; i + 1 < dict->n_items; i += 2) {
        const struct ew_value *key = dict->items[i];
        const struct ew_value *t = dict->items[i + 1];
        if (key->kind == EW_VALUE_TEXT && t->kind == EW_VALUE_TENSOR &&
            !add_tensor(p, key->text + skip, t)) {
            return false;
        }
    }
    return true;
}

bool ew_pth_read(struct ew_weights *w, const char *path, struct ew_err *err)
{
    struct ew_map map;
    if (!ew_store_map(w, path, &map, err)) {
        return false;
    }
    struct pth p = {
        .w = w,
        .file = ew_store_own(w, ew_xstrdup(path)),
        .budget = MOST_VISITS,
        .err = err,
    };
    p.pickle = ew_pickle_create(p.file);
    const struct ew_value *root = NULL;
    if (map.size >= sizeof(legacy_magic) &&
        memcmp(map.base, legacy_magic, sizeof(legacy_magic)) == 0) {
        root = open_legacy(&p, &map);
    } else if (map.size >= 4 && memcmp(map.base, "PK\3\4", 4) == 0) {
#ifdef EW_HAVE_ZIP
        root = open_zip(&p);
#else
        ew_fail(err, EW_ERR_INPUT, "%s: built without libzip", path);
#endif
    } else {
        ew_fail(err, EW_ERR_INPUT, "%s: not written by torch.save", path);
    }
    bool ok = root && add_state_dict(&p, root);
#ifdef EW_HAVE_ZIP
    if (p.zip) {
        zip_discard(p.zip);
    }
#endif
    ew_pickle_destroy(p.pickle);
    free(p.blocks);
    free(p.prefix);
    return ok;
}
