/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that ends the program, terminal restored, when memory is out. */
#include "edgewise/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void (*oom_hook)(void);

void ew_set_oom_hook(void (*hook)(void))
{
    oom_hook = hook;
}

EW_NORETURN static void out_of_memory(void)
{
    if (oom_hook) {
        void (*hook)(void) = oom_hook;
        oom_hook = NULL;
        hook();
    }
    fputs("edgewise: out of memory\n", stderr);
    _Exit(1);
}

void *ew_xcalloc(size_t count, size_t size)
{
    void *ptr = calloc(count ? count : 1, size ? size : 1);
    if (!ptr) {
        out_of_memory();
    }
    return ptr;
}

void *ew_xrealloc(void *ptr, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) {
        out_of_memory();
    }
    size_t bytes = count * size;
    void *grown = realloc(ptr, bytes ? bytes : 1);
    if (!grown) {
        out_of_memory();
    }
    return grown;
}

char *ew_xstrndup(const char *text, size_t len)
{
    char *copy = ew_xcalloc(len + 1, 1);
    memcpy(copy, text, len);
    return copy;
}

char *ew_xstrdup(const char *text)
{
    return ew_xstrndup(text, strlen(text));
}

char *ew_xasprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0) {
        out_of_memory();
    }
    return text;
}

void *ew_grow(void *array, size_t len, size_t *cap, size_t elem_size)
{
    if (len < *cap) {
        return array;
    }
    *cap = *cap ? *cap * 2 : 8;
    return ew_xrealloc(array, *cap, elem_size);
}
