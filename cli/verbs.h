/* The verbs of qvl-audit, one file each. */
#ifndef QVL_CLI_VERBS_H
#define QVL_CLI_VERBS_H

#include "qvl/status.h"

/* Run a verb. argv[0] is "qvl-audit VERB", the arguments follow. A verb prints its results on stdout itself;
 * on failure it returns a status with a message (empty when the results already said it), which main prints.
 * --help and wrong options end the process inside argp, with exit codes 0 and 2. */
typedef enum qvl_status qvl_verb_fn(int argc, char **argv, struct qvl_error *error);

struct qvl_verb {
    const char *name;
    const char *summary; /* one line */
    qvl_verb_fn *run;
};

qvl_verb_fn qvl_verb_checkpoint;
qvl_verb_fn qvl_verb_compare;
qvl_verb_fn qvl_verb_env;
qvl_verb_fn qvl_verb_flops;
qvl_verb_fn qvl_verb_generate;
qvl_verb_fn qvl_verb_latency;
qvl_verb_fn qvl_verb_list;
qvl_verb_fn qvl_verb_logits;
qvl_verb_fn qvl_verb_preprocess;
qvl_verb_fn qvl_verb_procure;
qvl_verb_fn qvl_verb_run;
qvl_verb_fn qvl_verb_selftest;
qvl_verb_fn qvl_verb_stage_worker; /* not in the overview: started by `verify` */
qvl_verb_fn qvl_verb_tokenize;
qvl_verb_fn qvl_verb_validate;
qvl_verb_fn qvl_verb_verify;
qvl_verb_fn qvl_verb_worker; /* not in the overview: started by other verbs */

#endif
