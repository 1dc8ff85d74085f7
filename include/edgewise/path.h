/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths: joining, and where the program's own files are, installed or not.
 */
#ifndef EW_PATH_H
#define EW_PATH_H

#include <stdbool.h>

#include "edgewise/common.h"

EW_BEGIN_DECLS

char *ew_path_join(const char *dir, const char *name); /* free() it */
bool ew_path_is_dir(const char *path);
bool ew_path_is_file(const char *path);
/* The part after the last '/'; borrowed. */
const char *ew_path_base(const char *path);
/* The suffix after the last '.' of the base name, or "". */
const char *ew_path_ext(const char *path);

/*
 * Path of a shipped file or folder such as "models/induction-2l", or NULL
 * when there is none; free() it. Looked for in $EDGEWISE_ASSETS, then in the
 * source tree when the running program lies in its build tree, then in
 * <prefix>/share/edgewise as seen from the running program, then in the
 * prefix that was configured.
 */
char *ew_asset_path(const char *name);
/*
 * Path of a module (a shared object such as "edgewise-torch.so") beside the
 * running program's build tree or in <prefix>/lib/.../edgewise; NULL when
 * there is none; free() it. $EDGEWISE_MODULES comes first.
 */
char *ew_module_path(const char *name);

/* Make the folders that a file at `path` needs; false when one is missing. */
bool ew_path_make_parents(const char *path);

/* $XDG_{CONFIG,STATE,CACHE}_HOME/edgewise/NAME or their defaults; free(). */
enum ew_xdg { EW_XDG_CONFIG, EW_XDG_STATE, EW_XDG_CACHE };
char *ew_xdg_path(enum ew_xdg which, const char *name);

EW_END_DECLS

#endif
