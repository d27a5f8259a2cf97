/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden cases: a situation in, a plan out. Each file of tests/golden/reconcile/ holds two YAML
 * documents. The first is the situation: Kubernetes objects as the API server has them, Flink's
 * answers as its REST API gives them, what earlier actions came to. The second is the plan that
 * follows. GOLDEN_UPDATE=1 writes the second one anew; read the difference before you commit it.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "action_names.h"
#include "flinkop/file.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "golden_situation.h"

#define FOLDER "tests/golden/reconcile"
#define MAX_CASES 2000
#define FILE_MAX (4 << 20)

static char *cases[MAX_CASES];
static int n_cases;

static const char *const pace_names[] = {"off", "fast", "active", "idle"};

/* ---- the plan as YAML ---- */

static jv submit_text(struct arena *a, const struct submit_args *o)
{
    if (!o)
        return ABSENT;
    return jv_dup(a,
                  OBJ({"jarURI", STR(o->jar_uri)}, {"entryClass", STR(o->entry_class)},
                      {"args", o->args}, {"parallelism", IF(o->parallelism, INT(o->parallelism))},
                      {"savepoint", STR(o->savepoint_path)},
                      {"allowNonRestoredState", IF(o->allow_non_restored_state, BOOL(true))},
                      {"configuration", o->configuration}, {"headers", o->http_headers},
                      {"restrictedHosts", BOOL(o->restricted_hosts_allowed)}));
}

static jv stop_text(struct arena *a, const struct stop_args *o)
{
    return o ? jv_dup(a, OBJ({"trigger", STR(o->trigger)}, {"directory", STR(o->directory)},
                             {"format", STR(o->format)}, {"drain", IF(o->drain, BOOL(true))},
                             {"path", STR(o->path)}))
             : ABSENT;
}

/* Bodies of objects are long and the same in many cases; `show: full` prints them. */
static jv body_text(struct arena *a, const struct situation *s, const struct action *act)
{
    bool object = act->type == ACT_APPLY || act->type == ACT_CREATE;
    const char *hash = JV_STRING(act->body, "metadata", "annotations", "flink-operator/spec-hash");

    if (!object || str_eq(JV_STRING(s->doc, "show"), "full"))
        return act->body;
    return hash ? jv_dup(a, OBJ({"spec-hash", STR(hash)},
                                {"resourceVersion",
                                 STR(JV_STRING(act->body, "metadata", "resourceVersion"))}))
                : ABSENT;
}

static jv kinds_text(struct arena *a, unsigned kinds)
{
    struct jv_list list = JV_LIST(a);

    for (int k = 0; k < KIND_COUNT; k++)
        if (kinds & (1U << k))
            jv_list_add(&list, STR(kube_resource((enum kube_kind)k)->kind));
    return list.n ? jv_list_arr(&list) : ABSENT;
}

static jv plan_text(struct arena *a, const struct situation *s, const struct plan *plan)
{
    struct jv_list list = JV_LIST(a);

    for (size_t i = 0; i < plan->n; i++) {
        const struct action *act = &plan->actions[i];

        jv_list_add(
            &list,
            jv_dup(a, OBJ({"do", STR(action_names[act->type])},
                          {"kind", STR(kube_resource(act->kind)->kind)}, {"name", STR(act->name)},
                          {"uid", IF(act->type != ACT_EVENT, STR(act->uid))},
                          {"propagation", STR(act->propagation)}, {"jobId", STR(act->job_id)},
                          {"cluster", STR(act->cluster)},
                          {"warning", IF(act->type == ACT_EVENT, BOOL(act->warning))},
                          {"reason", STR(act->reason)}, {"message", STR(act->message)},
                          {"submit", submit_text(a, act->submit)},
                          {"stop", stop_text(a, act->stop)}, {"body", body_text(a, s, act)})));
    }
    return jv_dup(a,
                  OBJ({"plan", jv_list_arr(&list)},
                      {"nextInMs", IF(plan->next != INT64_MAX, INT(plan->next - s->now))},
                      {"gone", IF(plan->gone, BOOL(true))}, {"jobOptions", plan->job_options},
                      {"pace", STR(pace_names[plan->pace])}, {"ended", IF(plan->ended, BOOL(true))},
                      {"ready", IF(plan->ready, BOOL(true))}, {"summary", STR(plan->summary)},
                      {"kinds", kinds_text(a, plan->kinds)}));
}

static jv with_status(struct situation *s, const struct plan *plan, jv cr)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->actions[i].type == ACT_STATUS)
            return jv_set(s->a, cr, "status",
                          jv_merge_patch(s->a, jv_get(cr, "status"),
                                         jv_get(plan->actions[i].body, "status")));
    return cr;
}

/* What a cluster's next pass plans, with the notes of the first one, when its status is written. */
static jv pass_after(struct situation *s, const struct plan *plan, jv cr)
{
    s->carried = &plan->memory;
    struct plan next = situation_plan(s, with_status(s, plan, cr));

    return jv_get(plan_text(s->a, s, &next), "plan");
}

/* A pass right after the first one's status was written must find it true. */
static void assert_settled(struct situation *s, const struct plan *plan)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->actions[i].type == ACT_CREATE) /* the pods are not in this world */
            return;
    jv cr = with_status(s, plan, jv_at(jv_get(s->doc, "objects"), 0));
    struct plan again = situation_plan(s, cr);

    for (size_t k = 0; k < again.n; k++)
        ck_assert_msg(again.actions[k].type != ACT_STATUS, "the status is written again: %s",
                      json_text(s->a, again.actions[k].body));
}

/* ---- cases ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void find_cases(void)
{
    DIR *dir = opendir(FOLDER);
    const struct dirent *e;

    n_cases = 0;
    while (dir && (e = readdir(dir))) {
        if (!str_has_suffix(e->d_name, ".yaml"))
            continue;
        BUG_ON(n_cases == MAX_CASES); /* else some would not be looked at */
        cases[n_cases++] = xasprintf(FOLDER "/%s", e->d_name);
    }
    if (dir)
        closedir(dir);
    qsort(cases, (size_t)n_cases, sizeof(*cases), by_name);
}

static void rewrite(const char *path, const char *text, const char *plan)
{
    const char *end = strstr(text, "\n---\n");
    size_t keep = end ? (size_t)(end - text) + 1 : strlen(text);
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fwrite(text, 1, keep, f);
    fprintf(f, "---\n%s", plan);
    fclose(f);
}

START_TEST(a_situation_gives_its_plan)
{
    cleanup_arena struct arena a = {0};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(FILE_MAX);
    struct situation s = {.a = &a};
    struct yaml_doc *docs;
    struct error err;
    size_t len, n;
    cleanup_free char *text = file_read(cases[_i], FILE_MAX, &len, &err);

    if (!text || yaml_parse_all(&a, text, len, &docs, &n, &err))
        ck_abort_msg("%s: %s", cases[_i], err.text);
    s.doc = situation_expand(&a, docs[0].value);
    situation_read(&s);
    jv cr = jv_at(jv_get(s.doc, "objects"), 0);
    struct plan plan = situation_plan(&s, cr);
    jv found = plan_text(&a, &s, &plan);

    if (jv_bool_or(jv_get(s.doc, "andThen"), false))
        found = jv_set(&a, found, "then", pass_after(&s, &plan, cr));
    yaml_write(&sb, found);
    if (!jv_present(jv_get(s.doc, "outcomes")) && !jv_present(jv_get(s.doc, "movesOn")))
        assert_settled(&s, &plan);
    if (getenv("GOLDEN_UPDATE")) {
        rewrite(cases[_i], text, sb.buf);
        return;
    }
    ck_assert_msg(n == 2, "%s has no expected plan; GOLDEN_UPDATE=1 writes it", cases[_i]);
    if (jv_equal(found, docs[1].value))
        return;
    fprintf(stderr, "%s: the plan is now\n%s", cases[_i], sb.buf); /* too long for Check */
    ck_abort_msg("%s: another plan than expected, see above", cases[_i]);
}
END_TEST

START_TEST(there_are_cases)
{
    ck_assert_int_gt(n_cases, 0);
}
END_TEST

void suite_golden(TCase *tc)
{
    find_cases();
    T(there_are_cases);
    tcase_add_loop_test(tc, a_situation_gives_its_plan, 0, n_cases);
}
