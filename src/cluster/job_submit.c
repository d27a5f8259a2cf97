/* SPDX-License-Identifier: Apache-2.0 */
/* Submitting the job of a FlinkSessionJob: what it is sent with, and what the answer means. */
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/flink_version.h"
#include "flinkop/jar_uri.h"
#include "flinkop/str.h"
#include "job_internal.h"
#include "job_words.h"

#define OPTION "kubernetes.operator."
#define RETRY_MS 5000 /* after a failed submission, doubled up to the maximum */
#define RETRY_MAX_MS 300000
#define LATE_MS 900000 /* a run request that nobody waits for any more may still bring its job */

struct action *job_action(struct job_pass *p, enum action_type type)
{
    struct action *act =
        plan_add(&p->out.plan, type, KIND_FLINKSESSIONJOB, p->meta.ns, p->meta.name);

    act->cluster = p->wanted.deployment_name;
    act->job_id = p->job_id;
    return act;
}

/* Its last checkpoint has to outlive a job that is cancelled to go on from there. */
#define RETENTION "execution.checkpointing.externalized-checkpoint-retention"

/* The run request takes a configuration since 1.17. Stateless jobs, too: the mode may be changed
 * while they run. */
static bool keeps_checkpoints(const struct job_pass *p)
{
    const char *name = p->s->flink_version_name;
    const struct flink_version *v = name ? flink_version_find(name) : NULL;

    return v && flink_at_least(v, 1, 17);
}

static jv job_configuration(struct job_pass *p)
{
    const struct conf *c = &p->wanted.conf;
    struct jv_list list = JV_LIST(p->a);

    if (keeps_checkpoints(p) && !conf_lookup(c, RETENTION))
        jv_list_put(&list, RETENTION, STR("RETAIN_ON_CANCELLATION"));
    for (size_t i = 0; i < c->n; i++)
        if (!str_has_prefix(c->entries[i].key, OPTION))
            jv_list_put(&list, c->entries[i].key, STR(c->entries[i].value));
    return list.n ? jv_list_obj(&list) : ABSENT;
}

void submit_job(struct job_pass *p)
{
    const struct job_spec *j = &p->wanted.job;
    struct job_memory *m = &p->out.memory;
    struct submit_args *args = arena_new(p->a, struct submit_args);
    bool restricted;
    struct error err;
    jv headers;

    if (conf_bool(&p->conf, OPTION "user.artifacts.disallow-restricted-hosts", true, &restricted,
                  &err))
        restricted = true;
    if (conf_map(&p->conf, OPTION "user.artifacts.http.header", &headers, &err))
        headers = ABSENT;
    *args = (struct submit_args){
        .jar_uri = j->jar_uri,
        .entry_class = j->entry_class,
        .savepoint_path = job_begins_with(p->recorded, p->status),
        .args = j->args.type == JV_ARR ? j->args : ABSENT,
        .parallelism = j->parallelism.set ? (int)j->parallelism.v : 0,
        .allow_non_restored_state = j->allow_non_restored_state.v,
        .configuration = job_configuration(p),
        .http_headers = headers,
        .allowed_schemes = jar_allowed_schemes(&p->conf),
        .allowed_networks = conf_words(&p->conf, OPTION "user.artifacts.allowed-networks", ""),
        .restricted_hosts_allowed = !restricted,
    };
    job_action(p, ACT_SUBMIT_JOB)->submit = args;
    m->submitted_at = p->s->now;
    m->sure_before = str_eq(m->sure_id, p->job_id);
    m->sure_id = NULL;
    if (!str_eq(m->unsure_id, p->job_id))
        m->unsure_since = p->s->now;
    m->unsure_id = p->job_id;
}

/* Flink has said no, or was never asked. Whatever else a submission ends with, what it has started
 * there (main() may run for minutes) can still bring the job. */
static bool failed_for_sure(const struct error *err)
{
    switch (err->code) {
    case ERR_TIMEOUT:
    case ERR_PARSE:
        return false;
    case ERR_SERVER: /* broken connections, and what a proxy says */
        return job_flink_answered(err);
    default:
        return true;
    }
}

void learn_submission(struct job_pass *p, const struct outcome *o)
{
    struct job_memory *m = &p->out.memory;

    m->looked_for = NULL;
    if (o->ok || !failed_for_sure(&o->error))
        m->unsent_id = NULL;
    if (o->ok) {
        m->submit_failures = 0;
        m->retry_at = 0;
        m->seen_id = p->job_id;
        p->deployed = true; /* accepted: the next probe will show it */
        p->deploying = false;
        if (!p->job)
            p->state = JOB_INITIALIZING;
        return;
    }
    m->submit_failures++;
    if (!failed_for_sure(&o->error))
        m->unsure_since = m->submitted_at;
    else if (m->sure_before || p->s->now - m->unsure_since >= LATE_MS)
        m->sure_id = p->job_id; /* nor has an earlier one, or another operator's */
    m->retry_at = p->s->now + backoff_ms(m->submit_failures, RETRY_MS, RETRY_MAX_MS);
    p->trouble = (struct obs_cause){"SubmitFailed", str_clean(p->a, o->error.text, 1000)};
}
