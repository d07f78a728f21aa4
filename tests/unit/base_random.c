#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

/* Numbers computed in Python with integers modulo 2^64; the first is the published start of SplitMix64(0). */
static void known_values(void **state)
{
    (void)state;
    assert_true(qvl_random_mix(QVL_RANDOM_GAMMA) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(qvl_random_bits(0, 0, 0) == UINT64_C(0x238275bc38fcbe91));
    assert_true(qvl_random_bits(1, 2, 3) == UINT64_C(0x2a38bbe987fdf051));
    assert_true(qvl_random_bits(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_C(0xd54b6289df47cec8));
    assert_true(qvl_random_uniform(7, UINT64_C(1) << 40, 5) == 0x1.0a34b6e21b46cp-1);
    assert_true(qvl_random_normal(42, 9, 0) == -0x1.aca6p-1f);
    assert_true(qvl_random_normal(42, 9, 1) == -0x1.489ep-1f);
    assert_true(qvl_random_normal(42, 9, 2) == -0x1.0120p-1f);
    assert_true(qvl_random_stream("model.norm") == UINT64_C(0x23706e6f6da192b2));
    assert_int_equal(qvl_random_below(5, 6, 0, 1000003), 277486);
    assert_int_equal(qvl_random_below(5, 6, 1, 1000003), 982892);
    assert_true(qvl_random_below(5, 6, 0, UINT64_MAX - 4) == UINT64_C(5118708984503493773));
}

/* Mean 0 and variance 1 within four standard errors, uncorrelated neighbours; fixed seed, so no chance. */
static void moments(void **state)
{
    (void)state;
    const int n = 100000;
    double sum = 0, squares = 0, products = 0, previous = 0;
    for (int i = 0; i < n; i++) {
        double value = (double)qvl_random_normal(20251123, 4, (uint64_t)i);
        assert_true(fabs(value) < 6.0);
        sum += value;
        squares += value * value;
        products += value * previous;
        previous = value;
    }
    assert_true(fabs(sum / n) < 4 / sqrt(n));
    assert_true(fabs(squares / n - 1) < 4 * sqrt(2.0 / n));
    assert_true(fabs(products / n) < 4 / sqrt(n));
}

/* Changing any one argument changes about half of the bits. */
static void arguments_matter(void **state)
{
    (void)state;
    int flips[3] = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t base = qvl_random_bits(i, i, i);
        flips[0] += __builtin_popcountll(base ^ qvl_random_bits(i + 1, i, i));
        flips[1] += __builtin_popcountll(base ^ qvl_random_bits(i, i + 1, i));
        flips[2] += __builtin_popcountll(base ^ qvl_random_bits(i, i, i + 1));
    }
    for (int k = 0; k < 3; k++)
        assert_in_range(flips[k], 31000, 33000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(moments),
        cmocka_unit_test(arguments_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
