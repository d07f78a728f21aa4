#include "reports/markup.h"

void qvl_markup_text(struct qvl_text *out, const char *string)
{
    struct qvl_text clean = {0};
    qvl_text_clean(&clean, string, true);
    out->failed = out->failed || clean.failed;
    for (size_t i = 0; i < clean.size; i++) {
        switch (clean.data[i]) {
        case '&': qvl_text_print(out, "&amp;"); break;
        case '<': qvl_text_print(out, "&lt;"); break;
        case '>': qvl_text_print(out, "&gt;"); break;
        case '"': qvl_text_print(out, "&quot;"); break;
        default: qvl_text_add(out, &clean.data[i], 1);
        }
    }
    qvl_text_free(&clean);
}
