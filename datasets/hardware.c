#include "datasets/hardware.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "datasets/embed.h"

QVL_EMBED(qvl_hardware_devices, "datasets/hardware/devices.json");

/* What a device reaches where nobody stated it: facts of several vendors' parts, docs/COST.md. */
#define DEFAULT_FLOPS 0.70
#define DEFAULT_BANDWIDTH 0.85
#define DEFAULT_LAUNCH 3e-6

static const char *const rate_names[QVL_RATE_COUNT] = {"fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4"};

const char *qvl_rate_name(enum qvl_rate rate)
{
    return (unsigned)rate < QVL_RATE_COUNT ? rate_names[rate] : "?";
}

static enum qvl_status read_text(const struct qvl_json *row, const char *key, const char *otherwise,
                                 size_t size, char *text, struct qvl_error *error)
{
    const char *value;
    QVL_TRY(qvl_json_string_or(row, key, otherwise, &value, error));
    if (!value)
        return qvl_json_fail(row, key, error, "is missing");
    if (strlen(value) >= size)
        return qvl_json_fail(row, key, error, "has more than %zu characters", size - 1);
    snprintf(text, size, "%s", value);
    return QVL_OK;
}

/* A figure that is positive where it stands; `otherwise` 0 and `needed` make its absence an error. */
static enum qvl_status read_figure(const struct qvl_json *row, const char *key, bool needed, double otherwise,
                                   double *figure, struct qvl_error *error)
{
    QVL_TRY(qvl_json_double_or(row, key, otherwise, figure, error));
    if (qvl_json_has(row, key) ? !(*figure > 0) : needed)
        return qvl_json_fail(row, key, error, "must be a positive number");
    return QVL_OK;
}

static enum qvl_status read_rates(const struct qvl_json *row, struct qvl_hardware *hardware,
                                  struct qvl_error *error)
{
    struct qvl_json rates;
    bool any = false;
    QVL_TRY(qvl_json_object(row, "flops", &rates, error));
    for (int rate = 0; rate < QVL_RATE_COUNT; rate++) {
        QVL_TRY(read_figure(&rates, rate_names[rate], false, 0, &hardware->flops[rate], error));
        any = any || hardware->flops[rate] > 0;
    }
    for (const cJSON *node = rates.node->child; node; node = node->next) {
        bool known = false;
        for (int rate = 0; rate < QVL_RATE_COUNT; rate++)
            known = known || strcmp(node->string, rate_names[rate]) == 0;
        if (!known)
            return qvl_json_fail(&rates, node->string, error,
                                 "is no type; known: fp32, tf32, bf16, fp16, fp8, int8, fp4");
    }
    return any ? QVL_OK : qvl_json_fail(row, "flops", error, "holds no rate");
}

static enum qvl_status read_unverified(const struct qvl_json *row, struct qvl_hardware *hardware,
                                       struct qvl_error *error)
{
    struct qvl_json names;
    int64_t count = 0;
    if (!qvl_json_has(row, "unverified"))
        return QVL_OK;
    QVL_TRY(qvl_json_array(row, "unverified", &names, &count, error));
    for (int64_t i = 0; i < count; i++) {
        const struct qvl_json item = qvl_json_item(&names, i);
        const size_t used = strlen(hardware->unverified);
        const char *name;
        QVL_TRY(qvl_json_string(&item, NULL, &name, error));
        if ((size_t)snprintf(hardware->unverified + used, sizeof hardware->unverified - used, "%s%s",
                             used ? ", " : "", name) >= sizeof hardware->unverified - used)
            return qvl_json_fail(row, "unverified", error, "is too long");
    }
    return QVL_OK;
}

static enum qvl_status read_row(const struct qvl_json *row, struct qvl_hardware *hardware,
                                struct qvl_error *error)
{
    *hardware = (struct qvl_hardware){0};
    QVL_TRY(read_text(row, "name", NULL, sizeof hardware->name, hardware->name, error));
    QVL_TRY(read_text(row, "title", hardware->name, sizeof hardware->title, hardware->title, error));
    QVL_TRY(read_text(row, "kind", "gpu", sizeof hardware->kind, hardware->kind, error));
    QVL_TRY(read_text(row, "source", "user", sizeof hardware->source, hardware->source, error));
    QVL_TRY(read_text(row, "published", "", sizeof hardware->published, hardware->published, error));
    QVL_TRY(read_rates(row, hardware, error));
    QVL_TRY(read_unverified(row, hardware, error));
    QVL_TRY(read_figure(row, "memory", false, 0, &hardware->memory, error));
    QVL_TRY(read_figure(row, "bandwidth", true, 0, &hardware->bandwidth, error));
    QVL_TRY(read_figure(row, "power", false, 0, &hardware->power, error));
    QVL_TRY(read_figure(row, "link", false, 0, &hardware->link, error));
    hardware->attainable_measured = qvl_json_has(row, "attainable_flops");
    QVL_TRY(read_figure(row, "attainable_flops", false, DEFAULT_FLOPS, &hardware->attainable_flops, error));
    QVL_TRY(read_figure(row, "attainable_bandwidth", false, DEFAULT_BANDWIDTH,
                        &hardware->attainable_bandwidth, error));
    QVL_TRY(read_figure(row, "launch", false, DEFAULT_LAUNCH, &hardware->launch, error));
    if (hardware->attainable_flops > 1 || hardware->attainable_bandwidth > 1)
        return qvl_json_fail(row, NULL, error, "an attainable fraction is above 1");
    return QVL_OK;
}

static enum qvl_status add_row(struct qvl_hardware_table *table, const struct qvl_hardware *row,
                               struct qvl_error *error)
{
    for (int64_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].name, row->name) == 0) {
            table->rows[i] = *row;
            return QVL_OK;
        }
    struct qvl_hardware *grown = realloc(table->rows, (size_t)(table->count + 1) * sizeof *grown);
    if (!grown)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a hardware row");
    table->rows = grown;
    table->rows[table->count++] = *row;
    return QVL_OK;
}

static enum qvl_status add_rows(struct qvl_hardware_table *table, const cJSON *root, const char *file,
                                struct qvl_error *error)
{
    const struct qvl_json at = qvl_json_at_root(root, file);
    struct qvl_json devices;
    int64_t count = 0;
    QVL_TRY(qvl_json_array(&at, "devices", &devices, &count, error));
    for (int64_t i = 0; i < count; i++) {
        const struct qvl_json item = qvl_json_item(&devices, i);
        struct qvl_hardware row;
        QVL_TRY(read_row(&item, &row, error));
        QVL_TRY(add_row(table, &row, error));
    }
    return QVL_OK;
}

enum qvl_status qvl_hardware_load(const char *path, struct qvl_hardware_table *table, struct qvl_error *error)
{
    static const char own[] = "the built-in hardware table";
    cJSON *root = NULL;
    *table = (struct qvl_hardware_table){0};
    enum qvl_status status =
        qvl_json_parse(qvl_hardware_devices, strlen(qvl_hardware_devices), own, &root, error);
    if (status == QVL_OK)
        status = add_rows(table, root, own, error);
    cJSON_Delete(root);
    root = NULL;
    if (status == QVL_OK && path)
        status = qvl_json_read(path, &root, error);
    if (status == QVL_OK && path)
        status = add_rows(table, root, path, error);
    cJSON_Delete(root);
    if (status != QVL_OK)
        qvl_hardware_free(table);
    return status;
}

void qvl_hardware_free(struct qvl_hardware_table *table)
{
    free(table->rows);
    *table = (struct qvl_hardware_table){0};
}

const struct qvl_hardware *qvl_hardware_find(const struct qvl_hardware_table *table, const char *name)
{
    for (int64_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    return NULL;
}

bool qvl_hardware_unverified(const struct qvl_hardware *hardware, const char *figure)
{
    const size_t length = strlen(figure);
    for (const char *at = hardware->unverified; (at = strstr(at, figure)); at += length)
        if ((at == hardware->unverified || at[-1] == ' ') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}
