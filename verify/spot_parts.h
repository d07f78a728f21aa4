/* What the files of the spot check share. Internal to verify/. */
#ifndef QVL_VERIFY_SPOT_PARTS_H
#define QVL_VERIFY_SPOT_PARTS_H

#include "verify/spot_check.h"

/* What a backend was asked to make, and its handle for it. */
struct qvl_spot_handle {
    const void *handle; /* struct qvl_weight or struct qvl_cache of the candidate */
    struct qvl_weight_desc weight;
    struct qvl_cache_desc cache;
    char *name; /* owned */
};

struct qvl_spot_handles {
    struct qvl_spot_handle *items;
    int64_t count, capacity;
};

struct qvl_spot_check {
    struct qvl_backend *candidate, *reference;
    struct qvl_backend honest; /* the candidate's functions and entries as they were */
    struct qvl_spot_handles handles;
    uint64_t seed, drawn;
    double share;
    bool seen_long; /* attention over many keys, since the watch began */
    struct qvl_spot_result result;
};

/* Entries have no argument for it. */
extern struct qvl_spot_check *qvl_spot_current;

enum { QVL_SPOT_BUFFERS = 16 };

/* One row of one call. */
struct qvl_spot {
    const char *entry;
    bool single;          /* called once in a forward call: always looked at */
    int64_t row, rows;    /* of the output */
    int64_t first, count; /* of the inputs that it comes from */
    void *buffers[QVL_SPOT_BUFFERS];
    struct qvl_weight *weights[2]; /* of the reference */
    int buffer_count, weight_count;
    const char *weight_name; /* the first weight's; NULL: none */
    struct qvl_tensor bias;  /* the copy that a pointer in the arguments is turned to */
};

/* Whether to look at a call of that many rows, and then at which. */
bool qvl_spot_chosen(struct qvl_spot *spot, int64_t rows);

/* Contiguous host memory that the close of the spot frees. */
enum qvl_status qvl_spot_buffer(struct qvl_spot *spot, size_t bytes, void **buffer, struct qvl_error *error);

/* Rows of a tensor of the candidate in host memory; to->data is made. */
enum qvl_status qvl_spot_rows(struct qvl_spot *spot, const struct qvl_tensor *from, int64_t first,
                              int64_t count, struct qvl_tensor *to, struct qvl_error *error);

/* What was asked for under a handle of the candidate; QVL_FAILED when it was made before the spot check. */
enum qvl_status qvl_spot_find(const void *handle, const struct qvl_spot_handle **found,
                              struct qvl_error *error);

/* Compare `count` values; an error that exceeds `limit` of the squared values is noted as the message. */
void qvl_spot_judge(const struct qvl_spot *spot, const double *got, const double *wanted, int64_t count,
                    double limit);

/* The same of two tensors in host memory. */
enum qvl_status qvl_spot_judge_tensors(struct qvl_spot *spot, const struct qvl_tensor *got,
                                       const struct qvl_tensor *wanted, double limit,
                                       struct qvl_error *error);

void qvl_spot_close(struct qvl_spot *spot);

/* Put the watching entries into the candidate's table. */
void qvl_spot_watch_rows(struct qvl_ops *ops);
void qvl_spot_watch_attention(struct qvl_ops *ops);

#endif
