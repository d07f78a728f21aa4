/* What a trial holds for: this program, this plugin, this workload, on this machine until it is started anew.
 */
#ifndef QVL_CLI_TRIAL_KEY_H
#define QVL_CLI_TRIAL_KEY_H

#include "base/sha256.h"
#include "qvl/record.h"

/* A digest of the boot, the content of the running program and of the plugin at the path (NULL: built in),
 * and every field of the workload. Shared libraries that they load are not in it. */
QVL_MUST_USE enum qvl_status qvl_trial_key(const char *plugin, const struct qvl_record *workload,
                                           char key[QVL_SHA256_HEX_BYTES], struct qvl_error *error);

#endif
