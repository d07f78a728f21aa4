#include "datasets/published.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "datasets/embed.h"

QVL_EMBED(qvl_published_fits, "datasets/hardware/published/fits.json");
QVL_EMBED(qvl_published_run_table, "datasets/hardware/published/runs.txt");

/* X-macro over the devices that have tables. */
#define DEVICES(X)                                                                                           \
    X(a100_sxm)                                                                                              \
    X(h100_sxm) X(h200_sxm) X(b200_sxm) X(b300_sxm) X(gb200) X(gb300) X(l40s) X(rtx_pro_6000_server) X(b60)

#define EMBED(name) QVL_EMBED(qvl_published_##name, "datasets/hardware/published/" #name ".txt");
DEVICES(EMBED)
#undef EMBED

static const struct {
    const char *name, *text;
} files[] = {
#define ENTRY(name) {#name, qvl_published_##name},
    DEVICES(ENTRY)
#undef ENTRY
};

#define FILES ((int64_t)(sizeof files / sizeof *files))

static const char *const op_names[QVL_PUBLISHED_OPS] = {"gemm",   "prefill", "vision",
                                                        "decode", "moe",     "all_reduce"};
static const int op_keys[QVL_PUBLISHED_OPS] = {2, 3, 3, 3, 4, 1};
static const char *const type_names[QVL_PUBLISHED_TYPES] = {"bf16", "fp8", "fp8_block"};
static const char *const fit_names[QVL_FIT_COUNT] = {"flops", "bandwidth", "fixed", "norm",
                                                     "fill",  "waves",     "depth", "cache",
                                                     "block", "key",       "skew",  "shuffle"};

const char *qvl_published_op_name(enum qvl_published_op op)
{
    return (unsigned)op < QVL_PUBLISHED_OPS ? op_names[op] : "?";
}

const char *qvl_published_type_name(enum qvl_published_type type)
{
    return (unsigned)type < QVL_PUBLISHED_TYPES ? type_names[type] : "?";
}

int qvl_published_keys(enum qvl_published_op op)
{
    return (unsigned)op < QVL_PUBLISHED_OPS ? op_keys[op] : 0;
}

const char *qvl_published_name(int64_t index)
{
    return index >= 0 && index < FILES ? files[index].name : NULL;
}

const char *qvl_published_runs(void)
{
    return qvl_published_run_table;
}

/* ---- device files: lines "table OP TYPE SOURCE", "axis A...", "row KEY... : MICROSECONDS..." ---- */

struct reader {
    const char *at; /* next character */
    const char *device;
    int64_t line;
    struct qvl_published_device *into;
    struct qvl_published_table *table; /* of the lines that follow */
    enum qvl_published_op op;
};

static enum qvl_status wrong(const struct reader *reader, const char *what, struct qvl_error *error)
{
    return qvl_fail(error, QVL_BAD_INPUT, "published timings of %s, line %lld: %s", reader->device,
                    (long long)reader->line, what);
}

/* The next word of the line into `word`; false at its end. */
static bool next_word(struct reader *reader, char word[32])
{
    size_t length = 0;
    while (*reader->at == ' ')
        reader->at++;
    while (length < 31 && reader->at[length] && !strchr(" \n", reader->at[length]))
        length++;
    memcpy(word, reader->at, length);
    word[length] = '\0';
    reader->at += length;
    return length > 0;
}

/* Words left in the line. */
static int64_t words_left(const struct reader *reader)
{
    int64_t count = 0;
    for (const char *c = reader->at; *c && *c != '\n'; c++)
        count += *c != ' ' && (c[1] == ' ' || c[1] == '\n' || !c[1]);
    return count;
}

static int index_of(const char *word, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(word, names[i]) == 0)
            return i;
    return -1;
}

static enum qvl_status read_table_line(struct reader *reader, struct qvl_error *error)
{
    char op[32], type[32], source[32];
    if (!next_word(reader, op) || !next_word(reader, type) || !next_word(reader, source))
        return wrong(reader, "a table needs operation, type and source", error);
    const int op_index = index_of(op, op_names, QVL_PUBLISHED_OPS);
    const int type_index = index_of(type, type_names, QVL_PUBLISHED_TYPES);
    if (op_index < 0 || type_index < 0 || reader->into->tables[op_index][type_index])
        return wrong(reader, "unknown or repeated table", error);
    reader->table = calloc(1, sizeof *reader->table);
    if (!reader->table)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for published timings");
    reader->into->tables[op_index][type_index] = reader->table;
    reader->op = (enum qvl_published_op)op_index;
    reader->table->left_out_error = NAN;
    snprintf(reader->table->source, sizeof reader->table->source, "%s", source);
    return QVL_OK;
}

static enum qvl_status read_axis_line(struct reader *reader, struct qvl_error *error)
{
    struct qvl_published_table *table = reader->table;
    char word[32];
    if (!table || table->axis)
        return wrong(reader, "an axis belongs behind a table line", error);
    table->axis = malloc((size_t)words_left(reader) * sizeof *table->axis + 1);
    if (!table->axis)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for published timings");
    while (next_word(reader, word)) {
        table->axis[table->axis_count] = strtod(word, NULL);
        if (table->axis_count > 0 && !(table->axis[table->axis_count] > table->axis[table->axis_count - 1]))
            return wrong(reader, "the axis does not ascend", error);
        table->axis_count++;
    }
    return QVL_OK;
}

static enum qvl_status read_row_line(struct reader *reader, struct qvl_error *error)
{
    struct qvl_published_table *table = reader->table;
    char word[32];
    if (!table || !table->axis)
        return wrong(reader, "a row belongs behind an axis", error);
    struct qvl_published_row *grown = realloc(table->rows, (size_t)(table->row_count + 1) * sizeof *grown);
    if (!grown)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for published timings");
    table->rows = grown;
    struct qvl_published_row *row = &table->rows[table->row_count];
    *row = (struct qvl_published_row){.seconds = calloc((size_t)table->axis_count + 1, sizeof(double))};
    if (!row->seconds)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for published timings");
    table->row_count++;
    for (int key = 0; key < op_keys[reader->op]; key++)
        if (next_word(reader, word))
            row->key[key] = strtod(word, NULL);
    if (!next_word(reader, word) || strcmp(word, ":") != 0 || words_left(reader) != table->axis_count)
        return wrong(reader, "a row has its key, a colon and a value for each point of the axis", error);
    for (int64_t i = 0; next_word(reader, word); i++) {
        const bool hot = word[strlen(word) - 1] == 'h';
        table->hot += hot;
        row->seconds[i] = hot || strcmp(word, "-") == 0 ? NAN : strtod(word, NULL) * 1e-6;
    }
    return QVL_OK;
}

static enum qvl_status read_device_file(struct reader *reader, struct qvl_error *error)
{
    char word[32];
    while (*reader->at) {
        reader->line++;
        if (next_word(reader, word) && word[0] != '#') {
            if (strcmp(word, "table") == 0)
                QVL_TRY(read_table_line(reader, error));
            else if (strcmp(word, "axis") == 0)
                QVL_TRY(read_axis_line(reader, error));
            else if (strcmp(word, "row") == 0)
                QVL_TRY(read_row_line(reader, error));
            else
                return wrong(reader, "unknown kind of line", error);
        }
        reader->at += strcspn(reader->at, "\n");
        reader->at += *reader->at == '\n';
    }
    return QVL_OK;
}

/* ---- fits.json ---- */

static enum qvl_status read_fit(const struct qvl_json *at, struct qvl_published_table *table,
                                struct qvl_error *error)
{
    struct qvl_json constants;
    QVL_TRY(qvl_json_object(at, "constants", &constants, error));
    for (int i = 0; i < QVL_FIT_COUNT; i++)
        QVL_TRY(qvl_json_double_or(&constants, fit_names[i], 0, &table->fit[i], error));
    QVL_TRY(qvl_json_double(at, "median_error", &table->median_error, error));
    QVL_TRY(qvl_json_double(at, "p90_error", &table->p90_error, error));
    QVL_TRY(qvl_json_double(at, "datasheet_error", &table->datasheet_error, error));
    QVL_TRY(qvl_json_double_or(at, "left_out_error", NAN, &table->left_out_error, error));
    table->fitted = true;
    return QVL_OK;
}

static enum qvl_status read_fits(const cJSON *root, struct qvl_published_device *device,
                                 struct qvl_error *error)
{
    const struct qvl_json at = qvl_json_at_root(root, "the fits of published timings");
    struct qvl_json devices, own, ops, types, fit;
    QVL_TRY(qvl_json_object(&at, "devices", &devices, error));
    QVL_TRY(qvl_json_object(&devices, device->name, &own, error));
    QVL_TRY(qvl_json_double(&own, "flops", &device->flops[QVL_PUBLISHED_BF16], error));
    QVL_TRY(qvl_json_double(&own, "fp8", &device->flops[QVL_PUBLISHED_FP8], error));
    device->flops[QVL_PUBLISHED_FP8_BLOCK] = device->flops[QVL_PUBLISHED_FP8];
    QVL_TRY(qvl_json_double(&own, "bandwidth", &device->bandwidth, error));
    QVL_TRY(qvl_json_double(&own, "sm", &device->processors, error));
    QVL_TRY(qvl_json_double(&own, "l2", &device->cache, error));
    QVL_TRY(qvl_json_object(&own, "tables", &ops, error));
    for (int op = 0; op < QVL_PUBLISHED_ALL_REDUCE; op++) {
        if (!qvl_json_has(&ops, op_names[op]))
            continue;
        QVL_TRY(qvl_json_object(&ops, op_names[op], &types, error));
        for (int type = 0; type < QVL_PUBLISHED_TYPES; type++) {
            if (!device->tables[op][type] || !qvl_json_has(&types, type_names[type]))
                continue;
            QVL_TRY(qvl_json_object(&types, type_names[type], &fit, error));
            QVL_TRY(read_fit(&fit, device->tables[op][type], error));
        }
    }
    return QVL_OK;
}

enum qvl_status qvl_published_load(const char *name, struct qvl_published_device **device,
                                   struct qvl_error *error)
{
    int64_t index = 0;
    cJSON *root = NULL;
    *device = NULL;
    while (index < FILES && strcmp(files[index].name, name) != 0)
        index++;
    if (index == FILES)
        return qvl_fail(error, QVL_USAGE, "there are no published timings of \"%s\"", name);
    struct qvl_published_device *loaded = calloc(1, sizeof *loaded);
    if (!loaded)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for published timings");
    snprintf(loaded->name, sizeof loaded->name, "%s", files[index].name);
    struct reader reader = {.at = files[index].text, .device = name, .into = loaded};
    enum qvl_status status = read_device_file(&reader, error);
    if (status == QVL_OK)
        status = qvl_json_parse(qvl_published_fits, strlen(qvl_published_fits), "fits.json", &root, error);
    if (status == QVL_OK)
        status = read_fits(root, loaded, error);
    cJSON_Delete(root);
    if (status != QVL_OK) {
        qvl_published_free(loaded);
        return status;
    }
    *device = loaded;
    return QVL_OK;
}

static void free_table(struct qvl_published_table *table)
{
    for (int64_t row = 0; table && row < table->row_count; row++)
        free(table->rows[row].seconds);
    if (table) {
        free(table->rows);
        free(table->axis);
    }
    free(table);
}

void qvl_published_free(struct qvl_published_device *device)
{
    for (int op = 0; device && op < QVL_PUBLISHED_OPS; op++)
        for (int type = 0; type < QVL_PUBLISHED_TYPES; type++)
            free_table(device->tables[op][type]);
    free(device);
}
