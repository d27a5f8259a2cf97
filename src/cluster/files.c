/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

/* The assembler copies the file as it is and adds the NUL that makes it a C string. Paths are
 * relative to the top of the project, where the compiler runs. */
#define EMBED(symbol, path)                       \
    __asm__(".pushsection .rodata\n"              \
            ".global " #symbol "\n" #symbol ":\n" \
            ".incbin \"" path "\"\n"              \
            ".byte 0\n"                           \
            ".popsection\n")

EMBED(file_launch_sh, "src/cluster/files/launch.sh");
EMBED(file_log4j_console, "src/cluster/files/log4j-console.properties");
EMBED(file_log4j_cli, "src/cluster/files/log4j-cli.properties");
EMBED(file_logback_console, "src/cluster/files/logback-console.xml");
