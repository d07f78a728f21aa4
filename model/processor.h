/* The processor: preprocessor configs of a checkpoint, size rules, frame selection, timestamps, placeholder
 * expansion. */
#ifndef QVL_MODEL_PROCESSOR_H
#define QVL_MODEL_PROCESSOR_H

#include "model/messages.h"
#include "model/prompt.h"
#include "model/tokenizer.h"
#include "qvl/media.h"

/* The preprocessing profile: which release's behaviour the whole path follows (facts 1.3, 1.6, 2.1-2.7). */
enum qvl_profile {
    QVL_PROFILE_HF4, /* transformers 4.57.6: the default */
    QVL_PROFILE_HF5, /* transformers 5.23.0 */
    QVL_PROFILE_QVU  /* qwen-vl-utils 0.0.14 in front of the 4.57.6 processor */
};

struct qvl_processor; /* sizes, patch, merge, mean, std, sampling limits of one checkpoint, and the profile */

struct qvl_processor_options {
    enum qvl_profile profile;
    bool override_resize; /* take `resize` instead of the profile's method */
    enum qvl_resize_method resize;
    bool keep_resized; /* fill qvl_visual.resized_rgb */
    bool sizes_only;   /* no patch rows */
};

/* Read preprocessor_config.json and video_preprocessor_config.json from a checkpoint folder (released values
 * of the class where a key is absent). QVL_BAD_INPUT names file and key. `pixels` is borrowed and must
 * outlive the processor. */
enum qvl_status qvl_processor_load(const char *folder, const struct qvl_pixel_ops *pixels,
                                   const struct qvl_processor_options *options,
                                   struct qvl_processor **processor, struct qvl_error *error);
void qvl_processor_destroy(struct qvl_processor *processor); /* NULL is accepted */

/* Size, sampling and tokens without media (frames 0: an image). Fills everything of `visual` but rows and
 * pixels. */
enum qvl_status qvl_processor_plan(const struct qvl_processor *processor, const struct qvl_media_item *limits,
                                   int64_t frames, int64_t height, int64_t width, double fps,
                                   struct qvl_visual *visual, struct qvl_error *error);

/* Read one medium through `reader` and preprocess it. */
enum qvl_status qvl_processor_visual(const struct qvl_processor *processor,
                                     const struct qvl_media_reader *reader, const struct qvl_media_item *item,
                                     struct qvl_visual *visual, struct qvl_error *error);

/* LLM tokens of one temporal patch and of a whole image or video (without timestamps and markers). */
int64_t qvl_processor_patch_tokens(const struct qvl_processor *processor, const struct qvl_visual *visual);

/* The whole path: render, read media, expand placeholders, tokenise. `*text` (may be NULL) gets the expanded
 * prompt. */
enum qvl_status qvl_processor_prompt(const struct qvl_processor *processor,
                                     const struct qvl_tokenizer *tokenizer,
                                     const struct qvl_media_reader *reader,
                                     const struct qvl_messages *messages,
                                     const struct qvl_render_options *options, struct qvl_prompt *prompt,
                                     char **text, size_t *text_size, struct qvl_error *error);

#endif
