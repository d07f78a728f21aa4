/* A parsed JSON document that keeps every digit of its integers: canonical form for hashing, and checks
 * against a JSON Schema (draft-07). A C header over C++ libraries (nlohmann-json, valijson). */
#ifndef QVL_REPORTS_SCHEMA_CHECK_H
#define QVL_REPORTS_SCHEMA_CHECK_H

#include <stdbool.h>

#include "qvl/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qvl_document;

/* Parse `size` bytes; `name` stands for the file in messages. QVL_BAD_INPUT: as qvl_json_parse, and
 * ill-formed UTF-8 or numbers beyond double. *document is owned (qvl_document_destroy). */
QVL_MUST_USE enum qvl_status qvl_document_parse(const char *text, size_t size, const char *name,
                                                struct qvl_document **document, struct qvl_error *error);
void qvl_document_destroy(struct qvl_document *document); /* NULL is accepted */

/* The canonical form of the value at a JSON pointer ("" is the whole document): no spaces, keys in byte
 * order, strings with only the escapes JSON demands, integers in full, other numbers as the shortest digits
 * that read back the same. It is what Python's json.dumps(value, sort_keys=True, separators=(",", ":"),
 * ensure_ascii=False) writes. *text is owned (free). QVL_USAGE: nothing is there. */
QVL_MUST_USE enum qvl_status qvl_document_canonical(const struct qvl_document *document, const char *pointer,
                                                    char **text, size_t *size, struct qvl_error *error);

/* Replace the value at a JSON pointer by a string. QVL_USAGE: nothing is there. */
QVL_MUST_USE enum qvl_status qvl_document_set_string(struct qvl_document *document, const char *pointer,
                                                     const char *value, struct qvl_error *error);

/* The string at a JSON pointer, or NULL when there is no string. Borrowed from the document. */
const char *qvl_document_string(const struct qvl_document *document, const char *pointer);

/* True when there is a value at the pointer. */
bool qvl_document_has(const struct qvl_document *document, const char *pointer);

/* Elements of the array or object at a JSON pointer; 0 for anything else. */
size_t qvl_document_count(const struct qvl_document *document, const char *pointer);

#define QVL_MAX_VIOLATIONS 100

/* Called for the first QVL_MAX_VIOLATIONS places that violate the schema; a place is left out when one inside
 * it was named. */
typedef enum qvl_status qvl_violation_fn(void *context, const char *pointer, const char *message,
                                         struct qvl_error *error);

/* Check the document against a schema; violations are not errors. QVL_USAGE: the schema itself is wrong. */
QVL_MUST_USE enum qvl_status qvl_document_check(const struct qvl_document *document, const char *schema,
                                                qvl_violation_fn *violation, void *context,
                                                struct qvl_error *error);

#ifdef __cplusplus
}
#endif

#endif
