#include "model/prompt.h"

#include <stdlib.h>

void qvl_prompt_free(struct qvl_prompt *prompt)
{
    for (int64_t i = 0; i < prompt->visual_count; i++) {
        free(prompt->visuals[i].rows);
        free(prompt->visuals[i].resized_rgb);
        free(prompt->visuals[i].frame_indices);
        free(prompt->visuals[i].timestamps);
    }
    free(prompt->visuals);
    free(prompt->ids);
    memset(prompt, 0, sizeof *prompt);
}
