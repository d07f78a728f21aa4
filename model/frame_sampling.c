#include "model/frame_sampling.h"

#include <stdlib.h>

#define MAX_SELECTED ((int64_t)1 << 20)
#define MAX_TOTAL ((int64_t)1 << 40)
#define QVU_FRAME_FACTOR 2
#define QVU_MIN_FRAMES 4
#define QVU_MAX_FRAMES 768

static int64_t at_least(int64_t value, int64_t low)
{
    return value < low ? low : value;
}

static int64_t at_most(int64_t value, int64_t high)
{
    return value > high ? high : value;
}

static enum qvl_status check(const struct qvl_sampling *sampling, int64_t total, double source_fps,
                             struct qvl_error *error)
{
    if (total < 1 || total > MAX_TOTAL)
        return qvl_fail(error, QVL_BAD_INPUT, "%lld frames: a video needs at least one", (long long)total);
    if (!(source_fps > 0) || !isfinite(source_fps))
        return qvl_fail(error, QVL_BAD_INPUT, "source frame rate %g: it must be above zero", source_fps);
    if (sampling->fps < 0 || !isfinite(sampling->fps) || sampling->num_frames < 0)
        return qvl_fail(error, QVL_BAD_INPUT, "fps %g, num_frames %lld: they must be above zero",
                        sampling->fps, (long long)sampling->num_frames);
    return QVL_OK;
}

static enum qvl_status allocate(int64_t count, int64_t **indices, struct qvl_error *error)
{
    if (count > MAX_SELECTED) {
        qvl_fail(error, QVL_BAD_INPUT,
                 "%lld frames selected; at most %lld are possible: lower fps or num_frames", (long long)count,
                 (long long)MAX_SELECTED);
        return QVL_BAD_INPUT;
    }
    *indices = malloc((size_t)count * sizeof **indices);
    if (!*indices) {
        qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld frame indices", (long long)count);
        return QVL_NO_MEMORY;
    }
    return QVL_OK;
}

/* A count that a huge fps would carry beyond int64. */
static int64_t truncate_count(double count)
{
    return (int64_t)fmin(count, (double)MAX_TOTAL);
}

enum qvl_status qvl_sample_frames_hf(const struct qvl_sampling *sampling, int64_t total, double source_fps,
                                     int64_t **indices, int64_t *count, struct qvl_error *error)
{
    int64_t n = sampling->num_frames;
    double last = (double)(total - 1);
    double step;

    QVL_TRY(check(sampling, total, source_fps, error));
    if (n == 0 && sampling->fps > 0) {
        n = truncate_count((double)total / source_fps * sampling->fps);
        n = at_most(at_most(at_least(n, sampling->min_frames), sampling->max_frames), total);
    } else if (n == 0) {
        n = at_most(at_least(total, sampling->min_frames), sampling->max_frames);
    }
    QVL_TRY(allocate(n, indices, error));
    /* numpy.linspace: one step, the last point forced to the end */
    step = n > 1 ? last / (double)(n - 1) : 0.0;
    for (int64_t i = 0; i < n; i++)
        (*indices)[i] = (int64_t)nearbyint(i == n - 1 && n > 1 ? last : (double)i * step);
    *count = n;
    return QVL_OK;
}

enum qvl_status qvl_sample_frames_qvu(const struct qvl_sampling *sampling, int64_t total, double source_fps,
                                      int64_t **indices, int64_t *count, struct qvl_error *error)
{
    double wanted;
    int64_t n;
    float last = (float)(total - 1);
    float step;

    QVL_TRY(check(sampling, total, source_fps, error));
    if (sampling->num_frames > 0) {
        n = (int64_t)nearbyint((double)sampling->num_frames / QVU_FRAME_FACTOR) * QVU_FRAME_FACTOR;
    } else {
        int64_t most = at_most(QVU_MAX_FRAMES, total) / QVU_FRAME_FACTOR * QVU_FRAME_FACTOR;
        wanted = (double)total / source_fps * sampling->fps;
        wanted = fmin(fmin(fmax(wanted, QVU_MIN_FRAMES), (double)most), (double)total);
        n = (int64_t)floor(wanted / QVU_FRAME_FACTOR) * QVU_FRAME_FACTOR;
    }
    if (n < QVU_FRAME_FACTOR || n > total)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%lld frames selected of %lld: under qvu it must be at least 2 and no more than the "
                        "video has",
                        (long long)n, (long long)total);
    QVL_TRY(allocate(n, indices, error));
    /* torch.linspace: float32, each half computed from its own end with a fused multiply-add */
    step = last / (float)(n - 1);
    for (int64_t i = 0; i < n; i++)
        (*indices)[i] =
            (int64_t)nearbyintf(i < n / 2 ? step * (float)i : fmaf(-step, (float)(n - 1 - i), last));
    *count = n;
    return QVL_OK;
}

enum qvl_status qvl_sample_frames_all(int64_t total, int64_t **indices, int64_t *count,
                                      struct qvl_error *error)
{
    if (total < 1)
        return qvl_fail(error, QVL_BAD_INPUT, "%lld frames: a video needs at least one", (long long)total);
    QVL_TRY(allocate(total, indices, error));
    for (int64_t i = 0; i < total; i++)
        (*indices)[i] = i;
    *count = total;
    return QVL_OK;
}
