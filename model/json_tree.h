/* JSON text as a tree that loses nothing: keys in order, numbers as they are spelled, strings with NUL bytes.
 * For chats and tool definitions, whose prompt text depends on all three; config files go through
 * base/json.h.
 */
#ifndef QVL_MODEL_JSON_TREE_H
#define QVL_MODEL_JSON_TREE_H

#include <stdint.h>

#include "model/bytes.h"

#define QVL_JSON_TREE_MAX_DEPTH 200

enum qvl_json_kind {
    QVL_JSON_NULL,
    QVL_JSON_FALSE,
    QVL_JSON_TRUE,
    QVL_JSON_NUMBER,
    QVL_JSON_STRING,
    QVL_JSON_ARRAY,
    QVL_JSON_OBJECT
};

struct qvl_json_node {
    enum qvl_json_kind kind;
    const char *key; /* of a member of an object: decoded, zero-terminated */
    size_t key_size;
    const char *text; /* a string decoded to UTF-8, or a number as spelled; zero-terminated */
    size_t size;
    const struct qvl_json_node *first, *next; /* elements or members */
    int64_t count;
    int64_t line; /* where the value starts, from 1 */
};

struct qvl_json_tree; /* owns all nodes and texts */

/* Parse `size` bytes of UTF-8 (a byte order mark is skipped). QVL_BAD_INPUT with `name`, line and column:
 * what RFC 8259 does not allow, ill-formed UTF-8, lone surrogates, nesting beyond the limit. Keys may repeat.
 */
QVL_MUST_USE enum qvl_status qvl_json_tree_parse(const char *text, size_t size, const char *name,
                                                 struct qvl_json_tree **tree, struct qvl_error *error);
void qvl_json_tree_destroy(struct qvl_json_tree *tree); /* NULL is accepted */
const struct qvl_json_node *qvl_json_tree_root(const struct qvl_json_tree *tree);

/* The member of an object, the last one if the key repeats; NULL when absent or not an object. */
const struct qvl_json_node *qvl_json_tree_member(const struct qvl_json_node *object, const char *key);

/* Append what Python's json.dumps(value, ensure_ascii=False) gives for the parsed value: separators ", " and
 * ": ", floats in their shortest form, integers as spelled, the last of repeated keys in the place of the
 * first. */
void qvl_json_tree_dump(const struct qvl_json_node *node, struct qvl_bytes *out);

#endif
