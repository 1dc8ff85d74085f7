/* SPDX-License-Identifier: Apache-2.0 */
/* TransformerLens's default weight processing, on a model put together. */
#ifndef EW_MODEL_PROCESS_H
#define EW_MODEL_PROCESS_H

#include "edgewise/model.h"

/*
 * fold_ln, center_writing_weights, center_unembed, fold_value_biases: the
 * outputs stay what they are up to a constant per position. Changes `m` and
 * its arch (norms become LNPre, RMSPre).
 */
EW_MUST_CHECK bool ew_model_process(struct ew_model *m, struct ew_err *err);

#endif
