/* Latency of a model that is not run whole: some layers, with real weights and caches of the real length, and
 * some prefill chunks along the depth. bench/sampling.h has the arithmetic, docs/COST.md the method. */
#ifndef QVL_BENCH_LATENCY_SAMPLED_H
#define QVL_BENCH_LATENCY_SAMPLED_H

#include "bench/latency.h"
#include "bench/sampling.h"

struct qvl_sampled_options {
    enum qvl_dtype storage;
    enum qvl_angle_precision angles;
    int64_t chunk;                  /* 0: QVL_DEFAULT_CHUNK */
    int64_t decode_steps;           /* at least; up to eight times as many where they are short */
    int repeats;                    /* of each chunk; two where one takes more than ten seconds */
    uint64_t seed;                  /* of weights, cache contents and token ids */
    struct qvl_latency_watch watch; /* of each chunk, decode step and picture */
    int64_t layers;                 /* sampled of each kind; 0: qvl_sampling_plan decides */
    int64_t cache_bytes;            /* last-level cache; 0: as the system says */
    int64_t available_bytes;        /* memory to plan with; 0: ask the system */
    /* Parts of the work done, in tokens of chunks and steps; may be NULL. */
    void (*progress)(void *context, int64_t done, int64_t total);
    void *context;
};

struct qvl_sampled_point {
    int64_t context;
    bool skipped; /* for want of memory: only context, needed and available hold */
    int64_t needed, available;
    bool finite;         /* as in qvl_latency_point */
    bool beyond;         /* the context and its steps exceed the model's positions */
    int64_t layers;      /* sampled, of all kinds */
    int64_t working_set; /* bytes that the sampled layers read in a decode step */
    /* The last chunk: what it would take the whole model, call by call. */
    int64_t chunk_rows, chunk_depth;
    int64_t timed_rows; /* of the chunk: qvl_sampling_rows */
    struct qvl_samples chunk;
    struct qvl_prefill_estimate prefill; /* without the head */
    double head;                         /* median, one row */
    /* Decode steps: what each would take the whole model; and the parts as measured, medians. */
    struct qvl_samples decode;
    struct qvl_conditions conditions; /* from the first chunk to the last step */
    double layer[QVL_LAYER_KINDS];    /* one layer; 0: no such kind */
    double rest;                      /* embedding, tables, final norm */
    double chunk_cores, decode_cores; /* that were at work (qvl_core_use) */
};

/* The chunks that were measured beside those of the points: at depth 0, and in the middle. */
struct qvl_sampled_depths {
    struct qvl_depth_point points[QVL_SAMPLING_MAX_DEPTHS]; /* ascending */
    int64_t count;
};

struct qvl_sampler; /* a part of a model on a backend */

/* Both borrowed. `whole` is the configuration of the whole model. */
enum qvl_status qvl_sampler_create(const struct qvl_model_source *source,
                                   const struct qvl_model_config *whole, struct qvl_backend *backend,
                                   const struct qvl_sampled_options *options, struct qvl_sampler **sampler,
                                   struct qvl_error *error);
void qvl_sampler_destroy(struct qvl_sampler *sampler); /* NULL is accepted */

/* Estimate prefill and decode at each context (at most 64). Points are freed one by one, also those of a call
 * that failed. */
enum qvl_status qvl_sampler_measure(struct qvl_sampler *sampler, const int64_t *contexts, int64_t count,
                                    struct qvl_sampled_point *points, struct qvl_sampled_depths *depths,
                                    struct qvl_error *error);
void qvl_sampled_point_free(struct qvl_sampled_point *point);

/* One layer of a kind, decoding behind `context` tokens again and again: its weights and its cache stay in
 * the caches of the machine as far as they fit. QVL_NO_MEMORY when they do not fit into memory. */
enum qvl_status qvl_sampler_hot_layer(struct qvl_sampler *sampler, int kind, int64_t context, int64_t steps,
                                      struct qvl_samples *samples, struct qvl_error *error);

/* The tower on one picture (grid.t 1) or video: what each call would take all blocks and mergers. */
struct qvl_sampled_vision {
    struct qvl_samples encode;
    double block, deepstack, merger, rest; /* medians; one block, one merger */
    int64_t blocks;                        /* sampled */
};
enum qvl_status qvl_sampler_vision(struct qvl_sampler *sampler, const struct qvl_grid *grid, int repeats,
                                   struct qvl_sampled_vision *vision, struct qvl_error *error);

/* Last-level cache in bytes, but not less than the largest of an accelerator that we know (256 MiB). */
int64_t qvl_sampling_cache_bytes(void);

#endif
