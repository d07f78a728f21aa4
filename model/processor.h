/* The processor: preprocessor configs of a checkpoint, size rules, frame selection, timestamps, placeholder
 * expansion. */
#ifndef QVL_MODEL_PROCESSOR_H
#define QVL_MODEL_PROCESSOR_H

#include "model/messages.h"
#include "model/prompt.h"
#include "model/tokenizer.h"
#include "qvl/media.h"

/* The preprocessing profile: which release's behaviour the whole path follows (facts 1.3, 1.6, 2.1-2.7).
 *
 *                      hf4                      hf5                         qvu
 * alpha of images      discarded                discarded (files)           RGBA on white
 * EXIF orientation     applied                  applied                     applied (the original ignores it)
 * image limits         checkpoint               checkpoint                  4 and 16384 tokens
 * image resize         torchvision uint8        torchvision uint8           Pillow up to 12.3
 * frame selection      linspace in double       linspace in double          even count, linspace in float32
 * video limits         frames*h*w of the video  frames*h*w of the video     h*w of a frame, from the budget
 * tiny frames          error                    scaled up                   scaled up
 * video resize         torchvision uint8        torchvision uint8           torchvision float32
 * stamp of a patch     over `merge` frames      over `temporal_patch`       over `merge` frames
 * outer video markers  replaced                 kept                        replaced */
enum qvl_profile {
    QVL_PROFILE_HF4, /* transformers 4.57.6: the default */
    QVL_PROFILE_HF5, /* transformers 5.23.0 */
    QVL_PROFILE_QVU, /* qwen-vl-utils 0.0.14 in front of the 4.57.6 processor with do_resize off */
    QVL_PROFILE_COUNT
};

/* "hf4", "hf5", "qvu"; the other way returns false for another name. */
const char *qvl_profile_name(enum qvl_profile profile);
bool qvl_profile_parse(const char *name, enum qvl_profile *profile);

/* What the checkpoint says about images or videos. A key that its file lacks has the default of the original
 * class in that release; without any file all values are those of the released Qwen3-VL checkpoints. */
struct qvl_medium_settings {
    char source[32];                /* name of the file that was read; "" for the released values */
    int64_t min_pixels, max_pixels; /* size.shortest_edge and size.longest_edge */
    int64_t patch, temporal_patch, merge;
    double mean[3], std[3];
    double rescale;
    /* Videos only. */
    bool supported;     /* false: another family's video processor, which videos are refused with */
    bool sample_frames; /* false: every frame is taken */
    double fps;         /* frames per second to take; 0 when null */
    int64_t num_frames; /* frames to take; 0 when absent */
    int64_t min_frames, max_frames;
    bool cap_pixels_per_frame; /* opt-in of 5.23.0; read under hf5 only */
    int64_t max_video_tokens;  /* tokens of a frame under that cap */
};

struct qvl_processor_settings {
    enum qvl_profile profile;
    struct qvl_medium_settings image, video;
    enum qvl_resize_method image_resize, video_resize;
    enum qvl_normalise_form normalise;
    enum qvl_alpha_rule alpha;
};

struct qvl_processor; /* the settings of one checkpoint under one profile, and the pixel kernels */

struct qvl_processor_options {
    enum qvl_profile profile;
    bool override_resize; /* take `resize` instead of the profile's methods */
    enum qvl_resize_method resize;
    bool override_alpha; /* take `alpha` instead of the profile's rule */
    enum qvl_alpha_rule alpha;
    enum qvl_normalise_form normalise; /* QVL_NORMALISE_SLOW: as use_fast=False */
    bool keep_resized;                 /* fill qvl_visual.resized_rgb */
    bool sizes_only;                   /* no patch rows, no pixels; images are still decoded for their size */
    bool accept_damaged; /* videos whose selected frames are damaged: inexact instead of an error */
};

/* Read preprocessor_config.json and video_preprocessor_config.json, or the nested processor_config.json of
 * 5.x, from a checkpoint folder (NULL: released values). QVL_BAD_INPUT names file and key. `pixels` is
 * borrowed and must outlive the processor. */
QVL_MUST_USE enum qvl_status qvl_processor_load(const char *folder, const struct qvl_pixel_ops *pixels,
                                                const struct qvl_processor_options *options,
                                                struct qvl_processor **processor, struct qvl_error *error);
void qvl_processor_destroy(struct qvl_processor *processor); /* NULL is accepted */

/* What is in force, for the record. Valid as long as the processor. */
const struct qvl_processor_settings *qvl_processor_settings(const struct qvl_processor *processor);

/* Limits of one message part (`limits` below may be NULL: none given).
 * Images: min_pixels and max_pixels replace those in force. Videos: fps or num_frames (not both) replace the
 * selection. Under hf4 and hf5 min_pixels replaces size.shortest_edge and the smaller of max_pixels and
 * total_pixels replaces size.longest_edge, both of the whole video; under qvu min_pixels and max_pixels are
 * of a frame, and total_pixels of the video. For a list of frame files every file is a frame, and fps is the
 * rate at which they were taken (24 if not given; 2 under qvu). */

/* Size, selection and tokens without media (frames 0: an image). Fills everything of `visual` but rows and
 * pixels; on failure `visual` is zeroed. */
QVL_MUST_USE enum qvl_status qvl_processor_plan(const struct qvl_processor *processor,
                                                const struct qvl_media_item *limits, int64_t frames,
                                                int64_t height, int64_t width, double fps,
                                                struct qvl_visual *visual, struct qvl_error *error);

/* Read one medium through `reader` and preprocess it. Frames are turned into rows as they are decoded; at
 * most one temporal patch of resized frames is held besides the rows. On failure `visual` is zeroed. */
QVL_MUST_USE enum qvl_status qvl_processor_visual(const struct qvl_processor *processor,
                                                  const struct qvl_media_reader *reader,
                                                  const struct qvl_media_item *item,
                                                  struct qvl_visual *visual, struct qvl_error *error);

/* LLM tokens of one temporal patch, and of a whole image or video (without timestamps and markers). */
int64_t qvl_processor_patch_tokens(const struct qvl_processor *processor, const struct qvl_visual *visual);
int64_t qvl_processor_visual_tokens(const struct qvl_processor *processor, const struct qvl_visual *visual);

/* Replace the placeholders of a rendered prompt by the tokens of `visuals` (in prompt order). `*expanded` is
 * malloc'd and NUL-terminated. QVL_BAD_INPUT when images or videos and placeholders differ in number. */
QVL_MUST_USE enum qvl_status qvl_processor_expand(const struct qvl_processor *processor, const char *text,
                                                  size_t size, const struct qvl_visual *visuals,
                                                  int64_t count, char **expanded, size_t *expanded_size,
                                                  struct qvl_error *error);

/* The whole path: render, read media, expand placeholders, tokenise. `*text` (may be NULL) gets the expanded
 * prompt, malloc'd. On failure nothing is returned and `prompt` is zeroed. */
QVL_MUST_USE enum qvl_status
qvl_processor_prompt(const struct qvl_processor *processor, const struct qvl_tokenizer *tokenizer,
                     const struct qvl_media_reader *reader, const struct qvl_messages *messages,
                     const struct qvl_render_options *options, struct qvl_prompt *prompt, char **text,
                     size_t *text_size, struct qvl_error *error);

#endif
