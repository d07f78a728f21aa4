/* What a trial holds for: this program, this plugin, this workload, this machine until it is started anew. */
#ifndef QVL_CLI_TRIAL_KEY_H
#define QVL_CLI_TRIAL_KEY_H

#include "base/sha256.h"
#include "qvl/record.h"

/* An environment variable: a report of `latency`, whose trial is taken over where it passed and its key is
 * that of this run. `compare --interleave` sets it to the first run of each command. */
#define QVL_TRIAL_VARIABLE "QVL_TRIAL"

/* A digest of the boot, of which files the running program and the plugin at the path (NULL: built in) are
 * and when they were changed last, and of every field of the workload. Shared libraries that they load are
 * not in it. */
QVL_MUST_USE enum qvl_status qvl_trial_key(const char *plugin, const struct qvl_record *workload,
                                           char key[QVL_SHA256_HEX_BYTES], struct qvl_error *error);

#endif
