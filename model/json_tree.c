#include "model/json_tree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/utf8.h"

#define CHUNK_BYTES ((size_t)64 << 10)

/* Nodes and texts lie in chunks that only ever grow, so that pointers into them stay. */
struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(max_align_t) char data[];
};

struct qvl_json_tree {
    struct chunk *chunks;
    const struct qvl_json_node *root;
};

struct parser {
    struct qvl_json_tree *tree;
    const char *text, *name;
    size_t size, at;
    int64_t line;
    size_t line_start;
    struct qvl_bytes scratch; /* the string being decoded */
    struct qvl_error *error;
};

static enum qvl_status fail_at(struct parser *parser, const char *what)
{
    return qvl_fail(parser->error, QVL_BAD_INPUT, "%s: line %lld, column %zu: %s", parser->name,
                    (long long)parser->line, parser->at - parser->line_start + 1, what);
}

static enum qvl_status no_memory(struct parser *parser)
{
    return qvl_fail(parser->error, QVL_NO_MEMORY, "%s: out of memory at line %lld", parser->name,
                    (long long)parser->line);
}

/* Memory that lives as long as the tree; NULL when there is none. */
static void *allocate(struct qvl_json_tree *tree, size_t size)
{
    size_t aligned = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    struct chunk *chunk = tree->chunks;
    if (!chunk || chunk->size - chunk->used < aligned) {
        size_t bytes = aligned > CHUNK_BYTES ? aligned : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + bytes);
        if (!chunk)
            return NULL;
        *chunk = (struct chunk){.next = tree->chunks, .size = bytes};
        tree->chunks = chunk;
    }
    void *memory = chunk->data + chunk->used;
    chunk->used += aligned;
    return memory;
}

/* A zero-terminated copy that lives as long as the tree. */
static const char *keep(struct qvl_json_tree *tree, const char *text, size_t size)
{
    char *copy = allocate(tree, size + 1);
    if (copy) {
        if (size > 0)
            memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

static int peek(const struct parser *parser)
{
    return parser->at < parser->size ? (unsigned char)parser->text[parser->at] : -1;
}

static void skip_space(struct parser *parser)
{
    for (;; parser->at++) {
        int byte = peek(parser);
        if (byte == '\n') {
            parser->line++;
            parser->line_start = parser->at + 1;
        } else if (byte != ' ' && byte != '\t' && byte != '\r') {
            return;
        }
    }
}

/* Four hexadecimal digits at the cursor, or -1. */
static int read_hex(struct parser *parser)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int byte = peek(parser);
        int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
        parser->at++;
    }
    return value;
}

/* The part of an escape behind \u. */
static enum qvl_status parse_unicode(struct parser *parser)
{
    int value = read_hex(parser);
    if (value < 0)
        return fail_at(parser, "\\u needs four hexadecimal digits");
    uint32_t point = (uint32_t)value;
    if (value >= 0xd800 && value < 0xdc00 && peek(parser) == '\\' && parser->at + 1 < parser->size &&
        parser->text[parser->at + 1] == 'u') {
        parser->at += 2;
        int low = read_hex(parser);
        if (low < 0xdc00 || low >= 0xe000)
            return fail_at(parser, "a high surrogate must be followed by a low one");
        point = 0x10000 + ((uint32_t)(value - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    } else if (value >= 0xd800 && value < 0xe000) {
        return fail_at(parser, "a lone surrogate is not text");
    }
    qvl_utf8_append(&parser->scratch, point);
    return QVL_OK;
}

static enum qvl_status parse_escape(struct parser *parser)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    int byte = peek(parser);
    if (byte == 'u') {
        parser->at++;
        return parse_unicode(parser);
    }
    const char *found = byte > 0 ? strchr(letters, byte) : NULL;
    if (!found)
        return fail_at(parser, "unknown escape in a string");
    qvl_bytes_append(&parser->scratch, &values[found - letters], 1);
    parser->at++;
    return QVL_OK;
}

/* A string, cursor on its opening quote. */
static enum qvl_status parse_string(struct parser *parser, const char **text, size_t *size)
{
    parser->scratch.size = 0;
    parser->at++;
    for (;;) {
        size_t start = parser->at;
        int byte = peek(parser);
        while (byte >= 0x20 && byte != '"' && byte != '\\') {
            parser->at++;
            byte = peek(parser);
        }
        qvl_bytes_append(&parser->scratch, parser->text + start, parser->at - start);
        if (byte < 0)
            return fail_at(parser, "the string has no end");
        if (byte < 0x20)
            return fail_at(parser, "control characters in a string must be escaped");
        parser->at++;
        if (byte == '"')
            break;
        QVL_TRY(parse_escape(parser));
    }
    *size = parser->scratch.size;
    *text = parser->scratch.failed ? NULL : keep(parser->tree, parser->scratch.data, *size);
    return *text ? QVL_OK : no_memory(parser);
}

static bool skip_digits(struct parser *parser)
{
    size_t start = parser->at;
    while (peek(parser) >= '0' && peek(parser) <= '9')
        parser->at++;
    return parser->at > start;
}

static enum qvl_status parse_number(struct parser *parser, struct qvl_json_node *node)
{
    size_t start = parser->at;
    if (peek(parser) == '-')
        parser->at++;
    if (peek(parser) == '0')
        parser->at++;
    else if (!skip_digits(parser))
        return fail_at(parser, "a value is missing or has a syntax error");
    if (peek(parser) == '.') {
        parser->at++;
        if (!skip_digits(parser))
            return fail_at(parser, "a number needs digits behind its point");
    }
    if (peek(parser) == 'e' || peek(parser) == 'E') {
        parser->at++;
        if (peek(parser) == '+' || peek(parser) == '-')
            parser->at++;
        if (!skip_digits(parser))
            return fail_at(parser, "a number needs digits in its exponent");
    }
    node->kind = QVL_JSON_NUMBER;
    node->size = parser->at - start;
    node->text = keep(parser->tree, parser->text + start, node->size);
    return node->text ? QVL_OK : no_memory(parser);
}

static enum qvl_status parse_word(struct parser *parser, struct qvl_json_node *node)
{
    static const char *const words[] = {"null", "false", "true"};
    for (int kind = QVL_JSON_NULL; kind <= QVL_JSON_TRUE; kind++) {
        size_t length = strlen(words[kind]);
        if (parser->size - parser->at >= length &&
            memcmp(parser->text + parser->at, words[kind], length) == 0) {
            parser->at += length;
            node->kind = (enum qvl_json_kind)kind;
            return QVL_OK;
        }
    }
    return parse_number(parser, node);
}

static enum qvl_status parse_value(struct parser *parser, struct qvl_json_node *node, int depth);

/* The members or elements of a container, cursor behind its opening bracket. */
static enum qvl_status parse_children(struct parser *parser, struct qvl_json_node *node, int depth)
{
    char close = node->kind == QVL_JSON_OBJECT ? '}' : ']';
    const struct qvl_json_node **link = &node->first;
    skip_space(parser);
    if (peek(parser) == close) {
        parser->at++;
        return QVL_OK;
    }
    for (;;) {
        struct qvl_json_node *child = allocate(parser->tree, sizeof *child);
        if (!child)
            return no_memory(parser);
        *child = (struct qvl_json_node){.kind = QVL_JSON_NULL};
        skip_space(parser);
        if (node->kind == QVL_JSON_OBJECT) {
            if (peek(parser) != '"')
                return fail_at(parser, "a key in quotes is missing");
            QVL_TRY(parse_string(parser, &child->key, &child->key_size));
            skip_space(parser);
            if (peek(parser) != ':')
                return fail_at(parser, "a colon is missing behind the key");
            parser->at++;
        }
        QVL_TRY(parse_value(parser, child, depth + 1));
        *link = child;
        link = &child->next;
        node->count++;
        skip_space(parser);
        int byte = peek(parser);
        if (byte != ',' && byte != close)
            return fail_at(parser, "a comma or closing bracket is missing");
        parser->at++;
        if (byte == close)
            return QVL_OK;
    }
}

static enum qvl_status parse_value(struct parser *parser, struct qvl_json_node *node, int depth)
{
    skip_space(parser);
    node->line = parser->line;
    int byte = peek(parser);
    if (byte == '"') {
        node->kind = QVL_JSON_STRING;
        return parse_string(parser, &node->text, &node->size);
    }
    if (byte != '{' && byte != '[')
        return parse_word(parser, node);
    if (depth >= QVL_JSON_TREE_MAX_DEPTH)
        return fail_at(parser, "nested too deeply");
    node->kind = byte == '{' ? QVL_JSON_OBJECT : QVL_JSON_ARRAY;
    parser->at++;
    return parse_children(parser, node, depth);
}

/* The whole text is one value and well-formed UTF-8. */
static enum qvl_status parse_text(struct parser *parser)
{
    size_t valid = qvl_utf8_valid_prefix(parser->text, parser->size);
    if (valid < parser->size) {
        for (; parser->at < valid; parser->at++)
            if (parser->text[parser->at] == '\n') {
                parser->line++;
                parser->line_start = parser->at + 1;
            }
        return fail_at(parser, "not UTF-8");
    }
    if (parser->size >= 3 && memcmp(parser->text, "\xef\xbb\xbf", 3) == 0)
        parser->at = parser->line_start = 3;
    struct qvl_json_node *root = allocate(parser->tree, sizeof *root);
    if (!root)
        return no_memory(parser);
    *root = (struct qvl_json_node){.kind = QVL_JSON_NULL};
    QVL_TRY(parse_value(parser, root, 0));
    skip_space(parser);
    parser->tree->root = root;
    return parser->at < parser->size ? fail_at(parser, "more text behind the value") : QVL_OK;
}

enum qvl_status qvl_json_tree_parse(const char *text, size_t size, const char *name,
                                    struct qvl_json_tree **tree, struct qvl_error *error)
{
    *tree = calloc(1, sizeof **tree);
    if (!*tree)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: out of memory", name);
    struct parser parser = {
        .tree = *tree, .text = text, .name = name, .size = size, .line = 1, .error = error};
    enum qvl_status status = parse_text(&parser);
    qvl_bytes_free(&parser.scratch);
    if (status != QVL_OK) {
        qvl_json_tree_destroy(*tree);
        *tree = NULL;
    }
    return status;
}

void qvl_json_tree_destroy(struct qvl_json_tree *tree)
{
    if (!tree)
        return;
    for (struct chunk *chunk = tree->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(tree);
}

const struct qvl_json_node *qvl_json_tree_root(const struct qvl_json_tree *tree)
{
    return tree->root;
}

const struct qvl_json_node *qvl_json_tree_member(const struct qvl_json_node *object, const char *key)
{
    const struct qvl_json_node *found = NULL;
    size_t size = strlen(key);
    if (object && object->kind == QVL_JSON_OBJECT)
        for (const struct qvl_json_node *node = object->first; node; node = node->next)
            if (node->key_size == size && memcmp(node->key, key, size) == 0)
                found = node;
    return found;
}
