/* SPDX-License-Identifier: Apache-2.0 */
/* `edgewise params`: what a model's parameters are called and shaped. */
#include <stdlib.h>

#include "open.h"

static void print_json(const struct ew_param *params, size_t n)
{
    struct cli_array array;
    cli_array_open(&array, stdout, 15);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_object();
        json_object_set_new(item, "name", json_string(params[i].name));
        json_object_set_new(item, "shape",
                            cli_shape(params[i].shape, params[i].ndim));
        json_object_set_new(item, "dtype",
                            json_string(ew_dtype_name(params[i].dtype)));
        cli_array_item(&array, item);
    }
    cli_array_close(&array);
}

static void print_text(const struct ew_param *params, size_t n)
{
    struct ew_buf text = {0};
    for (size_t i = 0; i < n; i++) {
        ew_buf_printf(&text, "%s: ", params[i].name);
        cli_print_shape(&text, params[i].shape, params[i].ndim);
        ew_buf_putc(&text, '\n');
    }
    fputs(ew_buf_str(&text), stdout);
    ew_buf_finish(&text);
}

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    struct cli_open open = {0};
    struct ew_param *params = NULL;
    size_t n = 0;
    bool ok = cli_open_arch(&open, opts, err) &&
              ew_model_params(open.path, &params, &n, err);
    if (ok && opts->json) {
        print_json(params, n);
    } else if (ok) {
        print_text(params, n);
    }
    free(params);
    cli_close(&open);
    return ok;
}

static const struct cli_option *const options[] = {cli_options_common, NULL};

const struct cli_command cli_params = {
    .name = "params",
    .args = "[options] MODEL",
    .help = "list the parameters of a model: names, shapes and types",
    .max_args = 1,
    .options = options,
    .run = run,
};
