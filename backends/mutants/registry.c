#include "registry.h"

#include <string.h>

static const struct mutant_row rows[] = {
#define ROW(id, slug, number, where, what, reason)                                                           \
    {{.name = slug, .section = number, .fault = what, .entry = where, .excuse = reason}, QVL_FAULT_##id},
    QVL_KERNEL_FAULTS(ROW)
#undef ROW
};

enum { ROWS = sizeof rows / sizeof *rows };

const struct qvl_mutant *qvl_mutant_at(int64_t index)
{
    return index >= 0 && index < ROWS ? &rows[index].mutant : NULL;
}

const struct mutant_row *mutant_row_named(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].mutant.name, name))
            return &rows[i];
    return NULL;
}
