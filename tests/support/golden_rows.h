/* Patch rows, grids, frame indices and stamps against entries that tests/golden/pixels.py made. Include it
 * after cmocka. */
#ifndef QVL_TESTS_GOLDEN_ROWS_H
#define QVL_TESTS_GOLDEN_ROWS_H

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "model/processor.h"
#include "model/timestamps.h"
#include "ref/pixels.h"

#include <stdlib.h>

static struct qvl_error error;

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if ((call) != QVL_OK)                                                                                \
            fail_msg("%s", error.message);                                                                   \
    } while (0)

static struct qvl_json member(const struct qvl_json *at, const char *key)
{
    struct qvl_json child;
    MUST(qvl_json_member(at, key, &child, &error));
    return child;
}

static const char *text_of(const struct qvl_json *at, const char *key)
{
    const char *value;
    MUST(qvl_json_string(at, key, &value, &error));
    return value;
}

static bool same_hash(const void *data, size_t size, const char *expected, size_t digits)
{
    char hex[QVL_SHA256_HEX_BYTES];
    MUST(qvl_sha256_memory(data, size, hex, &error));
    return strlen(expected) == digits && memcmp(hex, expected, digits) == 0;
}

#define MAX_LISTED 8

static struct qvl_media_item item_of(const struct qvl_json *entry, char *listed[MAX_LISTED])
{
    struct qvl_json part = member(entry, "part");
    struct qvl_json path = member(entry, "path");
    struct qvl_media_item item = {.is_video = qvl_json_has(entry, "indices")};
    MUST(qvl_json_int64_or(&part, "min_pixels", -1, &item.min_pixels, &error));
    MUST(qvl_json_int64_or(&part, "max_pixels", -1, &item.max_pixels, &error));
    MUST(qvl_json_int64_or(&part, "total_pixels", -1, &item.total_pixels, &error));
    MUST(qvl_json_int64_or(&part, "num_frames", -1, &item.num_frames, &error));
    MUST(qvl_json_double_or(&part, "fps", -1.0, &item.fps, &error));
    if (cJSON_IsArray(path.node)) {
        item.frame_count = cJSON_GetArraySize(path.node);
        assert_in_range(item.frame_count, 1, MAX_LISTED);
        for (int f = 0; f < item.frame_count; f++)
            listed[f] = cJSON_GetArrayItem(path.node, f)->valuestring;
        item.frame_paths = listed;
    } else {
        item.path = path.node->valuestring;
    }
    return item;
}

static void check_video_record(const struct qvl_json *entry, const struct qvl_visual *visual,
                               const char *name)
{
    struct qvl_json indices = member(entry, "indices");
    struct qvl_json stamps = member(entry, "stamps");
    const cJSON *node;
    int64_t i = 0;

    assert_int_equal(cJSON_GetArraySize(indices.node), visual->frames);
    cJSON_ArrayForEach(node, indices.node)
        assert_int_equal((int64_t)node->valuedouble, visual->frame_indices[i++]);
    assert_int_equal(cJSON_GetArraySize(stamps.node), visual->grid.t);
    i = 0;
    cJSON_ArrayForEach(node, stamps.node)
    {
        char text[QVL_TIMESTAMP_BYTES];
        qvl_timestamp_text(visual->timestamps[i++], text);
        if (strcmp(text, node->valuestring) != 0)
            fail_msg("%s: stamp %s where the original has %s", name, text, node->valuestring);
    }
}

/* One entry of the script: profile, part, path, grid, hash of the rows; indices and stamps of a video. Paths
 * are relative to `folder` (NULL: as they are). */
static void check_rows(const struct qvl_json *entry, const char *folder,
                       const struct qvl_media_reader *reader)
{
    struct qvl_processor_options options = {0};
    struct qvl_processor *processor;
    char *listed[MAX_LISTED] = {NULL};
    struct qvl_media_item item = item_of(entry, listed);
    const char *name = item.path ? item.path : listed[0];
    char *joined = NULL;
    struct qvl_visual visual;
    int64_t grid[3];
    int64_t count;

    assert_true(qvl_profile_parse(text_of(entry, "profile"), &options.profile));
    if (qvl_json_has(entry, "slow")) {
        options.normalise = QVL_NORMALISE_SLOW;
        options.override_resize = true;
        options.resize = QVL_RESIZE_PILLOW13;
    }
    if (folder) {
        MUST(qvl_path_join(folder, item.path, &joined, &error));
        item.path = joined;
    }
    MUST(qvl_processor_load(NULL, &qvl_ref_pixel_ops, &options, &processor, &error));
    MUST(qvl_processor_visual(processor, reader, &item, &visual, &error));
    MUST(qvl_json_int64s(entry, "grid", 3, grid, &count, &error));
    if (visual.grid.t != grid[0] || visual.grid.h != grid[1] || visual.grid.w != grid[2])
        fail_msg("%s %s: grid %lld %lld %lld where the original has %lld %lld %lld",
                 text_of(entry, "profile"), name, (long long)visual.grid.t, (long long)visual.grid.h,
                 (long long)visual.grid.w, (long long)grid[0], (long long)grid[1], (long long)grid[2]);
    if (item.is_video)
        check_video_record(entry, &visual, name);
    if (!same_hash(visual.rows, (size_t)(grid[0] * grid[1] * grid[2] * 1536) * sizeof(float),
                   text_of(entry, "sha256"), QVL_SHA256_HEX_BYTES - 1))
        fail_msg("%s %s: rows differ", text_of(entry, "profile"), name);
    if (!visual.exact)
        fail_msg("%s: not exact: %s", name, visual.inexact_reason);
    qvl_visual_free(&visual);
    qvl_processor_destroy(processor);
    free(joined);
}

/* Every entry of the list under `key`; returns how many. */
static int64_t check_all_rows(const char *file, const char *key, const char *folder,
                              const struct qvl_media_reader *reader)
{
    cJSON *root;
    int64_t count;
    struct qvl_json list;
    MUST(qvl_json_read(file, &root, &error));
    struct qvl_json at = qvl_json_at_root(root, file);
    MUST(qvl_json_array(&at, key, &list, &count, &error));
    for (int64_t i = 0; i < count; i++) {
        struct qvl_json entry = qvl_json_item(&list, i);
        check_rows(&entry, folder, reader);
    }
    cJSON_Delete(root);
    return count;
}

#endif
