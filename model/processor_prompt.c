/* From messages to token ids and patch rows. */
#include "model/processor.h"

#include <stdlib.h>

static enum qvl_status read_visuals(const struct qvl_processor *processor,
                                    const struct qvl_media_reader *reader, const struct qvl_media_item *items,
                                    int64_t count, struct qvl_prompt *prompt, struct qvl_error *error)
{
    if (count == 0)
        return QVL_OK;
    prompt->visuals = calloc((size_t)count, sizeof *prompt->visuals);
    if (!prompt->visuals)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld images and videos", (long long)count);
    for (; prompt->visual_count < count; prompt->visual_count++)
        QVL_TRY(qvl_processor_visual(processor, reader, &items[prompt->visual_count],
                                     &prompt->visuals[prompt->visual_count], error));
    return QVL_OK;
}

/* Every visual token must have become one id of its kind: the model fills those rows in order. */
static enum qvl_status check_ids(const struct qvl_processor *processor, const struct qvl_tokenizer *tokenizer,
                                 const struct qvl_prompt *prompt, struct qvl_error *error)
{
    static const char *const pads[2] = {"<|image_pad|>", "<|video_pad|>"};
    for (int video = 0; video < 2; video++) {
        int64_t id = qvl_tokenizer_id(tokenizer, pads[video]);
        int64_t found = 0;
        int64_t needed = 0;
        for (int64_t i = 0; i < prompt->visual_count; i++)
            if (prompt->visuals[i].is_video == (video == 1))
                needed += qvl_processor_visual_tokens(processor, &prompt->visuals[i]);
        for (int64_t i = 0; i < prompt->count && id >= 0; i++)
            found += prompt->ids[i] == id;
        if (found != needed)
            return qvl_fail(error, QVL_BAD_INPUT,
                            "the prompt has %lld %s tokens, its media need %lld; does the tokenizer know %s?",
                            (long long)found, pads[video], (long long)needed, pads[video]);
    }
    return QVL_OK;
}

/* The steps after rendering; whatever was made is in `prompt` and `expanded` also on failure. */
static enum qvl_status fill(const struct qvl_processor *processor, const struct qvl_tokenizer *tokenizer,
                            const struct qvl_media_reader *reader, const struct qvl_media_item *items,
                            int64_t item_count, const char *rendered, size_t rendered_size,
                            struct qvl_prompt *prompt, char **expanded, size_t *expanded_size,
                            struct qvl_error *error)
{
    QVL_TRY(read_visuals(processor, reader, items, item_count, prompt, error));
    QVL_TRY(qvl_processor_expand(processor, rendered, rendered_size, prompt->visuals, prompt->visual_count,
                                 expanded, expanded_size, error));
    QVL_TRY(qvl_tokenizer_encode(tokenizer, *expanded, *expanded_size, &prompt->ids, &prompt->count, NULL,
                                 error));
    return check_ids(processor, tokenizer, prompt, error);
}

enum qvl_status qvl_processor_prompt(const struct qvl_processor *processor,
                                     const struct qvl_tokenizer *tokenizer,
                                     const struct qvl_media_reader *reader,
                                     const struct qvl_messages *messages,
                                     const struct qvl_render_options *options, struct qvl_prompt *prompt,
                                     char **text, size_t *text_size, struct qvl_error *error)
{
    const struct qvl_media_item *items = NULL;
    int64_t item_count = 0;
    char *rendered = NULL;
    char *expanded = NULL;
    size_t rendered_size = 0;
    size_t expanded_size = 0;
    enum qvl_status status;

    memset(prompt, 0, sizeof *prompt);
    QVL_TRY(qvl_messages_render(messages, options, &rendered, &rendered_size, &items, &item_count, error));
    status = fill(processor, tokenizer, reader, items, item_count, rendered, rendered_size, prompt, &expanded,
                  &expanded_size, error);
    free(rendered);
    if (status != QVL_OK || !text) {
        free(expanded);
    } else {
        *text = expanded;
        *text_size = expanded_size;
    }
    if (status != QVL_OK)
        qvl_prompt_free(prompt);
    return status;
}
