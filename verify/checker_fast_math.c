/* Compiled with -ffast-math (CMakeLists.txt), which lets the compiler assume that there are no NaNs. The
 * source is right; what becomes of it is the fault chk.fast_math. */
#include "verify/checker_fast_math.h"

#include <math.h>

bool qvl_fast_math_accepts(int64_t count, const double *value, const double *bound, const double *got)
{
    bool good = true;
    for (int64_t i = 0; i < count; i++) {
        if (isnan(value[i]))
            good = good && isnan(got[i]);
        else if (isinf(value[i]))
            good = good && got[i] == value[i];
        else
            good = good && fabs(got[i] - value[i]) <= bound[i];
    }
    return good;
}
