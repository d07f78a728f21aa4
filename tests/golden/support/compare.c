#include "tests/golden/support/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sha256.h"

/* Compare integers; prints the first difference. */
static int compare_integers(const struct golden *golden, const char *name, const struct qvl_array *expected,
                            const int64_t *values, int64_t count)
{
    if (!expected || qvl_array_count(expected) != count) {
        printf("%s: %s has %lld values, the original has %lld\n", golden->name, name, (long long)count,
               expected ? (long long)qvl_array_count(expected) : -1LL);
        return 1;
    }
    for (int64_t index = 0; index < count; index++)
        if (golden_integer(expected, index) != values[index]) {
            printf("%s: %s[%lld] is %lld, the original has %lld\n", golden->name, name, (long long)index,
                   (long long)values[index], (long long)golden_integer(expected, index));
            return 1;
        }
    return 0;
}

static int compare_patch_rows(const struct golden *golden, int64_t index, const struct qvl_visual *visual)
{
    char key[48], hex[QVL_SHA256_HEX_BYTES] = "";
    struct qvl_error error = {.message = ""};
    int64_t rows = visual->grid.t * visual->grid.h * visual->grid.w, width = 1536;
    snprintf(key, sizeof key, "patch_rows_sha256.%lld", (long long)index);
    const char *expected = qvl_safetensors_metadata_find(golden->file, key);
    if (!visual->rows || !expected ||
        qvl_sha256_memory(visual->rows, (size_t)(rows * width) * sizeof(float), hex, &error) != QVL_OK) {
        printf("%s: patch rows of visual %lld are missing %s\n", golden->name, (long long)index,
               error.message);
        return 1;
    }
    if (strcmp(expected, hex) == 0)
        return 0;
    printf("%s: patch rows of visual %lld differ from the original's\n", golden->name, (long long)index);
    snprintf(key, sizeof key, "patch_rows.%lld", (long long)index);
    const struct qvl_array *few = qvl_safetensors_find(golden->file, key);
    for (int64_t k = 0; few && k < 2 * width; k++) {
        float ours = visual->rows[(k < width ? 0 : (rows - 1) * width) + k % width];
        if ((double)ours != golden_value(few, k)) {
            printf("  %s row, column %lld: %.9g, the original has %.9g\n", k < width ? "first" : "last",
                   (long long)(k % width), (double)ours, golden_value(few, k));
            break;
        }
    }
    return 1;
}

static int compare_clip(const struct golden *golden, int64_t index, const struct qvl_visual *visual)
{
    char name[48];
    snprintf(name, sizeof name, "frames_indices.%lld", (long long)index);
    int different = compare_integers(golden, name, qvl_safetensors_find(golden->file, name),
                                     visual->frame_indices, visual->frames);
    snprintf(name, sizeof name, "timestamps.%lld", (long long)index);
    const struct qvl_array *stamps = qvl_safetensors_find(golden->file, name);
    if (!stamps || qvl_array_count(stamps) != visual->grid.t) {
        printf("%s: %s has another length than the original's\n", golden->name, name);
        return different + 1;
    }
    for (int64_t t = 0; t < visual->grid.t; t++)
        if (golden_value(stamps, t) != visual->timestamps[t]) {
            printf("%s: %s[%lld] is %.17g, the original has %.17g\n", golden->name, name, (long long)t,
                   visual->timestamps[t], golden_value(stamps, t));
            different++;
        }
    return different;
}

int compare_prompt(const struct golden *golden)
{
    const struct qvl_prompt *prompt = &golden->prompt;
    int64_t *grids = calloc((size_t)(4 * prompt->visual_count + 1), sizeof *grids);
    if (!grids)
        return 1;
    int64_t *kinds = grids + 3 * prompt->visual_count;
    int different = compare_integers(golden, "input_ids", golden_find(golden, "input_ids", ""), prompt->ids,
                                     prompt->count);
    for (int64_t index = 0; index < prompt->visual_count; index++) {
        const struct qvl_visual *visual = &prompt->visuals[index];
        grids[3 * index] = visual->grid.t;
        grids[3 * index + 1] = visual->grid.h;
        grids[3 * index + 2] = visual->grid.w;
        kinds[index] = visual->is_video;
    }
    different +=
        compare_integers(golden, "grids", golden_find(golden, "grids", ""), grids, 3 * prompt->visual_count);
    different += compare_integers(golden, "is_video", golden_find(golden, "is_video", ""), kinds,
                                  prompt->visual_count);
    free(grids);
    for (int64_t index = 0; different == 0 && index < prompt->visual_count; index++) {
        different += compare_patch_rows(golden, index, &prompt->visuals[index]);
        if (prompt->visuals[index].is_video)
            different += compare_clip(golden, index, &prompt->visuals[index]);
    }
    return different;
}

int compare_positions(const struct golden *golden, const struct golden_run *run)
{
    return compare_integers(golden, "position_ids", golden_find(golden, "position_ids", ""),
                            run->position_ids, 3 * golden->prompt.count) +
           compare_integers(golden, "rope_delta", golden_find(golden, "rope_delta", ""), &run->delta, 1);
}

static const struct qvl_array *row_indices(const struct golden *golden, const char *name)
{
    if (strcmp(name, "logits") == 0)
        return golden_find(golden, "rows.logits", "");
    if (strncmp(name, "model.visual.", strlen("model.visual.")) != 0)
        return golden_find(golden, "rows.sequence", "");
    return golden_find(golden, strstr(name, "merger") ? "rows.token" : "rows.patch", "");
}

int64_t compare_stages(const struct golden *golden, struct compare_stage stages[COMPARE_MOST_STAGES])
{
    int64_t count = 0;
    for (int64_t index = 0; index < golden->file->count && count < COMPARE_MOST_STAGES; index++) {
        const char *name = golden->file->entries[index].name;
        const char *ending = strstr(name, ".largest");
        if (!ending)
            continue;
        struct compare_stage *stage = &stages[count++];
        snprintf(stage->name, sizeof stage->name, "%.*s", (int)(ending - name), name);
        stage->rows = golden_find(golden, stage->name, "");
        stage->indices = row_indices(golden, stage->name);
        stage->projection = golden_find(golden, stage->name, ".projection");
        stage->largest = golden_value(&golden->file->entries[index].array, 0);
    }
    return count;
}

/* A stage of a run: its values, rows and width; values NULL when the run has none. */
struct view {
    const float *values;
    int64_t rows, width;
};

static struct view view_of(const struct golden_run *run, const char *name, int64_t rows)
{
    if (strcmp(name, "logits") == 0)
        return (struct view){run->logits, rows, run->vocabulary};
    const struct qvl_tap_entry *entry = qvl_tap_store_find(&run->taps, name);
    return entry ? (struct view){entry->values, entry->shape[0], qvl_tap_entry_width(entry)}
                 : (struct view){.values = NULL};
}

static void widen(double *distance, double difference)
{
    difference = fabs(difference);
    if (!(difference <= *distance))
        *distance = isnan(difference) ? INFINITY : difference;
}

struct compare_distance compare_stage_distance(const struct compare_stage *stage,
                                               const struct golden_run *run, const struct golden_run *other)
{
    const struct compare_distance infinite = {INFINITY, INFINITY};
    struct compare_distance distance = {0, 0};
    const int64_t rows = qvl_array_count(stage->projection);
    const struct view ours = view_of(run, stage->name, rows);
    const struct view theirs = other ? view_of(other, stage->name, rows) : ours;
    if (!ours.values || ours.rows != rows || !theirs.values || theirs.rows != rows ||
        theirs.width != ours.width)
        return infinite;
    if (stage->rows &&
        (stage->rows->shape[1] != ours.width || stage->rows->shape[0] != stage->indices->shape[0]))
        return infinite;
    for (int64_t k = 0; stage->rows && k < stage->rows->shape[0]; k++) {
        const int64_t at = golden_integer(stage->indices, k) * ours.width;
        for (int64_t column = 0; column < ours.width; column++)
            widen(&distance.element,
                  ours.values[at + column] - (other ? (double)theirs.values[at + column]
                                                    : golden_value(stage->rows, k * ours.width + column)));
    }
    for (int64_t row = 0; row < rows; row++)
        widen(&distance.projection,
              golden_projection(ours.values + row * ours.width, ours.width) -
                  (other ? golden_projection(theirs.values + row * ours.width, ours.width)
                         : golden_value(stage->projection, row)));
    return distance;
}
