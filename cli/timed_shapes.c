#include "cli/timed_shapes.h"

#include <stdarg.h>

struct list {
    struct qvl_case *cases;
    int count;
    const char *model;
    enum qvl_dtype dtype;
    enum qvl_status status; /* the first failure sticks */
    struct qvl_error *error;
};

static void add(struct list *list, const char *format, ...) QVL_PRINTF(2, 3);

static void add(struct list *list, const char *format, ...)
{
    char line[QVL_CASE_LINE_BYTES];
    va_list arguments;
    if (list->status != QVL_OK || list->count == QVL_TIMED_SHAPES)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    struct qvl_case *added = &list->cases[list->count];
    list->status = qvl_case_parse(line, added, list->error);
    for (int i = 0; i < list->count && list->status == QVL_OK; i++) /* two layers of one shape */
        if (list->cases[i].check == added->check &&
            memcmp(list->cases[i].numbers, added->numbers, sizeof added->numbers) == 0)
            return;
    added->dtype = list->dtype;
    snprintf(added->set, sizeof added->set, "%.23s", list->model);
    list->count += list->status == QVL_OK;
}

static void add_linear(struct list *list, int64_t rows, int64_t in, int64_t out, int bias)
{
    add(list, "linear rows=%lld in=%lld out=%lld bias=%d pad=0", (long long)rows, (long long)in,
        (long long)out, bias);
}

enum { PIECE = 32 }; /* rows of a piece of prefill, few enough for the reference to follow */

static void add_language(struct list *list, const struct qvl_text_config *text)
{
    const long long hidden = text->hidden, heads = text->heads, kv = text->kv_heads, d = text->head_dim;
    const long long ffn = text->experts > 0 ? text->moe_intermediate : text->intermediate;
    for (int64_t rows = 1; rows <= PIECE; rows *= PIECE) {
        const long long n = rows;
        add_linear(list, rows, hidden, heads * d, 0);
        add_linear(list, rows, hidden, kv * d, 0);
        add_linear(list, rows, heads * d, hidden, 0);
        add_linear(list, rows, hidden, ffn, 0);
        add_linear(list, rows, ffn, hidden, 0);
        add(list, "rms_norm rows=%lld heads=0 dim=%lld pad=0 inplace=0", n, hidden);
        add(list, "rms_norm rows=%lld heads=%lld dim=%lld pad=0 inplace=0", n, heads, d);
        add(list, "mrope_table rows=%lld d=%lld s0=%lld s1=%lld s2=%lld chunked=0 yarn=0 double=0 top=65535",
            n, d, (long long)text->mrope_section[0], (long long)text->mrope_section[1],
            (long long)text->mrope_section[2]);
        add(list, "rope rows=%lld heads=%lld d=%lld once=0 pad=0 inplace=0", n, heads, d);
        add(list, "cache_append kv=%lld d=%lld past=0 rows=%lld seqs=1 pad=0", kv, d, n);
        add(list, "attention heads=%lld kv=%lld d=%lld past=%d rows=%lld seqs=1 drop=0 pad=0", heads, kv, d,
            rows == 1 ? 4095 : 1024, n);
        add(list, "swiglu rows=%lld dim=%lld pad=0 inplace=0", n, ffn);
        add(list, "add rows=%lld dim=%lld pad=0 inplace=0", n, hidden);
    }
    add(list, "embed rows=%d vocab=16384 dim=%lld", PIECE, hidden);
    add(list, "scatter_rows rows=%d src=16 dim=%lld", PIECE, hidden);
    add(list, "add_rows rows=%d src=16 dim=%lld", PIECE, hidden);
    add(list, "output_head rows=1 chosen=0 dim=%lld vocab=32768", hidden);
    add(list, "softmax rows=1 dim=%lld pad=0 inplace=0", (long long)text->vocab);
    if (list->dtype == QVL_F32)
        add(list, "sample vocab=%lld prompt=9 output=3 greedy=0 rep=100 pres=150 temp=70 k=20 p=80",
            (long long)text->vocab);
}

/* Of the experts only as many as two rows may touch: the table of all is hundreds of megabytes. */
static void add_mixture(struct list *list, const struct qvl_text_config *text)
{
    const long long k = text->experts_per_token, hidden = text->hidden;
    if (text->experts <= 0)
        return;
    add(list, "moe_route rows=%d experts=%lld k=%lld", PIECE, (long long)text->experts, k);
    add(list, "moe_experts rows=1 experts=%lld k=%lld dim=%lld ffn=%lld first=0", 2 * k, k, hidden,
        (long long)text->moe_intermediate);
    add(list, "moe_combine rows=%d k=%lld dim=%lld", PIECE, k, hidden);
}

static void add_vision(struct list *list, const struct qvl_vision_config *eye, int64_t hidden)
{
    const long long width = eye->hidden, heads = eye->heads, d = eye->head_dim, mlp = eye->intermediate;
    const long long group = eye->merge * eye->merge;
    add(list, "patch_embed rows=%d in=%lld out=%lld bias=1", PIECE,
        (long long)eye->channels * eye->temporal_patch * eye->patch * eye->patch, width);
    add(list, "pos_interp side=%lld dim=%lld t=1 h=16 w=16 merge=%lld once=0", (long long)eye->position_side,
        width, (long long)eye->merge);
    if (list->dtype == QVL_F32)
        add(list, "vision_rope_table t=1 h=16 w=16 merge=%lld d=%lld", (long long)eye->merge, d);
    add(list, "layer_norm rows=%d dim=%lld pad=0 inplace=0", 4 * PIECE, width);
    add_linear(list, PIECE, width, 3 * width, 1);
    add_linear(list, PIECE, width, mlp, 1);
    add_linear(list, PIECE, mlp, width, 1);
    add(list, "rope rows=%d heads=%lld d=%lld once=1 pad=0 inplace=0", 4 * PIECE, heads, d);
    add(list, "vision_attention heads=%lld d=%lld a=%d b=0 c=%d pad=0", heads, d, 4 * PIECE, 4 * PIECE);
    add(list, "gelu rows=%d dim=%lld erf=0 pad=0 inplace=0", PIECE, mlp);
    add(list, "merger tokens=4 group=%lld dim=%lld out=%lld norm=0", group, width, (long long)hidden);
}

enum qvl_status qvl_timed_shapes(const char *model, const struct qvl_model_config *config,
                                 enum qvl_dtype dtype, struct qvl_case cases[QVL_TIMED_SHAPES], int *count,
                                 struct qvl_error *error)
{
    struct list list = {.cases = cases, .model = model, .dtype = dtype, .error = error};
    add_language(&list, &config->text);
    add_mixture(&list, &config->text);
    add_vision(&list, &config->vision, config->text.hidden);
    *count = list.count;
    return list.status;
}
