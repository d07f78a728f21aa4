/* The float32 angle error of the released rotary (theta 5e6, head_dim 128) against the figures measured on
 * the original: at most 0.07 rad at 1M, 0.018 at 262144, 0.002 at 32768, and nothing at position 0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ref/ref.h"
#include "verify/angles.h"

static void curve_of_the_released_rotary(void **state)
{
    (void)state;
    const struct qvl_text_config text = {.head_dim = 128,
                                         .rope_theta = 5e6,
                                         .mrope_section = {24, 20, 20},
                                         .mrope_layout = QVL_MROPE_INTERLEAVED};
    const struct qvl_backend_options options = {.threads = 1};
    const int64_t positions[] = {0, 32768, 262144, 1000000};
    struct qvl_angle_error errors[4];
    struct qvl_backend *backend = NULL;
    struct qvl_error error;
    assert_int_equal(qvl_ref_open(&options, &backend, &error), QVL_OK);
    assert_int_equal(qvl_angle_curve(backend, &text, positions, 4, errors, &error), QVL_OK);
    assert_true(errors[0].radians == 0);
    assert_true(errors[1].radians > 0.0015 && errors[1].radians < 0.0025);
    assert_true(errors[2].radians > 0.015 && errors[2].radians < 0.02);
    assert_true(errors[3].radians > 0.06 && errors[3].radians < 0.08);
    assert_int_equal(errors[3].position, 1000000);
    backend->close(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(curve_of_the_released_rotary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
