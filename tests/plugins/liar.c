/* A plugin whose `linear` lies about its time, in one of eight ways; otherwise the reference. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "qvl/backend.h"
#include "ref/ref.h"

qvl_backend_open_fn qvl_backend_open;

enum lie {
    SKIPS,    /* does nothing when the output stands where it stood in an earlier call */
    CACHES,   /* keeps outputs by a hash of the inputs, whatever the weights */
    RETURNS,  /* before it has finished; sync does not wait, download neither */
    WAITS,    /* the same, but download waits */
    NOTICES,  /* computes the first calls of a shape, and then no more */
    PREVIOUS, /* hands out what the call before computed */
    TIRES,    /* computes its first thousand calls, and then no more */
    POSES,    /* computes where it is called again and again, and not between other entries, as in a model */
};

static struct qvl_backend honest;
static struct qvl_linear_args pending; /* of the thread */
static pthread_t thread;
static bool running;

static size_t bytes_of(const struct qvl_tensor *tensor)
{
    return (size_t)(tensor->shape[0] * tensor->stride[0]) * qvl_dtype_bytes(tensor->dtype);
}

/* ---- skipping, noticing, handing out the last one ---- */

enum { PLACES = 4096 };

static enum qvl_status skip(struct qvl_backend *backend, const struct qvl_linear_args *args,
                            struct qvl_error *error)
{
    static const void *seen[PLACES];
    int i = 0;
    while (i < PLACES - 1 && seen[i] && seen[i] != args->y.data)
        i++;
    if (seen[i] == args->y.data)
        return QVL_OK;
    seen[i] = args->y.data;
    return honest.ops.linear(backend, args, error);
}

/* Plausible, and cheap. */
static enum qvl_status give_zeros(const struct qvl_linear_args *args)
{
    for (int64_t row = 0; row < args->y.shape[0]; row++)
        memset((char *)args->y.data + (size_t)(row * args->y.stride[0]) * qvl_dtype_bytes(args->y.dtype), 0,
               (size_t)args->y.shape[1] * qvl_dtype_bytes(args->y.dtype));
    return QVL_OK;
}

static enum qvl_status notice(struct qvl_backend *backend, const struct qvl_linear_args *args,
                              struct qvl_error *error)
{
    static int64_t shape[3];
    static int calls;
    const int64_t now[3] = {args->x.shape[0], args->x.shape[1], args->y.shape[1]};
    calls = memcmp(shape, now, sizeof now) == 0 ? calls + 1 : 0;
    memcpy(shape, now, sizeof now);
    return calls < 4 ? honest.ops.linear(backend, args, error) : give_zeros(args);
}

static enum qvl_status tire(struct qvl_backend *backend, const struct qvl_linear_args *args,
                            struct qvl_error *error)
{
    static int calls;
    return calls++ < 1000 ? honest.ops.linear(backend, args, error) : give_zeros(args);
}

/* Of a model's linear layers those that follow another entry are left out, once it is sure to be in one. */
static bool between;
static enum qvl_status pose(struct qvl_backend *backend, const struct qvl_linear_args *args,
                            struct qvl_error *error)
{
    static int changes;
    changes += between;
    const bool lie = between && changes > 4;
    between = false;
    return lie ? give_zeros(args) : honest.ops.linear(backend, args, error);
}

static enum qvl_status swiglu(struct qvl_backend *backend, const struct qvl_swiglu_args *args,
                              struct qvl_error *error)
{
    between = true;
    return honest.ops.swiglu(backend, args, error);
}

static char *last;
static size_t last_bytes;

static enum qvl_status hand_out_previous(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                         struct qvl_error *error)
{
    const size_t bytes = bytes_of(&args->y);
    QVL_TRY(honest.ops.linear(backend, args, error));
    char *computed = malloc(bytes);
    memcpy(computed, args->y.data, bytes);
    if (last && last_bytes == bytes)
        memcpy(args->y.data, last, bytes);
    free(last);
    last = computed;
    last_bytes = bytes;
    return QVL_OK;
}

/* ---- caching ---- */

static struct {
    uint64_t hash;
    size_t bytes;
    char *output;
} cached[PLACES];

static enum qvl_status cache(struct qvl_backend *backend, const struct qvl_linear_args *args,
                             struct qvl_error *error)
{
    const unsigned char *x = args->x.data;
    const size_t bytes = bytes_of(&args->y);
    uint64_t hash = (uint64_t)args->y.shape[1] ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes_of(&args->x); i++)
        hash = (hash ^ x[i]) * UINT64_C(0x100000001b3);
    int place = (int)(hash % PLACES);
    if (cached[place].hash == hash && cached[place].bytes == bytes) {
        memcpy(args->y.data, cached[place].output, bytes);
        return QVL_OK;
    }
    QVL_TRY(honest.ops.linear(backend, args, error));
    free(cached[place].output);
    cached[place].output = malloc(bytes);
    cached[place].hash = hash;
    cached[place].bytes = bytes;
    memcpy(cached[place].output, args->y.data, bytes);
    return QVL_OK;
}

/* ---- returning early ---- */

static void *compute(void *backend)
{
    struct qvl_error ignored;
    usleep(3000);
    (void)honest.ops.linear(backend, &pending, &ignored);
    return NULL;
}

static void wait_for_thread(void)
{
    if (running)
        pthread_join(thread, NULL);
    running = false;
}

static enum qvl_status return_early(struct qvl_backend *backend, const struct qvl_linear_args *args,
                                    struct qvl_error *error)
{
    static struct qvl_tensor bias;
    wait_for_thread();
    pending = *args;
    if (args->bias) {
        bias = *args->bias;
        pending.bias = &bias;
    }
    if (pthread_create(&thread, NULL, compute, backend) != 0)
        return qvl_fail(error, QVL_FAILED, "no thread");
    running = true;
    return QVL_OK;
}

/* What must not run into the thread: memory that changes or goes away. */
static enum qvl_status upload(struct qvl_backend *backend, const struct qvl_tensor *to, const void *host,
                              struct qvl_error *error)
{
    wait_for_thread();
    return honest.upload(backend, to, host, error);
}

static enum qvl_status waiting_download(struct qvl_backend *backend, const struct qvl_tensor *from,
                                        void *host, struct qvl_error *error)
{
    wait_for_thread();
    return honest.download(backend, from, host, error);
}

static void release(struct qvl_backend *backend, void *data)
{
    wait_for_thread();
    honest.release(backend, data);
}

static void destroy_weight(struct qvl_backend *backend, struct qvl_weight *weight)
{
    wait_for_thread();
    honest.weight_destroy(backend, weight);
}

static void close_backend(struct qvl_backend *backend)
{
    wait_for_thread();
    for (int i = 0; i < PLACES; i++)
        free(cached[i].output);
    free(last);
    memset(cached, 0, sizeof cached);
    last = NULL;
    honest.close(backend);
}

enum qvl_status qvl_backend_open(const struct qvl_backend_options *options, struct qvl_backend **backend,
                                 struct qvl_error *error)
{
    QVL_TRY(qvl_ref_open(options, backend, error));
    struct qvl_backend *liar = *backend;
    honest = *liar;
    liar->name = "liar";
    liar->close = close_backend;
    switch ((enum lie)LIE) {
    case SKIPS: liar->ops.linear = skip; break;
    case CACHES: liar->ops.linear = cache; break;
    case NOTICES: liar->ops.linear = notice; break;
    case PREVIOUS: liar->ops.linear = hand_out_previous; break;
    case TIRES: liar->ops.linear = tire; break;
    case POSES:
        liar->ops.linear = pose;
        liar->ops.swiglu = swiglu;
        break;
    case WAITS: liar->download = waiting_download; /* fall through */
    case RETURNS:
        liar->ops.linear = return_early;
        liar->upload = upload;
        liar->release = release;
        liar->weight_destroy = destroy_weight;
    }
    return QVL_OK;
}
