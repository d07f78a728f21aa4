/* Fully connected layer: y = r( x W^T + b ). */
#include "ref/kernels.h"

enum { ROWS = 64 }; /* rows of x that share one pass over the weight */

/* Transpose so that the innermost loop of the product runs over rows, one sum each, in order of k. */
static void transpose(int64_t rows, int64_t columns, const double *x, double *lanes)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++)
            lanes[k * ROWS + i] = x[i * columns + k];
}

/* acc[i] = sum_k w[k] lanes[k][i] */
static void sum_products(int64_t rows, int64_t terms, const double *w, const double *lanes, double *acc)
{
    for (int64_t i = 0; i < rows; i++)
        acc[i] = 0;
    for (int64_t k = 0; k < terms; k++)
        for (int64_t i = 0; i < rows; i++)
            acc[i] += w[k] * lanes[k * ROWS + i];
}

/* |y_bound| <= C sqrt(n) u (sum |w||x| + |bias|) + sum |w| x_bound */
static void product_bound(const struct qvl_ref_product *product, int64_t first, int64_t rows, int64_t o,
                          const double *w)
{
    const int64_t in = product->weight->in, out = product->weight->out;
    for (int64_t i = first; i < first + rows; i++) {
        double magnitude = product->bias ? fabs(product->bias[o]) : 0;
        double carried = 0;
        for (int64_t k = 0; k < in; k++) {
            magnitude += fabs(w[k] * product->x[i * in + k]);
            if (product->x_bound)
                carried += fabs(w[k]) * product->x_bound[i * in + k];
        }
        product->y_bound[i * out + o] = qvl_bound_sum(product->cond, in, magnitude) + carried;
    }
}

enum qvl_status qvl_ref_product(const struct qvl_ref_product *product, struct qvl_error *error)
{
    const int64_t in = product->weight->in, out = product->weight->out;
    double acc[ROWS];
    double *lanes, *w;
    QVL_TRY(qvl_ref_doubles("linear", in * ROWS + in, &lanes, error));
    w = lanes + in * ROWS;
    for (int64_t first = 0; first < product->n; first += ROWS) {
        const int64_t rows = product->n - first < ROWS ? product->n - first : ROWS;
        transpose(rows, in, product->x + first * in, lanes);
        for (int64_t o = 0; o < out; o++) {
            qvl_ref_weight_row(product->weight, product->expert, o, w);
            sum_products(rows, in, w, lanes, acc);
            for (int64_t i = 0; i < rows; i++)
                product->y[(first + i) * out + o] = acc[i] + (product->bias ? product->bias[o] : 0);
            if (product->cond)
                product_bound(product, first, rows, o, w);
        }
    }
    free(lanes);
    return QVL_OK;
}

/* Rows of x (chosen by `rows`, or in order) through the product to rows of y, ROWS at a time. */
enum qvl_status qvl_ref_project(struct qvl_backend *backend, const struct qvl_ref_projection *args,
                                struct qvl_error *error)
{
    const struct qvl_rounding r = qvl_ref_rounding(backend, args->y->dtype);
    const int64_t in = args->weight->in, out = args->weight->out;
    struct qvl_ref_product product = {.weight = args->weight, .cond = args->cond};
    enum qvl_status status = QVL_OK;
    double *x, *bias, *y, *bound;
    QVL_TRY(qvl_ref_doubles("linear", ROWS * in + out + 2 * ROWS * out, &x, error));
    bias = x + ROWS * in;
    y = bias + out;
    bound = y + ROWS * out;
    if (args->bias)
        qvl_load_row(args->bias->data, args->bias->dtype, out, bias);
    product.x = x;
    product.bias = args->bias ? bias : NULL;
    product.y = y;
    product.y_bound = bound;
    for (int64_t first = 0; first < args->y->shape[0] && status == QVL_OK; first += ROWS) {
        product.n = args->y->shape[0] - first < ROWS ? args->y->shape[0] - first : ROWS;
        for (int64_t i = 0; i < product.n; i++) {
            qvl_ref_load(args->x, args->rows ? args->rows[first + i] : first + i, 0, x + i * in);
            if (args->round_input)
                qvl_round_row(&r, in, x + i * in);
        }
        status = qvl_ref_product(&product, error);
        for (int64_t i = 0; i < product.n && status == QVL_OK; i++) {
            for (int64_t o = 0; args->cond && o < out; o++)
                qvl_bound_put(args->cond, (first + i) * out + o, y[i * out + o], bound[i * out + o]);
            qvl_round_row(&r, out, y + i * out);
            qvl_ref_store(y + i * out, args->y, first + i, 0);
        }
    }
    free(x);
    return status;
}

enum qvl_status qvl_ref_linear(struct qvl_backend *backend, const struct qvl_linear_args *args,
                               struct qvl_error *error)
{
    QVL_TRY(qvl_linear_check(args, error));
    QVL_TRY(qvl_ref_weight_check("linear.weight", args->weight, args->y.shape[1], args->x.shape[1], error));
    return qvl_ref_project(
        backend,
        &(struct qvl_ref_projection){
            .x = &args->x, .weight = args->weight, .bias = args->bias, .y = &args->y, .cond = args->cond},
        error);
}
