#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/random.h"
#include "base/safetensors.h"

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/qvl_safetensors_XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/t.safetensors", folder);
    return 0;
}

/* Fails when anything but the one file is left. */
static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* A file with this header text and `data_bytes` bytes 0, 1, 2, ... */
static void write_raw(uint64_t claimed, const char *header, size_t data_bytes)
{
    size_t length = strlen(header);
    uint8_t bytes[2048];
    assert_true(8 + length + data_bytes <= sizeof bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(claimed >> (8 * i));
    for (size_t i = 0; i < length; i++)
        bytes[8 + i] = (uint8_t)header[i];
    for (size_t i = 0; i < data_bytes; i++)
        bytes[8 + length + i] = (uint8_t)i;
    assert_int_equal(qvl_file_write(path, bytes, 8 + length + data_bytes, NULL), QVL_OK);
}

static void refuse(const char *message)
{
    struct qvl_error error = {0};
    struct qvl_safetensors *file = NULL;
    assert_int_equal(qvl_safetensors_open(path, &file, &error), QVL_BAD_INPUT);
    assert_null(file);
    assert_non_null(strstr(error.message, path));
    if (!strstr(error.message, message))
        fail_msg("\"%s\" does not contain \"%s\"", error.message, message);
}

static void refuse_header(const char *header, size_t data_bytes, const char *message)
{
    write_raw(strlen(header), header, data_bytes);
    refuse(message);
}

static void reads_and_finds(void **state)
{
    (void)state;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[24,27]},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                         "\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[27,35]},"
                         "\"e\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[27,27]}}";
    struct qvl_error error = {0};
    struct qvl_safetensors *file;
    write_raw(strlen(header), header, 35);
    if (qvl_safetensors_open(path, &file, &error) != QVL_OK)
        fail_msg("%s", error.message);
    assert_int_equal(file->count, 4);
    assert_string_equal(file->entries[0].name, "a");
    assert_string_equal(file->entries[3].name, "s");
    const struct qvl_array *a = qvl_safetensors_find(file, "a");
    assert_int_equal(a->dtype, QVL_F32);
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->shape[1], 3);
    assert_int_equal(((const uint8_t *)a->data)[23], 23);
    /* 27 is no multiple of 8: the tensor is copied to an aligned place */
    const struct qvl_array *s = qvl_safetensors_find(file, "s");
    assert_int_equal((uintptr_t)s->data % 8, 0);
    assert_true(*(const int64_t *)s->data == INT64_C(0x2221201f1e1d1c1b));
    assert_int_equal(qvl_array_count(qvl_safetensors_find(file, "e")), 0);
    assert_null(qvl_safetensors_find(file, "c"));
    assert_string_equal(qvl_safetensors_metadata_find(file, "format"), "pt");
    assert_null(qvl_safetensors_metadata_find(file, "other"));
    qvl_safetensors_close(file);
    qvl_safetensors_close(NULL);
}

static void refuses_lying_headers(void **state)
{
    (void)state;
    const char *good = "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    assert_int_equal(qvl_file_write(path, "1234567", 7, NULL), QVL_OK);
    refuse("7 bytes are too few");
    write_raw(strlen(good) + 4, good, 3);
    refuse("the header claims 57 bytes, but only 56 follow");
    write_raw(UINT64_MAX, good, 3);
    refuse("the header claims 18446744073709551615 bytes, above the format's limit of 100000000");
    write_raw(100000001, good, 3);
    refuse("above the format's limit");
    write_raw(strlen(good) - 1, good, 3);
    refuse("not valid JSON");
    refuse_header("", 3, "line 1, column 1");
    refuse_header("not json", 3, "not valid JSON");
    refuse_header("[1]", 3, "the header is not a JSON object");
    refuse_header("{\"__metadata__\":{\"k\":1}}", 0, "__metadata__.k: metadata values must be strings");
    refuse_header("{\"a\":7}", 3, "tensor \"a\": an object with the key \"dtype\" is needed");
}

static void refuses_lying_tensors(void **state)
{
    (void)state;
#define ENTRY(name, dtype, shape, offsets)                                                                   \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    refuse_header("{" ENTRY("q", "F32", "[2]", "[0,8]") "}", 7,
                  "tensor \"q\".data_offsets: [0, 8] lies outside the 7");
    refuse_header("{" ENTRY("q", "F32", "[2]", "[8,0]") "}", 8, "[8, 0] lies outside");
    refuse_header("{" ENTRY("q", "F32", "[2]", "[-8,0]") "}", 8, "[-8, 0] lies outside");
    refuse_header("{" ENTRY("q", "F32", "[2]", "[0,9007199254740993000]") "}", 8,
                  "outside the whole numbers");
    refuse_header("{" ENTRY("q", "F32", "[2]", "[0]") "}", 8, "2 offsets are needed, found 1");
    refuse_header("{" ENTRY("q", "F32", "[3]", "[0,8]") "}", 8,
                  "8 bytes between the offsets, but shape and dtype need 12");
    refuse_header("{" ENTRY("q", "F8_E4M3", "[8]", "[0,8]") "}", 8,
                  "tensor \"q\".dtype: \"F8_E4M3\" is not supported");
    refuse_header("{" ENTRY("q", "F32", "[-2]", "[0,8]") "}", 8,
                  "tensor \"q\".shape: the size -2 is negative");
    refuse_header("{" ENTRY("q", "F32", "[2.5]", "[0,10]") "}", 10, "shape[0]: a whole number is needed");
    refuse_header("{" ENTRY("q", "F32", "[4294967296,4294967296]", "[0,8]") "}", 8, "exceeds 63 bits");
    refuse_header("{" ENTRY("q", "F32", "[1,1,1,1,1,2]", "[0,8]") "}", 8, "6 elements, at most 5");
    refuse_header("{\"q\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "tensor \"q\".dtype: missing");
    refuse_header("{\"q\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "tensor \"q\".shape: missing");
    refuse_header("{\"q\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "tensor \"q\".data_offsets: missing");
    refuse_header("{" ENTRY("q", "U8", "[4]", "[0,4]") "," ENTRY("r", "U8", "[4]", "[3,7]") "}", 7,
                  "tensor \"r\" overlaps \"q\" at data byte 3");
    refuse_header("{" ENTRY("q", "U8", "[4]", "[0,4]") "," ENTRY("r", "U8", "[4]", "[0,4]") "}", 4,
                  "overlaps");
    refuse_header("{" ENTRY("q", "U8", "[4]", "[0,4]") "," ENTRY("r", "U8", "[4]", "[5,9]") "}", 9,
                  "data bytes 4 to 5 belong to no tensor (gap before \"r\")");
    refuse_header("{" ENTRY("q", "U8", "[4]", "[0,4]") "}", 6, "6 data bytes, but the tensors end at 4");
    refuse_header("{" ENTRY("q", "U8", "[2]", "[0,2]") "," ENTRY("q", "U8", "[2]", "[2,4]") "}", 4,
                  "the key \"q\" occurs twice");
#undef ENTRY
}

/* element i = 3 i + context, produced piecewise */
static enum qvl_status fill_ramp(void *context, int64_t first, int64_t count, void *elements,
                                 struct qvl_error *error)
{
    (void)error;
    int64_t *start = context;
    for (int64_t i = 0; i < count; i++)
        ((float *)elements)[i] = (float)(3 * (first + i) + *start);
    return QVL_OK;
}

static enum qvl_status fill_fails(void *context, int64_t first, int64_t count, void *elements,
                                  struct qvl_error *error)
{
    (void)context;
    (void)count;
    memset(elements, 0, 4);
    return first == 0 ? QVL_OK : qvl_fail(error, QVL_FAILED, "no more");
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    static const uint16_t half[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t byte[1] = {200};
    int64_t start = 5;
    const struct qvl_safetensors_tensor tensors[] = {
        {.name = "z", .dtype = QVL_U8, .rank = 0, .data = byte},
        {.name = "y\"q", .dtype = QVL_BF16, .rank = 2, .shape = {2, 3}, .data = half},
        /* more than one 1 MiB piece */
        {.name = "x", .dtype = QVL_F32, .rank = 1, .shape = {300001}, .fill = fill_ramp, .context = &start},
        {.name = "empty", .dtype = QVL_F64, .rank = 1, .shape = {0}},
    };
    const struct qvl_safetensors_metadata metadata[] = {{"format", "pt"}, {"k", "v \" w"}};
    for (int order = QVL_SAFETENSORS_SORTED; order <= QVL_SAFETENSORS_GIVEN; order++) {
        struct qvl_error error = {0};
        struct qvl_safetensors *file;
        struct qvl_file_map *map;
        if (qvl_safetensors_write(path, tensors, 4, metadata, 2, (enum qvl_safetensors_order)order, &error) !=
            QVL_OK)
            fail_msg("%s", error.message);
        assert_int_equal(qvl_file_map_create(path, &map, NULL), QVL_OK);
        assert_int_equal(map->data[0] % 8, 0);
        qvl_file_map_destroy(map);
        if (qvl_safetensors_open(path, &file, &error) != QVL_OK)
            fail_msg("%s", error.message);
        assert_int_equal(file->count, 4);
        assert_int_equal(*(const uint8_t *)qvl_safetensors_find(file, "z")->data, 200);
        assert_memory_equal(qvl_safetensors_find(file, "y\"q")->data, half, sizeof half);
        const float *x = qvl_safetensors_find(file, "x")->data;
        for (int i = 0; i < 300001; i++)
            if (x[i] != (float)(3 * i + 5))
                fail_msg("element %d", i);
        assert_string_equal(qvl_safetensors_metadata_find(file, "k"), "v \" w");
        qvl_safetensors_close(file);
    }
}

static void write_refusals(void **state)
{
    (void)state;
    static const uint8_t byte[1] = {200};
    struct qvl_error error = {0};
    struct qvl_safetensors_tensor two[2] = {{.name = "a", .dtype = QVL_U8, .data = byte},
                                            {.name = "a", .dtype = QVL_U8, .data = byte}};
    assert_int_equal(qvl_safetensors_write(path, two, 2, NULL, 0, QVL_SAFETENSORS_SORTED, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "\"a\" is listed twice"));
    two[1] = (struct qvl_safetensors_tensor){.name = "b", .dtype = QVL_U8, .rank = 1, .shape = {4}};
    assert_int_equal(qvl_safetensors_write(path, two, 2, NULL, 0, QVL_SAFETENSORS_SORTED, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "\"b\" has neither data nor fill"));
    two[1].shape[0] = -1;
    assert_int_equal(qvl_safetensors_write(path, two, 2, NULL, 0, QVL_SAFETENSORS_SORTED, &error), QVL_USAGE);
    assert_non_null(strstr(error.message, "\"b\" has an impossible shape"));
    two[1].name = "";
    assert_int_equal(qvl_safetensors_write(path, two, 2, NULL, 0, QVL_SAFETENSORS_SORTED, &error), QVL_USAGE);

    two[1] = (struct qvl_safetensors_tensor){
        .name = "b", .dtype = QVL_F32, .rank = 1, .shape = {1000000}, .fill = fill_fails};
    assert_int_equal(qvl_safetensors_write(path, two, 2, NULL, 0, QVL_SAFETENSORS_SORTED, &error),
                     QVL_FAILED);
    assert_string_equal(error.message, "no more");
    assert_false(qvl_file_exists(path)); /* and the teardown finds the folder empty */
}

/* Damaged files: the reader refuses or reads them, and every byte it hands out is inside the file. */
static void damaged_files(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                 "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[24,27]}}";
    static const char digits[] = "0123456789-.eE[]{},:\"\\";
    const uint64_t seed = 7;
    int opened = 0;
    uint8_t good[8 + sizeof header - 1 + 27] = {sizeof header - 1}, bytes[sizeof good];
    memcpy(good + 8, header, sizeof header - 1);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 1000; i++) {
        memcpy(bytes, good, sizeof good);
        size_t size = sizeof good;
        uint64_t changes = qvl_random_below(seed, i, 0, 3);
        for (uint64_t c = 0; c < changes; c++) {
            size_t at = (size_t)qvl_random_below(seed, i, 3 * c + 1, 8 + sizeof header - 1);
            uint64_t value = qvl_random_bits(seed, i, 3 * c + 2);
            bytes[at] = i % 2 ? (uint8_t)value : (uint8_t)digits[value % (sizeof digits - 1)];
        }
        if (i % 5 == 0)
            size = (size_t)qvl_random_below(seed, i, 99, sizeof good);
        FILE *out = fopen(path, "wb");
        assert_int_equal(fwrite(bytes, 1, size, out), size);
        fclose(out);
        struct qvl_error error = {0};
        struct qvl_safetensors *file = NULL;
        enum qvl_status status = qvl_safetensors_open(path, &file, &error);
        if (status != QVL_OK) {
            assert_int_equal(status, QVL_BAD_INPUT);
            assert_non_null(strstr(error.message, path));
            continue;
        }
        opened++;
        uint64_t sum = 0, total = 0;
        for (int64_t t = 0; t < file->count; t++) {
            const struct qvl_array *array = &file->entries[t].array;
            size_t count = (size_t)qvl_array_count(array) * qvl_dtype_bytes(array->dtype);
            total += count;
            for (size_t k = 0; k < count; k++)
                sum += ((const uint8_t *)array->data)[k];
        }
        assert_in_range(total, 0, sizeof good);
        assert_in_range(sum, 0, 255 * sizeof good);
        qvl_safetensors_close(file);
    }
    assert_in_range(opened, 50, 900); /* both outcomes are exercised */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_finds, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_lying_headers, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_lying_tensors, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(damaged_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(writes_what_it_reads, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(write_refusals, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
