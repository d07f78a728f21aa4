/* GPT-2's printable spelling of bytes, in which vocabulary files write tokens: a byte that is printable
 * Latin-1 (33..126, 161..172, 174..255) stands for itself, the 68 others are U+0100, U+0101, ... in byte
 * order. */
#ifndef QVL_MODEL_BYTE_LEVEL_H
#define QVL_MODEL_BYTE_LEVEL_H

#include "model/bytes.h"

/* Append the bytes that a spelling (well-formed UTF-8) stands for. A spelling with any other character is
 * appended as it is, as the original's decoder takes it. */
void qvl_byte_level_decode(const char *spelling, size_t size, struct qvl_bytes *bytes);

#endif
