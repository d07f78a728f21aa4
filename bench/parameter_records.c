/* Where the parameters of a model are, and what of them a token uses. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "bench/training_records.h"

#define BILLION 1e9

/* The figure in front of the next "B" at or behind `text`, in parameters; 0 when there is none. "235B-A22B"
 * has two. */
static double figure(const char **text)
{
    for (const char *at = *text; *at; at++) {
        if (!isdigit((unsigned char)*at) || (at > *text && at[-1] != '-' && at[-1] != 'A'))
            continue;
        char *end;
        const double value = strtod(at, &end);
        if (*end == 'B') {
            *text = end + 1;
            return value * BILLION;
        }
    }
    return 0;
}

static void put(struct qvl_record *record, const char *name, int64_t value)
{
    qvl_record_int(record, name, value, "parameter", QVL_FROM_MODELLED);
}

static enum qvl_status take_parts(const char *model, const struct qvl_model_config *config,
                                  struct qvl_report *report, struct qvl_error *error)
{
    const struct qvl_text_config *text = &config->text;
    const struct qvl_parameter_count count = qvl_model_count_parameters(config);
    const int64_t table = text->vocab * text->hidden;
    int64_t layers = 0, routed = 0, used = 0;
    for (int64_t l = 0; l < text->layers; l++) {
        const int64_t expert = text->moe_layer[l] ? 3 * text->hidden * text->moe_intermediate : 0;
        layers += qvl_layer_parameters(text, l);
        routed += text->experts * expert;
        used += text->experts_per_token * expert;
    }
    struct qvl_record *record = qvl_record_create("parameter_parts", model, QVL_CASE_NONE);
    put(record, "vision_tower", count.vision_trunk);
    put(record, "mergers", count.vision - count.vision_trunk);
    put(record, "embedding", table);
    put(record, "layers_without_experts", layers - routed);
    put(record, "experts", routed);
    put(record, "experts_of_a_token", used);
    put(record, "head", config->tied ? 0 : table);
    return qvl_report_take(report, record, error);
}

/* One way of counting, beside the figure in the name. */
static enum qvl_status take_count(const char *model, const char *way, int64_t value, double named,
                                  struct qvl_report *report, struct qvl_error *error)
{
    char name[160];
    snprintf(name, sizeof name, "%s %s", model, way);
    struct qvl_record *record = qvl_record_create("parameters", name, QVL_CASE_NONE);
    put(record, "counted", value);
    if (named > 0) {
        const double less = (double)value - named;
        qvl_record_real(record, "named", named, "parameter", QVL_FROM_PUBLISHED);
        qvl_record_real(record, "counted_less_named", less, "parameter", QVL_FROM_MODELLED);
        qvl_record_real(record, "percent_of_named", 100 * less / named, "%", QVL_FROM_MODELLED);
        qvl_record_flag(record, "rounds_to_name", round((double)value / BILLION) * BILLION == named,
                        QVL_FROM_MODELLED);
    }
    return qvl_report_take(report, record, error);
}

enum qvl_status qvl_parameters_report(const char *model, const char *title,
                                      const struct qvl_model_config *config, struct qvl_report *report,
                                      struct qvl_error *error)
{
    const struct qvl_parameter_count count = qvl_model_count_parameters(config);
    const int64_t table = config->text.vocab * config->text.hidden;
    const double named = figure(&title);
    QVL_TRY(take_parts(model, config, report, error));
    QVL_TRY(take_count(model, "total", count.total, named, report, error));
    QVL_TRY(take_count(model, "language model", count.llm, named, report, error));
    if (config->text.experts == 0)
        return QVL_OK;
    const double active = figure(&title);
    const int64_t matrices = count.active_llm - (config->tied ? 0 : table);
    QVL_TRY(take_count(model, "active with vision", count.active, active, report, error));
    QVL_TRY(take_count(model, "active", count.active_llm, active, report, error));
    QVL_TRY(take_count(model, "active less embedding", matrices, active, report, error));
    return take_count(model, "active layers", matrices - table, active, report, error);
}

enum qvl_status qvl_parameters_preamble(struct qvl_report *report, struct qvl_error *error)
{
    static const char *const notes[] = {
        "Counted from config.json; a tied head counts once. named: the figure in the model's name.",
        "active with vision: everything but the experts that a token does not visit. active: the same of the "
        "language model alone. active less embedding: without the table of which a token reads one row (a "
        "tied one stays, as the head); without the norms, twice this is what a token costs in FLOPs, scores "
        "apart. active layers: without the head, too.",
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        QVL_TRY(qvl_report_note(report, notes[i], error));
    return QVL_OK;
}
