#include "cli/backends.h"

#include <dlfcn.h>

#include "backends/cpu/cpu.h"
#include "backends/mutants/mutants.h"
#include "ref/ref.h"

static const struct qvl_builtin_backend builtin[] = {
    {"ref", qvl_ref_open},
    {"cpu", qvl_cpu_open},
};

#define BUILTIN_COUNT ((int64_t)(sizeof builtin / sizeof *builtin))

const struct qvl_builtin_backend *qvl_builtin_backend_at(int64_t index)
{
    return index >= 0 && index < BUILTIN_COUNT ? &builtin[index] : NULL;
}

/* ---- "honest", "honest:ORDER", "mutant:NAME": an open function has no argument of its own, so the last one
 * asked for is what these two open ---- */

static char mutant_name[128];
static enum qvl_sum_order honest_order;

static enum qvl_status open_mutant(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    return qvl_mutant_open(mutant_name, options, backend, error);
}

static enum qvl_status open_honest(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                   struct qvl_error *error)
{
    return qvl_honest_open(honest_order, options, backend, error);
}

/* NULL when the name is none of these. */
static qvl_backend_open_fn *find_planted(const char *name)
{
    if (strncmp(name, "mutant:", 7) == 0 && strlen(name + 7) < sizeof mutant_name) {
        snprintf(mutant_name, sizeof mutant_name, "%s", name + 7);
        return open_mutant;
    }
    honest_order = QVL_SUM_SEQUENTIAL;
    if (strcmp(name, "honest") == 0)
        return open_honest;
    for (int order = 0; strncmp(name, "honest:", 7) == 0 && order < QVL_SUM_ORDER_COUNT; order++)
        if (strcmp(name + 7, qvl_sum_order_name((enum qvl_sum_order)order)) == 0) {
            honest_order = (enum qvl_sum_order)order;
            return open_honest;
        }
    return NULL;
}

/* NULL when there is none of that name. */
static qvl_backend_open_fn *find_builtin(const char *name)
{
    for (int64_t i = 0; i < BUILTIN_COUNT; i++)
        if (strcmp(name, builtin[i].name) == 0)
            return builtin[i].open;
    return find_planted(name);
}

static bool is_plugin_path(const char *name)
{
    size_t length = strlen(name);
    return strchr(name, '/') || (length > 3 && strcmp(name + length - 3, ".so") == 0);
}

static enum qvl_status unknown_backend(const char *name, struct qvl_error *error)
{
    char known[256] = "";
    for (int64_t i = 0; i < BUILTIN_COUNT; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", builtin[i].name);
    }
    return qvl_fail(error, QVL_UNAVAILABLE,
                    "there is no backend \"%s\" in this build; known: %s, honest[:ORDER], mutant:NAME (`list "
                    "mutants`), or the path of "
                    "a plugin (./libmine.so)",
                    name, known);
}

/* Load a plugin and find its open function; *library is owned on success. */
static enum qvl_status load_plugin(const char *path, void **library, qvl_backend_open_fn **open,
                                   struct qvl_error *error)
{
    char local[4096];
    /* dlopen looks for a name without a slash in the system's folders, not here */
    snprintf(local, sizeof local, "%s%s", strchr(path, '/') ? "" : "./", path);
    *library = dlopen(local, RTLD_NOW | RTLD_LOCAL);
    if (!*library)
        return qvl_fail(error, QVL_UNAVAILABLE, "backend plugin %s does not load: %s", path, dlerror());
    /* POSIX promises this conversion; ISO C has no cast for it */
    *(void **)open = dlsym(*library, "qvl_backend_open");
    if (!*open) {
        dlclose(*library);
        return qvl_fail(error, QVL_UNAVAILABLE,
                        "backend plugin %s exports no qvl_backend_open; see include/qvl/backend.h", path);
    }
    return QVL_OK;
}

static enum qvl_status check_abi(const char *name, const struct qvl_backend *backend, struct qvl_error *error)
{
    if (backend->abi != QVL_BACKEND_ABI)
        return qvl_fail(
            error, QVL_UNAVAILABLE,
            "backend plugin %s has ABI %u, this program has %d: rebuild it with this include/qvl/backend.h",
            name, backend->abi, QVL_BACKEND_ABI);
    if (backend->struct_size != sizeof *backend)
        return qvl_fail(
            error, QVL_UNAVAILABLE,
            "backend plugin %s has a struct qvl_backend of %u bytes, this program of %zu: rebuild it with "
            "this include/qvl/backend.h",
            name, backend->struct_size, sizeof *backend);
    return QVL_OK;
}

/* What every caller relies on without looking. */
static enum qvl_status check_complete(const char *name, const struct qvl_backend *backend,
                                      struct qvl_error *error)
{
    const char *missing = qvl_backend_lacks_memory(backend);
    if (!missing)
        missing = !backend->name ? "name" : !backend->description ? "description" : NULL;
    if (missing)
        return qvl_fail(error, QVL_UNAVAILABLE,
                        "backend plugin %s leaves %s NULL; only entries of the table and the functions of "
                        "weights and caches may be (docs/PLUGINS.md)",
                        name, missing);
    if (backend->math.accumulate != QVL_F64 && backend->math.accumulate != QVL_F32 &&
        backend->math.accumulate != QVL_F16)
        return qvl_fail(error, QVL_UNAVAILABLE,
                        "backend plugin %s declares sums in %s; math.accumulate is f64, f32 or f16", name,
                        qvl_dtype_name(backend->math.accumulate));
    return QVL_OK;
}

enum qvl_status qvl_backend_open_named(const char *name, const struct qvl_backend_options *options,
                                       struct qvl_opened_backend *opened, struct qvl_error *error)
{
    qvl_backend_open_fn *open = find_builtin(name);
    *opened = (struct qvl_opened_backend){.open = open};
    if (open)
        return open(options, &opened->backend, error);
    if (!is_plugin_path(name))
        return unknown_backend(name, error);
    QVL_TRY(load_plugin(name, &opened->library, &open, error));
    opened->open = open;
    enum qvl_status status = open(options, &opened->backend, error);
    if (status != QVL_OK) {
        opened->backend = NULL;
        qvl_fail_in(error, status, name);
    } else if (!opened->backend) {
        status = qvl_fail(error, QVL_UNAVAILABLE, "backend plugin %s opened without giving a backend", name);
    } else {
        status = check_abi(name, opened->backend, error);
        if (status == QVL_OK) {
            status = check_complete(name, opened->backend, error);
            if (status != QVL_OK && opened->backend->close)
                opened->backend->close(opened->backend);
        }
    }
    if (status != QVL_OK) {
        /* a backend of another layout cannot be closed through this struct */
        opened->backend = NULL;
        qvl_backend_close_named(opened);
    }
    return status;
}

void qvl_backend_close_named(struct qvl_opened_backend *opened)
{
    if (opened->backend)
        opened->backend->close(opened->backend);
    if (opened->library)
        dlclose(opened->library);
    *opened = (struct qvl_opened_backend){0};
}

enum qvl_status qvl_backend_find(const char *name, qvl_backend_open_fn **open, struct qvl_error *error)
{
    struct qvl_opened_backend trial;
    void *library;
    *open = find_builtin(name);
    if (*open)
        return QVL_OK;
    QVL_TRY(qvl_backend_open_named(name, NULL, &trial, error)); /* its ABI is right */
    qvl_backend_close_named(&trial);
    return load_plugin(name, &library, open, error);
}

void qvl_backends_describe(struct qvl_record *record)
{
    for (int64_t i = 0; i < BUILTIN_COUNT; i++) {
        char name[64];
        struct qvl_backend *backend;
        struct qvl_error error;
        snprintf(name, sizeof name, "backend_%s", builtin[i].name);
        if (builtin[i].open(NULL, &backend, &error) != QVL_OK) {
            qvl_record_missing(record, name, error.message);
            continue;
        }
        qvl_record_text(record, name, backend->description, QVL_FROM_MEASURED);
        backend->close(backend);
    }
}
