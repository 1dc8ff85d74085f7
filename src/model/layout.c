/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes in letters (see params.h): the size of a file's tensor, and the
 * view of it that is the parameter. Views only: no byte moves here.
 */
#include <assert.h>
#include <string.h>

#include "params.h"

int64_t ew_letter_extent(const struct ew_arch *arch, char letter)
{
    switch (letter) {
    case 'v':
        return arch->d_vocab;
    case 'u':
        return arch->d_vocab_out;
    case 'd':
        return arch->d_model;
    case 'c':
        return arch->n_ctx;
    case 'h':
        return arch->n_heads;
    case 'g':
        return arch->n_kv_heads;
    case 'k':
        return arch->d_head;
    case 'm':
        return arch->d_mlp;
    case 'p':
        return 3;
    default:
        assert(!"unknown letter in a layout");
        return 1;
    }
}

static bool at_end(char c)
{
    return c == '\0' || c == '>';
}

int ew_layout_shape(const struct ew_arch *arch, const char *layout,
                    int64_t shape[EW_MAX_DIMS])
{
    int n = 0;
    shape[0] = 1;
    for (const char *c = layout; !at_end(*c); c++) {
        if (*c == ',') {
            n++;
            assert(n < EW_MAX_DIMS);
            shape[n] = 1;
        } else {
            shape[n] *= ew_letter_extent(arch, *c);
        }
    }
    return n + 1;
}

struct ew_tensor *ew_layout_view(struct ew_scope *s, const struct ew_arch *arch,
                                 const char *layout, int part,
                                 const struct ew_tensor *t)
{
    char letters[EW_MAX_DIMS + 1] = "";
    int64_t shape[EW_MAX_DIMS] = {0};
    int n = 0;
    int part_dim = -1;
    for (const char *c = layout; !at_end(*c); c++) {
        if (*c == ',') {
            continue;
        }
        assert(n < EW_MAX_DIMS);
        shape[n] = ew_letter_extent(arch, *c);
        if (*c == 'p') {
            part_dim = n;
        }
        letters[n++] = *c;
    }
    struct ew_tensor *view = ew_reshape(s, t, n, shape);
    if (part_dim >= 0) {
        view = ew_select(s, view, part_dim, part);
        memmove(letters + part_dim, letters + part_dim + 1,
                sizeof(letters) - (size_t)part_dim - 1);
    }
    const char *order = strchr(layout, '>');
    if (!order) {
        return view;
    }
    int dims[EW_MAX_DIMS];
    int n_dims = 0;
    for (const char *c = order + 1; *c; c++) {
        const char *at = strchr(letters, *c);
        assert(at && n_dims < EW_MAX_DIMS);
        dims[n_dims++] = (int)(at - letters);
    }
    return ew_permute(s, view, n_dims, dims);
}
