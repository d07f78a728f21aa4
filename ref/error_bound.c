#include "ref/error_bound.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double qvl_bound_terms(int64_t n, const double *terms, double *scratch)
{
    double count = 0;
    for (int64_t i = 0; i < n; i++)
        scratch[i] = isnan(terms[i]) ? INFINITY : fabs(terms[i]);
    qsort(scratch, (size_t)n, sizeof *scratch, compare);
    for (int64_t first = 0, next; first < n; first = next) {
        for (next = first + 1; next < n && scratch[next] == scratch[first]; next++)
            ;
        if (scratch[first] != 0)
            count += (double)(next - first) * (double)(next - first);
    }
    return count;
}
