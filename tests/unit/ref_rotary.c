#include "ref_fixture.h"

#include "ref/mrope.h"
#include "ref/rope_frequencies.h"

/* Bit patterns of the first frequencies of theta 5e6, d 128, as torch computes them. */
static void frequencies_have_the_bits_of_the_original(void **state)
{
    (void)state;
    const uint32_t expected[4] = {0x3f800000, 0x3f492c28, 0x3f1e165d, 0x3ef875a7};
    float inv_freq[64];
    qvl_ref_rope_frequencies_f32(5e6, 128, NULL, inv_freq);
    for (int i = 0; i < 4; i++) {
        uint32_t bits;
        memcpy(&bits, &inv_freq[i], sizeof bits);
        assert_int_equal(bits, expected[i]);
    }
    assert_float_equal(inv_freq[63] * pow(5e6, 126.0 / 128), 1, 1e-6);
}

/* The 1M recipe: factor 3, original 262144. Pairs up to 29 keep, pairs from 45 are divided by 3. */
static void yarn_blends_between_29_and_45(void **state)
{
    (void)state;
    const struct qvl_rope_scaling yarn = {.yarn = true,
                                          .factor = 3,
                                          .original_max_positions = 262144,
                                          .beta_fast = 32,
                                          .beta_slow = 1,
                                          .truncate = true};
    struct qvl_rope_scaling fractional = yarn;
    float plain[64], scaled[64];
    double in_double[64], low, high;
    qvl_ref_yarn_range(5e6, 128, &yarn, &low, &high);
    assert_true(low == 29 && high == 45);
    fractional.truncate = false;
    qvl_ref_yarn_range(5e6, 128, &fractional, &low, &high);
    assert_float_equal(low, 29.762, 1e-3);
    assert_float_equal(high, 44.142, 1e-3);
    qvl_ref_rope_frequencies_f32(5e6, 128, NULL, plain);
    qvl_ref_rope_frequencies_f32(5e6, 128, &yarn, scaled);
    qvl_ref_rope_frequencies_f64(5e6, 128, &yarn, in_double);
    for (int i = 0; i < 64; i++) {
        const double ramp = i <= 29 ? 0 : i >= 45 ? 1 : (i - 29) / 16.0;
        const double ratio = ramp / 3 + (1 - ramp);
        assert_true(fabs((double)scaled[i] / (double)plain[i] / ratio - 1) < 3e-7);
        assert_true(fabs(in_double[i] * pow(5e6, i / 64.0) / ratio - 1) < 1e-14);
    }
}

/* m by every rule: 0.1 ln 3 + 1, explicit 1.0 stays 1.0, the ratio needs both mscales. */
static void yarn_attention_factor_follows_its_rules(void **state)
{
    (void)state;
    struct qvl_rope_scaling yarn = {.yarn = true, .factor = 3};
    assert_true(fabs(qvl_ref_rope_attention_factor(&yarn) - 1.1098612289) < 1e-10);
    yarn.mscale = 0.707;
    assert_true(fabs(qvl_ref_rope_attention_factor(&yarn) - 1.1098612289) < 1e-10);
    yarn.mscale_all_dim = 0.5;
    assert_true(fabs(qvl_ref_rope_attention_factor(&yarn) - (1 + 0.0707 * log(3)) / (1 + 0.05 * log(3))) <
                1e-12);
    yarn.attention_factor = 1;
    assert_true(qvl_ref_rope_attention_factor(&yarn) == 1);
    yarn = (struct qvl_rope_scaling){.yarn = true, .factor = 0.5};
    assert_true(qvl_ref_rope_attention_factor(&yarn) == 1);
    yarn.yarn = false;
    assert_true(qvl_ref_rope_attention_factor(&yarn) == 1);
}

/* The published layouts, lane by lane, and one with sections that do not fill the head. */
static void lanes_follow_their_axis(void **state)
{
    (void)state;
    const int64_t qwen3[3] = {24, 20, 20}, qwen2[3] = {16, 24, 24}, tiny[3] = {4, 2, 2}, wide[3] = {16, 8, 8};
    int count[3] = {0};
    for (int lane = 0; lane < 64; lane++) {
        const int expected = lane >= 60 ? 0 : lane % 3;
        assert_int_equal(qvl_ref_mrope_axis(QVL_MROPE_INTERLEAVED, qwen3, lane), expected);
        assert_int_equal(qvl_ref_mrope_axis(QVL_MROPE_CHUNKED, qwen2, lane), lane < 16   ? 0
                                                                             : lane < 40 ? 1
                                                                                         : 2);
        count[expected]++;
    }
    assert_true(count[0] == 24 && count[1] == 20 && count[2] == 20);
    for (int lane = 0; lane < 8; lane++)
        assert_int_equal(qvl_ref_mrope_axis(QVL_MROPE_INTERLEAVED, tiny, lane), "01201200"[lane] - '0');
    for (int lane = 0; lane < 4; lane++)
        assert_int_equal(qvl_ref_mrope_axis(QVL_MROPE_INTERLEAVED, wide, lane), lane % 3);
}

/* Position (7, 3, 11) and a second row, both layouts; the angle is the float32 product. */
static void mrope_table_turns_each_lane_by_its_position(void **state)
{
    (void)state;
    const int64_t positions[3][4] = {{7, 1000003, -1, -1}, {3, 5, -1, -1}, {11, 70000, -1, -1}};
    float inv_freq[64];
    qvl_ref_rope_frequencies_f32(5e6, 128, NULL, inv_freq);
    for (int layout = 0; layout < 2; layout++) {
        const struct qvl_tensor cosine = matrix(QVL_F32, 2, 64, NULL), sine = matrix(QVL_F32, 2, 64, NULL);
        struct qvl_mrope_table_args args = {.positions = positions[0],
                                            .positions_stride = 4,
                                            .head_dim = 128,
                                            .theta = 5e6,
                                            .section = {24, 20, 20},
                                            .layout = layout,
                                            .cos = cosine,
                                            .sin = sine};
        if (layout == QVL_MROPE_CHUNKED) {
            args.section[0] = 16;
            args.section[1] = args.section[2] = 24;
        }
        expect_ok(ref->ops.mrope_table(ref, &args, &error));
        for (int row = 0; row < 2; row++)
            for (int lane = 0; lane < 64; lane++) {
                const int axis = layout == QVL_MROPE_CHUNKED ? (lane < 16   ? 0
                                                                : lane < 40 ? 1
                                                                            : 2)
                                                             : (lane >= 60 ? 0 : lane % 3);
                const float angle = (float)positions[axis][row] * inv_freq[lane];
                assert_true(at(&cosine, row * 64 + lane) == (double)(float)cos((double)angle));
                assert_true(at(&sine, row * 64 + lane) == (double)(float)sin((double)angle));
            }
    }
}

/* The float32 angle and the double angle part ways with the position: facts say 0.002 at 32768, 0.07 at 1M.
 */
static void angles_in_float32_drift(void **state)
{
    (void)state;
    const int64_t position[3] = {32768, 262144, 1000000};
    const double least[3] = {5e-4, 5e-3, 1e-2}, most[3] = {3e-3, 2.5e-2, 9e-2};
    for (int k = 0; k < 3; k++) {
        const int64_t positions[3] = {position[k], position[k], position[k]};
        struct qvl_tensor tables[4];
        double worst = 0;
        for (int t = 0; t < 4; t++)
            tables[t] = matrix(QVL_F32, 1, 64, NULL);
        for (int precision = 0; precision < 2; precision++)
            expect_ok(ref->ops.mrope_table(ref,
                                           &(struct qvl_mrope_table_args){.positions = positions,
                                                                          .positions_stride = 1,
                                                                          .head_dim = 128,
                                                                          .theta = 5e6,
                                                                          .section = {24, 20, 20},
                                                                          .precision = precision,
                                                                          .cos = tables[2 * precision],
                                                                          .sin = tables[2 * precision + 1]},
                                           &error));
        for (int lane = 0; lane < 64; lane++)
            worst = fmax(worst, hypot(at(&tables[0], lane) - at(&tables[2], lane),
                                      at(&tables[1], lane) - at(&tables[3], lane)));
        assert_true(worst > least[k] && worst < most[k]);
    }
}

/* cos and sin carry m once, rounded to the storage type; positions 256 and 257 differ also in bf16. */
static void yarn_table_carries_the_factor_once(void **state)
{
    (void)state;
    const int64_t positions[6] = {256, 257, 256, 257, 256, 257};
    const struct qvl_tensor cosine = matrix(QVL_BF16, 2, 64, NULL), sine = matrix(QVL_BF16, 2, 64, NULL);
    const struct qvl_rope_scaling yarn = {.yarn = true,
                                          .factor = 3,
                                          .original_max_positions = 262144,
                                          .beta_fast = 32,
                                          .beta_slow = 1,
                                          .truncate = true};
    expect_ok(ref->ops.mrope_table(ref,
                                   &(struct qvl_mrope_table_args){.positions = positions,
                                                                  .positions_stride = 2,
                                                                  .head_dim = 128,
                                                                  .theta = 5e6,
                                                                  .scaling = yarn,
                                                                  .section = {24, 20, 20},
                                                                  .cos = cosine,
                                                                  .sin = sine},
                                   &error));
    for (int lane = 0; lane < 64; lane++)
        assert_true(fabs(hypot(at(&cosine, lane), at(&sine, lane)) - 1.1098612289) < 6e-3);
    assert_true(at(&cosine, 0) == qvl_round_nearest(QVL_BF16, cos(256.0) * 1.1098612289));
    assert_true(at(&cosine, 64) == qvl_round_nearest(QVL_BF16, cos(257.0) * 1.1098612289));
}

/* Grid 2 x 4 x 6, merge 2, head_dim 8: rows in block order, lanes 0..1 by row, 2..3 by column, again for t
 * = 1. */
static void vision_table_turns_with_row_and_column(void **state)
{
    (void)state;
    const struct qvl_grid grid = {2, 4, 6};
    const int row_of[8] = {0, 0, 1, 1, 0, 0, 1, 1}, column_of[8] = {0, 1, 0, 1, 2, 3, 2, 3};
    const struct qvl_tensor cosine = matrix(QVL_F32, 48, 4, NULL), sine = matrix(QVL_F32, 48, 4, NULL);
    expect_ok(ref->ops.vision_rope_table(ref,
                                         &(struct qvl_vision_rope_table_args){.grids = &grid,
                                                                              .grid_count = 1,
                                                                              .merge = 2,
                                                                              .head_dim = 8,
                                                                              .theta = 10000,
                                                                              .cos = cosine,
                                                                              .sin = sine},
                                         &error));
    for (int i = 0; i < 8; i++) {
        /* inv_freq = 1, 1/100 */
        const double expected[4] = {cos(row_of[i]), cos(row_of[i] * 0.01), cos(column_of[i]),
                                    cos(column_of[i] * 0.01)};
        for (int lane = 0; lane < 4; lane++) {
            assert_true(fabs(at(&cosine, i * 4 + lane) - expected[lane]) < 1e-7);
            assert_true(at(&cosine, (24 + i) * 4 + lane) == at(&cosine, i * 4 + lane));
        }
    }
    assert_true(fabs(at(&sine, 23 * 4) - sin(3)) < 1e-7);
    assert_true(fabs(at(&sine, 23 * 4 + 2) - sin(5)) < 1e-7);
}

/* d = 4, two rows, three heads: lane a turns (a, a + 2). Angles are quarter turns, so numbers stay whole. */
static void rope_rotates_halves(void **state)
{
    (void)state;
    const struct qvl_tensor x =
        cube(QVL_F32, 2, 3, 4, (const double[]){1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                                13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24});
    const struct qvl_tensor cosine = matrix(QVL_F32, 2, 2, (const double[]){1, 0, -1, 2});
    const struct qvl_tensor sine = matrix(QVL_F32, 2, 2, (const double[]){0, 1, 0, 3});
    /* row 0: lane 0 stays, lane 1 turns by 90 degrees; row 1: lane 0 is negated, lane 1 is 2x + 3 rot */
    const double expected[24] = {1,   -4,  3,   2,  5,   -8,  7,   6,  9,   -12, 11,  10,
                                 -13, -20, -15, 74, -17, -24, -19, 94, -21, -28, -23, 114};
    for (int rounding = 0; rounding < 2; rounding++) {
        const struct qvl_tensor y = cube(QVL_F32, 2, 3, 4, NULL);
        expect_ok(ref->ops.rope(
            ref, &(struct qvl_rope_args){.x = x, .cos = cosine, .sin = sine, .rounding = rounding, .y = y},
            &error));
        expect_values(&y, expected, 0);
    }
    expect_ok(
        ref->ops.rope(ref, &(struct qvl_rope_args){.x = x, .cos = cosine, .sin = sine, .y = x}, &error));
    expect_values(&x, expected, 0);
}

/* bf16: 1.0078125^2 = 1 + 2^-6 + 2^-14 rounds to 1 + 2^-6 before the sum; the text form rounds three times.
 */
static void rope_rounds_where_the_original_rounds(void **state)
{
    (void)state;
    const double a = 1 + 0x1p-7;
    const struct qvl_tensor x = cube(QVL_BF16, 1, 1, 2, (const double[]){a, -0x1p-8});
    const struct qvl_tensor cosine = matrix(QVL_BF16, 1, 1, (const double[]){a});
    const struct qvl_tensor sine = matrix(QVL_BF16, 1, 1, (const double[]){1});
    const struct qvl_tensor wide_cosine = matrix(QVL_F32, 1, 1, (const double[]){a});
    const struct qvl_tensor wide_sine = matrix(QVL_F32, 1, 1, (const double[]){1});
    struct qvl_tensor y = cube(QVL_BF16, 1, 1, 2, NULL);
    expect_ok(
        ref->ops.rope(ref, &(struct qvl_rope_args){.x = x, .cos = cosine, .sin = sine, .y = y}, &error));
    assert_true(at(&y, 0) == 1 + 0x1p-6); /* r(1 + 2^-6) + 2^-8 is a tie, to even */
    y = cube(QVL_BF16, 1, 1, 2, NULL);
    expect_ok(ref->ops.rope(
        ref,
        &(struct qvl_rope_args){
            .x = x, .cos = wide_cosine, .sin = wide_sine, .rounding = QVL_ROPE_ROUND_ONCE, .y = y},
        &error));
    assert_true(at(&y, 0) == 1 + 3 * 0x1p-7); /* 1 + 2^-6 + 2^-14 + 2^-8 is above the tie */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies_have_the_bits_of_the_original),
        cmocka_unit_test(yarn_blends_between_29_and_45),
        cmocka_unit_test(yarn_attention_factor_follows_its_rules),
        cmocka_unit_test(lanes_follow_their_axis),
        cmocka_unit_test(mrope_table_turns_each_lane_by_its_position),
        cmocka_unit_test(angles_in_float32_drift),
        cmocka_unit_test(yarn_table_carries_the_factor_once),
        cmocka_unit_test(vision_table_turns_with_row_and_column),
        cmocka_unit_test(rope_rotates_halves),
        cmocka_unit_test(rope_rounds_where_the_original_rounds),
    };
    return RUN_REF_TESTS(tests);
}
