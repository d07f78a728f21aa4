/* Records as cJSON trees; the layout is docs/REPORT.md "A record". */
#ifndef QVL_REPORTS_RECORD_JSON_H
#define QVL_REPORTS_RECORD_JSON_H

#include <cjson/cJSON.h>

#include "qvl/record.h"

/* A string node; ill-formed UTF-8 becomes U+FFFD. NULL when there is no memory. */
cJSON *qvl_json_text(const char *text);
/* A number node that prints every digit of an int64_t. NULL when there is no memory. */
cJSON *qvl_json_integer(int64_t value);
/* Add `item` under `key`; false (and `item` freed) when there is no memory or `item` is NULL. */
bool qvl_json_put(cJSON *object, const char *key, cJSON *item);

/* The tree of a record, owned (cJSON_Delete); NULL when there is no memory. */
cJSON *qvl_record_json(const struct qvl_record *record);

#endif
