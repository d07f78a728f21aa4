/* Calls of the pixel table, each compared with the reference's result byte by byte. */
#include <stdlib.h>

#include "base/random.h"
#include "verify/composition_parts.h"

#define CHANNELS 3
#define SIDE 96                     /* longest side of a picture here */
#define ROOM (16 * 3 * 2 * 16 * 16) /* values of the largest patch rows here */

enum pixel_entry { SIZE, RESIZE, ROWS, ROWS_TWICE };

struct composition_pixel_call {
    const char *line;
    enum pixel_entry entry;
    enum qvl_size_rule rule;
    int64_t frames, depth; /* temporal patch */
    int64_t height, width, out_height, out_width;
    double max_pixels;
};

static const struct composition_pixel_call calls[] = {
    {"pixels smart_resize height=23 width=3", SIZE, .height = 23, .width = 3, .max_pixels = 61440},
    {"pixels smart_resize height=100 width=170", SIZE, .height = 100, .width = 170, .max_pixels = 61440},
    {"pixels smart_resize frames=17 depth=4 height=300 width=500", SIZE, .frames = 17, .depth = 4,
     .height = 300, .width = 500, .max_pixels = 500000},
    {"pixels smart_resize frames=18 depth=4 height=300 width=500", SIZE, .frames = 18, .depth = 4,
     .height = 300, .width = 500, .max_pixels = 500000},
    {"pixels resize height=96 width=64 to=32x48", RESIZE, .height = 96, .width = 64, .out_height = 32,
     .out_width = 48},
    {"pixels resize height=33 width=47 to=64x96", RESIZE, .height = 33, .width = 47, .out_height = 64,
     .out_width = 96},
    {"pixels patch_rows frames=1 depth=2 height=64 width=96", ROWS, .frames = 1, .depth = 2, .height = 64,
     .width = 96},
    {"pixels patch_rows frames=3 depth=2 height=32 width=64", ROWS, .frames = 3, .depth = 2, .height = 32,
     .width = 64},
    {"pixels patch_rows twice, 32x96 and 96x32 of the same bytes", ROWS_TWICE, .frames = 1, .depth = 2,
     .height = 32, .width = 96},
};

#define CALLS ((int64_t)(sizeof calls / sizeof *calls))

const char *composition_pixel_line(int64_t index)
{
    return index >= 0 && index < CALLS ? calls[index].line : NULL;
}

/* Room for what a call reads and writes. */
struct pixel_room {
    uint8_t source[3][SIDE * SIDE * CHANNELS];
    uint8_t picture[SIDE * SIDE * CHANNELS];
    float rows[2 * ROOM];
    int64_t size[2];
};

static enum qvl_status call_size(const struct composition_pixel_call *call, const struct qvl_pixel_ops *ops,
                                 struct pixel_room *room, struct qvl_error *error)
{
    const struct qvl_smart_resize_args args = {.rule = call->rule,
                                               .frames = call->frames,
                                               .temporal_patch = call->depth,
                                               .height = call->height,
                                               .width = call->width,
                                               .factor = 32,
                                               .min_pixels = 4096,
                                               .max_pixels = call->max_pixels,
                                               .out_height = &room->size[0],
                                               .out_width = &room->size[1]};
    return ops->smart_resize(&args, error);
}

static enum qvl_status call_resize(const struct composition_pixel_call *call, const struct qvl_pixel_ops *ops,
                                   struct pixel_room *room, struct qvl_error *error)
{
    const struct qvl_resize_args args = {.method = QVL_RESIZE_TORCHVISION_U8,
                                         .src = room->source[0],
                                         .height = call->height,
                                         .width = call->width,
                                         .dst = room->picture,
                                         .out_height = call->out_height,
                                         .out_width = call->out_width};
    return ops->resize(&args, error);
}

static enum qvl_status call_rows(const struct composition_pixel_call *call, const struct qvl_pixel_ops *ops,
                                 struct pixel_room *room, int64_t height, int64_t width, float *rows,
                                 struct qvl_error *error)
{
    const uint8_t *const frames[] = {room->source[0], room->source[1], room->source[2]};
    const struct qvl_patch_rows_args args = {.frames = frames,
                                             .frame_count = call->frames,
                                             .height = height,
                                             .width = width,
                                             .patch = 16,
                                             .temporal_patch = call->depth,
                                             .merge = 2,
                                             .mean = {0.5, 0.5, 0.5},
                                             .std = {0.5, 0.5, 0.5},
                                             .rescale = 1.0 / 255.0,
                                             .form = QVL_NORMALISE_FAST,
                                             .rows = rows};
    return ops->patch_rows(&args, error);
}

static enum qvl_status make_call(const struct composition_pixel_call *call, const struct qvl_pixel_ops *ops,
                                 struct pixel_room *room, struct qvl_error *error)
{
    for (int frame = 0; frame < 3; frame++)
        for (int64_t i = 0; i < (int64_t)sizeof room->source[0]; i++)
            room->source[frame][i] = (uint8_t)qvl_random_bits(5, (uint64_t)frame, (uint64_t)i);
    switch (call->entry) {
    case SIZE: return call_size(call, ops, room, error);
    case RESIZE: return call_resize(call, ops, room, error);
    default: break;
    }
    QVL_TRY(call_rows(call, ops, room, call->height, call->width, room->rows, error));
    return call->entry == ROWS_TWICE
               ? call_rows(call, ops, room, call->width, call->height, room->rows + ROOM, error)
               : QVL_OK;
}

static void judge(const struct composition_pixel_call *call, const struct pixel_room *wanted,
                  const struct pixel_room *got, struct qvl_selftest_attempt *attempt)
{
    double error = 0, square = 0;
    const bool picture = call->entry == RESIZE;
    const int64_t count = picture ? (int64_t)sizeof wanted->picture : 2 * ROOM;
    for (int64_t i = 0; i < count; i++) {
        const double a = picture ? wanted->picture[i] : wanted->rows[i];
        const double b = picture ? got->picture[i] : got->rows[i];
        error += (a - b) * (a - b);
        square += a * a;
    }
    attempt->status = error == 0 ? QVL_CASE_PASSED : QVL_CASE_FAILED;
    attempt->nmse = error / square;
    if (call->entry == SIZE) {
        attempt->nmse = NAN;
        attempt->status =
            memcmp(wanted->size, got->size, sizeof got->size) == 0 ? QVL_CASE_PASSED : QVL_CASE_FAILED;
    }
    if (attempt->status == QVL_CASE_PASSED)
        return;
    snprintf(attempt->where, sizeof attempt->where, "%s",
             picture               ? "resized pixels"
             : call->entry == SIZE ? "target size"
                                   : "pixel values");
    snprintf(attempt->message, sizeof attempt->message, "%s differ from the reference's", attempt->where);
}

enum qvl_status composition_pixel_run(int64_t index, const struct qvl_pixel_ops *wanted,
                                      const struct qvl_pixel_ops *tried, struct qvl_selftest_attempt *attempt,
                                      struct qvl_error *error)
{
    struct pixel_room *rooms = calloc(2, sizeof *rooms);
    if (!rooms)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for pictures");
    enum qvl_status status = make_call(&calls[index], wanted, &rooms[0], error);
    if (status == QVL_OK)
        status = make_call(&calls[index], tried, &rooms[1], error);
    if (status == QVL_OK)
        judge(&calls[index], &rooms[0], &rooms[1], attempt);
    free(rooms);
    return status;
}
