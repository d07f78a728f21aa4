/* Our model against the original framework: every golden of one checkpoint preset (the argument), on the
 * reference and on the cpu backend.
 *
 * float32: prompt, patch rows and positions equal; every stage within 1e-5 of its largest value, logits
 * within 1e-4 of the largest logit; the greedy tokens equal; prompts in pieces give the logits of the whole.
 * bfloat16: every stage within the spread of DRAWS reference runs whose roundings go up or down at random;
 * the cpu backend, which sums in float32 and rounds at fewer places, within twice that (docs/NUMERICS.md). */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "ref/ref.h"
#include "tests/golden/support/compare.h"

static const char folder[] = "tests/golden/model";

#define STAGE_TOLERANCE 1e-5 /* of the stage's largest value */
#define LOGIT_TOLERANCE 1e-4 /* of the largest logit */
#define CHUNK_TOLERANCE 1e-5 /* of the largest logit: another order of the same sums */
#define DRAWS 8
#define CPU_SPREAD 2
#define MOST_LINES 8 /* failing stages that are printed */
#define MOST_GREEDY 64
#define LONG_PROMPT                                                                                          \
    1000 /* tokens; longer prompts are cut into pieces of 64 only, and by the cpu backend only */

struct limits {
    struct compare_distance stages[COMPARE_MOST_STAGES];
};

static int report(const struct golden *golden, enum qvl_status status, const struct qvl_error *error)
{
    if (status != QVL_OK)
        printf("%s: %s\n", golden->name, error->message);
    return status != QVL_OK;
}

/* Every stage within its limit; prints the worst. */
static int compare_with_limits(const struct golden *golden, const char *backend, const struct golden_run *run,
                               const struct compare_stage *stages, int64_t count, const struct limits *limits)
{
    double worst = 0;
    const char *worst_name = "no stage";
    int different = 0;
    for (int64_t index = 0; index < count; index++) {
        const struct compare_distance distance = compare_stage_distance(&stages[index], run, NULL);
        const struct compare_distance *limit = &limits->stages[index];
        const bool good = distance.element <= limit->element && distance.projection <= limit->projection;
        const double margin = fmax(distance.element > 0 ? distance.element / limit->element : 0,
                                   distance.projection > 0 ? distance.projection / limit->projection : 0);
        if (!good && different < MOST_LINES)
            printf("%s on %s: %s off by %.3g (limit %.3g), projection by %.3g (limit %.3g)\n", golden->name,
                   backend, stages[index].name, distance.element, limit->element, distance.projection,
                   limit->projection);
        different += !good;
        if (margin >= worst) {
            worst = margin;
            worst_name = stages[index].name;
        }
    }
    printf("%-40s %-4s %3lld stages, worst margin %.3f at %s\n", golden->name, backend, (long long)count,
           worst, worst_name);
    return different + (count == 0);
}

/* A row sum of `width` errors below e, of random sign, stays below sqrt(width) e. */
static void float32_limits(const struct compare_stage *stages, int64_t count, const struct golden_run *run,
                           struct limits *limits)
{
    for (int64_t index = 0; index < count; index++) {
        const bool logits = strcmp(stages[index].name, "logits") == 0;
        const struct qvl_tap_entry *entry = qvl_tap_store_find(&run->taps, stages[index].name);
        const int64_t width = logits ? run->vocabulary : entry ? qvl_tap_entry_width(entry) : 1;
        const double element = stages[index].largest * (logits ? LOGIT_TOLERANCE : STAGE_TOLERANCE);
        limits->stages[index] = (struct compare_distance){element, element * sqrt((double)width)};
    }
}

static int check_greedy(const struct golden *golden, const char *backend, struct qvl_model *model,
                        const struct golden_run *run)
{
    const struct qvl_array *expected = golden_find(golden, "greedy", "");
    int64_t tokens[MOST_GREEDY];
    struct qvl_error error;
    const int64_t count = expected ? qvl_array_count(expected) : 0;
    if (count != MOST_GREEDY) {
        printf("%s: no %d greedy tokens\n", golden->name, MOST_GREEDY);
        return 1;
    }
    if (report(golden, golden_greedy(run, model, count, tokens, &error), &error))
        return 1;
    for (int64_t index = 0; index < count; index++)
        if (tokens[index] != golden_integer(expected, index)) {
            printf("%s on %s: greedy token %lld is %lld, the original has %lld\n", golden->name, backend,
                   (long long)index, (long long)tokens[index], (long long)golden_integer(expected, index));
            return 1;
        }
    return 0;
}

/* Logits of all rows when the prompt goes in pieces, against those of the whole. */
static int check_chunks(const struct golden *golden, const char *backend, struct qvl_model *model,
                        const struct golden_run *whole, const struct golden_chunks *pieces)
{
    struct golden_run run;
    struct qvl_error error;
    double largest = 0, worst = 0;
    const enum qvl_status status = golden_run_model(golden, model, *pieces, false, 0, &run, &error);
    const int64_t count = golden->prompt.count * whole->vocabulary;
    if (report(golden, status, &error)) {
        golden_run_free(&run);
        return 1;
    }
    for (int64_t index = 0; index < count; index++) {
        largest = fmax(largest, fabs(whole->logits[index]));
        worst = fmax(worst, fabs((double)whole->logits[index] - run.logits[index]));
        if (isnan(run.logits[index]))
            worst = INFINITY;
    }
    golden_run_free(&run);
    if (worst <= CHUNK_TOLERANCE * largest)
        return 0;
    printf("%s on %s: pieces of %lld (first %lld) change a logit by %.3g of %.3g\n", golden->name, backend,
           (long long)pieces->chunk, (long long)pieces->first, worst, largest);
    return 1;
}

static int check_all_chunks(const struct golden *golden, const char *backend, struct qvl_model *model,
                            const struct golden_run *whole)
{
    static const int64_t sizes[] = {1, 3, 64};
    const bool is_long = golden->prompt.count > LONG_PROMPT;
    int different = 0;
    if (is_long && strcmp(backend, "ref") == 0)
        return 0;
    for (int index = is_long ? 2 : 0; index < 3; index++)
        different += check_chunks(golden, backend, model, whole, &(struct golden_chunks){0, sizes[index]});
    /* An edge inside each visual: the pieces start in its middle. */
    for (int64_t row = 1, start = -1; row < golden->prompt.count; row++) {
        const bool in_visual = whole->position_ids[row] == whole->position_ids[row - 1];
        if (in_visual && start < 0)
            start = row - 1;
        if (!in_visual && start >= 0) {
            different +=
                check_chunks(golden, backend, model, whole, &(struct golden_chunks){(start + row) / 2, 0});
            start = -1;
        }
    }
    return different;
}

static int check_float32(const struct golden *golden, struct qvl_backend *backend,
                         const struct compare_stage *stages, int64_t count)
{
    struct qvl_model *model = NULL;
    struct golden_run run = {.logits = NULL};
    struct qvl_error error;
    static struct limits limits;
    int different = report(golden, golden_load(golden, backend, &model, &error), &error);
    if (!different)
        different = report(
            golden,
            golden_run_model(golden, model, (struct golden_chunks){0, 0}, true, MOST_GREEDY, &run, &error),
            &error);
    if (!different) {
        float32_limits(stages, count, &run, &limits);
        different = compare_positions(golden, &run) +
                    compare_with_limits(golden, backend->name, &run, stages, count, &limits) +
                    check_greedy(golden, backend->name, model, &run) +
                    check_all_chunks(golden, backend->name, model, &run);
    }
    golden_run_free(&run);
    qvl_model_destroy(model);
    return different;
}

static int run_on(const struct golden *golden, qvl_backend_open_fn *open, uint64_t jitter,
                  struct golden_run *run)
{
    const struct qvl_backend_options options = {.jitter_seed = jitter};
    struct qvl_backend *backend = NULL;
    struct qvl_model *model = NULL;
    struct qvl_error error;
    *run = (struct golden_run){.logits = NULL};
    int different = report(golden, open(&options, &backend, &error), &error);
    if (!different)
        different = report(golden, golden_load(golden, backend, &model, &error), &error);
    if (!different)
        different = report(
            golden, golden_run_model(golden, model, (struct golden_chunks){0, 0}, true, 0, run, &error),
            &error);
    qvl_model_destroy(model);
    if (backend)
        backend->close(backend);
    return different;
}

/* The largest deviation of the jittered reference runs from the plain one, for each stage. */
static int bfloat16_limits(const struct golden *golden, const struct golden_run *plain,
                           const struct compare_stage *stages, int64_t count, struct limits *limits)
{
    memset(limits, 0, sizeof *limits);
    for (uint64_t draw = 1; draw <= DRAWS; draw++) {
        struct golden_run run;
        const int failed = run_on(golden, qvl_ref_open, draw, &run);
        for (int64_t index = 0; !failed && index < count; index++) {
            const struct compare_distance distance = compare_stage_distance(&stages[index], &run, plain);
            struct compare_distance *limit = &limits->stages[index];
            limit->element = fmax(limit->element, distance.element);
            limit->projection = fmax(limit->projection, distance.projection);
        }
        golden_run_free(&run);
        if (failed)
            return 1;
    }
    return 0;
}

static int check_bfloat16(const struct golden *golden, const struct compare_stage *stages, int64_t count)
{
    static struct limits limits;
    struct golden_run plain, cpu;
    int different = run_on(golden, qvl_ref_open, 0, &plain);
    if (!different)
        different = bfloat16_limits(golden, &plain, stages, count, &limits);
    if (!different)
        different = compare_positions(golden, &plain) +
                    compare_with_limits(golden, "ref", &plain, stages, count, &limits);
    golden_run_free(&plain);
    for (int64_t index = 0; index < count; index++) {
        limits.stages[index].element *= CPU_SPREAD;
        limits.stages[index].projection *= CPU_SPREAD;
    }
    if (run_on(golden, qvl_cpu_open, 0, &cpu))
        different++;
    else
        different += compare_with_limits(golden, "cpu", &cpu, stages, count, &limits);
    golden_run_free(&cpu);
    return different;
}

static int check_both_backends(const struct golden *golden, const struct compare_stage *stages, int64_t count)
{
    qvl_backend_open_fn *const open[] = {qvl_ref_open, qvl_cpu_open};
    int different = 0;
    for (int index = 0; index < 2; index++) {
        struct qvl_backend *backend = NULL;
        struct qvl_error error;
        if (report(golden, open[index](NULL, &backend, &error), &error)) {
            different++;
            continue;
        }
        different += check_float32(golden, backend, stages, count);
        backend->close(backend);
    }
    return different;
}

static int check_file(const char *path)
{
    static struct compare_stage stages[COMPARE_MOST_STAGES];
    struct golden golden;
    int different = golden_open(path, NULL, &golden) ? compare_prompt(&golden) : 1;
    if (!different) {
        const int64_t count = compare_stages(&golden, stages);
        if (count == 0)
            printf("%-40s ids, grids, rows equal (no stages)\n", golden.name);
        else if (golden.storage == QVL_BF16)
            different = check_bfloat16(&golden, stages, count);
        else
            different = check_both_backends(&golden, stages, count);
    }
    golden_close(&golden);
    return different;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int files = 0, different = 0;
    if (argc != 2) {
        printf("usage: golden_model PRESET\n");
        return 2;
    }
    const size_t length = strlen(argv[1]);
    const int count = scandir(folder, &entries, NULL, alphasort);
    for (int index = 0; index < count; index++) {
        const char *name = entries[index]->d_name;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (strncmp(name, argv[1], length) == 0 && name[length] == '.' && strstr(name, ".safetensors")) {
            different += check_file(path);
            files++;
        }
        free(entries[index]);
    }
    free(entries);
    printf("%d goldens of %s, %d differences\n", files, argv[1], different);
    return files > 0 && different == 0 ? 0 : 1;
}
