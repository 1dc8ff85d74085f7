/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "keymap.h"
#include "theme.h"

void ew_line_set(struct ew_line *l, const char *text)
{
    snprintf(l->text, sizeof(l->text), "%s", text);
    l->len = (int)strlen(l->text);
    l->at = l->len;
}

static int prev_char(const struct ew_line *l)
{
    int at = l->at;
    do {
        at--;
    } while (at > 0 && (l->text[at] & 0xc0) == 0x80);
    return at < 0 ? 0 : at;
}

static int next_char(const struct ew_line *l)
{
    int at = l->at;
    do {
        at++;
    } while (at < l->len && (l->text[at] & 0xc0) == 0x80);
    return at > l->len ? l->len : at;
}

static void erase(struct ew_line *l, int from, int to)
{
    memmove(l->text + from, l->text + to, (size_t)(l->len - to) + 1);
    l->len -= to - from;
    l->at = from;
}

static void insert(struct ew_line *l, uint32_t key)
{
    unsigned char bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)key, bytes);
    if (n <= 0 || l->len + (int)n >= (int)sizeof(l->text)) {
        return;
    }
    memmove(l->text + l->at + n, l->text + l->at, (size_t)(l->len - l->at) + 1);
    memcpy(l->text + l->at, bytes, (size_t)n);
    l->len += (int)n;
    l->at += (int)n;
}

void ew_line_key(struct ew_line *l, uint32_t key)
{
    switch (key) {
    case EW_KEY_BACKSPACE:
    case 0x08:
        erase(l, prev_char(l), l->at);
        break;
    case EW_KEY_DEL:
        erase(l, l->at, next_char(l));
        break;
    case EW_KEY_LEFT:
        l->at = prev_char(l);
        break;
    case EW_KEY_RIGHT:
        l->at = next_char(l);
        break;
    case EW_KEY_HOME:
    case 0x01:
        l->at = 0;
        break;
    case EW_KEY_END:
    case 0x05:
        l->at = l->len;
        break;
    case 0x15:
        erase(l, 0, l->at);
        break;
    case 0x0b:
        erase(l, l->at, l->len);
        break;
    default:
        if (key >= 0x20 && key < 0x110000) {
            insert(l, key);
        }
    }
}

/* Columns of the first `bytes` bytes. */
static int cols_before(const char *text, int bytes)
{
    char before[EW_LINE_SIZE];
    snprintf(before, sizeof(before), "%.*s", bytes, text);
    return ew_text_cols(before);
}

void ew_line_draw(const struct ew_line *l, struct ew_area area, int y, int x,
                  bool caret)
{
    int room = area.rect.cols - x - 1;
    const char *text = l->text;
    int at = l->at;
    while (at > 0 && cols_before(text, at) > room) {
        do {
            text++;
            at--;
        } while (at > 0 && (*text & 0xc0) == 0x80);
    }
    ew_put(area, y, x, ew_style(EW_R_VALUE), text);
    if (caret) {
        ew_surface_set_caret(area.surface, area.rect.y + y,
                             area.rect.x + x + cols_before(text, at));
    }
}
