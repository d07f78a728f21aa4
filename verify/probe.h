/* Checks that are more than one call of one entry against the reference: known answers at a length that has
 * no reference, agreement of two ways to ask the same, calls that must be refused. Internal to verify/. */
#ifndef QVL_VERIFY_PROBE_H
#define QVL_VERIFY_PROBE_H

#include "verify/verify.h"

struct qvl_probe {
    const char *name;
    const char *op;                            /* the entry that it exercises, for filters and coverage */
    const char *numbers[QVL_CASE_NUMBERS + 1]; /* names of the case's integers, NULL after the last; none:
                                                  those of the entry */
    const char *const *patterns; /* its built-in cases, NULL after the last (verify/case_list.c) */

    /* Judge the candidate. `result` comes zeroed but for status (UNSUPPORTED) and repro. Errors as
     * qvl_case_run. */
    enum qvl_status (*run)(const struct qvl_case *chosen, const struct qvl_case_context *context,
                           struct qvl_case_result *result, struct qvl_error *error);

    /* May be NULL: qvl_case_bytes of its cases. */
    int64_t (*bytes)(const struct qvl_case *chosen);
};

/* Invariance, by dimension. */
#define QVL_PROBES_INVARIANCE(X)                                                                             \
    X(repeat_patch_embed)                                                                                    \
    X(repeat_pos_interp)                                                                                     \
    X(repeat_vision_rope_table)                                                                              \
    X(repeat_layer_norm)                                                                                     \
    X(repeat_linear)                                                                                         \
    X(repeat_rope)                                                                                           \
    X(repeat_vision_attention)                                                                               \
    X(repeat_gelu)                                                                                           \
    X(repeat_merger)                                                                                         \
    X(repeat_embed)                                                                                          \
    X(repeat_scatter_rows)                                                                                   \
    X(repeat_mrope_table)                                                                                    \
    X(repeat_rms_norm)                                                                                       \
    X(repeat_cache_append)                                                                                   \
    X(repeat_attention)                                                                                      \
    X(repeat_swiglu)                                                                                         \
    X(repeat_add)                                                                                            \
    X(repeat_add_rows)                                                                                       \
    X(repeat_moe_route)                                                                                      \
    X(repeat_moe_experts)                                                                                    \
    X(repeat_moe_combine)                                                                                    \
    X(repeat_output_head)                                                                                    \
    X(repeat_softmax)                                                                                        \
    X(repeat_sample)                                                                                         \
    X(threads_patch_embed)                                                                                   \
    X(threads_pos_interp)                                                                                    \
    X(threads_vision_rope_table)                                                                             \
    X(threads_layer_norm)                                                                                    \
    X(threads_linear)                                                                                        \
    X(threads_rope)                                                                                          \
    X(threads_vision_attention)                                                                              \
    X(threads_gelu)                                                                                          \
    X(threads_merger)                                                                                        \
    X(threads_embed)                                                                                         \
    X(threads_scatter_rows)                                                                                  \
    X(threads_mrope_table)                                                                                   \
    X(threads_rms_norm)                                                                                      \
    X(threads_cache_append)                                                                                  \
    X(threads_attention)                                                                                     \
    X(threads_swiglu)                                                                                        \
    X(threads_add)                                                                                           \
    X(threads_add_rows)                                                                                      \
    X(threads_moe_route)                                                                                     \
    X(threads_moe_experts)                                                                                   \
    X(threads_moe_combine)                                                                                   \
    X(threads_output_head)                                                                                   \
    X(threads_softmax)                                                                                       \
    X(threads_sample)                                                                                        \
    X(batch_patch_embed)                                                                                     \
    X(batch_layer_norm)                                                                                      \
    X(batch_linear)                                                                                          \
    X(batch_rope)                                                                                            \
    X(batch_gelu)                                                                                            \
    X(batch_merger)                                                                                          \
    X(batch_embed)                                                                                           \
    X(batch_rms_norm)                                                                                        \
    X(batch_swiglu)                                                                                          \
    X(batch_add)                                                                                             \
    X(batch_moe_route)                                                                                       \
    X(batch_moe_experts)                                                                                     \
    X(batch_moe_combine)                                                                                     \
    X(batch_output_head)                                                                                     \
    X(batch_softmax)                                                                                         \
    X(batch_vision_attention)                                                                                \
    X(batch_attention)                                                                                       \
    X(chunk_attention)                                                                                       \
    X(split_attention)                                                                                       \
    X(split_cache_append)                                                                                    \
    X(order_vision_attention)                                                                                \
    X(order_pos_interp)                                                                                      \
    X(order_vision_rope_table)

/* Length: answers that are known without a reference. */
#define QVL_PROBES_LENGTH(X)                                                                                 \
    X(long_attention)                                                                                        \
    X(long_vision)                                                                                           \
    X(linear_projected)                                                                                      \
    X(linear_exact)                                                                                          \
    X(head_projected)                                                                                        \
    X(head_exact)                                                                                            \
    X(far_patch_embed)                                                                                       \
    X(far_pos_interp)                                                                                        \
    X(far_vision_rope_table)                                                                                 \
    X(far_layer_norm)                                                                                        \
    X(far_linear)                                                                                            \
    X(far_rope)                                                                                              \
    X(far_vision_attention)                                                                                  \
    X(far_gelu)                                                                                              \
    X(far_merger)                                                                                            \
    X(far_embed)                                                                                             \
    X(far_scatter_rows)                                                                                      \
    X(far_mrope_table)                                                                                       \
    X(far_rms_norm)                                                                                          \
    X(far_cache_append)                                                                                      \
    X(far_attention)                                                                                         \
    X(far_swiglu)                                                                                            \
    X(far_add)                                                                                               \
    X(far_add_rows)                                                                                          \
    X(far_moe_route)                                                                                         \
    X(far_moe_experts)                                                                                       \
    X(far_moe_combine)                                                                                       \
    X(far_output_head)                                                                                       \
    X(far_softmax)

/* Calls that must be refused. */
#define QVL_PROBES_REFUSAL(X)                                                                                \
    X(refuse_patch_embed)                                                                                    \
    X(refuse_pos_interp)                                                                                     \
    X(refuse_layer_norm)                                                                                     \
    X(refuse_linear)                                                                                         \
    X(refuse_rope)                                                                                           \
    X(refuse_vision_attention)                                                                               \
    X(refuse_gelu)                                                                                           \
    X(refuse_merger)                                                                                         \
    X(refuse_embed)                                                                                          \
    X(refuse_scatter_rows)                                                                                   \
    X(refuse_mrope_table)                                                                                    \
    X(refuse_rms_norm)                                                                                       \
    X(refuse_cache_append)                                                                                   \
    X(refuse_attention)                                                                                      \
    X(refuse_swiglu)                                                                                         \
    X(refuse_add)                                                                                            \
    X(refuse_add_rows)                                                                                       \
    X(refuse_moe_route)                                                                                      \
    X(refuse_moe_experts)                                                                                    \
    X(refuse_moe_combine)                                                                                    \
    X(refuse_output_head)                                                                                    \
    X(refuse_softmax)                                                                                        \
    X(refuse_sample)

/* X-macro over the probes, in the order of listings. */
#define QVL_PROBES(X)                                                                                        \
    QVL_PROBES_INVARIANCE(X)                                                                                 \
    QVL_PROBES_LENGTH(X)                                                                                     \
    QVL_PROBES_REFUSAL(X)

#define QVL_PROBE_DECLARE(name) extern const struct qvl_probe qvl_probe_##name;
QVL_PROBES(QVL_PROBE_DECLARE)
#undef QVL_PROBE_DECLARE

/* The probe of a check, NULL for an entry of the op table. */
const struct qvl_probe *qvl_probe_of(int check);

#endif
