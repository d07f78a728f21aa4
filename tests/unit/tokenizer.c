/* Merges, added tokens, and the files they come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above
#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "model/bpe.h"
#include "model/normalise.h"
#include "model/pretoken.h"
#include "model/tokenizer.h"
#include "model/utf8.h"

#define BYTES_LEVEL "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/qvl_tokenizer_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[400];
    DIR *handle = opendir(folder);
    for (struct dirent *entry = readdir(handle); entry; entry = readdir(handle)) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(handle);
    return rmdir(folder);
}

static void write_file(const char *name, const char *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(qvl_file_write(path, data, size, NULL), QVL_OK);
}

/* "key": value pairs of all 256 bytes with ids 0..255, then `more`. */
static void append_vocabulary(struct qvl_bytes *out, const char *more)
{
    int other = 256;
    for (int byte = 0; byte < 256; byte++) {
        bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        char id[32];
        qvl_bytes_text(out, byte ? ",\"" : "\"");
        if (byte == '"' || byte == '\\')
            qvl_bytes_text(out, "\\");
        qvl_utf8_append(out, (uint32_t)(printable ? byte : other++));
        snprintf(id, sizeof id, "\":%d", byte);
        qvl_bytes_text(out, id);
    }
    qvl_bytes_text(out, more);
}

/* A tokenizer.json; NULL stands for a part as it should be. */
struct parts {
    const char *vocabulary; /* further entries, or the whole object when it starts with { */
    const char *merges, *added, *normalizer, *pattern, *model;
};

static void write_tokenizer(struct parts parts)
{
    struct qvl_bytes text = {.size = 0};
    char *data;
    size_t size;
    const char *vocabulary = parts.vocabulary ? parts.vocabulary : "";
    qvl_bytes_text(&text, "{\"added_tokens\":[");
    qvl_bytes_text(&text, parts.added ? parts.added : "");
    qvl_bytes_text(&text, "],\"normalizer\":");
    qvl_bytes_text(&text, parts.normalizer ? parts.normalizer : "{\"type\":\"NFC\"}");
    qvl_bytes_text(
        &text,
        ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
        "\"Regex\":\"");
    for (const char *at = parts.pattern ? parts.pattern : qvl_pretoken_pattern; *at; at++) {
        qvl_bytes_text(&text, *at == '\\' ? "\\" : "");
        qvl_bytes_append(&text, at, 1);
    }
    qvl_bytes_text(&text, "\"}}," BYTES_LEVEL "]},\"model\":{\"type\":");
    qvl_bytes_text(&text, parts.model ? parts.model : "\"BPE\"");
    qvl_bytes_text(&text, ",\"vocab\":");
    if (vocabulary[0] == '{') {
        qvl_bytes_text(&text, vocabulary);
    } else {
        qvl_bytes_text(&text, "{");
        append_vocabulary(&text, vocabulary);
        qvl_bytes_text(&text, "}");
    }
    qvl_bytes_text(&text, ",\"merges\":");
    qvl_bytes_text(&text, parts.merges ? parts.merges : "[]");
    qvl_bytes_text(&text, "}}");
    assert_int_equal(qvl_bytes_take(&text, &data, &size, NULL), QVL_OK);
    write_file("tokenizer.json", data, size);
    free(data);
}

static struct qvl_tokenizer *load(void)
{
    struct qvl_tokenizer *tokenizer;
    struct qvl_error error;
    if (qvl_tokenizer_load(folder, &tokenizer, &error) != QVL_OK)
        fail_msg("%s", error.message);
    return tokenizer;
}

static void assert_ids_of(const struct qvl_tokenizer *tokenizer, const char *text, size_t size,
                          const int64_t *expected, int64_t expected_count)
{
    int64_t *ids, count, replaced;
    assert_int_equal(qvl_tokenizer_encode(tokenizer, text, size, &ids, &count, &replaced, NULL), QVL_OK);
    assert_int_equal(replaced, 0);
    assert_int_equal(count, expected_count);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(ids[i], expected[i]);
    free(ids);
}

#define ASSERT_IDS(tokenizer, text, ...)                                                                     \
    do {                                                                                                     \
        const int64_t ids_[] = {__VA_ARGS__};                                                                \
        assert_ids_of(tokenizer, text, strlen(text), ids_, sizeof ids_ / sizeof *ids_);                      \
    } while (0)

#define ABC_VOCABULARY ",\"bc\":300,\"ab\":301,\"abc\":302,\"aa\":303,\"aaaa\":304,\"\\u0120a\":305"
#define ABC_MERGES "[\"b c\",\"a b\",[\"ab\",\"c\"],\"a a\",\"aa aa\",[\"\\u0120\",\"a\"]]"

static void merges_by_rank(void **state)
{
    (void)state;
    write_tokenizer((struct parts){.vocabulary = ABC_VOCABULARY, .merges = ABC_MERGES});
    struct qvl_tokenizer *tokenizer = load();
    ASSERT_IDS(tokenizer, "abc", 'a', 300); /* b c comes first, so abc is never made */
    ASSERT_IDS(tokenizer, "ab", 301);
    ASSERT_IDS(tokenizer, "abab", 301, 301);
    ASSERT_IDS(tokenizer, "aaa", 303, 'a'); /* leftmost first */
    ASSERT_IDS(tokenizer, "aaaaaaa", 304, 303, 'a');
    ASSERT_IDS(tokenizer, "aab", 'a', 301); /* a b outranks a a */
    ASSERT_IDS(tokenizer, "a a", 'a', 305);
    ASSERT_IDS(tokenizer, "ab1bc", 301, '1', 300); /* pieces do not merge over the split */
    assert_ids_of(tokenizer, "", 0, NULL, 0);
    assert_ids_of(tokenizer, "a\0b", 3, (int64_t[]){'a', 0, 'b'}, 3);
    assert_int_equal(qvl_tokenizer_vocabulary(tokenizer), 306);
    assert_int_equal(qvl_tokenizer_id(tokenizer, " a"), 305);
    assert_int_equal(qvl_tokenizer_id(tokenizer, "zz"), -1);
    qvl_tokenizer_destroy(tokenizer);
}

#define ADDED(id, content, special)                                                                          \
    "{\"id\":" #id ",\"content\":\"" content "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"   \
    "\"normalized\":false,\"special\":" #special "}"

static void added_tokens_are_cut_first(void **state)
{
    (void)state;
    write_tokenizer((struct parts){
        .vocabulary = ABC_VOCABULARY,
        .merges = ABC_MERGES,
        .added = ADDED(400, "<s>", true) "," ADDED(402, "<s>a", false) "," ADDED(301, "ab", false)});
    struct qvl_tokenizer *tokenizer = load();
    ASSERT_IDS(tokenizer, "<s>", 400);
    ASSERT_IDS(tokenizer, "<S>", '<', 'S', '>');
    ASSERT_IDS(tokenizer, "<s>ab", 402, 'b'); /* of two that start together the longer */
    ASSERT_IDS(tokenizer, "aab", 'a', 301);
    ASSERT_IDS(tokenizer, "a<s>b", 'a', 400, 'b');
    ASSERT_IDS(tokenizer, "<<s><s", '<', 400, '<', 's');
    ASSERT_IDS(tokenizer, "<s>\xcc\xb8", 400, 0xcc, 0xb8); /* U+0338 does not fuse with the > */
    ASSERT_IDS(tokenizer, ">\xcc\xb8", 0xe2, 0x89, 0xaf);
    ASSERT_IDS(tokenizer, "1  <s>", '1', ' ', ' ', 400); /* the segment ends before the token */
    qvl_tokenizer_destroy(tokenizer);
}

static void assert_decodes(const struct qvl_tokenizer *tokenizer, const int64_t *ids, int64_t count,
                           bool skip, const char *expected)
{
    char *text;
    size_t size;
    assert_int_equal(qvl_tokenizer_decode(tokenizer, ids, count, skip, &text, &size, NULL), QVL_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(text, expected);
    free(text);
}

static void decoding(void **state)
{
    (void)state;
    write_tokenizer((struct parts){.vocabulary = ABC_VOCABULARY,
                                   .merges = ABC_MERGES,
                                   .added = ADDED(400, "<s>", true) "," ADDED(401, "<t>", false)});
    struct qvl_tokenizer *tokenizer = load();
    const int64_t ids[] = {400, 301, 401, 305, 350, -1, 999999, INT64_MAX, INT64_MIN, 0xe4, 0xb8};
    assert_decodes(tokenizer, ids, 11, false, "<s>ab<t> a\xe4\xb8"); /* part of a character stays as bytes */
    assert_decodes(tokenizer, ids, 11, true, "ab<t> a\xe4\xb8");
    assert_decodes(tokenizer, NULL, 0, false, "");
    qvl_tokenizer_destroy(tokenizer);
}

/* vocab.json, merges.txt and tokenizer_config.json give the same tokenizer. */
static void split_files(void **state)
{
    (void)state;
    static const char merges[] = "#version: 0.2\nb c\r\na b\nab c\n\na a\naa aa\n\xc4\xa0 a";
    static const char config[] =
        "{\"added_tokens_decoder\":{\"400\":{\"content\":\"<s>\",\"special\":true}}}";
    char path[128], *data;
    struct qvl_bytes vocabulary = {.size = 0};
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    unlink(path);
    qvl_bytes_text(&vocabulary, "{");
    append_vocabulary(&vocabulary, ABC_VOCABULARY "}");
    assert_int_equal(qvl_bytes_take(&vocabulary, &data, NULL, NULL), QVL_OK);
    write_file("vocab.json", data, strlen(data));
    write_file("merges.txt", merges, sizeof merges - 1);
    write_file("tokenizer_config.json", config, sizeof config - 1);
    free(data);
    struct qvl_tokenizer *tokenizer = load();
    ASSERT_IDS(tokenizer, "aaaaaaa<s>abc a", 304, 303, 'a', 400, 'a', 300, 305);
    assert_decodes(tokenizer, (int64_t[]){400, 301}, 2, true, "ab");
    qvl_tokenizer_destroy(tokenizer);
}

static void assert_refused(const char *what)
{
    struct qvl_tokenizer *tokenizer;
    struct qvl_error error;
    assert_int_equal(qvl_tokenizer_load(folder, &tokenizer, &error), QVL_BAD_INPUT);
    assert_null(tokenizer);
    if (!strstr(error.message, what) || !strstr(error.message, folder))
        fail_msg("\"%s\" does not name \"%s\" and the folder", error.message, what);
}

static void bad_tokenizer_files(void **state)
{
    (void)state;
    static const struct {
        struct parts parts;
        const char *message;
    } cases[] = {
        {{.model = "\"Unigram\""}, "tokenizer.json: model.type: \"Unigram\""},
        {{.model = "\"BPE\",\"byte_fallback\":true"}, "model.byte_fallback: true"},
        {{.model = "\"BPE\",\"ignore_merges\":true"}, "model.ignore_merges: true"},
        {{.normalizer = "null"}, "normalizer"},
        {{.normalizer = "{\"type\":\"NFKC\"}"}, "normalizer.type: \"NFKC\""},
        {{.pattern = "\\s+"}, "Regex: not the pattern"},
        {{.vocabulary = "{\"a\":0}"}, "no token for the byte 0x00"},
        {{.vocabulary = ",\"ab\":97"}, "token \"ab\": two tokens have id 97"},
        {{.vocabulary = ",\"ab\":-1"}, "token \"ab\": its id is not an integer"},
        {{.vocabulary = ",\"ab\":300.5"}, "token \"ab\": its id is not an integer"},
        {{.vocabulary = ",\"ab\":1e300"}, "token \"ab\": its id is not an integer"},
        {{.vocabulary = ",\"ab\":\"300\""}, "token \"ab\": its id is not an integer"},
        {{.vocabulary = ",\"\":300"}, "token \"\": a token of 0 bytes"},
        {{.vocabulary = ",\"ab\":300,\"ab\":301"}, "ab"},
        {{.merges = "[\"a b\"]"}, "model.merges[0]: merge of rank 0: the merged token"},
        {{.merges = "[[\"ab\",\"c\"]]"}, "model.merges[0]: merge of rank 0: its left half"},
        {{.merges = "[[\"c\",\"ab\"]]"}, "its right half"},
        {{.vocabulary = ",\"ab\":300", .merges = "[\"a b\",\"a b\"]"},
         "model.merges[1]: merge of rank 1: the same"},
        {{.merges = "[\"ab\"]"}, "model.merges[0]: must be"},
        {{.merges = "[\"a b c\"]"}, "model.merges[0]: must be"},
        {{.merges = "[[\"a\"]]"}, "model.merges[0]: must be"},
        {{.merges = "[7]"}, "model.merges[0]: must be"},
        {{.merges = "{}"}, "model.merges"},
        {{.added = "{\"id\":300}"}, "added_tokens[0].content"},
        {{.added = "{\"content\":\"<s>\"}"}, "added_tokens[0].id"},
        {{.added = "{\"id\":300,\"content\":\"\"}"}, "added token \"\""},
        {{.added = "{\"id\":97,\"content\":\"<s>\"}"}, "added token \"<s>\": two tokens have id 97"},
        {{.added = "{\"id\":300,\"content\":\"a\"}"}, "\"a\" has id 300 here and 97 elsewhere"},
        {{.added = "{\"id\":300,\"content\":\"<s>\",\"lstrip\":true}"}, "added_tokens[0].lstrip: true"},
        {{.added = "{\"id\":300,\"content\":\"<s>\",\"normalized\":true}"},
         "added_tokens[0].normalized: true"},
        {{.added = "{\"id\":9007199254740992,\"content\":\"<s>\"}"}, "added_tokens[0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_tokenizer(cases[i].parts);
        assert_refused(cases[i].message);
    }
}

static void missing_and_broken_files(void **state)
{
    (void)state;
    char path[128];
    assert_refused("no tokenizer: neither tokenizer.json nor vocab.json");
    write_file("tokenizer.json", "{\"model\":", 9);
    assert_refused("tokenizer.json: line 1");
    write_file("tokenizer.json", "{}", 2);
    assert_refused("tokenizer.json: model");
    write_tokenizer((struct parts){.model = NULL});
    write_file("tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{}}}", 33);
    assert_refused("tokenizer_config.json: added_tokens_decoder.x");
    write_file("tokenizer_config.json", "{\"added_tokens_decoder\":{\"97\":{\"content\":\"b\"}}}", 47);
    assert_refused("\"b\" has id 97 here and 98 elsewhere");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    unlink(path);
    struct qvl_bytes vocabulary = {.size = 0};
    qvl_bytes_text(&vocabulary, "{");
    append_vocabulary(&vocabulary, "}");
    write_file("vocab.json", vocabulary.data, vocabulary.size);
    qvl_bytes_free(&vocabulary);
    assert_refused("merges.txt: no such file");
    write_file("merges.txt", "#version: 0.2\n\na b c\n", 21);
    assert_refused("merges.txt: line 3: must be two tokens");
    write_file("merges.txt", "a b\n", 4);
    assert_refused("merges.txt: line 1: merge of rank 0: the merged token is not in the vocabulary");
    write_file("merges.txt", "", 0);
    write_file("tokenizer_config.json", "{}", 2);
    assert_refused("tokenizer_config.json: added_tokens_decoder");
}

/* Merging by repeated search, as the definition says. */
static int64_t merge_plainly(const struct qvl_bpe *bpe, char merges[][2][16], int64_t merge_count,
                             const char *piece, int64_t *ids)
{
    char parts[64][16];
    int64_t count = (int64_t)strlen(piece);
    for (int64_t i = 0; i < count; i++)
        snprintf(parts[i], sizeof parts[i], "%c", piece[i]);
    for (int64_t rank = 0; rank < merge_count;) {
        int64_t at = 0;
        while (at + 1 < count &&
               (strcmp(parts[at], merges[rank][0]) != 0 || strcmp(parts[at + 1], merges[rank][1]) != 0))
            at++;
        if (at + 1 >= count) {
            rank++;
            continue;
        }
        size_t length = strlen(parts[at]);
        snprintf(parts[at] + length, sizeof parts[at] - length, "%s", merges[rank][1]);
        memmove(parts[at + 1], parts[at + 2], sizeof parts[0] * (size_t)(count - at - 2));
        count--;
        rank = 0;
    }
    for (int64_t i = 0; i < count; i++)
        ids[i] = qvl_bpe_id(bpe, parts[i], strlen(parts[i]));
    return count;
}

/* A vocabulary of random merges over two letters; returns how many were made. */
static int64_t make_random_merges(struct qvl_bpe *bpe, uint64_t seed, uint64_t round, char merges[][2][16])
{
    char tokens[64][16] = {"a", "b"};
    int64_t token_count = 2, merge_count = 0;
    for (int byte = 0; byte < 256; byte++) {
        char value = (char)byte;
        assert_int_equal(qvl_bpe_add_token(bpe, &value, 1, byte, NULL), QVL_OK);
    }
    for (uint64_t i = 0; i < 60; i++) {
        const char *left = tokens[qvl_random_below(seed, round, 2 * i, (uint64_t)token_count)];
        const char *right = tokens[qvl_random_below(seed, round, 2 * i + 1, (uint64_t)token_count)];
        char joined[32];
        snprintf(joined, sizeof joined, "%s%s", left, right);
        if (strlen(joined) >= 15)
            continue;
        if (qvl_bpe_id(bpe, joined, strlen(joined)) < 0) {
            assert_int_equal(qvl_bpe_add_token(bpe, joined, strlen(joined), 256 + token_count, NULL), QVL_OK);
            memcpy(tokens[token_count++], joined, 16);
        }
        if (qvl_bpe_add_merge(bpe, left, strlen(left), right, strlen(right), NULL) != QVL_OK)
            continue; /* the same pair once more */
        memcpy(merges[merge_count][0], left, 16);
        memcpy(merges[merge_count++][1], right, 16);
    }
    return merge_count;
}

static void heap_merges_like_the_definition(void **state)
{
    (void)state;
    const uint64_t seed = 5;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < 200; round++) {
        char merges[64][2][16] = {{{0}}}, piece[64];
        struct qvl_bpe *bpe;
        assert_int_equal(qvl_bpe_create(&bpe, NULL), QVL_OK);
        int64_t merge_count = make_random_merges(bpe, seed, 2 * round, merges);
        for (uint64_t sample = 0; sample < 20; sample++) {
            struct qvl_bpe_work work = {.count = 0};
            int64_t expected[64];
            uint64_t bits = qvl_random_bits(seed, 2 * round + 1, sample), length = 1 + bits % 60;
            for (uint64_t i = 0; i < length; i++)
                piece[i] = bits >> i & 1 ? 'a' : 'b';
            piece[length] = '\0';
            int64_t count = merge_plainly(bpe, merges, merge_count, piece, expected);
            assert_int_equal(qvl_bpe_encode(bpe, piece, length, &work, NULL), QVL_OK);
            assert_int_equal(work.count, count);
            assert_memory_equal(work.ids, expected, (size_t)count * sizeof *expected);
            qvl_bpe_work_free(&work);
        }
        qvl_bpe_destroy(bpe);
    }
}

/* Pieces of a megabyte: anything quadratic would run for hours. */
static void long_pieces(void **state)
{
    (void)state;
    const size_t size = (size_t)1 << 20;
    char *text = malloc(size);
    write_tokenizer((struct parts){.vocabulary = ABC_VOCABULARY, .merges = ABC_MERGES});
    struct qvl_tokenizer *tokenizer = load();
    int64_t *ids, count;
    memset(text, 'a', size);
    assert_int_equal(qvl_tokenizer_encode(tokenizer, text, size, &ids, &count, NULL, NULL), QVL_OK);
    assert_int_equal(count, size / 4);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(ids[i], 304);
    free(ids);
    memset(text, ' ', size);
    text[size - 1] = 'a';
    assert_int_equal(qvl_tokenizer_encode(tokenizer, text, size, &ids, &count, NULL, NULL), QVL_OK);
    assert_int_equal(count, size - 1);
    assert_int_equal(ids[count - 1], 305);
    free(ids);
    free(text);
    qvl_tokenizer_destroy(tokenizer);
}

/* Random bytes: never a crash; what comes back is the repaired text in form C. */
static void random_bytes(void **state)
{
    (void)state;
    const uint64_t seed = 77;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct qvl_error error;
    struct qvl_tokenizer *tokenizer;
    assert_int_equal(qvl_tokenizer_load("tests/golden/tokenizer", &tokenizer, &error), QVL_OK);
    for (uint64_t round = 0; round < 3000; round++) {
        char bytes[48], *text;
        size_t size = qvl_random_below(seed, round, 0, sizeof bytes), decoded;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)qvl_random_bits(seed, round, 1 + i);
        int64_t *ids, count, replaced;
        assert_int_equal(qvl_tokenizer_encode(tokenizer, bytes, size, &ids, &count, &replaced, NULL), QVL_OK);
        assert_int_equal(qvl_tokenizer_decode(tokenizer, ids, count, false, &text, &decoded, NULL), QVL_OK);
        struct qvl_bytes repaired = {.size = 0}, normal = {.size = 0};
        assert_int_equal(qvl_utf8_append_repaired(&repaired, bytes, size), replaced);
        assert_int_equal(qvl_normalise_nfc(repaired.data, repaired.size, &normal, NULL), QVL_OK);
        assert_int_equal(decoded, normal.size);
        if (decoded > 0)
            assert_memory_equal(text, normal.data, decoded);
        qvl_bytes_free(&repaired);
        qvl_bytes_free(&normal);
        free(ids);
        free(text);
    }
    qvl_tokenizer_destroy(tokenizer);
}

/* A tokenizer.json with bytes flipped or cut off: an error or a tokenizer, never a crash. */
static void damaged_tokenizer_json(void **state)
{
    (void)state;
    const uint64_t seed = 13;
    print_message("seed %llu\n", (unsigned long long)seed);
    write_tokenizer(
        (struct parts){.vocabulary = ABC_VOCABULARY, .merges = ABC_MERGES, .added = ADDED(400, "<s>", true)});
    char path[128], *data;
    size_t size;
    int64_t loaded = 0;
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_int_equal(qvl_file_read(path, 1 << 20, &data, &size, NULL), QVL_OK);
    for (uint64_t round = 0; round < 400; round++) {
        size_t at = qvl_random_below(seed, round, 0, size);
        char saved = data[at];
        struct qvl_tokenizer *tokenizer;
        struct qvl_error error = {.status = QVL_OK};
        data[at] = (char)qvl_random_bits(seed, round, 1);
        write_file("tokenizer.json", data, round % 4 == 0 ? at : size);
        enum qvl_status status = qvl_tokenizer_load(folder, &tokenizer, &error);
        if (status == QVL_OK)
            loaded++;
        else
            assert_true(status == QVL_BAD_INPUT && error.message[0]);
        qvl_tokenizer_destroy(tokenizer);
        data[at] = saved;
    }
    assert_true(loaded > 0 && loaded < 400);
    free(data);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {IN_FOLDER(merges_by_rank),
                                       IN_FOLDER(added_tokens_are_cut_first),
                                       IN_FOLDER(decoding),
                                       IN_FOLDER(split_files),
                                       IN_FOLDER(bad_tokenizer_files),
                                       IN_FOLDER(missing_and_broken_files),
                                       cmocka_unit_test(heap_merges_like_the_definition),
                                       IN_FOLDER(long_pieces),
                                       cmocka_unit_test(random_bytes),
                                       IN_FOLDER(damaged_tokenizer_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
