#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/json_tree.h"

static void assert_dump_of(const char *json, size_t size, const char *expected)
{
    struct qvl_json_tree *tree;
    struct qvl_error error;
    struct qvl_bytes out = {.size = 0};
    char *text;
    if (qvl_json_tree_parse(json, size, "t", &tree, &error) != QVL_OK)
        fail_msg("%s", error.message);
    qvl_json_tree_dump(qvl_json_tree_root(tree), &out);
    assert_int_equal(qvl_bytes_take(&out, &text, NULL, NULL), QVL_OK);
    assert_string_equal(text, expected);
    free(text);
    qvl_json_tree_destroy(tree);
}

static void assert_dump(const char *json, const char *expected)
{
    assert_dump_of(json, strlen(json), expected);
}

/* Expected values by hand from the rules of Python's repr and json modules. */
static void numbers(void **state)
{
    (void)state;
    assert_dump("[0,-0,1,-12345678901234567890123]", "[0, 0, 1, -12345678901234567890123]");
    assert_dump("[1.0,1.50,-0.0,0.1]", "[1.0, 1.5, -0.0, 0.1]");
    assert_dump("[1e5,1E+2,2e-1,1e15,1e16,123456789012345680.0]",
                "[100000.0, 100.0, 0.2, 1000000000000000.0, 1e+16, 1.2345678901234568e+17]");
    assert_dump("[0.0001,0.00012,0.00001,1.5e-7,1e-100]", "[0.0001, 0.00012, 1e-05, 1.5e-07, 1e-100]");
    assert_dump("[3.141592653589793238,0.30000000000000004,100.25]",
                "[3.141592653589793, 0.30000000000000004, 100.25]");
    assert_dump("[5e-324,1.7976931348623157e308,1e400,-1e400,1e-400]",
                "[5e-324, 1.7976931348623157e+308, Infinity, -Infinity, 0.0]");
}

static void strings(void **state)
{
    (void)state;
    assert_dump("\"a\\/b\\u00e9\\ud83d\\ude00\"", "\"a/b\xc3\xa9\xf0\x9f\x98\x80\"");
    assert_dump("\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\x7f\"",
                "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\x7f\"");
    struct qvl_json_tree *tree;
    assert_int_equal(qvl_json_tree_parse("\"a\\u0000b\"", 10, "t", &tree, NULL), QVL_OK);
    assert_int_equal(qvl_json_tree_root(tree)->size, 3);
    assert_memory_equal(qvl_json_tree_root(tree)->text, "a\0b", 4);
    qvl_json_tree_destroy(tree);
}

static void containers(void **state)
{
    (void)state;
    assert_dump("\xef\xbb\xbf [ ]", "[]");
    assert_dump("{\r\n}", "{}");
    assert_dump("{\"b\":[1,{\"a\":null}],\"a\":[true,false]}",
                "{\"b\": [1, {\"a\": null}], \"a\": [true, false]}");
    assert_dump("{\"x\":1,\"y\":2,\"x\":{\"z\":3},\"\":4}",
                "{\"x\": {\"z\": 3}, \"y\": 2, \"\": 4}"); /* last wins */
    struct qvl_json_tree *tree;
    const char *json = "{\"x\":1,\n\"x\":[2]}";
    assert_int_equal(qvl_json_tree_parse(json, strlen(json), "t", &tree, NULL), QVL_OK);
    const struct qvl_json_node *root = qvl_json_tree_root(tree), *member = qvl_json_tree_member(root, "x");
    assert_int_equal(root->count, 2);
    assert_int_equal(member->kind, QVL_JSON_ARRAY);
    assert_int_equal(member->line, 2);
    assert_null(qvl_json_tree_member(root, "y"));
    assert_null(qvl_json_tree_member(member, "x"));
    assert_null(qvl_json_tree_member(NULL, "x"));
    qvl_json_tree_destroy(tree);
}

static void syntax_errors(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "f.json: line 1, column 1: a value is missing"},
        {"[1,\n 2,]", "line 2, column 4: a value is missing"},
        {"[1 2]", "line 1, column 4: a comma or closing bracket"},
        {"[1", "column 3: a comma or closing bracket"},
        {"{\"a\" 1}", "column 6: a colon"},
        {"{a:1}", "column 2: a key in quotes"},
        {"{\"a\":1,}", "column 8: a key in quotes"},
        {"[1] x", "column 5: more text"},
        {"nul", "a value is missing"},
        {"01", "column 2: more text"},
        {"1.", "digits behind its point"},
        {"-", "a value is missing"},
        {"1e+", "digits in its exponent"},
        {"NaN", "a value is missing"},
        {"\"abc", "column 5: the string has no end"},
        {"\"a\nb\"", "control characters"},
        {"\"\\x\"", "unknown escape"},
        {"\"\\u12g4\"", "four hexadecimal digits"},
        {"\"\\ud800\"", "lone surrogate"},
        {"\"\\udc00\"", "lone surrogate"},
        {"\"\\ud800\\u0041\"", "followed by a low one"},
        {"[\n\"\xff\"]", "line 2, column 2: not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qvl_json_tree *tree;
        struct qvl_error error;
        assert_int_equal(qvl_json_tree_parse(cases[i].json, strlen(cases[i].json), "f.json", &tree, &error),
                         QVL_BAD_INPUT);
        assert_null(tree);
        if (!strstr(error.message, cases[i].message))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].json, error.message, cases[i].message);
    }
}

static void depth(void **state)
{
    (void)state;
    char json[2 * QVL_JSON_TREE_MAX_DEPTH + 3];
    struct qvl_json_tree *tree;
    struct qvl_error error;
    for (size_t levels = QVL_JSON_TREE_MAX_DEPTH; levels <= QVL_JSON_TREE_MAX_DEPTH + 1; levels++) {
        memset(json, '[', levels);
        memset(json + levels, ']', levels);
        enum qvl_status status = qvl_json_tree_parse(json, 2 * levels, "t", &tree, &error);
        assert_int_equal(status, levels <= QVL_JSON_TREE_MAX_DEPTH ? QVL_OK : QVL_BAD_INPUT);
        qvl_json_tree_destroy(tree);
    }
    assert_non_null(strstr(error.message, "nested too deeply"));
}

/* Damaged text: an error or a tree whose dump parses again to the same dump. */
static void random_text(void **state)
{
    (void)state;
    static const char start[] = "{\"a\":[1,2.5e3,\"x\\u00e9\\n\",null,true],\"b\":{\"c\":{}}, \"d\" : -0.0}";
    const uint64_t seed = 3;
    int64_t parsed = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < 20000; round++) {
        char json[sizeof start], *first, *second;
        memcpy(json, start, sizeof start);
        for (uint64_t i = 0; i < 1 + round % 4; i++) {
            uint64_t at = qvl_random_below(seed, round, 2 * i, sizeof start - 1);
            uint64_t bits = qvl_random_bits(seed, round, 2 * i + 1);
            json[at] = bits & 256 ? "{}[]\",:\\0e-. \n"[bits % 14] : (char)bits;
        }
        struct qvl_json_tree *tree;
        if (qvl_json_tree_parse(json, sizeof start - 1, "t", &tree, NULL) != QVL_OK)
            continue;
        parsed++;
        struct qvl_bytes out = {.size = 0};
        size_t size;
        qvl_json_tree_dump(qvl_json_tree_root(tree), &out);
        assert_int_equal(qvl_bytes_take(&out, &first, &size, NULL), QVL_OK);
        qvl_json_tree_destroy(tree);
        if (!strstr(first, "Infinity")) {
            assert_int_equal(qvl_json_tree_parse(first, size, "t", &tree, NULL), QVL_OK);
            qvl_json_tree_dump(qvl_json_tree_root(tree), &out);
            assert_int_equal(qvl_bytes_take(&out, &second, NULL, NULL), QVL_OK);
            assert_string_equal(first, second);
            free(second);
            qvl_json_tree_destroy(tree);
        }
        free(first);
    }
    assert_true(parsed > 500 && parsed < 19500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers),    cmocka_unit_test(strings),
                                       cmocka_unit_test(containers), cmocka_unit_test(syntax_errors),
                                       cmocka_unit_test(depth),      cmocka_unit_test(random_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
