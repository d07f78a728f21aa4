/* Invariance of a whole model: one prompt in chunks, among other sequences, with other thread counts and
 * kernel libraries, over forks and cuts of the cache, with its images in another order, and again. Logits of
 * every prompt token and of a few decoded ones are compared, or for image order the visual features.
 *
 * Each dimension gets a verdict over all pairs of its settings. Two answers may be apart by twice the
 * tolerance that verify/stages.h gives one of them. */
#ifndef QVL_VERIFY_INVARIANCE_MODEL_H
#define QVL_VERIFY_INVARIANCE_MODEL_H

#include "model/model.h"
#include "qvl/record.h"

/* X-macro over the dimensions: X(NAME, text). */
#define QVL_DIMENSIONS(X)                                                                                    \
    X(REPEAT, "repeat")                                                                                      \
    X(CHUNK, "chunk size")                                                                                   \
    X(BATCH, "batch company")                                                                                \
    X(THREADS, "thread count")                                                                               \
    X(CORE, "BLAS core type")                                                                                \
    X(SPLIT, "KV split")                                                                                     \
    X(ORDER, "image order")

enum qvl_dimension {
#define QVL_DIMENSION_ENTRY(name, text) QVL_DIMENSION_##name,
    QVL_DIMENSIONS(QVL_DIMENSION_ENTRY)
#undef QVL_DIMENSION_ENTRY
        QVL_DIMENSION_COUNT
};

struct qvl_dimension_result {
    const char *dimension; /* static */
    enum qvl_case_status status;
    const char *verdict; /* static; NULL when there is none */
    int settings;        /* compared */
    int64_t elements;    /* of each */
    double margin;       /* largest difference / tolerance of all pairs */
    int64_t flips;       /* rows whose largest logit is another token's under some setting */
    char message[512];   /* the smallest violating pair, else the smallest that is not bit-identical */
};

struct qvl_invariance_options {
    struct qvl_model_options model;
    int draws;     /* jittered runs of the reference, at least 1 */
    uint64_t seed; /* of the first draw, not 0 */
    int threads;   /* of the backend where threads are not the question */
    unsigned only; /* bits 1 << enum qvl_dimension to ask, the others are SKIPPED; 0: all */

    /* The answer of qvl_invariance_plain under another core type of the kernel library, which a process
     * chooses when it loads the library: core `index` of core_count, its name into `label`. QVL_UNSUPPORTED
     * skips it. NULL: the dimension is SKIPPED. */
    enum qvl_status (*core)(void *context, int index, const int64_t *tokens, char label[48], float *logits,
                            int64_t count, struct qvl_error *error);
    int core_count;
    void (*progress)(void *context, int done, int total); /* may be NULL */
    void *context;
};

/* Fill `results` [QVL_DIMENSION_COUNT]. Fails when the reference or the plain run of the candidate does. */
enum qvl_status qvl_verify_invariance(const char *folder, const struct qvl_prompt *prompt,
                                      qvl_backend_open_fn *reference, qvl_backend_open_fn *candidate,
                                      const struct qvl_invariance_options *options,
                                      struct qvl_dimension_result *results, struct qvl_error *error);

#define QVL_INVARIANCE_TOKENS 4 /* decoded after the prompt */

/* Logits of the plain run, [prompt->count + QVL_INVARIANCE_TOKENS][vocabulary], the tokens after the prompt
 * given; malloc'd, caller frees. */
enum qvl_status qvl_invariance_plain(const char *folder, const struct qvl_prompt *prompt,
                                     qvl_backend_open_fn *candidate,
                                     const struct qvl_invariance_options *options, const int64_t *tokens,
                                     float **logits, int64_t *count, struct qvl_error *error);

/* Text, two images of unequal size and a video of two frames, from a seed. */
enum qvl_status qvl_invariance_prompt(const struct qvl_model_config *config, uint64_t seed,
                                      struct qvl_prompt *prompt, struct qvl_error *error);

#endif
