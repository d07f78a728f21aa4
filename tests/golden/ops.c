/* The reference against single modules of the original framework (tests/golden/ops.py), in float32 and
 * bfloat16. Every element must lie within the bound that the reference itself states for float32 arithmetic,
 * plus one rounding: the golden numbers check the formulas, the rounding points and the bounds. */
#include "../unit/ref_fixture.h"

#include "base/safetensors.h"

static struct qvl_safetensors *file;

static int open_file(void **state)
{
    if (qvl_safetensors_open("tests/golden/ops/ops.safetensors", &file, &error) != QVL_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    return open_ref(state);
}

static int close_file(void **state)
{
    qvl_safetensors_close(file);
    return close_ref(state);
}

static const char *const types[2] = {"f32", "bf16"};

/* Tensor CASE.TYPE.NAME of the file, as a view. */
static struct qvl_tensor load(const char *golden, int type, const char *name)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s.%s", golden, types[type], name);
    const struct qvl_array *array = qvl_safetensors_find(file, key);
    if (!array) {
        fail_msg("the golden file has no %s", key);
        abort(); /* not reached */
    }
    return qvl_tensor_make((void *)(uintptr_t)array->data, array->dtype, array->rank, array->shape);
}

static struct qvl_weight *load_weight(const char *golden, int type, const char *name, unsigned use,
                                      bool input_first)
{
    const struct qvl_tensor values = load(golden, type, name);
    return prepare(use, input_first, &values);
}

/* An output of the golden's shape, and room for the error analysis. */
static struct qvl_tensor output(const struct qvl_tensor *expected, struct qvl_condition *cond)
{
    const size_t bytes = (size_t)qvl_tensor_count(expected) * sizeof(double);
    *cond = (struct qvl_condition){.accumulate = 0x1p-24, .value = block(bytes), .bound = block(bytes)};
    return tensor_of(expected->dtype, expected->rank, expected->shape, NULL);
}

/* |golden - value| <= bound + u |golden| everywhere, and our rounded output equals the golden's in most
 * places. */
static void expect_within_bounds(const char *golden, const struct qvl_tensor *y,
                                 const struct qvl_tensor *expected, const struct qvl_condition *cond)
{
    const int64_t count = qvl_tensor_count(expected);
    const double unit = qvl_dtype_roundoff(expected->dtype);
    int64_t equal = 0;
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        const double wanted = at(expected, i);
        const double tolerance = cond->bound[i] + unit * fabs(wanted) + 0x1p-134;
        const double difference = fabs(wanted - cond->value[i]);
        if (!(difference <= tolerance))
            fail_msg(
                "%s element %lld: the original has %.9g, the reference %.9g before rounding, tolerance %.3g",
                golden, (long long)i, wanted, cond->value[i], tolerance);
        worst = fmax(worst, difference / tolerance);
        equal += wanted == at(y, i);
    }
    print_message("%s %s: margin %.3f, %lld of %lld bit-equal\n", golden, qvl_dtype_name(expected->dtype),
                  worst, (long long)equal, (long long)count);
    if (expected->dtype != QVL_F32)
        assert_true(equal >= count * 17 / 20); /* float32 loses the small tail of gelu for x near -5 */
}

static void elementwise(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct qvl_condition cond;
        struct qvl_tensor wanted, y;
        const char *const forms[2] = {"gelu_tanh", "gelu_erf"};
        for (int form = 0; form < 2; form++) {
            wanted = load(forms[form], type, "y");
            y = output(&wanted, &cond);
            expect_ok(
                ref->ops.gelu(ref,
                              &(struct qvl_gelu_args){
                                  .x = load(forms[form], type, "x"), .form = form, .y = y, .cond = &cond},
                              &error));
            expect_within_bounds(forms[form], &y, &wanted, &cond);
        }
        wanted = load("swiglu", type, "y");
        y = output(&wanted, &cond);
        expect_ok(ref->ops.swiglu(ref,
                                  &(struct qvl_swiglu_args){.gate = load("swiglu", type, "gate"),
                                                            .up = load("swiglu", type, "up"),
                                                            .y = y,
                                                            .cond = &cond},
                                  &error));
        expect_within_bounds("swiglu", &y, &wanted, &cond);
        wanted = load("add", type, "y");
        y = output(&wanted, &cond);
        expect_ok(
            ref->ops.add(ref,
                         &(struct qvl_add_args){
                             .a = load("add", type, "a"), .b = load("add", type, "b"), .y = y, .cond = &cond},
                         &error));
        expect_within_bounds("add", &y, &wanted, &cond);
        wanted = load("softmax", type, "y");
        y = output(&wanted, &cond);
        expect_ok(ref->ops.softmax(
            ref, &(struct qvl_softmax_args){.x = load("softmax", type, "x"), .y = y, .cond = &cond}, &error));
        expect_within_bounds("softmax", &y, &wanted, &cond);
    }
}

static void norms(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct qvl_condition cond;
        struct qvl_tensor wanted = load("rms_norm", type, "y"), y = output(&wanted, &cond);
        expect_ok(ref->ops.rms_norm(ref,
                                    &(struct qvl_rms_norm_args){.x = load("rms_norm", type, "x"),
                                                                .weight = load("rms_norm", type, "weight"),
                                                                .eps = 1e-6,
                                                                .y = y,
                                                                .cond = &cond},
                                    &error));
        expect_within_bounds("rms_norm", &y, &wanted, &cond);
        wanted = load("layer_norm", type, "y");
        y = output(&wanted, &cond);
        expect_ok(
            ref->ops.layer_norm(ref,
                                &(struct qvl_layer_norm_args){.x = load("layer_norm", type, "x"),
                                                              .weight = load("layer_norm", type, "weight"),
                                                              .bias = load("layer_norm", type, "bias"),
                                                              .eps = 1e-6,
                                                              .y = y,
                                                              .cond = &cond},
                                &error));
        expect_within_bounds("layer_norm", &y, &wanted, &cond);
    }
}

/* Tables within 2^-23 and one rounding, apart from lane 19, whose frequency torch's vector pow rounds
 * otherwise. */
static void expect_table(const struct qvl_tensor *table, const struct qvl_tensor *wanted,
                         const int64_t *position)
{
    const double unit = qvl_dtype_roundoff(wanted->dtype);
    for (int64_t i = 0; i < qvl_tensor_count(wanted); i++) {
        const int64_t row = i / 64, lane = i % 64;
        const double angle = lane == 19 ? 0x1p-22 * 0.01 * (double)position[row] : 0;
        const double allowed =
            0x1p-22 + angle + (wanted->dtype == QVL_F32 ? 0 : 2 * unit * fabs(at(wanted, i)));
        if (!(fabs(at(table, i) - at(wanted, i)) <= allowed))
            fail_msg("row %lld lane %lld: %.9g, the original has %.9g", (long long)row, (long long)lane,
                     at(table, i), at(wanted, i));
    }
}

static void text_tables(void **state)
{
    (void)state;
    const char *const cases[2] = {"mrope", "mrope_yarn"};
    for (int type = 0; type < 2; type++)
        for (int yarn = 0; yarn < 2; yarn++) {
            const struct qvl_tensor positions = load(cases[yarn], type, "positions");
            const struct qvl_tensor cosine = load(cases[yarn], type, "cos"),
                                    sine = load(cases[yarn], type, "sin");
            struct qvl_mrope_table_args args = {.positions = positions.data,
                                                .positions_stride = 5,
                                                .head_dim = 128,
                                                .theta = 5e6,
                                                .scaling = {.yarn = yarn,
                                                            .factor = 3,
                                                            .original_max_positions = 262144,
                                                            .beta_fast = 32,
                                                            .beta_slow = 1,
                                                            .truncate = true},
                                                .section = {24, 20, 20}};
            args.cos = matrix(cosine.dtype, 5, 64, NULL);
            args.sin = matrix(cosine.dtype, 5, 64, NULL);
            expect_ok(ref->ops.mrope_table(ref, &args, &error));
            expect_table(&args.cos, &cosine, positions.data);
            expect_table(&args.sin, &sine, positions.data);
        }
}

static void grids_of(const struct qvl_tensor *values, struct qvl_grid *grids)
{
    const int64_t *thw = values->data;
    for (int64_t g = 0; g < values->shape[0]; g++)
        grids[g] = (struct qvl_grid){thw[3 * g], thw[3 * g + 1], thw[3 * g + 2]};
}

static void rotations(void **state)
{
    (void)state;
    const char *const cases[2] = {"rope_text", "rope_vision"};
    for (int type = 0; type < 2; type++) {
        for (int vision = 0; vision < 2; vision++) {
            struct qvl_condition cond;
            const struct qvl_tensor wanted = load(cases[vision], type, "y"), y = output(&wanted, &cond);
            expect_ok(ref->ops.rope(
                ref,
                &(struct qvl_rope_args){
                    .x = load(cases[vision], type, "x"),
                    .cos = qvl_tensor_rows(load(cases[vision], type, "cos"), 0, wanted.shape[0]),
                    .sin = qvl_tensor_rows(load(cases[vision], type, "sin"), 0, wanted.shape[0]),
                    .rounding = vision ? QVL_ROPE_ROUND_ONCE : QVL_ROPE_ROUND_EACH,
                    .y = y,
                    .cond = &cond},
                &error));
            expect_within_bounds(cases[vision], &y, &wanted, &cond);
        }
        const struct qvl_tensor cosine = load("rope_vision", type, "cos"),
                                sine = load("rope_vision", type, "sin");
        const struct qvl_tensor grid_values = load("rope_vision", type, "grids");
        struct qvl_grid grids[2];
        struct qvl_vision_rope_table_args args = {
            .grids = grids, .grid_count = 2, .merge = 2, .head_dim = 72, .theta = 10000};
        grids_of(&grid_values, grids);
        args.cos = matrix(QVL_F32, 76, 36, NULL);
        args.sin = matrix(QVL_F32, 76, 36, NULL);
        expect_ok(ref->ops.vision_rope_table(ref, &args, &error));
        for (int64_t i = 0; i < 76 * 36; i++) {
            assert_true(fabs(at(&args.cos, i) - at(&cosine, i)) <= 0x1p-23);
            assert_true(fabs(at(&args.sin, i) - at(&sine, i)) <= 0x1p-23);
        }
    }
}

static void position_table(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        const struct qvl_tensor grid_values = load("pos_interp", type, "grids");
        struct qvl_grid grids[2];
        struct qvl_condition cond;
        const struct qvl_tensor wanted = load("pos_interp", type, "y"), y = output(&wanted, &cond);
        grids_of(&grid_values, grids);
        expect_ok(
            ref->ops.pos_interp(ref,
                                &(struct qvl_pos_interp_args){.table = load("pos_interp", type, "table"),
                                                              .grids = grids,
                                                              .grid_count = 2,
                                                              .merge = 2,
                                                              .y = y,
                                                              .cond = &cond},
                                &error));
        expect_within_bounds("pos_interp", &y, &wanted, &cond);
    }
}

/* 4 queries of 6 heads over 11 keys of 2 heads, bottom-right mask. */
static void eager_attention(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct qvl_condition cond;
        const struct qvl_tensor wanted = load("attention", type, "y"), y = output(&wanted, &cond);
        const struct qvl_tensor k = load("attention", type, "k");
        const struct qvl_cache_desc desc = {1, 2, 72, 11, k.dtype};
        struct qvl_segment segment = {.count = 11};
        expect_ok(ref->cache_create(ref, &desc, &segment.cache, &error));
        expect_ok(ref->ops.cache_append(
            ref,
            &(struct qvl_cache_append_args){
                .k = k, .v = load("attention", type, "v"), .segments = &segment, .segment_count = 1},
            &error));
        segment.count = 4;
        expect_ok(ref->ops.attention(ref,
                                     &(struct qvl_attention_args){.q = load("attention", type, "q"),
                                                                  .segments = &segment,
                                                                  .segment_count = 1,
                                                                  .scale = (float)(1 / sqrt(72)),
                                                                  .y = y,
                                                                  .cond = &cond},
                                     &error));
        expect_within_bounds("attention", &y, &wanted, &cond);
        ref->cache_destroy(ref, segment.cache);
    }
}

/* Route, experts and combine against the whole sparse block; its order of summation is over all experts. */
static void sparse_block(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct qvl_condition cond;
        const struct qvl_tensor x = load("moe", type, "x");
        const struct qvl_tensor wanted = load("moe", type, "y"), y = output(&wanted, &cond);
        const int64_t shape[2] = {13, 3};
        const struct qvl_tensor chosen = qvl_tensor_make(block(13 * 3 * 4), QVL_I32, 2, shape);
        const struct qvl_tensor weights = matrix(x.dtype, 13, 3, NULL),
                                parts = cube(x.dtype, 13, 3, 20, NULL);
        struct qvl_weight *gate_up = load_weight("moe", type, "gate_up", QVL_USE_EXPERTS, true);
        struct qvl_weight *down = load_weight("moe", type, "down", QVL_USE_EXPERTS, true);
        expect_ok(ref->ops.moe_route(
            ref,
            &(struct qvl_moe_route_args){
                .logits = load("moe", type, "logits"), .top_k = 3, .chosen = chosen, .weights = weights},
            &error));
        expect_ok(
            ref->ops.moe_experts(ref,
                                 &(struct qvl_moe_experts_args){
                                     .x = x, .chosen = chosen, .gate_up = gate_up, .down = down, .y = parts},
                                 &error));
        expect_ok(ref->ops.moe_combine(
            ref, &(struct qvl_moe_combine_args){.x = parts, .weights = weights, .y = y, .cond = &cond},
            &error));
        if (type == 0) /* the bound is that of the combine alone: add what the experts may have lost */
            for (int64_t i = 0; i < 13 * 20; i++)
                cond.bound[i] += 1e-5;
        expect_within_bounds("moe", &y, &wanted, &cond);
        ref->weight_destroy(ref, gate_up);
        ref->weight_destroy(ref, down);
    }
}

static void mergers(void **state)
{
    (void)state;
    const char *const cases[2] = {"merger", "deepstack_merger"};
    for (int type = 0; type < 2; type++)
        for (int norm = 0; norm < 2; norm++) {
            struct qvl_condition cond;
            const char *name = cases[norm];
            const struct qvl_tensor wanted = load(name, type, "y"), y = output(&wanted, &cond);
            struct qvl_weight *fc1 = load_weight(name, type, "fc1", QVL_USE_LINEAR, false);
            struct qvl_weight *fc2 = load_weight(name, type, "fc2", QVL_USE_LINEAR, false);
            expect_ok(
                ref->ops.merger(ref,
                                &(struct qvl_merger_args){.x = load(name, type, "x"),
                                                          .group = 4,
                                                          .norm = norm,
                                                          .norm_weight = load(name, type, "norm_weight"),
                                                          .norm_bias = load(name, type, "norm_bias"),
                                                          .eps = 1e-6,
                                                          .fc1 = fc1,
                                                          .fc1_bias = load(name, type, "fc1_bias"),
                                                          .fc2 = fc2,
                                                          .fc2_bias = load(name, type, "fc2_bias"),
                                                          .y = y,
                                                          .cond = &cond},
                                &error));
            expect_within_bounds(name, &y, &wanted, &cond);
            ref->weight_destroy(ref, fc1);
            ref->weight_destroy(ref, fc2);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise),  cmocka_unit_test(norms),          cmocka_unit_test(text_tables),
        cmocka_unit_test(rotations),    cmocka_unit_test(position_table), cmocka_unit_test(eager_attention),
        cmocka_unit_test(sparse_block), cmocka_unit_test(mergers),
    };
    return cmocka_run_group_tests(tests, open_file, close_file);
}
