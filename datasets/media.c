#include "datasets/media.h"

const struct qvl_media_reader qvl_media_files = {.read_image = qvl_image_read, .open_video = qvl_video_open};
