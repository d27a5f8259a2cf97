/* SPDX-License-Identifier: Apache-2.0 */
#include "places.h"

void places_init(struct places *p, size_t most, void (*enter)(void *arg))
{
    *p = (struct places){.most = most, .enter = enter, .last = &p->first};
}

bool places_ask(struct places *p, struct guest *g)
{
    if (p->taken < p->most)
        return true;
    g->next = NULL;
    g->link = p->last;
    *p->last = g;
    p->last = &g->next;
    return false;
}

void places_leave(struct places *p, struct guest *g)
{
    if (!g->link)
        return;
    *g->link = g->next;
    if (g->next)
        g->next->link = g->link;
    else
        p->last = g->link;
    g->link = NULL;
}

void places_free(struct places *p)
{
    p->taken--;
    while (p->first && p->taken < p->most) {
        struct guest *g = p->first;

        places_leave(p, g);
        p->enter(g->arg);
    }
}
