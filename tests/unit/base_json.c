#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static cJSON *tree;

static struct qvl_json parse(const char *text)
{
    struct qvl_error error = {0};
    if (qvl_json_parse(text, strlen(text), "t.json", &tree, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return qvl_json_at_root(tree, "t.json");
}

static void typed_values(void **state)
{
    (void)state;
    struct qvl_json root =
        parse("{\"a\":{\"n\":-7,\"d\":1.5e3,\"b\":true,\"s\":\"x\",\"z\":null},\"l\":[3,5,8]}");
    struct qvl_json a, list;
    int64_t n, values[3], count;
    double d;
    bool b;
    const char *s;
    assert_int_equal(qvl_json_object(&root, "a", &a, NULL), QVL_OK);
    assert_int_equal(qvl_json_int64(&a, "n", &n, NULL), QVL_OK);
    assert_int_equal(n, -7);
    assert_int_equal(qvl_json_int64(&a, "d", &n, NULL), QVL_OK);
    assert_int_equal(n, 1500);
    assert_int_equal(qvl_json_double(&a, "d", &d, NULL), QVL_OK);
    assert_true(d == 1500.0);
    assert_int_equal(qvl_json_bool(&a, "b", &b, NULL), QVL_OK);
    assert_true(b);
    assert_int_equal(qvl_json_string(&a, "s", &s, NULL), QVL_OK);
    assert_string_equal(s, "x");
    assert_int_equal(qvl_json_int64s(&root, "l", 3, values, &count, NULL), QVL_OK);
    assert_int_equal(count, 3);
    assert_int_equal(values[2], 8);
    assert_int_equal(qvl_json_array(&root, "l", &list, &count, NULL), QVL_OK);
    struct qvl_json item = qvl_json_item(&list, 1);
    assert_string_equal(item.path, "l[1]");
    assert_int_equal(qvl_json_int64(&item, NULL, &n, NULL), QVL_OK);
    assert_int_equal(n, 5);

    assert_true(qvl_json_has(&a, "n"));
    assert_false(qvl_json_has(&a, "z"));
    assert_false(qvl_json_has(&a, "q"));
    assert_int_equal(qvl_json_int64_or(&a, "z", 11, &n, NULL), QVL_OK);
    assert_int_equal(n, 11);
    assert_int_equal(qvl_json_double_or(&a, "q", 0.25, &d, NULL), QVL_OK);
    assert_true(d == 0.25);
    assert_int_equal(qvl_json_bool_or(&a, "b", false, &b, NULL), QVL_OK);
    assert_true(b);
    assert_int_equal(qvl_json_string_or(&a, "q", "dflt", &s, NULL), QVL_OK);
    assert_string_equal(s, "dflt");
    cJSON_Delete(tree);
}

static void expect(enum qvl_status status, const struct qvl_error *error, const char *message)
{
    assert_int_equal(status, QVL_BAD_INPUT);
    assert_string_equal(error->message, message);
}

static void errors_name_file_and_key(void **state)
{
    (void)state;
    struct qvl_error error = {0};
    struct qvl_json root =
        parse("{\"a\":{\"n\":1.5,\"h\":1e17,\"i\":1e999},\"l\":[1,\"x\"],\"s\":\"t\",\"z\":null}");
    struct qvl_json a;
    int64_t n, values[2], count;
    double d;
    bool b;
    const char *s;
    assert_int_equal(qvl_json_object(&root, "a", &a, &error), QVL_OK);
    expect(qvl_json_int64(&a, "n", &n, &error), &error, "t.json: a.n: a whole number is needed, found 1.5");
    expect(qvl_json_int64(&a, "h", &n, &error), &error,
           "t.json: a.h: 1e+17 is outside the whole numbers supported (+-2^53)");
    expect(qvl_json_double(&a, "i", &d, &error), &error, "t.json: a.i: the number is too large");
    expect(qvl_json_int64(&a, "q", &n, &error), &error, "t.json: a.q: missing, but required");
    expect(qvl_json_int64(&root, "z", &n, &error), &error, "t.json: z: missing, but required");
    expect(qvl_json_int64_or(&root, "s", 1, &n, &error), &error,
           "t.json: s: a number is needed, found a string");
    expect(qvl_json_bool(&root, "l", &b, &error), &error,
           "t.json: l: true or false is needed, found an array");
    expect(qvl_json_string(&root, "a", &s, &error), &error, "t.json: a: a string is needed, found an object");
    expect(qvl_json_object(&root, "s", &a, &error), &error, "t.json: s: an object is needed, found a string");
    expect(qvl_json_int64(&a, "deep", &n, &error), &error,
           "t.json: s: an object with the key \"deep\" is needed, found a string");
    expect(qvl_json_int64s(&root, "l", 2, values, &count, &error), &error,
           "t.json: l[1]: a number is needed, found a string");
    expect(qvl_json_int64s(&root, "l", 1, values, &count, &error), &error,
           "t.json: l: 2 elements, at most 1 are supported");
    expect(qvl_json_fail(&root, NULL, &error, "bad %d", 3), &error, "t.json: bad 3");
    cJSON_Delete(tree);
}

static void refuse(const char *text, size_t size, const char *message)
{
    struct qvl_error error = {0};
    cJSON *root = NULL;
    assert_int_equal(qvl_json_parse(text, size, "f", &root, &error), QVL_BAD_INPUT);
    assert_null(root);
    if (!strstr(error.message, message))
        fail_msg("\"%s\" does not contain \"%s\"", error.message, message);
}

static void refused_texts(void **state)
{
    (void)state;
    refuse("", 0, "f: line 1, column 1");
    refuse("{\"a\": 1,\n \"b\": tru}", 19, "f: line 2, column 7: not valid JSON");
    refuse("[1, 2", 5, "f: line 1");
    refuse("{} x", 4, "f: line 1, column 4: text after the end");
    refuse("\"a\0b\"", 5, "column 3: a zero byte");
    refuse("[\"\\u0000\"]", 10, "column 3: the character \\u0000");
    refuse("{\"k\":1,\"j\":2,\"k\":1}", 19, "the key \"k\" occurs twice");
    refuse("[[{\"k\":{\"m\":1,\"m\":2}}]]", 23, "the key \"m\" occurs twice");

    size_t depth = 1000000;
    char *bomb = malloc(depth);
    assert_non_null(bomb);
    memset(bomb, '[', depth);
    refuse(bomb, depth, "f: line 1, column 201: nested too deeply");
    free(bomb);
}

static void accepted_texts(void **state)
{
    (void)state;
    parse(" {\"a\": \"\\\\u0000 [[[\", \"A\": 1, \"\": []}\r\n\t ");
    cJSON_Delete(tree);
    char deep[2 * QVL_JSON_MAX_DEPTH + 1];
    memset(deep, '[', QVL_JSON_MAX_DEPTH);
    memset(deep + QVL_JSON_MAX_DEPTH, ']', QVL_JSON_MAX_DEPTH);
    deep[2 * QVL_JSON_MAX_DEPTH] = '\0';
    parse(deep);
    cJSON_Delete(tree);
}

static void files(void **state)
{
    (void)state;
    struct qvl_error error = {0};
    cJSON *root = NULL;
    assert_int_equal(qvl_json_read("/nonexistent.json", &root, &error), QVL_BAD_INPUT);
    assert_string_equal(error.message, "/nonexistent.json: no such file");
    assert_int_equal(qvl_json_read("CMakePresets.json", &root, &error), QVL_OK);
    assert_int_equal(cJSON_GetObjectItem(root, "version")->valueint, 3);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typed_values),  cmocka_unit_test(errors_name_file_and_key),
        cmocka_unit_test(refused_texts), cmocka_unit_test(accepted_texts),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
