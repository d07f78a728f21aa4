/* The pre-token split of Qwen2 and Qwen3: pieces that merges never cross. */
#ifndef QVL_MODEL_PRETOKEN_H
#define QVL_MODEL_PRETOKEN_H

#include <stddef.h>

/* The regular expression that qvl_pretoken_next implements, as tokenizer.json spells it. */
extern const char qvl_pretoken_pattern[];

/* Length in bytes of the first piece of text[0, size): well-formed UTF-8, size > 0. Taking pieces until the
 * end gives the matches of the pattern from left to right; every byte is in one. */
size_t qvl_pretoken_next(const char *text, size_t size);

#endif
