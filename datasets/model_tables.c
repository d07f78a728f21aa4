#include "datasets/model_tables.h"

#include <string.h>

int64_t qvl_model_table_count(void)
{
    return qvl_model_tables_count;
}

const struct qvl_model_table *qvl_model_table_get(int64_t index)
{
    return index >= 0 && index < qvl_model_tables_count ? &qvl_model_tables[index] : NULL;
}

const struct qvl_model_table *qvl_model_table_find(const char *name)
{
    for (int64_t i = 0; i < qvl_model_tables_count; i++)
        if (strcmp(qvl_model_tables[i].name, name) == 0)
            return &qvl_model_tables[i];
    return NULL;
}
