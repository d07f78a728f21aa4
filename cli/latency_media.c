/* The records of pictures and videos: what the tower takes, and the way from a file to the first token. */
#include <libgen.h>
#include <stdlib.h>

#include "bench/flops.h"
#include "bench/latency_parts.h"
#include "bench/stage_clock.h"
#include "cli/latency_records.h"
#include "cli/latency_run.h"
#include "datasets/media.h"

/* Time spent in reading media, while a file is preprocessed: the processor pulls frames through the reader
 * and gets back control for each. One file at a time. */
static struct {
    double seconds;
    enum qvl_status (*read)(struct qvl_video *video, const int64_t *indices, int64_t count,
                            enum qvl_status (*frame)(void *context, int64_t k,
                                                     const struct qvl_picture *picture,
                                                     struct qvl_error *error),
                            void *context, struct qvl_error *error);
    enum qvl_status (*frame)(void *context, int64_t k, const struct qvl_picture *picture,
                             struct qvl_error *error);
} reading;

static enum qvl_status timed_image(const char *path, const void *bytes, size_t size,
                                   enum qvl_alpha_rule alpha, struct qvl_picture *picture,
                                   struct qvl_error *error)
{
    const double start = qvl_stage_clock_now();
    const enum qvl_status status = qvl_media_files.read_image(path, bytes, size, alpha, picture, error);
    reading.seconds += qvl_stage_clock_now() - start;
    return status;
}

static enum qvl_status timed_frame(void *context, int64_t k, const struct qvl_picture *picture,
                                   struct qvl_error *error)
{
    const double start = qvl_stage_clock_now();
    const enum qvl_status status = reading.frame(context, k, picture, error);
    reading.seconds -= qvl_stage_clock_now() - start;
    return status;
}

static enum qvl_status timed_read(struct qvl_video *video, const int64_t *indices, int64_t count,
                                  enum qvl_status (*frame)(void *context, int64_t k,
                                                           const struct qvl_picture *picture,
                                                           struct qvl_error *error),
                                  void *context, struct qvl_error *error)
{
    const double start = qvl_stage_clock_now();
    reading.frame = frame;
    const enum qvl_status status = reading.read(video, indices, count, timed_frame, context, error);
    reading.seconds += qvl_stage_clock_now() - start;
    return status;
}

static enum qvl_status timed_open(const char *path, const void *bytes, size_t size, struct qvl_video **video,
                                  struct qvl_error *error)
{
    const double start = qvl_stage_clock_now();
    const enum qvl_status status = qvl_media_files.open_video(path, bytes, size, video, error);
    reading.seconds += qvl_stage_clock_now() - start;
    if (status == QVL_OK) {
        reading.read = (*video)->read;
        (*video)->read = timed_read;
    }
    return status;
}

static const struct qvl_media_reader timed_reader = {.read_image = timed_image, .open_video = timed_open};

/* FLOP of the matrix products of tower and mergers; 0 when they cannot be counted. */
static double tower_flops(const struct qvl_model_config *config, const struct qvl_grid *grid)
{
    struct qvl_flops flops = {0};
    struct qvl_error ignored;
    if (qvl_flops_add_tower(config, grid, QVL_BF16, &flops, &ignored) != QVL_OK)
        return 0;
    return (double)qvl_flops_sum(&flops, QVL_FLOPS_MATRIX, true);
}

static enum qvl_status take_frame(struct qvl_latency_run *run, const struct qvl_visual *visual,
                                  const char *size, bool sampled, struct qvl_error *error)
{
    struct qvl_error reason = {0};
    struct qvl_sampled_vision vision = {0};
    struct qvl_model *model;
    char name[96];
    enum qvl_status status;
    if (sampled) {
        status = qvl_latency_sampler(run, &reason);
        if (status == QVL_OK)
            status = qvl_sampler_vision(run->sampler, &visual->grid, (int)run->repeats, &vision, &reason);
    } else {
        status = qvl_latency_whole(run, &model, &reason);
        if (status == QVL_OK)
            status = qvl_latency_vision(model, &visual->grid, (int)run->repeats, (uint64_t)run->seed,
                                        &run->watch, &vision.encode, &reason);
    }
    snprintf(name, sizeof name, "%s %s%s", run->name, size, sampled ? " sampled" : "");
    struct qvl_record *record = qvl_record_create("latency_vision", name, QVL_CASE_NONE);
    const enum qvl_provenance provenance = sampled ? QVL_FROM_MODELLED : QVL_FROM_MEASURED;
    const int64_t patches = visual->grid.h * visual->grid.w;
    qvl_record_text(record, "method", sampled ? "sampled" : "whole", QVL_FROM_SETTING);
    qvl_record_int(record, "patches", patches, NULL, QVL_FROM_SETTING);
    qvl_record_int(record, "tokens", patches / (run->config.vision.merge * run->config.vision.merge), "token",
                   QVL_FROM_SETTING);
    if (status == QVL_OK) {
        qvl_latency_samples(record, "encode", &vision.encode, provenance);
        qvl_record_real(record, "encode_flop_rate",
                        tower_flops(&run->config, &visual->grid) / vision.encode.median, "FLOP/s",
                        provenance);
        /* A temporal patch is one picture or this many frames of a video. */
        qvl_record_real(record, "video_frame",
                        vision.encode.median / (double)run->config.vision.temporal_patch, "s", provenance);
    }
    if (status == QVL_OK && sampled) {
        qvl_record_real(record, "block_median", vision.block, "s", QVL_FROM_MEASURED);
        qvl_record_real(record, "deepstack_median", vision.deepstack, "s", QVL_FROM_MEASURED);
        qvl_record_real(record, "merger_median", vision.merger, "s", QVL_FROM_MEASURED);
        qvl_record_real(record, "rest_median", vision.rest, "s", QVL_FROM_MEASURED);
        qvl_record_int(record, "blocks_sampled", vision.blocks, NULL, QVL_FROM_MEASURED);
    }
    free(vision.encode.values);
    if (status == QVL_NO_MEMORY && record) {
        record->status = QVL_CASE_SKIPPED;
        qvl_record_text(record, "reason", reason.message, QVL_FROM_MEASURED);
    } else if (status != QVL_OK) {
        qvl_record_destroy(record);
        return qvl_fail(error, status, "%s", reason.message);
    }
    return qvl_report_take(run->report, record, error);
}

enum qvl_status qvl_latency_frames_report(struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_processor *processor = NULL;
    if (run->frame_count == 0)
        return QVL_OK;
    QVL_TRY(qvl_session_load_processor(&run->session, &processor, error));
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < run->frame_count && status == QVL_OK; i++) {
        struct qvl_visual visual = {0};
        char size[64];
        snprintf(size, sizeof size, "%lldx%lld", (long long)run->frames[i][0], (long long)run->frames[i][1]);
        status =
            qvl_processor_plan(processor, NULL, 0, run->frames[i][0], run->frames[i][1], 0, &visual, error);
        if (status == QVL_OK && run->sample)
            status = take_frame(run, &visual, size, true, error);
        if (status == QVL_OK && run->whole)
            status = take_frame(run, &visual, size, false, error);
        qvl_visual_free(&visual);
    }
    qvl_processor_destroy(processor);
    return status;
}

struct file_stages {
    double decode, preprocess;
    struct qvl_first_token model;
    double prefill_error;
    int64_t tokens;
};

static enum qvl_status sampled_stages(struct qvl_latency_run *run, const struct qvl_prompt *prompt,
                                      struct file_stages *stages, struct qvl_error *error)
{
    struct qvl_sampled_point point = {0};
    struct qvl_sampled_depths depths;
    struct qvl_sampled_vision vision = {0};
    QVL_TRY(qvl_latency_sampler(run, error));
    enum qvl_status status =
        qvl_sampler_vision(run->sampler, &prompt->visuals[0].grid, (int)run->repeats, &vision, error);
    if (status == QVL_OK)
        status = qvl_sampler_measure(run->sampler, &prompt->count, 1, &point, &depths, error);
    if (status == QVL_OK && point.skipped)
        status = qvl_fail(error, QVL_NO_MEMORY, "the sampled part needs %lld bytes, %lld are available",
                          (long long)point.needed, (long long)point.available);
    if (status == QVL_OK)
        status = qvl_latency_sample(run->backend.backend, run->config.text.vocab, (int)run->repeats,
                                    (uint64_t)run->seed, &stages->model.sample, error);
    stages->model.vision = vision.encode.median;
    stages->model.prefill = point.prefill.seconds + point.head;
    stages->prefill_error = point.prefill.error;
    free(vision.encode.values);
    qvl_sampled_point_free(&point);
    return status;
}

static enum qvl_status take_file(struct qvl_latency_run *run, const char *file,
                                 const struct qvl_prompt *prompt, struct file_stages *stages, bool sampled,
                                 struct qvl_error *error)
{
    struct qvl_error reason = {0};
    struct qvl_model *model;
    char name[320];
    enum qvl_status status;
    if (sampled) {
        status = sampled_stages(run, prompt, stages, &reason);
    } else {
        status = qvl_latency_whole(run, &model, &reason);
        if (status == QVL_OK)
            status = qvl_latency_first_token(model, run->backend.backend, prompt, run->session.chunk,
                                             &stages->model, &reason);
    }
    if (status != QVL_OK && status != QVL_NO_MEMORY)
        return qvl_fail(error, status, "%s", reason.message);
    const enum qvl_provenance provenance = sampled ? QVL_FROM_MODELLED : QVL_FROM_MEASURED;
    snprintf(name, sizeof name, "%s %.200s%s", run->name, file, sampled ? " sampled" : "");
    struct qvl_record *record = qvl_record_create("latency_file", name, QVL_CASE_NONE);
    qvl_record_text(record, "method", sampled ? "sampled" : "whole", QVL_FROM_SETTING);
    qvl_record_int(record, "tokens", prompt->count, "token", QVL_FROM_MEASURED);
    qvl_record_real(record, "decode_file", stages->decode, "s", QVL_FROM_MEASURED);
    qvl_record_real(record, "preprocess", stages->preprocess, "s", QVL_FROM_MEASURED);
    if (status == QVL_OK) {
        const struct qvl_first_token *part = &stages->model;
        qvl_record_real(record, "vision", part->vision, "s", provenance);
        qvl_record_real(record, "prefill", part->prefill, "s", provenance);
        qvl_record_real(record, "first_token", part->sample, "s", QVL_FROM_MEASURED);
        qvl_record_real(record, "file_to_first_token",
                        stages->decode + stages->preprocess + part->vision + part->prefill + part->sample,
                        "s", provenance);
    } else if (record) {
        record->status = QVL_CASE_SKIPPED;
        qvl_record_text(record, "reason", reason.message, QVL_FROM_MEASURED);
    }
    return qvl_report_take(run->report, record, error);
}

static enum qvl_status read_file(struct qvl_latency_run *run, const struct qvl_processor *processor,
                                 char *path, struct qvl_prompt *prompt, struct file_stages *stages,
                                 struct qvl_error *error)
{
    bool picture;
    struct qvl_visual visual = {0};
    QVL_TRY(qvl_media_is_picture(path, &picture, error));
    const struct qvl_media_item item = {.is_video = !picture,
                                        .path = path,
                                        .min_pixels = -1,
                                        .max_pixels = -1,
                                        .total_pixels = -1,
                                        .num_frames = -1,
                                        .fps = -1};
    reading.seconds = 0;
    const double start = qvl_stage_clock_now();
    QVL_TRY(qvl_processor_visual(processor, &timed_reader, &item, &visual, error));
    stages->decode = reading.seconds;
    stages->preprocess = qvl_stage_clock_now() - start - stages->decode;
    const enum qvl_status status = qvl_latency_visual_prompt(&run->config, &visual.grid, !picture, run->text,
                                                             (uint64_t)run->seed, prompt, error);
    if (status != QVL_OK) {
        qvl_visual_free(&visual);
        return status;
    }
    prompt->visuals[0] = visual; /* owns it from here */
    return QVL_OK;
}

static enum qvl_status run_file(struct qvl_latency_run *run, const struct qvl_processor *processor,
                                const char *file, struct qvl_error *error)
{
    struct qvl_prompt prompt = {0};
    struct file_stages stages = {0};
    char *path = strdup(file);
    if (!path)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a file name");
    enum qvl_status status = read_file(run, processor, path, &prompt, &stages, error);
    char *name = basename(path);
    if (status == QVL_OK && run->sample)
        status = take_file(run, name, &prompt, &stages, true, error);
    if (status == QVL_OK && run->whole)
        status = take_file(run, name, &prompt, &stages, false, error);
    qvl_prompt_free(&prompt);
    free(path);
    return status;
}

enum qvl_status qvl_latency_files_report(struct qvl_latency_run *run, struct qvl_error *error)
{
    struct qvl_processor *processor = NULL;
    if (run->file_count == 0)
        return QVL_OK;
    QVL_TRY(qvl_session_load_processor(&run->session, &processor, error));
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < run->file_count && status == QVL_OK; i++)
        status = run_file(run, processor, run->files[i], error);
    qvl_processor_destroy(processor);
    if (status != QVL_OK)
        return status;
    return qvl_report_note(run->report,
                           "files: decode_file is reading and decoding, preprocess resizing and cutting into "
                           "patches; the prompt is the medium and --text random tokens, and first_token the "
                           "greedy choice among the logits of the prefill.",
                           error);
}
