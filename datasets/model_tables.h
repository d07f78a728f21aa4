/* The model tables of datasets/models, compiled in: configurations of the released sizes and older siblings.
 * Each is a JSON object: name, title, family, source, verified (every number of `config` was seen in a
 * released file), unverified (keys that were not), config (a config.json, readable by
 * qvl_model_config_parse). */
#ifndef QVL_DATASETS_MODEL_TABLES_H
#define QVL_DATASETS_MODEL_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct qvl_model_table {
    const char *name; /* "qwen3-vl-2b", ... */
    const char *json; /* zero-terminated */
    size_t size;      /* bytes of json without the zero */
};

int64_t qvl_model_table_count(void);
const struct qvl_model_table *qvl_model_table_get(int64_t index);     /* NULL when out of range */
const struct qvl_model_table *qvl_model_table_find(const char *name); /* NULL when there is none */

/* Generated from models/NAME.json, smallest number first. */
extern const struct qvl_model_table qvl_model_tables[];
extern const int64_t qvl_model_tables_count;

#endif
