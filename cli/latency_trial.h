/* Whether a backend's timings can be believed, before and after `latency` takes them: a trial of its entries
 * in the model's shapes, and the roofline of this host. */
#ifndef QVL_CLI_LATENCY_TRIAL_H
#define QVL_CLI_LATENCY_TRIAL_H

#include "bench/physics.h"
#include "cli/latency_run.h"
#include "cli/trial_key.h"

struct qvl_latency_trust {
    char key[QVL_SHA256_HEX_BYTES]; /* what the trial holds for */
    bool trusted, taken_over;       /* it passed; in another run */
    struct qvl_limits limits;       /* of this host; empty when taken over */
    struct qvl_roofline roofline;
    uint64_t inputs; /* the number of the next case's first ones: nobody may have seen them */
};

/* Time each entry of the text decoder in the model's shapes, and those of the vision tower when there are
 * pictures to time, a few times, hot, with all gates of cli/timed_case.h. Adds a record "trial". When a case
 * FAILED or was INVALID the record has that status, the case and the reason, `trusted` is false, and nothing
 * else may be timed. */
QVL_MUST_USE enum qvl_status qvl_latency_trial(struct qvl_latency_run *run, struct qvl_latency_trust *trust,
                                               struct qvl_error *error);

/* The same once more behind the timings, for a backend that behaves in its first calls only: when it does not
 * pass, no timing of the report does. Not where the trial was taken over. */
QVL_MUST_USE enum qvl_status qvl_latency_try_again(struct qvl_latency_run *run,
                                                   struct qvl_latency_trust *trust, struct qvl_error *error);

/* Give every timing of the run that passed a status and the reason. */
void qvl_latency_distrust(const struct qvl_latency_run *run, enum qvl_case_status status, const char *reason);

/* qvl_latency_gate on every record, not for a plugin, whose device is not known, nor for CPU seconds. With
 * run->strict rows whose conditions broke are INVALID as well. */
void qvl_latency_judge(const struct qvl_latency_run *run, const struct qvl_latency_trust *trust);

#endif
