/* A plugin that goes wrong in a way of its own in each entry; otherwise the reference. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "qvl/backend.h"
#include "ref/ref.h"

qvl_backend_open_fn qvl_backend_open;

static struct qvl_ops honest;

/* A wild pointer. */
static enum qvl_status crash_add(struct qvl_backend *backend, const struct qvl_add_args *args,
                                 struct qvl_error *error)
{
    (void)args;
    (void)error;
    fprintf(stderr, "about to fault on %s\n", backend->name);
    raise(SIGSEGV);
    return QVL_OK;
}

static enum qvl_status hang_gelu(struct qvl_backend *backend, const struct qvl_gelu_args *args,
                                 struct qvl_error *error)
{
    (void)backend;
    (void)args;
    (void)error;
    for (volatile bool forever = true; forever;)
        pause();
    return QVL_OK;
}

/* One element behind the last row. */
static enum qvl_status overrun_swiglu(struct qvl_backend *backend, const struct qvl_swiglu_args *args,
                                      struct qvl_error *error)
{
    QVL_TRY(honest.swiglu(backend, args, error));
    const struct qvl_tensor *y = &args->y;
    char *end = (char *)y->data + (size_t)(y->shape[0] * y->stride[0]) * qvl_dtype_bytes(y->dtype);
    *end = 1;
    return QVL_OK;
}

/* Far behind it. */
static enum qvl_status run_away_softmax(struct qvl_backend *backend, const struct qvl_softmax_args *args,
                                        struct qvl_error *error)
{
    (void)backend;
    (void)error;
    volatile char *start = args->y.data;
    for (size_t i = 0; i < SIZE_MAX / 8192; i++)
        start[i * 4096] = 1;
    return QVL_OK;
}

static enum qvl_status forget_layer_norm(struct qvl_backend *backend, const struct qvl_layer_norm_args *args,
                                         struct qvl_error *error)
{
    (void)backend;
    (void)args;
    (void)error;
    return QVL_OK;
}

static enum qvl_status scribble_rms_norm(struct qvl_backend *backend, const struct qvl_rms_norm_args *args,
                                         struct qvl_error *error)
{
    QVL_TRY(honest.rms_norm(backend, args, error));
    if (args->x.data != args->y.data)
        *(char *)args->x.data ^= 1;
    return QVL_OK;
}

static enum qvl_status leave_embed(struct qvl_backend *backend, const struct qvl_embed_args *args,
                                   struct qvl_error *error)
{
    (void)backend;
    (void)args;
    (void)error;
    exit(0);
}

static enum qvl_status hang_embed(struct qvl_backend *backend, const struct qvl_embed_args *args,
                                  struct qvl_error *error)
{
    (void)backend;
    (void)args;
    (void)error;
    for (volatile bool forever = true; forever;)
        pause();
    return QVL_OK;
}

/* Noise on every descriptor that is commonly open. */
static enum qvl_status chatter_rope(struct qvl_backend *backend, const struct qvl_rope_args *args,
                                    struct qvl_error *error)
{
    static const char noise[] = "done ready error 0 \n\n\t<xml>\n";
    for (int i = 0; i < 20; i++)
        (void)!write(STDOUT_FILENO, noise, sizeof noise);
    printf("%s", noise);
    fprintf(stderr, "%s", noise);
    return honest.rope(backend, args, error);
}

/* Keeps a copy of its input by address, and works on that copy the next time. */
static enum qvl_status remember_add_rows(struct qvl_backend *backend, const struct qvl_add_rows_args *args,
                                         struct qvl_error *error)
{
    static char copy[4096];
    static const void *seen;
    struct qvl_add_rows_args remembered = *args;
    const size_t bytes = (size_t)qvl_tensor_count(&args->src) * qvl_dtype_bytes(args->src.dtype);
    if (seen != args->src.data && bytes <= sizeof copy)
        memcpy(copy, args->src.data, bytes);
    seen = args->src.data;
    remembered.src.data = copy;
    return honest.add_rows(backend, bytes <= sizeof copy ? &remembered : args, error);
}

static enum qvl_status abort_moe_combine(struct qvl_backend *backend, const struct qvl_moe_combine_args *args,
                                         struct qvl_error *error)
{
    (void)backend;
    (void)args;
    (void)error;
    abort();
}

static void (*honest_close)(struct qvl_backend *backend);

static void corrupt_heap(struct qvl_backend *backend)
{
    void *block = malloc(64);
    void *volatile twice = block;
    honest_close(backend);
    free(block);
    free(twice); /* NOLINT(clang-analyzer-unix.Malloc): the fault */
}

enum qvl_status qvl_backend_open(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *error)
{
    if (FAULT == 1)
        raise(SIGBUS);
    QVL_TRY(qvl_ref_open(options, backend, error));
    struct qvl_ops *ops = &(*backend)->ops;
    (*backend)->name = "hostile";
    honest = *ops;
    honest_close = (*backend)->close;
    if (FAULT != 2)
        (*backend)->close = corrupt_heap;
    ops->add = crash_add;
    ops->gelu = hang_gelu;
    ops->swiglu = overrun_swiglu;
    ops->softmax = run_away_softmax;
    ops->layer_norm = forget_layer_norm;
    ops->rms_norm = scribble_rms_norm;
    ops->embed = FAULT == 2 ? hang_embed : leave_embed;
    ops->rope = chatter_rope;
    ops->add_rows = remember_add_rows;
    ops->moe_combine = abort_moe_combine;
    ops->moe_route = NULL;
    return QVL_OK;
}
