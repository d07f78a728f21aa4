/* Freivalds' check of a matrix product, by rows and by columns, and elements in double.
 *
 * For signs v the sum over o of v[o] y[i][o] must be x[i] (W^T v) + bias v: two products of a matrix and a
 * vector instead of one of two matrices. The errors e[o] of an honest row do not depend on v, so their signed
 * sum exceeds z sqrt(sum e[o]^2) with probability at most 2 exp(-z^2 / 2) (Hoeffding); each |e[o]| is at most
 * the tolerance of its element. For whole numbers that sums hold exactly there is no tolerance: one wrong
 * element in any row and column cannot cancel. A row (or column) that fails is computed anew, element by
 * element, to name the one that is wrong. */
#include "verify/long_gemm.h"

#include <stdlib.h>

#include "qvl/bound.h"
#include "qvl/rounding.h"
#include "verify/compare.h"
#include "verify/counter_values.h"

enum { DRAWS = 2 };        /* vectors of signs */
enum { SAMPLED = 48 };     /* rows and columns whose crossings are computed in double */
static const double Z = 7; /* a false alarm in 2e10 rows */

/* Row `row` of a matrix; written out for the types that fill gigabytes. */
static void load(const struct qvl_long_gemm *gemm, const void *matrix, int64_t columns, int64_t row,
                 double *to)
{
    const float *wide = (const float *)matrix + row * columns;
    const uint16_t *narrow = (const uint16_t *)matrix + row * columns;
    if (gemm->dtype == QVL_F32)
        for (int64_t k = 0; k < columns; k++)
            to[k] = (double)wide[k];
    else if (gemm->dtype == QVL_BF16)
        for (int64_t k = 0; k < columns; k++)
            to[k] = (double)qvl_bf16_to_f32(narrow[k]);
    else
        qvl_load_row(narrow, gemm->dtype, columns, to);
}

static void store(const struct qvl_long_gemm *gemm, const double *values, int64_t columns, void *matrix,
                  int64_t row)
{
    float *wide = (float *)matrix + row * columns;
    uint16_t *narrow = (uint16_t *)matrix + row * columns;
    if (gemm->dtype == QVL_F32)
        for (int64_t k = 0; k < columns; k++)
            wide[k] = (float)values[k];
    else if (gemm->dtype == QVL_BF16)
        for (int64_t k = 0; k < columns; k++)
            narrow[k] = qvl_f32_to_bf16((float)values[k]);
    else
        qvl_store_row(values, gemm->dtype, columns, narrow);
}

/* ---- operands ---- */

enum column { COLUMN_SPARSE, COLUMN_WIDE, COLUMN_ADDS, COLUMN_SUBTRACTS };

/* Eight columns of 16-bit operands hold one large product each, positive in the first half and negative in
 * the second: sums that pass through 16384, which no 16-bit accumulator keeps exact. Of float32, one of x and
 * w is wide in every column, by turns. */
static enum column column_of(const struct qvl_long_gemm *gemm, bool weight, int64_t k)
{
    const int64_t eighth = gemm->in / 8;
    if (gemm->dtype == QVL_F32)
        return (k % 2 == 0) == weight ? COLUMN_WIDE : COLUMN_SPARSE;
    if (eighth < 4 || k % eighth != 1 || k / eighth >= 8)
        return COLUMN_SPARSE;
    return k / eighth < 4 ? COLUMN_ADDS : COLUMN_SUBTRACTS;
}

/* Whole numbers: 14 bits in wide columns, so that a factor cut to 11 or 8 bits shows; else mostly 0, -1 or 1,
 * so sparse (of 2^15) that sums of 16-bit operands fit their type. */
static double whole(enum column column, bool weight, uint32_t density, uint32_t bits)
{
    switch (column) {
    case COLUMN_WIDE: return (double)((int32_t)bits >> 18);
    case COLUMN_ADDS: return 64;
    case COLUMN_SUBTRACTS: return weight ? -64 : 64;
    default: return bits >> 17 >= density ? 0 : bits >> 16 & 1 ? 1 : -1;
    }
}

/* `rows` rows of `columns` numbers. */
static enum qvl_status fill(const struct qvl_long_gemm *gemm, const char *name, int64_t rows, int64_t columns,
                            void *raw, struct qvl_error *error)
{
    const bool weight = strcmp(name, "long.w") == 0, bias = strcmp(name, "long.bias") == 0;
    const uint64_t stream = qvl_random_stream(name);
    const int precision = qvl_counter_precision(gemm->dtype);
    const uint32_t density = (uint32_t)(32768 * fmin(2.0 / 3, 32 / sqrt((double)gemm->in)));
    double *values = malloc((size_t)columns * (sizeof(double) + sizeof(uint32_t) + sizeof(enum column)));
    if (!values)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a row of %lld", (long long)columns);
    uint32_t *bits = (uint32_t *)(void *)(values + columns);
    enum column *kinds = (enum column *)(void *)(bits + columns);
    for (int64_t k = 0; k < columns; k++)
        kinds[k] = column_of(gemm, weight, k);
    for (int64_t r = 0; r < rows; r++) {
        qvl_counter_bits(gemm->dtype, gemm->seed, stream, columns, (uint64_t)r, bits);
        for (int64_t k = 0; k < columns; k++)
            values[k] = !gemm->exact ? (double)qvl_counter_signed(bits[k], precision)
                        : bias       ? (double)qvl_counter_whole(bits[k])
                                     : whole(kinds[k], weight, density, bits[k]);
        store(gemm, values, columns, raw, r);
    }
    free(values);
    return QVL_OK;
}

int64_t qvl_long_gemm_bytes(const struct qvl_long_gemm *gemm)
{
    return ((gemm->rows + gemm->out) * gemm->in + (gemm->rows + 1) * gemm->out) *
           (int64_t)qvl_dtype_bytes(gemm->dtype);
}

enum qvl_status qvl_long_gemm_open(struct qvl_long_gemm *gemm, bool has_bias, struct qvl_error *error)
{
    const size_t size = qvl_dtype_bytes(gemm->dtype);
    gemm->x = malloc((size_t)(gemm->rows * gemm->in) * size);
    gemm->w = malloc((size_t)(gemm->out * gemm->in) * size);
    gemm->y = malloc((size_t)(gemm->rows * gemm->out) * size);
    gemm->bias = has_bias ? malloc((size_t)gemm->out * size) : NULL;
    if (!gemm->x || !gemm->w || !gemm->y || (has_bias && !gemm->bias))
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for a product of %lld x %lld x %lld",
                        (long long)gemm->rows, (long long)gemm->in, (long long)gemm->out);
    QVL_TRY(fill(gemm, "long.x", gemm->rows, gemm->in, gemm->x, error));
    QVL_TRY(fill(gemm, "long.w", gemm->out, gemm->in, gemm->w, error));
    return has_bias ? fill(gemm, "long.bias", 1, gemm->out, gemm->bias, error) : QVL_OK;
}

void qvl_long_gemm_close(struct qvl_long_gemm *gemm)
{
    free(gemm->x);
    free(gemm->w);
    free(gemm->y);
    free(gemm->bias);
}

/* ---- projections ---- */

/* Everything the check adds up; one block of doubles. */
struct sums {
    double *w, *x, *y;           /* a row in double: [in], [in], [out] */
    double *bias;                /* [out] */
    double *sign_out, *sign_row; /* [DRAWS, out], [DRAWS, rows] */
    double *w_signed, *x_signed; /* [DRAWS, in]: W^T sign_out, X^T sign_row */
    double *row, *column; /* [DRAWS, rows], [DRAWS, out]: what projections must be, less what they are */
    double *x_square, *w_square;            /* [rows], [out]: sums of squares */
    double *row_rounding, *column_rounding; /* [rows], [out]: sums of squared roundings of y */
    double *block;
};

static enum qvl_status open_sums(struct sums *sums, const struct qvl_long_gemm *gemm, struct qvl_error *error)
{
    const int64_t in = gemm->in, out = gemm->out, rows = gemm->rows;
    double *next =
        calloc((size_t)(2 * in + 2 * out + DRAWS * (2 * out + 2 * rows + 2 * in) + 2 * rows + 2 * out),
               sizeof *next);
    sums->block = next;
    if (!next)
        return qvl_fail(error, QVL_NO_MEMORY, "no memory for the projections");
    double **const places[] = {&sums->w,        &sums->x,
                               &sums->y,        &sums->bias,
                               &sums->sign_out, &sums->column,
                               &sums->sign_row, &sums->row,
                               &sums->w_signed, &sums->x_signed,
                               &sums->x_square, &sums->row_rounding,
                               &sums->w_square, &sums->column_rounding};
    const int64_t counts[] = {in,          in,           out,          out,        DRAWS * out,
                              DRAWS * out, DRAWS * rows, DRAWS * rows, DRAWS * in, DRAWS * in,
                              rows,        rows,         out,          out};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        *places[i] = next;
        next += counts[i];
    }
    for (int64_t i = 0; i < DRAWS * out; i++)
        sums->sign_out[i] =
            qvl_random_bits(gemm->seed, qvl_random_stream("sign.out"), (uint64_t)i) & 1 ? 1 : -1;
    for (int64_t i = 0; i < DRAWS * rows; i++)
        sums->sign_row[i] =
            qvl_random_bits(gemm->seed, qvl_random_stream("sign.row"), (uint64_t)i) & 1 ? 1 : -1;
    if (gemm->bias)
        qvl_load_row(gemm->bias, gemm->dtype, out, sums->bias);
    return QVL_OK;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double lane[8] = {0}, sum = 0;
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int l = 0; l < 8; l++)
            lane[l] += a[k + l] * b[k + l];
    for (; k < n; k++)
        sum += a[k] * b[k];
    for (int l = 0; l < 8; l++)
        sum += lane[l];
    return sum;
}

static void add_scaled(double *to, double factor, const double *row, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        to[k] += factor * row[k];
}

/* One pass over each matrix. */
static void project(const struct qvl_long_gemm *gemm, struct sums *sums)
{
    const int64_t in = gemm->in, out = gemm->out, rows = gemm->rows;
    for (int64_t i = 0; i < rows; i++) {
        load(gemm, gemm->x, in, i, sums->x);
        sums->x_square[i] = dot(sums->x, sums->x, in);
        for (int t = 0; t < DRAWS; t++)
            add_scaled(sums->x_signed + t * in, sums->sign_row[t * rows + i], sums->x, in);
    }
    for (int64_t o = 0; o < out; o++) {
        load(gemm, gemm->w, in, o, sums->w);
        sums->w_square[o] = dot(sums->w, sums->w, in);
        for (int t = 0; t < DRAWS; t++) {
            double signs = 0;
            for (int64_t i = 0; i < rows; i++)
                signs += sums->sign_row[t * rows + i];
            sums->column[t * out + o] = dot(sums->x_signed + t * in, sums->w, in) + signs * sums->bias[o];
            add_scaled(sums->w_signed + t * in, sums->sign_out[t * out + o], sums->w, in);
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        load(gemm, gemm->x, in, i, sums->x);
        load(gemm, gemm->y, out, i, sums->y);
        for (int64_t o = 0; o < out; o++) {
            const double half = 0.5 * qvl_spacing(gemm->dtype, sums->y[o]);
            sums->row_rounding[i] += half * half;
            sums->column_rounding[o] += half * half;
        }
        for (int t = 0; t < DRAWS; t++) {
            const double *signs = sums->sign_out + t * out;
            sums->row[t * rows + i] = dot(sums->w_signed + t * in, sums->x, in) +
                                      dot(signs, sums->bias, out) - dot(signs, sums->y, out);
            add_scaled(sums->column + t * out, -sums->sign_row[t * rows + i], sums->y, out);
        }
    }
}

/* Error of an element before its rounding, as a multiple of |x||w|. */
static double relative(const struct qvl_long_gemm *gemm)
{
    const double product = gemm->math.tf32 && gemm->dtype == QVL_F32 ? 0x1p-10 : 0;
    return QVL_BOUND_C * sqrt((double)gemm->in) * qvl_dtype_roundoff(gemm->math.accumulate) + product;
}

static double total(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

/* The projection that is farthest beyond its tolerance. */
struct verdict {
    int64_t failing; /* rows or columns */
    int64_t first;   /* of them, -1: none */
    double margin;   /* the largest */
};

/* By rows when `errors` are those of rows. `own` and `own_rounding` belong to the row or column, `other` is
 * the sum of squares over the other side. */
static struct verdict judge_side(const struct qvl_long_gemm *gemm, const double *errors, int64_t count,
                                 const double *own, const double *own_rounding, double other, double bias)
{
    struct verdict verdict = {.first = -1};
    for (int64_t i = 0; i < count; i++) {
        const double tolerance =
            gemm->exact ? 0 : Z * (relative(gemm) * (sqrt(own[i] * other) + bias) + sqrt(own_rounding[i]));
        bool good = true;
        for (int t = 0; t < DRAWS; t++) {
            const double error = fabs(errors[t * count + i]);
            if (!gemm->exact && !(error / tolerance <= verdict.margin))
                verdict.margin = error / tolerance;
            good = good && error <= tolerance;
        }
        verdict.failing += !good;
        if (!good && verdict.first < 0)
            verdict.first = i;
    }
    return verdict;
}

/* ---- elements ---- */

/* Compare element (i, o) with its sum in double. */
static void compare_element(const struct qvl_long_gemm *gemm, const struct sums *sums, int64_t i, int64_t o,
                            struct qvl_comparison *comparison)
{
    const struct qvl_operand operand = {
        .name = "y", .judge = QVL_JUDGE_BOUND, .dtype = gemm->dtype, .rank = 2, .shape = {1, 1}};
    struct qvl_case_result *result = comparison->result;
    double value = sums->bias[o], magnitude = fabs(sums->bias[o]), got, bound = 0;
    for (int64_t k = 0; k < gemm->in; k++) {
        const double term = sums->x[k] * sums->w[k];
        value += term;
        magnitude += fabs(term);
    }
    const double before = result->margin;
    const bool none = !result->operand;
    qvl_load_row((const char *)gemm->y + (size_t)(i * gemm->out + o) * qvl_dtype_bytes(gemm->dtype),
                 gemm->dtype, 1, &got);
    if (!gemm->exact)
        bound = relative(gemm) * magnitude;
    qvl_compare(comparison, &operand, &got,
                &(struct qvl_expected){.value = &value, .bound = &bound, .exact = gemm->exact});
    if (none || result->margin > before) {
        result->index[0] = i;
        result->index[1] = o;
    }
}

/* All elements of a row (`o` < 0) or a column (`i` < 0). */
static void compare_line(const struct qvl_long_gemm *gemm, const struct sums *sums, int64_t i, int64_t o,
                         struct qvl_comparison *comparison)
{
    if (o < 0) {
        load(gemm, gemm->x, gemm->in, i, sums->x);
        for (o = 0; o < gemm->out; o++) {
            load(gemm, gemm->w, gemm->in, o, sums->w);
            compare_element(gemm, sums, i, o, comparison);
        }
        return;
    }
    load(gemm, gemm->w, gemm->in, o, sums->w);
    for (i = 0; i < gemm->rows; i++) {
        load(gemm, gemm->x, gemm->in, i, sums->x);
        compare_element(gemm, sums, i, o, comparison);
    }
}

static void compare_samples(const struct qvl_long_gemm *gemm, const struct sums *sums,
                            struct qvl_comparison *comparison)
{
    const int64_t columns = gemm->out < SAMPLED ? gemm->out : SAMPLED;
    const int64_t rows = gemm->rows < SAMPLED ? gemm->rows : SAMPLED;
    for (int64_t b = 0; b < columns; b++) {
        const int64_t o =
            b * gemm->out / columns + (int64_t)qvl_random_below(gemm->seed, qvl_random_stream("sample.out"),
                                                                (uint64_t)b, (uint64_t)(gemm->out / columns));
        load(gemm, gemm->w, gemm->in, o, sums->w);
        for (int64_t a = 0; a < rows; a++) {
            const int64_t i =
                a * gemm->rows / rows + (int64_t)qvl_random_below(gemm->seed, qvl_random_stream("sample.row"),
                                                                  (uint64_t)a, (uint64_t)(gemm->rows / rows));
            load(gemm, gemm->x, gemm->in, i, sums->x);
            compare_element(gemm, sums, i, o, comparison);
        }
    }
}

/* ---- verdict ---- */

/* FAILED: name the element, or only the line when no element of it is beyond its own tolerance. */
static void locate(const struct qvl_long_gemm *gemm, const struct sums *sums, const struct verdict *rows,
                   const struct verdict *columns, struct qvl_case_result *result)
{
    struct qvl_comparison comparison = {.result = result};
    char projections[160];
    snprintf(projections, sizeof projections, "%lld of %lld row sums and %lld of %lld column sums are wrong",
             (long long)rows->failing, (long long)gemm->rows, (long long)columns->failing,
             (long long)gemm->out);
    if (result->failures == 0 && (rows->failing || columns->failing))
        compare_line(gemm, sums, rows->failing ? rows->first : -1, rows->failing ? -1 : columns->first,
                     &comparison);
    result->status = QVL_CASE_FAILED;
    if (result->failures > 0)
        snprintf(result->message, sizeof result->message,
                 "y[%lld][%lld] is %.9g, expected %.9g within %.3g; %s", (long long)result->index[0],
                 (long long)result->index[1], result->got, result->expected, result->tolerance, projections);
    else
        snprintf(result->message, sizeof result->message,
                 "%s %lld: its signed sum is off by %.3g times what its elements may be together; %s",
                 rows->failing ? "row" : "column", (long long)(rows->failing ? rows->first : columns->first),
                 fmax(rows->margin, columns->margin), projections);
    if (result->failures == 0)
        result->failures = rows->failing + columns->failing;
    result->margin = fmax(result->margin, fmax(rows->margin, columns->margin));
}

enum qvl_status qvl_long_gemm_judge(const struct qvl_long_gemm *gemm, struct qvl_case_result *result,
                                    struct qvl_error *error)
{
    struct sums sums;
    struct qvl_comparison comparison = {.result = result};
    QVL_TRY(open_sums(&sums, gemm, error));
    project(gemm, &sums);
    const double bias = sqrt(dot(sums.bias, sums.bias, gemm->out));
    const struct verdict rows = judge_side(gemm, sums.row, gemm->rows, sums.x_square, sums.row_rounding,
                                           total(sums.w_square, gemm->out), bias);
    const struct verdict columns =
        judge_side(gemm, sums.column, gemm->out, sums.w_square, sums.column_rounding,
                   total(sums.x_square, gemm->rows), gemm->bias ? bias * sqrt((double)gemm->rows) : 0);
    compare_samples(gemm, &sums, &comparison);
    qvl_compare_finish(&comparison);
    if (rows.failing + columns.failing + result->failures > 0)
        locate(gemm, &sums, &rows, &columns, result);
    result->elements = gemm->rows * gemm->out;
    free(sums.block);
    return QVL_OK;
}
