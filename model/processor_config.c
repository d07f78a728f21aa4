#include "model/processor_config.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>

#define IMAGE_FILE "preprocessor_config.json"
#define VIDEO_FILE "video_preprocessor_config.json"
#define NESTED_FILE "processor_config.json"
#define BICUBIC 3 /* PIL.Image.Resampling.BICUBIC */
#define MAX_PATCH 1024
#define MAX_MERGE 64
#define MAX_PIXELS_LIMIT ((int64_t)1 << 50)

static const double CLIP_MEAN[3] = {0.48145466, 0.4578275, 0.40821073};
static const double CLIP_STD[3] = {0.26862954, 0.26130258, 0.27577711};
static const double HALF[3] = {0.5, 0.5, 0.5};

static struct qvl_medium_settings released(bool video)
{
    struct qvl_medium_settings settings = {.min_pixels = video ? 4096 : 65536,
                                           .max_pixels = video ? 25165824 : 16777216,
                                           .patch = 16,
                                           .temporal_patch = 2,
                                           .merge = 2,
                                           .rescale = 1.0 / 255.0,
                                           .supported = true,
                                           .sample_frames = true,
                                           .fps = 2.0,
                                           .min_frames = 4,
                                           .max_frames = 768,
                                           .max_video_tokens = 768};
    memcpy(settings.mean, HALF, sizeof HALF);
    memcpy(settings.std, HALF, sizeof HALF);
    return settings;
}

/* What the original class has where the file of a checkpoint is silent. */
static struct qvl_medium_settings class_defaults(bool video)
{
    struct qvl_medium_settings settings = released(video);
    if (video) {
        settings.min_pixels = 128 * 32 * 32;
        settings.max_pixels = 768 * 32 * 32;
    } else {
        settings.min_pixels = 56 * 56;
        settings.max_pixels = 28 * 28 * 1280;
        settings.patch = 14;
        memcpy(settings.mean, CLIP_MEAN, sizeof CLIP_MEAN);
        memcpy(settings.std, CLIP_STD, sizeof CLIP_STD);
    }
    return settings;
}

static enum qvl_status read_triple(const struct qvl_json *at, const char *key, double values[3],
                                   struct qvl_error *error)
{
    struct qvl_json array;
    int64_t count;
    if (!qvl_json_has(at, key))
        return QVL_OK;
    QVL_TRY(qvl_json_array(at, key, &array, &count, error));
    if (count != 3)
        return qvl_json_fail(at, key, error, "%lld values where RGB needs 3", (long long)count);
    for (int64_t c = 0; c < 3; c++) {
        struct qvl_json item = qvl_json_item(&array, c);
        QVL_TRY(qvl_json_double(&item, NULL, &values[c], error));
    }
    return QVL_OK;
}

static enum qvl_status read_whole(const struct qvl_json *at, const char *key, int64_t low, int64_t high,
                                  int64_t *value, struct qvl_error *error)
{
    QVL_TRY(qvl_json_int64_or(at, key, *value, value, error));
    if (*value < low || *value > high)
        return qvl_json_fail(at, key, error, "%lld; expected %lld to %lld", (long long)*value, (long long)low,
                             (long long)high);
    return QVL_OK;
}

/* size.shortest_edge and size.longest_edge. The image classes let top-level min_pixels and max_pixels replace
 * them (the form of Qwen2-VL checkpoints); the video class ignores those. */
static enum qvl_status read_limits(const struct qvl_json *at, bool video,
                                   struct qvl_medium_settings *settings, struct qvl_error *error)
{
    bool replaced = !video && qvl_json_has(at, "min_pixels") && qvl_json_has(at, "max_pixels");
    if (qvl_json_has(at, "size")) {
        struct qvl_json size;
        QVL_TRY(qvl_json_object(at, "size", &size, error));
        if (!replaced && (!qvl_json_has(&size, "shortest_edge") || !qvl_json_has(&size, "longest_edge")))
            return qvl_json_fail(&size, NULL, error, "shortest_edge and longest_edge are both needed");
        QVL_TRY(read_whole(&size, "shortest_edge", 0, MAX_PIXELS_LIMIT, &settings->min_pixels, error));
        QVL_TRY(read_whole(&size, "longest_edge", 1, MAX_PIXELS_LIMIT, &settings->max_pixels, error));
    }
    if (!video) {
        QVL_TRY(read_whole(at, "min_pixels", 0, MAX_PIXELS_LIMIT, &settings->min_pixels, error));
        QVL_TRY(read_whole(at, "max_pixels", 1, MAX_PIXELS_LIMIT, &settings->max_pixels, error));
    }
    return QVL_OK;
}

/* Steps that every Qwen3-VL checkpoint has on; one without them would need another pixel path. */
static enum qvl_status require_steps(const struct qvl_json *at, struct qvl_error *error)
{
    static const char *const steps[] = {"do_resize", "do_rescale", "do_normalize", "do_convert_rgb"};
    int64_t resample;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        bool on;
        QVL_TRY(qvl_json_bool_or(at, steps[i], true, &on, error));
        if (!on)
            return qvl_json_fail(at, steps[i], error, "false is not supported; remove the key");
    }
    QVL_TRY(qvl_json_int64_or(at, "resample", BICUBIC, &resample, error));
    if (resample != BICUBIC)
        return qvl_json_fail(at, "resample", error, "%lld; only 3 (bicubic) is supported",
                             (long long)resample);
    return QVL_OK;
}

static enum qvl_status read_common(const struct qvl_json *at, bool video,
                                   struct qvl_medium_settings *settings, struct qvl_error *error)
{
    QVL_TRY(require_steps(at, error));
    QVL_TRY(read_limits(at, video, settings, error));
    QVL_TRY(read_whole(at, "patch_size", 1, MAX_PATCH, &settings->patch, error));
    QVL_TRY(
        read_whole(at, "temporal_patch_size", 1, QVL_MAX_TEMPORAL_PATCH, &settings->temporal_patch, error));
    QVL_TRY(read_whole(at, "merge_size", 1, MAX_MERGE, &settings->merge, error));
    QVL_TRY(read_triple(at, "image_mean", settings->mean, error));
    QVL_TRY(read_triple(at, "image_std", settings->std, error));
    for (int c = 0; c < 3; c++)
        if (!(settings->std[c] > 0))
            return qvl_json_fail(at, "image_std", error, "%g; every value must be above zero",
                                 settings->std[c]);
    QVL_TRY(qvl_json_double_or(at, "rescale_factor", settings->rescale, &settings->rescale, error));
    if (!(settings->rescale > 0))
        return qvl_json_fail(at, "rescale_factor", error, "%g; it must be above zero", settings->rescale);
    return QVL_OK;
}

static enum qvl_status read_selection(const struct qvl_json *at, enum qvl_profile profile,
                                      struct qvl_medium_settings *settings, struct qvl_error *error)
{
    const char *type;
    QVL_TRY(qvl_json_string_or(at, "video_processor_type", "Qwen3VLVideoProcessor", &type, error));
    settings->supported = strcmp(type, "Qwen3VLVideoProcessor") == 0;
    QVL_TRY(qvl_json_bool_or(at, "do_sample_frames", true, &settings->sample_frames, error));
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(at->node, "fps")))
        settings->fps = 0.0;
    QVL_TRY(qvl_json_double_or(at, "fps", settings->fps, &settings->fps, error));
    if (settings->fps < 0)
        return qvl_json_fail(at, "fps", error, "%g; it must be above zero", settings->fps);
    QVL_TRY(read_whole(at, "num_frames", 0, MAX_PIXELS_LIMIT, &settings->num_frames, error));
    if (settings->fps > 0 && settings->num_frames > 0)
        return qvl_json_fail(at, "num_frames", error, "exclusive with fps (null switches fps off)");
    QVL_TRY(read_whole(at, "min_frames", 1, MAX_PIXELS_LIMIT, &settings->min_frames, error));
    QVL_TRY(read_whole(at, "max_frames", 1, MAX_PIXELS_LIMIT, &settings->max_frames, error));
    if (profile == QVL_PROFILE_HF5) {
        QVL_TRY(qvl_json_bool_or(at, "cap_pixels_per_frame", false, &settings->cap_pixels_per_frame, error));
        QVL_TRY(read_whole(at, "max_video_tokens", 1, MAX_PIXELS_LIMIT, &settings->max_video_tokens, error));
    }
    return QVL_OK;
}

static enum qvl_status read_document(const struct qvl_json *at, const char *name, bool video,
                                     enum qvl_profile profile, struct qvl_medium_settings *settings,
                                     struct qvl_error *error)
{
    *settings = class_defaults(video);
    snprintf(settings->source, sizeof settings->source, "%s", name);
    QVL_TRY(read_common(at, video, settings, error));
    return video ? read_selection(at, profile, settings, error) : QVL_OK;
}

/* Try one file. `nested` names the member that holds the config, or is NULL. *found stays false when the file
 * or the member is absent. */
static enum qvl_status try_file(const char *folder, const char *name, const char *nested, bool video,
                                enum qvl_profile profile, struct qvl_medium_settings *settings, bool *found,
                                struct qvl_error *error)
{
    enum qvl_status status = QVL_OK;
    cJSON *root = NULL;
    char *path;

    QVL_TRY(qvl_path_join(folder, name, &path, error));
    if (qvl_file_exists(path))
        status = qvl_json_read(path, &root, error);
    if (status == QVL_OK && root) {
        struct qvl_json at = qvl_json_at_root(root, path);
        struct qvl_json member = at;
        if (!cJSON_IsObject(root))
            status = qvl_json_fail(&at, NULL, error, "expected an object");
        else if (!nested || qvl_json_has(&at, nested)) {
            if (nested)
                status = qvl_json_object(&at, nested, &member, error);
            if (status == QVL_OK)
                status = read_document(&member, name, video, profile, settings, error);
            *found = true;
        }
    }
    cJSON_Delete(root);
    free(path);
    return status;
}

static enum qvl_status read_medium(const char *folder, bool video, enum qvl_profile profile,
                                   struct qvl_medium_settings *settings, struct qvl_error *error)
{
    const struct {
        const char *name, *nested;
    } nested = {NESTED_FILE, video ? "video_processor" : "image_processor"},
      own[2] = {{video ? VIDEO_FILE : IMAGE_FILE, NULL}, {IMAGE_FILE, NULL}};
    bool found = false;

    /* 5.x looks into the nested file first, 4.57.6 last */
    if (profile == QVL_PROFILE_HF5)
        QVL_TRY(try_file(folder, nested.name, nested.nested, video, profile, settings, &found, error));
    for (int i = 0; i < 2 && !found; i++)
        QVL_TRY(try_file(folder, own[i].name, own[i].nested, video, profile, settings, &found, error));
    if (!found && profile != QVL_PROFILE_HF5)
        QVL_TRY(try_file(folder, nested.name, nested.nested, video, profile, settings, &found, error));
    return QVL_OK;
}

enum qvl_status qvl_processor_config_read(const char *folder, struct qvl_processor_settings *settings,
                                          struct qvl_error *error)
{
    settings->image = released(false);
    settings->video = released(true);
    if (!folder)
        return QVL_OK;
    QVL_TRY(read_medium(folder, false, settings->profile, &settings->image, error));
    return read_medium(folder, true, settings->profile, &settings->video, error);
}
