/* Parts of config.json reading that config.c, vision_config.c and generation_config.c share. */
#ifndef QVL_MODEL_CONFIG_PARTS_H
#define QVL_MODEL_CONFIG_PARTS_H

#include "model/config.h"

/* A whole number from low to high; `_or`: a value for an absent key. */
QVL_MUST_USE enum qvl_status qvl_config_size(const struct qvl_json *at, const char *key, int64_t low,
                                             int64_t high, int64_t *value, struct qvl_error *error);
QVL_MUST_USE enum qvl_status qvl_config_size_or(const struct qvl_json *at, const char *key, int64_t otherwise,
                                                int64_t low, int64_t high, int64_t *value,
                                                struct qvl_error *error);
/* A number above 0. */
QVL_MUST_USE enum qvl_status qvl_config_positive(const struct qvl_json *at, const char *key, double *value,
                                                 struct qvl_error *error);
/* Only one value of the string is implemented; absent counts as that value. */
QVL_MUST_USE enum qvl_status qvl_config_expect_string(const struct qvl_json *at, const char *key,
                                                      const char *expected, struct qvl_error *error);
/* One token id or a list of at most QVL_MAX_EOS; absent gives none. */
QVL_MUST_USE enum qvl_status qvl_config_tokens(const struct qvl_json *at, const char *key, int64_t *tokens,
                                               int64_t *count, struct qvl_error *error);

QVL_MUST_USE enum qvl_status qvl_vision_config_read(const struct qvl_json *at,
                                                    enum qvl_architecture architecture,
                                                    struct qvl_vision_config *vision,
                                                    struct qvl_error *error);

#endif
