/* SPDX-License-Identifier: Apache-2.0 */
/* One config reader per Hugging Face family, for the families' tables. */
#ifndef EW_MODEL_ARCH_HF_H
#define EW_MODEL_ARCH_HF_H

#include "config.h"

void ew_hf_gpt2(struct ew_config *config, struct ew_fields *f);
void ew_hf_gpt_neox(struct ew_config *config, struct ew_fields *f);
void ew_hf_llama(struct ew_config *config, struct ew_fields *f);
void ew_hf_mistral(struct ew_config *config, struct ew_fields *f);
void ew_hf_qwen2(struct ew_config *config, struct ew_fields *f);
void ew_hf_gemma(struct ew_config *config, struct ew_fields *f);
void ew_hf_gemma2(struct ew_config *config, struct ew_fields *f);

#endif
