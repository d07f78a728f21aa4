/* Texts with generated pictures and clips, turned into prompts by the model's own processor. */
#include <stdlib.h>

#include "datasets/scene.h"
#include "verify/composition_parts.h"

#define CHANNELS 3

/* Sides are no multiples of 32, so that every picture is resized; heights differ from widths; the clip has an
 * odd number of frames; video and image of "mixed" have equal numbers of tokens. */
static const struct composition_media lists[] = {
    {"text", .count = 0},
    {"image", {{.seed = 1, .height = 100, .width = 170}}, .count = 1},
    {"other_image", {{.seed = 2, .height = 100, .width = 170}}, .count = 1},
    {"video",
     {{.is_video = true, .seed = 3, .height = 70, .width = 101, .frames = 37, .fps = 12, .num_frames = 5}},
     .count = 1},
    {"mixed",
     {{.is_video = true, .seed = 4, .height = 70, .width = 101, .frames = 21, .fps = 10, .num_frames = 4},
      {.seed = 5, .height = 90, .width = 130}},
     .count = 2},
    {"pair", {{.seed = 6, .height = 60, .width = 100}, {.seed = 7, .height = 100, .width = 60}}, .count = 2},
};

const struct composition_media *composition_media_named(const char *name)
{
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strcmp(lists[i].name, name) == 0)
            return &lists[i];
    return NULL;
}

/* ---- A reader of generated media: a path is "seed height width frames fps" ---- */

static enum qvl_status open_scene(const char *path, struct qvl_scene **scene,
                                  struct composition_medium *medium, struct qvl_error *error)
{
    long long height = 0, width = 0, frames = 0, fps = 0;
    if (sscanf(path, "%d %lld %lld %lld %lld", &medium->seed, &height, &width, &frames, &fps) != 5)
        return qvl_fail(error, QVL_USAGE, "%s: not a generated medium", path);
    medium->height = height;
    medium->width = width;
    medium->frames = frames;
    medium->fps = fps;
    return qvl_scene_create((uint64_t)medium->seed, width, height, fps, 1, scene, error);
}

static enum qvl_status read_image(const char *path, const void *bytes, size_t size, enum qvl_alpha_rule alpha,
                                  struct qvl_picture *picture, struct qvl_error *error)
{
    struct composition_medium medium;
    struct qvl_scene *scene;
    (void)bytes;
    (void)size;
    (void)alpha;
    QVL_TRY(open_scene(path, &scene, &medium, error));
    uint8_t *rgb = malloc((size_t)(medium.height * medium.width * CHANNELS));
    if (rgb)
        qvl_scene_frame(scene, 0, rgb);
    qvl_scene_destroy(scene);
    *picture = (struct qvl_picture){medium.height, medium.width, rgb};
    return rgb ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a picture");
}

static enum qvl_status read_frames(struct qvl_video *video, const int64_t *indices, int64_t count,
                                   enum qvl_status (*frame)(void *context, int64_t k,
                                                            const struct qvl_picture *picture,
                                                            struct qvl_error *error),
                                   void *context, struct qvl_error *error)
{
    struct qvl_picture picture = {video->height, video->width,
                                  malloc((size_t)(video->height * video->width * CHANNELS))};
    enum qvl_status status = picture.rgb ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a frame");
    for (int64_t k = 0; status == QVL_OK && k < count; k++) {
        qvl_scene_frame(video->state, indices[k], picture.rgb);
        status = frame(context, k, &picture, error);
    }
    free(picture.rgb);
    return status;
}

static void close_video(struct qvl_video *video)
{
    qvl_scene_destroy(video->state);
    free(video);
}

static enum qvl_status open_video(const char *path, const void *bytes, size_t size, struct qvl_video **video,
                                  struct qvl_error *error)
{
    struct composition_medium medium;
    struct qvl_scene *scene;
    (void)bytes;
    (void)size;
    QVL_TRY(open_scene(path, &scene, &medium, error));
    *video = malloc(sizeof **video);
    if (!*video) {
        qvl_scene_destroy(scene);
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a clip");
    }
    **video = (struct qvl_video){.frames = medium.frames,
                                 .height = medium.height,
                                 .width = medium.width,
                                 .fps = (double)medium.fps,
                                 .fps_known = true,
                                 .fps_scanned = (double)medium.fps,
                                 .exact = true,
                                 .codec = "scene",
                                 .state = scene,
                                 .read = read_frames,
                                 .close = close_video};
    return QVL_OK;
}

static const struct qvl_media_reader scenes = {.read_image = read_image, .open_video = open_video};

/* ---- Prompts ---- */

static enum qvl_status read_media(const struct composition_media *media,
                                  const struct qvl_processor *processor, struct qvl_prompt *prompt,
                                  struct qvl_error *error)
{
    prompt->visuals = calloc((size_t)media->count + 1, sizeof *prompt->visuals);
    if (!prompt->visuals)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a prompt");
    for (int i = 0; i < media->count; i++) {
        const struct composition_medium *medium = &media->media[i];
        char path[96];
        snprintf(path, sizeof path, "%d %lld %lld %lld %lld", medium->seed, (long long)medium->height,
                 (long long)medium->width, (long long)medium->frames,
                 (long long)(medium->fps ? medium->fps : 1));
        const struct qvl_media_item item = {.is_video = medium->is_video,
                                            .path = path,
                                            .min_pixels = -1,
                                            .max_pixels = -1,
                                            .total_pixels = -1,
                                            .num_frames = medium->is_video ? medium->num_frames : -1,
                                            .fps = -1};
        QVL_TRY(qvl_processor_visual(processor, &scenes, &item, &prompt->visuals[i], error));
        prompt->visual_count = i + 1;
    }
    return QVL_OK;
}

static enum qvl_status fill_prompt(const struct qvl_composition *composition,
                                   const struct composition_media *media,
                                   const struct qvl_processor *processor, const struct qvl_path_fault *fault,
                                   struct qvl_prompt *prompt, struct qvl_error *error)
{
    char rendered[512] = "<|im_start|>user\n";
    size_t length = strlen(rendered);
    char *text = NULL;
    size_t size;
    QVL_TRY(read_media(media, processor, prompt, error));
    if (fault && fault->visuals)
        QVL_TRY(fault->visuals(prompt, error));
    for (int i = 0; i < media->count; i++)
        length += (size_t)snprintf(rendered + length, sizeof rendered - length,
                                   "<|vision_start|><|%s_pad|><|vision_end|>",
                                   media->media[i].is_video ? "video" : "image");
    snprintf(rendered + length, sizeof rendered - length,
             "what is in the picture?<|im_end|>\n<|im_start|>assistant\n");
    QVL_TRY(qvl_processor_expand(processor, rendered, strlen(rendered), prompt->visuals, prompt->visual_count,
                                 &text, &size, error));
    if (fault && fault->text)
        fault->text(text, &size);
    const enum qvl_status status =
        qvl_tokenizer_encode(composition->tokenizer, text, size, &prompt->ids, &prompt->count, NULL, error);
    free(text);
    return status;
}

static enum qvl_status open_processor(const struct qvl_composition *composition,
                                      enum composition_checkpoint checkpoint,
                                      const struct qvl_composition_path *path,
                                      struct qvl_processor **processor, struct qvl_error *error)
{
    const struct qvl_processor_options options = {.profile = QVL_PROFILE_HF4};
    return qvl_processor_load(composition->folders[checkpoint],
                              path->pixels ? path->pixels : composition->options.pixels, &options, processor,
                              error);
}

enum qvl_status composition_prompt(const struct qvl_composition *composition, const char *media,
                                   enum composition_checkpoint checkpoint,
                                   const struct qvl_composition_path *path, struct qvl_prompt *prompt,
                                   struct qvl_error *error)
{
    struct qvl_processor *processor;
    memset(prompt, 0, sizeof *prompt);
    QVL_TRY(open_processor(composition, checkpoint, path, &processor, error));
    const enum qvl_status status =
        fill_prompt(composition, composition_media_named(media), processor, path->fault, prompt, error);
    qvl_processor_destroy(processor);
    if (status != QVL_OK)
        qvl_prompt_free(prompt);
    return status;
}

enum qvl_status composition_plan(const struct qvl_composition *composition,
                                 const struct composition_medium *medium, double rate,
                                 const struct qvl_composition_path *path, struct qvl_prompt *prompt,
                                 struct qvl_error *error)
{
    const struct qvl_media_item limits = {.is_video = true,
                                          .min_pixels = -1,
                                          .max_pixels = -1,
                                          .total_pixels = -1,
                                          .num_frames = medium->num_frames ? medium->num_frames : -1,
                                          .fps = rate > 0 ? rate : -1};
    struct qvl_processor *processor;
    memset(prompt, 0, sizeof *prompt);
    QVL_TRY(open_processor(composition, OWN_HEAD, path, &processor, error));
    prompt->visuals = calloc(1, sizeof *prompt->visuals);
    enum qvl_status status =
        prompt->visuals ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a plan");
    if (status == QVL_OK)
        status = qvl_processor_plan(processor, &limits, medium->frames, medium->height, medium->width,
                                    (double)medium->fps, prompt->visuals, error);
    prompt->visual_count = status == QVL_OK;
    if (status == QVL_OK && path->fault && path->fault->visuals)
        status = path->fault->visuals(prompt, error);
    qvl_processor_destroy(processor);
    if (status != QVL_OK)
        qvl_prompt_free(prompt);
    return status;
}

/* ---- Judging ---- */

/* Squared error of the patch rows as a share of their squares. */
static double rows_nmse(const float *got, const float *wanted, int64_t count)
{
    double error = 0, square = 0;
    for (int64_t i = 0; i < count; i++) {
        error += ((double)got[i] - wanted[i]) * ((double)got[i] - wanted[i]);
        square += (double)wanted[i] * wanted[i];
    }
    return error / square;
}

/* What differs between two visuals; NULL: nothing. */
static const char *visual_difference(const struct qvl_visual *got, const struct qvl_visual *wanted,
                                     double *nmse)
{
    const int64_t rows = wanted->grid.t * wanted->grid.h * wanted->grid.w;
    const int64_t columns = (int64_t)CHANNELS * 2 * 16 * 16; /* of the checkpoint presets */
    if (got->frames != wanted->frames)
        return "frames";
    if (memcmp(&got->grid, &wanted->grid, sizeof got->grid) != 0)
        return "grid";
    if (wanted->is_video &&
        memcmp(got->frame_indices, wanted->frame_indices, sizeof(int64_t) * (size_t)wanted->frames) != 0)
        return "frame indices";
    for (int64_t t = 0; wanted->is_video && t < wanted->grid.t; t++)
        if (got->timestamps[t] != wanted->timestamps[t])
            return "timestamps";
    if (wanted->rows && memcmp(got->rows, wanted->rows, sizeof(float) * (size_t)(rows * columns)) != 0) {
        *nmse = rows_nmse(got->rows, wanted->rows, rows * columns);
        return "pixel values";
    }
    return NULL;
}

void composition_judge_prompt(const struct qvl_prompt *got, const struct qvl_prompt *wanted,
                              struct qvl_selftest_attempt *attempt)
{
    attempt->status = QVL_CASE_FAILED;
    for (int64_t v = 0; v < wanted->visual_count; v++) {
        const char *what = visual_difference(&got->visuals[v], &wanted->visuals[v], &attempt->nmse);
        if (!what)
            continue;
        snprintf(attempt->where, sizeof attempt->where, "%s", what);
        snprintf(attempt->message, sizeof attempt->message, "%s of visual %lld differ from the original's",
                 what, (long long)v);
        return;
    }
    int64_t token = 0;
    while (token < got->count && token < wanted->count && got->ids[token] == wanted->ids[token])
        token++;
    if (token < got->count || token < wanted->count) {
        snprintf(attempt->where, sizeof attempt->where, "input_ids[%lld]", (long long)token);
        snprintf(attempt->message, sizeof attempt->message,
                 "%lld token ids, %lld expected; the first to differ is %lld", (long long)got->count,
                 (long long)wanted->count, (long long)token);
        return;
    }
    attempt->status = QVL_CASE_PASSED;
}
