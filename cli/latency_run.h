/* What the files of `latency` share: options, and the model whole, in part, or both. */
#ifndef QVL_CLI_LATENCY_RUN_H
#define QVL_CLI_LATENCY_RUN_H

#include "bench/latency_sampled.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "qvl/record.h"
#include "verify/spot_check.h"

#define QVL_LATENCY_MAX_CONTEXTS 64
#define QVL_LATENCY_MAX_FRAMES 16

struct qvl_latency_run {
    /* Options. */
    struct qvl_session_options session;
    const char *model_name, *config_file; /* random weights of these shapes */
    bool sample, whole;                   /* at least one after parsing */
    int64_t contexts[QVL_LATENCY_MAX_CONTEXTS];
    int64_t context_count;
    int64_t checks[QVL_LATENCY_MAX_CONTEXTS]; /* measured both ways */
    int64_t check_count;
    int64_t predicted[QVL_LATENCY_MAX_CONTEXTS]; /* from calibrated ops, and measured */
    int64_t predicted_count;
    int64_t frames[QVL_LATENCY_MAX_FRAMES][2]; /* height, width */
    int64_t frame_count;
    bool frames_given;
    const char *files[QVL_LATENCY_MAX_FRAMES]; /* pictures and videos, up to the first token */
    int64_t file_count;
    int64_t text;           /* tokens of text behind a file */
    bool cpu_clock, strict; /* strict: broken conditions make a row invalid */
    int64_t decode_steps, repeats, seed, layers, memory;
    /* State. */
    struct qvl_model_config config;
    struct qvl_model_source source;
    enum qvl_dtype storage;
    struct qvl_opened_backend backend;
    const char *name;        /* of the backend, in the names of records; borrowed */
    struct qvl_model *model; /* whole, once needed */
    struct qvl_sampler *sampler;
    struct qvl_backend *reference;  /* of the trials and the spot check */
    struct qvl_spot_check *spots;   /* NULL: none is open */
    struct qvl_latency_watch watch; /* tells it */
    struct qvl_progress progress;
    struct qvl_report *report; /* borrowed */
    int64_t first_record;      /* of this run, in a report that may have others */
};

/* Shapes, types and backend that the options name. Closed also after a failure. */
QVL_MUST_USE enum qvl_status qvl_latency_open(struct qvl_latency_run *run, struct qvl_error *error);
void qvl_latency_close(struct qvl_latency_run *run);

/* All records that the options ask for, between a trial of the backend, a spot check of what it computes and
 * a second trial (cli/latency_trial.h, cli/latency_spots.h). The report has its workload. */
QVL_MUST_USE enum qvl_status qvl_latency_take(struct qvl_latency_run *run, struct qvl_error *error);

/* The whole model, loaded or drawn when it is first asked for. */
QVL_MUST_USE enum qvl_status qvl_latency_whole(struct qvl_latency_run *run, struct qvl_model **model,
                                               struct qvl_error *error);

/* run->sampler, made when it is first asked for. */
QVL_MUST_USE enum qvl_status qvl_latency_sampler(struct qvl_latency_run *run, struct qvl_error *error);

/* Records of the contexts by sampling, of the chunks along the depth, and of hot and cold layers. */
QVL_MUST_USE enum qvl_status qvl_latency_sampled_report(struct qvl_latency_run *run, struct qvl_error *error);

/* Each context of `checks` both ways. */
QVL_MUST_USE enum qvl_status qvl_latency_check_report(struct qvl_latency_run *run, struct qvl_error *error);

/* The tower on frames of the given sizes. */
QVL_MUST_USE enum qvl_status qvl_latency_frames_report(struct qvl_latency_run *run, struct qvl_error *error);

/* From a file to the first token, stage by stage. */
QVL_MUST_USE enum qvl_status qvl_latency_files_report(struct qvl_latency_run *run, struct qvl_error *error);

#endif
