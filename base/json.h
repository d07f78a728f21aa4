/* JSON over cJSON: strict parsing with line and column, and typed access whose errors name file and key.
 *
 * A `qvl_json` is a place inside a parsed document: a borrowed node, the file it came from, and its dotted
 * path ("text_config.rope_scaling", "messages[2].content"). Place and document live as long as the cJSON tree
 * that the caller owns. Getters come in two forms: required, and `_or` with a value used when the key is
 * absent or null. A present value of the wrong type is an error in both, QVL_BAD_INPUT. */
#ifndef QVL_BASE_JSON_H
#define QVL_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "qvl/status.h"

#define QVL_JSON_MAX_DEPTH 200

/* Parse `size` bytes. Refused with file, line and column: syntax errors, text after the value, nesting beyond
 * QVL_JSON_MAX_DEPTH, zero bytes and \u0000 (C strings cannot hold them); refused by name: a key that occurs
 * twice in an object. `name` stands for the file in messages. *root is owned (cJSON_Delete). */
QVL_MUST_USE enum qvl_status qvl_json_parse(const char *text, size_t size, const char *name, cJSON **root,
                                            struct qvl_error *error);
/* Parse a file of at most 256 MiB. */
QVL_MUST_USE enum qvl_status qvl_json_read(const char *path, cJSON **root, struct qvl_error *error);

#define QVL_JSON_PATH_BYTES 192

struct qvl_json {
    const cJSON *node; /* borrowed */
    const char *file;  /* borrowed, for messages */
    char path[QVL_JSON_PATH_BYTES];
};

struct qvl_json qvl_json_at_root(const cJSON *root, const char *file);

/* Record QVL_BAD_INPUT as "FILE: PATH.KEY: message" (key may be NULL: the place itself) and return it. */
#define qvl_json_fail(at, key, error, ...)                                                                   \
    qvl_status_after(qvl_json_record(at, key, error, __VA_ARGS__), QVL_BAD_INPUT)
int qvl_json_record(const struct qvl_json *at, const char *key, struct qvl_error *error, const char *format,
                    ...) QVL_PRINTF(4, 5);

/* The place is an object and has the key with a value other than null. */
bool qvl_json_has(const struct qvl_json *at, const char *key);

/* The member of an object, of any type. */
QVL_MUST_USE enum qvl_status qvl_json_member(const struct qvl_json *at, const char *key,
                                             struct qvl_json *child, struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_json_object(const struct qvl_json *at, const char *key,
                                             struct qvl_json *child, struct qvl_error *error);
/* An array and its length; its elements through qvl_json_item. */
QVL_MUST_USE enum qvl_status qvl_json_array(const struct qvl_json *at, const char *key,
                                            struct qvl_json *child, int64_t *count, struct qvl_error *error);
/* Element `index` of the array at `array`; 0 <= index < count. Linear in index: walk long arrays with
 * cJSON_ArrayForEach and qvl_json_child. */
struct qvl_json qvl_json_item(const struct qvl_json *array, int64_t index);
/* The place of `node`, which is element `index` of the array at `array`. */
struct qvl_json qvl_json_child(const struct qvl_json *array, const cJSON *node, int64_t index);

/* A number without a fraction, within +-2^53. `key` may be NULL in these: the place itself is the value. */
QVL_MUST_USE enum qvl_status qvl_json_int64(const struct qvl_json *at, const char *key, int64_t *value,
                                            struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_json_int64_or(const struct qvl_json *at, const char *key, int64_t otherwise,
                                               int64_t *value, struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_json_double(const struct qvl_json *at, const char *key, double *value,
                                             struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_json_double_or(const struct qvl_json *at, const char *key, double otherwise,
                                                double *value, struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_json_bool(const struct qvl_json *at, const char *key, bool *value,
                                           struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_json_bool_or(const struct qvl_json *at, const char *key, bool otherwise,
                                              bool *value, struct qvl_error *error);
/* *value is borrowed from the tree. */
QVL_MUST_USE enum qvl_status qvl_json_string(const struct qvl_json *at, const char *key, const char **value,
                                             struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_json_string_or(const struct qvl_json *at, const char *key,
                                                const char *otherwise, const char **value,
                                                struct qvl_error *error);
/* An array of integers with at most `capacity` elements. */
QVL_MUST_USE enum qvl_status qvl_json_int64s(const struct qvl_json *at, const char *key, int64_t capacity,
                                             int64_t *values, int64_t *count, struct qvl_error *error);

#endif
