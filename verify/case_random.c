/* Random cases: shapes and options drawn from ranges, log-uniformly, so that small and odd sizes are as
 * likely as large ones. The draws depend on the seed alone: --seed S gives other shapes as well as other
 * inputs. */
#include <stdlib.h>

#include "base/random.h"
#include "verify/case_list.h"

#define DRAWS 240 /* of every entry of the op table, its patterns and the types in turn */

/* key=CHOICE,CHOICE..: a choice is a sum of products of numbers, earlier keys and ranges LO..HI (bounds
 * alike), without spaces. A key that starts with a dot is for later keys only. */
static const char *const patterns[] = {
    "patch_embed rows=0,1..90,1..90 in=1..1600 out=1..40 bias=0,1 dist=normal,normal,outlier,mantissa",
    "pos_interp side=2..48 dim=1..40 .m=1..3 merge=.m t=1..3 h=.m*1..9 w=.m*1..12 once=0,1 "
    "dist=normal,normal,outlier,mantissa",
    "vision_rope_table .m=1..3 merge=.m t=1..3 h=.m*1..20 w=.m*1..20 d=4*1..24 dtype=f32",
    "layer_norm rows=0,1..40,1..40 dim=2..2500 pad=0,1..9 inplace=0,1 "
    "dist=normal,normal,outlier,mantissa,negative,huge,tiny",
    "linear rows=0,1..150,1..150,1..150 in=1..3000 out=1..60 bias=0,1 pad=0,1..9 "
    "dist=normal,normal,outlier,mantissa,negative,tiny,huge",
    "linear rows=2..60 in=8..2000 out=5..30 bias=0,1 pad=0,1..9 dist=ints",
    "rope rows=0,1..40,1..40 heads=1..17 d=2*1..66 once=0,1 pad=0,1..9 inplace=0,1 "
    "dist=normal,normal,mantissa",
    "vision_attention heads=1..6 d=4*1..24 a=0..70 b=0,1..70 c=1..40 pad=0,1..9 "
    "dist=normal,normal,outlier,ties,negative,mantissa",
    "gelu rows=0,1..30,1..30 dim=1..1500 erf=0,1 pad=0,1..9 inplace=0,1 dist=normal,normal,tiny,mantissa",
    "merger tokens=0,1..40,1..40 group=1..9 dim=2..40 out=1..30 norm=0,1 dist=normal,normal,outlier",
    "embed rows=0,1..60,1..60 vocab=2..300 dim=1..300",
    "scatter_rows .n=1..60 rows=.n src=0,1...n,1...n dim=1..300 dist=normal,special",
    "mrope_table rows=0,1..30,1..30 s0=1..32 s1=0..24 s2=0..24 d=2*s0+2*s1+2*s2 chunked=0,1 yarn=0,1 "
    "double=0,1 top=1..1048576",
    "rms_norm rows=0,1..40,1..40 heads=0,0,1..16 dim=2..1500 pad=0,1..9 inplace=0,1 "
    "dist=normal,normal,outlier,mantissa,negative,huge,tiny",
    "cache_append kv=1..8 d=2*1..66 past=0,1..140 rows=0,1..40,1..40 seqs=1..3 pad=0,1..9 "
    "dist=normal,special",
    "attention kv=1..4 heads=kv*1..12 d=2*1..66 past=0,1..140,1..140 rows=1..20 seqs=1..3 drop=0 pad=0,1..9 "
    "dist=normal,normal,outlier,ties,negative,tiny,mantissa",
    "swiglu rows=0,1..30,1..30 dim=1..1500 pad=0,1..9 inplace=0,1 dist=normal,normal,mantissa",
    "add rows=0,1..30,1..30 dim=1..1500 pad=0,1..9 inplace=0,1 dist=normal,normal,huge,mantissa",
    "add_rows .n=1..60 rows=.n src=0,1...n,1...n dim=1..300 dist=normal",
    "moe_route rows=0,1..60,1..60 experts=1..200 k=1..experts dist=normal,normal,ties,negative,tiny",
    "moe_experts rows=0,1..40,1..40 experts=2..9 k=1..3 dim=1..120 ffn=1..80 first=0,1 "
    "dist=normal,normal,outlier",
    "moe_combine rows=0,1..40,1..40 k=1..10 dim=1..800 dist=normal,normal,outlier,mantissa",
    "output_head .n=1..40 rows=.n chosen=0,1...n,1...n dim=1..1500 vocab=1..100 "
    "dist=normal,normal,mantissa",
    "softmax rows=0,1..30,1..30 dim=1..2000 pad=0,1..9 inplace=0,1 dist=normal,normal,ties,negative,outlier",
    "sample vocab=2..1500 prompt=0,1..40 output=0,1..20 greedy=0,0,1 rep=100,100..150 pres=0,1..150 "
    "temp=60..120 k=0,1..50 p=100,50..99 dtype=f32 dist=normal,negative",
};

enum { PATTERNS = sizeof patterns / sizeof *patterns, KEYS = 20 };

struct draw {
    uint64_t seed, stream, index; /* of the next random number */
    char names[KEYS][16];
    int64_t values[KEYS];
    int count;
};

/* A whole number from lo to hi, its logarithm uniform (0 counts as 1/2). */
static int64_t draw_range(struct draw *draw, int64_t lo, int64_t hi)
{
    const double from = lo > 0 ? (double)lo : 0.5;
    const double u = qvl_random_uniform(draw->seed, draw->stream, draw->index++);
    const int64_t value = (int64_t)floor(from * pow(((double)hi + 1) / from, u));
    return value < lo ? lo : value > hi ? hi : value;
}

/* A number or the value of an earlier key; moves the text behind it. */
static int64_t read_atom(const struct draw *draw, const char **text)
{
    char *end;
    if (**text >= '0' && **text <= '9') {
        const int64_t value = strtoll(*text, &end, 10);
        *text = end;
        return value;
    }
    const size_t length =
        (size_t)(**text == '.') + strspn(*text + (**text == '.'), "abcdefghijklmnopqrstuvwxyz0123456789");
    int64_t value = 0;
    for (int i = 0; i < draw->count; i++)
        if (strlen(draw->names[i]) == length && strncmp(draw->names[i], *text, length) == 0)
            value = draw->values[i];
    *text += length;
    return value;
}

static int64_t read_factor(struct draw *draw, const char **text)
{
    const int64_t value = read_atom(draw, text);
    if (strncmp(*text, "..", 2) != 0)
        return value;
    *text += 2;
    const int64_t most = read_atom(draw, text);
    return draw_range(draw, value, most);
}

static int64_t read_choice(struct draw *draw, const char *text)
{
    int64_t sum = 0, product = 1;
    while (true) {
        product *= read_factor(draw, &text);
        if (*text != '*') {
            sum += product;
            product = 1;
        }
        if (*text != '*' && *text != '+')
            return sum;
        text++;
    }
}

/* The chosen one of a list of choices. */
static const char *choose(struct draw *draw, const char *list, size_t span)
{
    uint64_t count = 1;
    for (size_t i = 0; i < span; i++)
        count += list[i] == ',';
    uint64_t skip = qvl_random_below(draw->seed, draw->stream, draw->index++, count);
    for (; skip > 0; list++)
        skip -= *list == ',';
    return list;
}

static void draw_line(struct draw *draw, const char *pattern, char line[QVL_PATTERN_BYTES])
{
    size_t used = strcspn(pattern, " ");
    memcpy(line, pattern, used);
    for (const char *pair = pattern + used; *pair == ' ';) {
        const char *key = pair + 1;
        const size_t name = strcspn(key, "="), span = strcspn(key + name + 1, " ");
        const char *choice = choose(draw, key + name + 1, span);
        const size_t width = strcspn(choice, ", ");
        pair = key + name + 1 + span;
        if (strncmp(key, "dist=", 5) == 0 || strncmp(key, "dtype=", 6) == 0) {
            used += (size_t)snprintf(line + used, QVL_PATTERN_BYTES - used, " %.*s=%.*s", (int)name, key,
                                     (int)width, choice);
            continue;
        }
        const int64_t value = read_choice(draw, choice);
        snprintf(draw->names[draw->count], sizeof *draw->names, "%.*s", (int)name, key);
        draw->values[draw->count++] = value;
        if (*key != '.')
            used += (size_t)snprintf(line + used, QVL_PATTERN_BYTES - used, " %.*s=%lld", (int)name, key,
                                     (long long)value);
    }
}

enum qvl_status qvl_cases_random(struct qvl_case_list *list, struct qvl_error *error)
{
    const uint64_t seed = list->filter && list->filter->has_seed ? list->filter->seed : 1;
    for (int p = 0; p < PATTERNS; p++)
        for (int i = 0; i < DRAWS; i++) {
            struct draw draw = {.seed = seed, .stream = (uint64_t)(p * DRAWS + i)};
            char line[QVL_PATTERN_BYTES];
            draw_line(&draw, patterns[p], line);
            const size_t used = strlen(line);
            snprintf(line + used, sizeof line - used, "%s%s seed=%d", strstr(line, "dtype=") ? "" : " dtype=",
                     strstr(line, "dtype=") ? "" : qvl_dtype_name((enum qvl_dtype)(QVL_F32 + i % 3)), i + 1);
            QVL_TRY(qvl_case_list_line(list, "random", line, error));
        }
    return QVL_OK;
}
