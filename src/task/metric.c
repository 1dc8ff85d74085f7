/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics: names, other spellings, formulas as the screen shows them. */
#include <string.h>
#include <strings.h>

#include "edgewise/task.h"

static const struct {
    const char *name;
    const char *formula;
    const char *others[4]; /* spellings that are also read */
} metrics[] = {
    [EW_METRIC_KL] = {"kl", "KL(clean || circuit)", {"kl-div", "kl_div"}},
    [EW_METRIC_LOGIT_DIFF] = {"logit-diff",
                              "-(logit answer - logit wrong)",
                              {"logitdiff", "logit_diff", "ld"}},
    [EW_METRIC_NLL] = {"nll", "-log p(next token)", {"loss"}},
    [EW_METRIC_ACCURACY] = {"accuracy",
                            "-(share with the answer on top)",
                            {"acc", "top1"}},
    [EW_METRIC_KL_MIB] = {"kl-mib",
                          "KL(clean || circuit) / d_vocab",
                          {"kl_mib"}},
    [EW_METRIC_PROB_DIFF] = {"prob-diff",
                             "-(P(answers) - P(wrong))",
                             {"prob_diff", "probdiff", "greater-than"}},
    [EW_METRIC_DOCSTRING] = {"docstring",
                             "-(logit answer - largest wrong logit)",
                             {"logit-margin", "margin"}},
};
_Static_assert(EW_ARRAY_LEN(metrics) == EW_N_METRICS,
               "every metric needs a name and a formula");

const char *ew_metric_name(enum ew_metric metric)
{
    return metrics[metric].name;
}

const char *ew_metric_formula(enum ew_metric metric)
{
    return metrics[metric].formula;
}

bool ew_metric_has_answers(enum ew_metric metric)
{
    return metric == EW_METRIC_LOGIT_DIFF || metric == EW_METRIC_PROB_DIFF ||
           metric == EW_METRIC_DOCSTRING;
}

bool ew_metric_parse(const char *text, enum ew_metric *metric,
                     struct ew_err *err)
{
    struct ew_buf names = {0};
    for (size_t i = 0; i < EW_N_METRICS; i++) {
        bool found = strcasecmp(text, metrics[i].name) == 0;
        for (size_t j = 0; j < EW_ARRAY_LEN(metrics[i].others); j++) {
            const char *other = metrics[i].others[j];
            found |= other && strcasecmp(text, other) == 0;
        }
        if (found) {
            *metric = (enum ew_metric)i;
            ew_buf_finish(&names);
            return true;
        }
        ew_buf_printf(&names, "%s%s", i ? ", " : "", metrics[i].name);
    }
    ew_fail(err, EW_ERR_USAGE, "metric \"%.60s\": expected one of %s", text,
            ew_buf_str(&names));
    ew_buf_finish(&names);
    return false;
}
