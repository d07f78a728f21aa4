/* Status codes and error messages shared by every part of qvl-audit.
 *
 * Every fallible call returns `enum qvl_status` and takes a `struct qvl_error *` that may be NULL.
 * A message names the thing that is wrong (file, field, tensor, case) and what to do about it.
 * No library function prints, exits or aborts on user input. */
#ifndef QVL_STATUS_H
#define QVL_STATUS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#if defined(__GNUC__)
#define QVL_MUST_USE __attribute__((warn_unused_result))
#define QVL_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define QVL_MUST_USE
#define QVL_PRINTF(format_index, first_argument)
#endif

enum qvl_status {
    QVL_OK = 0,
    QVL_FAILED,       /* a check failed or a figure regressed                         exit 1 */
    QVL_USAGE,        /* the caller or the command line is wrong                      exit 2 */
    QVL_BAD_INPUT,    /* a file, checkpoint, video, message list or report is wrong   exit 3 */
    QVL_NO_MEMORY,    /* not enough memory; the message says needed and available     exit 3 */
    QVL_IO,           /* the system refused to read or write a file                   exit 3 */
    QVL_UNAVAILABLE,  /* a backend, device, library or environment is missing         exit 4 */
    QVL_UNSUPPORTED,  /* the backend does not have this entry or this variant of it   exit 4 */
    QVL_INCOMPARABLE, /* the measurement is invalid, or two of them cannot be compared exit 5 */
    QVL_STATUS_COUNT
};

#define QVL_ERROR_MESSAGE_BYTES 1024

struct qvl_error {
    enum qvl_status status;
    char message[QVL_ERROR_MESSAGE_BYTES]; /* one line without a newline, always terminated */
};

/* A short name of a status for logs: "OK", "BAD_INPUT", ... */
static inline const char *qvl_status_name(enum qvl_status status)
{
    static const char *const names[QVL_STATUS_COUNT] = {"OK",          "FAILED",      "USAGE",
                                                        "BAD_INPUT",   "NO_MEMORY",   "IO",
                                                        "UNAVAILABLE", "UNSUPPORTED", "INCOMPARABLE"};
    return (unsigned)status < QVL_STATUS_COUNT ? names[status] : "UNKNOWN";
}

/* The process exit code for a status. */
static inline int qvl_status_exit_code(enum qvl_status status)
{
    static const int codes[QVL_STATUS_COUNT] = {0, 1, 2, 3, 3, 3, 4, 4, 5};
    return (unsigned)status < QVL_STATUS_COUNT ? codes[status] : 1;
}

/* Record an error when `error` is not NULL; qvl_fail is the way to call it. */
static inline int qvl_record(struct qvl_error *error, enum qvl_status status, const char *format, ...)
    QVL_PRINTF(3, 4);

static inline int qvl_record(struct qvl_error *error, enum qvl_status status, const char *format, ...)
{
    if (!error)
        return 0;
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    for (char *c = error->message; *c; c++) /* names from files may hold control characters */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return 0;
}

static inline enum qvl_status qvl_status_after(int recorded, enum qvl_status status)
{
    (void)recorded;
    return status;
}

/* Record an error and return `status`, so that a function can end with
 * `return qvl_fail(error, QVL_BAD_INPUT, "...", ...)`. `status` must not be QVL_OK and is evaluated twice. A
 * macro, so that compilers and analysers see which status comes back. */
#define qvl_fail(error, status, ...) qvl_status_after(qvl_record(error, status, __VA_ARGS__), status)

/* Put "WHERE: " in front of a recorded message, to add the file or case that an inner call could not know. */
static inline enum qvl_status qvl_fail_in(struct qvl_error *error, enum qvl_status status, const char *where)
{
    if (error) {
        char inner[QVL_ERROR_MESSAGE_BYTES];
        snprintf(inner, sizeof inner, "%s", error->message);
        snprintf(error->message, sizeof error->message, "%.400s: %.600s", where, inner);
    }
    return status;
}

/* Return early when a call fails. */
#define QVL_TRY(call)                                                                                        \
    do {                                                                                                     \
        enum qvl_status qvl_try_status_ = (call);                                                            \
        if (qvl_try_status_ != QVL_OK)                                                                       \
            return qvl_try_status_;                                                                          \
    } while (0)

#endif
