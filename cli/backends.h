/* Backends by name: the built-in ones and plugins. */
#ifndef QVL_CLI_BACKENDS_H
#define QVL_CLI_BACKENDS_H

#include "qvl/backend.h"
#include "qvl/record.h"

struct qvl_builtin_backend {
    const char *name;
    qvl_backend_open_fn *open;
};

/* Built-in backends in the order of listings; NULL beyond the last. */
const struct qvl_builtin_backend *qvl_builtin_backend_at(int64_t index);

/* A backend and the shared object it came from. */
struct qvl_opened_backend {
    struct qvl_backend *backend;
    qvl_backend_open_fn *open; /* opens another one, while this one is open */
    void *library;             /* NULL: built in */
};

/* Open "ref", "cpu", "honest", "honest:pairwise", "mutant:NAME" (backends/mutants), or the plugin at a path
 * (a name with a slash, or ending in ".so"). QVL_UNAVAILABLE: no such backend (the known ones are listed),
 * the object does not load, exports no qvl_backend_open, or was built for another ABI. `options` may be NULL.
 */
QVL_MUST_USE enum qvl_status qvl_backend_open_named(const char *name,
                                                    const struct qvl_backend_options *options,
                                                    struct qvl_opened_backend *opened,
                                                    struct qvl_error *error);
void qvl_backend_close_named(struct qvl_opened_backend *opened); /* one that was never opened is accepted */

/* The open function alone, for callers that open several; a plugin stays loaded. Fails as
 * qvl_backend_open_named. */
QVL_MUST_USE enum qvl_status qvl_backend_find(const char *name, qvl_backend_open_fn **open,
                                              struct qvl_error *error);

/* Add a field "backend_NAME" with the description of each built-in backend: its libraries, kernels and
 * threads. */
void qvl_backends_describe(struct qvl_record *record);

#endif
