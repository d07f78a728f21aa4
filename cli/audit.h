/* The steps of a whole audit (`run`): each adds its records to the report. */
#ifndef QVL_CLI_AUDIT_H
#define QVL_CLI_AUDIT_H

#include "cli/progress.h"
#include "cli/session.h"
#include "qvl/record.h"

#define QVL_AUDIT_MAX_CONTEXTS 16

struct qvl_audit_options {
    struct qvl_session_options
        session;       /* weights NULL: a small random checkpoint is made in the report folder */
    const char *video; /* NULL: a one-minute scene is rendered in the report folder */
    const char *out;   /* the report folder */
    const char *question;
    int64_t contexts[QVL_AUDIT_MAX_CONTEXTS];
    int64_t context_count;
    int64_t decode_steps;
    int64_t draws;
    uint64_t seed;
};

struct qvl_audit {
    const struct qvl_audit_options *options; /* borrowed */
    struct qvl_session_options session_options;
    struct qvl_session session; /* tokenizer, processor and prompt; the model is opened step by step */
    char *weights, *video;      /* paths in use, owned */
    enum qvl_dtype stored;      /* type of the checkpoint */
    struct qvl_report *report;
    struct qvl_progress progress;
};

/* The checkpoint: made when none is given. */
QVL_MUST_USE enum qvl_status qvl_audit_checkpoint(struct qvl_audit *audit, struct qvl_error *error);

/* The video: rendered and encoded when none is given, then decoded and preprocessed into the prompt. */
QVL_MUST_USE enum qvl_status qvl_audit_video(struct qvl_audit *audit, struct qvl_error *error);

/* Every stage of the video prompt, the backend against the reference, in float32 and bfloat16. */
QVL_MUST_USE enum qvl_status qvl_audit_stages(struct qvl_audit *audit, struct qvl_error *error);

/* Every stage of a text prompt of each context, in the checkpoint's type. */
QVL_MUST_USE enum qvl_status qvl_audit_contexts(struct qvl_audit *audit, struct qvl_error *error);

/* Greedy tokens of the video prompt: the same from both. */
QVL_MUST_USE enum qvl_status qvl_audit_decode(struct qvl_audit *audit, struct qvl_error *error);

/* Prefill and decode times of both at each context. */
QVL_MUST_USE enum qvl_status qvl_audit_latency(struct qvl_audit *audit, struct qvl_error *error);

/* FLOPs per token of the released sizes, and the float32 angle curve of the released rotary. */
QVL_MUST_USE enum qvl_status qvl_audit_model_facts(struct qvl_audit *audit, struct qvl_error *error);

/* True when the reference can run `tokens` tokens in reasonable time; else `reason` says what it would take.
 */
bool qvl_audit_reference_fits(const struct qvl_audit *audit, int64_t tokens, char reason[256]);

#endif
