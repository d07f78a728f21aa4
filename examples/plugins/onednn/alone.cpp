// What docs/PLUGINS.md says of oneDNN itself, measured without qvl-audit: oneDNN against double arithmetic
// written here. `make alone && ./alone` prints one line a finding. libdnnl-dev is all it needs.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#if DNNL_VERSION_MAJOR != 2
#error "written against oneDNN 2"
#endif

using dnnl::memory;

static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
static dnnl::stream stream(engine);

static float from_bf16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

static uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (uint16_t)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

// Half the distance between bf16 numbers around v: what one rounding may err.
static double half_spacing(double v)
{
    return std::ldexp(1.0, std::ilogb(v) - 8);
}

static std::vector<float> normal(int64_t count)
{
    std::mt19937 generator(1);
    std::normal_distribution<float> draw;
    std::vector<float> values((size_t)count);
    for (float &value : values)
        value = draw(generator);
    return values;
}

// LayerNorm of rows that are `stride` floats apart, the gaps full of 1000.
static void layer_norm(int64_t stride)
{
    const int64_t rows = 3, width = 37;
    std::vector<float> x((size_t)(rows * stride), 1000.0F), y(x), one((size_t)width, 1.0F),
        zero((size_t)width, 0.0F);
    const std::vector<float> drawn = normal(rows * width);
    for (int64_t i = 0; i < rows * width; i++)
        x[(size_t)(i / width * stride + i % width)] = drawn[(size_t)i];
    const memory::desc layout({rows, width}, memory::data_type::f32, memory::dims{stride, 1});
    const memory::desc vector({width}, memory::data_type::f32, memory::format_tag::a);
    using Norm = dnnl::layer_normalization_forward;
    const Norm::primitive_desc desc(
        Norm::desc(dnnl::prop_kind::forward_inference, layout, 1e-6F,
                   dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift),
        engine);
    Norm(desc).execute(stream, {{DNNL_ARG_SRC, memory(layout, engine, x.data())},
                                {DNNL_ARG_DST, memory(layout, engine, y.data())},
                                {DNNL_ARG_SCALE, memory(vector, engine, one.data())},
                                {DNNL_ARG_SHIFT, memory(vector, engine, zero.data())}});
    stream.wait();
    printf("layer_norm, %s, rows %lld floats apart, width %lld: largest error of rows 0 1 2:",
           desc.impl_info_str(), (long long)stride, (long long)width);
    for (int64_t i = 0; i < rows; i++) {
        double mean = 0, square = 0, worst = 0;
        for (int64_t j = 0; j < width; j++)
            mean += (double)drawn[(size_t)(i * width + j)] / (double)width;
        for (int64_t j = 0; j < width; j++)
            square += std::pow((double)drawn[(size_t)(i * width + j)] - mean, 2) / (double)width;
        for (int64_t j = 0; j < width; j++) {
            const double want = ((double)drawn[(size_t)(i * width + j)] - mean) / std::sqrt(square + 1e-6);
            worst = std::fmax(worst, std::fabs((double)y[(size_t)(i * stride + j)] - want));
        }
        printf(" %.3g", worst);
    }
    printf(stride > width && y[(size_t)width] != 1000.0F ? "; the gap was written\n" : "\n");
}

static void softmax(memory::data_type type, int64_t width, const void *x, void *y)
{
    const memory::desc layout({1, width}, type, memory::format_tag::ab);
    using Softmax = dnnl::softmax_v2_forward;
    const Softmax::primitive_desc desc(Softmax::desc(dnnl::prop_kind::forward_inference,
                                                     dnnl::algorithm::softmax_accurate, layout, layout, 1),
                                       engine);
    Softmax(desc).execute(stream, {{DNNL_ARG_SRC, memory(layout, engine, (void *)x)},
                                   {DNNL_ARG_DST, memory(layout, engine, y)}});
    stream.wait();
    printf("softmax, %s: ", desc.impl_info_str());
}

// bf16: the error in half spacings, and whether rounding the exponentials to bf16 before they are divided by
// their sum explains every bit.
static void softmax_bf16()
{
    const int64_t width = 1000;
    const std::vector<float> drawn = normal(width);
    std::vector<uint16_t> x((size_t)width), y((size_t)width);
    for (int64_t j = 0; j < width; j++)
        x[(size_t)j] = to_bf16(drawn[(size_t)j]);
    softmax(memory::data_type::bf16, width, x.data(), y.data());
    double largest = -INFINITY, sum = 0, worst = 0;
    int beyond = 0, explained = 0;
    for (uint16_t bits : x)
        largest = std::fmax(largest, (double)from_bf16(bits));
    for (uint16_t bits : x)
        sum += std::exp((double)from_bf16(bits) - largest);
    for (int64_t j = 0; j < width; j++) {
        const double e = std::exp((double)from_bf16(x[(size_t)j]) - largest), want = e / sum;
        const double error = std::fabs((double)from_bf16(y[(size_t)j]) - want) / half_spacing(want);
        worst = std::fmax(worst, error);
        beyond += error > 1.001;
        explained += y[(size_t)j] == to_bf16((float)((double)from_bf16(to_bf16((float)e)) / sum));
    }
    printf("bf16: largest error %.2f half spacings, %d of %d elements beyond one; rounding exp(x - max) to "
           "bf16 first "
           "explains %d\n",
           worst, beyond, (int)width, explained);
}

static void softmax_special(const char *name, float value)
{
    const int64_t width = 64;
    std::vector<float> x = normal(width), y((size_t)width);
    int nans = 0;
    x[5] = value;
    softmax(memory::data_type::f32, width, x.data(), y.data());
    for (float v : y)
        nans += std::isnan(v);
    printf("f32 row with %s: %d of %d elements NaN, y[0] %g, y[5] %g; IEEE arithmetic gives NaN everywhere\n",
           name, nans, (int)width, (double)y[0], (double)y[5]);
}

static void softmax_masked()
{
    const int64_t width = 64;
    const std::vector<float> x((size_t)width, -INFINITY);
    std::vector<float> y((size_t)width);
    softmax(memory::data_type::f32, width, x.data(), y.data());
    printf("f32 row of -inf: y[0] %g\n", (double)y[0]);
}

// GELU over x in [-4, 4]: the error of the result, as an error of erf or tanh (the result is x/2 (1 + that)).
static void gelu(const char *name, dnnl::algorithm form, int64_t stride, double (*exact)(double))
{
    const int64_t rows = 100, width = 10001;
    std::vector<float> x((size_t)(rows * stride), 0.0F), y(x);
    const memory::desc layout({rows, width}, memory::data_type::f32, memory::dims{stride, 1});
    using Eltwise = dnnl::eltwise_forward;
    const Eltwise::primitive_desc desc(Eltwise::desc(dnnl::prop_kind::forward_inference, form, layout, 0, 0),
                                       engine);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < width; j++)
            x[(size_t)(i * stride + j)] = -4.0F + 8.0F * (float)(i * width + j) / (float)(rows * width);
    Eltwise(desc).execute(stream, {{DNNL_ARG_SRC, memory(layout, engine, x.data())},
                                   {DNNL_ARG_DST, memory(layout, engine, y.data())}});
    stream.wait();
    double worst = 0, at = 0;
    for (size_t i = 0; i < x.size(); i++) {
        const double v = (double)x[i],
                     error = std::fabs((double)y[i] - 0.5 * v * (1 + exact(v))) / std::fabs(0.5 * v);
        if (std::fabs(v) > 1e-4 && error > worst) {
            worst = error;
            at = v;
        }
    }
    printf("%s, %s: error of its inner function up to %.3g (%.1f float32 roundoffs of 1) at x = %.3f\n", name,
           desc.impl_info_str(), worst, worst / std::ldexp(1.0, -24), at);
}

int main()
{
    layer_norm(37);
    layer_norm(40);
    softmax_bf16();
    softmax_special("NaN", NAN);
    softmax_special("+inf", INFINITY);
    softmax_masked();
    const auto erf_of = [](double v) { return std::erf(v / std::sqrt(2.0)); };
    const auto tanh_of = [](double v) { return std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)); };
    gelu("gelu erf", dnnl::algorithm::eltwise_gelu_erf, 10001, erf_of);
    gelu("gelu erf, rows with gaps", dnnl::algorithm::eltwise_gelu_erf, 10003, erf_of);
    gelu("gelu tanh", dnnl::algorithm::eltwise_gelu_tanh, 10001, tanh_of);
    return 0;
}
