/* What the files of the counting backend share. */
#ifndef QVL_BENCH_COUNTING_PARTS_H
#define QVL_BENCH_COUNTING_PARTS_H

#include "bench/counting.h"

struct qvl_weight {
    struct qvl_weight *inner; /* owned */
    int64_t count;            /* elements */
    int64_t bytes;            /* in its storage type */
    int64_t slices;           /* axis 0: experts, or rows of a table */
};

struct qvl_cache {
    struct qvl_cache *inner; /* owned */
    int64_t row_bytes;       /* of the keys (or values) of one token and layer */
};

enum counting_stage {
    STAGE_PATCH_EMBED,
    STAGE_POSITION,
    STAGE_VISION_LINEAR,
    STAGE_VISION_ATTENTION,
    STAGE_MERGER,
    STAGE_VISION_NORMS,
    STAGE_VISION_SOFTMAX,
    STAGE_VISION_ELEMENTWISE,
    STAGE_EMBEDDING,
    STAGE_DEEPSTACK_ADD,
    STAGE_ATTENTION_LINEAR,
    STAGE_ATTENTION,
    STAGE_MLP,
    STAGE_ROUTER,
    STAGE_EXPERTS,
    STAGE_HEAD,
    STAGE_NORMS,
    STAGE_SOFTMAX,
    STAGE_ELEMENTWISE,
    STAGE_UNPLACED,
    STAGE_COUNT,
    STAGE_NONE = STAGE_COUNT
};

struct tally {
    bool called;
    qvl_flop_count flops, bytes;
};

/* A linear layer whose stage is not known yet. */
struct waiting_product {
    qvl_flop_count flops;
    qvl_flop_count weight_bytes, input_bytes, output_bytes;
    const void *input;
};

#define MAX_WAITING 8

struct counting {
    struct qvl_backend *inner; /* borrowed */
    struct tally stages[STAGE_COUNT];
    struct tally deepstack[QVL_MAX_DEEPSTACK];
    struct tally mergers[QVL_MAX_DEEPSTACK + 1]; /* of the tower's pass that is running, in order */
    int merger_count;
    bool in_tower;
    bool position_follows; /* the next add joins the interpolated positions */
    struct waiting_product waiting[MAX_WAITING];
    int waiting_count;
    enum counting_stage follower; /* where the next linear layer goes; STAGE_NONE: it waits */
    int64_t experts_touched, calls;
};

/* Count one call that succeeded. Cache lengths are read through the inner backend. */
void qvl_count_patch_embed(struct counting *counting, const struct qvl_patch_embed_args *args);
void qvl_count_pos_interp(struct counting *counting, const struct qvl_pos_interp_args *args);
void qvl_count_vision_rope_table(struct counting *counting, const struct qvl_vision_rope_table_args *args);
void qvl_count_layer_norm(struct counting *counting, const struct qvl_layer_norm_args *args);
void qvl_count_linear(struct counting *counting, const struct qvl_linear_args *args);
void qvl_count_rope(struct counting *counting, const struct qvl_rope_args *args);
void qvl_count_vision_attention(struct counting *counting, const struct qvl_vision_attention_args *args);
void qvl_count_gelu(struct counting *counting, const struct qvl_gelu_args *args);
void qvl_count_merger(struct counting *counting, const struct qvl_merger_args *args);
void qvl_count_embed(struct counting *counting, const struct qvl_embed_args *args);
void qvl_count_scatter_rows(struct counting *counting, const struct qvl_scatter_rows_args *args);
void qvl_count_mrope_table(struct counting *counting, const struct qvl_mrope_table_args *args);
void qvl_count_rms_norm(struct counting *counting, const struct qvl_rms_norm_args *args);
void qvl_count_cache_append(struct counting *counting, const struct qvl_cache_append_args *args);
void qvl_count_attention(struct counting *counting, const struct qvl_attention_args *args);
void qvl_count_swiglu(struct counting *counting, const struct qvl_swiglu_args *args);
void qvl_count_add(struct counting *counting, const struct qvl_add_args *args);
void qvl_count_add_rows(struct counting *counting, const struct qvl_add_rows_args *args);
void qvl_count_moe_route(struct counting *counting, const struct qvl_moe_route_args *args);
/* `touched`: distinct experts among args->chosen. */
void qvl_count_moe_experts(struct counting *counting, const struct qvl_moe_experts_args *args,
                           int64_t touched);
void qvl_count_moe_combine(struct counting *counting, const struct qvl_moe_combine_args *args);
void qvl_count_output_head(struct counting *counting, const struct qvl_output_head_args *args);

/* Place what still waits and name the mergers: the pass is over. */
void qvl_count_end_pass(struct counting *counting);

#endif
