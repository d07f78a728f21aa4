#include "cli/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define TITLE "qvl-audit journal 1\t"
#define LARGEST_JOURNAL ((size_t)1 << 30)
#define SYNC_SECONDS 1.0

struct entry {
    char line[QVL_CASE_LINE_BYTES];
    struct qvl_outcome outcome;
};

struct qvl_journal {
    char *path;
    int file;
    double synced;
    struct entry **entries; /* sorted by line once read; new ones are not added */
    int64_t count, capacity;
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp((*(struct entry *const *)a)->line, (*(struct entry *const *)b)->line);
}

static enum qvl_status keep_entry(struct qvl_journal *journal, const struct entry *read,
                                  struct qvl_error *error)
{
    if (journal->count == journal->capacity) {
        const int64_t capacity = journal->capacity > 0 ? 2 * journal->capacity : 256;
        struct entry **grown = realloc(journal->entries, (size_t)capacity * sizeof(struct entry *));
        if (!grown)
            return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for its results", journal->path);
        journal->entries = grown;
        journal->capacity = capacity;
    }
    struct entry *entry = malloc(sizeof *entry);
    if (!entry)
        return qvl_fail(error, QVL_NO_MEMORY, "%s: no memory for its results", journal->path);
    memcpy(entry->line, read->line, sizeof entry->line);
    qvl_outcome_copy(&entry->outcome, &read->outcome);
    journal->entries[journal->count++] = entry;
    return QVL_OK;
}

/* The title line; *rest is where the outcomes begin, NULL when not even the title is whole. */
static enum qvl_status check_title(const struct qvl_journal *journal, char *text, const char *subject,
                                   char **rest, struct qvl_error *error)
{
    char *end = strchr(text, '\n');
    *rest = NULL;
    if (strncmp(text, TITLE, end ? strlen(TITLE) : strnlen(text, strlen(TITLE))) != 0)
        return qvl_fail(error, QVL_BAD_INPUT, "%s: is no journal of qvl-audit; name a new file",
                        journal->path);
    if (!end)
        return QVL_OK;
    *end = '\0';
    if (strcmp(text + strlen(TITLE), subject) != 0)
        return qvl_fail(error, QVL_USAGE,
                        "%s: is the journal of another run (%.200s), this one is (%.200s); name another file",
                        journal->path, text + strlen(TITLE), subject);
    *rest = end + 1;
    return QVL_OK;
}

/* Take the outcomes over; *good_bytes is the length of the whole lines. */
static enum qvl_status read_entries(struct qvl_journal *journal, char *text, char *rest, size_t size,
                                    size_t *good_bytes, struct qvl_error *error)
{
    struct entry read;
    for (int64_t number = 2; rest < text + size; number++) {
        char *end = memchr(rest, '\n', (size_t)(text + size - rest));
        if (!end)
            break;
        *end = '\0';
        if (!qvl_outcome_parse(rest, read.line, &read.outcome)) {
            if (end + 1 == text + size)
                break;
            return qvl_fail(error, QVL_BAD_INPUT, "%s:%lld: the line is damaged; name a new file",
                            journal->path, (long long)number);
        }
        QVL_TRY(keep_entry(journal, &read, error));
        rest = end + 1;
    }
    *good_bytes = (size_t)(rest - text);
    if (journal->count > 1)
        qsort(journal->entries, (size_t)journal->count, sizeof(struct entry *), compare_entries);
    return QVL_OK;
}

static enum qvl_status system_fault(const struct qvl_journal *journal, const char *what,
                                    struct qvl_error *error)
{
    return qvl_fail(error, QVL_IO, "%s: cannot %s: %s", journal->path, what, strerror(errno));
}

static enum qvl_status append(const struct qvl_journal *journal, const char *text, size_t size,
                              struct qvl_error *error)
{
    while (size > 0) {
        const ssize_t written = write(journal->file, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return system_fault(journal, "write", error);
        text += written;
        size -= (size_t)written;
    }
    return QVL_OK;
}

static enum qvl_status start(struct qvl_journal *journal, const char *subject, struct qvl_error *error)
{
    char title[1024];
    const int length = snprintf(title, sizeof title, TITLE "%s\n", subject);
    if (ftruncate(journal->file, 0) != 0)
        return system_fault(journal, "empty", error);
    return append(journal, title, (size_t)length, error);
}

/* What a file on disk holds, and where to go on. */
static enum qvl_status load(struct qvl_journal *journal, const char *subject, struct qvl_error *error)
{
    char *text = NULL, *rest;
    size_t size, good_bytes = 0;
    QVL_TRY(qvl_file_read(journal->path, LARGEST_JOURNAL, &text, &size, error));
    enum qvl_status status = check_title(journal, text, subject, &rest, error);
    if (status == QVL_OK && rest)
        status = read_entries(journal, text, rest, size, &good_bytes, error);
    if (status == QVL_OK && !rest)
        status = start(journal, subject, error);
    else if (status == QVL_OK && ftruncate(journal->file, (off_t)good_bytes) != 0)
        status = system_fault(journal, "drop its torn last line", error);
    free(text);
    return status;
}

enum qvl_status qvl_journal_open(const char *path, const char *subject, struct qvl_journal **journal,
                                 struct qvl_error *error)
{
    struct qvl_journal *opened = calloc(1, sizeof *opened);
    *journal = NULL;
    if (!opened)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a journal");
    opened->file = -1;
    opened->path = strdup(path);
    enum qvl_status status =
        opened->path ? QVL_OK : qvl_fail(error, QVL_NO_MEMORY, "no memory for a journal");
    if (status == QVL_OK && (opened->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) < 0)
        status = system_fault(opened, "open", error);
    if (status == QVL_OK && flock(opened->file, LOCK_EX | LOCK_NB) != 0)
        status = qvl_fail(error, QVL_USAGE, "%s: another run is writing it", path);
    if (status == QVL_OK)
        status = load(opened, subject, error);
    if (status == QVL_OK)
        *journal = opened;
    else
        qvl_journal_close(opened);
    return status;
}

const struct qvl_outcome *qvl_journal_find(const struct qvl_journal *journal, const char *case_line)
{
    struct entry wanted;
    const struct entry *key = &wanted;
    if (journal->count == 0)
        return NULL;
    snprintf(wanted.line, sizeof wanted.line, "%s", case_line);
    struct entry *const *found =
        bsearch(&key, journal->entries, (size_t)journal->count, sizeof(struct entry *), compare_entries);
    return found ? &(*found)->outcome : NULL;
}

enum qvl_status qvl_journal_add(struct qvl_journal *journal, const char *case_line,
                                const struct qvl_outcome *outcome, struct qvl_error *error)
{
    char text[QVL_OUTCOME_BYTES + 1];
    qvl_outcome_print(outcome, case_line, text);
    size_t length = strlen(text);
    text[length++] = '\n';
    QVL_TRY(append(journal, text, length, error));
    const double now = qvl_clock();
    if (now - journal->synced > SYNC_SECONDS) {
        journal->synced = now;
        if (fdatasync(journal->file) != 0)
            return system_fault(journal, "sync", error);
    }
    return QVL_OK;
}

void qvl_journal_close(struct qvl_journal *journal)
{
    if (!journal)
        return;
    if (journal->file >= 0) {
        (void)fdatasync(journal->file);
        close(journal->file);
    }
    for (int64_t i = 0; i < journal->count; i++)
        free(journal->entries[i]);
    free(journal->entries);
    free(journal->path);
    free(journal);
}
