#include "bench/procure.h"

#include <math.h>

#include "bench/flops_records.h"

/* One model on one device, as the records see it. */
struct offer {
    const struct qvl_procure_model *model;
    const struct qvl_procure_device *device;
    const struct qvl_procure_request *request;
    const struct qvl_hardware *hardware;
};

static struct qvl_deployment deployment_of(const struct offer *offer, int64_t ways, int64_t batch)
{
    return (struct qvl_deployment){.config = offer->model->config,
                                   .device = offer->device->timed,
                                   .ways = ways,
                                   .weights = offer->request->weights,
                                   .experts = offer->request->weights,
                                   .cache = offer->request->cache,
                                   .batch = batch};
}

static struct qvl_memory_load load_of(const struct offer *offer, int64_t context)
{
    return (struct qvl_memory_load){context, offer->model->grids, offer->model->grid_count};
}

/* Devices for a load: those asked for, else the fewest that hold it, else as many as can be joined. */
static int64_t ways_of(const struct offer *offer, int64_t context, int64_t batch, bool *fits)
{
    const struct qvl_memory_load load = load_of(offer, context);
    struct qvl_deployment deployment = deployment_of(offer, 1, batch);
    int64_t ways = offer->request->ways;
    if (ways == 0)
        ways = qvl_memory_least_ways(&deployment, &load);
    *fits = ways > 0;
    if (offer->request->ways > 0) {
        deployment.ways = ways;
        *fits = qvl_deployment_check(&deployment, NULL) == QVL_OK &&
                (ways == 1 || offer->hardware->link > 0) && qvl_memory_count(&deployment, &load).fits;
    }
    return ways > 0 ? ways : offer->hardware->link > 0 ? QVL_MEMORY_MAX_WAYS : 1;
}

static struct qvl_record *begin(const char *kind, const struct offer *offer, const char *suffix)
{
    char name[160];
    const struct qvl_procure_request *request = offer->request;
    snprintf(name, sizeof name, "%s on %s%s", offer->model->name, offer->hardware->name, suffix);
    struct qvl_record *record = qvl_record_create(kind, name, QVL_CASE_NONE);
    qvl_record_text(record, "model", offer->model->name, QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_text(record, "device", offer->hardware->name, QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_text(record, "weights_type", qvl_published_type_name(request->weights), QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_text(record, "cache_type", qvl_published_type_name(request->cache), QVL_FROM_SETTING);
    qvl_record_detail(record);
    return record;
}

static void put_real(struct qvl_record *record, const char *name, double value, const char *unit,
                     bool unverified)
{
    qvl_record_real(record, name, value, unit, QVL_FROM_MODELLED);
    if (unverified)
        qvl_record_unverified(record);
}

/* Whether a time on this device rests on an unverified rate or bandwidth. */
static bool doubtful(const struct offer *offer)
{
    const struct qvl_hardware *hardware = offer->hardware;
    const bool half = hardware->flops[QVL_RATE_BF16] >= hardware->flops[QVL_RATE_FP16];
    const char *rate = offer->request->weights != QVL_PUBLISHED_BF16 ? "fp8" : half ? "bf16" : "fp16";
    return qvl_hardware_unverified(hardware, rate) || qvl_hardware_unverified(hardware, "bandwidth");
}

/* ---- memory ---- */

static void put_count(struct qvl_record *record, const char *name, int64_t count, const char *unit,
                      bool unverified)
{
    if (count == INT64_MAX)
        qvl_record_missing(record, name, "the memory of the machine is not stated");
    else if (count == 0)
        qvl_record_missing(record, name, "does not fit");
    else {
        qvl_record_int(record, name, count, unit, QVL_FROM_MODELLED);
        if (unverified)
            qvl_record_unverified(record);
    }
}

static struct qvl_record *memory_record(const struct offer *offer)
{
    const struct qvl_procure_request *request = offer->request;
    const int64_t longest = request->contexts[request->context_count - 1];
    const bool unverified = qvl_hardware_unverified(offer->hardware, "memory");
    const struct qvl_deployment one = deployment_of(offer, 1, request->batch);
    const struct qvl_memory_load load = load_of(offer, longest);
    const struct qvl_memory memory = qvl_memory_count(&one, &load);
    struct qvl_record *record = begin("memory", offer, "");
    qvl_record_int(record, "batch", request->batch, "sequence", QVL_FROM_SETTING);
    qvl_record_detail(record);
    put_real(record, "weights", memory.weights, "B", false);
    put_real(record, "cache_per_token", qvl_deployment_cache_bytes(&one), "B", false);
    put_real(record, "activations", memory.activations, "B", false);
    put_real(record, "reserve", memory.reserve, "B", unverified);
    if (memory.capacity > 0) {
        qvl_record_real(record, "capacity", memory.capacity, "B", QVL_FROM_PUBLISHED);
        if (unverified)
            qvl_record_unverified(record);
    } else
        qvl_record_missing(record, "capacity", "the memory of the machine is not stated");
    qvl_record_detail(record);
    for (int64_t i = 0; i < request->context_count; i++) {
        const struct qvl_memory_load at = load_of(offer, request->contexts[i]);
        char label[24], name[48];
        qvl_flops_context_label(request->contexts[i], label);
        snprintf(name, sizeof name, "devices_at_%s", label);
        put_count(record, name, qvl_memory_least_ways(&one, &at), "device", unverified);
    }
    const struct qvl_memory_load first = load_of(offer, request->contexts[0]);
    char label[24], name[48];
    qvl_flops_context_label(request->contexts[0], label);
    snprintf(name, sizeof name, "largest_batch_at_%s", label);
    put_count(record, name, qvl_memory_max_batch(&one, &first), "sequence", unverified);
    put_count(record, "largest_context", qvl_memory_max_context(&one, &load), "token", unverified);
    return record;
}

/* ---- latency, energy, price ---- */

struct cells {
    struct qvl_model_time vision, prefill, decode;
    double ttft, ttft_floor;
    enum qvl_time_source ttft_source;
};

static enum qvl_status time_cells(const struct offer *offer, const struct qvl_deployment *deployment,
                                  int64_t context, struct cells *cells, struct qvl_error *error)
{
    const struct qvl_procure_model *model = offer->model;
    const double batch = (double)deployment->batch;
    QVL_TRY(qvl_time_vision(deployment, model->grids, model->grid_count, &cells->vision, error));
    QVL_TRY(qvl_time_prefill(deployment, 0, context, &cells->prefill, error));
    QVL_TRY(qvl_time_decode(deployment, context, &cells->decode, error));
    struct qvl_model_time both = {.seconds = batch * cells->vision.seconds + cells->prefill.seconds};
    for (int source = 0; source < QVL_TIME_SOURCES; source++)
        both.by_source[source] = batch * cells->vision.by_source[source] + cells->prefill.by_source[source];
    cells->ttft = both.seconds;
    cells->ttft_floor = batch * cells->vision.floor_seconds + cells->prefill.floor_seconds;
    cells->ttft_source = qvl_model_time_source(&both);
    return QVL_OK;
}

static void put_price(struct qvl_record *record, const struct offer *offer, int64_t ways, int64_t context,
                      const struct cells *cells)
{
    const double second = offer->device->price / 3600 * (double)ways;
    const double batch = (double)offer->request->batch;
    if (!(offer->device->price > 0))
        return;
    qvl_record_real(record, "price_per_hour", offer->device->price, offer->request->currency,
                    QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_real(record, "cost_per_million_input", 1e6 * second * cells->ttft / batch / (double)context,
                    offer->request->currency, QVL_FROM_MODELLED);
    qvl_record_real(record, "cost_per_million_output", 1e6 * second * cells->decode.seconds / batch,
                    offer->request->currency, QVL_FROM_MODELLED);
}

static void put_missing_times(struct qvl_record *record, const char *reason, bool floors)
{
    static const char *const names[] = {"ttft", "tpot", "rate"};
    static const char *const floor_names[] = {"ttft_floor", "tpot_floor"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        qvl_record_missing(record, names[i], reason);
    for (size_t i = 0; floors && i < sizeof floor_names / sizeof *floor_names; i++)
        qvl_record_missing(record, floor_names[i], reason);
}

static void put_times(struct qvl_record *record, const struct offer *offer, int64_t ways, int64_t context,
                      const struct cells *cells)
{
    const bool mark = doubtful(offer);
    const double batch = (double)offer->request->batch;
    const struct qvl_model_time *decode = &cells->decode;
    put_real(record, "ttft", cells->ttft, "s", mark);
    put_real(record, "ttft_floor", cells->ttft_floor, "s", mark);
    qvl_record_text(record, "ttft_source", qvl_time_source_name(cells->ttft_source), QVL_FROM_SETTING);
    put_real(record, "tpot", decode->seconds, "s", mark);
    put_real(record, "tpot_floor", decode->floor_seconds, "s", mark);
    qvl_record_text(record, "tpot_source", qvl_time_source_name(qvl_model_time_source(decode)),
                    QVL_FROM_SETTING);
    put_real(record, "rate", batch / decode->seconds, "token/s", mark);
    put_real(record, "vision", cells->vision.seconds, "s", mark);
    qvl_record_detail(record);
    if (offer->hardware->power > 0)
        put_real(record, "energy_at_most", offer->hardware->power * (double)ways * decode->seconds / batch,
                 "J/token", mark || qvl_hardware_unverified(offer->hardware, "power"));
    else
        qvl_record_missing(record, "energy_at_most", "no power figure");
    put_price(record, offer, ways, context, cells);
}

static enum qvl_status report_context(const struct offer *offer, int64_t context, struct qvl_report *report,
                                      struct qvl_error *error)
{
    char label[24], suffix[40];
    bool fits;
    const int64_t ways = ways_of(offer, context, offer->request->batch, &fits);
    const struct qvl_deployment deployment = deployment_of(offer, ways, offer->request->batch);
    const struct qvl_memory_load load = load_of(offer, context);
    const struct qvl_memory memory = qvl_memory_count(&deployment, &load);
    struct cells cells;
    struct qvl_error why = {QVL_OK, ""};
    qvl_flops_context_label(context, label);
    snprintf(suffix, sizeof suffix, " at %s", label);
    struct qvl_record *record = begin("procure", offer, suffix);
    qvl_record_int(record, "context", context, "token", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_int(record, "batch", offer->request->batch, "sequence", QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_int(record, "devices", ways, NULL, QVL_FROM_SETTING);
    put_real(record, "memory", memory.total, "B", qvl_hardware_unverified(offer->hardware, "memory"));
    qvl_record_text(record, "fits",
                    fits                  ? memory.capacity > 0 ? "yes" : "not stated"
                    : memory.capacity > 0 ? "no"
                                          : "cannot be divided",
                    QVL_FROM_MODELLED);
    const enum qvl_status status = time_cells(offer, &deployment, context, &cells, &why);
    if (status == QVL_UNSUPPORTED)
        put_missing_times(record, why.message, true);
    else if (status != QVL_OK) {
        qvl_record_destroy(record);
        return qvl_fail(error, status, "%s", why.message);
    } else if (fits)
        put_times(record, offer, ways, context, &cells);
    else {
        put_missing_times(record, "does not fit", false);
        put_real(record, "ttft_floor", cells.ttft_floor, "s", doubtful(offer));
        put_real(record, "tpot_floor", cells.decode.floor_seconds, "s", doubtful(offer));
    }
    return qvl_report_take(report, record, error);
}

/* ---- control ---- */

static void put_answer(struct qvl_record *record, const struct qvl_control_time *time,
                       const struct qvl_control_loop *loop, double rate, bool mark)
{
    const struct qvl_control_answer answer = qvl_control_answer(time, loop, rate);
    char name[48], text[96];
    const int length = snprintf(text, sizeof text, "%s", qvl_control_verdict_name(answer.verdict));
    if (answer.verdict == QVL_CONTROL_INFEASIBLE)
        snprintf(text + length, sizeof text - (size_t)length, ": %s%s",
                 qvl_control_phase_name(answer.binding), answer.by_physics ? ", even at the floor" : "");
    snprintf(name, sizeof name, "at_%g_Hz", rate);
    qvl_record_text(record, name, text, QVL_FROM_MODELLED);
    snprintf(name, sizeof name, "binding_%g", rate);
    qvl_record_text(record, name, qvl_control_phase_name(answer.binding), QVL_FROM_MODELLED);
    qvl_record_detail(record);
    snprintf(name, sizeof name, "executed_%g", rate);
    qvl_record_int(record, name, answer.executed, "action", QVL_FROM_MODELLED);
    qvl_record_detail(record);
    snprintf(name, sizeof name, "replan_%g", rate);
    qvl_record_real(record, name, answer.replan_rate, "Hz", QVL_FROM_MODELLED);
    qvl_record_detail(record);
    snprintf(name, sizeof name, "reaction_%g", rate);
    put_real(record, name, answer.reaction, "s", mark);
    if (answer.verdict == QVL_CONTROL_INFEASIBLE)
        qvl_record_detail(record);
    snprintf(name, sizeof name, "reaction_sync_%g", rate);
    qvl_record_real(record, name, answer.reaction_sync, "s", QVL_FROM_MODELLED);
    qvl_record_detail(record);
}

static void put_phases(struct qvl_record *record, const struct qvl_control_time *time, bool mark)
{
    static const char *const names[QVL_CONTROL_PHASES] = {"camera_and_link", "vision", "prefill",
                                                          "action_tokens", "adapter"};
    for (int phase = QVL_CONTROL_VISION; phase < QVL_CONTROL_PHASES; phase++)
        put_real(record, names[phase], time->seconds[phase], "s", mark);
    put_real(record, names[QVL_CONTROL_OTHER], time->seconds[QVL_CONTROL_OTHER], "s", false);
    qvl_record_detail(record);
    put_real(record, "action_period", time->token_period, "s", mark);
    put_real(record, "chunk_period", time->chunk_period, "s", mark);
    put_real(record, "action_rate", 1 / time->token_period, "Hz", mark);
    put_real(record, "replan_rate", 1 / time->chunk_period, "Hz", mark);
    put_real(record, "action_period_floor", time->token_floor, "s", mark);
    qvl_record_detail(record);
    put_real(record, "chunk_period_floor", time->chunk_floor, "s", mark);
    qvl_record_detail(record);
    qvl_record_text(record, "source", qvl_time_source_name(time->source), QVL_FROM_MODELLED);
}

static enum qvl_status report_control(const struct offer *offer, struct qvl_report *report,
                                      struct qvl_error *error)
{
    const struct qvl_control_loop *loop = &offer->model->loop;
    bool fits;
    const int64_t ways = ways_of(offer, loop->context, 1, &fits);
    const struct qvl_deployment deployment = deployment_of(offer, ways, 1);
    struct qvl_control_time time;
    struct qvl_error why = {QVL_OK, ""};
    struct qvl_record *record = begin("control", offer, "");
    qvl_record_int(record, "devices", ways, NULL, QVL_FROM_SETTING);
    const enum qvl_status status = qvl_control_time(&deployment, loop, &time, &why);
    if (status != QVL_OK && status != QVL_UNSUPPORTED) {
        qvl_record_destroy(record);
        return qvl_fail(error, status, "%s", why.message);
    }
    if (status == QVL_OK && fits)
        put_phases(record, &time, doubtful(offer));
    else if (status == QVL_OK) { /* what memory without end would not mend */
        put_real(record, "action_period_floor", time.token_floor, "s", doubtful(offer));
        qvl_record_detail(record);
        put_real(record, "chunk_period_floor", time.chunk_floor, "s", doubtful(offer));
        qvl_record_detail(record);
    }
    for (int64_t i = 0; i < offer->request->rate_count; i++) {
        const double rate = offer->request->rates[i];
        char name[48];
        snprintf(name, sizeof name, "at_%g_Hz", rate);
        if (status == QVL_UNSUPPORTED)
            qvl_record_missing(record, name, why.message);
        else if (!fits)
            qvl_record_text(record, name, "infeasible: memory", QVL_FROM_MODELLED);
        else
            put_answer(record, &time, loop, rate, doubtful(offer));
    }
    return qvl_report_take(report, record, error);
}

/* ---- roofline ---- */

static enum qvl_status report_phase(const struct offer *offer, const char *phase,
                                    const struct qvl_model_time *time, struct qvl_report *report,
                                    struct qvl_error *error)
{
    const struct qvl_hardware *hardware = offer->hardware;
    const double peak = offer->request->weights != QVL_PUBLISHED_BF16
                            ? hardware->flops[QVL_RATE_FP8]
                            : fmax(hardware->flops[QVL_RATE_BF16], hardware->flops[QVL_RATE_FP16]);
    char suffix[32];
    if (!(time->bytes > 0))
        return QVL_OK;
    snprintf(suffix, sizeof suffix, ", %s", phase);
    struct qvl_record *record = begin("roofline", offer, suffix);
    const double intensity = time->flops / time->bytes;
    qvl_record_text(record, "phase", phase, QVL_FROM_SETTING);
    put_real(record, "intensity", intensity, "FLOP/B", false);
    put_real(record, "flop_rate", time->flops / time->seconds, "FLOP/s", doubtful(offer));
    put_real(record, "ceiling", fmin(peak, intensity * hardware->bandwidth), "FLOP/s", doubtful(offer));
    qvl_record_real(record, "peak", peak, "FLOP/s", QVL_FROM_PUBLISHED);
    qvl_record_real(record, "bandwidth", hardware->bandwidth, "B/s", QVL_FROM_PUBLISHED);
    put_real(record, "attainable_peak", peak * hardware->attainable_flops, "FLOP/s", false);
    put_real(record, "attainable_bandwidth", hardware->bandwidth * hardware->attainable_bandwidth, "B/s",
             false);
    qvl_record_text(record, "source", qvl_time_source_name(qvl_model_time_source(time)), QVL_FROM_MODELLED);
    return qvl_report_take(report, record, error);
}

/* Of the shortest context, where it fits. */
static enum qvl_status report_roofline(const struct offer *offer, struct qvl_report *report,
                                       struct qvl_error *error)
{
    const int64_t context = offer->request->contexts[0];
    bool fits;
    const int64_t ways = ways_of(offer, context, offer->request->batch, &fits);
    const struct qvl_deployment deployment = deployment_of(offer, ways, offer->request->batch);
    struct cells cells;
    if (!fits)
        return QVL_OK;
    const enum qvl_status status = time_cells(offer, &deployment, context, &cells, error);
    if (status != QVL_OK)
        return status == QVL_UNSUPPORTED ? QVL_OK : status;
    if (offer->model->grid_count > 0)
        QVL_TRY(report_phase(offer, "vision", &cells.vision, report, error));
    QVL_TRY(report_phase(offer, "prefill", &cells.prefill, report, error));
    return report_phase(offer, "decode", &cells.decode, report, error);
}

enum qvl_status qvl_procure_report(const struct qvl_procure_model *model,
                                   const struct qvl_procure_device *device,
                                   const struct qvl_procure_request *request, struct qvl_report *report,
                                   struct qvl_error *error)
{
    const struct offer offer = {model, device, request, device->timed.hardware};
    QVL_TRY(qvl_report_take(report, memory_record(&offer), error));
    for (int64_t i = 0; i < request->context_count; i++)
        QVL_TRY(report_context(&offer, request->contexts[i], report, error));
    QVL_TRY(report_control(&offer, report, error));
    return report_roofline(&offer, report, error);
}
