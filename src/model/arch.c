/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the user typed to a description of the architecture: where the
 * config is, which layout it is in, and what the model is called.
 */
#include "edgewise/arch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/buf.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "config.h"
#include "family.h"
#include "hub.h"

/* config.json for a folder, itself, or one beside a weights file; free(). */
static char *config_path(const char *path)
{
    if (ew_path_is_dir(path)) {
        return ew_path_join(path, "config.json");
    }
    if (strcmp(ew_path_ext(path), "json") == 0) {
        return ew_xstrdup(path);
    }
    size_t dir = (size_t)(ew_path_base(path) - path);
    return ew_xasprintf("%.*sconfig.json", (int)dir, path);
}

/* The model's folder gives its name; the file may be a link to elsewhere. */
static void set_name(struct ew_arch *arch, const char *config)
{
    size_t len = (size_t)(ew_path_base(config) - config);
    char *folder = len ? ew_xstrndup(config, len) : ew_xstrdup(".");
    char *real = realpath(folder, NULL);
    char *cached = real ? ew_hub_name(real) : NULL;
    snprintf(arch->name, sizeof(arch->name), "%s",
             cached ? cached
             : real ? ew_path_base(real)
                    : "model");
    free(cached);
    free(real);
    free(folder);
}

/* Which layout: n_layers is TransformerLens's, model_type Hugging Face's. */
static void read_layout(struct ew_config *config, struct ew_fields *f)
{
    if (ew_field_has(f, "n_layers") || !ew_field_has(f, "model_type")) {
        ew_config_tl(config, f);
        return;
    }
    config->family = ew_family_find(f);
    if (config->family) {
        config->family->read_config(config, f);
    }
}

bool ew_config_load(struct ew_config *config, const char *path,
                    struct ew_err *err)
{
    *config = (struct ew_config){0};
    if (!ew_path_is_dir(path) && !ew_path_is_file(path)) {
        return ew_fail(err, EW_ERR_IO, "%s: no such file or folder", path);
    }
    char *file = config_path(path);
    json_t *root = ew_json_load(file, err);
    bool ok = false;
    if (!root) {
        goto out;
    }
    if (!json_is_object(root)) {
        ew_fail(err, EW_ERR_INPUT, "%s: expected an object, found %s", file,
                ew_json_kind(root));
        goto out;
    }
    struct ew_fields fields = {.object = root, .file = file, .err = err};
    read_layout(config, &fields);
    set_name(&config->arch, file);
    ok = !fields.failed;
out:
    json_decref(root);
    free(file);
    return ok;
}

bool ew_arch_load(struct ew_arch *arch, const char *path, struct ew_err *err)
{
    struct ew_config config;
    bool ok = ew_config_load(&config, path, err);
    *arch = config.arch;
    return ok;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

/* The bundled models' names, sorted, as "a, b"; "" when there are none. */
static void list_bundled(struct ew_buf *out)
{
    char *folder = ew_asset_path("models");
    DIR *dir = folder ? opendir(folder) : NULL;
    char **names = NULL;
    size_t n = 0;
    size_t cap = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.') {
            names = ew_grow(names, n, &cap, sizeof(*names));
            names[n++] = ew_xstrdup(e->d_name);
        }
    }
    if (n > 0) {
        qsort(names, n, sizeof(*names), by_text);
    }
    for (size_t i = 0; i < n; i++) {
        ew_buf_printf(out, "%s%s", i ? ", " : "", names[i]);
        free(names[i]);
    }
    free(names);
    if (dir) {
        closedir(dir);
    }
    free(folder);
}

static void no_such_model(const char *name, struct ew_err *err)
{
    struct ew_buf bundled = {0};
    struct ew_buf cached = {0};
    list_bundled(&bundled);
    ew_hub_list(&cached);
    ew_fail(err, EW_ERR_INPUT,
            "%s: no such model: expected a folder, a file or one of the "
            "bundled models: %s%s%s",
            name, bundled.len ? ew_buf_str(&bundled) : "(none found)",
            cached.len ? "; or of the Hugging Face cache: " : "",
            ew_buf_str(&cached));
    ew_buf_finish(&bundled);
    ew_buf_finish(&cached);
}

char *ew_model_locate(const char *name, struct ew_err *err)
{
    if (ew_path_is_dir(name) || ew_path_is_file(name)) {
        return ew_xstrdup(name);
    }
    char *path = NULL;
    if (*name && !strchr(name, '/') && name[0] != '.') {
        char *asset = ew_path_join("models", name);
        path = ew_asset_path(asset);
        free(asset);
    }
    struct ew_err why = {0};
    if (!path) {
        path = ew_hub_find(name, &why);
    }
    if (!path && why.code != EW_OK) {
        ew_fail(err, why.code, "%s", why.message);
    } else if (!path) {
        no_such_model(name, err);
    }
    return path;
}
