/* What the files of the composition faults share. */
#ifndef QVL_BACKENDS_COMPOSITION_PARTS_H
#define QVL_BACKENDS_COMPOSITION_PARTS_H

#include <stdlib.h>

#include "backends/mutants/composition.h"

#define COMPOSED_BLOCKS 1024
#define COMPOSED_ALIASES 16
#define COMPOSED_PENDING 4

/* A call put off. */
struct composed_add_rows {
    struct qvl_add_rows_args args;
    int64_t *rows; /* owned copy of args.rows */
    int64_t due;   /* number of the `add` call after which it is made */
};

struct composed {
    struct qvl_backend backend; /* what the caller sees */
    struct qvl_backend *inner;  /* honest; owned */
    /* Memory the caller holds, to find the feature levels of a sequence in. */
    struct {
        void *data;
        size_t bytes;
    } blocks[COMPOSED_BLOCKS];
    int64_t mergers; /* whose weights were prepared */
    int64_t levels;  /* DeepStack mergers of the model */
    int64_t adds;    /* `add` calls since the tower or the decoder began */
    bool in_tower;
    struct composed_add_rows pending[COMPOSED_PENDING];
    int64_t pending_count;
    struct qvl_tensor first_src; /* of the first DeepStack add at this layer */
    int64_t first_src_adds;
    struct qvl_tensor hidden; /* the tensor that the last row norm read */
    bool has_norm;            /* a QK-norm is put off until after the rotation */
    struct qvl_rms_norm_args norm;
    struct qvl_tensor kept; /* backend memory of our own */
    struct qvl_tensor before;
    struct qvl_array embedding;
    const struct qvl_weight *tied;
    int64_t last_position;
    int64_t *times;                      /* temporal positions of the rows of this call; owned */
    struct qvl_cache_append_args append; /* put off until the attention */
    /* Caches handed out twice, and how often. */
    struct {
        const struct qvl_cache *cache;
        int64_t more;
    } aliases[COMPOSED_ALIASES];
};

static inline struct composed *composed_of(struct qvl_backend *backend)
{
    return backend->state;
}

/* The sequence's features: level 0 stands first in its block of memory, the DeepStack levels follow. */
struct qvl_tensor composed_level(const struct composed *composed, struct qvl_tensor rows, int64_t level);
int64_t composed_level_of(const struct composed *composed, const struct qvl_tensor *rows);
/* The same level's rows from the first one of the sequence. */
struct qvl_tensor composed_from_start(const struct composed *composed, struct qvl_tensor rows);

/* Copy into memory of our own, made on first use and made anew when it is too small. */
enum qvl_status composed_keep(struct composed *composed, const struct qvl_tensor *from, struct qvl_tensor *to,
                              struct qvl_error *error);

/* Put calls in front of the table of a new wrapper. */
typedef void composed_install(struct qvl_ops *ops, struct qvl_backend *backend);

composed_install composed_chunk_restart, composed_decode_zero, composed_draft_off_by_one,
    composed_slot_from_time, composed_causal_by_position, composed_chunk_window, composed_batch_rows,
    composed_dropped, composed_layer_late, composed_layer_early, composed_levels_reversed,
    composed_index_base, composed_mask_dropped, composed_pos_after_block, composed_norm_after_rope,
    composed_norm_skipped_in_decode, composed_norm_skipped, composed_always_tied, composed_never_tied,
    composed_slot_map_chunk, composed_truncate_ignored, composed_fork_aliases;

#endif
