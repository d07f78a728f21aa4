/* The tokenizer against ids and decoded texts of the original. tokenizer.py makes the records and documents
 * them. QVL_TOKENIZER_FOLDER names another folder of the same form, such as the one that `tokenizer.py real`
 * writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above
#include <cmocka.h>

#include <stdlib.h>

#include "base/file.h"
#include "model/tokenizer.h"

#define MOST_SHOWN 10

struct reader {
    const uint8_t *data;
    size_t size, at;
};

static uint64_t read_number(struct reader *reader)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        assert_true(reader->at < reader->size && shift < 63);
        uint8_t byte = reader->data[reader->at++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

static uint32_t read_crc(struct reader *reader)
{
    assert_true(reader->size - reader->at >= 4);
    const uint8_t *byte = reader->data + reader->at;
    reader->at += 4;
    return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

static uint32_t crc32(const char *text, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)text[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
    }
    return ~crc;
}

static struct qvl_tokenizer *load(const char *folder)
{
    struct qvl_error error;
    struct qvl_tokenizer *tokenizer;
    if (qvl_tokenizer_load(folder, &tokenizer, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return tokenizer;
}

static bool decodes_to(const struct qvl_tokenizer *tokenizer, const int64_t *ids, int64_t count, bool skip,
                       uint32_t crc)
{
    char *text;
    size_t size;
    assert_int_equal(qvl_tokenizer_decode(tokenizer, ids, count, skip, &text, &size, NULL), QVL_OK);
    bool same = crc32(text, size) == crc;
    free(text);
    return same;
}

/* Reads one record and returns what differs, or NULL. */
static const char *compare_record(const struct qvl_tokenizer *tokenizer, struct reader *reader)
{
    size_t size = read_number(reader);
    assert_true(size <= reader->size - reader->at);
    const char *text = (const char *)reader->data + reader->at;
    reader->at += size;
    int64_t *ids, count, replaced;
    assert_int_equal(qvl_tokenizer_encode(tokenizer, text, size, &ids, &count, &replaced, NULL), QVL_OK);
    const char *wrong = replaced == (int64_t)read_number(reader) ? NULL : "number of replaced parts";
    int64_t expected = (int64_t)read_number(reader);
    bool same = count == expected;
    for (int64_t i = 0; i < expected; i++) {
        int64_t id = (int64_t)read_number(reader);
        same = same && ids[i] == id;
    }
    if (!same)
        wrong = "ids";
    uint32_t whole = read_crc(reader), skipped = read_crc(reader);
    if (same && !decodes_to(tokenizer, ids, count, false, whole))
        wrong = "decoded text";
    if (same && !decodes_to(tokenizer, ids, count, true, skipped))
        wrong = "decoded text without special tokens";
    free(ids);
    return wrong;
}

static void compare_file(const char *name, int64_t fewest)
{
    const char *named = getenv("QVL_TOKENIZER_FOLDER"), *folder = named ? named : "tests/golden/tokenizer";
    struct qvl_tokenizer *tokenizer = load(folder);
    char path[4096], *data;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(qvl_file_read(path, (size_t)256 << 20, &data, &size, NULL), QVL_OK);
    struct reader reader = {.data = (const uint8_t *)data, .size = size};
    int64_t records = 0, failures = 0;
    for (; reader.at < reader.size; records++) {
        const char *wrong = compare_record(tokenizer, &reader);
        if (wrong && failures++ < MOST_SHOWN)
            print_error("%s: record %lld: %s\n", path, (long long)records, wrong);
    }
    print_message("%s: %lld of %lld records equal\n", path, (long long)(records - failures),
                  (long long)records);
    free(data);
    qvl_tokenizer_destroy(tokenizer);
    assert_true(records >= fewest);
    assert_int_equal(failures, 0);
}

static void lines_equal_the_original(void **state)
{
    (void)state;
    compare_file("lines.bin", 10000);
}

static void ill_formed_text_equals_python_replace(void **state)
{
    (void)state;
    compare_file("invalid.bin", 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_equal_the_original),
                                       cmocka_unit_test(ill_formed_text_equals_python_replace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
