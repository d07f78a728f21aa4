/* What an image or video takes of the context, and how far it moves the position ids. */
#ifndef QVL_MODEL_VISUAL_TOKENS_H
#define QVL_MODEL_VISUAL_TOKENS_H

#include "model/processor.h"

struct qvl_visual_tokens {
    int64_t visual;  /* image or video placeholders, each a row of features */
    int64_t stamps;  /* text tokens of the time stamps */
    int64_t markers; /* vision_start and vision_end */
    int64_t total;
    int64_t patch;            /* most tokens of one temporal patch, with its stamp and markers */
    int64_t largest_position; /* with the medium's first token at position 0 (facts 4.3) */
};

/* Count a planned or read visual. Stamps are encoded with `tokenizer`; NULL: one token for each piece of the
 * pre-token pattern, as the released vocabulary has them all: "<", each digit, ".", " seconds" and ">". A
 * text that ends in punctuation right in front of a video may share a token with its first "<"; that is not
 * seen here. */
QVL_MUST_USE enum qvl_status qvl_visual_count_tokens(const struct qvl_processor *processor,
                                                     const struct qvl_tokenizer *tokenizer,
                                                     const struct qvl_visual *visual,
                                                     struct qvl_visual_tokens *tokens,
                                                     struct qvl_error *error);

#endif
