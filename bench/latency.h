/* Latency of a loaded model at growing context: prefill of n text tokens, then decode steps at that depth. */
#ifndef QVL_BENCH_LATENCY_H
#define QVL_BENCH_LATENCY_H

#include "bench/physics.h"
#include "bench/samples.h"
#include "model/model.h"

/* Someone who looks at what the timed calls compute, on calls like them that are made once more, untimed:
 * told before them (true) and behind them (false). */
struct qvl_latency_watch {
    void (*tell)(void *context, bool begin); /* NULL: nobody, and no such calls */
    void *context;
};

struct qvl_latency_options {
    int64_t chunk;                  /* prompt tokens a forward call; 0: QVL_DEFAULT_CHUNK */
    int64_t decode_steps;           /* timed decode steps at each context */
    int repeats;                    /* prefills timed at each context; the sequence of the last one decodes */
    uint64_t seed;                  /* of the token ids */
    struct qvl_latency_watch watch; /* of the last chunk of a prompt and a decode step, at each context */
    /* Tokens done of all the work; may be NULL. */
    void (*progress)(void *context, int64_t done, int64_t total);
    void *context;
};

struct qvl_latency_point {
    int64_t context;
    struct qvl_samples prefill; /* from the first forward call to the logits of the last prompt token: TTFT
                                   without sampling */
    struct qvl_samples decode;  /* one token each, at depths context .. context + decode_steps - 1: TPOT */
    bool finite;                /* the logits of every timed call were finite and not all equal */
    struct qvl_conditions conditions; /* from the first prefill to the last step */
};

/* Measure at each context, ascending or not, each with fresh random token ids and a fresh sequence, after one
 * untimed prefill and decode step of min(first context, 64) tokens. QVL_BAD_INPUT when a context exceeds the
 * model's; a failure at one context leaves the points before it complete (`*done` says how many). Points are
 * freed one by one with qvl_latency_point_free. */
enum qvl_status qvl_latency_measure(struct qvl_model *model, const int64_t *contexts, int64_t count,
                                    const struct qvl_latency_options *options,
                                    struct qvl_latency_point *points, int64_t *done, struct qvl_error *error);
/* Whether the model has positions for the context and its decode steps. */
bool qvl_latency_within(const struct qvl_model *model, int64_t context,
                        const struct qvl_latency_options *options);
void qvl_latency_point_free(struct qvl_latency_point *point);

/* The tower of a loaded model on one picture or video of random pixel values, `repeats` times after once
 * untimed. The samples are freed by the caller. */
enum qvl_status qvl_latency_vision(struct qvl_model *model, const struct qvl_grid *grid, int repeats,
                                   uint64_t seed, const struct qvl_latency_watch *watch,
                                   struct qvl_samples *samples, struct qvl_error *error);

/* Seconds of the stages between a preprocessed prompt and its first token. */
struct qvl_first_token {
    double vision, prefill, sample;
};
enum qvl_status qvl_latency_first_token(struct qvl_model *model, struct qvl_backend *backend,
                                        const struct qvl_prompt *prompt, int64_t chunk,
                                        struct qvl_first_token *stages, struct qvl_error *error);

/* The sampling of one token from random logits, greedy: median of `repeats`. */
enum qvl_status qvl_latency_sample(struct qvl_backend *backend, int64_t vocabulary, int repeats,
                                   uint64_t seed, double *seconds, struct qvl_error *error);

#endif
