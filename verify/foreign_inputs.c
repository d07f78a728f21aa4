/* What another engine saw of the prompt. */
#include <stdlib.h>
#include <string.h>

#include "model/convert.h"
#include "model/positions.h"
#include "verify/foreign.h"

static void set(struct qvl_dump_input *input, enum qvl_case_status status, const char *format, ...)
    QVL_PRINTF(3, 4);

static void set(struct qvl_dump_input *input, enum qvl_case_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    input->status = status;
    vsnprintf(input->message, sizeof input->message, format, arguments);
    va_end(arguments);
}

/* Integers [rows][columns]. Leading axes of 1 are accepted, and one row more in front: 4.57 puts text
 * positions before those of the three axes. */
static void compare_integers(const struct qvl_array *theirs, const int64_t *ours, int64_t rows,
                             int64_t columns, struct qvl_dump_input *input)
{
    const int64_t count = theirs ? qvl_array_count(theirs) : 0;
    const int64_t extra = count == (rows + 1) * columns && rows == 3 && theirs->shape[0] == 4 ? columns : 0;
    if (!theirs) {
        set(input, QVL_CASE_SKIPPED, rows * columns > 0 ? "not in the files" : "the prompt has none");
        return;
    }
    if (theirs->dtype != QVL_I64 && theirs->dtype != QVL_I32) {
        set(input, QVL_CASE_FAILED, "stored as %s; I64 or I32 is needed",
            qvl_safetensors_dtype_name(theirs->dtype));
        return;
    }
    if (count - extra != rows * columns) {
        set(input, QVL_CASE_FAILED,
            "%lld values, the prompt has %lld: another prompt, template or image size", (long long)count,
            (long long)rows * columns);
        return;
    }
    for (int64_t i = 0; i < rows * columns; i++) {
        const int64_t got = theirs->dtype == QVL_I64 ? ((const int64_t *)theirs->data)[extra + i]
                                                     : ((const int32_t *)theirs->data)[extra + i];
        if (got != ours[i]) {
            set(input, QVL_CASE_FAILED, "[%lld][%lld] is %lld, the prompt has %lld", (long long)(i / columns),
                (long long)(i % columns), (long long)got, (long long)ours[i]);
            return;
        }
    }
    set(input, QVL_CASE_PASSED, "%s", "");
}

static enum qvl_status compare_grids(const struct qvl_dump *dump, const struct qvl_prompt *prompt,
                                     bool videos, struct qvl_dump_input *input, struct qvl_error *error)
{
    int64_t count = 0;
    int64_t *grids = malloc(sizeof *grids * (size_t)(3 * prompt->visual_count + 1));
    if (!grids)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for grids");
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        const struct qvl_visual *visual = &prompt->visuals[v];
        if (visual->is_video != videos)
            continue;
        grids[3 * count] = visual->grid.t;
        grids[3 * count + 1] = visual->grid.h;
        grids[3 * count++ + 2] = visual->grid.w;
    }
    compare_integers(qvl_dump_find(dump, input->name), grids, count, 3, input);
    free(grids);
    return QVL_OK;
}

/* One visual's patch rows from row `first` of theirs, after rounding ours to their type. */
static bool same_rows(const float *ours, const struct qvl_array *theirs, int64_t first, int64_t rows,
                      int64_t width, struct qvl_dump_input *input)
{
    for (int64_t i = 0; i < rows * width; i++) {
        const size_t at = (size_t)(first * width + i);
        float got, want;
        uint16_t rounded;
        qvl_to_f32(&got, (const char *)theirs->data + at * qvl_dtype_bytes(theirs->dtype), theirs->dtype, 1);
        if (theirs->dtype == QVL_F32) {
            want = ours[i];
        } else {
            qvl_from_f32(&rounded, theirs->dtype, &ours[i], 1);
            qvl_to_f32(&want, &rounded, theirs->dtype, 1);
        }
        if (got != want) {
            set(input, QVL_CASE_FAILED, "row %lld column %lld is %.9g, the prompt has %.9g",
                (long long)first + i / width, (long long)i % width, (double)got, (double)want);
            return false;
        }
    }
    return true;
}

static void compare_pixels(const struct qvl_dump *dump, const struct qvl_prompt *prompt, bool videos,
                           int64_t width, struct qvl_dump_input *input)
{
    const struct qvl_array *theirs = qvl_dump_find(dump, input->name);
    int64_t rows = 0;
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        const struct qvl_grid *grid = &prompt->visuals[v].grid;
        rows += prompt->visuals[v].is_video == videos ? grid->t * grid->h * grid->w : 0;
    }
    if (!theirs) {
        set(input, QVL_CASE_SKIPPED, rows ? "not in the files" : "the prompt has none");
        return;
    }
    if (!qvl_dtype_is_storage(theirs->dtype) || qvl_array_count(theirs) != rows * width) {
        set(input, QVL_CASE_FAILED, "F32, BF16 or F16 [%lld, %lld] is needed", (long long)rows,
            (long long)width);
        return;
    }
    int64_t first = 0;
    for (int64_t v = 0; v < prompt->visual_count; v++) {
        const struct qvl_visual *visual = &prompt->visuals[v];
        const int64_t count = visual->grid.t * visual->grid.h * visual->grid.w;
        if (visual->is_video != videos)
            continue;
        if (!same_rows(visual->rows, theirs, first, count, width, input))
            return;
        first += count;
    }
    set(input, QVL_CASE_PASSED, "%s", "");
}

enum qvl_status qvl_dump_check_inputs(const struct qvl_dump *dump, const struct qvl_prompt *prompt,
                                      const struct qvl_model_config *config,
                                      struct qvl_dump_input inputs[QVL_DUMP_INPUTS], struct qvl_error *error)
{
    static const char *const names[QVL_DUMP_INPUTS] = {"input_ids",      "image_grid_thw",
                                                       "video_grid_thw", "position_ids",
                                                       "pixel_values",   "pixel_values_videos"};
    const struct qvl_vision_config *vision = &config->vision;
    const int64_t width = vision->channels * vision->temporal_patch * vision->patch * vision->patch;
    struct qvl_positions positions = {0};
    memset(inputs, 0, sizeof *inputs * QVL_DUMP_INPUTS);
    for (int i = 0; i < QVL_DUMP_INPUTS; i++)
        inputs[i].name = names[i];
    QVL_TRY(qvl_positions_build(config, prompt, &positions, error));
    compare_integers(qvl_dump_find(dump, names[0]), prompt->ids, 1, prompt->count, &inputs[0]);
    compare_integers(qvl_dump_find(dump, names[3]), positions.ids, 3, positions.count, &inputs[3]);
    qvl_positions_free(&positions);
    compare_pixels(dump, prompt, false, width, &inputs[4]);
    compare_pixels(dump, prompt, true, width, &inputs[5]);
    QVL_TRY(compare_grids(dump, prompt, false, &inputs[1], error));
    return compare_grids(dump, prompt, true, &inputs[2], error);
}
