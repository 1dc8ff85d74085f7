/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the program's own files are. The build tree is recognised by the
 * running program's path, so that an uninstalled program uses the source
 * tree's assets and an installed one never does.
 */
#include "edgewise/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgewise/mem.h"

#include "config.h"

char *ew_path_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);
    const char *slash = len && dir[len - 1] == '/' ? "" : "/";
    return ew_xasprintf("%s%s%s", dir, slash, name);
}

bool ew_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool ew_path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

const char *ew_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *ew_path_ext(const char *path)
{
    const char *base = ew_path_base(path);
    const char *dot = strrchr(base, '.');
    return dot && dot != base ? dot + 1 : "";
}

/* Folder of the running program, or NULL; free() it. */
static char *program_dir(void)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (len <= 0) {
        return NULL;
    }
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    if (slash) {
        *slash = '\0';
    }
    return ew_xstrdup(path);
}

static bool starts_with_dir(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

/* dir/name when it is there; otherwise NULL. */
static char *existing(const char *dir, const char *name)
{
    char *path = ew_path_join(dir, name);
    if (access(path, R_OK) == 0) {
        return path;
    }
    free(path);
    return NULL;
}

/*
 * First match of `name` in $env, the build or source tree `in_tree`, the
 * folder `rel` of the prefix that the program runs from, and `configured`.
 */
static char *find(const char *name, const char *env, const char *in_tree,
                  const char *rel, const char *configured)
{
    const char *dir = getenv(env);
    char *found = dir && *dir ? existing(dir, name) : NULL;
    char *program = program_dir();
    if (!found && program && starts_with_dir(program, EW_BUILD_DIR)) {
        found = existing(in_tree, name);
    }
    size_t bin = strlen(EW_BINDIR_REL);
    size_t len = program ? strlen(program) : 0;
    if (!found && len > bin + 1 &&
        strcmp(program + len - bin, EW_BINDIR_REL) == 0) {
        program[len - bin - 1] = '\0'; /* the prefix */
        char *base = ew_path_join(program, rel);
        found = existing(base, name);
        free(base);
    }
    if (!found) {
        found = existing(configured, name);
    }
    free(program);
    return found;
}

char *ew_asset_path(const char *name)
{
    return find(name, "EDGEWISE_ASSETS", EW_SOURCE_DIR "/assets",
                EW_DATADIR_REL, EW_DATADIR);
}

char *ew_module_path(const char *name)
{
    return find(name, "EDGEWISE_MODULES", EW_BUILD_DIR "/src/tensor",
                EW_MODULEDIR_REL, EW_MODULEDIR);
}

char *ew_xdg_path(enum ew_xdg which, const char *name)
{
    static const struct {
        const char *env;
        const char *home;
    } folders[] = {
        [EW_XDG_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
        [EW_XDG_STATE] = {"XDG_STATE_HOME", ".local/state"},
        [EW_XDG_CACHE] = {"XDG_CACHE_HOME", ".cache"},
    };
    const char *base = getenv(folders[which].env);
    if (base && *base == '/') {
        return ew_xasprintf("%s/edgewise/%s", base, name);
    }
    const char *home = getenv("HOME");
    return ew_xasprintf("%s/%s/edgewise/%s", home ? home : "/",
                        folders[which].home, name);
}

bool ew_path_make_parents(const char *path)
{
    char *copy = ew_xstrdup(path);
    for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        mkdir(copy, 0777); /* it may be there */
        *p = '/';
    }
    char *last = strrchr(copy, '/');
    if (last && last != copy) {
        *last = '\0';
    }
    bool ok = !last || last == copy || ew_path_is_dir(copy);
    free(copy);
    return ok;
}
