#include "bench/gbench.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>

namespace
{

/* One block of iterations of a case. */
void run_case(benchmark::State &state, const qvl_gbench_case &timed)
{
    const char *error = timed.begin(timed.context);
    if (error)
        state.SkipWithError(error);
    for (auto iteration : state) {
        double seconds = 0;
        (void)iteration;
        error = timed.iterate(timed.context, &seconds);
        if (error) {
            state.SkipWithError(error);
            break;
        }
        state.SetIterationTime(seconds);
    }
    qvl_gbench_counter counters[QVL_GBENCH_COUNTERS];
    int count = 0;
    error = timed.end(timed.context, counters, &count);
    if (error)
        state.SkipWithError(error);
    for (int i = 0; i < count; i++)
        state.counters[counters[i].name] = counters[i].value;
}

/* No exception may pass into C. */
template <typename Body> bool guarded(Body body)
{
    try {
        body();
        return true;
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "Google Benchmark: %s\n", failure.what());
        return false;
    }
}

} // namespace

extern "C" {

bool qvl_gbench_init(int *argc, char **argv)
{
    bool good = false;
    return guarded([&] {
               benchmark::Initialize(argc, argv);
               good = !benchmark::ReportUnrecognizedArguments(*argc, argv);
           }) &&
           good;
}

void qvl_gbench_describe(const char *key, const char *value)
{
    guarded([&] { benchmark::AddCustomContext(key, value); });
}

bool qvl_gbench_register(const char *name, const qvl_gbench_case *timed)
{
    const qvl_gbench_case copy = *timed;
    return guarded([&] {
        benchmark::RegisterBenchmark(name, [copy](benchmark::State &state) { run_case(state, copy); })
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond);
    });
}

size_t qvl_gbench_run(void)
{
    size_t count = 0;
    guarded([&] { count = benchmark::RunSpecifiedBenchmarks(); });
    return count;
}
}
