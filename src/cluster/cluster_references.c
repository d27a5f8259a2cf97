/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets and ConfigMaps that a cluster's pods refer to, and that have changed since it was
 * started: told, or, where kubernetes.operator.references.on-change says `restart`, as good as a
 * restartNonce that has changed. What they were when it was started is recorded with its spec
 * (status.references), so an operator that was away sees what has changed meanwhile, and none
 * restarts anything for what it sees first.
 *
 * A session cluster takes its jobs with it. Without high availability those with state would wait
 * for somebody who tells where that is, and what users have started themselves would be gone: so it
 * is only told, while there are such jobs.
 */
#include <string.h>

#include "application.h"
#include "flinkop/arena.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/json.h"
#include "flinkop/str.h"
#include "status.h"

#define RECORDED "references" /* in status: {"Secret/name": mark} */
#define NONE "none"           /* instead of a mark: there was none */
#define SETTLED_MS 5000       /* several that change together cost one restart */
#define APART_MS 300000       /* one that changes again and again restarts no more often */
#define READ_APART_MS 1000    /* between two looks at contents… */
#define READ_FAILED_MS 30000  /* …of which one has failed */

static bool restarts(const struct cluster_pass *p)
{
    return str_eq(flink_option_text(&p->config.conf, REFERENCES_KEY), "restart");
}

/* What the write of the status has come to that the pass before has planned. */
static void learn_from_write(struct cluster_pass *p)
{
    struct reference_notes *m = &p->plan.memory.references;
    bool there = jv_present(jv_get(p->status, RECORDED));

    if (m->restarting && status_written(p->s->outcomes, p->s->n_outcomes))
        m->restarted = p->s->now;
    m->pruned = status_prunes(m->pruned, m->put, there, p->s->outcomes, p->s->n_outcomes);
    m->restarting = m->put = false;
}

/* ---- which ---- */

/* Most refer to none, and need no pods to be made of their spec for that. */
static bool may_refer(const struct cluster_pass *p)
{
    static const char *const keys[] = {"kubernetes.secrets", "kubernetes.env.secretKeyRef",
                                       "kubernetes.hadoop.conf.config-map.name"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (conf_get(&p->config.conf, keys[i]))
            return true;
    return jv_present(p->config.spec->pod_template) ||
           jv_present(p->config.spec->jm.pod_template) ||
           jv_present(p->config.spec->tm.pod_template);
}

static void without_own(struct references *r, const char *configmap)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].kind == KIND_ANY_CONFIGMAP && str_eq(r->items[i].name, configmap)) {
            memmove(&r->items[i], &r->items[i + 1], (r->n - i - 1) * sizeof(*r->items));
            r->n--;
            return;
        }
}

static struct references *collect(struct cluster_pass *p)
{
    struct references *r = arena_new(p->a, struct references);
    struct desired_input in = desired_of(p);

    references_of_pod(r, JV_PATH(desired_jobmanager(p->a, &in), "spec", "template", "spec"));
    references_of_pod(r, jv_get(desired_taskmanager(p->a, &in, p->meta.name, &in.cr), "spec"));
    without_own(r, desired_configmap_name(p->a, p->meta.name));
    return r;
}

static size_t kind_index(enum kube_kind kind)
{
    return kind == reference_kinds[0] ? 0 : 1;
}

static bool is_known(const struct cluster_pass *p, const struct reference *r)
{
    return p->s->references.served[kind_index(r->kind)] == SERVED_YES;
}

/* As it is now; NONE: there is none; NULL: not known. */
static const char *mark_now(const struct cluster_pass *p, const struct reference *r)
{
    const struct reference_view *v = &p->s->references;
    const struct obs_reference *o;

    if (!is_known(p, r))
        return NULL;
    o = v->get(v->arg, r->kind, r->name);
    return o && !o->meta.deleted_ms ? o->mark : NONE;
}

/* Pods that need one that is missing do not start before it is there. */
static bool had_none(const struct reference *r, const char *was)
{
    return !was || (!r->optional && !strcmp(was, NONE));
}

static const char *listed(struct cluster_pass *p, const char *list, const struct reference *r)
{
    const char *one = arena_printf(p->a, "%s %s", kube_resource(r->kind)->kind, r->name);

    return list ? arena_printf(p->a, "%s, %s", list, one) : one;
}

/* ---- their contents ---- */

static const char *content_key(struct cluster_pass *p, const struct reference *r, const char *mark)
{
    return arena_printf(p->a, "%s %s", reference_key(p->a, r), mark);
}

static jv contents(struct cluster_pass *p)
{
    const char *text = p->plan.memory.references.contents;
    struct error err;
    jv known;

    return text && !json_parse(p->a, text, strlen(text), &known, &err) ? known : ABSENT;
}

/* Of a mark that was read, its hash; "": of this one none could be had. */
static void put_answer(struct cluster_pass *p, struct jv_list *list, const struct reference *r,
                       const char *is)
{
    for (size_t i = 0; i < p->s->n_outcomes; i++) {
        const struct outcome *o = &p->s->outcomes[i];
        const char *hash = o->ok && o->text ? strchr(o->text, ' ') : NULL;

        if (o->type != ACT_READ_REFERENCE || o->kind != r->kind || !str_eq(o->name, r->name))
            continue;
        if (hash) {
            const char *mark = arena_strndup(p->a, o->text, (size_t)(hash - o->text));

            jv_list_put(list, content_key(p, r, mark), STR(hash + 1));
        } else {
            jv_list_put(list, content_key(p, r, is), STR(""));
            p->plan.memory.references.read_at = p->s->now + READ_FAILED_MS;
        }
    }
}

/* Only what they were when it was started and what they are now counts. */
static void learn_contents(struct cluster_pass *p)
{
    jv recorded = jv_get(p->status, RECORDED), known = contents(p);
    struct jv_list list = JV_LIST(p->a);

    for (size_t i = 0; i < p->references->n; i++) {
        const struct reference *r = &p->references->items[i];
        const char *marks[] = {JV_STRING(recorded, reference_key(p->a, r)), mark_now(p, r)};

        if (marks[1])
            put_answer(p, &list, r, marks[1]);
        for (size_t k = 0; k < ARRAY_SIZE(marks); k++) {
            const char *key = marks[k] ? content_key(p, r, marks[k]) : NULL;
            bool again = k && str_eq(marks[0], marks[1]);

            if (key && !again && jv_present(jv_get(known, key)))
                jv_list_put(&list, key, jv_get(known, key)); /* an answer comes before it */
        }
    }
    p->plan.memory.references.contents = list.n ? json_text(p->a, jv_list_obj(&list)) : NULL;
}

/* Those whose content is not known as they are now are read. */
static void read_contents(struct cluster_pass *p)
{
    struct reference_notes *m = &p->plan.memory.references;
    jv known = contents(p);
    bool due = p->s->now >= m->read_at;

    for (size_t i = 0; i < p->references->n; i++) {
        const struct reference *r = &p->references->items[i];
        const char *is = mark_now(p, r);

        if (!is || !strcmp(is, NONE) || !str_empty(JV_STRING(known, content_key(p, r, is))))
            continue;
        if (due) {
            plan_add(&p->plan, ACT_READ_REFERENCE, r->kind, p->meta.ns, r->name);
            m->read_at = p->s->now + READ_APART_MS;
        } else {
            plan_wake(&p->plan, m->read_at);
        }
    }
}

enum news { NEWS_NONE, NEWS_CHANGED, NEWS_PERHAPS };

/* Contents tell where both are known; one that is being read is waited for. */
static enum news news_of(struct cluster_pass *p, jv known, const struct reference *r,
                         const char *was, const char *is)
{
    const char *before = JV_STRING(known, content_key(p, r, was));
    const char *now = JV_STRING(known, content_key(p, r, is));

    if (!strcmp(was, NONE))
        return NEWS_CHANGED;
    if (!str_empty(before) && (!now || *now))
        return !now || !strcmp(before, now) ? NEWS_NONE : NEWS_CHANGED;
    return reference_mark_certain(was, is) ? NEWS_CHANGED : NEWS_PERHAPS;
}

static void compare(struct cluster_pass *p)
{
    jv recorded = jv_get(p->status, RECORDED), known = contents(p);

    for (size_t i = 0; i < p->references->n; i++) {
        const struct reference *r = &p->references->items[i];
        const char *was = JV_STRING(recorded, reference_key(p->a, r)), *is = mark_now(p, r);

        if (had_none(r, was) || !is || !strcmp(was, is))
            continue;
        enum news news = strcmp(is, NONE) ? news_of(p, known, r, was, is) : NEWS_NONE;

        if (!strcmp(is, NONE))
            p->gone = listed(p, p->gone, r);
        else if (news == NEWS_CHANGED)
            p->changed = listed(p, p->changed, r);
        else if (news == NEWS_PERHAPS)
            p->perhaps = listed(p, p->perhaps, r);
    }
}

void look_at_references(struct cluster_pass *p)
{
    learn_from_write(p);
    if (!p->usable || p->suspended || p->over ||
        str_eq(flink_option_text(&p->config.conf, REFERENCES_KEY), "ignore") || !may_refer(p))
        return;
    p->references = collect(p);
    p->plan.references = references_text(p->a, p->references);
    for (size_t i = 0; i < p->references->n; i++)
        p->plan.kinds |= 1U << p->references->items[i].kind;
}

/* ---- another run with them ---- */

static const char *at_stake(struct cluster_pass *p)
{
    const struct flink_job *foreign = jobmanager_known(p) ? foreign_job(p) : NULL;
    const char *names;
    size_t n;

    if (p->application || p->config.ha)
        return NULL;
    names = session_jobs(p, /* stateful= */ true, &n);
    if (names)
        return arena_printf(
            p->a, "%zu FlinkSessionJob%s would lose %s state (%s); suspend %s first", n,
            n == 1 ? "" : "s", n == 1 ? "its" : "their", names, n == 1 ? "it" : "them");
    return foreign ? arena_printf(p->a,
                                  "job %s (%s), which no FlinkSessionJob owns, would be lost; end "
                                  "it first",
                                  foreign->id, str_clean(p->a, foreign->name, 100))
                   : NULL;
}

static bool is_due(struct cluster_pass *p)
{
    struct reference_notes *m = &p->plan.memory.references;
    int64_t at;

    if (!str_eq(m->changed, p->changed)) {
        m->changed = p->changed;
        m->since = p->s->now;
    }
    if (!p->changed || !restarts(p) || p->at_stake)
        return false;
    at = m->since + SETTLED_MS;
    if (m->restarted >= 0)
        at = MAX(at, m->restarted + APART_MS);
    if (p->s->now < at)
        plan_wake(&p->plan, at);
    return p->s->now >= at;
}

/* It is as it was started, and there to be restarted. */
static bool can_be_compared(const struct cluster_pass *p)
{
    return p->references && p->held && !p->recording && p->up_to_date && is_deployed(p) &&
           !(p->application && job_state_terminal(p->job_state));
}

void look_after_references(struct cluster_pass *p)
{
    if (can_be_compared(p)) {
        if (restarts(p) && !p->plan.memory.references.pruned) {
            learn_contents(p);
            read_contents(p);
        }
        compare(p);
    }
    if (p->changed && restarts(p))
        p->at_stake = at_stake(p);
    if (!is_due(p) || p->former)
        return;
    if (p->application) {
        if (p->unchanged && !jv_present(p->pending))
            ask_for_another(p);
        return;
    }
    /* What is recorded now is rolled out by the next pass. */
    drop_roll_out(p);
    p->restarts_for_changes = p->recording = true;
    p->up_to_date = false;
    p->progress = STOPPING;
    p->jm = JM_DEPLOYING;
    p->plan.memory.references.restarting = true;
}

/* ---- what is recorded and told of it ---- */

static bool begins_anew(const struct cluster_pass *p)
{
    return p->record_id || (p->recording && !p->application);
}

static const char *to_record(struct cluster_pass *p, const struct reference *r, jv recorded)
{
    const char *was = JV_STRING(recorded, reference_key(p->a, r));

    return begins_anew(p) || had_none(r, was) ? str_or(mark_now(p, r), was) : was;
}

jv references_status(struct cluster_pass *p, jv status)
{
    struct reference_notes *m = &p->plan.memory.references;
    jv recorded = jv_get(p->status, RECORDED);
    struct jv_list list = JV_LIST(p->a);

    if (p->meta.deleted_ms || p->suspended || p->over || !p->usable || m->pruned)
        return status;
    if (p->application && p->record_id && p->changed)
        m->restarting = true;
    for (size_t i = 0; p->references && i < p->references->n; i++) {
        const char *mark = to_record(p, &p->references->items[i], recorded);

        if (mark)
            jv_list_put(&list, reference_key(p->a, &p->references->items[i]), STR(mark));
    }
    m->put = list.n > 0;
    return jv_set(p->a, status, RECORDED, list.n ? jv_list_obj(&list) : ABSENT);
}

static const char *joined(struct cluster_pass *p, const char *text, const char *more)
{
    return text && more ? arena_printf(p->a, "%s; %s", text, more) : str_or(text, more);
}

static const char *sentence(struct cluster_pass *p)
{
    bool asks = p->perhaps || (p->changed && !restarts(p));
    const char *text = NULL;

    if (p->gone)
        text = arena_printf(p->a, "deleted since it was started: %s", p->gone);
    if (p->changed)
        text = joined(p, text, arena_printf(p->a, "changed since it was started: %s", p->changed));
    if (p->at_stake)
        text = joined(p, text,
                      arena_printf(p->a,
                                   "it is not restarted with that: without " HA_TYPE_KEY
                                   " %s, or give spec.restartNonce another number",
                                   p->at_stake));
    else if (p->changed && restarts(p))
        text = joined(p, text, "it is restarted with that");
    if (p->perhaps)
        text = joined(p, text,
                      arena_printf(p->a,
                                   "changed since it was started, but perhaps only in "
                                   "labels or annotations: %s",
                                   p->perhaps));
    return asks ? joined(p, text, "to restart it with that, give spec.restartNonce another number")
                : text;
}

/* Only who asks for restarts relies on it; else the log says that they are not seen. */
static const char *unseen(struct cluster_pass *p)
{
    if (p->references && p->references->n && restarts(p) && p->plan.memory.references.pruned)
        return "changes are not noticed: the CustomResourceDefinition is of a former version, "
               "without status.references";
    for (size_t i = 0; p->references && restarts(p) && i < p->references->n; i++) {
        const struct reference *r = &p->references->items[i];
        const char *error = p->s->references.error[kind_index(r->kind)];

        if (error)
            return arena_printf(p->a, "changes of %ss are not noticed: %s",
                                kube_resource(r->kind)->kind, error);
    }
    return NULL;
}

size_t references_condition(struct cluster_pass *p, struct condition *ret)
{
    bool news = (p->changed || p->perhaps || p->gone) && !begins_anew(p);
    const char *text = news ? sentence(p) : unseen(p);

    if (!text || p->meta.deleted_ms)
        return 0;
    *ret = (struct condition){"ReferencesCurrent", false,
                              news ? "ReferencesChanged" : "ReferencesUnseen", text};
    return 1;
}
