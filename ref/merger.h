/* The 2x2 grouping of the patch merger. */
#ifndef QVL_REF_MERGER_H
#define QVL_REF_MERGER_H

#include <stdint.h>

/* group consecutive rows side by side: token t is rows t*group .. t*group + group - 1.
 * rows [tokens * group][dim], grouped [tokens][group * dim]. */
void qvl_ref_group_rows(int64_t tokens, int64_t group, int64_t dim, const double *rows, double *grouped);

#endif
