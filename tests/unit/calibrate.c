/* Calibration: the lines through made-up points, and what follows from them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/calibrate.h"

/* A machine whose calls take exactly: products 2 ms + 10 us a row; attention of a row 1 ms + 1 us a token of
 * depth, of a chunk 5 us a row + 3 ns a pair; head 4 ms; the rest 1 us a row. Chunks of 100 rows. */
static struct qvl_calibration_point made_up(int64_t rows, int64_t depth)
{
    const double n = (double)rows, d = (double)depth;
    struct qvl_calibration_point point = {.rows = rows, .depth = depth};
    point.seconds[QVL_CALL_PRODUCTS] = 2e-3 + 10e-6 * n;
    point.seconds[QVL_CALL_ATTENTION] =
        rows == 1 ? 1e-3 + 1e-6 * d : 5e-6 * n + 3e-9 * (n * d + n * (n + 1) / 2);
    point.seconds[QVL_CALL_HEAD] = 4e-3;
    point.seconds[QVL_CALL_REST] = 1e-6 * n;
    return point;
}

static struct qvl_calibration machine(void)
{
    struct qvl_calibration calibration = {.chunk = 100, .count = 6};
    calibration.points[0] = made_up(1, 70);
    calibration.points[1] = made_up(12, 70);
    calibration.points[2] = made_up(50, 70);
    calibration.points[3] = made_up(100, 70);
    calibration.points[4] = made_up(1, 700);
    calibration.points[5] = made_up(50, 700);
    return calibration;
}

static void lines_give_back_the_machine(void **state)
{
    struct qvl_calibration calibration = machine();
    struct qvl_error error;
    (void)state;
    assert_int_equal(qvl_calibration_fit(&calibration, &error), QVL_OK);
    assert_float_equal(calibration.step[0], 1e-3, 1e-12);
    assert_float_equal(calibration.step[1], 1e-6, 1e-15);
    assert_float_equal(calibration.piece[0], 5e-6, 1e-12);
    assert_float_equal(calibration.piece[1], 3e-9, 1e-16);
    /* a step behind 1000 tokens: 2.01 ms, 2 ms, 4 ms, 1 us */
    const struct qvl_prediction step = qvl_predict_decode(&calibration, 1000);
    assert_float_equal(step.seconds, 8.011e-3, 1e-9);
    assert_float_equal(step.by_class[QVL_CALL_ATTENTION], 2e-3, 1e-9);
    /* 230 tokens: chunks of 100, 100 and 30; pairs 230 231 / 2 */
    const struct qvl_prediction prefill = qvl_predict_prefill(&calibration, 230);
    assert_float_equal(prefill.by_class[QVL_CALL_PRODUCTS], 3 * 2e-3 + 230 * 10e-6, 1e-9);
    assert_float_equal(prefill.by_class[QVL_CALL_ATTENTION], 230 * 5e-6 + 3e-9 * 230 * 231 / 2, 1e-9);
    assert_float_equal(prefill.by_class[QVL_CALL_HEAD], 4e-3, 1e-12);
    assert_float_equal(prefill.by_class[QVL_CALL_REST], 230e-6, 1e-9);
    assert_float_equal(
        prefill.seconds,
        prefill.by_class[QVL_CALL_PRODUCTS] + prefill.by_class[QVL_CALL_ATTENTION] + 4e-3 + 230e-6, 1e-12);
}

static void one_depth_is_not_enough(void **state)
{
    struct qvl_calibration calibration = machine();
    struct qvl_error error;
    (void)state;
    calibration.count = 4;
    assert_int_equal(qvl_calibration_fit(&calibration, &error), QVL_USAGE);
}

/* One point 30 % off: the line of least squares leaves all others within 10 %, where a line through two
 * points that have it would be wrong everywhere. */
static void one_bad_point_does_not_carry_the_line_away(void **state)
{
    struct qvl_calibration calibration = machine();
    struct qvl_error error;
    (void)state;
    calibration.points[6] = made_up(25, 70);
    calibration.points[7] = made_up(100, 700);
    calibration.count = 8;
    calibration.points[2].seconds[QVL_CALL_ATTENTION] *= 1.3;
    assert_int_equal(qvl_calibration_fit(&calibration, &error), QVL_OK);
    for (int i = 1; i < 8; i++) {
        const struct qvl_calibration_point *point = &calibration.points[i];
        const double n = (double)point->rows, d = (double)point->depth;
        const double fitted = calibration.piece[0] * n + calibration.piece[1] * (n * d + n * (n + 1) / 2);
        const double exact = made_up(point->rows, point->depth).seconds[QVL_CALL_ATTENTION];
        if (point->rows > 1)
            assert_true(fabs(fitted / exact - 1) < 0.1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_give_back_the_machine),
        cmocka_unit_test(one_depth_is_not_enough),
        cmocka_unit_test(one_bad_point_does_not_carry_the_line_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
