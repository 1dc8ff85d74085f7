/* SPDX-License-Identifier: Apache-2.0 */
/* `edgewise convert`: any model that can be read, in the layout of our own. */
#include <stdlib.h>

#include "open.h"

static bool run(const struct cli_opts *opts, int *status, struct ew_err *err)
{
    (void)status;
    if (opts->args.n < 2) {
        return ew_fail(err, EW_ERR_USAGE, "expected a model and a new folder");
    }
    char *path = ew_model_locate(opts->args.items[0].text, err);
    bool ok = path && cli_load_torch(err) &&
              ew_model_convert(path, opts->args.items[1].text, err);
    free(path);
    return ok;
}

static const struct cli_option no_options[] = {{0}};
static const struct cli_option *const options[] = {no_options, NULL};

const struct cli_command cli_convert = {
    .name = "convert",
    .args = "MODEL FOLDER",
    .help = "write a model in TransformerLens's layout, as safetensors",
    .more = "The weights are written as F32, with the tokenizer's files beside "
            "them. MODEL may be a .pth state dict that has its config.json "
            "beside it; no code in it is run.",
    .max_args = 2,
    .options = options,
    .run = run,
};
