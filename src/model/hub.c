/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a snapshot; see hub.h for the layout. */
#include "hub.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/file.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

static const char repo_prefix[] = "models--";

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *hub_folder(void)
{
    const char *hub = env("HF_HUB_CACHE");
    const char *old = env("HUGGINGFACE_HUB_CACHE");
    const char *hf = env("HF_HOME");
    const char *cache = env("XDG_CACHE_HOME");
    const char *home = env("HOME");
    if (hub || old) {
        return ew_xstrdup(hub ? hub : old);
    }
    if (hf) {
        return ew_path_join(hf, "hub");
    }
    return cache ? ew_path_join(cache, "huggingface/hub")
                 : ew_path_join(home ? home : "/", ".cache/huggingface/hub");
}

/* Letters, digits and "._-", no ".." and none in front, at most one '/'. */
static bool is_repo(const char *name, size_t len)
{
    size_t slashes = 0;
    char before = '/';
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool fine =
            isalnum((unsigned char)c) || c == '_' ||
            ((c == '-' || (c == '.' && before != '.')) && before != '/') ||
            (c == '/' && before != '/' && ++slashes == 1);
        if (!fine) {
            return false;
        }
        before = c;
    }
    return len > 0 && before != '/';
}

/* HUB/models--org--name */
static char *repo_folder(const char *hub, const char *name, size_t len)
{
    struct ew_buf path = {0};
    ew_buf_printf(&path, "%s/%s", hub, repo_prefix);
    for (size_t i = 0; i < len; i++) {
        ew_buf_add_n(&path, name[i] == '/' ? "--" : name + i,
                     name[i] == '/' ? 2 : 1);
    }
    return ew_buf_steal(&path);
}

/* What stands in refs/REVISION, blanks off; NULL: no such branch or tag. */
static char *read_ref(const char *repo, const char *revision)
{
    struct ew_buf text = {0};
    char *path = ew_xasprintf("%s/refs/%s", repo, revision);
    bool ok = ew_path_is_file(path) && ew_file_read(&text, path, NULL);
    size_t len = ok ? strcspn(ew_buf_str(&text), " \r\n\t/") : 0;
    char *commit = len ? ew_xstrndup(ew_buf_str(&text), len) : NULL;
    ew_buf_finish(&text);
    free(path);
    return commit;
}

/* The folder of a revision of a repository that is there. */
static char *snapshot(const char *repo, const char *name, const char *revision,
                      struct ew_err *err)
{
    char *commit = read_ref(repo, revision);
    char *path =
        ew_xasprintf("%s/snapshots/%s", repo, commit ? commit : revision);
    if (!ew_path_is_dir(path)) {
        ew_fail(err, EW_ERR_INPUT,
                "%s: no snapshot of %s in the Hugging Face cache: expected "
                "the folder %s",
                name, revision, path);
        free(path);
        path = NULL;
    }
    free(commit);
    return path;
}

char *ew_hub_find(const char *name, struct ew_err *err)
{
    size_t len = strcspn(name, "@");
    const char *revision = name[len] ? name + len + 1 : "main";
    if (!is_repo(name, len) || !is_repo(revision, strlen(revision))) {
        return NULL;
    }
    char *hub = hub_folder();
    char *repo = repo_folder(hub, name, len);
    char *path = NULL;
    if (ew_path_is_dir(repo)) {
        path = snapshot(repo, name, revision, err);
    } else if (memchr(name, '/', len)) {
        ew_fail(err, EW_ERR_INPUT, "%s: no such folder, nor is there %s", name,
                repo);
    }
    free(repo);
    free(hub);
    return path;
}

/* ---- names ---- */

/* "org/name" of "models--org--name"; free(). */
static char *repo_name(const char *folder)
{
    char *name = ew_xstrdup(folder + strlen(repo_prefix));
    char *dashes = strstr(name, "--");
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    return name;
}

static bool is_repo_folder(const char *folder)
{
    return strncmp(folder, repo_prefix, strlen(repo_prefix)) == 0 &&
           folder[strlen(repo_prefix)];
}

static int repos_only(const struct dirent *entry)
{
    return is_repo_folder(entry->d_name);
}

void ew_hub_list(struct ew_buf *out)
{
    enum { MOST = 8 };
    struct dirent **entries;
    char *hub = hub_folder();
    int n = scandir(hub, &entries, repos_only, alphasort);
    for (int i = 0; i < n; i++) {
        if (i < MOST) {
            char *name = repo_name(entries[i]->d_name);
            ew_buf_printf(out, "%s%s", i ? ", " : "", name);
            free(name);
        }
        free(entries[i]);
    }
    ew_buf_add(out, n > MOST ? ", .." : "");
    if (n >= 0) {
        free(entries);
    }
    free(hub);
}

char *ew_hub_name(const char *folder)
{
    static const char snapshots[] = "/snapshots/";
    const char *at = strstr(folder, snapshots);
    char *name = NULL;
    while (at && strstr(at + 1, snapshots)) {
        at = strstr(at + 1, snapshots);
    }
    if (at && !strchr(at + strlen(snapshots), '/')) {
        char *repo = ew_xstrndup(folder, (size_t)(at - folder));
        const char *base = ew_path_base(repo);
        if (is_repo_folder(base)) {
            char *full = repo_name(base);
            name = ew_xstrdup(ew_path_base(full));
            free(full);
        }
        free(repo);
    }
    return name;
}
