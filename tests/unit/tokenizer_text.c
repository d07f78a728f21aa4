/* The steps before the merges: UTF-8, byte spelling, normalisation, split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/byte_level.h"
#include "model/normalise.h"
#include "model/pretoken.h"
#include "model/unicode_tables.h"
#include "model/utf8.h"

static void ill_formed_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *repaired;
        int64_t replaced;
    } cases[] = {
        {"plain", "plain", 0},
        {"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", 0},
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", 0},                                 /* U+10FFFF */
        {"\x80", "\xef\xbf\xbd", 1},                                                 /* stray continuation */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", 2},                                 /* overlong slash */
        {"a\xe4\xb8", "a\xef\xbf\xbd", 1},                                           /* cut at the end */
        {"\xe4\xb8!", "\xef\xbf\xbd!", 1},                                           /* cut in the middle */
        {"\xf0\x9f\x98\xf0\x9f", "\xef\xbf\xbd\xef\xbf\xbd", 2},                     /* two cut ones */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3},                 /* surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 4}, /* above U+10FFFF */
        {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3},                 /* overlong NUL */
        {"\xff\xc3(", "\xef\xbf\xbd\xef\xbf\xbd(", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qvl_bytes out = {.size = 0};
        char *text;
        assert_int_equal(qvl_utf8_append_repaired(&out, cases[i].text, strlen(cases[i].text)),
                         cases[i].replaced);
        assert_int_equal(qvl_bytes_take(&out, &text, NULL, NULL), QVL_OK);
        assert_string_equal(text, cases[i].repaired);
        free(text);
    }
}

static void every_code_point_reads_back(void **state)
{
    (void)state;
    struct qvl_bytes out = {.size = 0};
    for (uint32_t point = 0; point < 0x110000; point++) {
        uint32_t found;
        if (point >= 0xd800 && point < 0xe000)
            continue;
        out.size = 0;
        qvl_utf8_append(&out, point);
        assert_int_equal(qvl_utf8_decode(out.data, out.size, &found), out.size);
        assert_int_equal(found, point);
        assert_true(qvl_utf8_decode(out.data, out.size - 1 + (out.size == 1), &found) <= 1);
    }
    qvl_bytes_free(&out);
}

static void byte_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *spelling, *bytes;
        size_t size;
    } cases[] = {
        {"abc!~", "abc!~", 5},
        {"\xc4\xa0the", " the", 4},                      /* U+0120 is the space */
        {"\xc4\x80", "\0", 1},                           /* U+0100 is the zero byte */
        {"\xc4\x8a", "\n", 1},                           /* U+010A is the newline */
        {"\xc3\xa4\xc2\xb8\xc5\x83", "\xe4\xb8\xad", 3}, /* U+0143, the last, is 0xad */
        {"\xc4\xa1\xc5\x82", "\x7f\xa0", 2},             /* U+0121 and U+0142: 0x7f and 0xa0 */
        {"\xe4\xb8\xad!", "\xe4\xb8\xad!", 4},           /* no spelling: taken as it is */
        {"a b", "a b", 3},
        {"a\xc5\x84", "a\xc5\x84", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qvl_bytes out = {.size = 0};
        qvl_byte_level_decode(cases[i].spelling, strlen(cases[i].spelling), &out);
        assert_int_equal(out.size, cases[i].size);
        assert_memory_equal(out.data, cases[i].bytes, out.size);
        qvl_bytes_free(&out);
    }
}

static void assert_nfc(const char *text, const char *expected)
{
    struct qvl_bytes out = {.size = 0};
    char *found;
    assert_int_equal(qvl_normalise_nfc(text, strlen(text), &out, NULL), QVL_OK);
    assert_int_equal(qvl_bytes_take(&out, &found, NULL, NULL), QVL_OK);
    assert_string_equal(found, expected);
    free(found);
}

static void normalisation(void **state)
{
    (void)state;
    assert_nfc("", "");
    assert_nfc("plain <text>", "plain <text>");
    assert_nfc("e\xcc\x81", "\xc3\xa9"); /* e + acute */
    assert_nfc("xe\xcc\x81y", "x\xc3\xa9y");
    assert_nfc("\xe2\x84\xab", "\xc3\x85");                             /* angstrom sign: singleton */
    assert_nfc("q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87");               /* dots above and below: reordered */
    assert_nfc("d\xcc\x87\xcc\xa3", "\xe1\xb8\x8d\xcc\x87");            /* composes with the one below */
    assert_nfc("a\xcd\x84", "\xc3\xa4\xcc\x81");                        /* U+0344 is diaeresis and acute */
    assert_nfc("<\xcc\xb8", "\xe2\x89\xae");                            /* < + long solidus */
    assert_nfc("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"); /* jamo to han */
    assert_nfc("\xe0\xa4\x95\xe0\xa4\xbc", "\xe0\xa4\x95\xe0\xa4\xbc"); /* composition exclusion */
    assert_nfc("\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc");
    assert_nfc("\xf0\x91\xa4\xb5\xf0\x91\xa4\xb0", "\xf0\x91\xa4\xb5\xf0\x91\xa4\xb0"); /* Unicode 13 pair */
    /* U+1DF6 is younger than Unicode 9: it is not moved in front of U+0301, and stops composition. */
    assert_nfc("e\xe1\xb7\xb6\xcc\x81", "e\xe1\xb7\xb6\xcc\x81");
}

/* 2^18 alternating marks are put in order; an insertion sort would not come back. */
static void long_runs_of_marks(void **state)
{
    (void)state;
    enum { PAIRS = 1 << 18 };
    struct qvl_bytes text = {.size = 0}, out = {.size = 0};
    for (int i = 0; i < PAIRS; i++)
        qvl_bytes_append(&text, "\xcd\x85\xcc\xb4", 4); /* U+0345 (class 240), U+0334 (class 1) */
    assert_int_equal(qvl_normalise_nfc(text.data, text.size, &out, NULL), QVL_OK);
    assert_int_equal(out.size, text.size);
    for (size_t i = 0; i < out.size; i += 2)
        assert_memory_equal(out.data + i, i < out.size / 2 ? "\xcc\xb4" : "\xcd\x85", 2);
    qvl_bytes_free(&text);
    qvl_bytes_free(&out);
}

static void tables(void **state)
{
    (void)state;
    int64_t counts[4] = {0};
    for (size_t i = 0; i < qvl_unicode_classes_count; i++) {
        const struct qvl_unicode_range *range = &qvl_unicode_classes[i];
        assert_true(range->first <= range->last && (i == 0 || range[-1].last < range->first));
        counts[range->class] += range->last - range->first + 1;
    }
    assert_int_equal(counts[QVL_UNICODE_LETTER], 141028);
    assert_int_equal(counts[QVL_UNICODE_NUMBER], 1911);
    assert_int_equal(counts[QVL_UNICODE_SPACE], 25);
    for (size_t i = 1; i < qvl_unicode_nfc_active_count; i++)
        assert_true(qvl_unicode_nfc_active[i - 1].last < qvl_unicode_nfc_active[i].first);
}

/* Pieces of `text`, which must be those of the NULL-terminated list that follows. */
static void assert_pieces(const char *text, ...)
{
    size_t at = 0, size = strlen(text);
    va_list pieces;
    va_start(pieces, text);
    for (const char *piece = va_arg(pieces, const char *); piece; piece = va_arg(pieces, const char *)) {
        size_t length = at < size ? qvl_pretoken_next(text + at, size - at) : 0;
        if (length != strlen(piece) || memcmp(text + at, piece, length) != 0)
            fail_msg("at %zu: \"%.*s\" instead of \"%s\"", at, (int)length, text + at, piece);
        at += length;
    }
    va_end(pieces);
    assert_int_equal(at, size);
}

static void split(void **state)
{
    (void)state;
    assert_pieces("Hello world", "Hello", " world", NULL);
    assert_pieces("it's we'LL I'd'Ve 'x", "it", "'s", " we", "'LL", " I", "'d", "'Ve", " '", "x", NULL);
    assert_pieces("'\xc5\xbf' 'ree", "'\xc5\xbf", "'", " '", "ree", NULL); /* U+017F folds to s */
    assert_pieces("'ree 'x", "'re", "e", " '", "x", NULL);
    assert_pieces("'x", "'x", NULL);
    assert_pieces("ab12 3", "ab", "1", "2", " ", "3", NULL);
    assert_pieces("a  b   c", "a", " ", " b", "  ", " c", NULL);
    assert_pieces("a \n b\r\n\n  c", "a", " \n", " b", "\r\n\n", " ", " c", NULL);
    assert_pieces("a  ", "a", "  ", NULL);
    assert_pieces("  \n  ", "  \n", "  ", NULL);
    assert_pieces("x=1;\n\ny", "x", "=", "1", ";\n\n", "y", NULL);
    assert_pieces(" !! ?a", " !!", " ?", "a", NULL);
    assert_pieces("\ta\xc2\xa0"
                  "b\n"
                  "c",
                  "\ta",
                  "\xc2\xa0"
                  "b",
                  "\n", "c", NULL);
    assert_pieces("_foo-bar", "_foo", "-bar", NULL);
    assert_pieces("\xe4\xb8\xad\xef\xbc\x8c\xe6\x96\x87 \xd9\xa3", "\xe4\xb8\xad", "\xef\xbc\x8c\xe6\x96\x87",
                  " ", "\xd9\xa3", NULL);
    assert_pieces("e\xcc\x81x", "e", "\xcc\x81x", NULL);               /* a mark is no letter */
    assert_pieces("\xe2\x80\x8b \x1c", "\xe2\x80\x8b", " \x1c", NULL); /* no White_Space */
    assert_pieces("\xe3\x80\x80\xc2\x85"
                  "1",
                  "\xe3\x80\x80", "\xc2\x85", "1", NULL);
}

/* Pieces of random text cover it exactly; none is empty. */
static void split_covers_any_text(void **state)
{
    (void)state;
    const uint64_t seed = 11;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < 2000; round++) {
        struct qvl_bytes text = {.size = 0};
        for (uint64_t i = 0; i < 40; i++) {
            uint64_t top = UINT64_C(0x20) << 4 * qvl_random_below(seed, round, 3 * i, 4);
            uint32_t point = (uint32_t)qvl_random_below(seed, round, 3 * i + 1, top);
            qvl_utf8_append(&text, point >= 0xd800 && point < 0xe000 ? ' ' : point);
        }
        for (size_t at = 0; at < text.size;) {
            size_t length = qvl_pretoken_next(text.data + at, text.size - at);
            assert_true(length > 0 && length <= text.size - at);
            assert_int_equal(qvl_utf8_valid_prefix(text.data + at, length), length);
            at += length;
        }
        qvl_bytes_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ill_formed_parts),
                                       cmocka_unit_test(every_code_point_reads_back),
                                       cmocka_unit_test(byte_spelling),
                                       cmocka_unit_test(normalisation),
                                       cmocka_unit_test(long_runs_of_marks),
                                       cmocka_unit_test(tables),
                                       cmocka_unit_test(split),
                                       cmocka_unit_test(split_covers_any_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
