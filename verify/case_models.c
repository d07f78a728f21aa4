/* Cases in the shapes of the released models, from the tables of datasets/: every reduction length, head
 * count, head_dim, number of experts and top_k is the model's own. Rows and output columns, which are
 * computed independently of each other, are few. */
#include "datasets/model_tables.h"
#include "model/config.h"
#include "verify/case_list.h"

/* A name in braces stands for a number of the model, see value_of. */
static const char *const language[] = {
    /* projections: q/k/v and gate/up, o, down; prefill rows around a block, and one of decode */
    "linear rows=1,3,17 in={hidden} out=5 bias=0 pad=0",
    "linear rows=1,4 in={query} out=7 bias=0 pad=3",
    "linear rows=1,2 in={ffn} out=3 bias=0 pad=0",
    "linear rows=65 in={hidden} out=3 bias=0 pad=0 dtype=bf16",
    "linear rows=2 in={hidden} out={kv} bias=0 pad=0 dist=mantissa,outlier,negative",
    "linear rows=2 in={ffn} out=4 bias=0 pad=0 dist=mantissa,ints",
    "rms_norm rows=1,3,16 heads=0 dim={hidden} pad=0 inplace=0",
    "rms_norm rows=2 heads=0 dim={hidden} pad=0 inplace=0 dist=mantissa,huge,outlier,tiny",
    "rms_norm rows=1,3 heads={heads},{kv} dim={d} pad=0,8 inplace=0,1",
    "mrope_table rows=1,9 d={d} s0={s0} s1={s1} s2={s2} chunked=0 yarn=0 double=0,1 top={top}",
    "mrope_table rows=4 d={d} s0={s0} s1={s1} s2={s2} chunked=0 yarn=1 double=0 top=1048575",
    "rope rows=1,3 heads={heads},{kv} d={d} once=0 pad=0,8 inplace=0,1",
    "cache_append kv={kv} d={d} past=0,15,64 rows=1,3 seqs=1,2 pad=0",
    "attention heads={heads} kv={kv} d={d} past=0,15,16,63,127 rows=1,2 seqs=1 drop=0 pad=0",
    "attention heads={heads} kv={kv} d={d} past=5 rows=1 seqs=3 drop=0 pad=0 dist=normal,outlier,negative",
    "attention heads={heads} kv={kv} d={d} past=65 rows=2 seqs=1 drop=0 pad=0 dist=mantissa,ties",
    "swiglu rows=1,2 dim={ffn} pad=0 inplace=0,1",
    "add rows=1,3 dim={hidden} pad=0 inplace=0,1",
    "add_rows rows=9 src=4 dim={hidden}",
    "scatter_rows rows=9 src=4 dim={hidden}",
    "embed rows=3 vocab=17 dim={hidden}",
    "output_head rows=3 chosen=0,1,2 dim={hidden} vocab=7",
    "output_head rows=2 chosen=1 dim={hidden} vocab=6 dist=mantissa",
    "softmax rows=2 dim={vocab} pad=0 inplace=0 dtype=f32,bf16",
    "sample vocab={vocab} prompt=9 output=3 greedy=0 rep=100 pres=150 temp=70 k=20 p=80 dtype=f32",
    "sample vocab={vocab} prompt=9 output=3 greedy=1 rep=110 pres=0 temp=100 k=0 p=100 dtype=f32",
};

static const char *const mixture[] = {
    "linear rows=1,5 in={hidden} out={experts} bias=0 pad=0", /* the router */
    "moe_route rows=1,3,17 experts={experts} k={top_k}",
    "moe_route rows=5 experts={experts} k={top_k} dist=ties,negative,huge,constant",
    "moe_experts rows=1,7 experts={experts} k={top_k} dim=20 ffn=12 first=0,1",
    "moe_experts rows=1,3 experts=3 k=2 dim={hidden} ffn=5 first=0,1",
    "moe_experts rows=1,3 experts=3 k=2 dim=6 ffn={expert_ffn} first=0,1",
    "moe_experts rows=2 experts=2 k=1 dim={hidden} ffn=6 first=0 dist=mantissa dtype=f32,bf16",
    "moe_experts rows=2 experts=2 k=1 dim=8 ffn={expert_ffn} first=1 dist=mantissa dtype=f32,bf16",
    "moe_combine rows=1,3 k={top_k} dim={hidden}",
    "moe_combine rows=2 k={top_k} dim={hidden} dist=outlier,ints",
};

static const char *const vision[] = {
    "patch_embed rows=1,4,17 in={patch} out=7 bias=1",
    "patch_embed rows=2 in={patch} out=4 bias=1 dist=mantissa,negative",
    "pos_interp side={side} dim=5 t=1 h=2,14 w=4,22 merge={merge} once=0,1",
    "pos_interp side={side} dim={width} t=2 h=2 w=4 merge={merge} once=0,1",
    "vision_rope_table t=2 h=6,34 w=10,62 merge={merge} d={head} dtype=f32",
    "layer_norm rows=1,3,17 dim={width} pad=0,8 inplace=0,1",
    "layer_norm rows=2 dim={width} pad=0 inplace=0 dist=mantissa,outlier,huge,negative",
    "linear rows=1,4 in={width} out=9 bias=1 pad=0",
    "linear rows=1,4 in={mlp} out=5 bias=1 pad=0",
    "linear rows=2 in={mlp} out=4 bias=1 pad=0 dist=mantissa,outlier",
    "rope rows=1,5 heads={vision_heads} d={head} once=1 pad=0,8 inplace=0,1",
    "vision_attention heads={vision_heads} d={head} a=7 b=0 c=16 pad=0,9",
    "vision_attention heads={vision_heads} d={head} a=1 b=15 c=17 pad=0 dist=normal,outlier,mantissa",
    "gelu rows=1,3 dim={mlp} erf=0 pad=0 inplace=0,1",
    "gelu rows=1,2 dim={grouped} erf=1 pad=0 inplace=0,1",
    "layer_norm rows=1,2 dim={grouped} pad=0 inplace=0",
    "linear rows=1,2 in={grouped} out=5 bias=1 pad=0",
    "linear rows=2 in={grouped} out=5 bias=1 pad=0 dist=mantissa,ints",
    "merger tokens=1,3 group={group} dim=72 out=9 norm=0,1",
};

/* The whole matrix of the merger, once for each of the two towers. */
static const char *const towers[] = {"merger tokens=2 group={group} dim={width} out=5 norm=0 dtype=f32",
                                     "merger tokens=1 group={group} dim={width} out=4 norm=1 dtype=f32 "
                                     "dist=mantissa"};

struct named {
    const char *name;
    int64_t value;
};

enum { NAMES = 32 };

static void name_numbers(const struct qvl_model_config *config, struct named named[NAMES])
{
    const struct qvl_text_config *text = &config->text;
    const struct qvl_vision_config *eye = &config->vision;
    const struct named all[] = {
        {"hidden", text->hidden},
        {"query", text->heads * text->head_dim},
        {"ffn", text->experts > 0 ? text->moe_intermediate : text->intermediate},
        {"heads", text->heads},
        {"kv", text->kv_heads},
        {"d", text->head_dim},
        {"s0", text->mrope_section[0]},
        {"s1", text->mrope_section[1]},
        {"s2", text->mrope_section[2]},
        {"top", text->max_positions - 1},
        {"vocab", text->vocab},
        {"experts", text->experts},
        {"top_k", text->experts_per_token},
        {"expert_ffn", text->moe_intermediate},
        {"patch", eye->channels * eye->temporal_patch * eye->patch * eye->patch},
        {"side", eye->position_side},
        {"merge", eye->merge},
        {"group", eye->merge * eye->merge},
        {"width", eye->hidden},
        {"grouped", eye->hidden * eye->merge * eye->merge},
        {"mlp", eye->intermediate},
        {"vision_heads", eye->heads},
        {"head", eye->head_dim},
    };
    memset(named, 0, NAMES * sizeof *named);
    memcpy(named, all, sizeof all);
}

/* Put the numbers into the braces of a pattern. */
static enum qvl_status substitute(const char *pattern, const struct named *named,
                                  char line[QVL_PATTERN_BYTES], struct qvl_error *error)
{
    size_t used = 0;
    while (*pattern && used < QVL_PATTERN_BYTES - 24) {
        if (*pattern != '{') {
            line[used++] = *pattern++;
            continue;
        }
        const size_t length = strcspn(++pattern, "}");
        int i = 0;
        while (named[i].name &&
               (strlen(named[i].name) != length || strncmp(named[i].name, pattern, length) != 0))
            i++;
        if (!named[i].name)
            return qvl_fail(error, QVL_FAILED, "case pattern: no number {%.*s}", (int)length, pattern);
        used += (size_t)snprintf(line + used, QVL_PATTERN_BYTES - used, "%lld", (long long)named[i].value);
        pattern += length + 1;
    }
    line[used] = '\0';
    return QVL_OK;
}

static enum qvl_status add_patterns(struct qvl_case_list *list, const char *model, const struct named *named,
                                    const char *const *patterns, size_t count, struct qvl_error *error)
{
    for (size_t i = 0; i < count; i++) {
        char line[QVL_PATTERN_BYTES];
        QVL_TRY(substitute(patterns[i], named, line, error));
        QVL_TRY(qvl_case_list_pattern(list, model, line, error));
    }
    return QVL_OK;
}

#define ADD(patterns)                                                                                        \
    QVL_TRY(add_patterns(list, model, named, patterns, sizeof(patterns) / sizeof *(patterns), error))

static enum qvl_status add_model(struct qvl_case_list *list, const char *model,
                                 const struct qvl_model_config *config, bool new_tower,
                                 struct qvl_error *error)
{
    struct named named[NAMES];
    name_numbers(config, named);
    ADD(language);
    if (config->text.experts > 0)
        ADD(mixture);
    ADD(vision);
    if (new_tower)
        ADD(towers);
    return QVL_OK;
}

enum qvl_status qvl_cases_models(struct qvl_case_list *list, struct qvl_error *error)
{
    int64_t widths[2] = {0}; /* of the towers seen */
    for (int64_t i = 0; i < qvl_model_table_count(); i++) {
        const struct qvl_model_table *table = qvl_model_table_get(i);
        struct qvl_model_config config;
        if (strncmp(table->name, "qwen3-vl-", 9) != 0)
            continue;
        QVL_TRY(qvl_model_config_parse(table->json, table->size, table->name, &config, error));
        const bool seen = config.vision.hidden == widths[0] || config.vision.hidden == widths[1];
        QVL_TRY(add_model(list, table->name, &config, !seen, error));
        if (!seen)
            widths[widths[0] ? 1 : 0] = config.vision.hidden;
    }
    return QVL_OK;
}
