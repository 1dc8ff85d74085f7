/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods. */
#include <string.h>

#include "edgewise/buf.h"

#include "scan_impl.h"

// clang-format off
static const struct ew_scan_method methods[] = {
    {"exact", "the effect of each edge alone, measured in the circuit",
     "edges", 0, scan_exact_step},
    {"eap", "edge attribution patching: the gradient of the clean run",
     "passes", EW_SCAN_GRADIENT, scan_eap_step},
    {"eap-ig-inputs", "EAP with gradients on the way from corrupted to clean "
     "embeddings",
     "passes", EW_SCAN_GRADIENT | EW_SCAN_STEPS, scan_ig_inputs_step},
    {"eap-ig-activations", "EAP with gradients on the way from corrupted to "
     "clean outputs of each layer",
     "passes", EW_SCAN_GRADIENT | EW_SCAN_STEPS, scan_ig_activations_step},
    {"clean-corrupted", "EAP with the mean gradient of both runs",
     "passes", EW_SCAN_GRADIENT, scan_clean_corrupted_step},
    {"information-flow-routes", "the share of what a node reads that is the "
     "sender's, in the clean run",
     "inputs", EW_SCAN_PLAIN | EW_SCAN_ADDITIONS, scan_routes_step},
    {"random", "a number drawn for each edge",
     "edges", EW_SCAN_PLAIN | EW_SCAN_SEED, scan_random_step},
};
// clang-format on

const struct ew_scan_method *ew_scan_methods(size_t *n)
{
    *n = EW_ARRAY_LEN(methods);
    return methods;
}

const struct ew_scan_method *ew_scan_find(const char *name, struct ew_err *err)
{
    struct ew_buf names = {0};
    for (size_t i = 0; i < EW_ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            ew_buf_finish(&names);
            return &methods[i];
        }
        ew_buf_printf(&names, "%s%s", i ? ", " : "", methods[i].name);
    }
    ew_fail(err, EW_ERR_USAGE, "expected one of %s, found '%s'",
            ew_buf_str(&names), name);
    ew_buf_finish(&names);
    return NULL;
}
