/* Checkpoints of the goldens by a short text: "PRESET[,seed=N][,dtype=f32|bf16|f16]
 * [,experts=input-first|output-first|separate][,config=hf4|hf5][,shard=BYTES]". */
#ifndef QVL_TESTS_CHECKPOINT_SPEC_H
#define QVL_TESTS_CHECKPOINT_SPEC_H

#include "datasets/checkpoint.h"

/* False when the text is not understood. */
bool checkpoint_spec_parse(const char *text, struct qvl_checkpoint_spec *spec);

/* Write the checkpoint of a spec text into its folder of the build tree, whose path (static, overwritten by
 * the next call) is returned; NULL after printing what went wrong. Programs that do so at the same time
 * replace each file by the same bytes. */
const char *checkpoint_spec_write(const char *text);

/* Make sure that a folder of the build tree exists and return its path (static, overwritten by the next call
 * of either function); NULL after printing what went wrong. */
const char *scratch_folder(const char *name);

#endif
