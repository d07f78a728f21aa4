#include "reports/comparable.h"

#include "reports/values.h"

/* Differences that are not even stated: they differ from one minute to the next. */
#define IGNORED (QVL_CONDITION_NONE + 1)

struct rule {
    const char *field;
    int condition;
};

/* Settings of the workload. What has no line here, or is missing in one of two reports, is another workload:
 * a setting that this build does not know may well change the cost. */
static const struct rule settings[] = {
    {"weights", QVL_CONDITION_NONE}, /* a path; the model is known by its config */
    {"model", QVL_CONDITION_MODEL},     {"config_sha256", QVL_CONDITION_MODEL},
    {"backend", QVL_CONDITION_NONE}, /* what is under test */
    {"dtype", QVL_CONDITION_DTYPE},     {"math", QVL_CONDITION_MATH},
    {"threads", QVL_CONDITION_THREADS}, {"repeats", QVL_CONDITION_NONE}, /* how many samples, not what of */
    {NULL, QVL_CONDITION_WORKLOAD}};

/* What a workload states of the backend (its description, its plan) is under test. */
static const struct rule observations[] = {{NULL, QVL_CONDITION_NONE}};

static const struct rule environment[] = {{"cpu", QVL_CONDITION_MACHINE},
                                          {"packages", QVL_CONDITION_MACHINE},
                                          {"numa_nodes", QVL_CONDITION_MACHINE},
                                          {"cores", QVL_CONDITION_MACHINE},
                                          {"hardware_threads", QVL_CONDITION_MACHINE},
                                          {"l1d_cache", QVL_CONDITION_MACHINE},
                                          {"l2_cache", QVL_CONDITION_MACHINE},
                                          {"l3_cache", QVL_CONDITION_MACHINE},
                                          {"instruction_sets", QVL_CONDITION_MACHINE},
                                          {"virtual_machine", QVL_CONDITION_MACHINE},
                                          {"cpu_quota", QVL_CONDITION_MACHINE},
                                          {"device", QVL_CONDITION_MACHINE},
                                          {"usable_threads", QVL_CONDITION_THREADS},
                                          {"OMP_NUM_THREADS", QVL_CONDITION_THREADS},
                                          {"OPENBLAS_NUM_THREADS", QVL_CONDITION_THREADS},
                                          {"OPENBLAS_CORETYPE", QVL_CONDITION_SETTINGS},
                                          {"OPENBLAS_L2_SIZE", QVL_CONDITION_SETTINGS},
                                          {"OMP_PROC_BIND", QVL_CONDITION_SETTINGS},
                                          {"OMP_PLACES", QVL_CONDITION_SETTINGS},
                                          {"OMP_WAIT_POLICY", QVL_CONDITION_SETTINGS},
                                          {"GOMP_CPU_AFFINITY", QVL_CONDITION_SETTINGS},
                                          {"memory_available", IGNORED},
                                          {NULL, QVL_CONDITION_NONE}};

struct differences {
    qvl_difference_fn *report;
    void *context;
};

const char *qvl_condition_name(enum qvl_condition condition)
{
    static const char *const names[QVL_CONDITION_COUNT] = {"workload", "model",   "dtype",   "math",
                                                           "threads",  "machine", "settings"};
    return (unsigned)condition < QVL_CONDITION_COUNT ? names[condition] : "none";
}

static int condition_of(const struct rule *rules, const char *field)
{
    while (rules->field && strcmp(rules->field, field) != 0)
        rules++;
    return rules->condition;
}

/* The value as text, with its reason when it was not done. *text is owned. */
static enum qvl_status text_of(const struct qvl_field *field, char **text, struct qvl_error *error)
{
    struct qvl_text out = {0};
    size_t size;
    if (!field)
        qvl_text_print(&out, "(not stated)");
    else if (field->provenance == QVL_FROM_NOT_DONE)
        qvl_text_print(&out, "(%s)", field->value.text);
    else
        qvl_value_exact(&out, field);
    return qvl_text_take(&out, text, &size, error);
}

static enum qvl_status compare_texts(const struct differences *out, const char *place, int condition,
                                     const char *base, const char *other, struct qvl_error *error)
{
    if (condition == IGNORED || strcmp(base, other) == 0)
        return QVL_OK;
    return out->report(out->context, place, (enum qvl_condition)condition, base, other, error);
}

static enum qvl_status compare_fields(const struct differences *out, const char *place, int condition,
                                      const struct qvl_field *base, const struct qvl_field *other,
                                      struct qvl_error *error)
{
    char *texts[2] = {NULL, NULL};
    enum qvl_status status = text_of(base, &texts[0], error);
    if (status == QVL_OK)
        status = text_of(other, &texts[1], error);
    if (status == QVL_OK)
        status = compare_texts(out, place, condition, texts[0], texts[1], error);
    free(texts[0]);
    free(texts[1]);
    return status;
}

/* The union of the fields of two records; only those of one provenance unless it is QVL_PROVENANCE_COUNT. */
static enum qvl_status compare_records(const struct differences *out, const char *section,
                                       const struct rule *rules, int provenance,
                                       const struct qvl_record *base, const struct qvl_record *other,
                                       struct qvl_error *error)
{
    const struct qvl_record *const both[2] = {base, other};
    char place[256];
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < both[side]->field_count; i++) {
            const struct qvl_field *field = &both[side]->fields[i];
            const struct qvl_field *twin = qvl_record_find(both[!side], field->name);
            if ((provenance != QVL_PROVENANCE_COUNT && (int)field->provenance != provenance) ||
                (side == 1 && twin))
                continue;
            snprintf(place, sizeof place, "%s.%s", section, field->name);
            QVL_TRY(compare_fields(out, place, condition_of(rules, field->name), side ? twin : field,
                                   side ? field : twin, error));
        }
    return QVL_OK;
}

static enum qvl_status compare_workloads(const struct differences *out, const struct qvl_record *base,
                                         const struct qvl_record *other, struct qvl_error *error)
{
    if (!base && !other)
        return QVL_OK;
    if (!base || !other)
        return compare_texts(out, "workload", QVL_CONDITION_WORKLOAD, base ? base->name : "(not stated)",
                             other ? other->name : "(not stated)", error);
    QVL_TRY(compare_texts(out, "workload", QVL_CONDITION_WORKLOAD, base->name, other->name, error));
    /* Settings of another verb are other settings; the verb says enough. */
    if (strcmp(base->name, other->name) != 0)
        return QVL_OK;
    QVL_TRY(compare_records(out, "workload", settings, QVL_FROM_SETTING, base, other, error));
    return compare_records(out, "workload", observations, QVL_FROM_MEASURED, base, other, error);
}

/* A path names the model only when nothing better does. */
static enum qvl_status compare_paths(const struct differences *out, const struct qvl_record *base,
                                     const struct qvl_record *other, struct qvl_error *error)
{
    const bool known = (qvl_record_find(base, "config_sha256") && qvl_record_find(other, "config_sha256")) ||
                       (qvl_record_find(base, "model") && qvl_record_find(other, "model"));
    const struct qvl_field *paths[2] = {qvl_record_find(base, "weights"), qvl_record_find(other, "weights")};
    if (known || !paths[0] || !paths[1])
        return QVL_OK;
    return compare_fields(out, "workload.weights (no config_sha256 to go by)", QVL_CONDITION_MODEL, paths[0],
                          paths[1], error);
}

enum qvl_status qvl_report_differences(const struct qvl_saved_report *base,
                                       const struct qvl_saved_report *other, qvl_difference_fn *difference,
                                       void *context, struct qvl_error *error)
{
    const struct differences out = {difference, context};
    QVL_TRY(compare_texts(&out, "tool.version", QVL_CONDITION_NONE, base->version, other->version, error));
    QVL_TRY(compare_texts(&out, "tool.git_commit", QVL_CONDITION_NONE, base->git_commit, other->git_commit,
                          error));
    QVL_TRY(compare_workloads(&out, base->report.workload, other->report.workload, error));
    QVL_TRY(compare_paths(&out, base->report.workload, other->report.workload, error));
    return compare_records(&out, "environment", environment, QVL_PROVENANCE_COUNT, base->report.environment,
                           other->report.environment, error);
}
