/* Time per output token of whole models, against the end-to-end runs that come with the published timings:
 * Qwen3-32B and Qwen3-235B-A22B under load. The runs were not used for any fit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench/model_time.h"
#include "datasets/model_tables.h"

enum {
    MODEL,
    SYSTEM,
    ENGINE,
    PRECISION,
    WEIGHTS,
    EXPERTS,
    INPUT,
    OUTPUT,
    BATCH,
    WAYS,
    PIPELINE,
    TPOT = 15,
    COLUMNS
};

struct run {
    char column[COLUMNS][48];
};

/* The next line of tab-separated columns; false at the end. */
static bool next_run(const char **text, struct run *run)
{
    int column = 0;
    if (!**text)
        return false;
    while (column < COLUMNS) {
        const size_t length = strcspn(*text, "\t\n");
        snprintf(run->column[column++], sizeof run->column[0], "%.*s", (int)length, *text);
        *text += length;
        if (*(*text)++ == '\n')
            break;
    }
    assert_int_equal(column, COLUMNS);
    return true;
}

/* The block-scaled checkpoint of the 235B model says "fp8" in some rows. */
static enum qvl_published_type type_of(const char *mode, bool block)
{
    if (strncmp(mode, "fp8", 3) == 0)
        return block || strcmp(mode, "fp8_block") == 0 ? QVL_PUBLISHED_FP8_BLOCK : QVL_PUBLISHED_FP8;
    return QVL_PUBLISHED_BF16;
}

struct ratios {
    double decode[512], loaded[512]; /* predicted / measured */
    int count;
};

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A decode step in the middle of the output; and with the prefills that run between the steps of a full
 * engine: each sequence brings one prompt for each output. */
static void predict(const struct run *run, const struct qvl_deployment *deployment, struct ratios *ratios)
{
    const double input = atof(run->column[INPUT]), output = atof(run->column[OUTPUT]);
    const double measured = atof(run->column[TPOT]) * 1e-3;
    struct qvl_deployment one = *deployment;
    struct qvl_model_time decode = {0}, prefill = {0};
    struct qvl_error error = {.message = ""};
    one.batch = 1;
    if (qvl_time_decode(deployment, (int64_t)(input + output / 2), &decode, &error) != QVL_OK ||
        qvl_time_prefill(&one, 0, (int64_t)input, &prefill, &error) != QVL_OK)
        fail_msg("%s", error.message);
    ratios->decode[ratios->count] = decode.seconds / measured;
    ratios->loaded[ratios->count++] =
        (decode.seconds + (double)deployment->batch * prefill.seconds / output) / measured;
}

static void collect(const char *model, const char *table, const char *system, const char *device,
                    struct ratios *ratios)
{
    const struct qvl_model_table *entry = qvl_model_table_find(table);
    struct qvl_error error = {.message = ""};
    struct qvl_hardware_table hardware;
    struct qvl_published_device *published;
    struct qvl_model_config config;
    const char *text = qvl_published_runs();
    struct run run;
    assert_int_equal(qvl_hardware_load(NULL, &hardware, &error), QVL_OK);
    assert_int_equal(qvl_published_load(system, &published, &error), QVL_OK);
    assert_int_equal(qvl_model_config_parse(entry->json, entry->size, table, &config, &error), QVL_OK);
    assert_true(next_run(&text, &run)); /* the header */
    while (next_run(&text, &run)) {
        const bool block = strstr(run.column[MODEL], "235B") != NULL;
        if (strcmp(run.column[MODEL], model) != 0 || strcmp(run.column[SYSTEM], system) != 0 ||
            strcmp(run.column[PIPELINE], "1") != 0)
            continue;
        const struct qvl_deployment deployment = {.config = &config,
                                                  .device = {qvl_hardware_find(&hardware, device), published},
                                                  .ways = atoi(run.column[WAYS]),
                                                  .weights = type_of(run.column[WEIGHTS], block),
                                                  .experts = type_of(run.column[EXPERTS], block),
                                                  .batch = atoi(run.column[BATCH])};
        predict(&run, &deployment, ratios);
    }
    qvl_published_free(published);
    qvl_hardware_free(&hardware);
}

static void describe(const char *what, double *ratios, int count)
{
    qsort(ratios, (size_t)count, sizeof *ratios, ascending);
    print_message("  %s: p10 %.2f, median %.2f, p90 %.2f of measured\n", what, ratios[count / 10],
                  ratios[count / 2], ratios[count * 9 / 10]);
}

static void predicts_measured_runs(void **state)
{
    static const struct {
        const char *model, *table, *system, *device;
        int least;
    } sets[] = {
        {"Qwen/Qwen3-32B", "qwen3-vl-32b", "h100_sxm", "h100-sxm", 300},
        {"Qwen/Qwen3-235B-A22B-FP8", "qwen3-vl-235b-a22b", "h100_sxm", "h100-sxm", 100},
        {"Qwen/Qwen3-235B-A22B-FP8", "qwen3-vl-235b-a22b", "h200_sxm", "h200-sxm", 50},
    };
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        static struct ratios ratios;
        ratios.count = 0;
        collect(sets[i].model, sets[i].table, sets[i].system, sets[i].device, &ratios);
        print_message("%s on %s, %d runs\n", sets[i].model, sets[i].system, ratios.count);
        assert_true(ratios.count >= sets[i].least);
        describe("decode step alone", ratios.decode, ratios.count);
        describe("with the prefills between", ratios.loaded, ratios.count);
        assert_true(ratios.loaded[ratios.count / 2] > 0.7 && ratios.loaded[ratios.count / 2] < 1.35);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(predicts_measured_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
