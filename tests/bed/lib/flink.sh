# shellcheck shell=bash
flink_image_if_built() { return 1; }
