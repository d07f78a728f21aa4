/* Placeholders of the rendered prompt become the tokens of the media (facts 2.7). */
#include "model/processor_config.h"
#include "model/timestamps.h"

#include <stdlib.h>

static const char IMAGE_PAD[] = "<|image_pad|>";
static const char VIDEO_PAD[] = "<|video_pad|>";
static const char VISION_START[] = "<|vision_start|>";
static const char VISION_END[] = "<|vision_end|>";

struct buffer {
    char *data;
    size_t size, capacity;
};

static enum qvl_status append(struct buffer *buffer, const char *text, size_t size, struct qvl_error *error)
{
    if (!buffer->data || buffer->size + size + 1 > buffer->capacity) {
        size_t capacity = 2 * (buffer->size + size + 1);
        char *grown = realloc(buffer->data, capacity);
        if (!grown)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for a prompt of %zu bytes", capacity);
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->size, text, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return QVL_OK;
}

static enum qvl_status append_pads(struct buffer *buffer, const char *pad, int64_t count,
                                   struct qvl_error *error)
{
    for (int64_t i = 0; i < count; i++)
        QVL_TRY(append(buffer, pad, strlen(pad), error));
    return QVL_OK;
}

static enum qvl_status append_video(struct buffer *buffer, const struct qvl_processor *processor,
                                    const struct qvl_visual *visual, struct qvl_error *error)
{
    int64_t tokens = qvl_processor_patch_tokens(processor, visual);
    for (int64_t t = 0; t < visual->grid.t; t++) {
        char stamp[QVL_TIMESTAMP_BYTES];
        int length = qvl_timestamp_text(visual->timestamps[t], stamp);
        QVL_TRY(append(buffer, stamp, (size_t)length, error));
        QVL_TRY(append(buffer, VISION_START, strlen(VISION_START), error));
        QVL_TRY(append_pads(buffer, VIDEO_PAD, tokens, error));
        QVL_TRY(append(buffer, VISION_END, strlen(VISION_END), error));
    }
    return QVL_OK;
}

static bool starts_with(const char *text, const char *end, const char *token)
{
    size_t length = strlen(token);
    return (size_t)(end - text) >= length && memcmp(text, token, length) == 0;
}

/* The placeholder at `text`: a whole video triple (only where the profile replaces its markers), or a bare
 * token. */
enum placeholder { NONE, IMAGE, VIDEO_BARE, VIDEO_TRIPLE };

static enum placeholder placeholder_at(const char *text, const char *end, bool triples, size_t *length)
{
    if (*text != '<')
        return NONE;
    if (triples && starts_with(text, end, VISION_START)) {
        const char *pad = text + strlen(VISION_START);
        if (starts_with(pad, end, VIDEO_PAD) && starts_with(pad + strlen(VIDEO_PAD), end, VISION_END)) {
            *length = strlen(VISION_START) + strlen(VIDEO_PAD) + strlen(VISION_END);
            return VIDEO_TRIPLE;
        }
    }
    *length = strlen(VIDEO_PAD);
    if (starts_with(text, end, VIDEO_PAD))
        return VIDEO_BARE;
    *length = strlen(IMAGE_PAD);
    return starts_with(text, end, IMAGE_PAD) ? IMAGE : NONE;
}

/* The k-th image or video of the prompt; k is in range once the counts are checked. */
static const struct qvl_visual *nth(const struct qvl_visual *visuals, bool video, int64_t k)
{
    while (visuals->is_video != video || k-- > 0)
        visuals++;
    return visuals;
}

struct placeholder_counts {
    int64_t images, bare, triples;
};

static struct placeholder_counts count_placeholders(const char *text, const char *end, bool triples)
{
    struct placeholder_counts counts = {0};
    while (text < end) {
        size_t length = 1;
        switch (placeholder_at(text, end, triples, &length)) {
        case IMAGE: counts.images++; break;
        case VIDEO_BARE: counts.bare++; break;
        case VIDEO_TRIPLE: counts.triples++; break;
        case NONE: length = 1; break;
        }
        text += length;
    }
    return counts;
}

static enum qvl_status check_counts(const struct placeholder_counts *counts, const struct qvl_visual *visuals,
                                    int64_t count, struct qvl_error *error)
{
    int64_t video_pads = counts->bare + counts->triples;
    int64_t videos = 0;
    int64_t images;
    for (int64_t i = 0; i < count; i++)
        videos += visuals[i].is_video;
    images = count - videos;
    if (counts->images != images)
        return qvl_fail(error, QVL_BAD_INPUT, "the prompt has %lld %s placeholders for %lld images",
                        (long long)counts->images, IMAGE_PAD, (long long)images);
    if (video_pads != videos)
        return qvl_fail(error, QVL_BAD_INPUT, "the prompt has %lld %s placeholders for %lld videos",
                        (long long)video_pads, VIDEO_PAD, (long long)videos);
    return QVL_OK;
}

static enum qvl_status expand(struct buffer *buffer, const struct qvl_processor *processor, const char *text,
                              const char *end, const struct qvl_visual *visuals,
                              const struct placeholder_counts *counts, bool triples, struct qvl_error *error)
{
    /* the original replaces all triples before the first bare token */
    struct placeholder_counts next = {.bare = counts->triples};
    const char *plain = text;

    while (text < end) {
        size_t length = 1;
        enum placeholder kind = placeholder_at(text, end, triples, &length);
        if (kind == NONE) {
            text++;
            continue;
        }
        QVL_TRY(append(buffer, plain, (size_t)(text - plain), error));
        if (kind == IMAGE)
            QVL_TRY(append_pads(buffer, IMAGE_PAD,
                                qvl_processor_visual_tokens(processor, nth(visuals, false, next.images++)),
                                error));
        else
            QVL_TRY(append_video(buffer, processor,
                                 nth(visuals, true, kind == VIDEO_TRIPLE ? next.triples++ : next.bare++),
                                 error));
        text += length;
        plain = text;
    }
    return append(buffer, plain, (size_t)(end - plain), error);
}

int64_t qvl_processor_patch_tokens(const struct qvl_processor *processor, const struct qvl_visual *visual)
{
    int64_t merge = visual->is_video ? processor->settings.video.merge : processor->settings.image.merge;
    return visual->grid.h * visual->grid.w / (merge * merge);
}

int64_t qvl_processor_visual_tokens(const struct qvl_processor *processor, const struct qvl_visual *visual)
{
    return visual->grid.t * qvl_processor_patch_tokens(processor, visual);
}

enum qvl_status qvl_processor_expand(const struct qvl_processor *processor, const char *text, size_t size,
                                     const struct qvl_visual *visuals, int64_t count, char **expanded,
                                     size_t *expanded_size, struct qvl_error *error)
{
    bool triples = processor->settings.profile != QVL_PROFILE_HF5;
    struct placeholder_counts counts = count_placeholders(text, text + size, triples);
    struct buffer buffer = {0};
    enum qvl_status status;

    QVL_TRY(check_counts(&counts, visuals, count, error));
    status = expand(&buffer, processor, text, text + size, visuals, &counts, triples, error);
    if (status != QVL_OK) {
        free(buffer.data);
        return status;
    }
    *expanded = buffer.data;
    *expanded_size = buffer.size;
    return QVL_OK;
}
