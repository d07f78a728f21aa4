/* A backend plugin as a third party writes one, and the ways to get it wrong: compiled once for each FAULT.
 */
#include "qvl/backend.h"
#include "ref/ref.h"

#define FAULT_NONE 0    /* the reference under another name */
#define FAULT_ABI 1     /* built for an ABI that is not ours */
#define FAULT_SIZE 2    /* built against a struct of another size */
#define FAULT_REFUSES 3 /* does not run on this machine */
#define FAULT_SILENT 4  /* exports no qvl_backend_open */
#define FAULT_LACKS 5   /* leaves a function of memory NULL */

#if FAULT == FAULT_SILENT
int qvl_nothing_to_open(void);

int qvl_nothing_to_open(void)
{
    return 0;
}
#else
qvl_backend_open_fn qvl_backend_open;

enum qvl_status qvl_backend_open(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *error)
{
    if (FAULT == FAULT_REFUSES)
        return qvl_fail(error, QVL_UNAVAILABLE, "no device found");
    /* A backend of another layout cannot be freed by its host: these two hand out one that needs no freeing.
     */
    static struct qvl_backend foreign;
    if (FAULT == FAULT_ABI || FAULT == FAULT_SIZE) {
        foreign.abi = FAULT == FAULT_ABI ? QVL_BACKEND_ABI + 1 : QVL_BACKEND_ABI;
        foreign.struct_size = (uint32_t)sizeof foreign - (FAULT == FAULT_SIZE ? 8 : 0);
        *backend = &foreign;
        return QVL_OK;
    }
    QVL_TRY(qvl_ref_open(options, backend, error));
    if (FAULT == FAULT_LACKS)
        (*backend)->upload = NULL;
    (*backend)->name = "mine";
    (*backend)->description = "the reference as a plugin";
    return QVL_OK;
}
#endif
