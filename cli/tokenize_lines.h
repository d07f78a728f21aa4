/* Lines {"id":..,"text":..} to lines {"id":..,"ids":[..]}. */
#ifndef QVL_CLI_TOKENIZE_LINES_H
#define QVL_CLI_TOKENIZE_LINES_H

#include "model/bytes.h"
#include "model/tokenizer.h"

/* "[1,2,3]" */
void qvl_tokenize_append_ids(const int64_t *ids, int64_t count, struct qvl_bytes *out);

/* Read `path` ("-": standard input) and print to stdout, a line at a time. "id" is a string or a number and
 * is copied; other keys and blank lines are passed over. A file is checked whole before anything is printed;
 * what cannot be read twice is printed as it comes. QVL_BAD_INPUT names file and line. */
QVL_MUST_USE enum qvl_status qvl_tokenize_lines(const struct qvl_tokenizer *tokenizer, const char *path,
                                                struct qvl_error *error);

#endif
