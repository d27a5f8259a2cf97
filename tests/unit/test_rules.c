/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of api-contract §2.15 by their numbers: what breaks each one, in which words that is
 * told, and what is next to it and passes. */
#include <string.h>

#include "flinkop/resource_check.h"
#include "unit.h"

#define D KIND_FLINKDEPLOYMENT
#define J KIND_FLINKSESSIONJOB
#define S KIND_FLINKSTATESNAPSHOT

/* Members of a spec, which rows change. */
#define DEPLOYMENT                                                                     \
    "{'image':'flink:1.20','flinkVersion':'v1_20','jobManager':{'resource':{'memory':" \
    "'1g'}},'taskManager':{'resource':{'memory':'1g'}}}"
#define JOB "{'deploymentName':'demo','job':{'jarURI':'https://a.example/b.jar'}}"
#define SNAPSHOT "{'jobReference':{'kind':'FlinkSessionJob','name':'a'}}"

#define HA "'high-availability.type':'kubernetes','high-availability.storageDir':'s3://b/ha'"
#define CHECKPOINTS "'execution.checkpointing.dir':'s3://b/c'"
#define SAVEPOINTS "'execution.checkpointing.savepoint-dir':'s3://b/s'"
#define APP(more) "'job':{'jarURI':'local:///opt/flink/usrlib/a.jar','parallelism':1" more "}"
#define CONF(members) "'flinkConfiguration':{" members "}"
#define KEY(key) "spec.flinkConfiguration." key ": "
#define OPERATOR "kubernetes.operator."
#define SET_BY_OPERATOR "is set by the operator; remove it"

/* Where this operator does otherwise than the Apache one (src/README.md lists these, too). */
#define NEEDS_NO_ACCOUNT "pods need no token unless Flink makes TaskManagers or keeps ConfigMaps"
#define HAS_DEFAULT "parallelism.default counts, as in Flink"
#define ASKS_NOTHING "a nonce that is there from the beginning asks for nothing"
#define NO_AUTOSCALER "there is no autoscaler yet: a warning says so, its options are not read"
#define CLUSTER_MAY_SAY "the cluster may say where: a warning, and an event when the job runs"
#define RUNS_OTHERWISE "a job can be taken to a cluster that comes later, or changes"

static const struct rule {
    const char *number;
    enum kube_kind kind;
    const char *bad, *good;   /* merged into a spec of the kind; "name=" is that of the object */
    const char *recorded;     /* merged into one, what is deployed; NULL: nothing */
    const char *path, *words; /* NULL: it passes, … */
    const char *otherwise;    /* …because */
} rules[] = {
    {"1", D, "name=demo-", "name=d", NULL, "metadata.name", "must be at most 45 lower-case"},
    {"1", D, "name=1demo", "name=demo-1", NULL, "metadata.name", "starting with a letter"},
    {"1", D, "name=a23456789b123456789c123456789d123456789e123456", /* 46 */
     "name=a23456789b123456789c123456789d123456789e12345", NULL, "metadata.name", "at most 45"},
    {"2", D, "'flinkVersion':null", "'flinkVersion':'v2_2'", NULL, "spec.flinkVersion",
     "must be set to one of v1_15"},
    {"3", D, "'flinkVersion':'v1_13'", "'flinkVersion':'v1_15'", NULL, "spec.flinkVersion",
     "\"v1_13\" is no longer supported; supported are v1_15"},
    {"3", D, "'flinkVersion':'v1_14'", "'flinkVersion':'v1_16'", NULL, "spec.flinkVersion",
     "\"v1_14\" is no longer supported"},
    {"4", D,
     "'flinkVersion':'v2_2'," CONF(HA "," CHECKPOINTS) "," APP(",'upgradeMode':'last-state'"),
     CONF(HA "," CHECKPOINTS) "," APP(",'upgradeMode':'last-state'"),
     APP(",'upgradeMode':'last-state','state':'suspended'"), "spec.flinkVersion",
     "cannot change from v1_20 to v2_2 while the job is stopped"},
    {"4", D,
     "'flinkVersion':'v1_19'," CONF(HA "," CHECKPOINTS
                                       "," SAVEPOINTS) "," APP(",'upgradeMode':'savepoint'"),
     "'flinkVersion':'v2_2'," APP(",'upgradeMode':'stateless'"),
     APP(",'upgradeMode':'last-state','state':'suspended'"), "spec.flinkVersion",
     "cannot change from v1_20 to v1_19"},
    {"5", D, CONF("'kubernetes.namespace':'a'"), CONF("'kubernetes.namespaces':'a'"), NULL,
     "spec.flinkConfiguration.kubernetes.namespace", SET_BY_OPERATOR},
    {"5", D, CONF("'kubernetes.cluster-id':'a'"), CONF("'kubernetes.cluster':'a'"), NULL,
     "spec.flinkConfiguration.kubernetes.cluster-id", SET_BY_OPERATOR},
    {"5", D, CONF("'high-availability':{'cluster-id':'a'}"), CONF("'high-availability':'NONE'"),
     NULL, "spec.flinkConfiguration.high-availability.cluster-id", SET_BY_OPERATOR},
    {"6", D, CONF("'" OPERATOR "deployment.rollback.enabled':true"),
     CONF(HA ",'" OPERATOR "deployment.rollback.enabled':true"), NULL,
     "spec.flinkConfiguration." OPERATOR "deployment.rollback.enabled",
     "needs high-availability.type: kubernetes"},
    {"7", D,
     CONF("'" OPERATOR "cluster.health-check.enabled':true,'" OPERATOR
          "jm-deployment-recovery.enabled':false"),
     CONF("'" OPERATOR "cluster.health-check.enabled':true"), NULL,
     "spec.flinkConfiguration." OPERATOR "cluster.health-check.enabled",
     "needs " OPERATOR "jm-deployment-recovery.enabled"},
    {"8", D, "'ingress':{'className':'nginx'}", "'ingress':{'template':'a.example'}", NULL,
     "spec.ingress.template", "must be given, such as"},
    {"9", D, "'ingress':{'template':'a b://c'}", "'ingress':{'template':'https://a.example/b'}",
     NULL, "spec.ingress.template", "must"},
    {"10", D, "'logConfiguration':{'log4j.properties':'a'}",
     "'logConfiguration':{'log4j-console.properties':'a','logback-console.xml':'b'}", NULL,
     "spec.logConfiguration.log4j.properties",
     "allowed are log4j-console.properties and logback-console.xml"},
    {"11", D, CONF(HA) "," APP(",'upgradeMode':'last-state'"),
     CONF(HA "," CHECKPOINTS) "," APP(",'upgradeMode':'last-state'"), NULL, "spec.job.upgradeMode",
     "needs flinkConfiguration.execution.checkpointing.dir"},
    {"11", D, CONF(CHECKPOINTS "," SAVEPOINTS) "," APP(",'upgradeMode':'last-state'"),
     CONF(CHECKPOINTS "," SAVEPOINTS) "," APP(",'upgradeMode':'savepoint'"), NULL,
     "spec.job.upgradeMode", "last-state needs high-availability.type: kubernetes"},
    {"12", D, CONF(HA "," CHECKPOINTS) "," APP(",'upgradeMode':'savepoint'"),
     CONF(HA "," CHECKPOINTS "," SAVEPOINTS) "," APP(",'upgradeMode':'savepoint'"), NULL,
     "spec.job.upgradeMode",
     "savepoint needs flinkConfiguration.execution.checkpointing.savepoint"},
    {"13", D, APP(",'savepointTriggerNonce':2"),
     CONF(SAVEPOINTS) "," APP(",'savepointTriggerNonce':2"), APP(",'savepointTriggerNonce':1"),
     "spec.job.savepointTriggerNonce",
     "needs flinkConfiguration.execution.checkpointing.savepoint-dir"},
    {"13", D, APP(",'savepointTriggerNonce':1"), APP(""), NULL, NULL, NULL, ASKS_NOTHING},
    {"14", D, CONF("'" OPERATOR "periodic.savepoint.interval':'1 h'") "," APP(""),
     CONF(SAVEPOINTS ",'" OPERATOR "periodic.savepoint.interval':'1 h'") "," APP(""), NULL,
     "spec.flinkConfiguration." OPERATOR "periodic.savepoint.interval",
     "needs execution.checkpointing.savepoint-dir"},
    {"15", D,
     CONF(
         HA
         "," CHECKPOINTS ",'" OPERATOR
         "job.upgrade.last-state.max.allowed.checkpoint.age':'1 h'") "," APP(",'upgradeMode':'last-state'"),
     CONF(
         HA
         "," CHECKPOINTS "," SAVEPOINTS ",'" OPERATOR
         "job.upgrade.last-state.max.allowed.checkpoint.age':'1 h'") "," APP(",'upgradeMode':'last-state'"),
     NULL, "spec.flinkConfiguration." OPERATOR "job.upgrade.last-state.max.allowed.checkpoint.age",
     "needs execution.checkpointing.savepoint-dir"},
    {"16", D, "'job':{'jarURI':'local:///opt/flink/usrlib/a.jar','parallelism':0}",
     "'taskManager':{'replicas':2,'resource':{'memory':'1g'}},'job':{'jarURI':'local:///opt/flink/"
     "usrlib/a.jar','parallelism':0}",
     NULL, "spec.job.parallelism", "must be between 1 and 32768, found 0"},
    {"16", D, "'job':{'jarURI':'local:///opt/flink/usrlib/a.jar'}", APP(""), NULL, NULL, NULL,
     HAS_DEFAULT},
    {"17", D, "'jobManager':null",
     "'jobManager':null," CONF("'jobmanager.memory.process.size':'1g'"), NULL, "spec.jobManager",
     "memory: "},
    {"18", D, "'jobManager':{'resource':{'memory':'1x'}}",
     "'jobManager':{'resource':{'memory':'1024m'}}", NULL, "spec.jobManager.resource.memory",
     "\"1x\" is not a memory size"},
    {"18", D, "'jobManager':{'resource':{'memory':'1g','ephemeralStorage':'much'}}",
     "'jobManager':{'resource':{'memory':'1g','ephemeralStorage':'2Gi'}}", NULL,
     "spec.jobManager.resource.ephemeralStorage", "\"much\" is not a memory size"},
    {"19", D, "'jobManager':{'resources':{'requests':{'memory':'1x'}}}",
     "'jobManager':{'resources':{'requests':{'memory':'1Gi'}}}", NULL,
     "spec.jobManager.resources.requests.memory", ""},
    {"19", D, "'jobManager':{'resources':{'requests':{'memory':'1Gi','cpu':'0'}}}",
     "'jobManager':{'resources':{'requests':{'memory':'1Gi','cpu':'1'}}}", NULL,
     "spec.jobManager.resources.requests.cpu", "must be more than 0"},
    {"19", D, "'jobManager':{'resources':{'requests':{'memory':'2Gi'},'limits':{'memory':'1Gi'}}}",
     "'jobManager':{'resources':{'requests':{'memory':'1Gi'},'limits':{'memory':'1Gi'}}}", NULL,
     "spec.jobManager.resources.limits.memory", "must not be less than the request (2Gi)"},
    {"19", D, "'jobManager':{'resources':{'limits':{'memory':'1Gi','example.com/gpu':'-1'}}}",
     "'jobManager':{'resources':{'limits':{'memory':'1Gi','example.com/gpu':'0'}}}", NULL,
     "spec.jobManager.resources.limits.example.com/gpu", ""},
    {"20", D, "'jobManager':{'replicas':0}", "'jobManager':{'replicas':1}", NULL,
     "spec.jobManager.replicas", "must be between 1 and"},
    {"21", D, "'jobManager':{'replicas':2}", CONF(HA) ",'jobManager':{'replicas':2}", NULL,
     "spec.jobManager.replicas", "must be 1 unless high-availability.type is set, found 2"},
    {"22", D, "'taskManager':null",
     "'taskManager':null," CONF("'taskmanager.memory.process.size':'1g'"), NULL, "spec.taskManager",
     "memory: "},
    {"23", D, "'taskManager':{'resource':{'memory':'1x'}}",
     "'taskManager':{'resource':{'memory':'1Gi'}}", NULL, "spec.taskManager.resource.memory",
     "\"1x\" is not a memory size"},
    {"24", D, "'taskManager':{'resources':{'requests':{'memory':'2Gi'},'limits':{'memory':'1Gi'}}}",
     "'taskManager':{'resources':{'limits':{'memory':'1Gi'}}}", NULL,
     "spec.taskManager.resources.limits.memory", "must not be less than the request"},
    {"25", D, "'taskManager':{'replicas':0}", "'taskManager':{'replicas':1}", NULL,
     "spec.taskManager.replicas", "must be between 1 and"},
    {"26", D, APP(""), "'image':'flink:1.20.1'", "'image':'flink:1.20'", "spec.job",
     "a session cluster cannot become an application cluster"},
    {"27", D, "'image':'flink:1.20.1'", APP(",'args':['a']"), APP(""), "spec.job",
     "an application cluster cannot become a session cluster"},
    {"28", D, "'mode':'standalone'", "'mode':'native'", "'image':'flink:1.20'", "spec.mode",
     "cannot change from native to standalone"},
    {"29", D, "'mode':null", "'mode':'standalone'", "'mode':'standalone'", "spec.mode",
     "cannot change from standalone to native"},
    {"30", D, APP(",'savepointRedeployNonce':2"),
     APP(",'savepointRedeployNonce':2,'initialSavepointPath':'s3://b/s/1'"),
     APP(",'savepointRedeployNonce':1"), "spec.job.savepointRedeployNonce",
     "needs initialSavepointPath"},
    {"31", D, "'serviceAccount':null", "'serviceAccount':'flink'", NULL, NULL, NULL,
     NEEDS_NO_ACCOUNT},
    {"32", D, CONF("'job.autoscaler.enabled':true,'job.autoscaler.utilization.target':7"),
     CONF("'job.autoscaler.utilization.target':0.7"), NULL, NULL, NULL, NO_AUTOSCALER},
    {"33", D, CONF("'job.autoscaler.enabled':true,'job.autoscaler.metrics.window':'1 s'"),
     CONF("'job.autoscaler.metrics.window':'1 h'"), NULL, NULL, NULL, NO_AUTOSCALER},

    {"deploymentName", J, "'deploymentName':null", "'deploymentName':'a'", NULL,
     "spec.deploymentName", "must name the FlinkDeployment to run in"},
    {"deploymentName", J, "'deploymentName':'Not-a-name'", "'deploymentName':'a-1'", NULL,
     "spec.deploymentName", "must be at most 45 lower-case letters"},
    {"job", J, "'job':null", "'job':{'jarURI':'https://a.example/c.jar'}", NULL, "spec.job",
     "must be given"},
    {"deploymentName changed", J, "'deploymentName':'other'", "'restartNonce':1",
     "'restartNonce':0", "spec.deploymentName", "cannot change from \"demo\" to \"other\""},
    {"jarURI", J, "'job':{'jarURI':''}", "'job':{'jarURI':'https://a.example/c.jar'}", NULL,
     "spec.job.jarURI", "must be given"},
    {"jarURI", J, "'job':{'jarURI':'https://a b/c.jar'}",
     "'job':{'jarURI':'https://a.example/c%20d.jar'}", NULL, "spec.job.jarURI",
     "must be a URI without blanks"},
    {"jarURI's password", J, "'job':{'jarURI':'https://me:pw@a.example/c.jar'}",
     "'job':{'jarURI':'https://a.example/c@d.jar'}", NULL, "spec.job.jarURI",
     "must not hold a user name or password"},
    {"jarURI's host", J, "'job':{'jarURI':'https:///me:pw@a.example/c.jar'}",
     "'job':{'jarURI':'local:///opt/flink/usrlib/a@b.jar'}", NULL, "spec.job.jarURI",
     "must name a host right after ://"},
    {"an application's JAR", D,
     "'flinkVersion':'v1_18','job':{'jarURI':'https://a.example/b.jar','parallelism':1}",
     "'flinkVersion':'v1_18','job':{'jarURI':'local:///opt/flink/examples/b.jar','parallelism':1}",
     NULL, "spec.job.jarURI", "Flink 1.18 runs only JARs of the image, local:///path/to/job.jar"},
    {"an application's JAR", D, "'job':{'jarURI':'local:///opt/b.py','parallelism':1}",
     "'job':{'jarURI':'https://a.example/b.jar','parallelism':1}", NULL, "spec.job.jarURI",
     "must name a .jar of the image"},
    {"jarURI's scheme", J, "'job':{'jarURI':'/opt/b.jar'}",
     "'job':{'jarURI':'local:///opt/flink/usrlib/b.jar'}", NULL, "spec.job.jarURI",
     "must be a URI such as https://host/job.jar"},
    {"jarURI's scheme", J, "'job':{'jarURI':'s3://a/b.jar'}", "'job':{'jarURI':'https://a/b.jar'}",
     NULL, "spec.job.jarURI", "scheme \"s3\" is not allowed; allowed are local and https"},
    {"30", J, "'job':{'jarURI':'https://a/b.jar','savepointRedeployNonce':2}",
     "'job':{'jarURI':'https://a/b.jar','savepointRedeployNonce':2,'initialSavepointPath':'s3://a'}",
     "'job':{'jarURI':'https://a/b.jar'}", "spec.job.savepointRedeployNonce",
     "needs initialSavepointPath"},
    {"11, 12", J, "'job':{'jarURI':'https://a/b.jar','upgradeMode':'savepoint'}",
     CONF(SAVEPOINTS) ",'job':{'jarURI':'https://a/b.jar','upgradeMode':'savepoint'}", NULL, NULL,
     NULL, CLUSTER_MAY_SAY},
    {"13", J, "'job':{'jarURI':'https://a/b.jar','savepointTriggerNonce':2}", "'restartNonce':1",
     "'job':{'jarURI':'https://a/b.jar','savepointTriggerNonce':1}", NULL, NULL, CLUSTER_MAY_SAY},
    {"14", J, CONF("'" OPERATOR "periodic.savepoint.interval':'1 h'"),
     CONF(SAVEPOINTS ",'" OPERATOR "periodic.savepoint.interval':'1 h'"), NULL, NULL, NULL,
     CLUSTER_MAY_SAY},
    {"16", J, "'job':{'jarURI':'https://a/b.jar','parallelism':0}",
     "'job':{'jarURI':'https://a/b.jar','parallelism':1}", NULL, "spec.job.parallelism",
     "must be between 1 and 32768"},
    {"the cluster's kind", J, "'deploymentName':'an-application'", "'deploymentName':'a'", NULL,
     NULL, NULL, RUNS_OTHERWISE},

    {"one of both", S, "'savepoint':{},'checkpoint':{}", "'savepoint':{}", NULL, "spec",
     "exactly one of savepoint and checkpoint must be given"},
    {"one of both", S, "'backoffLimit':1", "'checkpoint':{}", NULL, "spec",
     "exactly one of savepoint and checkpoint must be given"},
    {"jobReference", S, "'savepoint':{},'jobReference':null",
     "'savepoint':{'alreadyExists':true,'path':'s3://a'},'jobReference':null", NULL,
     "spec.jobReference", "must be given with kind and name, unless the savepoint exists already"},
    {"jobReference", S, "'savepoint':{},'jobReference':{'name':null}",
     "'savepoint':{},'jobReference':{'name':'b'}", NULL, "spec.jobReference",
     "must be given with kind and name"},
};

static jv spec_of(struct arena *a, enum kube_kind kind, const char *members)
{
    static const char *const base[] = {[D] = DEPLOYMENT, [J] = JOB, [S] = SNAPSHOT};
    jv spec = json(a, base[kind]);

    if (!members || !strncmp(members, "name=", 5))
        return spec;
    return jv_merge(a, spec, json(a, arena_printf(a, "{%s}", members)));
}

static void check(struct problems *p, const struct rule *r, const char *members)
{
    const char *name = strncmp(members, "name=", 5) != 0 ? "demo" : members + 5;
    jv object = jv_dup(p->a, OBJ({"metadata", OBJ({"name", STR(name)}, {"namespace", STR("team")})},
                                 {"spec", spec_of(p->a, r->kind, members)}));
    jv recorded = r->recorded ? spec_of(p->a, r->kind, r->recorded) : ABSENT;

    resource_check(p, r->kind, object, recorded, false, NULL);
}

START_TEST(each_rule_is_told_and_its_neighbour_passes)
{
    const struct rule *r = &rules[_i];
    cleanup_arena struct arena a = {0};
    struct problems bad = PROBLEMS_INIT(&a), good = PROBLEMS_INIT(&a);
    bool told = false;

    check(&bad, r, r->bad);
    check(&good, r, r->good);
    ck_assert_msg(!good.n, "rule %s: %s is refused: %s", r->number, r->good, problems_text(&good));
    if (r->otherwise) {
        ck_assert_msg(!bad.n, "rule %s: %s", r->number, problems_text(&bad));
        return;
    }
    for (size_t i = 0; i < MIN(bad.n, (size_t)PROBLEMS_MAX); i++)
        told = told || (!strcmp(bad.items[i].path, r->path) && strstr(bad.items[i].text, r->words));
    ck_assert_msg(told, "rule %s: %s: expected %s: %s, found %s", r->number, r->bad, r->path,
                  r->words, bad.n ? problems_text(&bad) : "nothing");
}
END_TEST

/* One run of `validate` shows everything. */
START_TEST(all_that_is_wrong_is_told_at_once)
{
    static const char *const paths[] = {"metadata.name",    "spec.imagePullPolicy",
                                        "spec.image",       "spec.jobManager.resource.memory",
                                        "spec.taskManager", "spec.job.upgradeMode"};
    cleanup_arena struct arena a = {0};
    struct problems p = PROBLEMS_INIT(&a);
    jv object = json(&a,
                     "{'metadata':{'name':'No'},'spec':{'flinkVersion':'v1_20','image':'no image',"
                     "'imagePullPolicy':'maybe','jobManager':{'resource':{'memory':'1x'}},"
                     "'taskManager':{'resource':{'memory':'9m'}},'job':{'upgradeMode':"
                     "'last-state'}}}");

    resource_check(&p, D, object, ABSENT, true, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        bool told = false;

        for (size_t k = 0; k < MIN(p.n, (size_t)PROBLEMS_MAX); k++)
            told = told || !strcmp(p.items[k].path, paths[i]);
        ck_assert_msg(told, "%s", paths[i]);
    }
}
END_TEST

/* The incumbent's, which have no spec or only a nonce. */
START_TEST(canaries_pass)
{
    static const enum kube_kind kinds[] = {D, J};
    static const char *const specs[] = {"null", "{'restartNonce':1}"};
    cleanup_arena struct arena a = {0};

    for (size_t i = 0; i < 4; i++) {
        struct problems canary = PROBLEMS_INIT(&a), other = PROBLEMS_INIT(&a);
        jv object = jv_dup(
            &a, OBJ({"metadata", OBJ({"name", STR("canary")})}, {"spec", json(&a, specs[i / 2])}));
        jv labelled =
            JV_SET_PATH(&a, object, STR("true"), "metadata", "labels", "flink.apache.org/canary");

        resource_check(&canary, kinds[i % 2], labelled, ABSENT, true, NULL);
        resource_check(&other, kinds[i % 2], object, ABSENT, true, NULL);
        ck_assert_msg(!canary.n, "%s", problems_text(&canary));
        ck_assert(other.n);
        ck_assert(!jv_present(resource_warnings(&a, kinds[i % 2], labelled, NULL)));
    }
}
END_TEST

/* ---- what passes, with a warning ---- */

static const struct {
    enum kube_kind kind;
    const char *members, *warning, *none; /* members with which there is no warning */
} warnings[] = {
    {D, "'image':'flink:1.18'", "spec.flinkVersion: v1_20 does not fit spec.image, flink:1.18",
     "'image':'flink:1.20.3-java17'"},
    {D, "'image':'registry.example/flink:2.2@sha256:00'", "which has Flink 2.2",
     "'image':'registry.example/cars:1.18'"},
    {D, "'flinkVersion':'v2_2'", "v2_2 does not fit spec.image, flink:1.20",
     "'flinkVersion':'v2_2','image':'flink:2.2'"},
    {D, "'allocator':{'type':'Flink'}", "spec.serviceAccount: is not given",
     "'allocator':{'type':'Flink'},'serviceAccount':'flink'"},
    {D, CONF(HA), "mostly must not keep ConfigMaps",
     CONF(HA ",'kubernetes.service-account':'flink'")},
    {D, CONF(CHECKPOINTS "," SAVEPOINTS) "," APP(",'upgradeMode':'savepoint'"),
     "spec.job.upgradeMode: savepoint without high availability",
     CONF(CHECKPOINTS "," SAVEPOINTS) "," APP(",'upgradeMode':'stateless'")},
    {D, CONF("'job.autoscaler.enabled':'true'"), KEY("job.autoscaler.enabled"),
     CONF("'job.autoscaler.enabled':'false'")},
    {D, "'flinkVersion':'v1_17','image':'flink:1.17'", "spec.flinkVersion: v1_17 is deprecated",
     "'flinkVersion':'v1_19','image':'flink:1.19'"},
    {J, "'job':{'jarURI':'https://a/b.jar','upgradeMode':'savepoint'}",
     "spec.job.upgradeMode: savepoint, but nothing says where to, here; unless",
     CONF(SAVEPOINTS) ",'job':{'jarURI':'https://a/b.jar','upgradeMode':'savepoint'}"},
    {J, "'job':{'jarURI':'https://a/b.jar','upgradeMode':'last-state'}",
     "spec.job.upgradeMode: last-state, but nothing asks for checkpoints, here; unless",
     CONF("'execution.checkpointing.interval':'1 min'") ",'job':{'jarURI':'https://a/b.jar',"
                                                        "'upgradeMode':'last-state'}"},
};

static jv warnings_of(struct arena *a, enum kube_kind kind, const char *members)
{
    jv object = jv_dup(
        a, OBJ({"metadata", OBJ({"name", STR("demo")})}, {"spec", spec_of(a, kind, members)}));

    return resource_warnings(a, kind, object, NULL);
}

START_TEST(what_is_seldom_meant_is_warned_about)
{
    cleanup_arena struct arena a = {0};
    jv found = warnings_of(&a, warnings[_i].kind, warnings[_i].members);
    jv none = warnings_of(&a, warnings[_i].kind, warnings[_i].none);

    ck_assert_msg(jv_len(found) == 1 && strstr(jv_string(jv_at(found, 0)), warnings[_i].warning),
                  "%s: %s", warnings[_i].members, json_text(&a, found));
    ck_assert_msg(!jv_present(none), "%s: %s", warnings[_i].none, json_text(&a, none));
}
END_TEST

void suite_rules(TCase *tc)
{
    tcase_add_loop_test(tc, each_rule_is_told_and_its_neighbour_passes, 0, ARRAY_SIZE(rules));
    T(all_that_is_wrong_is_told_at_once);
    T(canaries_pass);
    tcase_add_loop_test(tc, what_is_seldom_meant_is_warned_about, 0, ARRAY_SIZE(warnings));
}
