/* --save-failing: a folder a case that did not pass, DIR/OP-HASH/ with case.json and, for a case with
 * tensors, tensors.safetensors. */
#ifndef QVL_CLI_SAVE_CASE_H
#define QVL_CLI_SAVE_CASE_H

#include "verify/verify.h"

/* Make the folder, with a README that says how to read what will be in it. */
QVL_MUST_USE enum qvl_status qvl_save_folder(const char *folder, struct qvl_error *error);

/* case.json alone: the line, the command that repeats it, and the result. */
QVL_MUST_USE enum qvl_status qvl_save_case(const char *folder, const struct qvl_case *chosen,
                                           const struct qvl_case_result *result, const char *repro,
                                           struct qvl_error *error);

/* tensors.safetensors alone; a qvl_case_keep_fn whose data is the folder (const char *). */
qvl_case_keep_fn qvl_save_tensors;

#endif
