/* Time of a whole model on a device, summed over its kernels (bench/kernel_time.h): the matrix products,
 * attention, experts and collectives of every layer, and the elementwise work between them as traffic. */
#ifndef QVL_BENCH_MODEL_TIME_H
#define QVL_BENCH_MODEL_TIME_H

#include "bench/kernel_time.h"
#include "model/config.h"

/* Tokens of one prefill pass; longer prompts run in pieces of this size, as serving engines do. */
#define QVL_PREFILL_PIECE 8192

struct qvl_deployment {
    const struct qvl_model_config *config;
    struct qvl_timed_device device;
    int64_t ways;                    /* tensor parallel devices; experts are divided by their width */
    enum qvl_published_type weights; /* of text matrices; the tower and the head stay in bf16 */
    enum qvl_published_type experts; /* of the experts of a mixture */
    enum qvl_published_type cache;
    int64_t batch; /* sequences alike */
};

struct qvl_model_time {
    double seconds;
    double floor_seconds;                                          /* datasheet peaks alone */
    double by_source[QVL_TIME_SOURCES];                            /* seconds of the kernels of each source */
    double attention, products, experts, collectives, elementwise; /* seconds */
    double flops, bytes;                                           /* of one device */
};

/* Worst source that makes up more than 1 % of the time. */
enum qvl_time_source qvl_model_time_source(const struct qvl_model_time *time);

/* One decode step of the batch behind `context` cached tokens each. QVL_UNSUPPORTED as qvl_kernel_time and
 * qvl_deployment_check. */
QVL_MUST_USE enum qvl_status qvl_time_decode(const struct qvl_deployment *deployment, int64_t context,
                                             struct qvl_model_time *time, struct qvl_error *error);

/* Prefill of `tokens` of each sequence behind `cached` tokens, up to the logits of the last one. */
QVL_MUST_USE enum qvl_status qvl_time_prefill(const struct qvl_deployment *deployment, int64_t cached,
                                              int64_t tokens, struct qvl_model_time *time,
                                              struct qvl_error *error);

/* The vision tower and its mergers on `grids` of one sequence. */
QVL_MUST_USE enum qvl_status qvl_time_vision(const struct qvl_deployment *deployment,
                                             const struct qvl_grid *grids, int64_t grid_count,
                                             struct qvl_model_time *time, struct qvl_error *error);

/* QVL_UNSUPPORTED when heads, vision heads or MLP width do not divide by the ways, or key and value heads
 * neither divide nor are copied the same number of times. */
QVL_MUST_USE enum qvl_status qvl_deployment_check(const struct qvl_deployment *deployment,
                                                  struct qvl_error *error);

/* Key and value heads of one device; they are copied where there are fewer than devices. */
int64_t qvl_deployment_kv_heads(const struct qvl_deployment *deployment);

/* Bytes on one device: weights, and KV cache of one token of one sequence. */
double qvl_deployment_weight_bytes(const struct qvl_deployment *deployment);
double qvl_deployment_cache_bytes(const struct qvl_deployment *deployment);

#endif
