#include "cli/mutants.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "backends/mutants/composition.h"
#include "backends/mutants/pixels.h"
#include "ref/pixels.h"
#include "ref/ref.h"
#include "verify/checker_faults.h"

const char *qvl_museum_section(int section)
{
    static const char *const sections[QVL_MUSEUM_SECTIONS + 1] = {
        [1] = "multimodal positions",
        [2] = "rotary numerics, YaRN, QK-norm",
        [3] = "normalisation and activation",
        [4] = "image and video preprocessing",
        [5] = "vision tower",
        [6] = "merger, DeepStack, feature placement",
        [7] = "attention: masks, heads, tails, splits",
        [8] = "large indices",
        [9] = "mixture of experts",
        [10] = "output head and sampling",
        [11] = "caches, races, determinism, GEMM",
        [12] = "the checker itself",
        [15] = "suggested by the model",
    };
    return section >= 1 && section <= QVL_MUSEUM_SECTIONS ? sections[section] : NULL;
}

/* ---- Opening ---- */

/* Kinds and their contexts are static because open functions of backends have no context: one self-test at a
 * time. */
static struct qvl_mutant_context *current;
static const char *opened_name;

static enum qvl_status open_honest(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    return qvl_honest_open(QVL_SUM_SEQUENTIAL, options, backend, error);
}

static enum qvl_status open_mutant(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    return qvl_mutant_open(opened_name, options, backend, error);
}

static enum qvl_status find_mutant(const char *name, qvl_backend_open_fn **open, struct qvl_error *error)
{
    (void)error;
    opened_name = name;
    *open = open_mutant;
    return QVL_OK;
}

static enum qvl_status open_composed(void *context, const struct qvl_backend_options *options,
                                     struct qvl_backend **backend, struct qvl_error *error)
{
    return qvl_composition_open(context, open_honest, options, backend, error);
}

/* ---- Kinds ---- */

static bool ops_line(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                     char line[QVL_CASE_LINE_BYTES])
{
    (void)context;
    return qvl_selftest_ops_line(&current->ops, mutant, index, line);
}

static enum qvl_status ops_run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                               bool honest, struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    (void)context;
    return qvl_selftest_ops_run(&current->ops, mutant, index, honest, attempt, error);
}

static bool composition_line(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                             char line[QVL_CASE_LINE_BYTES])
{
    const char *text = qvl_composition_line(index);
    (void)context;
    (void)mutant;
    if (text)
        snprintf(line, QVL_CASE_LINE_BYTES, "%s", text);
    return text != NULL;
}

static enum qvl_status composed_run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                                    bool honest, struct qvl_selftest_attempt *attempt,
                                    struct qvl_error *error)
{
    const struct qvl_composition_path path = {.open = honest ? NULL : open_composed,
                                              .context = (void *)(uintptr_t)mutant->name};
    (void)context;
    return qvl_composition_run(current->composition, index, &path, attempt, error);
}

static enum qvl_status pixels_run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                                  bool honest, struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    const struct qvl_composition_path path = {
        .pixels = honest ? &qvl_ref_pixel_ops : qvl_pixel_mutant_table(mutant->name, &qvl_ref_pixel_ops)};
    (void)context;
    return qvl_composition_run(current->composition, index, &path, attempt, error);
}

static enum qvl_status path_run(void *context, const struct qvl_selftest_mutant *mutant, int64_t index,
                                bool honest, struct qvl_selftest_attempt *attempt, struct qvl_error *error)
{
    /* The honest path goes through the same steps: a fault without hooks would skip the prompt's cases. */
    const struct qvl_composition_path faulty = {.fault = qvl_path_fault_at(mutant->number)};
    const struct qvl_composition_path right = {
        .pixels = faulty.fault->visuals || faulty.fault->text ? &qvl_ref_pixel_ops : NULL};
    (void)context;
    return qvl_composition_run(current->composition, index, honest ? &right : &faulty, attempt, error);
}

static const struct qvl_selftest_kind kernel_kind = {.name = "kernel", .line = ops_line, .run = ops_run};
static const struct qvl_selftest_kind composed_kind = {
    .name = "composition", .line = composition_line, .run = composed_run};
static const struct qvl_selftest_kind pixel_kind = {
    .name = "pixels", .line = composition_line, .run = pixels_run};
static const struct qvl_selftest_kind path_kind = {.name = "path", .line = composition_line, .run = path_run};

/* ---- The list ---- */

static bool is_wanted(const char *glob, const char *name)
{
    return !glob || fnmatch(glob, name, 0) == 0;
}

static enum qvl_status add(struct qvl_mutant_list *list, const char *glob, struct qvl_selftest_mutant mutant,
                           struct qvl_error *error)
{
    if (!is_wanted(glob, mutant.name))
        return QVL_OK;
    struct qvl_selftest_mutant *grown = realloc(list->mutants, (size_t)(list->count + 1) * sizeof *grown);
    if (!grown)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld mutants", (long long)list->count + 1);
    list->mutants = grown;
    list->mutants[list->count++] = mutant;
    return QVL_OK;
}

static enum qvl_status add_backends(struct qvl_mutant_list *list, const char *glob,
                                    const struct qvl_mutant *(*at)(int64_t index),
                                    const struct qvl_selftest_kind *kind, struct qvl_error *error)
{
    for (int64_t i = 0; at(i); i++) {
        const struct qvl_mutant *from = at(i);
        const struct qvl_selftest_mutant mutant = {.name = from->name,
                                                   .section = from->section,
                                                   .fault = from->fault,
                                                   .entry = from->entry,
                                                   .excuse = from->excuse,
                                                   .kind = kind,
                                                   .number = i};
        QVL_TRY(add(list, glob, mutant, error));
    }
    return QVL_OK;
}

static enum qvl_status add_paths(struct qvl_mutant_list *list, const char *glob, struct qvl_error *error)
{
    for (int64_t i = 0; qvl_path_fault_at(i); i++) {
        const struct qvl_path_fault *from = qvl_path_fault_at(i);
        const struct qvl_selftest_mutant mutant = {.name = from->name,
                                                   .section = from->section,
                                                   .fault = from->fault,
                                                   .entry = from->entry,
                                                   .kind = &path_kind,
                                                   .number = i};
        QVL_TRY(add(list, glob, mutant, error));
    }
    return QVL_OK;
}

/* A stable order: sections, and within one the order in which the kinds were added. */
static void sort_by_section(struct qvl_mutant_list *list)
{
    for (int64_t i = 1; i < list->count; i++) {
        const struct qvl_selftest_mutant mutant = list->mutants[i];
        int64_t at = i;
        for (; at > 0 && list->mutants[at - 1].section > mutant.section; at--)
            list->mutants[at] = list->mutants[at - 1];
        list->mutants[at] = mutant;
    }
}

enum qvl_status qvl_mutants_list(const char *glob, struct qvl_mutant_list *list, struct qvl_error *error)
{
    *list = (struct qvl_mutant_list){.count = 0};
    enum qvl_status status = add_backends(list, glob, qvl_mutant_at, &kernel_kind, error);
    if (status == QVL_OK)
        status = add_backends(list, glob, qvl_composition_mutant_at, &composed_kind, error);
    if (status == QVL_OK)
        status = add_backends(list, glob, qvl_pixel_mutant_at, &pixel_kind, error);
    if (status == QVL_OK)
        status = add_paths(list, glob, error);
    for (int64_t i = 0; status == QVL_OK && qvl_checker_mutant_at(i); i++)
        status = add(list, glob, *qvl_checker_mutant_at(i), error);
    if (status == QVL_OK && list->count == 0)
        status =
            qvl_fail(error, QVL_USAGE, "no mutant is named \"%s\"; `qvl-audit list mutants` has all", glob);
    if (status != QVL_OK) {
        qvl_mutants_free(list);
        return status;
    }
    sort_by_section(list);
    return QVL_OK;
}

void qvl_mutants_free(struct qvl_mutant_list *list)
{
    free(list->mutants);
    *list = (struct qvl_mutant_list){.count = 0};
}

enum qvl_status qvl_mutants_open(const struct qvl_mutant_list *list, uint64_t seed,
                                 struct qvl_mutant_context *context, struct qvl_error *error)
{
    const struct qvl_composition_options options = {.reference = qvl_ref_open,
                                                    .honest = open_honest,
                                                    .pixels = &qvl_ref_pixel_ops,
                                                    .seed = seed ? seed : 1};
    bool has_ops = false, has_paths = false;
    *context = (struct qvl_mutant_context){
        .ops = {.reference = qvl_ref_open, .honest = open_honest, .find = find_mutant}};
    current = context;
    for (int64_t i = 0; i < list->count; i++) {
        has_ops = has_ops || list->mutants[i].kind == &kernel_kind;
        has_paths = has_paths || list->mutants[i].kind->line == composition_line;
    }
    enum qvl_status status = has_ops ? qvl_selftest_ops_create(&context->ops, seed, error) : QVL_OK;
    if (status == QVL_OK && has_paths)
        status = qvl_composition_create(&options, &context->composition, error);
    if (status != QVL_OK)
        qvl_mutants_close(context);
    return status;
}

void qvl_mutants_close(struct qvl_mutant_context *context)
{
    qvl_selftest_ops_free(&context->ops);
    qvl_composition_destroy(context->composition);
    context->composition = NULL;
    current = NULL;
}
