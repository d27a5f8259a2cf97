/* SPDX-License-Identifier: Apache-2.0 */
#include "jars.h"

#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/hash.h"
#include "flinkop/http.h"
#include "flinkop/json.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"

#define PREFIX "flink-operator-"
#define KEPT 4 /* in a JobManager, beside those in use: a miss costs no more than an upload */
#define KNOWN_MAX 256 /* that nobody uses; of JobManagers that are gone, too */

struct jar {
    struct jar_pool *pool;
    struct jar *next, **link; /* used last, first */
    char *where;              /* its JobManager: "<namespace>/<instance>" */
    char *file_name, *id;     /* id NULL: not there */
    bool coming;
    size_t users;
    struct jar_use *first, **last; /* who waits for it */
};

struct jar_pool {
    struct loop *loop;
    struct jar *first;
    size_t idle; /* without users */
};

struct jar_pool *jar_pool_new(struct loop *loop)
{
    struct jar_pool *pool = xcalloc(1, sizeof(*pool));

    pool->loop = loop;
    return pool;
}

static void unlink_jar(struct jar *j)
{
    *j->link = j->next;
    if (j->next)
        j->next->link = j->link;
}

static void put_first(struct jar_pool *pool, struct jar *j)
{
    j->next = pool->first;
    j->link = &pool->first;
    if (j->next)
        j->next->link = &j->next;
    pool->first = j;
}

static void free_jar(struct jar *j)
{
    free(j->where);
    free(j->file_name);
    free(j->id);
    free(j);
}

void jar_pool_free(struct jar_pool *pool)
{
    struct jar *next;

    if (!pool)
        return;
    for (struct jar *j = pool->first; j; j = next) {
        BUG_ON(j->users);
        next = j->next;
        free_jar(j);
    }
    free(pool);
}

/* What the user sends with the request makes no difference: another content has another validator.
 * Without a length the end of the connection may be that of a part. */
const char *jar_file_name(struct arena *a, const struct submit_args *args,
                          const struct http_response *head)
{
    char hex[SHA256_HEX_LEN + 1];

    if (!head->validator || head->content_length < 0)
        return NULL;
    const char *text =
        json_text(a, ARR(STR(args->jar_uri), STR(head->validator), INT(head->content_length)));

    sha256_hex(text, strlen(text), hex);
    return arena_printf(a, PREFIX "%.32s.jar", hex);
}

/* ---- use ---- */

static struct jar *find(const struct jar_pool *pool, const char *where, const char *file_name)
{
    for (struct jar *j = pool->first; j; j = j->next)
        if (!strcmp(j->where, where) && !strcmp(j->file_name, file_name))
            return j;
    return NULL;
}

static void forget_oldest(struct jar_pool *pool)
{
    struct jar *oldest = NULL;

    for (struct jar *j = pool->first; j; j = j->next)
        oldest = j->users ? oldest : j;
    if (!oldest)
        return;
    pool->idle--;
    unlink_jar(oldest);
    free_jar(oldest);
}

static void go_on(void *arg)
{
    struct jar_use *use = arg;

    use->go_on(use->arg);
}

static void wait_for(struct jar *j, struct jar_use *use)
{
    use->next = NULL;
    use->link = j->last;
    *j->last = use;
    j->last = &use->next;
}

static void leave_line(struct jar_use *use)
{
    if (!use->link)
        return;
    *use->link = use->next;
    if (use->next)
        use->next->link = use->link;
    else
        use->jar->last = use->link;
    use->link = NULL;
}

/* Each asks again: the first of them brings what was not brought. */
static void wake(struct jar *j)
{
    j->coming = false;
    while (j->first) {
        struct jar_use *use = j->first;

        leave_line(use);
        loop_defer(j->pool->loop, use, go_on, use);
    }
}

static void take(struct jar_pool *pool, struct jar_use *use, const char *where,
                 const char *file_name)
{
    struct jar *j = find(pool, where, file_name);

    if (!j) {
        j = xcalloc(1, sizeof(*j));
        *j = (struct jar){.pool = pool, .where = xstrdup(where), .file_name = xstrdup(file_name)};
        j->last = &j->first;
    } else {
        unlink_jar(j);
        pool->idle -= j->users ? 0 : 1;
    }
    put_first(pool, j);
    j->users++;
    use->jar = j;
}

enum jar_turn jar_take(struct jar_pool *pool, struct jar_use *use, const struct flink_endpoint *e,
                       const char *file_name)
{
    cleanup_free char *where = xasprintf("%s/%s", e->ns, e->instance);

    jar_leave(use);
    take(pool, use, where, file_name);

    struct jar *j = use->jar;

    if (j->id)
        return JAR_THERE;
    if (j->coming) {
        wait_for(j, use);
        return JAR_WAITS;
    }
    j->coming = use->brings = true;
    return JAR_BRING;
}

void jar_leave(struct jar_use *use)
{
    struct jar *j = use->jar;

    if (!j)
        return;
    loop_undefer(j->pool->loop, use);
    leave_line(use);
    if (use->brings)
        wake(j);
    use->brings = false;
    use->jar = NULL;
    if (--j->users)
        return;
    if (++j->pool->idle > KNOWN_MAX)
        forget_oldest(j->pool);
}

void jar_is_there(struct jar_use *use, const char *id)
{
    struct jar *j = use->jar;

    use->brings = false;
    free(j->id);
    j->id = xstrdup(id);
    wake(j);
}

const char *jar_id(const struct jar_use *use)
{
    return use->jar ? use->jar->id : NULL;
}

void jar_is_lost(struct jar_use *use)
{
    free(use->jar->id);
    use->jar->id = NULL;
}

/* ---- what lies in a JobManager ---- */

/* Flink puts a random id and '_' before it. */
static const char *file_name(const struct flink_jar *jar)
{
    const char *before = strchr(jar->id, '_');

    return before ? before + 1 : "";
}

static bool is_ours(const struct flink_jar *jar)
{
    return str_has_prefix(file_name(jar), PREFIX);
}

const char *jar_find(const struct jar_use *use, const struct flink_jar *jars, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(file_name(&jars[i]), use->jar->file_name))
            return jars[i].id;
    return NULL;
}

static bool is_used(const struct jar_pool *pool, const char *where, const struct flink_jar *jar)
{
    for (const struct jar *j = pool->first; j; j = j->next)
        if (j->users && !strcmp(j->where, where) && !strcmp(file_name(jar), j->file_name))
            return true;
    return false;
}

const char *jar_superfluous(const struct jar_use *use, const struct flink_jar *jars, size_t n,
                            struct jar_use *ret_old)
{
    struct jar_pool *pool = use->jar->pool;
    const struct flink_jar *oldest = NULL;
    size_t idle = 0;

    for (size_t i = 0; i < n; i++) {
        if (!is_ours(&jars[i]) || is_used(pool, use->jar->where, &jars[i]))
            continue;
        idle++;
        if (!oldest || jars[i].uploaded_ms < oldest->uploaded_ms)
            oldest = &jars[i];
    }
    if (idle < KEPT)
        return NULL;
    take(pool, ret_old, use->jar->where, file_name(oldest));
    jar_is_lost(ret_old);
    ret_old->jar->coming = ret_old->brings = true;
    return oldest->id;
}
