/* How often honest implementations fail: the honest float32 backend in five summation orders over many seeds,
 * every entry, every storage type, small shapes and the sum lengths of the released models.
 *
 *   build/release/tests/unit_false_alarms [SEEDS [FIRST]]
 *
 * CTest runs two seeds; docs/NUMERICS.md has the figures of 1000. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backends/mutants/mutants.h"
#include "ref/ref.h"
#include "verify/case_list.h"

static const char *const patterns[] = {
    "patch_embed rows=2 in=1536 out=3 bias=1",
    "pos_interp side=48 dim=2 t=1 h=4 w=6 merge=2 once=0,1",
    "vision_rope_table t=2 h=6 w=10 merge=2 d=72 dtype=f32",
    "layer_norm rows=3 dim=37 pad=0 inplace=0 dist=normal,outlier,negative",
    "layer_norm rows=2 dim=1152 pad=0 inplace=0 dist=normal,mantissa",
    "linear rows=3 in=1,2,3,4,17,64 out=5 bias=1 pad=0",
    "linear rows=2 in=200 out=7 bias=0 pad=0 dist=normal,outlier,negative,mantissa,ints",
    "linear rows=1 in=4096 out=3 bias=0 pad=0 dist=normal,negative,mantissa",
    "linear rows=1 in=25600 out=2 bias=0 pad=0 dist=normal,mantissa dtype=f32",
    "rope rows=3 heads=2 d=64 once=0,1 pad=0 inplace=0",
    "vision_attention heads=2 d=72 a=7 b=0 c=12 pad=0 dist=normal,outlier,mantissa",
    "gelu rows=2 dim=201 erf=0,1 pad=0 inplace=0",
    "merger tokens=2 group=4 dim=24 out=5 norm=0,1",
    "embed rows=2 vocab=5 dim=9 dtype=f32",
    "scatter_rows rows=3 src=2 dim=5 dtype=f32",
    "mrope_table rows=5 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0,1 double=0,1 top=262143",
    "rms_norm rows=3 heads=0 dim=37 pad=0 inplace=0 dist=normal,outlier,negative",
    "rms_norm rows=1 heads=0 dim=4096 pad=0 inplace=0 dist=normal,mantissa",
    "rms_norm rows=1 heads=0 dim=1280 pad=0 inplace=0 dist=constant,ties",
    "layer_norm rows=1 dim=300 pad=0 inplace=0 dist=ties",
    "layer_norm rows=4 dim=7 pad=0 inplace=0 dist=constant",
    "softmax rows=1 dim=1000 pad=0 inplace=0 dist=constant,ties",
    "attention heads=2 kv=1 d=16 past=300 rows=1 seqs=1 drop=0 pad=0 dist=constant,ties",
    "linear rows=1 in=1000 out=3 bias=0 pad=0 dist=constant,ties",
    "rms_norm rows=2 heads=4 dim=128 pad=0 inplace=0",
    "cache_append kv=2 d=8 past=3 rows=2 seqs=2 pad=0 dtype=f32",
    "attention heads=6 kv=2 d=72 past=9 rows=2 seqs=2 drop=0 pad=0 dist=normal,outlier,negative,ties",
    "attention heads=3 kv=1 d=128 past=65 rows=1 seqs=1 drop=0 pad=0 dist=normal,mantissa",
    "swiglu rows=2 dim=201 pad=0 inplace=0 dist=normal,outlier",
    "add rows=2 dim=101 pad=0 inplace=0",
    "add_rows rows=5 src=3 dim=37",
    "moe_route rows=9 experts=128 k=8 dist=normal,negative,ties",
    "moe_experts rows=5 experts=4 k=2 dim=48 ffn=20 first=0,1",
    "moe_experts rows=1 experts=1 k=1 dim=2048 ffn=3 first=0",
    "moe_combine rows=3 k=8 dim=65",
    "output_head rows=3 chosen=2 dim=515 vocab=7",
    "softmax rows=2 dim=300 pad=0 inplace=0 dist=normal,huge,negative",
    "sample vocab=200 prompt=7 output=6 greedy=0,1 rep=115 pres=50 temp=70 k=20 p=80 dtype=f32",
    "sample vocab=200 prompt=7 output=6 greedy=0 rep=100 pres=150 temp=100 k=0 p=95 dtype=f32",
};

static int64_t seeds = 2, first_seed = 1;

struct tally {
    int64_t cases, elements, alarms;
    int64_t weak; /* MISTRUSTED: the sums happened to be near zero */
    double drift; /* largest share of a bound that was used beyond the last rounding */
};

/* The rate above which `alarms` or fewer in `cases` has a chance of 5 %: the upper end of a one-sided 95 %
 * interval of a Poisson count. */
static double upper_rate(int64_t alarms, int64_t cases)
{
    double low = 0, high = (double)alarms * 2 + 20;
    for (int step = 0; step < 60; step++) {
        const double mean = (low + high) / 2;
        double term = exp(-mean), chance = term;
        for (int64_t i = 1; i <= alarms; i++) {
            term *= mean / (double)i;
            chance += term;
        }
        if (chance > 0.05)
            low = mean;
        else
            high = mean;
    }
    return high / (double)cases;
}

static void make_cases(uint64_t seed, struct qvl_case_list *list)
{
    const struct qvl_case_filter filter = {.has_seed = true, .seed = seed};
    struct qvl_error error = {.message = ""};
    *list = (struct qvl_case_list){.filter = &filter};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (qvl_case_list_pattern(list, NULL, patterns[i], &error) != QVL_OK)
            fail_msg("%s", error.message);
    list->filter = NULL;
}

static void run_order(enum qvl_sum_order order, struct qvl_backend *reference, struct tally *by_op)
{
    struct qvl_error error = {.message = ""};
    struct qvl_backend *honest;
    assert_int_equal(qvl_honest_open(order, NULL, &honest, &error), QVL_OK);
    const struct qvl_case_context context = {.reference = reference, .candidate = honest};
    for (int64_t s = 0; s < seeds; s++) {
        struct qvl_case_list list;
        make_cases((uint64_t)(first_seed + s), &list);
        for (int64_t i = 0; i < list.count; i++) {
            struct qvl_case_result result;
            struct tally *tally = &by_op[list.cases[i].check];
            if (qvl_case_run(&list.cases[i], &context, &result, &error) != QVL_OK)
                fail_msg("%s", error.message);
            tally->cases++;
            tally->elements += result.elements;
            tally->drift = fmax(tally->drift, result.drift);
            if (result.status == QVL_CASE_FAILED) {
                tally->alarms++;
                print_message("%s: %s: %s\n", qvl_sum_order_name(order), result.repro, result.message);
            } else if (result.status == QVL_CASE_MISTRUSTED) {
                tally->weak++;
            } else if (result.status != QVL_CASE_PASSED) {
                fail_msg("%s: %s", qvl_case_status_name(result.status), result.repro);
            }
        }
        free(list.cases);
    }
    honest->close(honest);
}

static void print_tally(const char *name, const struct tally *tally)
{
    print_message("%-18s %9lld cases %11lld elements %5lld alarms %5lld weak, at most %.3f of a bound\n",
                  name, (long long)tally->cases, (long long)tally->elements, (long long)tally->alarms,
                  (long long)tally->weak, tally->drift);
}

static void honest_implementations_pass(void **state)
{
    struct qvl_backend *reference;
    struct qvl_error error;
    struct tally by_op[64] = {{0}}, all = {0};
    (void)state;
    print_message("seeds %lld .. %lld\n", (long long)first_seed, (long long)(first_seed + seeds - 1));
    assert_int_equal(qvl_ref_open(NULL, &reference, &error), QVL_OK);
    for (int order = 0; order < QVL_SUM_ORDER_COUNT; order++)
        run_order((enum qvl_sum_order)order, reference, by_op);
    reference->close(reference);
    for (int op = 0; op < qvl_verify_op_count(); op++) {
        assert_true(by_op[op].cases > 0);
        print_tally(qvl_verify_name(op), &by_op[op]);
        all.cases += by_op[op].cases;
        all.elements += by_op[op].elements;
        all.alarms += by_op[op].alarms;
        all.weak += by_op[op].weak;
        all.drift = fmax(all.drift, by_op[op].drift);
    }
    print_tally("all", &all);
    print_message("false alarms: %.2g of the cases, below %.2g with 95 %% confidence\n",
                  (double)all.alarms / (double)all.cases, upper_rate(all.alarms, all.cases));
    assert_true((double)all.alarms <= 1e-3 * (double)all.cases);
    assert_true((double)all.weak <= 1e-3 * (double)all.cases);
}

/* Rule of three, and tables of the Poisson distribution: an upper limit of 4.744 for one event, 15.705 for
 * nine. */
static void confidence_limits_are_those_of_the_tables(void **state)
{
    (void)state;
    assert_true(fabs(upper_rate(0, 1000) - 2.9957e-3) < 1e-7);
    assert_true(fabs(upper_rate(1, 1) - 4.7439) < 1e-3);
    assert_true(fabs(upper_rate(9, 1) - 15.7052) < 1e-3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(confidence_limits_are_those_of_the_tables),
                                       cmocka_unit_test(honest_implementations_pass)};
    if (argc > 1)
        seeds = strtoll(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoll(argv[2], NULL, 10);
    if (seeds < 1 || first_seed < 1)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
