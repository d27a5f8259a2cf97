/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of src/cluster/files/, part of the binary. */
#ifndef CLUSTER_FILES_H
#define CLUSTER_FILES_H

extern const char file_launch_sh[];
extern const char file_log4j_console[];
extern const char file_log4j_cli[];
extern const char file_logback_console[];

#endif
