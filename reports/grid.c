#include "reports/grid.h"

#include <stdlib.h>
#include <string.h>

#include "reports/markup.h"

enum qvl_status qvl_grid_create(int64_t rows, int64_t columns, struct qvl_grid *grid, struct qvl_error *error)
{
    *grid = (struct qvl_grid){.rows = rows, .columns = columns};
    grid->cells = calloc((size_t)(rows * columns), sizeof *grid->cells);
    grid->right = calloc((size_t)columns, sizeof *grid->right);
    if (grid->cells && grid->right)
        return QVL_OK;
    free(grid->cells);
    free(grid->right);
    *grid = (struct qvl_grid){0};
    return qvl_fail(error, QVL_NO_MEMORY, "no memory for a table of %lld rows", (long long)rows);
}

void qvl_grid_free(struct qvl_grid *grid)
{
    if (!grid)
        return;
    for (int64_t i = 0; i < grid->rows * grid->columns; i++)
        free(grid->cells[i]);
    free(grid->cells);
    free(grid->right);
    *grid = (struct qvl_grid){0};
}

enum qvl_status qvl_grid_set(struct qvl_grid *grid, int64_t row, int64_t column, struct qvl_text *text,
                             struct qvl_error *error)
{
    char **cell = &grid->cells[row * grid->columns + column];
    size_t size;
    free(*cell);
    *cell = NULL;
    return qvl_text_take(text, cell, &size, error);
}

static const char *cell_at(const struct qvl_grid *grid, int64_t row, int64_t column)
{
    const char *cell = grid->cells[row * grid->columns + column];
    return cell ? cell : "";
}

/* End of the heading line that starts at `line`: as many words as fit into `width`, at least one. */
static const char *line_end(const char *line, size_t width)
{
    const char *end = line + strcspn(line, " ");
    while (*end == ' ') {
        const char *next = end + 1 + strcspn(end + 1, " ");
        if ((size_t)(next - line) > width)
            break;
        end = next;
    }
    return end;
}

static size_t heading_lines(const char *heading, size_t width)
{
    size_t lines = 0;
    while (*heading) {
        heading = line_end(heading, width);
        heading += *heading == ' ';
        lines++;
    }
    return lines;
}

static size_t longest_word(const char *text)
{
    size_t longest = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        longest = length > longest ? length : longest;
        text += length;
        text += *text == ' ';
    }
    return longest;
}

/* Headings are broken to the width of the cells below, but not narrower than this. */
#define HEADING_WIDTH 10

/* The rule above a last column of long text ends here. */
#define LAST_RULE 40

struct width {
    size_t column; /* of the whole column */
    size_t wrap;   /* at which its heading is broken */
};

static struct width column_width(const struct qvl_grid *grid, int64_t column)
{
    const char *heading = cell_at(grid, 0, column);
    struct width width = {0, longest_word(heading)};
    for (int64_t row = 1; row < grid->rows; row++) {
        size_t cell = qvl_text_width(cell_at(grid, row, column));
        width.column = cell > width.column ? cell : width.column;
    }
    width.wrap = width.column > width.wrap ? width.column : width.wrap;
    width.wrap = HEADING_WIDTH > width.wrap ? HEADING_WIDTH : width.wrap;
    for (const char *line = heading; *line; line += *line == ' ') {
        const char *end = line_end(line, width.wrap);
        width.column = (size_t)(end - line) > width.column ? (size_t)(end - line) : width.column;
        line = end;
    }
    return width;
}

/* One padded piece. */
static void put_padded(struct qvl_text *out, const char *piece, size_t bytes, size_t columns, size_t width,
                       bool right)
{
    size_t padding = width > columns ? width - columns : 0;
    if (right)
        qvl_text_repeat(out, ' ', padding);
    qvl_text_add(out, piece, bytes);
    qvl_text_repeat(out, ' ', right ? 2 : padding + 2);
}

/* End a line without blanks before its end. */
static void end_line(struct qvl_text *out)
{
    while (out->size > 0 && out->data[out->size - 1] == ' ')
        out->size--;
    qvl_text_add(out, "\n", 1);
}

/* Headings are bottom-aligned. */
static void put_heading(const struct qvl_grid *grid, const struct width *widths, struct qvl_text *out)
{
    size_t height = 1;
    for (int64_t c = 0; c < grid->columns; c++) {
        size_t lines = heading_lines(cell_at(grid, 0, c), widths[c].wrap);
        height = lines > height ? lines : height;
    }
    for (size_t row = 0; row < height; row++) {
        for (int64_t c = 0; c < grid->columns; c++) {
            const char *line = cell_at(grid, 0, c);
            size_t above = height - heading_lines(line, widths[c].wrap);
            size_t bytes = 0;
            if (row >= above) {
                for (size_t skip = above; skip < row; skip++) {
                    line = line_end(line, widths[c].wrap);
                    line += *line == ' ';
                }
                bytes = (size_t)(line_end(line, widths[c].wrap) - line);
            }
            put_padded(out, line, bytes, bytes, widths[c].column, grid->right[c]);
        }
        end_line(out);
    }
}

void qvl_grid_plain(const struct qvl_grid *grid, struct qvl_text *out)
{
    struct width *widths = calloc((size_t)grid->columns, sizeof *widths);
    if (!widths) {
        out->failed = true;
        return;
    }
    for (int64_t c = 0; c < grid->columns; c++)
        widths[c] = column_width(grid, c);
    put_heading(grid, widths, out);
    for (int64_t c = 0; c < grid->columns; c++) {
        bool long_text = c + 1 == grid->columns && !grid->right[c] && widths[c].column > LAST_RULE;
        qvl_text_repeat(out, '-', long_text ? LAST_RULE : widths[c].column);
        qvl_text_add(out, "  ", 2);
    }
    end_line(out);
    for (int64_t row = 1; row < grid->rows; row++) {
        for (int64_t c = 0; c < grid->columns; c++) {
            const char *cell = cell_at(grid, row, c);
            put_padded(out, cell, strlen(cell), qvl_text_width(cell), widths[c].column, grid->right[c]);
        }
        end_line(out);
    }
    free(widths);
}

static void put_markdown_cell(struct qvl_text *out, const char *cell)
{
    qvl_text_add(out, " ", 1);
    for (; *cell; cell++) {
        if (*cell == '|' || *cell == '\\' || *cell == '`' || *cell == '<' || *cell == '*')
            qvl_text_add(out, "\\", 1);
        qvl_text_add(out, *cell == '\n' || *cell == '\r' ? " " : cell, 1);
    }
    qvl_text_add(out, " |", 2);
}

void qvl_grid_markdown(const struct qvl_grid *grid, struct qvl_text *out)
{
    for (int64_t row = 0; row < grid->rows; row++) {
        qvl_text_add(out, "|", 1);
        for (int64_t c = 0; c < grid->columns; c++)
            put_markdown_cell(out, cell_at(grid, row, c));
        qvl_text_add(out, "\n", 1);
        if (row > 0)
            continue;
        qvl_text_add(out, "|", 1);
        for (int64_t c = 0; c < grid->columns; c++)
            qvl_text_print(out, "%s", grid->right[c] ? " ---: |" : " --- |");
        qvl_text_add(out, "\n", 1);
    }
}

void qvl_grid_html(const struct qvl_grid *grid, struct qvl_text *out)
{
    qvl_text_print(out, "<div class=\"scroll tall\" tabindex=\"0\"><table>\n");
    for (int64_t row = 0; row < grid->rows; row++) {
        qvl_text_print(out, row == 0 ? "<thead><tr>" : row == 1 ? "<tbody><tr>" : "<tr>");
        for (int64_t column = 0; column < grid->columns; column++) {
            const bool heads = row == 0 || column == 0;
            qvl_text_print(out, heads ? "<th%s>" : "<td%s>",
                           column > 0 && grid->right[column] ? " class=\"n\"" : "");
            qvl_markup_text(out, cell_at(grid, row, column));
            qvl_text_print(out, heads ? "</th>" : "</td>");
        }
        qvl_text_print(out, row == 0 ? "</tr></thead>\n" : "</tr>\n");
    }
    qvl_text_print(out, "%s</table></div>\n", grid->rows > 1 ? "</tbody>" : "");
}
