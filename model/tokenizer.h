/* Byte-level BPE tokenizer of Qwen2/Qwen3 checkpoints: added tokens, NFC, pre-token split, merges. */
#ifndef QVL_MODEL_TOKENIZER_H
#define QVL_MODEL_TOKENIZER_H

#include "qvl/tensor.h"

struct qvl_tokenizer;

/* Read `tokenizer.json`, or else `vocab.json` with `merges.txt` (added tokens from tokenizer_config.json),
 * from a checkpoint folder. QVL_BAD_INPUT names the file and what is wrong with it. */
enum qvl_status qvl_tokenizer_load(const char *folder, struct qvl_tokenizer **tokenizer,
                                   struct qvl_error *error);
void qvl_tokenizer_destroy(struct qvl_tokenizer *tokenizer); /* NULL is accepted */

/* Encode `size` bytes of text (NUL bytes allowed) into `*ids` (malloc'd, caller frees). Each maximal
 * ill-formed part of invalid UTF-8 counts as one U+FFFD; `*replaced` (may be NULL) gets their number. */
enum qvl_status qvl_tokenizer_encode(const struct qvl_tokenizer *tokenizer, const char *text, size_t size,
                                     int64_t **ids, int64_t *count, int64_t *replaced,
                                     struct qvl_error *error);

/* Decode ids into malloc'd bytes, NUL-terminated, `*size` without the NUL. Ids that no token has decode to
 * nothing. */
enum qvl_status qvl_tokenizer_decode(const struct qvl_tokenizer *tokenizer, const int64_t *ids, int64_t count,
                                     bool skip_special, char **text, size_t *size, struct qvl_error *error);

/* The id of a token given by its text (added or base), or -1. */
int64_t qvl_tokenizer_id(const struct qvl_tokenizer *tokenizer, const char *token);

/* One more than the largest id in use. */
int64_t qvl_tokenizer_vocabulary(const struct qvl_tokenizer *tokenizer);

#endif
