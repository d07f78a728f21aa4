/* A table of text cells and its two renderings. Row 0 is the heading. */
#ifndef QVL_REPORTS_GRID_H
#define QVL_REPORTS_GRID_H

#include <stdint.h>

#include "reports/text.h"

struct qvl_grid {
    int64_t rows, columns; /* rows includes the heading */
    char **cells;          /* owned, [rows][columns]; NULL is an empty cell */
    bool *right;           /* owned, [columns]: numbers, aligned right */
};

QVL_MUST_USE enum qvl_status qvl_grid_create(int64_t rows, int64_t columns, struct qvl_grid *grid,
                                             struct qvl_error *error);
void qvl_grid_free(struct qvl_grid *grid); /* NULL is accepted */

/* Give a cell the content of `text`, which is emptied. */
QVL_MUST_USE enum qvl_status qvl_grid_set(struct qvl_grid *grid, int64_t row, int64_t column,
                                          struct qvl_text *text, struct qvl_error *error);

/* Aligned with spaces; headings are broken at spaces to the width of their column. */
void qvl_grid_plain(const struct qvl_grid *grid, struct qvl_text *out);

/* A Markdown table (GitHub flavour); bars and line breaks in cells are escaped. */
void qvl_grid_markdown(const struct qvl_grid *grid, struct qvl_text *out);

/* A table that scrolls in both directions inside the page, its heading and first column staying in view. */
void qvl_grid_html(const struct qvl_grid *grid, struct qvl_text *out);

#endif
