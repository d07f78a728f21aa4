#include "model/visual_tokens.h"

#include <stdlib.h>

#include "model/pretoken.h"
#include "model/timestamps.h"

#define MARKERS 2 /* vision_start and vision_end */

static enum qvl_status count_stamp(const struct qvl_tokenizer *tokenizer, double stamp, int64_t *count,
                                   struct qvl_error *error)
{
    char text[QVL_TIMESTAMP_BYTES];
    const size_t size = (size_t)qvl_timestamp_text(stamp, text);
    *count = 0;
    if (tokenizer) {
        int64_t *ids = NULL;
        const enum qvl_status status = qvl_tokenizer_encode(tokenizer, text, size, &ids, count, NULL, error);
        free(ids);
        return status;
    }
    for (size_t at = 0; at < size; at += qvl_pretoken_next(text + at, size - at))
        ++*count;
    return QVL_OK;
}

enum qvl_status qvl_visual_count_tokens(const struct qvl_processor *processor,
                                        const struct qvl_tokenizer *tokenizer,
                                        const struct qvl_visual *visual, struct qvl_visual_tokens *tokens,
                                        struct qvl_error *error)
{
    const struct qvl_processor_settings *settings = qvl_processor_settings(processor);
    const int64_t merge = visual->is_video ? settings->video.merge : settings->image.merge;
    const int64_t pads = qvl_processor_patch_tokens(processor, visual);
    const int64_t rows = visual->grid.h / merge, columns = visual->grid.w / merge;
    const int64_t step = rows > columns ? rows : columns; /* positions that a temporal patch takes */
    /* 5.23.0 keeps the markers of the template around those of the patches (facts 2.7). */
    const int64_t outer = visual->is_video && settings->profile == QVL_PROFILE_HF5 ? MARKERS : 0;
    *tokens = (struct qvl_visual_tokens){.visual = qvl_processor_visual_tokens(processor, visual),
                                         .markers = MARKERS * visual->grid.t + outer};
    for (int64_t t = 0; t < visual->grid.t; t++) {
        int64_t stamp = 0;
        if (visual->is_video)
            QVL_TRY(count_stamp(tokenizer, visual->timestamps[t], &stamp, error));
        tokens->stamps += stamp;
        if (stamp + MARKERS + pads > tokens->patch)
            tokens->patch = stamp + MARKERS + pads;
    }
    tokens->total = tokens->visual + tokens->stamps + tokens->markers;
    tokens->largest_position = tokens->stamps + tokens->markers + visual->grid.t * step - 1;
    return QVL_OK;
}
