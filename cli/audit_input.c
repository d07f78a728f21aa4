/* The inputs of an audit: checkpoint and video. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "cli/audit.h"
#include "datasets/checkpoint.h"
#include "datasets/media.h"
#include "datasets/scene.h"
#include "datasets/video_writer.h"

#define SCENE_WIDTH 640
#define SCENE_HEIGHT 360
#define SCENE_FPS 24
#define SCENE_SECONDS 60

static enum qvl_status add_checkpoint_record(struct qvl_audit *audit, bool made, struct qvl_error *error)
{
    struct qvl_model_config config;
    QVL_TRY(qvl_model_config_read(audit->weights, &config, error));
    const struct qvl_parameter_count count = qvl_model_count_parameters(&config);
    audit->stored = config.has_dtype ? config.dtype : QVL_BF16;
    struct qvl_record *record = qvl_record_create("checkpoint", audit->weights, QVL_CASE_NONE);
    qvl_record_text(record, "origin", made ? "random, made here (preset audit)" : "given", QVL_FROM_SETTING);
    qvl_record_text(record, "architecture", qvl_architecture_name(config.architecture), QVL_FROM_SETTING);
    qvl_record_int(record, "parameters", count.total, NULL, QVL_FROM_MODELLED);
    qvl_record_text(record, "dtype", qvl_dtype_name(audit->stored), QVL_FROM_SETTING);
    return qvl_report_take(audit->report, record, error);
}

enum qvl_status qvl_audit_checkpoint(struct qvl_audit *audit, struct qvl_error *error)
{
    const char *given = audit->options->session.weights;
    if (given)
        QVL_TRY(qvl_path_join("", given, &audit->weights, error));
    else
        QVL_TRY(qvl_path_join(audit->options->out, "checkpoint", &audit->weights, error));
    if (!given)
        QVL_TRY(qvl_checkpoint_write(qvl_checkpoint_preset("audit"), audit->weights, error));
    return add_checkpoint_record(audit, !given, error);
}

static enum qvl_status render_frames(struct qvl_audit *audit, struct qvl_scene *scene, uint8_t *rgb,
                                     struct qvl_video_writer *writer, struct qvl_error *error)
{
    audit->progress.unit = "frame";
    audit->progress.total = (int64_t)SCENE_FPS * SCENE_SECONDS;
    for (int64_t i = 0; i < audit->progress.total; i++) {
        qvl_scene_frame(scene, i, rgb);
        QVL_TRY(qvl_video_writer_add(writer, rgb, error));
        qvl_progress_update(&audit->progress, i + 1);
    }
    return QVL_OK;
}

static enum qvl_status render_scene(struct qvl_audit *audit, struct qvl_error *error)
{
    struct qvl_scene *scene = NULL;
    struct qvl_video_writer *writer = NULL;
    uint8_t *rgb = malloc((size_t)SCENE_WIDTH * SCENE_HEIGHT * 3);
    enum qvl_status status = QVL_OK;
    if (!rgb)
        status = qvl_fail(error, QVL_NO_MEMORY, "no memory for a frame");
    if (status == QVL_OK)
        status =
            qvl_scene_create(audit->options->seed, SCENE_WIDTH, SCENE_HEIGHT, SCENE_FPS, 1, &scene, error);
    if (status == QVL_OK)
        status =
            qvl_video_writer_create(audit->video, SCENE_WIDTH, SCENE_HEIGHT, SCENE_FPS, 1, &writer, error);
    if (status == QVL_OK)
        status = render_frames(audit, scene, rgb, writer, error);
    if (status == QVL_OK) {
        status = qvl_video_writer_finish(writer, error);
        writer = NULL;
    }
    qvl_video_writer_abort(writer);
    qvl_scene_destroy(scene);
    free(rgb);
    return status;
}

static enum qvl_status add_video_record(struct qvl_audit *audit, struct qvl_error *error)
{
    const struct qvl_visual *visual = &audit->session.prompt.visuals[0];
    const int64_t grid[] = {visual->grid.t, visual->grid.h, visual->grid.w};
    char hash[QVL_SHA256_HEX_BYTES];
    QVL_TRY(qvl_sha256_file(audit->video, hash, error));
    struct qvl_record *record = qvl_record_create("video", audit->video, QVL_CASE_NONE);
    qvl_record_int(record, "frames", visual->total_frames, NULL, QVL_FROM_MEASURED);
    qvl_record_real(record, "fps", visual->fps, "Hz", QVL_FROM_MEASURED);
    qvl_record_ints(record, "size", (const int64_t[]){visual->source_height, visual->source_width}, 2,
                    "pixel", QVL_FROM_MEASURED);
    qvl_record_int(record, "selected", visual->frames, NULL, QVL_FROM_MEASURED);
    qvl_record_ints(record, "resized", (const int64_t[]){visual->resized_height, visual->resized_width}, 2,
                    "pixel", QVL_FROM_MEASURED);
    qvl_record_ints(record, "grid", grid, 3, NULL, QVL_FROM_MEASURED);
    qvl_record_int(record, "prompt_tokens", audit->session.prompt.count, "token", QVL_FROM_MEASURED);
    qvl_record_flag(record, "exact_pixels", visual->exact, QVL_FROM_MEASURED);
    if (!visual->exact)
        qvl_record_text(record, "inexact_reason", visual->inexact_reason, QVL_FROM_MEASURED);
    qvl_record_real(record, "decode_and_preprocess", audit->session.preprocess_seconds, "s",
                    QVL_FROM_MEASURED);
    qvl_record_text(record, "sha256", hash, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_ints(record, "frame_indices", visual->frame_indices, visual->frames, NULL, QVL_FROM_MEASURED);
    qvl_record_detail(record);
    qvl_record_reals(record, "timestamps", visual->timestamps, visual->grid.t, "s", QVL_FROM_MEASURED);
    qvl_record_detail(record);
    return qvl_report_take(audit->report, record, error);
}

enum qvl_status qvl_audit_video(struct qvl_audit *audit, struct qvl_error *error)
{
    const char *given = audit->options->video;
    if (given)
        QVL_TRY(qvl_path_join("", given, &audit->video, error));
    else
        QVL_TRY(qvl_path_join(audit->options->out, "scene.mp4", &audit->video, error));
    if (!given)
        QVL_TRY(render_scene(audit, error));
    audit->session_options = audit->options->session;
    audit->session_options.weights = audit->weights;
    audit->session_options.text = audit->options->question;
    audit->session_options.videos[0] = audit->video;
    audit->session_options.video_count = 1;
    audit->session.options = &audit->session_options;
    QVL_TRY(qvl_session_open_prompt(&audit->session, error));
    return add_video_record(audit, error);
}
