/* qvl-audit stage-worker ORDER OUT: a pass of a candidate for another process (cli/stage_process.h). */
#define _GNU_SOURCE

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli/backends.h"
#include "cli/stage_process.h"
#include "cli/verbs.h"
#include "cli/visual_tensors.h"

static enum qvl_status write_stages(const char *path, const struct qvl_tap_store *taken,
                                    const struct qvl_stage_order *order, struct qvl_error *error)
{
    struct qvl_tensor_list list = {0};
    for (int64_t i = 0; i < taken->count; i++) {
        const struct qvl_tap_entry *entry = &taken->entries[i];
        qvl_tensor_list_add(&list, entry->name, QVL_F32, 2,
                            (const int64_t[]){entry->shape[0], qvl_tap_entry_width(entry)}, entry->values);
    }
    qvl_tensor_list_add(&list, "logits_positions", QVL_I64, 1, &order->pass.position_count,
                        order->pass.positions);
    const enum qvl_status status = qvl_tensor_list_write(&list, path, NULL, 0, error);
    qvl_tensor_list_free(&list);
    return status;
}

enum qvl_status qvl_verb_stage_worker(int argc, char **argv, struct qvl_error *error)
{
    const struct rlimit none = {0, 0};
    struct qvl_stage_order order;
    if (argc != 3)
        return qvl_fail(error, QVL_USAGE, "this verb is started by `verify`, not by hand");
    /* The process is its parent's: no core files, no life without it. */
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    enum qvl_status status = qvl_stage_order_read(argv[1], &order, error);
    struct qvl_tap_store taken = {.patterns = (const char *const *)order.patterns,
                                  .pattern_count = order.pattern_count,
                                  .forced = order.forced.count ? &order.forced : NULL};
    if (status == QVL_OK)
        status = qvl_backend_find(order.backend, &order.pass.open, error);
    if (status == QVL_OK)
        status = qvl_stage_pass_run(&order.pass, &taken, error);
    if (status == QVL_OK)
        status = write_stages(argv[2], &taken, &order, error);
    qvl_tap_store_free(&taken);
    qvl_stage_order_free(&order);
    return status;
}
