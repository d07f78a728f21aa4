#include "cli/tokenize_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/output.h"
#include "model/json_tree.h"

struct reader {
    FILE *file;
    const char *name;
    int64_t line; /* the last one read, from 1 */
    char *text;
    size_t capacity;
    ssize_t size;
};

static enum qvl_status fail_at(const struct reader *reader, struct qvl_error *error, const char *what)
{
    return qvl_fail(error, QVL_BAD_INPUT, "%s: line %lld: %s", reader->name, (long long)reader->line, what);
}

/* The next line that is not blank; false at the end and on failure. */
static bool next_line(struct reader *reader)
{
    while ((reader->size = getline(&reader->text, &reader->capacity, reader->file)) >= 0) {
        reader->line++;
        for (ssize_t i = 0; i < reader->size; i++)
            if (!strchr(" \t\r\n", reader->text[i]) || reader->text[i] == '\0')
                return true;
    }
    return false;
}

static enum qvl_status read_failure(const struct reader *reader, struct qvl_error *error)
{
    if (feof(reader->file) && !ferror(reader->file))
        return QVL_OK;
    return qvl_fail(error, errno == ENOMEM ? QVL_NO_MEMORY : QVL_IO, "%s: cannot read line %lld: %s",
                    reader->name, (long long)reader->line + 1, strerror(errno));
}

/* The parser counts lines within its text, which is one line here: only its column says something. */
static enum qvl_status drop_inner_line(enum qvl_status status, struct qvl_error *error)
{
    static const char inner[] = "line 1, column";
    char *found = status == QVL_OK || !error ? NULL : strstr(error->message, inner);
    if (found)
        memmove(found, found + strlen("line 1, "), strlen(found + strlen("line 1, ")) + 1);
    return status;
}

static enum qvl_status parse_line(const struct reader *reader, struct qvl_json_tree **tree,
                                  struct qvl_error *error)
{
    char name[512];
    snprintf(name, sizeof name, "%.400s: line %lld", reader->name, (long long)reader->line);
    QVL_TRY(
        drop_inner_line(qvl_json_tree_parse(reader->text, (size_t)reader->size, name, tree, error), error));
    const struct qvl_json_node *root = qvl_json_tree_root(*tree);
    const struct qvl_json_node *id = qvl_json_tree_member(root, "id");
    const struct qvl_json_node *text = qvl_json_tree_member(root, "text");
    const char *wrong = NULL;
    if (root->kind != QVL_JSON_OBJECT)
        wrong = "must be an object {\"id\":..,\"text\":..}";
    else if (!id || (id->kind != QVL_JSON_STRING && id->kind != QVL_JSON_NUMBER))
        wrong = "\"id\" must be there, a string or a number";
    else if (!text || text->kind != QVL_JSON_STRING)
        wrong = "\"text\" must be there, a string";
    if (!wrong)
        return QVL_OK;
    qvl_json_tree_destroy(*tree);
    *tree = NULL;
    return fail_at(reader, error, wrong);
}

void qvl_tokenize_append_ids(const int64_t *ids, int64_t count, struct qvl_bytes *out)
{
    char number[32];
    qvl_bytes_text(out, "[");
    for (int64_t i = 0; i < count; i++) {
        snprintf(number, sizeof number, i ? ",%lld" : "%lld", (long long)ids[i]);
        qvl_bytes_text(out, number);
    }
    qvl_bytes_text(out, "]");
}

static enum qvl_status print_line(const struct qvl_tokenizer *tokenizer, const struct qvl_json_tree *tree,
                                  struct qvl_bytes *out, struct qvl_error *error)
{
    const struct qvl_json_node *root = qvl_json_tree_root(tree);
    const struct qvl_json_node *id = qvl_json_tree_member(root, "id");
    const struct qvl_json_node *text = qvl_json_tree_member(root, "text");
    int64_t *ids;
    int64_t count;
    QVL_TRY(qvl_tokenizer_encode(tokenizer, text->text, text->size, &ids, &count, NULL, error));
    out->size = 0;
    qvl_bytes_text(out, "{\"id\":");
    if (id->kind == QVL_JSON_NUMBER)
        qvl_bytes_append(out, id->text, id->size);
    else
        qvl_json_tree_dump(id, out);
    qvl_bytes_text(out, ",\"ids\":");
    qvl_tokenize_append_ids(ids, count, out);
    qvl_bytes_text(out, "}\n");
    free(ids);
    if (out->failed)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the ids of a line");
    if (fwrite(out->data, 1, out->size, stdout) != out->size)
        return qvl_fail(error, QVL_IO, "cannot write to standard output: %s", strerror(errno));
    return QVL_OK;
}

/* All lines; without a tokenizer they are only checked. */
static enum qvl_status pass(struct reader *reader, const struct qvl_tokenizer *tokenizer,
                            struct qvl_bytes *out, struct qvl_error *error)
{
    enum qvl_status status = QVL_OK;
    reader->line = 0;
    while (status == QVL_OK && next_line(reader)) {
        struct qvl_json_tree *tree = NULL;
        status = parse_line(reader, &tree, error);
        if (status == QVL_OK && tokenizer)
            status = print_line(tokenizer, tree, out, error);
        qvl_json_tree_destroy(tree);
    }
    return status == QVL_OK ? read_failure(reader, error) : status;
}

static enum qvl_status passes(struct reader *reader, const struct qvl_tokenizer *tokenizer,
                              struct qvl_error *error)
{
    struct qvl_bytes out = {.size = 0};
    const off_t start = ftello(reader->file);
    enum qvl_status status = QVL_OK;
    if (start >= 0) {
        status = pass(reader, NULL, NULL, error);
        if (status == QVL_OK && fseeko(reader->file, start, SEEK_SET) != 0)
            status = qvl_fail(error, QVL_IO, "%s: cannot read again: %s", reader->name, strerror(errno));
    }
    if (status == QVL_OK)
        status = pass(reader, tokenizer, &out, error);
    const enum qvl_status flushed = qvl_output_print("", 0, status == QVL_OK ? error : NULL);
    qvl_bytes_free(&out);
    return status == QVL_OK ? flushed : status;
}

enum qvl_status qvl_tokenize_lines(const struct qvl_tokenizer *tokenizer, const char *path,
                                   struct qvl_error *error)
{
    const bool piped = strcmp(path, "-") == 0;
    struct reader reader = {.name = piped ? "standard input" : path};
    if (!piped && qvl_folder_exists(path))
        return qvl_fail(error, QVL_BAD_INPUT, "%s: is a folder; name a file of lines", path);
    reader.file = piped ? stdin : fopen(path, "rb");
    if (!reader.file)
        return qvl_fail(error, errno == ENOENT ? QVL_BAD_INPUT : QVL_IO, "%s: cannot open: %s", path,
                        strerror(errno));
    const enum qvl_status status = passes(&reader, tokenizer, error);
    free(reader.text);
    if (!piped)
        fclose(reader.file);
    return status;
}
