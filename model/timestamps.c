#include "model/timestamps.h"

#include <stdlib.h>

enum qvl_status qvl_timestamps(const int64_t *indices, int64_t count, int64_t group, double fps,
                               double **stamps, int64_t *stamp_count, struct qvl_error *error)
{
    int64_t groups = (count + group - 1) / group;
    *stamps = malloc((size_t)groups * sizeof **stamps);
    if (!*stamps)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld timestamps", (long long)groups);
    for (int64_t j = 0; j < groups; j++) {
        int64_t last = (j + 1) * group < count ? (j + 1) * group - 1 : count - 1;
        (*stamps)[j] = ((double)indices[j * group] / fps + (double)indices[last] / fps) / 2.0;
    }
    *stamp_count = groups;
    return QVL_OK;
}

int qvl_timestamp_text(double stamp, char text[QVL_TIMESTAMP_BYTES])
{
    int length = snprintf(text, QVL_TIMESTAMP_BYTES, "<%.1f seconds>", stamp);
    return length < QVL_TIMESTAMP_BYTES ? length : QVL_TIMESTAMP_BYTES - 1;
}
