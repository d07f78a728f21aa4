/* Frames to normalised patch rows (facts 1.3 step 3, 1.4). */
#include "ref/pixels.h"

#include <stdlib.h>

#define CHANNELS 3
#define LEVELS 256

/* The normalised value of each byte of a channel; every step is rounded to float32 as the original does. */
static void fill_table(const struct qvl_patch_rows_args *args, int channel, float table[LEVELS])
{
    float mean = (float)args->mean[channel];
    float std = (float)args->std[channel];
    float levels = (float)(1.0 / args->rescale);
    float fast_mean = mean * levels;
    float fast_std = std * levels;

    for (int x = 0; x < LEVELS; x++)
        table[x] = args->form == QVL_NORMALISE_FAST ? ((float)x - fast_mean) / fast_std
                                                    : ((float)(x * args->rescale) - mean) / std;
}

static enum qvl_status check_args(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    if (!args->frames || !args->rows || args->frame_count < 1 || args->patch < 1 ||
        args->temporal_patch < 1 || args->merge < 1)
        return qvl_fail(error, QVL_USAGE, "patch_rows: frames, rows or a size is missing");
    if (args->height < 1 || args->width < 1 || args->height % (args->patch * args->merge) ||
        args->width % (args->patch * args->merge))
        return qvl_fail(
            error, QVL_USAGE, "patch_rows: %lld x %lld is not a multiple of patch %lld * merge %lld",
            (long long)args->height, (long long)args->width, (long long)args->patch, (long long)args->merge);
    for (int c = 0; c < CHANNELS; c++)
        if (!(args->std[c] > 0) || !(args->rescale > 0))
            return qvl_fail(error, QVL_USAGE, "patch_rows: std and rescale must be above zero");
    return QVL_OK;
}

/* One row: columns c, tt, py, px of the patch whose top left pixel is (top, left). */
static void write_row(const struct qvl_patch_rows_args *args, float table[CHANNELS][LEVELS], int64_t t,
                      int64_t top, int64_t left, float *row)
{
    for (int c = 0; c < CHANNELS; c++)
        for (int64_t tt = 0; tt < args->temporal_patch; tt++) {
            int64_t wanted = t * args->temporal_patch + tt;
            int64_t last = args->frame_count - 1;
            const uint8_t *frame = args->frames[wanted < last ? wanted : last];
            for (int64_t py = 0; py < args->patch; py++) {
                const uint8_t *pixel = frame + ((top + py) * args->width + left) * CHANNELS + c;
                for (int64_t px = 0; px < args->patch; px++)
                    *row++ = table[c][pixel[px * CHANNELS]];
            }
        }
}

enum qvl_status qvl_ref_patch_rows(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    float table[CHANNELS][LEVELS];
    int64_t block = args->patch * args->merge;
    int64_t columns = CHANNELS * args->temporal_patch * args->patch * args->patch;
    float *row = args->rows;

    QVL_TRY(check_args(args, error));
    for (int c = 0; c < CHANNELS; c++)
        fill_table(args, c, table[c]);
    for (int64_t t = 0; t * args->temporal_patch < args->frame_count; t++)
        for (int64_t by = 0; by < args->height / block; by++)
            for (int64_t bx = 0; bx < args->width / block; bx++)
                for (int64_t my = 0; my < args->merge; my++)
                    for (int64_t mx = 0; mx < args->merge; mx++, row += columns)
                        write_row(args, table, t, by * block + my * args->patch,
                                  bx * block + mx * args->patch, row);
    return QVL_OK;
}
