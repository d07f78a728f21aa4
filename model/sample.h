/* Models cut down to a few of their layers, models of random weights, and caches filled without a prefill:
 * what a measurement of one layer in place of all needs. */
#ifndef QVL_MODEL_SAMPLE_H
#define QVL_MODEL_SAMPLE_H

#include "model/model.h"

/* Which layers remain. Embedding, final norm, head, patch embedding and main merger always do; so do the
 * first DeepStack mergers, behind the first vision blocks. */
struct qvl_model_part {
    int64_t layer_count;
    int64_t layers[QVL_MAX_LAYERS]; /* ascending numbers of decoder layers */
    int64_t vision_blocks;          /* from the first; DeepStack mergers: as many as there are, one a block */
};

/* The configuration of what remains. */
void qvl_model_part_config(const struct qvl_model_config *whole, const struct qvl_model_part *part,
                           struct qvl_model_config *config);

/* Where a model's weights come from. */
struct qvl_model_source {
    const char *folder; /* a checkpoint; NULL: random weights of `config` */
    const struct qvl_model_config *config;
    uint64_t seed; /* of the random weights */
};

/* Load a part of a model; `part` NULL: all of it. Statuses of qvl_model_load. */
enum qvl_status qvl_model_load_part(const struct qvl_model_source *source, const struct qvl_model_part *part,
                                    struct qvl_backend *backend, const struct qvl_model_options *options,
                                    struct qvl_model **model, struct qvl_error *error);

/* Bring a sequence without pending tokens to `length` tokens by appending random normal keys and values, the
 * same ones to every layer. What follows then runs at that depth at the cost of a copy, not of a prefill. */
enum qvl_status qvl_sequence_fill(struct qvl_sequence *sequence, int64_t length, uint64_t seed,
                                  struct qvl_error *error);

#endif
