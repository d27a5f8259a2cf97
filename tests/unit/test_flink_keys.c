/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of each key with which Flink shapes its pods and its allocation: the table against
 * Flink's own list of keys, against src/README.md, and against the objects and the policy that
 * follow from each key.
 */
#include <stdio.h>
#include <string.h>

#include "flinkop/desired.h"
#include "flinkop/flink_keys.h"
#include "flinkop/flink_version.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "unit.h"

#define RECORDED "tests/golden/flink/keys.tsv"
#define README "src/README.md"

START_TEST(every_key_of_flink_is_in_the_table)
{
    cleanup_free char *text = file_text(RECORDED);
    int n = 0;

    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        line[strcspn(line, "\t")] = 0;
        if (*line && *line != '#') {
            ck_assert_msg(flink_key_find(line), "%s: what becomes of it?", line);
            n++;
        }
    }
    ck_assert_int_gt(n, 70);
}
END_TEST

START_TEST(the_table_of_the_readme_is_this_one)
{
    cleanup_free char *text = file_text(README);
    cleanup_strbuf struct strbuf table = STRBUF_INIT(1 << 16);
    size_t n;
    const struct flink_key *keys = flink_keys(&n);

    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(!i || strcmp(keys[i - 1].key, keys[i].key) < 0, "%s is not in its place",
                      keys[i].key);
        strbuf_addf(&table, "| `%s` | %s | %s |\n", keys[i].key,
                    key_treatment_name(keys[i].treatment), keys[i].note);
    }
    if (!strstr(text, table.buf)) /* too much for a message of Check */
        fprintf(stderr, "%s should contain:\n%s", README, table.buf);
    ck_assert_ptr_nonnull(strstr(text, table.buf));
}
END_TEST

/* ---- what follows from a key ---- */

enum from { DEPLOYMENT, TASKMANAGER, INTERNAL, REST, CONFIG, POLICY };

/* Values and paths are JSON and dotted; a path that ends in [] means "contains". */
struct effect {
    const char *key, *value;
    enum from from;
    const char *path, *expected;
};

#define JM "spec.template."
#define MAIN "spec.containers.0."
#define HAS(name, value) "{'name':'" name "','value':'" value "'}"

static const struct effect effects[] = {
    {"containerized.master.env.<name>", "v", DEPLOYMENT, JM MAIN "env[]", HAS("X", "v")},
    {"containerized.taskmanager.env.<name>", "v", TASKMANAGER, MAIN "env[]", HAS("X", "v")},
    {"external-resources", "gpu", TASKMANAGER, MAIN "resources.limits.'x.y/gpu'", "1"},
    {"external-resource.<resource_name>.amount", "2", TASKMANAGER,
     MAIN "resources.requests.'x.y/gpu'", "2"},
    {"external-resource.<resource_name>.kubernetes.config-key", "a.b/c", TASKMANAGER,
     MAIN "resources.limits.'a.b/c'", "1"},
    {"kubernetes.container.image.pull-policy", "Always", DEPLOYMENT, JM MAIN "imagePullPolicy",
     "'Always'"},
    {"kubernetes.container.image.pull-policy", "Always", TASKMANAGER, MAIN "imagePullPolicy",
     "'Always'"},
    {"kubernetes.container.image.pull-secrets", "a;b", DEPLOYMENT, JM "spec.imagePullSecrets",
     "[{'name':'a'},{'name':'b'}]"},
    {"kubernetes.container.image.ref", "my:1", TASKMANAGER, MAIN "image", "'my:1'"},
    {"kubernetes.decorator.hadoop-conf-mount.enabled", "false", DEPLOYMENT, JM "spec.volumes.1",
     ""},
    {"kubernetes.entry.path", "/e.sh", DEPLOYMENT, JM MAIN "args.0", "'/e.sh'"},
    {"kubernetes.env.secretKeyRef", "env:N,secret:S,key:K", TASKMANAGER, MAIN "env[]",
     "{'name':'N','valueFrom':{'secretKeyRef':{'name':'S','key':'K'}}}"},
    {"kubernetes.flink.conf.dir", "/conf", TASKMANAGER, MAIN "volumeMounts.0.mountPath", "'/conf'"},
    {"kubernetes.flink.log.dir", "/logs", DEPLOYMENT, JM MAIN "env[]",
     HAS("FLINK_LOG_DIR", "/logs")},
    {"kubernetes.hadoop.conf.config-map.name", "hadoop", TASKMANAGER,
     "spec.volumes.1.configMap.name", "'hadoop'"},
    {"kubernetes.hadoop.conf.config-map.name", "hadoop", TASKMANAGER, MAIN "env[]",
     HAS("HADOOP_CONF_DIR", "/opt/hadoop/conf")},
    {"kubernetes.hostnetwork.enabled", "true", DEPLOYMENT, JM "spec.hostNetwork", "true"},
    {"kubernetes.hostnetwork.enabled", "true", TASKMANAGER, "spec.dnsPolicy",
     "'ClusterFirstWithHostNet'"},
    {"kubernetes.internal-service.annotations", "a:b", INTERNAL, "metadata.annotations.a", "'b'"},
    {"kubernetes.internal-service.labels", "a:b", INTERNAL, "metadata.labels.a", "'b'"},
    {"kubernetes.jobmanager.annotations", "a:b", DEPLOYMENT, "metadata.annotations.a", "'b'"},
    {"kubernetes.jobmanager.annotations", "a:b", DEPLOYMENT, JM "metadata.annotations.a", "'b'"},
    {"kubernetes.jobmanager.cpu.amount", "0.3", DEPLOYMENT, JM MAIN "resources.requests.cpu",
     "'300m'"},
    {"kubernetes.jobmanager.cpu.limit-factor", "2", DEPLOYMENT, JM MAIN "resources.limits.cpu",
     "'2'"},
    {"kubernetes.jobmanager.entrypoint.args", "-x", DEPLOYMENT, JM MAIN "env[]",
     HAS("FLINK_ENTRYPOINT_ARGS", "-x")},
    {"kubernetes.jobmanager.labels", "a:b", DEPLOYMENT, "metadata.labels.a", "'b'"},
    {"kubernetes.jobmanager.labels", "a:b", DEPLOYMENT, JM "metadata.labels.a", "'b'"},
    {"kubernetes.jobmanager.memory.limit-factor", "2", DEPLOYMENT,
     JM MAIN "resources.limits.memory", "'2048Mi'"},
    {"kubernetes.jobmanager.node-selector", "a:b", DEPLOYMENT, JM "spec.nodeSelector.a", "'b'"},
    {"kubernetes.jobmanager.owner.reference",
     "apiVersion:v1,kind:Pod,name:n,uid:u,controller:true,blockOwnerDeletion:false", DEPLOYMENT,
     "metadata.ownerReferences.1",
     "{'apiVersion':'v1','kind':'Pod','name':'n','uid':'u','controller':true,"
     "'blockOwnerDeletion':false}"},
    {"kubernetes.jobmanager.replicas", "2", DEPLOYMENT, "spec.replicas", "2"},
    {"kubernetes.jobmanager.service-account", "a", DEPLOYMENT, JM "spec.serviceAccountName", "'a'"},
    {"kubernetes.jobmanager.tolerations", "key:k,operator:Exists,effect:NoSchedule", DEPLOYMENT,
     JM "spec.tolerations", "[{'key':'k','operator':'Exists','effect':'NoSchedule'}]"},
    {"kubernetes.rest-service.annotations", "a:b", REST, "metadata.annotations.a", "'b'"},
    {"kubernetes.rest-service.exposed.type", "NodePort", REST, "spec.type", "'NodePort'"},
    {"kubernetes.rest-service.labels", "a:b", REST, "metadata.labels.a", "'b'"},
    {"kubernetes.secrets", "s:/mnt", TASKMANAGER, "spec.volumes.1.secret.secretName", "'s'"},
    {"kubernetes.secrets", "s:/mnt", DEPLOYMENT, JM MAIN "volumeMounts.1.mountPath", "'/mnt'"},
    {"kubernetes.service-account", "a", TASKMANAGER, "spec.serviceAccountName", "'a'"},
    {"kubernetes.taskmanager.annotations", "a:b", TASKMANAGER, "metadata.annotations.a", "'b'"},
    {"kubernetes.taskmanager.cpu.amount", "0.3", TASKMANAGER, MAIN "resources.requests.cpu",
     "'300m'"},
    {"kubernetes.taskmanager.cpu.limit-factor", "2", TASKMANAGER, MAIN "resources.limits.cpu",
     "'4'"},
    {"kubernetes.taskmanager.entrypoint.args", "-x", TASKMANAGER, MAIN "env[]",
     HAS("FLINK_ENTRYPOINT_ARGS", "-x")},
    {"kubernetes.taskmanager.labels", "a:b", TASKMANAGER, "metadata.labels.a", "'b'"},
    {"kubernetes.taskmanager.memory.limit-factor", "2", TASKMANAGER, MAIN "resources.limits.memory",
     "'4096Mi'"},
    {"kubernetes.taskmanager.node-selector", "a:b", TASKMANAGER, "spec.nodeSelector.a", "'b'"},
    {"kubernetes.taskmanager.service-account", "a", TASKMANAGER, "spec.serviceAccountName", "'a'"},
    {"kubernetes.taskmanager.tolerations", "key:k,tolerationSeconds:5", TASKMANAGER,
     "spec.tolerations", "[{'key':'k','tolerationSeconds':5}]"},
    /* TaskManagers of 2 slots, 2 CPUs, 2 GiB (of which 1331 MiB count). */
    {"resourcemanager.start-worker.max-failure-rate", "7", POLICY, "freeFailures", "7"},
    {"resourcemanager.start-worker.retry-interval", "9 s", POLICY, "createRetry", "9000"},
    {"resourcemanager.start-worker.retry-interval", "9 s", POLICY, "startRetry", "9000"},
    {"resourcemanager.taskmanager-registration.timeout", "9 s", POLICY, "start", "9000"},
    {"resourcemanager.taskmanager-timeout", "9 s", POLICY, "idle", "9000"},
    {"slotmanager.max-total-resource.cpu", "7", POLICY, "max", "3"},
    {"slotmanager.max-total-resource.memory", "3900m", POLICY, "max", "2"},
    {"slotmanager.min-total-resource.cpu", "7", POLICY, "min", "4"},
    {"slotmanager.min-total-resource.memory", "3900m", POLICY, "min", "3"},
    {"slotmanager.number-of-slots.max", "7", POLICY, "max", "3"},
    {"slotmanager.number-of-slots.min", "7", POLICY, "min", "4"},
    {"slotmanager.redundant-taskmanager-num", "3", POLICY, "spare", "3"},
    {"slotmanager.taskmanager-timeout", "9 s", POLICY, "idle", "9000"},
    {"resourcemanager.standalone.start-up-time", "9 s", CONFIG, NULL, "0"},
};

/* The key with a name in the place of <…>. */
static const char *named(struct arena *a, const char *key)
{
    const char *open = strchr(key, '<'), *close = strchr(key, '>');

    return !open ? key
                 : arena_printf(a, "%.*s%s%s", (int)(open - key), key,
                                str_has_prefix(key, "external-resource.") ? "gpu" : "X", close + 1);
}

/* What has no effect alone: an external resource has a name and an amount, and only a mounted
 * configuration can be left out. */
static void add_company(struct conf *conf)
{
    conf_set(conf, "taskmanager.numberOfTaskSlots", "2");
    conf_default(conf, "jobmanager.memory.process.size", "1g");
    conf_default(conf, "taskmanager.memory.process.size", "2g");
    if (conf_get(conf, "kubernetes.jobmanager.replicas"))
        conf_set(conf, "high-availability.type", "zookeeper");
    if (conf_get(conf, "kubernetes.decorator.hadoop-conf-mount.enabled"))
        conf_set(conf, "kubernetes.hadoop.conf.config-map.name", "hadoop");
    for (size_t i = 0; i < conf->n; i++)
        if (str_has_prefix(conf->entries[i].key, "external-resource")) {
            conf_default(conf, "external-resources", "gpu");
            conf_default(conf, "external-resource.gpu.amount", "1");
            conf_default(conf, "external-resource.gpu.kubernetes.config-key", "x.y/gpu");
            return;
        }
}

/* What follows from one key: problems, or a configuration. */
struct built {
    struct arena a;
    struct problems p;
    struct deployment_spec spec;
    struct cluster_config config;
};

static void built_clear(struct built *b)
{
    arena_free(&b->a);
}

static void build(struct built *b, const char *key, const char *value)
{
    struct conf defaults = CONF_INIT(&b->a);

    b->p.a = &b->a;
    b->spec = (struct deployment_spec){
        .conf = CONF_INIT(&b->a), .version = flink_version_find("v1_20"), .version_name = "v1_20"};
    conf_set(&b->spec.conf, named(&b->a, key), value);
    add_company(&b->spec.conf);
    cluster_config_build(&b->p, "team", "demo", &b->spec, &defaults, &b->config);
}

static jv policy(struct arena *a, const struct alloc_policy *p)
{
    return jv_dup(a, OBJ({"max", INT(p->max)}, {"min", INT(p->min)}, {"spare", INT(p->spare)},
                         {"idle", INT(p->idle_ms)}, {"start", INT(p->start_ms)},
                         {"freeFailures", INT(p->free_failures)},
                         {"startRetry", INT(p->start_retry_ms)},
                         {"createRetry", INT(p->create_retry_ms)}));
}

static jv made_of(struct arena *a, const struct cluster_config *c, enum from from)
{
    struct desired_input in = {
        .config = c, .cr = {"v1", "FlinkDeployment", "demo", "uid"}, .spec_hash = "hash"};
    struct owner owner = {"apps/v1", "Deployment", "demo", "uid"};

    switch (from) {
    case DEPLOYMENT:
        return desired_jobmanager(a, &in);
    case TASKMANAGER:
        return desired_taskmanager(a, &in, "demo-taskmanager-1-1", &owner);
    case INTERNAL:
        return desired_internal_service(a, &in, &owner);
    case REST:
        return desired_rest_service(a, &in, &owner);
    default:
        return policy(a, &c->alloc);
    }
}

/* "a.0.'b.c'": members, indices, members with dots in their names. */
static jv follow(struct arena *a, jv v, const char *path)
{
    while (*path && *path != '[') {
        bool quoted = *path == '\'';
        size_t n = quoted ? strcspn(++path, "'") : strcspn(path, ".[");
        const char *name = arena_strndup(a, path, n);
        int64_t index;

        v = v.type == JV_ARR && str_to_int64(name, &index) ? jv_at(v, (size_t)index)
                                                           : jv_get(v, name);
        path += n + quoted;
        path += *path == '.';
    }
    return v;
}

static bool found(jv v, jv expected, bool contains)
{
    if (!contains)
        return jv_equal(v, expected);
    jv_foreach (item, v)
        if (jv_equal(*item, expected))
            return true;
    return false;
}

static void check_effect(const struct effect *e)
{
    CLEANUP(built_clear) struct built b = {0};

    build(&b, e->key, e->value);
    ck_assert_msg(!b.p.n, "%s: %s", e->key, problems_text(&b.p));
    if (e->from == CONFIG) {
        ck_assert_str_eq(str_or_empty(conf_get(&b.config.flink, e->key)), e->expected);
        return;
    }
    jv v = follow(&b.a, made_of(&b.a, &b.config, e->from), e->path);
    jv expected = *e->expected ? json(&b.a, e->expected) : ABSENT;

    ck_assert_msg(found(v, expected, strstr(e->path, "[]") != NULL), "%s: %s is %s, expected %s",
                  e->key, e->path, json_text(&b.a, v), e->expected);
}

START_TEST(honoured_and_translated_keys_have_their_effect)
{
    size_t n;
    const struct flink_key *keys = flink_keys(&n);

    for (size_t i = 0; i < ARRAY_SIZE(effects); i++)
        check_effect(&effects[i]);
    for (size_t i = 0; i < n; i++) {
        bool tested = keys[i].treatment != KEY_HONOURED && keys[i].treatment != KEY_TRANSLATED;

        for (size_t k = 0; k < ARRAY_SIZE(effects); k++)
            tested |= !strcmp(effects[k].key, keys[i].key);
        ck_assert_msg(tested, "%s: nothing tests its effect", keys[i].key);
    }
}
END_TEST

/* By which a dead TaskManager is noticed soon. */
START_TEST(the_users_time_outs_win)
{
    static const struct {
        const char *set, *key, *expected;
    } cases[] = {
        {"unrelated", "heartbeat.interval", "3000"},
        {"unrelated", "heartbeat.timeout", "20000"},
        {"unrelated", "pekko.tcp.timeout", "5 s"},
        {"heartbeat.interval", "heartbeat.interval", "9 s"},
        {"heartbeat.timeout", "heartbeat.timeout", "9 s"},
        {"pekko.tcp.timeout", "pekko.tcp.timeout", "9 s"},
        {"akka.tcp.timeout", "pekko.tcp.timeout", "9 s"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(built_clear) struct built b = {0};

        build(&b, cases[i].set, "9 s");
        ck_assert_msg(!b.p.n, "%s: %s", cases[i].set, problems_text(&b.p));
        ck_assert_str_eq(conf_lookup(&b.config.flink, cases[i].key), cases[i].expected);
    }
}
END_TEST

START_TEST(keys_that_flink_reads_reach_it)
{
    size_t n;
    const struct flink_key *keys = flink_keys(&n);

    for (size_t i = 0; i < n; i++) {
        CLEANUP(built_clear) struct built b = {0};

        if (keys[i].treatment != KEY_PASSED)
            continue;
        build(&b, keys[i].key, "7");
        ck_assert_msg(!b.p.n, "%s: %s", keys[i].key, problems_text(&b.p));
        ck_assert_str_eq(str_or_empty(conf_get(&b.config.flink, named(&b.a, keys[i].key))), "7");
    }
}
END_TEST

START_TEST(refused_keys_say_what_does_the_same)
{
    size_t n;
    const struct flink_key *keys = flink_keys(&n);

    for (size_t i = 0; i < n; i++) {
        CLEANUP(built_clear) struct built b = {0};

        if (keys[i].treatment != KEY_REFUSED)
            continue;
        build(&b, keys[i].key, "7");
        const char *text = str_or_empty(problems_text(&b.p));

        ck_assert_msg(strstr(text, keys[i].key) && strstr(text, "podTemplate"), "%s: %s",
                      keys[i].key, text);
    }
}
END_TEST

START_TEST(keys_only_flink_can_serve_choose_its_allocator)
{
    size_t n;
    const struct flink_key *keys = flink_keys(&n);

    for (size_t i = 0; i < n; i++) {
        CLEANUP(built_clear) struct built b = {0};

        build(&b, keys[i].key, "true");
        if (keys[i].treatment != KEY_DELEGATED) {
            ck_assert_msg(b.p.n || b.config.allocator == ALLOCATOR_OPERATOR, "%s", keys[i].key);
            continue;
        }
        ck_assert_msg(!b.p.n && b.config.allocator == ALLOCATOR_FLINK &&
                          strstr(b.config.allocator_note, keys[i].key),
                      "%s: %s", keys[i].key, str_or_empty(problems_text(&b.p)));
        ck_assert_str_eq(conf_get(&b.config.flink, "execution.target"), "kubernetes-session");

        b.spec.allocator.type = ALLOCATOR_OPERATOR;
        cluster_config_build(&b.p, "team", "demo", &b.spec, &(struct conf){.a = &b.a}, &b.config);
        ck_assert_msg(b.p.n && strstr(problems_text(&b.p), "spec.allocator.type: Operator"), "%s",
                      str_or_empty(problems_text(&b.p)));
    }
}
END_TEST

static const struct {
    const char *version, *jar, *entry_class, *args;
    bool good;
} applications[] = {
    {"v1_20", "local:///opt/flink/usrlib/job.jar", "demo.Job", "[]", true},
    {"v1_20", NULL, "demo.Job", "[]", false},
    {"v2_2", NULL, "demo.Job", "[]", true},
    {"v1_20", NULL, "org.apache.flink.client.python.PythonDriver", "[]", true},
    {"v1_20", NULL, NULL, "['-pym','job']", true},
};

START_TEST(applications_are_given_to_flinks_allocator_with_their_jar)
{
    CLEANUP(built_clear) struct built b = {0};

    build(&b, "execution.batch.speculative.enabled", "true");
    b.spec.application = true;
    b.spec.version = flink_version_find(applications[_i].version);
    b.spec.job = (struct job_spec){.jar_uri = applications[_i].jar,
                                   .entry_class = applications[_i].entry_class,
                                   .args = json(&b.a, applications[_i].args)};
    cluster_config_build(&b.p, "team", "demo", &b.spec, &(struct conf){.a = &b.a}, &b.config);
    if (!applications[_i].good) {
        ck_assert_msg(b.p.n == 1 && strstr(problems_text(&b.p), "spec.job.jarURI: must be given"),
                      "%s", str_or_empty(problems_text(&b.p)));
        return;
    }
    ck_assert_msg(!b.p.n, "%s", str_or_empty(problems_text(&b.p)));
    ck_assert_str_eq(conf_get(&b.config.flink, "execution.target"), "kubernetes-application");
    ck_assert_str_eq(
        conf_get(&b.config.flink, "kubernetes.internal.jobmanager.entrypoint.class"),
        "org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint");
    ck_assert_str_eq(conf_get(&b.config.flink, "execution.shutdown-on-application-finish"),
                     "false");
}
END_TEST

START_TEST(a_switch_that_is_off_needs_no_other_allocator)
{
    CLEANUP(built_clear) struct built b = {0};

    build(&b, "execution.batch.speculative.enabled", "false");
    ck_assert(!b.p.n && b.config.allocator == ALLOCATOR_OPERATOR && !b.config.allocator_note);
}
END_TEST

void suite_flink_keys(TCase *tc)
{
    T(every_key_of_flink_is_in_the_table);
    T(the_table_of_the_readme_is_this_one);
    T(honoured_and_translated_keys_have_their_effect);
    T(the_users_time_outs_win);
    T(keys_that_flink_reads_reach_it);
    T(refused_keys_say_what_does_the_same);
    T(keys_only_flink_can_serve_choose_its_allocator);
    tcase_add_loop_test(tc, applications_are_given_to_flinks_allocator_with_their_jar, 0,
                        ARRAY_SIZE(applications));
    T(a_switch_that_is_off_needs_no_other_allocator);
}
