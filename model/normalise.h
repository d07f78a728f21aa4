/* Unicode normalisation form C as the original's tokenizer library does it: with the data of Unicode 9.0. */
#ifndef QVL_MODEL_NORMALISE_H
#define QVL_MODEL_NORMALISE_H

#include "model/bytes.h"

/* Append NFC(text) to `out`; `text` is well-formed UTF-8. Code points younger than Unicode 9.0 pass untouched
 * and stop composition, whatever version of utf8proc is linked. */
QVL_MUST_USE enum qvl_status qvl_normalise_nfc(const char *text, size_t size, struct qvl_bytes *out,
                                               struct qvl_error *error);

#endif
