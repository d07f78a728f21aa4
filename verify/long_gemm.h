/* A product y = x W^T + bias of production size and its verification in O(n^2) (verify/long_gemm.c). Internal
 * to verify/. */
#ifndef QVL_VERIFY_LONG_GEMM_H
#define QVL_VERIFY_LONG_GEMM_H

#include "verify/verify.h"

struct qvl_long_gemm {
    uint64_t seed;
    enum qvl_dtype dtype;
    struct qvl_math math; /* of the candidate */
    bool exact;           /* whole numbers whose sums every arithmetic of 24 bits holds */
    int64_t rows, in, out;
    void *x, *w, *bias; /* [rows, in], [out, in], [out] in storage type; bias may be NULL */
    void *y;            /* [rows, out], what the candidate made */
};

enum qvl_status qvl_long_gemm_open(struct qvl_long_gemm *gemm, bool has_bias, struct qvl_error *error);
void qvl_long_gemm_close(struct qvl_long_gemm *gemm);
int64_t qvl_long_gemm_bytes(const struct qvl_long_gemm *gemm);

/* Judge y: PASSED, or FAILED with the element that is wrong. */
enum qvl_status qvl_long_gemm_judge(const struct qvl_long_gemm *gemm, struct qvl_case_result *result,
                                    struct qvl_error *error);

#endif
