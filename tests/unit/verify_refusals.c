/* Backends that accept what a contract forbids, refuse it in another way, or write before they refuse: each
 * must be FAILED where the honest cpu backend that it wraps passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/cpu/cpu.h"
#include "ref/ref.h"
#include "wrong_kernel.h"

static enum qvl_status any_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                                struct qvl_error *error)
{
    struct qvl_gelu_args known = *args;
    (void)backend;
    known.form = args->form == QVL_GELU_ERF ? QVL_GELU_ERF : QVL_GELU_TANH;
    return honest->ops.gelu(honest, &known, error);
}

static enum qvl_status any_id(struct qvl_backend *backend, const struct qvl_embed_args *args,
                              struct qvl_error *error)
{
    int64_t ids[16];
    struct qvl_embed_args masked = *args;
    (void)backend;
    for (int64_t i = 0; i < args->y.shape[0]; i++)
        ids[i] = args->ids[i] < 0 || args->ids[i] > 10 ? 0 : args->ids[i];
    masked.ids = ids;
    return honest->ops.embed(honest, &masked, error);
}

/* The first row is written before the bad id is found. */
static enum qvl_status writes_before_it_checks(struct qvl_backend *backend, const struct qvl_embed_args *args,
                                               struct qvl_error *error)
{
    const enum qvl_status status = honest->ops.embed(honest, args, error);
    struct qvl_embed_args first = *args;
    (void)backend;
    if (status == QVL_BAD_INPUT) {
        first.y.shape[0] = 1;
        QVL_TRY(honest->ops.embed(honest, &first, NULL));
    }
    return status;
}

/* Appends what fits. */
static enum qvl_status appends_a_part(struct qvl_backend *backend, const struct qvl_cache_append_args *args,
                                      struct qvl_error *error)
{
    const enum qvl_status status = honest->ops.cache_append(honest, args, error);
    struct qvl_segment one = args->segments[0];
    struct qvl_cache_append_args part = *args;
    (void)backend;
    if (status == QVL_NO_MEMORY) {
        one.count = 1;
        part.segments = &one;
        QVL_TRY(honest->ops.cache_append(honest, &part, NULL));
    }
    return status;
}

static enum qvl_status refuses_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                       struct qvl_error *error)
{
    (void)backend;
    (void)args;
    return qvl_fail(error, QVL_USAGE, "softmax: no");
}

static enum qvl_status unsupported_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                           struct qvl_error *error)
{
    (void)backend;
    (void)args;
    return qvl_fail(error, QVL_UNSUPPORTED, "softmax: not built");
}

/* Another kind of failure than the documented one. */
static enum qvl_status confuses_statuses(struct qvl_backend *backend, const struct qvl_add_args *args,
                                         struct qvl_error *error)
{
    const enum qvl_status status = honest->ops.add(honest, args, error);
    (void)backend;
    return status == QVL_USAGE ? QVL_IO : status;
}

static void wrong_statuses_are_seen(void **state)
{
    (void)state;
    KILLS(gelu, any_gelu, "refuse_gelu call=15 dtype=f32");
    KILLS(embed, any_id, "refuse_embed call=3 dtype=f32");
    KILLS(embed, any_id, "refuse_embed call=4 dtype=f32");
    KILLS(embed, any_id, "refuse_embed call=5 dtype=f32");
    KILLS(embed, writes_before_it_checks, "refuse_embed call=3 dtype=f32");
    KILLS(cache_append, appends_a_part, "refuse_cache_append call=3 dtype=f32");
    KILLS(softmax, refuses_softmax, "refuse_softmax call=0 dtype=f32");
    KILLS(add, confuses_statuses, "refuse_add call=0 dtype=f32");
    wrong = *honest;
    wrong.ops.softmax = unsupported_softmax;
    assert_int_equal(run("refuse_softmax call=0 dtype=f32").status, QVL_CASE_UNSUPPORTED);
}

/* The lists and their patterns have the same length: one call more is no case. */
static void every_wrong_call_is_listed(void **state)
{
    const struct qvl_case_context context = {.reference = reference, .candidate = honest};
    struct qvl_error error = {.message = ""};
    struct qvl_case *cases;
    int64_t count;
    (void)state;
    assert_int_equal(qvl_cases(&(struct qvl_case_filter){.text = "refuse_"}, &cases, &count, &error), QVL_OK);
    assert_true(count > 200);
    for (int64_t i = 0; i < count; i++) {
        struct qvl_case_result result;
        if (i + 1 < count && cases[i + 1].check == cases[i].check)
            continue;
        cases[i].numbers[0]++;
        assert_int_equal(qvl_case_run(&cases[i], &context, &result, &error), QVL_USAGE);
    }
    free(cases);
}

static int open_backends(void **state)
{
    struct qvl_error error;
    (void)state;
    return qvl_cpu_open(&(struct qvl_backend_options){.threads = 2}, &honest, &error) != QVL_OK ||
           qvl_ref_open(NULL, &reference, &error) != QVL_OK;
}

static int close_backends(void **state)
{
    (void)state;
    honest->close(honest);
    reference->close(reference);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_statuses_are_seen),
                                       cmocka_unit_test(every_wrong_call_is_listed)};
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
