/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What exposes a cluster. An object is made only when its name stands in status.endpoints.objects,
 * and its name stays there until it is seen to be gone: so nothing is forgotten when a section
 * leaves the spec while no operator runs, and kinds that no cluster asks for need not be watched.
 *
 * Trouble with any of it is told by the condition `Exposed`; the cluster itself works without.
 */
#include "cluster_internal.h"
#include "flinkop/arena.h"
#include "flinkop/exposure.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"

static const struct exposure_view *view(const struct cluster_pass *p, enum exposure e)
{
    return &p->s->exposure[e];
}

/* ---- what is asked for, and what was made ---- */

/* "Route/demo-ui" */
static const char *entry(const struct cluster_pass *p, enum exposure e)
{
    return arena_printf(p->a, "%s/%s", kube_resource(exposure_kind(e))->kind,
                        exposure_name(p->a, e, p->meta.name));
}

static bool recorded(const struct cluster_pass *p, enum exposure e)
{
    const char *name = entry(p, e);

    jv_foreach (o, JV_PATH(p->status, "endpoints", "objects"))
        if (str_eq(jv_string(*o), name))
            return true;
    return false;
}

/* Whether it shall be a Route or an Ingress, given what the API server has. As long as that is not
 * known, what was made stays. */
static bool wants_ui(const struct cluster_pass *p, enum exposure e)
{
    const struct exposure_spec *s = &p->spec.exposure;
    enum kind_served routes = view(p, EXPOSURE_UI_ROUTE)->served;

    if (s->type != EXPOSE_AUTO)
        return s->type == (e == EXPOSURE_UI_ROUTE ? EXPOSE_ROUTE : EXPOSE_INGRESS);
    if (routes == SERVED_UNKNOWN)
        return recorded(p, e);
    return e == EXPOSURE_UI_ROUTE ? routes == SERVED_YES : routes == SERVED_NO && s->host;
}

static bool wanted(const struct cluster_pass *p, enum exposure e)
{
    switch (e) {
    case EXPOSURE_INGRESS:
        return p->spec.ingress.template &&
               !str_eq(flink_defaults_option(p->s->defaults, "kubernetes.operator.ingress.manage"),
                       "false");
    case EXPOSURE_POLICY:
        return p->spec.exposure.network_policy.set && p->spec.exposure.network_policy.v;
    default:
        return wants_ui(p, e);
    }
}

/* Ours, if there is one. */
static const struct obs_exposure *own(const struct cluster_pass *p, enum exposure e)
{
    const struct obs_exposure *o = view(p, e)->object;

    return o && str_eq(o->meta.owner_uid, p->meta.uid) ? o : NULL;
}

static bool seen_gone(const struct cluster_pass *p, enum exposure e)
{
    return view(p, e)->served == SERVED_NO || (view(p, e)->served == SERVED_YES && !own(p, e));
}

unsigned exposure_kinds(const struct cluster_pass *p)
{
    unsigned kinds = p->spec.exposure.type == EXPOSE_AUTO ? 1U << KIND_ROUTE : 0;

    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++)
        if (wanted(p, e) || recorded(p, e))
            kinds |= 1U << exposure_kind(e);
    return p->meta.deleted_ms ? 0 : kinds; /* the garbage collector needs no help */
}

/* ---- making it so ---- */

static void remove_object(struct cluster_pass *p, const struct obs_exposure *o, enum exposure e)
{
    if (!o->meta.deleted_ms)
        plan_add(&p->plan, ACT_DELETE, exposure_kind(e), p->meta.ns, o->meta.name)->uid =
            o->meta.uid;
}

/* To change the host of a Route takes a right that admins of one project do not have; to make one
 * with a host does not. */
static bool moves(const struct cluster_pass *p, const struct obs_exposure *o, enum exposure e)
{
    const char *host = p->spec.exposure.host;

    if (e != EXPOSURE_UI_ROUTE)
        return false;
    return host ? !str_eq(host, o->host) : o->host && !o->host_generated;
}

void expose(struct cluster_pass *p)
{
    struct desired_input in = desired_of(p);

    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++) {
        const struct obs_exposure *o = own(p, e);

        if (view(p, e)->served != SERVED_YES || !recorded(p, e))
            continue;
        if (!o && view(p, e)->object && left_over(&view(p, e)->object->meta, p->meta.uid))
            continue;
        if (!wanted(p, e)) {
            if (o)
                remove_object(p, o, e);
            continue;
        }
        if (o && !o->meta.deleted_ms && str_eq(o->meta.spec_hash, exposure_hash(p->a, e, &in)))
            continue;
        if (o && p->as_deployed && !o->meta.spec_hash) /* the incumbent's, of the same spec */
            continue;
        if (o && moves(p, o, e))
            remove_object(p, o, e);
        else
            plan_apply(p, exposure_kind(e), exposure_name(p->a, e, p->meta.name),
                       o ? &o->meta : NULL, desired_exposure(p->a, e, &in));
    }
}

/* ---- telling ---- */

/* The object that leads to the web interface; EXPOSURE_COUNT: none does. */
static enum exposure shown(const struct cluster_pass *p)
{
    static const enum exposure order[] = {EXPOSURE_UI_ROUTE, EXPOSURE_UI_INGRESS, EXPOSURE_INGRESS};

    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        if (wanted(p, order[i]))
            return order[i];
    return EXPOSURE_COUNT;
}

static struct condition not_exposed(struct cluster_pass *p, bool trouble, const char *reason,
                                    const char *message)
{
    p->exposed_trouble = trouble;
    return (struct condition){"Exposed", false, reason, message};
}

/* Why nothing can be made of type Auto. */
static struct condition nothing_fits(struct cluster_pass *p)
{
    const struct exposure_view *routes = view(p, EXPOSURE_UI_ROUTE);

    if (routes->served == SERVED_NO)
        return not_exposed(p, true, "HostMissing",
                           "the API server has no Routes (route.openshift.io/v1), and an Ingress "
                           "needs spec.exposure.host");
    return not_exposed(p, true, "Unknown",
                       arena_printf(p->a,
                                    "whether there are Routes is not known, so write type Route or "
                                    "Ingress: %s",
                                    routes->error));
}

static struct condition state_of(struct cluster_pass *p, enum exposure e)
{
    const struct exposure_view *v = view(p, e);
    const struct obs_exposure *o = own(p, e);
    const char *url;

    if (v->served == SERVED_NO)
        return not_exposed(p, true, "NotServed",
                           arena_printf(p->a, "the API server has no %ss (%s)",
                                        kube_resource(exposure_kind(e))->kind,
                                        kube_resource(exposure_kind(e))->api_version));
    if (!o)
        return not_exposed(p, false, "Pending",
                           arena_printf(p->a, "%s is being made", entry(p, e)));
    if (o->cause.reason)
        return not_exposed(p, true, o->cause.reason,
                           arena_printf(p->a, "%s: %s", entry(p, e), o->cause.message));
    if (!o->admitted)
        return not_exposed(p, false, "NotAdmitted",
                           arena_printf(p->a, "no %s has taken %s yet",
                                        e == EXPOSURE_UI_ROUTE ? "router" : "Ingress controller",
                                        entry(p, e)));
    url = exposure_url(p->a, e, &p->config, o->address);
    return (struct condition){"Exposed", true, "Admitted", str_or(url, entry(p, e))};
}

/* What was said before stands as long as we have not looked: after a restart of the operator, or
 * when the section has just come. */
static struct condition as_before(const struct cluster_pass *p)
{
    jv_foreach (c, jv_get(p->status, "conditions"))
        if (str_eq(JV_STRING(*c, "type"), "Exposed"))
            return (struct condition){"Exposed", str_eq(JV_STRING(*c, "status"), "True"),
                                      JV_STRING(*c, "reason"), JV_STRING(*c, "message")};
    return (struct condition){0};
}

static bool unseen(const struct exposure_view *v)
{
    return v->served == SERVED_UNKNOWN && !v->error;
}

/* Why something that is asked for cannot be looked at, and so not be made; NULL: all can. */
static const char *hidden(const struct cluster_pass *p)
{
    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++)
        if (wanted(p, e) && view(p, e)->error)
            return view(p, e)->error;
    return NULL;
}

void look_at_exposure(struct cluster_pass *p)
{
    enum exposure e = shown(p);
    const struct refusal *r = &p->plan.memory.unexposed;

    if (r->cause.reason)
        p->exposed = not_exposed(p, true, r->cause.reason, r->cause.message);
    else if (hidden(p))
        p->exposed = not_exposed(p, true, "Unknown", hidden(p));
    else if (e < EXPOSURE_COUNT)
        p->exposed = unseen(view(p, e)) ? as_before(p) : state_of(p, e);
    else if (p->spec.exposure.type == EXPOSE_AUTO)
        p->exposed = unseen(view(p, EXPOSURE_UI_ROUTE)) ? as_before(p) : nothing_fits(p);
}

static jv ui(struct cluster_pass *p)
{
    enum exposure e = shown(p);
    const struct obs_exposure *o;

    if (e == EXPOSURE_COUNT)
        return ABSENT;
    if (unseen(view(p, e)))
        return JV_PATH(p->status, "endpoints", "ui");
    o = own(p, e);
    return jv_dup(p->a, OBJ({"url", STR(exposure_url(p->a, e, &p->config, o ? o->address : NULL))},
                            {"admitted", BOOL(o && o->admitted)}));
}

jv endpoints(struct cluster_pass *p)
{
    struct jv_list objects = JV_LIST(p->a);

    if (!p->usable || p->meta.deleted_ms)
        return jv_get(p->status, "endpoints");
    for (enum exposure e = 0; e < EXPOSURE_COUNT; e++)
        if (wanted(p, e) || (recorded(p, e) && !seen_gone(p, e)))
            jv_list_add(&objects, STR(entry(p, e)));
    return objects.n ? jv_dup(p->a, OBJ({"ui", ui(p)}, {"objects", jv_list_arr(&objects)}))
                     : ABSENT;
}
