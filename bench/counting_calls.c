/* What each call costs, and which stage it belongs to. */
#include "bench/counting_parts.h"
#include "bench/flops_per_element.h"

static qvl_flop_count elements(const struct qvl_tensor *tensor)
{
    return (qvl_flop_count)qvl_tensor_count(tensor);
}

static qvl_flop_count bytes(const struct qvl_tensor *tensor)
{
    return elements(tensor) * (qvl_flop_count)qvl_dtype_bytes(tensor->dtype);
}

static void put(struct tally *tally, qvl_flop_count flops, qvl_flop_count moved)
{
    tally->called = true;
    tally->flops += flops;
    tally->bytes += moved;
}

static void count(struct counting *counting, enum counting_stage stage, qvl_flop_count flops,
                  qvl_flop_count moved)
{
    put(&counting->stages[stage], flops, moved);
}

/* Elementwise work and norms of whichever part is running. */
static void count_elements(struct counting *counting, qvl_flop_count flops)
{
    count(counting, counting->in_tower ? STAGE_VISION_ELEMENTWISE : STAGE_ELEMENTWISE, flops, 0);
}

static void count_norm(struct counting *counting, qvl_flop_count flops)
{
    count(counting, counting->in_tower ? STAGE_VISION_NORMS : STAGE_NORMS, flops, 0);
}

/* ---- Where linear layers go ---- */

static struct tally *next_merger(struct counting *counting)
{
    if (counting->merger_count > QVL_MAX_DEEPSTACK)
        return &counting->stages[STAGE_UNPLACED];
    return &counting->mergers[counting->merger_count++];
}

static struct tally *stage_of(struct counting *counting, enum counting_stage stage)
{
    if (stage != STAGE_MERGER)
        return &counting->stages[stage];
    return counting->merger_count ? &counting->mergers[counting->merger_count - 1]
                                  : &counting->stages[STAGE_UNPLACED];
}

static void put_product(struct tally *tally, const struct waiting_product *product, bool input_read)
{
    put(tally, product->flops,
        product->weight_bytes + product->output_bytes + (input_read ? 0 : product->input_bytes));
}

/* Give the linear layers that wait to `tally`; those of one input read it once. */
static void place(struct counting *counting, struct tally *tally)
{
    for (int i = 0; i < counting->waiting_count; i++) {
        bool read = false;
        for (int j = 0; j < i; j++)
            read = read || counting->waiting[j].input == counting->waiting[i].input;
        put_product(tally, &counting->waiting[i], read);
    }
    counting->waiting_count = 0;
}

void qvl_count_end_pass(struct counting *counting)
{
    place(counting, &counting->stages[STAGE_UNPLACED]);
    for (int i = 0; i < counting->merger_count; i++) {
        bool main = i == counting->merger_count - 1;
        put(main ? &counting->stages[STAGE_MERGER] : &counting->deepstack[i], counting->mergers[i].flops,
            counting->mergers[i].bytes);
        counting->mergers[i] = (struct tally){0};
    }
    counting->merger_count = 0;
    counting->follower = STAGE_NONE;
    counting->position_follows = false;
}

void qvl_count_linear(struct counting *counting, const struct qvl_linear_args *args)
{
    const struct waiting_product product = {.flops = 2 * (qvl_flop_count)args->x.shape[0] *
                                                     (qvl_flop_count)args->weight->count,
                                            .weight_bytes = (qvl_flop_count)args->weight->bytes,
                                            .input_bytes = bytes(&args->x),
                                            .output_bytes = bytes(&args->y),
                                            .input = args->x.data};
    if (args->bias)
        count_elements(counting, elements(&args->y));
    if (counting->follower != STAGE_NONE) {
        put_product(stage_of(counting, counting->follower), &product, false);
        counting->follower = STAGE_NONE;
        return;
    }
    if (counting->waiting_count == MAX_WAITING)
        place(counting, &counting->stages[STAGE_UNPLACED]);
    counting->waiting[counting->waiting_count++] = product;
}

/* ---- Vision ---- */

void qvl_count_patch_embed(struct counting *counting, const struct qvl_patch_embed_args *args)
{
    qvl_count_end_pass(counting);
    counting->in_tower = true;
    count(counting, STAGE_PATCH_EMBED,
          2 * (qvl_flop_count)args->x.shape[0] * (qvl_flop_count)args->weight->count,
          (qvl_flop_count)args->weight->bytes + bytes(&args->x) + bytes(&args->y));
    if (args->bias)
        count_elements(counting, elements(&args->y));
}

void qvl_count_pos_interp(struct counting *counting, const struct qvl_pos_interp_args *args)
{
    qvl_flop_count places = 0; /* frames of one grid share the result */
    for (int64_t i = 0; i < args->grid_count; i++)
        places += (qvl_flop_count)args->grids[i].h * (qvl_flop_count)args->grids[i].w;
    count(counting, STAGE_POSITION, INTERPOLATION * places * (qvl_flop_count)args->y.shape[1],
          bytes(&args->table));
    counting->position_follows = true;
}

void qvl_count_vision_rope_table(struct counting *counting, const struct qvl_vision_rope_table_args *args)
{
    (void)counting; /* tables are not counted */
    (void)args;
}

void qvl_count_layer_norm(struct counting *counting, const struct qvl_layer_norm_args *args)
{
    count_norm(counting, LAYER_NORM * elements(&args->x));
}

void qvl_count_rope(struct counting *counting, const struct qvl_rope_args *args)
{
    count_elements(counting, ROTARY * elements(&args->x));
}

void qvl_count_vision_attention(struct counting *counting, const struct qvl_vision_attention_args *args)
{
    qvl_flop_count pairs = 0;
    qvl_flop_count heads = (qvl_flop_count)args->q.shape[1], width = (qvl_flop_count)args->q.shape[2];
    for (int64_t i = 0; i < args->segment_count; i++) {
        qvl_flop_count rows = (qvl_flop_count)(args->segment_starts[i + 1] - args->segment_starts[i]);
        pairs += rows * rows;
    }
    place(counting, &counting->stages[STAGE_VISION_LINEAR]);
    counting->follower = STAGE_VISION_LINEAR;
    count(counting, STAGE_VISION_ATTENTION, 4 * pairs * heads * width,
          bytes(&args->q) + bytes(&args->k) + bytes(&args->v) + bytes(&args->y));
    count(counting, STAGE_VISION_SOFTMAX, SCORE_SOFTMAX * pairs * heads, 0);
}

void qvl_count_gelu(struct counting *counting, const struct qvl_gelu_args *args)
{
    bool merger = args->form == QVL_GELU_ERF;
    place(counting, merger ? next_merger(counting) : &counting->stages[STAGE_VISION_LINEAR]);
    counting->follower = merger ? STAGE_MERGER : STAGE_VISION_LINEAR;
    count_elements(counting, (merger ? GELU_ERF : GELU_TANH) * elements(&args->x));
}

void qvl_count_merger(struct counting *counting, const struct qvl_merger_args *args)
{
    qvl_flop_count tokens = (qvl_flop_count)args->y.shape[0];
    qvl_flop_count inner = elements(&args->x); /* fc1 keeps the width of the grouped rows */
    count_norm(counting, LAYER_NORM * inner);
    put(next_merger(counting), 2 * tokens * (qvl_flop_count)(args->fc1->count + args->fc2->count),
        (qvl_flop_count)(args->fc1->bytes + args->fc2->bytes) + 3 * bytes(&args->x) + bytes(&args->y));
    count_elements(counting, (1 + GELU_ERF) * inner + elements(&args->y));
}

/* ---- Language ---- */

void qvl_count_embed(struct counting *counting, const struct qvl_embed_args *args)
{
    qvl_count_end_pass(counting);
    counting->in_tower = false;
    qvl_flop_count row = (qvl_flop_count)(args->table->bytes / args->table->slices);
    count(counting, STAGE_EMBEDDING, 0, (qvl_flop_count)args->y.shape[0] * row + bytes(&args->y));
}

void qvl_count_scatter_rows(struct counting *counting, const struct qvl_scatter_rows_args *args)
{
    (void)counting; /* a copy: no FLOPs, and fused it moves nothing more */
    (void)args;
}

void qvl_count_mrope_table(struct counting *counting, const struct qvl_mrope_table_args *args)
{
    (void)counting; /* tables are not counted */
    (void)args;
}

void qvl_count_rms_norm(struct counting *counting, const struct qvl_rms_norm_args *args)
{
    count_norm(counting, RMS_NORM * elements(&args->x));
}

void qvl_count_cache_append(struct counting *counting, const struct qvl_cache_append_args *args)
{
    place(counting, &counting->stages[STAGE_ATTENTION_LINEAR]);
    for (int64_t i = 0; i < args->segment_count; i++) {
        const struct qvl_segment *segment = &args->segments[i];
        count(counting, STAGE_ATTENTION, 0,
              2 * (qvl_flop_count)segment->count * (qvl_flop_count)segment->cache->row_bytes);
    }
}

void qvl_count_attention(struct counting *counting, const struct qvl_attention_args *args)
{
    qvl_flop_count pairs = 0, read = 0;
    qvl_flop_count heads = (qvl_flop_count)args->q.shape[1], width = (qvl_flop_count)args->q.shape[2];
    for (int64_t i = 0; i < args->segment_count; i++) {
        const struct qvl_segment *segment = &args->segments[i];
        int64_t length = counting->inner->cache_length(counting->inner, segment->cache->inner, args->layer);
        for (int64_t row = 0; row < segment->count; row++)
            pairs += (qvl_flop_count)(length - segment->count + row + 1);
        read += 2 * (qvl_flop_count)length * (qvl_flop_count)segment->cache->row_bytes;
    }
    counting->follower = STAGE_ATTENTION_LINEAR;
    count(counting, STAGE_ATTENTION, 4 * pairs * heads * width, read + bytes(&args->q) + bytes(&args->y));
    count(counting, STAGE_SOFTMAX, SCORE_SOFTMAX * pairs * heads, 0);
}

void qvl_count_swiglu(struct counting *counting, const struct qvl_swiglu_args *args)
{
    place(counting, &counting->stages[STAGE_MLP]);
    counting->follower = STAGE_MLP;
    count_elements(counting, SWIGLU * elements(&args->y));
}

void qvl_count_add(struct counting *counting, const struct qvl_add_args *args)
{
    if (counting->position_follows)
        count(counting, STAGE_POSITION, elements(&args->y), 0);
    else
        count_elements(counting, elements(&args->y));
    counting->position_follows = false;
}

void qvl_count_add_rows(struct counting *counting, const struct qvl_add_rows_args *args)
{
    count(counting, STAGE_DEEPSTACK_ADD, elements(&args->src), 0);
}

void qvl_count_moe_route(struct counting *counting, const struct qvl_moe_route_args *args)
{
    place(counting, &counting->stages[STAGE_ROUTER]);
    count(counting, STAGE_SOFTMAX,
          ROUTER_SOFTMAX * elements(&args->logits) + ROUTER_CHOSEN * elements(&args->chosen), 0);
}

void qvl_count_moe_experts(struct counting *counting, const struct qvl_moe_experts_args *args,
                           int64_t touched)
{
    qvl_flop_count pairs = elements(&args->chosen);
    qvl_flop_count hidden = (qvl_flop_count)args->x.shape[1];
    qvl_flop_count size = (qvl_flop_count)qvl_dtype_bytes(args->x.dtype);
    /* weights of one expert */
    qvl_flop_count gate_up = (qvl_flop_count)(args->gate_up->count / args->gate_up->slices);
    qvl_flop_count down = (qvl_flop_count)(args->down->count / args->down->slices);
    qvl_flop_count weights = (qvl_flop_count)(args->gate_up->bytes / args->gate_up->slices);
    weights += (qvl_flop_count)(args->down->bytes / args->down->slices);
    qvl_flop_count inner = down / hidden;
    count(counting, STAGE_EXPERTS, 2 * pairs * (gate_up + down),
          (qvl_flop_count)touched * weights + pairs * (2 * hidden + 3 * inner) * size);
    count_elements(counting, SWIGLU * pairs * inner);
    counting->experts_touched += touched;
}

void qvl_count_moe_combine(struct counting *counting, const struct qvl_moe_combine_args *args)
{
    count_elements(counting, WEIGHTED_SUM * elements(&args->x));
}

void qvl_count_output_head(struct counting *counting, const struct qvl_output_head_args *args)
{
    qvl_flop_count rows = (qvl_flop_count)args->y.shape[0], width = (qvl_flop_count)args->x.shape[1];
    count(counting, STAGE_HEAD, 2 * rows * (qvl_flop_count)args->weight->count,
          (qvl_flop_count)args->weight->bytes +
              rows * width * (qvl_flop_count)qvl_dtype_bytes(args->x.dtype) + bytes(&args->y));
}
