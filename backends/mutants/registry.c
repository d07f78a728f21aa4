#include "registry.h"

#include <string.h>

static const struct mutant_row kernel_rows[] = {
#define ROW(id, slug, number, where, what, reason)                                                           \
    {{.name = slug, .section = number, .fault = what, .entry = where, .excuse = reason},                     \
     QVL_FAULT_##id,                                                                                         \
     NULL},
    QVL_KERNEL_FAULTS(ROW)
#undef ROW
};

/* Tables of rows; a section of the museum may have rows in each. */
static const struct {
    const struct mutant_row *rows;
    int64_t count;
} tables[] = {
    {kernel_rows, sizeof kernel_rows / sizeof *kernel_rows},
};

enum { TABLES = sizeof tables / sizeof *tables, SECTIONS = 15 };

const struct qvl_mutant *qvl_mutant_at(int64_t index)
{
    for (int section = 1; section <= SECTIONS; section++)
        for (size_t t = 0; t < TABLES; t++)
            for (int64_t i = 0; i < tables[t].count; i++)
                if (tables[t].rows[i].mutant.section == section && index-- == 0)
                    return &tables[t].rows[i].mutant;
    return NULL;
}

const struct mutant_row *mutant_row_named(const char *name)
{
    for (size_t t = 0; t < TABLES; t++)
        for (int64_t i = 0; i < tables[t].count; i++)
            if (!strcmp(tables[t].rows[i].mutant.name, name))
                return &tables[t].rows[i];
    return NULL;
}
