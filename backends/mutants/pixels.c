#include "backends/mutants/pixels.h"

#include <stdlib.h>

#define CHANNELS 3

static const struct qvl_pixel_ops *inner;
static struct qvl_pixel_ops table;

/* ---- Sizes ---- */

/* A copy of the rule that floors what the other rounds up to the smallest size. */
static enum qvl_status size_floored(const struct qvl_smart_resize_args *args, struct qvl_error *error)
{
    QVL_TRY(inner->smart_resize(args, error));
    if (args->height < args->factor || args->width < args->factor) {
        *args->out_height = (args->height / args->factor + 1) * args->factor;
        *args->out_width = (args->width / args->factor + 1) * args->factor;
    }
    return QVL_OK;
}

static enum qvl_status size_of_frames(const struct qvl_smart_resize_args *args, int64_t frames,
                                      struct qvl_error *error)
{
    struct qvl_smart_resize_args changed = *args;
    changed.frames = frames;
    return inner->smart_resize(&changed, error);
}

static enum qvl_status size_plus_rest(const struct qvl_smart_resize_args *args, struct qvl_error *error)
{
    const int64_t rest = args->frames > 0 ? args->frames % args->temporal_patch : 0;
    return size_of_frames(args, args->frames + rest, error);
}

static enum qvl_status size_plus_depth(const struct qvl_smart_resize_args *args, struct qvl_error *error)
{
    const bool odd = args->frames > 0 && args->frames % args->temporal_patch != 0;
    return size_of_frames(args, args->frames + (odd ? args->temporal_patch - 1 : 0), error);
}

/* ---- Resizing ---- */

/* To the swapped size, then once more to the size that was asked for. */
static enum qvl_status resize_swapped(const struct qvl_resize_args *args, struct qvl_error *error)
{
    struct qvl_resize_args first = *args;
    struct qvl_resize_args second = *args;
    uint8_t *middle = malloc((size_t)(args->out_height * args->out_width * CHANNELS));
    if (!middle)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a picture");
    first.dst = middle;
    first.out_height = second.height = args->out_width;
    first.out_width = second.width = args->out_height;
    second.src = middle;
    enum qvl_status status = inner->resize(&first, error);
    if (status == QVL_OK)
        status = inner->resize(&second, error);
    free(middle);
    return status;
}

/* Where output index `i` of `out` falls among `in` when the corners are aligned, and its fraction. */
static int64_t aligned(int64_t i, int64_t out, int64_t in, double *fraction)
{
    const double place = out > 1 ? (double)i * (double)(in - 1) / (double)(out - 1) : 0;
    int64_t whole = (int64_t)place;
    if (whole > in - 2)
        whole = in > 1 ? in - 2 : 0;
    *fraction = in > 1 ? place - (double)whole : 0;
    return whole;
}

/* Bilinear, corners aligned, no antialiasing. */
static enum qvl_status resize_bilinear(const struct qvl_resize_args *args, struct qvl_error *error)
{
    const int64_t down = args->height > 1 ? args->width * CHANNELS : 0;
    const int64_t right = args->width > 1 ? CHANNELS : 0;
    if (args->height == args->out_height && args->width == args->out_width)
        return inner->resize(args, error);
    for (int64_t y = 0; y < args->out_height; y++)
        for (int64_t x = 0; x < args->out_width * CHANNELS; x++) {
            double dy, dx;
            const int64_t top = aligned(y, args->out_height, args->height, &dy);
            const int64_t left = aligned(x / CHANNELS, args->out_width, args->width, &dx);
            const uint8_t *p = args->src + (top * args->width + left) * CHANNELS + x % CHANNELS;
            args->dst[y * args->out_width * CHANNELS + x] =
                (uint8_t)((1 - dy) * ((1 - dx) * p[0] + dx * p[right]) +
                          dy * ((1 - dx) * p[down] + dx * p[down + right]) + 0.5);
        }
    return QVL_OK;
}

/* ---- Patch rows ---- */

/* The constants of another family. */
static enum qvl_status rows_clip(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    struct qvl_patch_rows_args changed = *args;
    memcpy(changed.mean, (const double[]){0.48145466, 0.4578275, 0.40821073}, sizeof changed.mean);
    memcpy(changed.std, (const double[]){0.26862954, 0.26130258, 0.27577711}, sizeof changed.std);
    return inner->patch_rows(&changed, error);
}

static int64_t row_count(const struct qvl_patch_rows_args *args)
{
    return (args->frame_count + args->temporal_patch - 1) / args->temporal_patch *
           (args->height / args->patch) * (args->width / args->patch);
}

static int64_t row_width(const struct qvl_patch_rows_args *args)
{
    return CHANNELS * args->temporal_patch * args->patch * args->patch;
}

/* The honest rows, and a copy of them to take from. *copy is the caller's to free. */
static enum qvl_status rows_and_copy(const struct qvl_patch_rows_args *args, float **copy,
                                     struct qvl_error *error)
{
    const size_t bytes = sizeof(float) * (size_t)(row_count(args) * row_width(args));
    QVL_TRY(inner->patch_rows(args, error));
    *copy = malloc(bytes);
    if (!*copy)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for patch rows");
    memcpy(*copy, args->rows, bytes);
    return QVL_OK;
}

static enum qvl_status rows_bgr(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    const int64_t plane = row_width(args) / CHANNELS;
    float *copy;
    QVL_TRY(rows_and_copy(args, &copy, error));
    for (int64_t row = 0; row < row_count(args); row++)
        for (int64_t c = 0; c < CHANNELS; c++)
            memcpy(args->rows + (row * CHANNELS + c) * plane, copy + (row * CHANNELS + 2 - c) * plane,
                   sizeof(float) * (size_t)plane);
    free(copy);
    return QVL_OK;
}

/* Columns t, c, y, x for c, t, y, x. */
static enum qvl_status rows_other_axes(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    const int64_t plane = args->patch * args->patch;
    float *copy;
    QVL_TRY(rows_and_copy(args, &copy, error));
    for (int64_t row = 0; row < row_count(args); row++)
        for (int64_t c = 0; c < CHANNELS; c++)
            for (int64_t t = 0; t < args->temporal_patch; t++)
                memcpy(args->rows + row * row_width(args) + (t * CHANNELS + c) * plane,
                       copy + row * row_width(args) + (c * args->temporal_patch + t) * plane,
                       sizeof(float) * (size_t)plane);
    free(copy);
    return QVL_OK;
}

/* Row order t, y, x in place of merge blocks. */
static enum qvl_status rows_raster(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    const int64_t down = args->height / args->patch;
    const int64_t across = args->width / args->patch;
    float *copy;
    QVL_TRY(rows_and_copy(args, &copy, error));
    for (int64_t row = 0; row < row_count(args); row++) {
        const int64_t y = row / across % down;
        const int64_t x = row % across;
        const int64_t block = y / args->merge * (across / args->merge) + x / args->merge;
        const int64_t from = row / (down * across) * down * across + block * args->merge * args->merge +
                             y % args->merge * args->merge + x % args->merge;
        memcpy(args->rows + row * row_width(args), copy + from * row_width(args),
               sizeof(float) * (size_t)row_width(args));
    }
    free(copy);
    return QVL_OK;
}

/* What is missing of the last temporal patch is black. */
static enum qvl_status rows_black_padding(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    const int64_t depth = args->temporal_patch;
    const int64_t count = (args->frame_count + depth - 1) / depth * depth;
    const uint8_t **frames = malloc(sizeof *frames * (size_t)count);
    uint8_t *black = calloc((size_t)(args->height * args->width), CHANNELS);
    struct qvl_patch_rows_args changed = *args;
    enum qvl_status status = QVL_OK;
    if (!frames || !black)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for a frame");
    for (int64_t i = 0; status == QVL_OK && i < count; i++)
        frames[i] = i < args->frame_count ? args->frames[i] : black;
    changed.frames = frames;
    changed.frame_count = count;
    if (status == QVL_OK)
        status = inner->patch_rows(&changed, error);
    free(frames);
    free(black);
    return status;
}

static struct {
    uint64_t hash;
    float *rows;
    size_t bytes;
} remembered;

/* Rows are kept by a hash of the pictures' bytes, which says nothing of their shape. */
static enum qvl_status rows_remembered(const struct qvl_patch_rows_args *args, struct qvl_error *error)
{
    const size_t bytes = sizeof(float) * (size_t)(row_count(args) * row_width(args));
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int64_t f = 0; f < args->frame_count; f++)
        for (int64_t i = 0; i < args->height * args->width * CHANNELS; i++)
            hash = (hash ^ args->frames[f][i]) * UINT64_C(0x100000001b3);
    if (remembered.rows && remembered.hash == hash && remembered.bytes == bytes) {
        memcpy(args->rows, remembered.rows, bytes);
        return QVL_OK;
    }
    free(remembered.rows);
    remembered.rows = NULL;
    QVL_TRY(rows_and_copy(args, &remembered.rows, error));
    remembered.hash = hash;
    remembered.bytes = bytes;
    return QVL_OK;
}

/* ---- The list ---- */

struct fault {
    struct qvl_mutant mutant;
    struct qvl_pixel_ops changed; /* NULL: as the honest one */
};

static const struct fault faults[] = {
    {{"pre.mean_std_clip", 4, "pixels are normalised with CLIP's constants", "patch_rows", NULL},
     {.patch_rows = rows_clip}},
    {{"pre.swap_wh_resize", 4, "resized to width by height, then once more to the right size", "resize",
      NULL},
     {.resize = resize_swapped}},
    {{"pre.resize_kernel", 4, "bilinear with aligned corners, without antialiasing", "resize", NULL},
     {.resize = resize_bilinear}},
    {{"pre.two_smart_resizes", 4, "a second copy of the size rule, which differs for tiny pictures",
      "smart_resize", NULL},
     {.smart_resize = size_floored}},
    {{"pre.pad_T_minus_1", 4, "the budget counts depth - 1 more frames wherever the count is no multiple",
      "smart_resize", NULL},
     {.smart_resize = size_plus_depth}},
    {{"pre.pad_mod", 4, "the budget rounds frames up by n + n % p", "smart_resize", NULL},
     {.smart_resize = size_plus_rest}},
    {{"pre.odd_frames", 4, "the frame that an odd clip lacks is black, not the last one repeated",
      "patch_rows", NULL},
     {.patch_rows = rows_black_padding}},
    {{"pre.patch_raster_order", 5, "patch rows in raster order, not in merge blocks", "patch_rows", NULL},
     {.patch_rows = rows_raster}},
    {{"pre.patch_axes", 5, "patch columns ordered t, c, y, x", "patch_rows", NULL},
     {.patch_rows = rows_other_axes}},
    {{"cache.hash_no_shape", 11, "features are kept by a hash of the bytes without the shape", "patch_rows",
      NULL},
     {.patch_rows = rows_remembered}},
    {{"pre.channel_order_bgr", 15, "blue, green, red", "patch_rows", NULL}, {.patch_rows = rows_bgr}},
};

#define FAULTS ((int64_t)(sizeof faults / sizeof *faults))

const struct qvl_mutant *qvl_pixel_mutant_at(int64_t index)
{
    return index >= 0 && index < FAULTS ? &faults[index].mutant : NULL;
}

const struct qvl_pixel_ops *qvl_pixel_mutant_table(const char *name, const struct qvl_pixel_ops *honest)
{
    for (int64_t i = 0; i < FAULTS; i++) {
        if (strcmp(faults[i].mutant.name, name) != 0)
            continue;
        const struct qvl_pixel_ops *changed = &faults[i].changed;
        inner = honest;
        table = *honest;
        table.smart_resize = changed->smart_resize ? changed->smart_resize : table.smart_resize;
        table.resize = changed->resize ? changed->resize : table.resize;
        table.patch_rows = changed->patch_rows ? changed->patch_rows : table.patch_rows;
        return &table;
    }
    return NULL;
}
