/* qvl-audit list: what this build has. */
#include "bench/procure.h"
#include "cli/backends.h"
#include "cli/models.h"
#include "cli/mutants.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "datasets/checkpoint.h"

/* One thing that can be listed. */
struct topic {
    const char *name;
    enum qvl_status (*list)(struct qvl_report *report, struct qvl_error *error);
};

static enum qvl_status list_backends(struct qvl_report *report, struct qvl_error *error)
{
    for (int64_t i = 0; qvl_builtin_backend_at(i); i++) {
        const struct qvl_builtin_backend *builtin = qvl_builtin_backend_at(i);
        struct qvl_record *record = qvl_record_create("backend", builtin->name, QVL_CASE_NONE);
        struct qvl_backend *backend;
        struct qvl_error reason;
        if (builtin->open(NULL, &backend, &reason) == QVL_OK) {
            qvl_record_text(record, "accumulates_in", qvl_dtype_name(backend->math.accumulate),
                            QVL_FROM_SETTING);
            qvl_record_text(record, "description", backend->description, QVL_FROM_SETTING);
            backend->close(backend);
        } else {
            qvl_record_missing(record, "description", reason.message);
        }
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

/* Whether a backend fills an entry of the table. */
static bool has_op(const struct qvl_backend *backend, const char *op)
{
#define QVL_HAS_OP(name)                                                                                     \
    if (strcmp(op, #name) == 0)                                                                              \
        return backend->ops.name != NULL;
    QVL_OPS(QVL_HAS_OP)
#undef QVL_HAS_OP
    return false;
}

static enum qvl_status list_ops(struct qvl_report *report, struct qvl_error *error)
{
#define QVL_OP_NAME(name) #name,
    static const char *const names[] = {QVL_OPS(QVL_OP_NAME)};
#undef QVL_OP_NAME
    for (size_t op = 0; op < sizeof names / sizeof *names; op++) {
        struct qvl_record *record = qvl_record_create("op", names[op], QVL_CASE_NONE);
        for (int64_t i = 0; qvl_builtin_backend_at(i); i++) {
            const struct qvl_builtin_backend *builtin = qvl_builtin_backend_at(i);
            struct qvl_backend *backend;
            struct qvl_error reason;
            if (builtin->open(NULL, &backend, &reason) != QVL_OK) {
                qvl_record_missing(record, builtin->name, reason.message);
                continue;
            }
            qvl_record_flag(record, builtin->name, has_op(backend, names[op]), QVL_FROM_SETTING);
            backend->close(backend);
        }
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

static enum qvl_status list_model(const struct qvl_model_table *table, struct qvl_report *report,
                                  struct qvl_error *error)
{
    struct qvl_model_config config;
    struct qvl_model_facts facts;
    QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
    QVL_TRY(qvl_model_facts_read(table, &facts, error));
    struct qvl_parameter_count parameters = qvl_model_count_parameters(&config);
    struct qvl_record *record = qvl_record_create("model", table->name, QVL_CASE_NONE);
    qvl_record_text(record, "title", facts.title, QVL_FROM_PUBLISHED);
    qvl_record_detail(record);
    qvl_record_text(record, "architecture", qvl_architecture_name(config.architecture), QVL_FROM_PUBLISHED);
    qvl_record_int(record, "parameters", parameters.total, "parameter", QVL_FROM_MODELLED);
    qvl_record_int(record, "active", parameters.active, "parameter", QVL_FROM_MODELLED);
    qvl_record_int(record, "layers", config.text.layers, NULL, QVL_FROM_PUBLISHED);
    qvl_record_int(record, "hidden", config.text.hidden, NULL, QVL_FROM_PUBLISHED);
    qvl_record_int(record, "vision_blocks", config.vision.depth, NULL, QVL_FROM_PUBLISHED);
    qvl_record_int(record, "experts", config.text.experts, NULL, QVL_FROM_PUBLISHED);
    qvl_record_flag(record, "verified", facts.verified, QVL_FROM_PUBLISHED);
    qvl_record_text(record, "unverified_keys", facts.unverified, QVL_FROM_PUBLISHED);
    qvl_record_detail(record);
    qvl_record_text(record, "source", facts.source, QVL_FROM_PUBLISHED);
    qvl_record_detail(record);
    qvl_model_facts_free(&facts);
    return qvl_report_take(report, record, error);
}

static enum qvl_status list_models(struct qvl_report *report, struct qvl_error *error)
{
    for (int64_t i = 0; i < qvl_model_table_count(); i++)
        QVL_TRY(list_model(qvl_model_table_get(i), report, error));
    return qvl_report_note(report, "verified: every number was seen in a released config.json.", error);
}

static enum qvl_status list_checkpoints(struct qvl_report *report, struct qvl_error *error)
{
    const struct qvl_checkpoint_spec *spec;
    for (int64_t i = 0; (spec = qvl_checkpoint_preset_at(i)); i++) {
        int64_t parameters, bytes;
        QVL_TRY(qvl_checkpoint_size(spec, &parameters, &bytes, error));
        struct qvl_record *record = qvl_record_create("checkpoint", spec->name, QVL_CASE_NONE);
        qvl_record_int(record, "parameters", parameters, "parameter", QVL_FROM_SETTING);
        qvl_record_int(record, "weights", bytes, "B", QVL_FROM_SETTING);
        qvl_record_text(record, "dtype", qvl_dtype_name(spec->dtype), QVL_FROM_SETTING);
        qvl_record_text(record, "about", spec->about, QVL_FROM_SETTING);
        QVL_TRY(qvl_report_take(report, record, error));
    }
    return QVL_OK;
}

static enum qvl_status list_mutants(struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_mutant_list list;
    QVL_TRY(qvl_mutants_list(NULL, &list, error));
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < list.count && status == QVL_OK; i++) {
        const struct qvl_selftest_mutant *mutant = &list.mutants[i];
        struct qvl_record *record = qvl_record_create("mutant", mutant->name, QVL_CASE_NONE);
        qvl_record_int(record, "section", mutant->section, NULL, QVL_FROM_SETTING);
        qvl_record_text(record, "kind", mutant->kind->name, QVL_FROM_SETTING);
        qvl_record_text(record, "planted_in", mutant->entry, QVL_FROM_SETTING);
        qvl_record_flag(record, "required", !mutant->excuse, QVL_FROM_SETTING);
        qvl_record_text(record, "fault", mutant->fault, QVL_FROM_SETTING);
        if (mutant->excuse)
            qvl_record_text(record, "may_survive_because", mutant->excuse, QVL_FROM_SETTING);
        status = qvl_report_take(report, record, error);
    }
    qvl_mutants_free(&list);
    return status;
}

static enum qvl_status list_hardware(struct qvl_report *report, struct qvl_error *error)
{
    struct qvl_hardware_table table;
    QVL_TRY(qvl_hardware_load(NULL, &table, error));
    enum qvl_status status = QVL_OK;
    for (int64_t i = 0; i < table.count && status == QVL_OK; i++)
        status = qvl_report_take(report, qvl_hardware_record(&table.rows[i]), error);
    qvl_hardware_free(&table);
    QVL_TRY(status);
    return qvl_report_note(
        report,
        "hardware: dense peaks of one device, link in one direction. *: nobody verified the "
        "figure. timings: the table of published kernel timings.",
        error);
}

static const struct topic topics[] = {
    {"backends", list_backends},       {"ops", list_ops},         {"models", list_models},
    {"checkpoints", list_checkpoints}, {"mutants", list_mutants}, {"hardware", list_hardware},
};

#define TOPIC_COUNT (sizeof topics / sizeof *topics)

struct list_options {
    bool wanted[TOPIC_COUNT];
    bool some;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct list_options *options = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (strcmp(argument, topics[i].name) == 0) {
            options->wanted[i] = options->some = true;
            return 0;
        }
    }
    argp_error(state, "cannot list \"%s\": write backends, ops, models, checkpoints, mutants or hardware",
               argument);
    return 0;
}

static const struct argp parser = {.parser = parse_option,
                                   .args_doc = "[backends] [ops] [models] [checkpoints] [mutants] [hardware]",
                                   .doc = "List what this build has: backends, the ops of the table and who "
                                          "implements them, model tables, presets of "
                                          "random checkpoints, faults that `selftest` plants, the hardware "
                                          "that `procure` knows. Without an argument, all of it.\v"
                                          "Example: the models that `flops` knows\n\n"
                                          "  qvl-audit list models"};

enum qvl_status qvl_verb_list(int argc, char **argv, struct qvl_error *error)
{
    struct list_options options = {.some = false};
    struct qvl_output output = {0};
    struct qvl_report report = {0};
    QVL_TRY(qvl_output_parse(&parser, argc, argv, &options, &output, error));
    enum qvl_status status = QVL_OK;
    for (size_t i = 0; i < TOPIC_COUNT && status == QVL_OK; i++)
        if (options.wanted[i] || !options.some)
            status = topics[i].list(&report, error);
    if (status == QVL_OK)
        status = qvl_output_finish(&output, &report, error);
    qvl_report_clear(&report);
    return status;
}
