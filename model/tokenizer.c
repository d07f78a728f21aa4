#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "model/normalise.h"
#include "model/pretoken.h"
#include "model/tokenizer_parts.h"
#include "model/utf8.h"

void qvl_tokenizer_destroy(struct qvl_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    qvl_bpe_destroy(tokenizer->bpe);
    free(tokenizer->kinds);
    free(tokenizer->added);
    free(tokenizer);
}

int64_t qvl_tokenizer_id(const struct qvl_tokenizer *tokenizer, const char *token)
{
    return qvl_bpe_id(tokenizer->bpe, token, strlen(token));
}

int64_t qvl_tokenizer_vocabulary(const struct qvl_tokenizer *tokenizer)
{
    return qvl_bpe_limit(tokenizer->bpe);
}

/* The id of the first added token in the text from *at on, or -1; *at becomes its place or the end. Of two
 * that start at the same place the longer one counts. */
static int64_t find_added(const struct qvl_tokenizer *tokenizer, const char *text, size_t size, size_t *at)
{
    for (; *at < size; ++*at) {
        unsigned char first = (unsigned char)text[*at];
        for (size_t i = tokenizer->added_start[first]; i < tokenizer->added_start[first + 1]; i++) {
            size_t length;
            const char *bytes = qvl_bpe_bytes(tokenizer->bpe, tokenizer->added[i], &length);
            if (length <= size - *at && memcmp(bytes, text + *at, length) == 0)
                return tokenizer->added[i];
        }
    }
    return -1;
}

/* Text without added tokens: NFC, split, merges. */
static enum qvl_status encode_segment(const struct qvl_tokenizer *tokenizer, const char *text, size_t size,
                                      struct qvl_bytes *normal, struct qvl_bpe_work *work,
                                      struct qvl_error *error)
{
    normal->size = 0;
    QVL_TRY(qvl_normalise_nfc(text, size, normal, error));
    for (size_t at = 0; at < normal->size;) {
        size_t length = qvl_pretoken_next(normal->data + at, normal->size - at);
        QVL_TRY(qvl_bpe_encode(tokenizer->bpe, normal->data + at, length, work, error));
        at += length;
    }
    return QVL_OK;
}

static enum qvl_status encode_text(const struct qvl_tokenizer *tokenizer, const char *text, size_t size,
                                   struct qvl_bytes *normal, struct qvl_bpe_work *work,
                                   struct qvl_error *error)
{
    for (size_t at = 0; at < size;) {
        size_t start = at, length = 0;
        int64_t added = find_added(tokenizer, text, size, &at);
        if (at > start)
            QVL_TRY(encode_segment(tokenizer, text + start, at - start, normal, work, error));
        if (added >= 0) {
            QVL_TRY(qvl_bpe_emit(work, added, error));
            qvl_bpe_bytes(tokenizer->bpe, added, &length);
            at += length;
        }
    }
    return QVL_OK;
}

enum qvl_status qvl_tokenizer_encode(const struct qvl_tokenizer *tokenizer, const char *text, size_t size,
                                     int64_t **ids, int64_t *count, int64_t *replaced,
                                     struct qvl_error *error)
{
    struct qvl_bytes repaired = {.size = 0}, normal = {.size = 0};
    struct qvl_bpe_work work = {.count = 0};
    int64_t bad_parts = 0;
    *ids = NULL;
    *count = 0;
    if (qvl_utf8_valid_prefix(text, size) < size) {
        bad_parts = qvl_utf8_append_repaired(&repaired, text, size);
        text = repaired.data;
        size = repaired.size;
    }
    enum qvl_status status = repaired.failed
                                 ? qvl_fail(error, QVL_NO_MEMORY, "out of memory for %zu bytes of text", size)
                                 : encode_text(tokenizer, text, size, &normal, &work, error);
    if (status == QVL_OK) {
        *ids = work.ids;
        *count = (int64_t)work.count;
        work.ids = NULL;
        if (replaced)
            *replaced = bad_parts;
    }
    qvl_bpe_work_free(&work);
    qvl_bytes_free(&normal);
    qvl_bytes_free(&repaired);
    return status;
}

static int kind_of(const struct qvl_tokenizer *tokenizer, int64_t id)
{
    return (size_t)id < tokenizer->kind_capacity ? tokenizer->kinds[id] : 0;
}

enum qvl_status qvl_tokenizer_decode(const struct qvl_tokenizer *tokenizer, const int64_t *ids, int64_t count,
                                     bool skip_special, char **text, size_t *size, struct qvl_error *error)
{
    struct qvl_bytes out = {.size = 0};
    for (int64_t i = 0; i < count; i++) {
        size_t length;
        const char *bytes = qvl_bpe_bytes(tokenizer->bpe, ids[i], &length);
        if (bytes && !(skip_special && kind_of(tokenizer, ids[i]) == TOKEN_SPECIAL))
            qvl_bytes_append(&out, bytes, length);
    }
    return qvl_bytes_take(&out, text, size, error);
}
