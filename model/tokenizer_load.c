/* Reads the tokenizer files of a checkpoint folder and refuses what the encoder does not do. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "model/byte_level.h"
#include "model/pretoken.h"
#include "model/tokenizer_parts.h"

#define MAX_MERGES_BYTES ((size_t)256 << 20)

/* Bytes of the tokens in hand, reused from token to token. */
struct spelling {
    struct qvl_bytes left, right;
};

static enum qvl_status add_token(struct qvl_tokenizer *tokenizer, const struct qvl_json *at,
                                 const cJSON *node, struct spelling *scratch, struct qvl_error *error)
{
    struct qvl_error inner;
    if (!cJSON_IsNumber(node) || !(node->valuedouble >= 0 && node->valuedouble <= (double)QVL_BPE_MAX_ID) ||
        node->valuedouble != (double)(int64_t)node->valuedouble)
        return qvl_json_fail(at, NULL, error, "token \"%.80s\": its id is not an integer from 0 to %lld",
                             node->string, (long long)QVL_BPE_MAX_ID);
    scratch->left.size = 0;
    qvl_byte_level_decode(node->string, strlen(node->string), &scratch->left);
    if (scratch->left.failed)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory", at->file);
    enum qvl_status status = qvl_bpe_add_token(tokenizer->bpe, scratch->left.data, scratch->left.size,
                                               (int64_t)node->valuedouble, &inner);
    if (status == QVL_BAD_INPUT)
        return qvl_json_fail(at, NULL, error, "token \"%.80s\": %s", node->string, inner.message);
    return status == QVL_OK ? QVL_OK : qvl_fail(error, status, "%s: %s", at->file, inner.message);
}

static enum qvl_status add_vocabulary(struct qvl_tokenizer *tokenizer, const struct qvl_json *vocab,
                                      struct spelling *scratch, struct qvl_error *error)
{
    const cJSON *node;
    if (!cJSON_IsObject(vocab->node))
        return qvl_json_fail(vocab, NULL, error, "must be an object of token: id");
    cJSON_ArrayForEach(node, vocab->node) QVL_TRY(add_token(tokenizer, vocab, node, scratch, error));
    for (int value = 0; value < 256; value++) {
        char byte = (char)value;
        if (qvl_bpe_id(tokenizer->bpe, &byte, 1) < 0)
            return qvl_json_fail(vocab, NULL, error,
                                 "no token for the byte 0x%02x; a byte-level vocabulary has all 256", value);
    }
    return QVL_OK;
}

/* Add a merge given by the spellings of its halves; `where` names file and place in messages. */
static enum qvl_status add_merge(struct qvl_tokenizer *tokenizer, const char *left, size_t left_size,
                                 const char *right, size_t right_size, const char *where,
                                 struct spelling *scratch, struct qvl_error *error)
{
    scratch->left.size = scratch->right.size = 0;
    qvl_byte_level_decode(left, left_size, &scratch->left);
    qvl_byte_level_decode(right, right_size, &scratch->right);
    if (scratch->left.failed || scratch->right.failed)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory", where);
    enum qvl_status status = qvl_bpe_add_merge(tokenizer->bpe, scratch->left.data, scratch->left.size,
                                               scratch->right.data, scratch->right.size, error);
    return status == QVL_OK ? QVL_OK : qvl_fail_in(error, status, where);
}

/* The two halves of "left right". */
static bool split_merge(const char *line, size_t size, size_t *left_size)
{
    const char *space = memchr(line, ' ', size);
    if (!space || space == line || space == line + size - 1)
        return false;
    *left_size = (size_t)(space - line);
    return !memchr(space + 1, ' ', size - *left_size - 1);
}

static enum qvl_status add_json_merges(struct qvl_tokenizer *tokenizer, const struct qvl_json *model,
                                       struct spelling *scratch, struct qvl_error *error)
{
    struct qvl_json merges;
    int64_t count, index = 0;
    const cJSON *node;
    QVL_TRY(qvl_json_array(model, "merges", &merges, &count, error));
    cJSON_ArrayForEach(node, merges.node)
    {
        struct qvl_json place = qvl_json_child(&merges, node, index++);
        char where[QVL_JSON_PATH_BYTES + 300];
        snprintf(where, sizeof where, "%.280s: %s", place.file, place.path);
        const cJSON *left = cJSON_IsArray(node) ? node->child : NULL, *right = left ? left->next : NULL;
        size_t left_size;
        if (right && cJSON_IsString(left) && cJSON_IsString(right) && !right->next)
            QVL_TRY(add_merge(tokenizer, left->valuestring, strlen(left->valuestring), right->valuestring,
                              strlen(right->valuestring), where, scratch, error));
        else if (cJSON_IsString(node) &&
                 split_merge(node->valuestring, strlen(node->valuestring), &left_size))
            QVL_TRY(add_merge(tokenizer, node->valuestring, left_size, node->valuestring + left_size + 1,
                              strlen(node->valuestring) - left_size - 1, where, scratch, error));
        else
            return qvl_json_fail(&place, NULL, error, "must be \"left right\" or [\"left\", \"right\"]");
    }
    return QVL_OK;
}

static enum qvl_status add_text_merges(struct qvl_tokenizer *tokenizer, const char *path, const char *text,
                                       size_t size, struct spelling *scratch, struct qvl_error *error)
{
    static const char version[] = "#version:";
    int64_t number = 0;
    for (size_t at = 0, end; at < size; at = end + 1) {
        const char *line = text + at, *newline = memchr(line, '\n', size - at);
        end = newline ? (size_t)(newline - text) : size;
        size_t length = end - at, left_size;
        char where[400];
        number++;
        if (length > 0 && line[length - 1] == '\r')
            length--;
        if (length == 0 ||
            (number == 1 && length >= sizeof version - 1 && memcmp(line, version, sizeof version - 1) == 0))
            continue;
        snprintf(where, sizeof where, "%.300s: line %lld", path, (long long)number);
        if (!split_merge(line, length, &left_size))
            return qvl_fail(error, QVL_BAD_INPUT, "%s: must be two tokens with one space between them",
                            where);
        QVL_TRY(add_merge(tokenizer, line, left_size, line + left_size + 1, length - left_size - 1, where,
                          scratch, error));
    }
    return QVL_OK;
}

static enum qvl_status refuse_true(const struct qvl_json *at, const char *key, struct qvl_error *error)
{
    bool value;
    QVL_TRY(qvl_json_bool_or(at, key, false, &value, error));
    return value ? qvl_json_fail(at, key, error, "true is not supported; Qwen tokenizers have false")
                 : QVL_OK;
}

/* Put an id on the list of added tokens, once. */
static bool mark_added(struct qvl_tokenizer *tokenizer, int64_t id, bool special)
{
    void *kinds = tokenizer->kinds, *added = tokenizer->added;
    size_t before = tokenizer->kind_capacity;
    bool good = qvl_array_reserve(&kinds, &tokenizer->kind_capacity, (size_t)id + 1, 1) &&
                qvl_array_reserve(&added, &tokenizer->added_capacity, tokenizer->added_count + 1,
                                  sizeof *tokenizer->added);
    tokenizer->kinds = kinds;
    tokenizer->added = added;
    if (tokenizer->kind_capacity > before)
        memset(tokenizer->kinds + before, 0, tokenizer->kind_capacity - before);
    if (!good)
        return false;
    if (tokenizer->kinds[id] == 0)
        tokenizer->added[tokenizer->added_count++] = id;
    if (tokenizer->kinds[id] != TOKEN_SPECIAL)
        tokenizer->kinds[id] = special ? TOKEN_SPECIAL : TOKEN_ADDED;
    return true;
}

/* Add the token that the object at `at` describes, under `id`. The same token may be named again, by another
 * file, under the same id. */
static enum qvl_status add_added_token(struct qvl_tokenizer *tokenizer, const struct qvl_json *at, int64_t id,
                                       struct qvl_error *error)
{
    static const char *const flags[] = {"lstrip", "rstrip", "single_word", "normalized"};
    const char *content;
    bool special;
    QVL_TRY(qvl_json_string(at, "content", &content, error));
    QVL_TRY(qvl_json_bool_or(at, "special", false, &special, error));
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        QVL_TRY(refuse_true(at, flags[i], error));
    int64_t known = qvl_bpe_id(tokenizer->bpe, content, strlen(content));
    if (known >= 0 && known != id)
        return qvl_json_fail(at, NULL, error, "\"%.80s\" has id %lld here and %lld elsewhere", content,
                             (long long)id, (long long)known);
    if (known < 0) {
        struct qvl_error inner;
        enum qvl_status status = qvl_bpe_add_token(tokenizer->bpe, content, strlen(content), id, &inner);
        if (status == QVL_BAD_INPUT)
            return qvl_json_fail(at, NULL, error, "added token \"%.80s\": %s", content, inner.message);
        if (status != QVL_OK)
            return qvl_fail(error, status, "%s: %s", at->file, inner.message);
    }
    return mark_added(tokenizer, id, special) ? QVL_OK
                                              : qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory", at->file);
}

static enum qvl_status add_listed_tokens(struct qvl_tokenizer *tokenizer, const struct qvl_json *root,
                                         struct qvl_error *error)
{
    struct qvl_json list;
    int64_t count, index = 0;
    const cJSON *node;
    if (!qvl_json_has(root, "added_tokens"))
        return QVL_OK;
    QVL_TRY(qvl_json_array(root, "added_tokens", &list, &count, error));
    cJSON_ArrayForEach(node, list.node)
    {
        struct qvl_json item = qvl_json_child(&list, node, index++);
        int64_t id;
        QVL_TRY(qvl_json_int64(&item, "id", &id, error));
        QVL_TRY(add_added_token(tokenizer, &item, id, error));
    }
    return QVL_OK;
}

/* tokenizer_config.json: added_tokens_decoder maps ids, as strings, to added tokens. */
static enum qvl_status add_config_tokens(struct qvl_tokenizer *tokenizer, const struct qvl_json *root,
                                         bool required, struct qvl_error *error)
{
    struct qvl_json map;
    const cJSON *node;
    if (!required && !qvl_json_has(root, "added_tokens_decoder"))
        return QVL_OK;
    QVL_TRY(qvl_json_object(root, "added_tokens_decoder", &map, error));
    QVL_TRY(refuse_true(root, "add_prefix_space", error));
    cJSON_ArrayForEach(node, map.node)
    {
        struct qvl_json item;
        char *end;
        long long id = strtoll(node->string, &end, 10);
        if (end == node->string || *end || id < 0)
            return qvl_json_fail(&map, node->string, error, "the key must be a token id");
        QVL_TRY(qvl_json_member(&map, node->string, &item, error));
        QVL_TRY(add_added_token(tokenizer, &item, id, error));
    }
    return QVL_OK;
}

/* The normaliser, split and BPE options must be those that the encoder implements. */
static enum qvl_status check_settings(const struct qvl_json *root, const struct qvl_json *model,
                                      struct qvl_error *error)
{
    struct qvl_json normalizer, splitter, steps, split, pattern;
    const char *text;
    int64_t count;
    QVL_TRY(qvl_json_string(model, "type", &text, error));
    if (strcmp(text, "BPE") != 0)
        return qvl_json_fail(model, "type", error, "\"%.40s\" is not supported, only \"BPE\"", text);
    QVL_TRY(refuse_true(model, "byte_fallback", error));
    QVL_TRY(refuse_true(model, "ignore_merges", error));
    QVL_TRY(qvl_json_object(root, "normalizer", &normalizer, error));
    QVL_TRY(qvl_json_string(&normalizer, "type", &text, error));
    if (strcmp(text, "NFC") != 0)
        return qvl_json_fail(&normalizer, "type", error, "\"%.40s\" is not supported, only \"NFC\"", text);
    QVL_TRY(qvl_json_object(root, "pre_tokenizer", &splitter, error));
    QVL_TRY(qvl_json_array(&splitter, "pretokenizers", &steps, &count, error));
    if (count != 2)
        return qvl_json_fail(&steps, NULL, error, "%lld steps; supported are two, Split and ByteLevel",
                             (long long)count);
    split = qvl_json_item(&steps, 0);
    QVL_TRY(qvl_json_object(&split, "pattern", &pattern, error));
    QVL_TRY(qvl_json_string(&pattern, "Regex", &text, error));
    if (strcmp(text, qvl_pretoken_pattern) != 0)
        return qvl_json_fail(&pattern, "Regex", error,
                             "not the pattern of Qwen2 and Qwen3, the only one supported");
    split = qvl_json_item(&steps, 1);
    return refuse_true(&split, "add_prefix_space", error);
}

struct order {
    int64_t id;
    unsigned char first;
    size_t size;
};

static int compare_order(const void *a, const void *b)
{
    const struct order *left = a, *right = b;
    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    return (left->size < right->size) - (left->size > right->size);
}

/* Sort the added tokens by first byte, then longest first, and note where each first byte starts. */
static enum qvl_status index_added(struct qvl_tokenizer *tokenizer, struct qvl_error *error)
{
    size_t count = tokenizer->added_count;
    struct order *orders = malloc((count + 1) * sizeof *orders);
    if (!orders)
        return qvl_fail(error, QVL_NO_MEMORY, "out of memory for %zu added tokens", count);
    for (size_t i = 0; i < count; i++) {
        const char *bytes = qvl_bpe_bytes(tokenizer->bpe, tokenizer->added[i], &orders[i].size);
        orders[i].id = tokenizer->added[i];
        orders[i].first = (unsigned char)bytes[0];
        tokenizer->added_start[orders[i].first + 1]++;
    }
    qsort(orders, count, sizeof *orders, compare_order);
    for (size_t i = 0; i < count; i++)
        tokenizer->added[i] = orders[i].id;
    for (int byte = 0; byte < 256; byte++)
        tokenizer->added_start[byte + 1] += tokenizer->added_start[byte];
    free(orders);
    return QVL_OK;
}

static enum qvl_status read_tokenizer_json(struct qvl_tokenizer *tokenizer, const char *path,
                                           struct spelling *scratch, struct qvl_error *error)
{
    cJSON *tree = NULL;
    struct qvl_json model, vocab;
    QVL_TRY(qvl_json_read(path, &tree, error));
    struct qvl_json root = qvl_json_at_root(tree, path);
    enum qvl_status status = qvl_json_object(&root, "model", &model, error);
    if (status == QVL_OK)
        status = check_settings(&root, &model, error);
    if (status == QVL_OK)
        status = qvl_json_object(&model, "vocab", &vocab, error);
    if (status == QVL_OK)
        status = add_vocabulary(tokenizer, &vocab, scratch, error);
    if (status == QVL_OK)
        status = add_json_merges(tokenizer, &model, scratch, error);
    if (status == QVL_OK)
        status = add_listed_tokens(tokenizer, &root, error);
    cJSON_Delete(tree);
    return status;
}

static enum qvl_status read_vocab_json(struct qvl_tokenizer *tokenizer, const char *path,
                                       struct spelling *scratch, struct qvl_error *error)
{
    cJSON *tree = NULL;
    QVL_TRY(qvl_json_read(path, &tree, error));
    struct qvl_json root = qvl_json_at_root(tree, path);
    enum qvl_status status = add_vocabulary(tokenizer, &root, scratch, error);
    cJSON_Delete(tree);
    return status;
}

static enum qvl_status read_merges(struct qvl_tokenizer *tokenizer, const char *path,
                                   struct spelling *scratch, struct qvl_error *error)
{
    char *text;
    size_t size;
    QVL_TRY(qvl_file_read(path, MAX_MERGES_BYTES, &text, &size, error));
    enum qvl_status status = add_text_merges(tokenizer, path, text, size, scratch, error);
    free(text);
    return status;
}

static enum qvl_status read_config(struct qvl_tokenizer *tokenizer, const char *path, bool required,
                                   struct qvl_error *error)
{
    cJSON *tree = NULL;
    QVL_TRY(qvl_json_read(path, &tree, error));
    struct qvl_json root = qvl_json_at_root(tree, path);
    enum qvl_status status = add_config_tokens(tokenizer, &root, required, error);
    cJSON_Delete(tree);
    return status;
}

struct paths {
    char *tokenizer, *vocab, *merges, *config;
};

static enum qvl_status read_files(struct qvl_tokenizer *tokenizer, const char *folder,
                                  const struct paths *paths, struct spelling *scratch,
                                  struct qvl_error *error)
{
    bool whole = qvl_file_exists(paths->tokenizer);
    if (!whole && !qvl_file_exists(paths->vocab))
        return qvl_fail(error, QVL_BAD_INPUT,
                        "%s: no tokenizer: neither tokenizer.json nor vocab.json is in the folder; copy the "
                        "tokenizer files of the checkpoint there",
                        folder);
    if (whole) {
        QVL_TRY(read_tokenizer_json(tokenizer, paths->tokenizer, scratch, error));
    } else {
        QVL_TRY(read_vocab_json(tokenizer, paths->vocab, scratch, error));
        QVL_TRY(read_merges(tokenizer, paths->merges, scratch, error));
    }
    if (!whole || qvl_file_exists(paths->config))
        QVL_TRY(read_config(tokenizer, paths->config, !whole, error));
    return index_added(tokenizer, error);
}

enum qvl_status qvl_tokenizer_load(const char *folder, struct qvl_tokenizer **tokenizer,
                                   struct qvl_error *error)
{
    struct paths paths = {.tokenizer = NULL};
    struct spelling scratch = {.left = {.size = 0}};
    *tokenizer = calloc(1, sizeof **tokenizer);
    if (!*tokenizer)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory", folder);
    enum qvl_status status = qvl_bpe_create(&(*tokenizer)->bpe, error);
    if (status == QVL_OK)
        status = qvl_path_join(folder, "tokenizer.json", &paths.tokenizer, error);
    if (status == QVL_OK)
        status = qvl_path_join(folder, "vocab.json", &paths.vocab, error);
    if (status == QVL_OK)
        status = qvl_path_join(folder, "merges.txt", &paths.merges, error);
    if (status == QVL_OK)
        status = qvl_path_join(folder, "tokenizer_config.json", &paths.config, error);
    if (status == QVL_OK)
        status = read_files(*tokenizer, folder, &paths, &scratch, error);
    if (status != QVL_OK) {
        qvl_tokenizer_destroy(*tokenizer);
        *tokenizer = NULL;
    }
    free(paths.tokenizer);
    free(paths.vocab);
    free(paths.merges);
    free(paths.config);
    qvl_bytes_free(&scratch.left);
    qvl_bytes_free(&scratch.right);
    return status;
}
