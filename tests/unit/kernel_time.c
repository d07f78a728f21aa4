/* Kernel times on GPUs nobody here has: the C formulas against those that were fitted, timed shapes against
 * the table, floors against everything. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "bench/model_time.h"
#include "configs.h"

static struct qvl_hardware_table hardware;

static int load_hardware(void **state)
{
    struct qvl_error error;
    (void)state;
    return qvl_hardware_load(NULL, &hardware, &error) == QVL_OK ? 0 : -1;
}

static int free_hardware(void **state)
{
    (void)state;
    qvl_hardware_free(&hardware);
    return 0;
}

static struct qvl_published_device *load(const char *name)
{
    struct qvl_published_device *device;
    struct qvl_error error = {.message = ""};
    if (qvl_published_load(name, &device, &error) != QVL_OK)
        fail_msg("%s: %s", name, error.message);
    return device;
}

static int index_of(const char *word, const char *(*name)(int), int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name(i), word) == 0)
            return i;
    fail_msg("\"%s\" is unknown", word);
    return -1;
}

static const char *op_name(int op)
{
    return qvl_published_op_name((enum qvl_published_op)op);
}

static const char *type_name(int type)
{
    return qvl_published_type_name((enum qvl_published_type)type);
}

static const enum qvl_kernel kernels[QVL_PUBLISHED_OPS] = {QVL_KERNEL_GEMM,   QVL_KERNEL_PREFILL,
                                                           QVL_KERNEL_VISION, QVL_KERNEL_DECODE,
                                                           QVL_KERNEL_MOE,    QVL_KERNEL_ALL_REDUCE};

/* tests/golden/published_fits.txt: device, operation, type, seconds, shape; made by
 * datasets/hardware/published.py. */
static void formulas_are_those_that_were_fitted(void **state)
{
    struct qvl_published_device *device = NULL;
    FILE *file = fopen("tests/golden/published_fits.txt", "r");
    char name[32], op[16], type[16], line[256];
    int compared = 0;
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct qvl_kernel_shape shape = {0};
        double seconds, *s = shape.shape;
        int used = 0;
        assert_int_equal(sscanf(line, "%31s %15s %15s %lf%n", name, op, type, &seconds, &used), 4);
        sscanf(line + used, "%lf %lf %lf %lf %lf %lf", s, s + 1, s + 2, s + 3, s + 4, s + 5);
        if (!device || strcmp(device->name, name) != 0) {
            qvl_published_free(device);
            device = load(name);
        }
        const int op_index = index_of(op, op_name, QVL_PUBLISHED_OPS);
        shape.kernel = kernels[op_index];
        shape.type = (enum qvl_published_type)index_of(type, type_name, QVL_PUBLISHED_TYPES);
        const double got = qvl_kernel_fit(device, device->tables[op_index][shape.type], &shape);
        if (!(fabs(got / seconds - 1) < 1e-9))
            fail_msg("%s: %.12g, expected %.12g", line, got, seconds);
        compared++;
    }
    fclose(file);
    qvl_published_free(device);
    print_message("%d shapes\n", compared);
    assert_true(compared > 200);
}

/* A shape that was timed gets the published time; one between two gets a time between theirs; beyond the
 * range the source says so. */
static void timed_shapes_get_their_time(void **state)
{
    struct qvl_published_device *device = load("h100_sxm");
    const struct qvl_timed_device timed = {qvl_hardware_find(&hardware, "h100-sxm"), device};
    const struct qvl_published_table *table = device->tables[QVL_PUBLISHED_GEMM][QVL_PUBLISHED_BF16];
    struct qvl_error error;
    int64_t compared = 0;
    (void)state;
    for (int64_t r = 0; r < table->row_count; r++)
        for (int64_t i = 0; i < table->axis_count; i++) {
            const struct qvl_published_row *row = &table->rows[r];
            const struct qvl_kernel_shape shape = {
                QVL_KERNEL_GEMM, QVL_PUBLISHED_BF16, {table->axis[i], row->key[0], row->key[1]}};
            struct qvl_kernel_time time;
            assert_int_equal(qvl_kernel_time(&timed, &shape, &time, &error), QVL_OK);
            if (isnan(row->seconds[i]))
                continue;
            assert_true(fabs(time.seconds / row->seconds[i] - 1) < 1e-9);
            assert_int_equal(time.source, QVL_TIME_PUBLISHED);
            compared++;
        }
    assert_true(compared > 5000);

    const struct qvl_kernel_shape below = {QVL_KERNEL_DECODE, QVL_PUBLISHED_BF16, {1, 32, 8, 32768, 128}};
    const struct qvl_kernel_shape between = {QVL_KERNEL_DECODE, QVL_PUBLISHED_BF16, {1, 32, 8, 50000, 128}};
    const struct qvl_kernel_shape above = {QVL_KERNEL_DECODE, QVL_PUBLISHED_BF16, {1, 32, 8, 65536, 128}};
    const struct qvl_kernel_shape million = {QVL_KERNEL_DECODE, QVL_PUBLISHED_BF16, {1, 32, 8, 1048576, 128}};
    struct qvl_kernel_time low, middle, high, far;
    assert_int_equal(qvl_kernel_time(&timed, &below, &low, &error), QVL_OK);
    assert_int_equal(qvl_kernel_time(&timed, &between, &middle, &error), QVL_OK);
    assert_int_equal(qvl_kernel_time(&timed, &above, &high, &error), QVL_OK);
    assert_int_equal(qvl_kernel_time(&timed, &million, &far, &error), QVL_OK);
    assert_true(low.seconds < middle.seconds && middle.seconds < high.seconds);
    assert_int_equal(middle.source, QVL_TIME_PUBLISHED);
    assert_int_equal(far.source, QVL_TIME_EXTRAPOLATED);
    assert_true(far.seconds > 12 * high.seconds && far.seconds < 18 * high.seconds);
    qvl_published_free(device);
}

/* Timings faster than memory allows are counted and not used. */
static void hot_cache_rows_are_kept_apart(void **state)
{
    struct qvl_published_device *device = load("l40s");
    const struct qvl_published_table *table = device->tables[QVL_PUBLISHED_GEMM][QVL_PUBLISHED_BF16];
    (void)state;
    print_message("%lld hot values of %lld\n", (long long)table->hot,
                  (long long)table->row_count * table->axis_count);
    assert_true(table->hot > 500);
    for (int64_t r = 0; r < table->row_count; r++)
        for (int64_t i = 0; i < table->axis_count; i++) {
            const double m = table->axis[i], n = table->rows[r].key[0], k = table->rows[r].key[1];
            const double bytes = 2 * (m * k + k * n + m * n);
            assert_false(table->rows[r].seconds[i] < bytes / device->bandwidth);
        }
    qvl_published_free(device);
}

/* Every size on every device: time above the datasheet floor, parts that add up, decode that grows with
 * context. */
static void times_respect_the_floor(void **state)
{
    static const char *const models[] = {"qwen3-vl-2b",  "qwen3-vl-4b",      "qwen3-vl-8b",
                                         "qwen3-vl-32b", "qwen3-vl-30b-a3b", "qwen3-vl-235b-a22b"};
    const int64_t contexts[] = {8192, 32768, 262144, 1048576};
    const struct qvl_grid grid = {1, 34, 60};
    struct qvl_error error = {.message = ""};
    int combinations = 0;
    (void)state;
    for (int64_t h = 0; h < hardware.count; h++) {
        const struct qvl_hardware *row = &hardware.rows[h];
        struct qvl_published_device *published = row->published[0] ? load(row->published) : NULL;
        for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
            const struct qvl_model_config config = config_of(models[m]);
            double last = 0;
            const struct qvl_deployment deployment = {
                .config = &config, .device = {row, published}, .ways = 1, .batch = 1};
            for (int c = 0; c < 4; c++) {
                struct qvl_model_time decode, prefill, vision;
                assert_int_equal(qvl_time_decode(&deployment, contexts[c], &decode, &error), QVL_OK);
                assert_int_equal(qvl_time_prefill(&deployment, 0, contexts[c], &prefill, &error), QVL_OK);
                assert_int_equal(qvl_time_vision(&deployment, &grid, 1, &vision, &error), QVL_OK);
                assert_true(decode.seconds > decode.floor_seconds &&
                            prefill.seconds > prefill.floor_seconds && vision.seconds > vision.floor_seconds);
                assert_true(decode.seconds > last);
                assert_true(fabs((decode.attention + decode.products + decode.experts + decode.elementwise) /
                                     decode.seconds -
                                 1) < 1e-9);
                assert_int_equal(qvl_model_time_source(&decode) == QVL_TIME_ROOFLINE, !published);
                last = decode.seconds;
                combinations++;
            }
        }
        qvl_published_free(published);
    }
    print_message("%d combinations\n", combinations);
    assert_true(combinations > 500);
}

/* A user's file adds rows and replaces ours; wrong rows are named. */
static void reads_rows_of_users(void **state)
{
    static const struct {
        const char *json, *words;
    } wrong[] = {
        {"{\"devices\":[{\"name\":\"x\",\"flops\":{\"bf16\":1e12}}]}", "bandwidth"},
        {"{\"devices\":[{\"name\":\"x\",\"flops\":{},\"bandwidth\":1}]}", "holds no rate"},
        {"{\"devices\":[{\"name\":\"x\",\"flops\":{\"bf15\":1},\"bandwidth\":1}]}", "bf15"},
        {"{\"devices\":[{\"flops\":{\"bf16\":1},\"bandwidth\":1}]}", "name"},
        {"{\"devices\":[{\"name\":\"x\",\"flops\":{\"bf16\":-1},\"bandwidth\":1}]}", "positive"},
        {"{\"devices\":[{\"name\":\"x\",\"flops\":{\"bf16\":1},\"bandwidth\":1,\"attainable_flops\":2}]}",
         "above 1"},
        {"{}", "devices"},
    };
    static const char good[] =
        "{\"devices\":[{\"name\":\"mine\",\"flops\":{\"bf16\":1e12},\"bandwidth\":1e11},"
        "{\"name\":\"h100-sxm\",\"flops\":{\"bf16\":2e12},\"bandwidth\":1e11}]}";
    const char *path = "build/unit_kernel_time.json";
    struct qvl_hardware_table table;
    struct qvl_error error = {.message = ""};
    (void)state;
    assert_int_equal(qvl_file_write(path, good, sizeof good - 1, &error), QVL_OK);
    assert_int_equal(qvl_hardware_load(path, &table, &error), QVL_OK);
    assert_int_equal(table.count, hardware.count + 1);
    assert_true(qvl_hardware_find(&table, "h100-sxm")->flops[QVL_RATE_BF16] == 2e12);
    assert_true(qvl_hardware_find(&table, "mine")->memory == 0);
    qvl_hardware_free(&table);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(qvl_file_write(path, wrong[i].json, strlen(wrong[i].json), &error), QVL_OK);
        assert_int_equal(qvl_hardware_load(path, &table, &error), QVL_BAD_INPUT);
        if (!strstr(error.message, wrong[i].words) || !strstr(error.message, path))
            fail_msg("'%s' does not name %s", error.message, wrong[i].words);
    }
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas_are_those_that_were_fitted),
        cmocka_unit_test(timed_shapes_get_their_time),
        cmocka_unit_test(hot_cache_rows_are_kept_apart),
        cmocka_unit_test(times_respect_the_floor),
        cmocka_unit_test(reads_rows_of_users),
    };
    return cmocka_run_group_tests(tests, load_hardware, free_hardware);
}
