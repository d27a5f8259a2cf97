/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/ns_share.h"

#include <stdlib.h>
#include <string.h>

#include "flinkop/mem.h"

struct ns_share_ns {
    size_t taken, guests; /* those that have a place; and with those that wait */
    char name[];
};

void ns_share_init(struct ns_share *s, size_t most)
{
    *s = (struct ns_share){.most = most};
    s->last = &s->first;
}

void ns_share_release(struct ns_share *s)
{
    BUG_ON(s->namespaces.count);
    strmap_release(&s->namespaces);
}

void ns_share_close(struct ns_share *s)
{
    s->most = 0;
}

static bool may_enter(const struct ns_share *s, const struct ns_share_ns *ns)
{
    return s->taken < s->most && (s->taken < s->most / 2 || ns->taken < s->most / 4);
}

static struct ns_share_ns *share_of(struct ns_share *s, const char *name)
{
    struct ns_share_ns *ns = strmap_get(&s->namespaces, name);

    if (ns)
        return ns;
    size_t size = strlen(name) + 1;

    ns = xcalloc(1, sizeof(*ns) + size);
    memcpy(ns->name, name, size);
    strmap_put(&s->namespaces, name, ns);
    return ns;
}

static void line_remove(struct ns_share *s, struct ns_share_guest *g)
{
    *g->link = g->next;
    *(g->next ? &g->next->link : &s->last) = g->link;
    g->link = NULL;
}

static void take(struct ns_share *s, struct ns_share_guest *g)
{
    s->taken++;
    g->ns->taken++;
}

bool ns_share_ask(struct ns_share *s, struct ns_share_guest *g, const char *ns)
{
    g->ns = share_of(s, ns);
    g->ns->guests++;
    if (may_enter(s, g->ns)) {
        take(s, g);
        return true;
    }
    g->next = NULL;
    g->link = s->last;
    *s->last = g;
    s->last = &g->next;
    return false;
}

static void let_in(struct ns_share *s)
{
    for (struct ns_share_guest *g = s->first, *next; g && s->taken < s->most; g = next) {
        next = g->next;
        if (!may_enter(s, g->ns))
            continue;
        line_remove(s, g);
        take(s, g);
        g->enter(g->arg);
    }
}

void ns_share_leave(struct ns_share *s, struct ns_share_guest *g)
{
    struct ns_share_ns *ns = g->ns;
    bool waited = g->link != NULL;

    if (!ns)
        return;
    g->ns = NULL;
    if (waited) {
        line_remove(s, g);
    } else {
        s->taken--;
        ns->taken--;
    }
    if (!--ns->guests) {
        strmap_remove(&s->namespaces, ns->name);
        free(ns);
    }
    if (!waited)
        let_in(s);
}
