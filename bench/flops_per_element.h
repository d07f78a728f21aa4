/* What an element of norms, softmax and elementwise work costs, by convention (the head of bench/flops.h). */
#ifndef QVL_BENCH_FLOPS_PER_ELEMENT_H
#define QVL_BENCH_FLOPS_PER_ELEMENT_H

enum {
    LAYER_NORM = 7,
    RMS_NORM = 4,
    SCORE_SOFTMAX = 5,
    ROUTER_SOFTMAX = 4,
    ROUTER_CHOSEN = 2,
    ROTARY = 3,
    GELU_TANH = 9,
    GELU_ERF = 5,
    QUICK_GELU = 5,
    SWIGLU = 4,
    WEIGHTED_SUM = 2,
    INTERPOLATION = 7
};

#endif
