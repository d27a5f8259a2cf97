/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "flinkop/slab.h"

static void *or_die(void *p)
{
    if (!p) {
        static const char text[] = "flink-operator: out of memory\n";

        fwrite(text, 1, sizeof(text) - 1, stderr);
        abort();
    }
    return p;
}

/* ---- pages ---- */

#define KEEP_PAGES 64

static struct {
    void *free[KEEP_PAGES];
    size_t n;
} pages;

/* Under ASan from malloc, which finds leaks. */
static void *pages_map(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return xmalloc(MEM_PAGES);
#else
    void *p = mmap(NULL, MEM_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return or_die(p == MAP_FAILED ? NULL : p);
#endif
}

static void pages_unmap(void *p)
{
#if defined(__SANITIZE_ADDRESS__)
    free(p);
#else
    munmap(p, MEM_PAGES);
#endif
}

void *mem_pages_get(void)
{
    return pages.n ? pages.free[--pages.n] : pages_map();
}

void mem_pages_put(void *p)
{
    if (pages.n < KEEP_PAGES)
        pages.free[pages.n++] = p;
    else
        pages_unmap(p);
}

void mem_init(void)
{
    /* Small pieces that are freed are joined with their neighbours at once: what keeps many small
     * things for long must not lie scattered between them. */
    mallopt(M_MXFAST, 0);
}

void mem_trim(void)
{
    while (pages.n)
        pages_unmap(pages.free[--pages.n]);
    slab_trim();
    malloc_trim(0);
}

void *xmalloc(size_t size)
{
    return or_die(malloc(size ? size : 1));
}

void *xcalloc(size_t n, size_t size)
{
    return or_die(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
    return or_die(realloc(p, size ? size : 1));
}

void *xreallocarray(void *p, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        BUG("array of %zu elements of %zu bytes", n, size);
    return xrealloc(p, n * size);
}

char *xstrdup(const char *s)
{
    return or_die(strdup(s));
}

char *xstrdup_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
    return or_die(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&out, fmt, ap) < 0)
        out = NULL;
    va_end(ap);
    return or_die(out);
}

void str_replace(char **slot, const char *s)
{
    char *copy = xstrdup_or_null(s);

    free(*slot);
    *slot = copy;
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "flink-operator: BUG at %s:%d: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}
