/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "flinkop/error.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"

char *file_read(const char *path, size_t max, size_t *ret_len, struct error *err)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(max);
    int fd = !strcmp(path, "-") ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    char chunk[16384];
    ssize_t n;

    if (fd < 0) {
        error_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL, "cannot open %s: %s", path,
                  strerror(errno));
        return NULL;
    }
    do {
        n = read(fd, chunk, sizeof(chunk));
        if (n > 0)
            strbuf_add(&sb, chunk, (size_t)n);
    } while ((n > 0 && !sb.overflow) || (n < 0 && errno == EINTR));
    if (n < 0)
        error_set(err, ERR_INTERNAL, "cannot read %s: %s", path, strerror(errno));
    if (fd != STDIN_FILENO)
        close(fd);
    if (sb.overflow)
        error_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
    return n < 0 || sb.overflow ? NULL : strbuf_detach(&sb, ret_len);
}
