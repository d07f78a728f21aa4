/* attention (text, over the KV cache) and vision_attention (segments of one buffer), as lists of tasks. */
#include "attend.h"

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static enum qvl_status check_cache(const struct qvl_attention_args *args, int64_t s, struct qvl_error *error)
{
    const struct qvl_cache *cache = args->segments[s].cache;
    const struct qvl_cache *first = args->segments[0].cache;
    if (args->layer >= cache->layers)
        return qvl_fail(error, QVL_USAGE, "attention.layer: is %lld, the cache of segment %lld has %lld",
                        (long long)args->layer, (long long)s, (long long)cache->layers);
    if (args->q.shape[2] != cache->head_dim || args->q.shape[1] % cache->kv_heads)
        return qvl_fail(error, QVL_USAGE,
                        "attention.q: has %lld heads of %lld, the cache of segment %lld %lld heads of %lld",
                        (long long)args->q.shape[1], (long long)args->q.shape[2], (long long)s,
                        (long long)cache->kv_heads, (long long)cache->head_dim);
    if (cache->kv_heads != first->kv_heads)
        return qvl_fail(error, QVL_USAGE, "attention.segments[%lld]: has %lld KV heads, segment 0 %lld",
                        (long long)s, (long long)cache->kv_heads, (long long)first->kv_heads);
    return QVL_OK;
}

/* How a segment is cut: blocks of rows, and parts of the keys when the rows are few. */
struct cut {
    int64_t rows, blocks, parts;
};

static struct cut cut_segment(const struct qvl_segment *segment, int64_t length, int64_t group)
{
    struct cut cut = {.parts = 1};
    cut.rows = qvl_cpu_least(segment->count, group < ATTEND_ROWS ? ATTEND_ROWS / group : 1);
    cut.blocks = ceil_div(segment->count, cut.rows);
    if (qvl_cpu_attend_is_few(segment->count * group) && length > ATTEND_SPLIT)
        cut.parts = ceil_div(length, ATTEND_SPLIT);
    return cut;
}

/* Tasks of one segment. Later rows see more keys, so they come first. */
static struct attend_task *segment_tasks(const struct qvl_attention_args *args,
                                         const struct qvl_segment *segment, struct attend_task *task,
                                         float **part)
{
    const struct qvl_cache *cache = segment->cache;
    int64_t length = cache->length[args->layer], group = args->q.shape[1] / cache->kv_heads;
    struct cut cut = cut_segment(segment, length, group);
    for (int64_t block = cut.blocks - 1; block >= 0; block--)
        for (int64_t head = 0; head < cache->kv_heads; head++)
            for (int64_t p = 0; p < cut.parts; p++, task++) {
                int64_t row = block * cut.rows;
                *task =
                    (struct attend_task){.first = segment->first + row, .head = head * group, .heads = group};
                task->keys = (struct attend_keys){.k = qvl_cpu_cache_head(cache, cache->k[args->layer], head),
                                                  .v = qvl_cpu_cache_head(cache, cache->v[args->layer], head),
                                                  .dtype = cache->dtype,
                                                  .k_stride = cache->row,
                                                  .v_stride = cache->row};
                task->rows = qvl_cpu_least(cut.rows, segment->count - row);
                task->step = 1;
                task->visible = length - segment->count + row + 1;
                task->key_first = p * ATTEND_SPLIT;
                task->key_end = task->visible + task->rows - 1;
                if (cut.parts > 1) {
                    task->key_end = qvl_cpu_least(task->key_end, (p + 1) * ATTEND_SPLIT);
                    task->part = *part;
                    *part += qvl_cpu_attend_part(task->rows * group, cache->row);
                }
            }
    return task;
}

enum qvl_status qvl_cpu_attention(struct qvl_backend *backend, const struct qvl_attention_args *args,
                                  struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    struct attend_call call = {.q = &args->q, .y = &args->y, .scale = args->scale};
    struct attend_task *end;
    float *part = NULL;
    int64_t floats = 0;
    QVL_TRY(qvl_attention_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "attention", error));
    for (int64_t s = 0; s < args->segment_count; s++) {
        const struct qvl_segment *segment = &args->segments[s];
        const struct qvl_cache *cache = segment->cache;
        struct cut cut;
        QVL_TRY(check_cache(args, s, error));
        if (segment->count == 0)
            continue;
        cut = cut_segment(segment, cache->length[args->layer], args->q.shape[1] / cache->kv_heads);
        call.count += cut.blocks * cut.parts * cache->kv_heads;
        call.dim = cache->row;
        if (cut.parts > 1)
            floats += cut.parts * qvl_cpu_attend_part(segment->count * args->q.shape[1], cache->row);
    }
    if (call.count == 0)
        return QVL_OK;
    CPU_SCRATCH(state, call.task, call.count * (int64_t)sizeof *end, error);
    CPU_SCRATCH(state, part, floats * 4, error);
    end = call.task;
    for (int64_t s = 0; s < args->segment_count; s++)
        if (args->segments[s].count > 0)
            end = segment_tasks(args, &args->segments[s], end, &part);
    return qvl_cpu_attend(state, &call, error);
}

enum qvl_status qvl_cpu_vision_attention(struct qvl_backend *backend,
                                         const struct qvl_vision_attention_args *args,
                                         struct qvl_error *error)
{
    struct cpu_state *state = qvl_cpu_enter(backend);
    struct attend_call call = {.q = &args->q, .y = &args->y, .scale = args->scale, .dim = args->q.shape[2]};
    const int64_t *starts = args->segment_starts;
    struct attend_task *task;
    QVL_TRY(qvl_vision_attention_check(args, error));
    QVL_TRY(qvl_cpu_no_cond(args->cond, "vision_attention", error));
    for (int64_t s = 0; s < args->segment_count; s++)
        call.count += ceil_div(starts[s + 1] - starts[s], ATTEND_ROWS) * args->q.shape[1];
    CPU_SCRATCH(state, call.task, call.count * (int64_t)sizeof *task, error);
    task = call.task;
    for (int64_t s = 0; s < args->segment_count; s++)
        for (int64_t first = starts[s]; first < starts[s + 1]; first += ATTEND_ROWS)
            for (int64_t head = 0; head < args->q.shape[1]; head++, task++) {
                *task = (struct attend_task){.first = first, .head = head, .heads = 1};
                task->keys = (struct attend_keys){.k = qvl_cpu_at2(&args->k, starts[s], head),
                                                  .v = qvl_cpu_at2(&args->v, starts[s], head),
                                                  .dtype = args->k.dtype,
                                                  .k_stride = args->k.stride[0],
                                                  .v_stride = args->v.stride[0]};
                task->rows = qvl_cpu_least(ATTEND_ROWS, starts[s + 1] - first);
                task->visible = starts[s + 1] - starts[s];
                task->key_end = task->visible;
            }
    return qvl_cpu_attend(state, &call, error);
}
