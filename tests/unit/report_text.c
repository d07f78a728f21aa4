/* reports/text.c and reports/values.c: clean text, numbers for machines and for people. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "reports/values.h"

static void assert_clean(const char *dirty, bool one_line, const char *expected)
{
    struct qvl_text text = {0};
    char *data;
    size_t size;
    qvl_text_clean(&text, dirty, one_line);
    assert_int_equal(qvl_text_take(&text, &data, &size, NULL), QVL_OK);
    assert_string_equal(data, expected);
    assert_int_equal(size, strlen(expected));
    free(data);
}

#define BAD "\xef\xbf\xbd"

static void ill_formed_text_becomes_replacement_characters(void **state)
{
    (void)state;
    assert_clean("", false, "");
    assert_clean("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", false, "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_clean("a\xff"
                 "b",
                 false, "a" BAD "b");
    assert_clean("\xc0\xaf", false, BAD BAD);                 /* overlong slash */
    assert_clean("\xe0\x80\x80", false, BAD BAD BAD);         /* overlong NUL */
    assert_clean("\xed\xa0\x80", false, BAD BAD BAD);         /* surrogate */
    assert_clean("\xf4\x90\x80\x80", false, BAD BAD BAD BAD); /* beyond U+10FFFF */
    assert_clean("\xe2\x82", false, BAD BAD);                 /* cut short */
    assert_clean("\xef\xbf\xbf", false, BAD);                 /* U+FFFF is not an XML character */
    assert_clean("a\x1b[31mb\n", false, "a" BAD "[31mb\n");
    assert_clean("a\tb\nc\x7f\xc2\x9b", true, "a b c" BAD BAD);
}

static void buffers_grow_and_empty(void **state)
{
    (void)state;
    struct qvl_text text = {0};
    char *data;
    size_t size;
    for (int i = 0; i < 1000; i++)
        qvl_text_print(&text, "%03d,", i);
    qvl_text_repeat(&text, '-', 5);
    qvl_text_add(&text, "a\0b", 3);
    assert_int_equal(qvl_text_take(&text, &data, &size, NULL), QVL_OK);
    assert_int_equal(size, 4008);
    assert_memory_equal(data + 3996, "999,-----a\0b", 13);
    assert_null(text.data);
    free(data);
    text.failed = true;
    assert_int_equal(qvl_text_take(&text, &data, &size, NULL), QVL_NO_MEMORY);
    qvl_text_free(NULL);
    assert_int_equal(qvl_text_width("h\xc3\xa9\xe2\x82\xac"), 3);
}

/* A field with a value, and its two texts. */
static void assert_texts(struct qvl_field field, const char *exact, const char *human, const char *with_unit)
{
    struct qvl_text text = {0};
    qvl_value_exact(&text, &field);
    assert_string_equal(text.data ? text.data : "", exact);
    qvl_text_free(&text);
    qvl_value_human(&text, &field, false);
    assert_string_equal(text.data, human);
    qvl_text_free(&text);
    qvl_value_human(&text, &field, true);
    assert_string_equal(text.data, with_unit);
    qvl_text_free(&text);
}

static struct qvl_field integer(int64_t value, char *unit)
{
    return (struct qvl_field){
        .type = QVL_FIELD_INT, .provenance = QVL_FROM_MEASURED, .unit = unit, .value.integer = value};
}

static struct qvl_field real(double value, char *unit)
{
    return (struct qvl_field){
        .type = QVL_FIELD_REAL, .provenance = QVL_FROM_MEASURED, .unit = unit, .value.real = value};
}

static void numbers_are_exact_for_machines_and_short_for_people(void **state)
{
    (void)state;
    assert_texts(integer(INT64_MAX, NULL), "9223372036854775807", "9223372036854775807",
                 "9223372036854775807");
    assert_texts(integer(8192, "token"), "8192", "8192", "8192 token");
    assert_texts(integer(9999, "FLOP"), "9999", "9999", "9999 FLOP");
    assert_texts(integer(13214567890123, "FLOP"), "13214567890123", "13.21 T", "13.21 TFLOP");
    assert_texts(integer(999960, "FLOP"), "999960", "1.000 M", "1.000 MFLOP");
    assert_texts(integer(999940, "FLOP"), "999940", "999.9 k", "999.9 kFLOP");
    assert_texts(integer(8767123696, "parameter"), "8767123696", "8.767 G", "8.767 G");
    assert_texts(integer(4096, "B"), "4096", "4096 B", "4096 B");
    assert_texts(integer(1536L * 1024 * 1024, "B"), "1610612736", "1.500 GiB", "1.500 GiB");
    assert_texts(real(2.5e9, "FLOP/token"), "2500000000", "2.500 G", "2.500 GFLOP/token");
    assert_texts(real(1e21, "FLOP"), "1e+21", "1.000 Z", "1.000 ZFLOP");
    assert_texts(real(1e27, "FLOP"), "1e+27", "1000 Y", "1000 YFLOP");
    assert_texts(real(0.1, NULL), "0.1", "0.1", "0.1");
    assert_texts(real(1.0 / 3, "1"), "0.3333333333333333", "0.3333", "0.3333");
    assert_texts(real(0.00123456, "s"), "0.00123456", "1.235 ms", "1.235 ms");
    assert_texts(real(75.25, "s"), "75.25", "75.25 s", "75.25 s");
    assert_texts(real(0, "s"), "0", "0 s", "0 s");
    assert_texts(real(29.97, "Hz"), "29.97", "29.97 Hz", "29.97 Hz");
    assert_texts(real((double)NAN, "FLOP"), "NaN", "NaN", "NaN FLOP");
    assert_texts(real(-(double)INFINITY, NULL), "-Infinity", "-Infinity", "-Infinity");
}

static void other_values(void **state)
{
    (void)state;
    int64_t grid[9] = {1, 68, 120, 4, 5, 6, 7, 8, 9};
    double pair[2] = {0.5, 1e-3};
    struct qvl_field field = {.type = QVL_FIELD_INTS, .count = 3, .unit = "patch", .value.integers = grid};
    assert_texts(field, "1 68 120", "[1, 68, 120]", "[1, 68, 120] patch");
    field.count = 9;
    assert_texts(field, "1 68 120 4 5 6 7 8 9", "[1, 68, 120, 4, 5, 6, ... 9 in all]",
                 "[1, 68, 120, 4, 5, 6, ... 9 in all] patch");
    field = (struct qvl_field){.type = QVL_FIELD_REALS, .count = 2, .unit = "s", .value.reals = pair};
    assert_texts(field, "0.5 0.001", "[0.5, 0.001] s", "[0.5, 0.001] s");
    field = (struct qvl_field){.type = QVL_FIELD_FLAG, .value.flag = true};
    assert_texts(field, "true", "yes", "yes");
    field = (struct qvl_field){.type = QVL_FIELD_TEXT, .value.text = (char *)"two\nlines"};
    assert_texts(field, "two\nlines", "two lines", "two lines");
    field.provenance = QVL_FROM_NOT_DONE;
    assert_texts(field, "", "not done", "not done");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ill_formed_text_becomes_replacement_characters),
        cmocka_unit_test(buffers_grow_and_empty),
        cmocka_unit_test(numbers_are_exact_for_machines_and_short_for_people),
        cmocka_unit_test(other_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
