/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flinkop/error.h"
#include "flinkop/mem.h"
#include "flinkop/strbuf.h"

static int open_file(const char *path, int flags, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

    if (fd < 0)
        error_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL, "cannot open %s: %s", path,
                  strerror(errno));
    return fd;
}

static char *read_all(int fd, const char *path, size_t max, size_t *ret_len, struct error *err)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(max);
    char chunk[16384];
    ssize_t n;

    do {
        n = read(fd, chunk, sizeof(chunk));
        if (n > 0)
            strbuf_add(&sb, chunk, (size_t)n);
    } while ((n > 0 && !sb.overflow) || (n < 0 && errno == EINTR));
    if (n < 0)
        error_set(err, ERR_INTERNAL, "cannot read %s: %s", path, strerror(errno));
    if (sb.overflow)
        error_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
    return n < 0 || sb.overflow ? NULL : strbuf_detach(&sb, ret_len);
}

char *file_read(const char *path, size_t max, size_t *ret_len, struct error *err)
{
    int fd = open_file(path, O_NONBLOCK, err); /* else a FIFO would hold us up here */
    char *text = NULL;
    struct stat st;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        error_set(err, ERR_INVALID, "%s is not a regular file", path);
    else
        text = read_all(fd, path, max, ret_len, err);
    close(fd);
    return text;
}

char *file_read_any(const char *path, size_t max, size_t *ret_len, struct error *err)
{
    int fd = strcmp(path, "-") ? open_file(path, 0, err) : STDIN_FILENO;
    char *text = fd < 0 ? NULL : read_all(fd, path, max, ret_len, err);

    if (fd > STDIN_FILENO)
        close(fd);
    return text;
}
