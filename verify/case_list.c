/* The built-in cases. A comma stands for several cases; without dtype= a line means all three storage types.
 * Every dimension of a case differs from the others where the op allows it. */
#include <stdlib.h>

#include "verify/probe.h"

static const char *const patterns[] = {
    "patch_embed rows=0,1,67 in=24 out=7 bias=0,1",
    "patch_embed rows=5 in=1536 out=33 bias=1 dist=normal,ints,outlier",

    "pos_interp side=4 dim=5 t=2 h=6 w=10 merge=2 once=0,1",
    "pos_interp side=48 dim=3 t=1 h=2,34 w=4,62 merge=2 once=0,1",
    "pos_interp side=7 dim=11 t=1 h=1 w=9 merge=1 once=0,1",
    "pos_interp side=5 dim=8 t=1 h=3 w=9 merge=3 once=0,1 dist=ints,outlier",

    "vision_rope_table t=2 h=6 w=10 merge=2 d=16,64,72,80 dtype=f32",
    "vision_rope_table t=1 h=3 w=9 merge=1,3 d=8 dtype=f32",

    "layer_norm rows=0,1,17 dim=37 pad=0,3 inplace=0,1",
    "layer_norm rows=5 dim=1152 pad=0 inplace=0 dist=normal,ints,huge,tiny,outlier,negative,special",
    "layer_norm rows=4 dim=7 pad=2 inplace=0 dist=constant",

    "linear rows=0,1,3,17 in=37 out=11 bias=0,1 pad=0,5",
    "linear rows=7 in=1,15,16,17,200 out=9 bias=1 pad=0 dist=normal,ints",
    "linear rows=131 in=64 out=33 bias=0 pad=0 dist=normal,outlier,special",
    "linear rows=2 in=4096 out=5 bias=1 pad=0 dist=normal,ints,huge,negative",
    "linear rows=65 in=129 out=130 bias=1 pad=1",

    "rope rows=0,5 heads=3 d=16,64,72,80,128 once=0,1 pad=0,7 inplace=0",
    "rope rows=7 heads=2 d=6,128 once=0,1 pad=0,3 inplace=1 dist=normal,ints,special",

    "vision_attention heads=3 d=16,64,72,80 a=17 b=0 c=5 pad=0,9",
    "vision_attention heads=2 d=8 a=1 b=65 c=130 pad=0 dist=normal,outlier,tiny",
    "vision_attention heads=3 d=16 a=4 b=7 c=2 pad=0 dist=ints,special,ties",
    "vision_attention heads=2 d=8 a=0 b=0 c=0 pad=0",

    "gelu rows=0,3 dim=401 erf=0,1 pad=0,5 inplace=0,1",
    "gelu rows=4 dim=33 erf=0,1 pad=0 inplace=0 dist=huge,tiny,negative,special",

    "merger tokens=0,1,5,67 group=4 dim=10 out=14 norm=0,1",
    "merger tokens=3 group=1,9 dim=12 out=5 norm=0,1 dist=normal,outlier,ints",

    "embed rows=0,5 vocab=11 dim=37",

    "scatter_rows rows=9 src=0,4 dim=13 dist=normal,special",

    "mrope_table rows=0,5 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0,1 double=0,1 top=100,262143,1000000",
    "mrope_table rows=4 d=128 s0=16 s1=24 s2=24 chunked=1 yarn=0,1 double=0 top=32768",
    "mrope_table rows=6 d=16 s0=4 s1=2 s2=2 chunked=0,1 yarn=0 double=0 top=5000",
    "mrope_table rows=6 d=8 s0=16 s1=8 s2=8 chunked=0 yarn=0 double=0 top=300",

    "rms_norm rows=0,1,17 heads=0 dim=37 pad=0,3 inplace=0,1",
    "rms_norm rows=5 heads=1,3 dim=16,72,128 pad=0,8 inplace=0,1",
    "rms_norm rows=4 heads=0 dim=1280 pad=0 inplace=0 dist=normal,ints,constant,huge",
    "rms_norm rows=4 heads=0 dim=37 pad=0 inplace=0 dist=tiny,outlier,negative,special",

    "cache_append kv=2 d=16 past=0,5 rows=0,1,3 seqs=1,3 pad=0,3",
    "cache_append kv=3 d=72 past=15,16,17 rows=3 seqs=1 pad=0 dist=special",

    "attention heads=6 kv=2 d=72 past=0,15,16,17 rows=1,3 seqs=1,3 drop=0 pad=0",
    "attention heads=3 kv=3 d=16 past=64 rows=1,5 seqs=2 drop=0 pad=0,5",
    "attention heads=14 kv=2 d=64 past=5 rows=7 seqs=1 drop=0 pad=0",
    "attention heads=36 kv=3 d=80 past=9 rows=1,4 seqs=1 drop=0 pad=0",
    "attention heads=4 kv=1 d=128 past=0,300 rows=1,17 seqs=1 drop=0 pad=0 dist=normal,outlier",
    "attention heads=6 kv=2 d=8 past=0 rows=5 seqs=1 drop=3 pad=0 dist=normal,ints",
    "attention heads=6 kv=2 d=8 past=33 rows=0 seqs=2 drop=0 pad=0",
    "attention heads=6 kv=2 d=24 past=7 rows=4 seqs=3 drop=0 pad=0 dist=ints,ties,special,negative,tiny",

    "swiglu rows=0,1,3 dim=401 pad=0,5 inplace=0,1",
    "swiglu rows=4 dim=33 pad=0 inplace=0 dist=huge,negative,ints,special",
    "swiglu rows=4 dim=33 pad=0 inplace=0 dist=tiny dtype=f32,bf16",

    "add rows=0,1,3 dim=401 pad=0,5 inplace=0,1",
    "add rows=4 dim=33 pad=0 inplace=0 dist=huge,ints,special",

    "add_rows rows=9 src=0,4 dim=13 dist=normal,ints,special",

    "moe_route rows=0,17 experts=8,128 k=1,8",
    "moe_route rows=6 experts=11 k=3 dist=ties,ints,negative,special,constant,tiny",

    "moe_experts rows=0,1,17 experts=5 k=2 dim=20 ffn=12 first=0,1",
    "moe_experts rows=70 experts=3 k=1 dim=64 ffn=33 first=0,1 dist=normal,ints,outlier",

    "moe_combine rows=0,1,5 k=1,8 dim=37",
    "moe_combine rows=7 k=3 dim=37 dist=ints,special",

    "output_head rows=9 chosen=0,1,3 dim=37 vocab=101",
    "output_head rows=3 chosen=2 dim=200 vocab=1013 dist=normal,ints,special",

    "softmax rows=0,1,5 dim=1,37,1000 pad=0,3 inplace=0,1",
    "softmax rows=4 dim=65 pad=0 inplace=0 dist=huge,ties,negative,constant,special",

    "sample vocab=101 prompt=0,7 output=6 greedy=0,1 rep=100,130 pres=0,150 temp=70 k=0 p=80 dtype=f32",
    "sample vocab=101 prompt=7 output=6 greedy=0 rep=100,130 pres=0,150 temp=70 k=0,20 p=100 dtype=f32",
    "sample vocab=1013 prompt=20 output=0 greedy=0 rep=110 pres=0 temp=60,100 k=0,5 p=95 dtype=f32",
    "sample vocab=37 prompt=3 output=4 greedy=0,1 rep=120 pres=50 temp=100 k=4 p=100 dtype=f32 dist=ties",
    "sample vocab=37 prompt=0 output=4 greedy=0 rep=120 pres=50 temp=90 k=4 p=99 dtype=f32 dist=negative",
};

struct list {
    struct qvl_case *cases;
    int64_t count, capacity;
    const struct qvl_case_filter *filter;
};

static bool wanted(const struct qvl_case_filter *filter, const struct qvl_case *candidate)
{
    char line[QVL_CASE_LINE_BYTES];
    if (!filter)
        return true;
    if (filter->op && strcmp(filter->op, qvl_verify_name(candidate->check)) != 0 &&
        strcmp(filter->op, qvl_verify_name(qvl_verify_op(candidate->check))) != 0)
        return false;
    if (filter->has_dtype && filter->dtype != candidate->dtype)
        return false;
    qvl_case_print(candidate, line);
    return !filter->text || strstr(line, filter->text);
}

static enum qvl_status add_case(struct list *list, const char *line, struct qvl_error *error)
{
    struct qvl_case parsed;
    QVL_TRY(qvl_case_parse(line, &parsed, error));
    if (list->filter && list->filter->has_seed)
        parsed.seed = list->filter->seed;
    if (!wanted(list->filter, &parsed))
        return QVL_OK;
    if (list->count == list->capacity) {
        const int64_t capacity = list->capacity > 0 ? 2 * list->capacity : 256;
        struct qvl_case *grown = realloc(list->cases, (size_t)capacity * sizeof *grown);
        if (!grown)
            return qvl_fail(error, QVL_NO_MEMORY, "no memory for %lld cases", (long long)capacity);
        list->cases = grown;
        list->capacity = capacity;
    }
    list->cases[list->count++] = parsed;
    return QVL_OK;
}

/* Replace the first list of values in the pattern by each of its members, and go on with the rest. */
static enum qvl_status expand(struct list *list, const char *pattern, struct qvl_error *error)
{
    const char *comma = strchr(pattern, ',');
    if (!comma)
        return add_case(list, pattern, error);
    const char *first = comma;
    while (first[-1] != '=')
        first--;
    const size_t span = strcspn(first, " ");
    for (const char *member = first; member < first + span;) {
        char line[QVL_CASE_LINE_BYTES];
        const size_t length = strcspn(member, ", ");
        snprintf(line, sizeof line, "%.*s%.*s%s", (int)(first - pattern), pattern, (int)length, member,
                 first + span);
        QVL_TRY(expand(list, line, error));
        member += length + 1;
    }
    return QVL_OK;
}

/* A pattern without dtype= stands for all three storage types. */
static enum qvl_status add_pattern(struct list *list, const char *pattern, struct qvl_error *error)
{
    char line[QVL_CASE_LINE_BYTES];
    snprintf(line, sizeof line, "%s%s", pattern, strstr(pattern, "dtype=") ? "" : " dtype=f32,bf16,f16");
    return expand(list, line, error);
}

enum qvl_status qvl_cases(const struct qvl_case_filter *filter, struct qvl_case **cases, int64_t *count,
                          struct qvl_error *error)
{
    struct list list = {.filter = filter};
    enum qvl_status status = QVL_OK;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && status == QVL_OK; i++)
        status = add_pattern(&list, patterns[i], error);
    for (int check = qvl_verify_op_count(); check < qvl_verify_count() && status == QVL_OK; check++)
        for (const char *const *pattern = qvl_probe_of(check)->patterns; *pattern && status == QVL_OK;
             pattern++)
            status = add_pattern(&list, *pattern, error);
    if (status != QVL_OK) {
        free(list.cases);
        list = (struct list){.cases = NULL};
    }
    *cases = list.cases;
    *count = list.count;
    return status;
}
