/* SPDX-License-Identifier: Apache-2.0 */
/* The action table, its keys, and the man page's list of them. */
#include "keymap.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "edgewise/mem.h"
#include "edgewise/tui.h"

enum { MAX_BINDINGS = 256 };

struct binding {
    uint32_t key;
    enum ew_action action;
};

struct ew_keymap {
    struct binding bindings[MAX_BINDINGS];
    size_t n;
};

#define X(id, name, flags, keys, footer, help)                                 \
    {name, flags, keys, footer, help},
static const struct ew_action_info actions[] = {EW_ACTIONS(X)};
#undef X
_Static_assert(EW_ARRAY_LEN(actions) == EW_N_ACTIONS,
               "every action needs a name, flags, keys and help");

static const struct {
    const char *name;  /* in files */
    const char *shown; /* on the screen */
    uint32_t key;
} key_names[] = {
    {"Space", "Space", EW_KEY_SPACE}, {"Enter", "Enter", EW_KEY_ENTER},
    {"Esc", "Esc", EW_KEY_ESC},       {"Tab", "Tab", EW_KEY_TAB},
    {"S-Tab", "S-Tab", EW_KEY_S_TAB}, {"BS", "BS", EW_KEY_BACKSPACE},
    {"Up", "↑", EW_KEY_UP},           {"Down", "↓", EW_KEY_DOWN},
    {"Left", "←", EW_KEY_LEFT},       {"Right", "→", EW_KEY_RIGHT},
    {"Home", "Home", EW_KEY_HOME},    {"End", "End", EW_KEY_END},
    {"PgUp", "PgUp", EW_KEY_PGUP},    {"PgDn", "PgDn", EW_KEY_PGDN},
    {"Del", "Del", EW_KEY_DEL},
};

const struct ew_action_info *ew_action_info(enum ew_action action)
{
    return &actions[action];
}

enum ew_action ew_action_find(const char *name)
{
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return (enum ew_action)i;
        }
    }
    return EW_DO_NONE;
}

/* What stands between < and >: a name, C-x or F1 .. F12. */
static uint32_t named_key(const char *name, size_t len)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(key_names); i++) {
        if (strlen(key_names[i].name) == len &&
            memcmp(key_names[i].name, name, len) == 0) {
            return key_names[i].key;
        }
    }
    if (len == 3 && name[0] == 'C' && name[1] == '-' && name[2] >= '@' &&
        name[2] <= 'z') {
        return (uint32_t)name[2] & 0x1f;
    }
    if ((len == 2 || len == 3) && name[0] == 'F') {
        char digits[3] = {name[1], len == 3 ? name[2] : '\0', '\0'};
        int number = atoi(digits);
        if (number >= 1 && number <= 12) {
            return EW_KEY_F1 + (uint32_t)number - 1;
        }
    }
    return EW_KEY_NONE;
}

uint32_t ew_key_parse(const char **text)
{
    const char *p = *text;
    const char *end = *p == '<' ? strchr(p, '>') : NULL;
    if (end && end > p + 1 && !memchr(p, ' ', (size_t)(end - p))) {
        uint32_t key = named_key(p + 1, (size_t)(end - p - 1));
        if (key != EW_KEY_NONE) {
            *text = end + 1;
            return key;
        }
    }
    utf8proc_int32_t code = -1;
    utf8proc_ssize_t n = utf8proc_iterate((const unsigned char *)p, -1, &code);
    *text = p + (n > 0 ? n : *p ? 1 : 0);
    return n > 0 && code > 0 ? (uint32_t)code : EW_KEY_NONE;
}

void ew_key_print(uint32_t key, struct ew_buf *out)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(key_names); i++) {
        if (key_names[i].key == key) {
            ew_buf_add(out, key_names[i].shown);
            return;
        }
    }
    if (key >= EW_KEY_F1 && key <= EW_KEY_F12) {
        ew_buf_printf(out, "F%d", (int)(key - EW_KEY_F1) + 1);
    } else if (key < 0x20) {
        ew_buf_printf(out, "^%c", (char)(key + '@'));
    } else {
        unsigned char bytes[5] = {0};
        utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)key, bytes);
        ew_buf_add_n(out, (const char *)bytes, n > 0 ? (size_t)n : 0);
    }
}

static void unbind(struct ew_keymap *map, uint32_t key, enum ew_action action)
{
    size_t n = 0;
    for (size_t i = 0; i < map->n; i++) {
        if (map->bindings[i].key != key && map->bindings[i].action != action) {
            map->bindings[n++] = map->bindings[i];
        }
    }
    map->n = n;
}

/* Bind all keys of a blank-separated list; false at one that is none. */
static bool bind_list(struct ew_keymap *map, enum ew_action action,
                      const char *list)
{
    while (*list) {
        if (*list == ' ' || *list == '\t') {
            list++;
            continue;
        }
        const char *start = list;
        uint32_t key = ew_key_parse(&list);
        bool whole = *list == '\0' || *list == ' ' || *list == '\t';
        if (key == EW_KEY_NONE || !whole || list == start) {
            return false;
        }
        unbind(map, key, EW_DO_NONE);
        if (map->n < MAX_BINDINGS) {
            map->bindings[map->n++] = (struct binding){key, action};
        }
    }
    return true;
}

struct ew_keymap *ew_keymap_create(void)
{
    struct ew_keymap *map = ew_xcalloc(1, sizeof(*map));
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        bind_list(map, (enum ew_action)i, actions[i].keys);
    }
    return map;
}

void ew_keymap_destroy(struct ew_keymap *map)
{
    free(map);
}

static bool read_line(struct ew_keymap *map, char *line, const char *name,
                      int number, struct ew_err *err)
{
    char *word = line + strspn(line, " \t");
    if (*word == '\0' || *word == '#') {
        return true;
    }
    char *rest = word + strcspn(word, " \t");
    if (*rest) {
        *rest++ = '\0';
    }
    enum ew_action action = ew_action_find(word);
    if (action == EW_DO_NONE) {
        return ew_fail(err, EW_ERR_INPUT, "%s:%d: no action '%s'", name, number,
                       word);
    }
    unbind(map, EW_KEY_NONE, action);
    if (!bind_list(map, action, rest)) {
        return ew_fail(err, EW_ERR_INPUT, "%s:%d: no such key in '%s'", name,
                       number, rest);
    }
    return true;
}

bool ew_keymap_read(struct ew_keymap *map, const char *text, const char *name,
                    struct ew_err *err)
{
    bool ok = true;
    for (int number = 1; *text && ok; number++) {
        size_t len = strcspn(text, "\n");
        char *line = ew_xstrndup(text, len);
        ok = read_line(map, line, name, number, err);
        free(line);
        text += len + (text[len] == '\n');
    }
    return ok;
}

enum ew_action ew_keymap_action(const struct ew_keymap *map, uint32_t key)
{
    for (size_t i = 0; i < map->n; i++) {
        if (map->bindings[i].key == key) {
            return map->bindings[i].action;
        }
    }
    return EW_DO_NONE;
}

void ew_keymap_print(const struct ew_keymap *map, enum ew_action action,
                     bool first_only, struct ew_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < map->n; i++) {
        if (map->bindings[i].action != action || (any && first_only)) {
            continue;
        }
        if (any) {
            ew_buf_putc(out, ' ');
        }
        ew_key_print(map->bindings[i].key, out);
        any = true;
    }
}

/* Keys in mdoc, where a backslash and a leading quote or dot are special. */
static void print_mdoc_keys(const struct ew_keymap *map, enum ew_action action,
                            struct ew_buf *out)
{
    struct ew_buf keys = {0};
    ew_keymap_print(map, action, false, &keys);
    const char *arrows[][2] = {
        {"↑", "Up"}, {"↓", "Down"}, {"←", "Left"}, {"→", "Right"}};
    ew_buf_add(out, ".It");
    for (const char *p = ew_buf_str(&keys); *p;) {
        size_t len = strcspn(p, " ");
        char *key = ew_xstrndup(p, len);
        const char *shown = strcmp(key, "\\") == 0 ? "\\e" : key;
        for (size_t i = 0; i < EW_ARRAY_LEN(arrows); i++) {
            shown = strcmp(key, arrows[i][0]) == 0 ? arrows[i][1] : shown;
        }
        ew_buf_printf(out, " Ic \\&%s", shown);
        free(key);
        p += len + (p[len] == ' ');
        ew_buf_add(out, *p ? " ," : "");
    }
    ew_buf_putc(out, '\n');
    ew_buf_finish(&keys);
}

void ew_tui_print_keys(struct ew_buf *out)
{
    struct ew_keymap *map = ew_keymap_create();
    ew_buf_add(out, ".Bl -tag -width Ds -compact\n");
    for (int i = 0; i < EW_N_ACTIONS; i++) {
        print_mdoc_keys(map, (enum ew_action)i, out);
        ew_buf_printf(out, ".Em %s :\n%s\n", actions[i].name, actions[i].help);
    }
    ew_buf_add(out, ".El\n");
    ew_keymap_destroy(map);
}
