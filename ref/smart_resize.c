/* Target sizes (facts 1.2, 2.3, 2.4). All arithmetic is in double, halves round to even, and products of
 * sizes stay below 2^53, so that every quotient equals that of the original's integers. */
#include "ref/pixels.h"

#define MAX_SIDE ((int64_t)1 << 24)
#define MAX_ASPECT 200.0
#define MAX_EXACT 0x1p53

struct extent {
    double height, width;
};

static double round_to(double value, double factor)
{
    return nearbyint(value / factor) * factor;
}

static double floor_to(double value, double factor)
{
    return floor(value / factor) * factor;
}

static double ceil_to(double value, double factor)
{
    return ceil(value / factor) * factor;
}

/* A side smaller than factor becomes factor, the other grows with it; both truncate (5.23.0). */
static struct extent scale_up_tiny(struct extent size, double factor)
{
    if (size.height < factor || size.width < factor) {
        double scale = fmax(factor / size.height, factor / size.width);
        size.height = trunc(size.height * scale);
        size.width = trunc(size.width * scale);
    }
    return size;
}

static enum qvl_status check_args(const struct qvl_smart_resize_args *args, struct qvl_error *error)
{
    if (!args->out_height || !args->out_width || args->factor < 1 || args->frames < 0 ||
        (args->frames > 0 && args->temporal_patch < 1))
        return qvl_fail(error, QVL_USAGE, "smart_resize: factor %lld, frames %lld, temporal_patch %lld",
                        (long long)args->factor, (long long)args->frames, (long long)args->temporal_patch);
    if (args->height < 1 || args->width < 1 || args->height > MAX_SIDE || args->width > MAX_SIDE)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "size %lld x %lld (height x width): both must lie in 1..%lld; use another file",
                        (long long)args->height, (long long)args->width, (long long)MAX_SIDE);
    if ((double)args->height * (double)args->width * fmax(1.0, (double)args->frames) > MAX_EXACT)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%lld frames of %lld x %lld are too many pixels; use fewer frames",
                        (long long)args->frames, (long long)args->height, (long long)args->width);
    if (!(args->min_pixels >= 0) || !(args->max_pixels >= 1) || args->min_pixels > MAX_EXACT ||
        args->max_pixels > MAX_EXACT)
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "min_pixels %.17g and max_pixels %.17g: give a minimum of 0 or more and a maximum of 1 "
            "or more",
            args->min_pixels, args->max_pixels);
    if (args->rule == QVL_SIZE_QVU && args->max_pixels < args->min_pixels)
        return qvl_fail(error, QVL_BAD_INPUT, "max_pixels %.17g is below min_pixels %.17g; raise it",
                        args->max_pixels, args->min_pixels);
    return QVL_OK;
}

static enum qvl_status check_video(const struct qvl_smart_resize_args *args, struct qvl_error *error)
{
    if (args->rule == QVL_SIZE_QVU || args->frames == 0)
        return QVL_OK;
    if (args->frames < args->temporal_patch)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%lld frame(s) where a temporal patch needs %lld; give a longer video, or an image",
                        (long long)args->frames, (long long)args->temporal_patch);
    if (args->rule == QVL_SIZE_HF4 && (args->height < args->factor || args->width < args->factor))
        return qvl_fail(
            error, QVL_BAD_INPUT,
            "frames of %lld x %lld (height x width) are smaller than %lld pixels; enlarge the video "
            "or use the hf5 profile",
            (long long)args->height, (long long)args->width, (long long)args->factor);
    return QVL_OK;
}

/* First rounding, then the floor branch above max_pixels or the ceil branch below min_pixels. `frames` counts
 * as it is in the scale factor but rounded to whole temporal patches in the comparison. */
static struct extent fit(const struct qvl_smart_resize_args *args, struct extent source)
{
    double factor = (double)args->factor;
    double least = args->rule == QVL_SIZE_QVU ? factor : 0.0;
    double least_floor = args->rule == QVL_SIZE_QVU ? 0.0 : factor;
    bool whole_video = args->frames > 0 && args->rule != QVL_SIZE_QVU;
    double frames = whole_video ? (double)args->frames : 1.0;
    double rounded_frames = whole_video ? round_to(frames, (double)args->temporal_patch) : 1.0;
    struct extent size = {fmax(least, round_to(source.height, factor)),
                          fmax(least, round_to(source.width, factor))};
    double pixels = rounded_frames * size.height * size.width;
    double source_pixels = frames * source.height * source.width;

    if (pixels > args->max_pixels) {
        double beta = sqrt(source_pixels / args->max_pixels);
        size.height = fmax(least_floor, floor_to(source.height / beta, factor));
        size.width = fmax(least_floor, floor_to(source.width / beta, factor));
    } else if (pixels < args->min_pixels) {
        double beta = sqrt(args->min_pixels / source_pixels);
        size.height = ceil_to(source.height * beta, factor);
        size.width = ceil_to(source.width * beta, factor);
    }
    return size;
}

enum qvl_status qvl_ref_smart_resize(const struct qvl_smart_resize_args *args, struct qvl_error *error)
{
    struct extent source = {(double)args->height, (double)args->width};
    struct extent size;

    QVL_TRY(check_args(args, error));
    QVL_TRY(check_video(args, error));
    if (args->rule == QVL_SIZE_HF5 && args->frames > 0)
        source = scale_up_tiny(source, (double)args->factor);
    if (fmax(source.height, source.width) / fmin(source.height, source.width) > MAX_ASPECT)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "aspect ratio of %lld x %lld (height x width) is above 200; crop or pad the picture",
                        (long long)args->height, (long long)args->width);
    size = fit(args, source);
    if (size.height < 1 || size.width < 1 || size.height > (double)MAX_SIDE || size.width > (double)MAX_SIDE)
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%lld x %lld (height x width) would become %.0f x %.0f under min_pixels %.17g and "
                        "max_pixels %.17g; change the limits",
                        (long long)args->height, (long long)args->width, size.height, size.width,
                        args->min_pixels, args->max_pixels);
    *args->out_height = (int64_t)size.height;
    *args->out_width = (int64_t)size.width;
    return QVL_OK;
}
