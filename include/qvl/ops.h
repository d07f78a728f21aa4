/* The op table: the contract of every kernel that `ref`, `cpu`, a GPU backend or a plugin implements.
 *
 * Common rules
 * - `storage type` means QVL_F32, QVL_BF16 or QVL_F16. r(v) rounds v to the storage type of the output, to
 *   nearest even; every r() written in a formula is a rounding point of the original framework (eager
 * attention) and the reference performs it. Between rounding points the reference computes in double,
 * backends in at least float32.
 * - Tensors are row-major with explicit strides in elements; the last axis has stride 1 unless a field says
 *   otherwise. Outputs never overlap inputs unless a comment says "in place allowed" (then same data and
 * strides).
 * - Zero rows are valid input: nothing is read or written and the call returns QVL_OK.
 * - NaN and Inf propagate as IEEE arithmetic does; no entry filters them.
 * - Arrays marked `host` are ordinary host memory, read before the call returns.
 * - `cond` (may be NULL) asks for a running error analysis of the call, see `struct qvl_condition`. Only the
 * reference fills it; another backend returns QVL_UNSUPPORTED when it is not NULL.
 * - An entry that a backend lacks is NULL; a variant it lacks returns QVL_UNSUPPORTED. Nothing falls back
 * silently.
 * - Calls may be asynchronous; `sync` of the backend orders them against the host.
 * - Every entry first calls the `_check` function of its args (qvl/check.h), which returns QVL_USAGE and
 * names the op and field. */
#ifndef QVL_OPS_H
#define QVL_OPS_H

#include "qvl/tensor.h"

struct qvl_backend;
struct qvl_weight; /* a matrix prepared by one backend: packed, converted or uploaded */
struct qvl_cache;  /* the KV cache of one sequence, all layers, laid out as its backend likes */

/* What the reference tells beside a result, and what the tolerances of `verify` are made of
 * (docs/NUMERICS.md). `value` is the result in double before its last rounding; `bound` is the error that an
 * honest implementation may have made by then, when its sums and functions have unit roundoff `accumulate`
 * and its products an additional relative error `product`: c sqrt(n) accumulate * (sum |a||b|) for a dot
 * product, its first-order propagation for compound ops. An intermediate rounding point adds a step of its
 * type where the bound reaches across a rounding boundary, and removes the bound where it does not. */
struct qvl_condition {
    double accumulate; /* in: 2^-24 for float32 */
    double product;    /* in: 0; 2^-10 when both factors are cut to tf32 */
    double *value;     /* out, host, contiguous in the order of the output; may be NULL */
    double *bound;     /* out, host, the same order; may be NULL */
};

/* Fully connected layer: y[i][o] = r( sum_k x[i][k] * W[o][k] + bias[o] ).
 * x [n, in] row stride free; W prepared from [out, in] with QVL_USE_LINEAR; bias [out] or NULL, storage type;
 * y [n, out] row stride free. Source: torch.nn.Linear; the bias joins the accumulator before the one
 * rounding. */
struct qvl_linear_args {
    struct qvl_tensor x;
    const struct qvl_weight *weight;
    const struct qvl_tensor *bias;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* Patch embedding (Conv3d with kernel = stride = (T, P, P)) as a matrix product over flattened patches:
 * y[i][o] = r( sum_k r(x[i][k]) * W[o][k] + bias[o] ).
 * x [n, C*T*P*P] QVL_F32 patch rows (columns ordered c, t, y, x); W from [D, C*T*P*P]; bias [D] or NULL; y
 * [n, D]. */
struct qvl_patch_embed_args {
    struct qvl_tensor x;
    const struct qvl_weight *weight;
    const struct qvl_tensor *bias;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

struct qvl_grid {
    int64_t t, h, w; /* temporal patches, patch rows, patch columns of one image or video */
};

/* How the learned position table is interpolated in 16-bit storage (equal in f32). */
enum qvl_pos_rounding {
    QVL_POS_ROUND_EACH, /* transformers 4.57: weights, products and partial sums are each rounded, left to
                           right */
    QVL_POS_ROUND_ONCE  /* transformers 5.x: float32 inside, one rounding */
};

/* Bilinear interpolation with aligned corners of the learned N x N position table, for each grid:
 * yy = i*(N-1)/(h-1) (0 when h == 1), y0 = trunc(yy), y1 = min(y0+1, N-1), dy = yy - y0; the same for x;
 * E(i,j) = (1-dy)(1-dx) T[y0,x0] + (1-dy)dx T[y0,x1] + dy(1-dx) T[y1,x0] + dy dx T[y1,x1].
 * Coordinates are float32(i*(N-1)) / float32(h-1), weights float32. Rows come out in merge-block order (by,
 * bx, my, mx) and repeat for every t. table [N*N, D] storage type, contiguous, N the whole root of its rows;
 * grids host; y [sum t*h*w, D]. */
struct qvl_pos_interp_args {
    struct qvl_tensor table;
    const struct qvl_grid *grids;
    int64_t grid_count;
    int64_t merge; /* M: rows are ordered in M x M blocks */
    enum qvl_pos_rounding rounding;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* RMSNorm over the last axis: y = r( w * r( x / sqrt(mean(x^2) + eps) ) ), the rounding BEFORE the weight
 * included. x [n, dim] or [n, heads, dim], outer strides free; weight [dim]; y the same shape. In place
 * allowed. QK-norm is this op on [n, heads, head_dim]. Source: Qwen3VLTextRMSNorm. */
struct qvl_rms_norm_args {
    struct qvl_tensor x;
    struct qvl_tensor weight;
    double eps;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* LayerNorm over the last axis: y = r( (x - mean) / sqrt(var + eps) * weight + bias ), var =
 * mean((x-mean)^2). x [n, dim] row stride free; weight, bias [dim]; y [n, dim]. In place allowed. */
struct qvl_layer_norm_args {
    struct qvl_tensor x;
    struct qvl_tensor weight;
    struct qvl_tensor bias;
    double eps;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

enum qvl_gelu_form {
    QVL_GELU_TANH, /* 0.5 x (1 + tanh( sqrt(2/pi) (x + 0.044715 x^3) )): the vision blocks */
    QVL_GELU_ERF   /* 0.5 x (1 + erf( x / sqrt(2) )): the mergers */
};

/* y = r( gelu(x) ). x, y [n, m] row strides free. In place allowed. */
struct qvl_gelu_args {
    struct qvl_tensor x;
    enum qvl_gelu_form form;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* SwiGLU: y = r( r(silu(gate)) * up ), silu(g) = g / (1 + exp(-g)). gate, up, y [n, m] row strides free.
 * In place allowed (y over gate or up). */
struct qvl_swiglu_args {
    struct qvl_tensor gate;
    struct qvl_tensor up;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* Residual: y = r( a + b ). a, b, y [n, m] row strides free. In place allowed (y over a or b). */
struct qvl_add_args {
    struct qvl_tensor a;
    struct qvl_tensor b;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* Embedding lookup: y[i] = table[ids[i]]. ids host [n], each in 0..rows-1 (else QVL_BAD_INPUT names the
 * index); table prepared from [rows, dim] with QVL_USE_ROWS; y [n, dim]. */
struct qvl_embed_args {
    const int64_t *ids;
    const struct qvl_weight *table;
    struct qvl_tensor y;
};

/* Visual scatter: y[rows[i]] = src[i]. src [m, dim]; rows host [m], distinct, in 0..n-1; y [n, dim] in/out.
 */
struct qvl_scatter_rows_args {
    struct qvl_tensor src;
    const int64_t *rows;
    struct qvl_tensor y;
};

/* DeepStack add: y[rows[i]] = r( y[rows[i]] + src[i] ). Shapes as in scatter_rows; other rows are untouched.
 */
struct qvl_add_rows_args {
    struct qvl_tensor src;
    const int64_t *rows;
    struct qvl_tensor y;
    struct qvl_condition *cond; /* [m, dim] */
};

enum qvl_angle_precision {
    QVL_ANGLE_F32, /* float32(position) * float32 inv_freq rounded to float32, as the original */
    QVL_ANGLE_F64  /* everything in double until the final rounding: the curve that shows the difference */
};

enum qvl_mrope_layout {
    QVL_MROPE_INTERLEAVED, /* Qwen3-VL: lane i is H if i%3==1 and i < 3*s1, W if i%3==2 and i < 3*s2, else T
                            */
    QVL_MROPE_CHUNKED      /* Qwen2-VL, Qwen2.5-VL: lanes 0..s0-1 T, then s1 H, then s2 W */
};

/* Frequencies of a rotary embedding and its YaRN extension: p = (float)pow(theta, (float)(2i)/(float)d),
 * inv_freq = 1/p, and everything after p in float32 (for theta 5e6 and d 128, 63 of 64 values are bit-equal
 * to torch). */
struct qvl_rope_scaling {
    bool yarn;
    double factor;
    double original_max_positions;
    double beta_fast, beta_slow;
    bool truncate;
    double attention_factor;       /* <= 0: absent */
    double mscale, mscale_all_dim; /* 0: absent */
};

/* Cosine and sine tables of the text rotary: for row i and lane j (0..d/2-1)
 * angle = position[axis(j)][i] * inv_freq[j]; cos = r( float32(cos(angle)) * attention_factor ), sin alike.
 * positions host [3][positions_stride], rows T, H, W, each with n entries used; cos, sin [n, d/2] storage
 * type. inv_freq and attention_factor follow from theta and scaling (siblings.md 5.1;
 * ref/rope_frequencies.c). */
struct qvl_mrope_table_args {
    const int64_t *positions;
    int64_t positions_stride; /* elements between the T, H and W rows; at least n */
    int64_t head_dim;
    double theta;
    struct qvl_rope_scaling scaling;
    int64_t section[3];
    enum qvl_mrope_layout layout;
    enum qvl_angle_precision precision;
    struct qvl_tensor cos;
    struct qvl_tensor sin;
};

/* Cosine and sine tables of the vision rotary: lanes 0..d/4-1 turn with the patch row, d/4..d/2-1 with the
 * column: angle = row or column * 1/theta^(2k/(d/2)), float32; merge-block row order, repeated for every t.
 * grids host; cos, sin [sum t*h*w, d/2] QVL_F32. */
struct qvl_vision_rope_table_args {
    const struct qvl_grid *grids;
    int64_t grid_count;
    int64_t merge;
    int64_t head_dim;
    double theta; /* 10000 */
    struct qvl_tensor cos;
    struct qvl_tensor sin;
};

enum qvl_rope_rounding {
    QVL_ROPE_ROUND_EACH, /* text: r( r(x*cos) + r(rot(x)*sin) ), tables in storage type */
    QVL_ROPE_ROUND_ONCE  /* vision: r( x*cos + rot(x)*sin ), tables float32 */
};

/* Rotate-half: pairs (a, a + d/2) share lane a; rot(x) = [-x[d/2:], x[:d/2]].
 * x, y [n, heads, d], outer strides free; cos, sin [n, d/2]. In place allowed. */
struct qvl_rope_args {
    struct qvl_tensor x;
    struct qvl_tensor cos;
    struct qvl_tensor sin;
    enum qvl_rope_rounding rounding;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* Bidirectional attention inside segments (vision tower: one segment a frame). For rows of a segment:
 * s = r( r(q.k) * scale ); p = r( softmax(s) ) over the segment; y = r( sum p v ).
 * q, k, v, y [n, heads, d], outer strides free (views of one qkv buffer); segment_starts host [segments + 1],
 * ascending from 0 to n. An empty segment is allowed. A backend may keep s and p unrounded; its tolerance
 * says so. */
struct qvl_vision_attention_args {
    struct qvl_tensor q, k, v;
    const int64_t *segment_starts;
    int64_t segment_count;
    float scale;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* The rows of one sequence inside a ragged batch. */
struct qvl_segment {
    struct qvl_cache *cache;
    int64_t first; /* first row of the batch that belongs to this sequence */
    int64_t count; /* number of rows */
};

/* Append keys and values of one layer: row first + i of k and v becomes cache row (old length of the layer) +
 * i. k, v [n, kv_heads, d] outer strides free. Fails with QVL_NO_MEMORY when the capacity does not suffice,
 * and then appends nothing for that segment. segments host. */
struct qvl_cache_append_args {
    int64_t layer;
    struct qvl_tensor k, v;
    const struct qvl_segment *segments;
    int64_t segment_count;
};

/* Causal grouped-query attention over the KV cache, ragged batch. Query head h reads KV head h / (heads /
 * kv_heads). After the append of the same rows, row i of a segment sees keys 0 .. length - count + i
 * (bottom-right mask); a row that sees no key yields zeros. s = r( r(q.k) * scale ); p = r( softmax(s) ); y =
 * r( sum p v ). q, y [n, heads, d] outer strides free. */
struct qvl_attention_args {
    int64_t layer;
    struct qvl_tensor q;
    const struct qvl_segment *segments;
    int64_t segment_count;
    float scale;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* MoE routing: p = softmax(logits) in float32 over all experts; the top_k largest, equal values lowest index
 * first; weight = r( p / sum of the chosen p ). logits [n, experts] storage type; chosen [n, top_k] QVL_I32
 * in descending order of p; weights [n, top_k] storage type. A row with NaN still yields distinct indices in
 * range. */
struct qvl_moe_route_args {
    struct qvl_tensor logits;
    int64_t top_k;
    struct qvl_tensor chosen;
    struct qvl_tensor weights;
    struct qvl_condition *cond; /* of the weights */
};

/* MoE expert MLPs: for each row i and slot s with e = chosen[i][s]:
 * gu = r( x W_gu[e] ), a = r( r(silu(gu[:F])) * gu[F:] ), y[i][s] = r( a W_down[e] ).
 * x [n, H]; gate_up, down prepared with QVL_USE_EXPERTS; y [n, top_k, H]. */
struct qvl_moe_experts_args {
    struct qvl_tensor x;
    struct qvl_tensor chosen;
    const struct qvl_weight *gate_up;
    const struct qvl_weight *down;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* MoE combine: y[i] = r( sum_s r( weights[i][s] * x[i][s] ) ), the sum in float32 or wider. x [n, top_k, H],
 * y [n, H]. */
struct qvl_moe_combine_args {
    struct qvl_tensor x;
    struct qvl_tensor weights;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

enum qvl_merger_norm {
    QVL_MERGER_NORM_PATCH, /* main merger: LayerNorm over D of each patch, then group */
    QVL_MERGER_NORM_GROUP  /* DeepStack mergers: group, then LayerNorm over group*D */
};

/* The whole patch merger, a fused entry (parts: layer_norm, linear, gelu ERF, linear; same rounding points).
 * x [n, D] contiguous in merge-block order, n a multiple of group; norm weight and bias [D] or [group*D];
 * fc1 from [group*D, group*D], fc2 from [O, group*D]; y [n/group, O]. */
struct qvl_merger_args {
    struct qvl_tensor x;
    int64_t group; /* merge * merge rows make one token */
    enum qvl_merger_norm norm;
    struct qvl_tensor norm_weight, norm_bias;
    double eps;
    const struct qvl_weight *fc1;
    struct qvl_tensor fc1_bias;
    const struct qvl_weight *fc2;
    struct qvl_tensor fc2_bias;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* Output head on chosen rows: y[i] = r( W x[rows[i]] ). x [n, H] contiguous rows; rows host [m] or NULL for
 * all rows in order; W from [vocab, H]; y [m, vocab]. */
struct qvl_output_head_args {
    struct qvl_tensor x;
    const int64_t *rows;
    const struct qvl_weight *weight;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* Row softmax: y = r( exp(x - max) / sum exp(x - max) ), float32 or wider inside. A row of -inf yields zeros.
 * x, y [n, m] row strides free. In place allowed. */
struct qvl_softmax_args {
    struct qvl_tensor x;
    struct qvl_tensor y;
    struct qvl_condition *cond;
};

/* One sampling step on float32 logits [vocab], in this order: repetition penalty (ids of prompt and output,
 * once each: l < 0 ? l*r : l/r), presence penalty (subtracted once from ids of the output), temperature,
 * top-k (all values
 * >= the k-th largest stay), top-p (ascending cumulative softmax; drop while the sum <= 1 - p; the largest
 * stays). Greedy is argmax of the penalised logits, lowest id on ties. Otherwise the token is the first id
 * (ascending) whose cumulative probability exceeds `uniform`. logits host or device as the backend's tensors;
 * prompt, output host. */
struct qvl_sample_args {
    struct qvl_tensor logits;
    const int64_t *prompt;
    int64_t prompt_count;
    const int64_t *output;
    int64_t output_count;
    bool greedy;
    double repetition_penalty; /* 1: off */
    double presence_penalty;   /* 0: off */
    double temperature;        /* > 0 */
    int64_t top_k;             /* 0: off */
    double top_p;              /* 1: off */
    double uniform;            /* in [0, 1), from the caller's generator */
    int64_t *token;            /* out, host */
    float *probabilities;      /* out, host [vocab], may be NULL: the distribution sampled from */
};

/* X-macro over the table: X(name). The order is the order of listings. */
#define QVL_OPS(X)                                                                                           \
    X(patch_embed)                                                                                           \
    X(pos_interp)                                                                                            \
    X(vision_rope_table)                                                                                     \
    X(layer_norm)                                                                                            \
    X(linear)                                                                                                \
    X(rope)                                                                                                  \
    X(vision_attention)                                                                                      \
    X(gelu)                                                                                                  \
    X(merger)                                                                                                \
    X(embed)                                                                                                 \
    X(scatter_rows)                                                                                          \
    X(mrope_table)                                                                                           \
    X(rms_norm)                                                                                              \
    X(cache_append)                                                                                          \
    X(attention)                                                                                             \
    X(swiglu)                                                                                                \
    X(add)                                                                                                   \
    X(add_rows)                                                                                              \
    X(moe_route)                                                                                             \
    X(moe_experts)                                                                                           \
    X(moe_combine)                                                                                           \
    X(output_head)                                                                                           \
    X(softmax)                                                                                               \
    X(sample)

struct qvl_ops {
#define QVL_OP_POINTER(name)                                                                                 \
    enum qvl_status (*name)(struct qvl_backend * backend, const struct qvl_##name##_args *args,              \
                            struct qvl_error *error);
    QVL_OPS(QVL_OP_POINTER)
#undef QVL_OP_POINTER
};

#endif
