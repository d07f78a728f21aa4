/* What the two halves of the tokenizer share: tokenizer_load.c fills it, tokenizer.c uses it. */
#ifndef QVL_MODEL_TOKENIZER_PARTS_H
#define QVL_MODEL_TOKENIZER_PARTS_H

#include "model/bpe.h"
#include "model/tokenizer.h"

/* How a token is used; 0 for the base vocabulary. */
enum token_kind { TOKEN_ADDED = 1, TOKEN_SPECIAL = 2 /* and added */ };

struct qvl_tokenizer {
    struct qvl_bpe *bpe; /* holds the bytes of all tokens */
    uint8_t *kinds;      /* enum token_kind by id, [kind_capacity]; ids behind are of the base vocabulary */
    size_t kind_capacity;
    int64_t *added; /* ids of the tokens cut from the raw text; sorted by first byte, then longest first */
    size_t added_count, added_capacity;
    size_t added_start[257]; /* those with first byte b: added[added_start[b] .. added_start[b + 1]) */
};

#endif
