/* What the verbs that run a checkpoint share: options, backend, model, and the prompt made of messages and
 * media. */
#ifndef QVL_CLI_SESSION_H
#define QVL_CLI_SESSION_H

#include <argp.h>

#include "cli/backends.h"
#include "model/model.h"
#include "model/processor.h"

#define QVL_SESSION_MAX_MEDIA 64

struct qvl_session_options {
    /* The model. */
    const char *weights; /* checkpoint folder */
    const char *backend; /* "cpu" */
    bool has_dtype;
    enum qvl_dtype dtype; /* else as the checkpoint is stored */
    int threads;          /* 0: all */
    int64_t chunk;        /* 0: QVL_DEFAULT_CHUNK */
    enum qvl_angle_precision angles;
    bool weights_optional; /* set by a verb that can do without */
    bool counted;          /* set by a verb that counts what the model calls (bench/counting.h) */
    /* The prompt. */
    const char *messages, *tools; /* files */
    const char *text;             /* in place of a message file, with the media below */
    const char *images[QVL_SESSION_MAX_MEDIA];
    int image_count;
    const char *videos[QVL_SESSION_MAX_MEDIA];
    int video_count;
    bool add_vision_id;
    struct qvl_processor_options processor;
    bool prompt_optional; /* set by a verb that can do without */
};

struct qvl_session {
    const struct qvl_session_options *options; /* borrowed */
    struct qvl_opened_backend backend;
    struct qvl_backend *counting; /* around it when options->counted, else NULL */
    struct qvl_model *model;
    enum qvl_dtype storage;
    struct qvl_tokenizer *tokenizer;
    struct qvl_processor *processor;
    struct qvl_prompt prompt;
    char *text; /* the expanded prompt */
    size_t text_size;
    double load_seconds, preprocess_seconds;
};

/* Argp children; the input of each is a struct qvl_session_options. */
extern const struct argp qvl_session_weights_argp;   /* --weights, needed */
extern const struct argp qvl_session_model_argp;     /* weights, backend and its settings */
extern const struct argp qvl_session_processor_argp; /* the preprocessing profile */
extern const struct argp qvl_session_prompt_argp;    /* messages or their single parts, and the processor */

void qvl_session_defaults(struct qvl_session_options *options);

/* The messages the options name, and how the checkpoint renders them. Media files must exist; none is read.
 * *messages is owned (qvl_messages_destroy). */
QVL_MUST_USE enum qvl_status qvl_session_read_messages(const struct qvl_session_options *options,
                                                       struct qvl_messages **messages,
                                                       struct qvl_render_options *render,
                                                       struct qvl_error *error);

/* The processor of the checkpoint under the options' profile. *processor is owned (qvl_processor_destroy). */
QVL_MUST_USE enum qvl_status qvl_session_load_processor(const struct qvl_session_options *options,
                                                        struct qvl_processor **processor,
                                                        struct qvl_error *error);

/* Tokenizer and processor of the checkpoint, then the prompt: reads the media. */
QVL_MUST_USE enum qvl_status qvl_session_open_prompt(struct qvl_session *session, struct qvl_error *error);

/* A prompt of `tokens` random ordinary text tokens for the checkpoint in `folder`. Freed with
 * qvl_prompt_free. */
QVL_MUST_USE enum qvl_status qvl_session_random_prompt(const char *folder, int64_t tokens, uint64_t seed,
                                                       struct qvl_prompt *prompt, struct qvl_error *error);

/* Backend and model. */
QVL_MUST_USE enum qvl_status qvl_session_open_model(struct qvl_session *session, struct qvl_error *error);

void qvl_session_close(struct qvl_session *session); /* a zeroed one is accepted */

/* Settings of checkpoint, backend and processor as fields of a record. */
void qvl_session_describe(const struct qvl_session *session, struct qvl_record *record);

/* The conditions that two reports must share and that are no options of one verb: a digest of config.json,
 * the arithmetic that the backend promises, its threads. */
void qvl_session_describe_conditions(const struct qvl_session_options *options,
                                     const struct qvl_backend *backend, struct qvl_record *record);

#endif
