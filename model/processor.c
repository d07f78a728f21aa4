#include "model/processor_plan.h"

#include <stdlib.h>

static const char *const profile_names[QVL_PROFILE_COUNT] = {"hf4", "hf5", "qvu"};

const char *qvl_profile_name(enum qvl_profile profile)
{
    return (unsigned)profile < QVL_PROFILE_COUNT ? profile_names[profile] : "?";
}

bool qvl_profile_parse(const char *name, enum qvl_profile *profile)
{
    for (int i = 0; i < QVL_PROFILE_COUNT; i++)
        if (strcmp(name, profile_names[i]) == 0) {
            *profile = (enum qvl_profile)i;
            return true;
        }
    return false;
}

static void apply_profile(struct qvl_processor_settings *settings,
                          const struct qvl_processor_options *options)
{
    bool qvu = options->profile == QVL_PROFILE_QVU;
    settings->image_resize = qvu ? QVL_RESIZE_PILLOW : QVL_RESIZE_TORCHVISION_U8;
    settings->video_resize = qvu ? QVL_RESIZE_TORCHVISION_F32 : QVL_RESIZE_TORCHVISION_U8;
    settings->alpha = qvu ? QVL_ALPHA_WHITE_RGBA : QVL_ALPHA_DROP;
    settings->normalise = options->normalise;
    if (options->override_resize)
        settings->image_resize = settings->video_resize = options->resize;
    if (options->override_alpha)
        settings->alpha = options->alpha;
}

enum qvl_status qvl_processor_load(const char *folder, const struct qvl_pixel_ops *pixels,
                                   const struct qvl_processor_options *options,
                                   struct qvl_processor **processor, struct qvl_error *error)
{
    struct qvl_processor *made = calloc(1, sizeof *made);
    enum qvl_status status;

    if (!made)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the processor");
    made->pixels = pixels;
    made->keep_resized = options->keep_resized;
    made->sizes_only = options->sizes_only;
    made->accept_damaged = options->accept_damaged;
    made->settings.profile = options->profile;
    status = qvl_processor_config_read(folder, &made->settings, error);
    if (status != QVL_OK) {
        free(made);
        return status;
    }
    apply_profile(&made->settings, options);
    *processor = made;
    return QVL_OK;
}

void qvl_processor_destroy(struct qvl_processor *processor)
{
    free(processor);
}

const struct qvl_processor_settings *qvl_processor_settings(const struct qvl_processor *processor)
{
    return &processor->settings;
}

enum qvl_status qvl_processor_plan(const struct qvl_processor *processor, const struct qvl_media_item *limits,
                                   int64_t frames, int64_t height, int64_t width, double fps,
                                   struct qvl_visual *visual, struct qvl_error *error)
{
    enum qvl_status status =
        frames == 0 ? qvl_plan_image(processor, limits, height, width, visual, error)
                    : qvl_plan_video(processor, limits, frames, height, width, fps, visual, error);
    if (status != QVL_OK)
        qvl_visual_free(visual);
    return status;
}
