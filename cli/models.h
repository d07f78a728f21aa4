/* Model configurations by name: the compiled-in tables, or a config.json. */
#ifndef QVL_CLI_MODELS_H
#define QVL_CLI_MODELS_H

#include "datasets/model_tables.h"
#include "model/config.h"

/* What a model table says about itself; texts are owned. */
struct qvl_model_facts {
    char *title;
    char *family;
    char *source;
    bool verified;    /* every number was seen in a released file */
    char *unverified; /* the keys that were not, with commas; "" when there are none */
};

/* Read one table. */
QVL_MUST_USE enum qvl_status qvl_model_facts_read(const struct qvl_model_table *table,
                                                  struct qvl_model_facts *facts, struct qvl_error *error);
void qvl_model_facts_free(struct qvl_model_facts *facts); /* NULL is accepted */

/* The table named "qwen3-vl-8b", or by its size alone, "8B" (then of Qwen3-VL); upper and lower case are the
 * same. QVL_USAGE names the known ones. */
QVL_MUST_USE enum qvl_status qvl_model_find(const char *name, const struct qvl_model_table **table,
                                            struct qvl_error *error);

/* A config.json or the folder it is in; *name is that of the folder. */
QVL_MUST_USE enum qvl_status qvl_model_config_at(const char *path, struct qvl_model_config *config,
                                                 char *name, size_t size, struct qvl_error *error);

/* True for the six released Qwen3-VL sizes. */
bool qvl_model_is_released_qwen3(const struct qvl_model_table *table);

#endif
