/* What measuring whole and by sampling share: fresh tokens and pictures, and a look at what comes out. */
#ifndef QVL_BENCH_LATENCY_PARTS_H
#define QVL_BENCH_LATENCY_PARTS_H

#include "bench/latency.h"

/* Token `index` of a stream of random ordinary text ids: below the special tokens, which the small and the
 * real vocabularies keep at the end. */
int64_t qvl_latency_token(const struct qvl_model_config *config, uint64_t seed, uint64_t stream,
                          int64_t index);

/* Logits are finite and not all equal: a timed output that nobody looked at may never have been computed. */
bool qvl_latency_plausible(const float *logits, int64_t count);

/* Tell whoever watches, if anyone does. */
void qvl_latency_tell(const struct qvl_latency_watch *watch, bool begin);

/* A prompt of one picture, or of one video with the tokens of a timestamp in front of each temporal patch,
 * and `text` random text tokens behind it. Its visual has no patch rows yet. Freed with qvl_prompt_free. */
enum qvl_status qvl_latency_visual_prompt(const struct qvl_model_config *config, const struct qvl_grid *grid,
                                          bool video, int64_t text, uint64_t seed, struct qvl_prompt *prompt,
                                          struct qvl_error *error);

/* Give the visual patch rows of random values in [-1, 1). */
enum qvl_status qvl_latency_random_rows(const struct qvl_model_config *config, uint64_t seed,
                                        struct qvl_visual *visual, struct qvl_error *error);

#endif
