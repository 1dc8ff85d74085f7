/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any model that can be read -> a folder in TransformerLens's layout:
 * config.json in its fields and model.safetensors with its names, F32. One
 * parameter is in memory at a time. What the layout has no field for, the
 * scale of the embedding, goes into the weights.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "params.h"
#include "store.h"

/* A parameter to be written; its place in the list is its item's. */
struct place {
    const struct ew_param_row *row;
    int layer;
};

struct conversion {
    struct ew_loader loader;
    struct ew_weight *items; /* names are owned, data are none */
    struct place *places;
    size_t n;
};

static void list_parameters(struct conversion *c)
{
    const struct ew_arch *arch = &c->loader.config.arch;
    struct ew_param_cursor cursor = {0};
    size_t cap_items = 0;
    size_t cap_places = 0;
    while (ew_param_next(&cursor, arch)) {
        char name[128];
        ew_param_name(name, sizeof(name), cursor.row, cursor.layer);
        struct ew_weight item = {.name = ew_xstrdup(name), .dtype = EW_F32};
        item.ndim = ew_layout_shape(arch, cursor.row->layout, item.shape);
        c->items = ew_grow(c->items, c->n, &cap_items, sizeof(*c->items));
        c->places = ew_grow(c->places, c->n, &cap_places, sizeof(*c->places));
        c->items[c->n] = item;
        c->places[c->n++] = (struct place){cursor.row, cursor.layer};
    }
}

static bool fill(void *user, size_t i, float *out, struct ew_err *err)
{
    struct conversion *c = user;
    const struct ew_weight *item = &c->items[i];
    double scale = c->places[i].row->slot == EW_SLOT_W_E
                       ? c->loader.config.arch.embed_scale
                       : 1.0;
    size_t n = (size_t)ew_shape_numel(item->shape, item->ndim);
    struct ew_scope *s = ew_scope_open((struct ew_device){0});
    struct ew_tensor *t =
        ew_loader_give(&c->loader, s, c->places[i].row, c->places[i].layer);
    if (t) {
        ew_read_f32(s, scale != 1.0 ? ew_scale(s, t, scale) : t, out, n);
    } else {
        memset(out, 0, n * sizeof(*out)); /* a missing bias */
    }
    return ew_scope_finish(s, err);
}

static bool write_config(const struct ew_arch *arch, const char *path,
                         struct ew_err *err)
{
    json_t *object = ew_config_to_tl(arch);
    char *text = json_dumps(object, JSON_INDENT(1));
    json_decref(object);
    bool ok = ew_file_write(path, text, strlen(text), err);
    free(text);
    return ok;
}

/* The tokenizer's files as they are. */
static bool copy_tokenizer(const char *path, const char *folder,
                           struct ew_err *err)
{
    static const char *const names[] = {
        "tokenizer.json", "tokenizer_config.json",   "vocab.json",
        "merges.txt",     "special_tokens_map.json", "added_tokens.json",
    };
    char *from =
        ew_path_is_dir(path)
            ? ew_xstrdup(path)
            : ew_xasprintf("%.*s.", (int)(ew_path_base(path) - path), path);
    bool ok = true;
    for (size_t i = 0; ok && i < EW_ARRAY_LEN(names); i++) {
        struct ew_buf text = {0};
        char *source = ew_path_join(from, names[i]);
        char *target = ew_path_join(folder, names[i]);
        if (ew_path_is_file(source)) {
            ok = ew_file_read(&text, source, err) &&
                 ew_file_write(target, ew_buf_str(&text), text.len, err);
        }
        free(source);
        free(target);
        ew_buf_finish(&text);
    }
    free(from);
    return ok;
}

/* A folder of our own to write into: new, or without a model in it. */
static bool make_folder(const char *folder, const char *config,
                        struct ew_err *err)
{
    if (ew_path_is_file(config)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s is there already: expected a new folder", config);
    }
    if (mkdir(folder, 0777) < 0 && errno != EEXIST) {
        return ew_fail(err, EW_ERR_IO, "%s: %s", folder, strerror(errno));
    }
    return true;
}

static void finish(struct conversion *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free((char *)c->items[i].name);
    }
    free(c->items);
    free(c->places);
    ew_weights_close(c->loader.files);
}

bool ew_model_convert(const char *path, const char *folder, struct ew_err *err)
{
    struct conversion c = {0};
    const struct ew_filler filler = {fill, &c};
    if (!ew_loader_open(&c.loader, path, err)) {
        return false;
    }
    char *config = ew_path_join(folder, "config.json");
    char *weights = ew_path_join(folder, "model.safetensors");
    list_parameters(&c);
    /* the config comes last: without it nothing is taken for a model */
    bool ok = make_folder(folder, config, err) &&
              ew_store_write(weights, c.items, c.n, &filler, err) &&
              copy_tokenizer(path, folder, err) &&
              write_config(&c.loader.config.arch, config, err);
    free(config);
    free(weights);
    finish(&c);
    return ok;
}
