#include "model/prompt.h"

#include <stdlib.h>

void qvl_visual_free(struct qvl_visual *visual)
{
    free(visual->rows);
    free(visual->resized_rgb);
    free(visual->frame_indices);
    free(visual->timestamps);
    memset(visual, 0, sizeof *visual);
}

void qvl_prompt_free(struct qvl_prompt *prompt)
{
    for (int64_t i = 0; i < prompt->visual_count; i++)
        qvl_visual_free(&prompt->visuals[i]);
    free(prompt->visuals);
    free(prompt->ids);
    memset(prompt, 0, sizeof *prompt);
}
