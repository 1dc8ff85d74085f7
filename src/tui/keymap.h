/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys to actions. A key is a Unicode character, or one of the codes below
 * for what is not one; curses' numbers stay in term.c. The user's keys.conf
 * overlays the defaults: lines "action key key ...", '#' for comments; naming
 * an action replaces its keys, and a key that another action had moves.
 */
#ifndef EW_TUI_KEYMAP_H
#define EW_TUI_KEYMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "edgewise/buf.h"
#include "edgewise/err.h"

#include "actions.h"

enum {
    EW_KEY_NONE = 0,
    EW_KEY_TAB = '\t',
    EW_KEY_ENTER = '\r',
    EW_KEY_ESC = 0x1b,
    EW_KEY_SPACE = ' ',
    EW_KEY_BACKSPACE = 0x7f,
    EW_KEY_UP = 0x110000, /* above Unicode */
    EW_KEY_DOWN,
    EW_KEY_LEFT,
    EW_KEY_RIGHT,
    EW_KEY_HOME,
    EW_KEY_END,
    EW_KEY_PGUP,
    EW_KEY_PGDN,
    EW_KEY_DEL,
    EW_KEY_S_TAB,
    EW_KEY_F1,
    EW_KEY_F12 = EW_KEY_F1 + 11,
    EW_KEY_RESIZE,
};

struct ew_keymap; /* opaque */

struct ew_keymap *ew_keymap_create(void); /* the defaults */
void ew_keymap_destroy(struct ew_keymap *map);
/* EW_ERR_INPUT names the line: no such action, no such key. */
EW_MUST_CHECK bool ew_keymap_read(struct ew_keymap *map, const char *text,
                                  const char *name, struct ew_err *err);
enum ew_action ew_keymap_action(const struct ew_keymap *map, uint32_t key);
/* The keys of an action as text, "u z"; `first_only`: the first one. */
void ew_keymap_print(const struct ew_keymap *map, enum ew_action action,
                     bool first_only, struct ew_buf *out);
/* Read one key at `*text` in the notation of actions.h, and move past it. */
uint32_t ew_key_parse(const char **text);
/* "Space", "^R", "F1", "j": as the help screen shows it. */
void ew_key_print(uint32_t key, struct ew_buf *out);

#endif
