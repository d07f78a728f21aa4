/* The hardware table and the conventions of `procure` as records and notes. */
#include "bench/procure.h"

static void put_published(struct qvl_record *record, const struct qvl_hardware *hardware, const char *name,
                          double value, const char *unit)
{
    if (!(value > 0))
        return;
    qvl_record_real(record, name, value, unit, QVL_FROM_PUBLISHED);
    if (qvl_hardware_unverified(hardware, name))
        qvl_record_unverified(record);
}

struct qvl_record *qvl_hardware_record(const struct qvl_hardware *hardware)
{
    struct qvl_record *record = qvl_record_create("hardware", hardware->name, QVL_CASE_NONE);
    qvl_record_text(record, "title", hardware->title, QVL_FROM_PUBLISHED);
    qvl_record_text(record, "kind", hardware->kind, QVL_FROM_PUBLISHED);
    qvl_record_detail(record);
    for (int rate = 0; rate < QVL_RATE_COUNT; rate++)
        put_published(record, hardware, qvl_rate_name((enum qvl_rate)rate), hardware->flops[rate], "FLOP/s");
    /* decimal, as datasheets state them */
    put_published(record, hardware, "memory", hardware->memory * 1e-9, "GB");
    put_published(record, hardware, "bandwidth", hardware->bandwidth * 1e-9, "GB/s");
    put_published(record, hardware, "power", hardware->power, "W");
    put_published(record, hardware, "link", hardware->link * 1e-9, "GB/s");
    qvl_record_real(record, "attainable_flops", 100 * hardware->attainable_flops, "%",
                    hardware->attainable_measured ? QVL_FROM_PUBLISHED : QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_real(record, "attainable_bandwidth", 100 * hardware->attainable_bandwidth, "%",
                    QVL_FROM_SETTING);
    qvl_record_detail(record);
    qvl_record_text(record, "timings", hardware->published[0] ? hardware->published : "none",
                    QVL_FROM_PUBLISHED);
    qvl_record_text(record, "unverified", hardware->unverified, QVL_FROM_PUBLISHED);
    qvl_record_detail(record);
    qvl_record_text(record, "source", hardware->source, QVL_FROM_PUBLISHED);
    return record;
}

enum qvl_status qvl_procure_notes(struct qvl_report *report, struct qvl_error *error)
{
    static const char *const notes[] = {
        "Times are modelled, none was measured on the devices named. published: others timed these kernel "
        "shapes or their neighbours; extrapolated from published: the roofline fitted to such timings, "
        "beyond "
        "their range; roofline only: datasheet peaks and assumed efficiencies (docs/PUBLISHED.md).",
        "floor: datasheet peaks alone, no overhead. No claim may beat it. Where a model does not fit, the "
        "floor is that of as many devices as can be joined, as if they had the memory.",
        "ttft: pictures and prompt to the first token, of the whole batch at once; tpot: a decode step "
        "behind "
        "the prompt. devices: the fewest of 1, 2, 4, 8 that hold it, tensor parallel, unless --ways says.",
        "energy_at_most: power limit x time, an upper bound. *: rests on a figure that nobody verified.",
        "control: means, not the p99 that a real loop must hold. An action of a chunk rests on an "
        "observation "
        "that is up to `reaction` old; chunks raise the action rate, they do not shorten the reaction.",
    };

    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        QVL_TRY(qvl_report_note(report, notes[i], error));
    return QVL_OK;
}
