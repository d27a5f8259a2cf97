/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/kube/kube_config_internal.h"
#include "flinkop/base64.h"
#include "flinkop/clock.h"
#include "flinkop/kube_config.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/str.h"
#include "unit.h"

static struct {
    struct loop *loop;
    struct timer *guard;
    struct kube_config *config;
    char dir[SCRATCH_ROOM];
    char *cert[2], *key[2]; /* two pairs, as PEM */
    /* what kube_config_auth gave last */
    char *authorization;
    struct error err;
    unsigned generation;
    int given;
    bool waiting;
} t;

static void too_long(void *arg)
{
    (void)arg;
    ck_abort_msg("a test did not end within its time");
}

static char *bio_text(BIO *bio)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    char *text = xcalloc((size_t)n + 1, 1);

    memcpy(text, data, (size_t)n);
    BIO_free(bio);
    return text;
}

static void make_pair(char **cert, char **key)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *out = BIO_new(BIO_s_mem());

    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pkey);
    X509_sign(x, pkey, EVP_sha256());
    PEM_write_bio_X509(out, x);
    *cert = bio_text(out);
    out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL);
    *key = bio_text(out);
    X509_free(x);
    EVP_PKEY_free(pkey);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    scratch_make(t.dir);
    t.loop = loop_new();
    t.guard = timer_new(t.loop, too_long, NULL);
    timer_start(t.guard, 60000);
    make_pair(&t.cert[0], &t.key[0]);
    make_pair(&t.cert[1], &t.key[1]);
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
    setenv("HOME", t.dir, 1);
}

static void teardown(void)
{
    kube_config_free(t.config);
    loop_free(t.loop);
    for (int i = 0; i < 2; i++) {
        free(t.cert[i]);
        free(t.key[i]);
    }
    free(t.authorization);
    metrics_release();
    scratch_remove(t.dir);
}

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", t.dir, name);
}

static int load(struct kube_config_options o, struct error *err)
{
    kube_config_free(t.config);
    t.config = kube_config_load(t.loop, &o, err);
    return t.config ? 0 : -1;
}

/* Loads `text` as the file "config". */
static int load_text(const char *text, struct error *err)
{
    cleanup_free char *path = path_of("config");

    scratch_write(t.dir, "config", text);
    return load((struct kube_config_options){.kubeconfig = path, .exec_timeout_ms = 1000}, err);
}

static void must_load(const char *text)
{
    struct error err = {0};

    if (load_text(text, &err))
        ck_abort_msg("%s", err.text);
}

static void on_auth(void *arg, const struct kube_auth *auth, const struct error *err)
{
    (void)arg;
    t.given++;
    str_replace(&t.authorization, auth ? auth->authorization : NULL);
    t.generation = auth ? auth->generation : 0;
    t.err = err ? *err : (struct error){0};
    ck_assert(!auth || auth->tls);
    if (t.waiting)
        loop_stop(t.loop);
}

/* The header, or "" for none, or the error's text. */
static const char *auth(void)
{
    int before = t.given;

    kube_config_auth(t.config, &t, on_auth, NULL);
    t.waiting = t.given == before;
    if (t.waiting)
        loop_run(t.loop);
    t.waiting = false;
    ck_assert_int_eq(t.given, before + 1);
    return t.err.code ? t.err.text : str_or_empty(t.authorization);
}

#define CONTEXT                                 \
    "current-context: c\n"                      \
    "contexts:\n"                               \
    "- {name: other, context: {cluster: k2}}\n" \
    "- {name: c, context: {cluster: k, user: u, namespace: team}}\n"
#define CLUSTER(members) "clusters:\n- {name: k, cluster: {" members "}}\n"
#define SERVER CLUSTER("server: 'https://h:6443/'")
#define USER(members) "users:\n- {name: u, user: {" members "}}\n"

START_TEST(a_kubeconfig_gives_server_and_token)
{
    must_load(CONTEXT SERVER USER("token: abc"));
    ck_assert_str_eq(kube_config_server(t.config), "https://h:6443");
    ck_assert_str_eq(kube_config_namespace(t.config), "team");
    ck_assert_ptr_null(kube_config_proxy(t.config));
    ck_assert(!kube_config_in_cluster(t.config));
    ck_assert_str_eq(auth(), "Bearer abc");
}
END_TEST

START_TEST(contexts_are_chosen)
{
    cleanup_free char *path = path_of("config");
    struct error err = {0};

    scratch_write(t.dir, "config",
                  CONTEXT "clusters:\n- {name: k2, cluster: {server: 'http://two', "
                          "proxy-url: 'socks5://p'}}\n");
    ck_assert_int_eq(load((struct kube_config_options){path, "other", NULL, 0}, &err), 0);
    ck_assert_str_eq(kube_config_server(t.config), "http://two");
    ck_assert_str_eq(kube_config_proxy(t.config), "socks5://p");
    ck_assert_str_eq(kube_config_namespace(t.config), "default");
    ck_assert_str_eq(auth(), "");
    ck_assert_int_eq(load((struct kube_config_options){path, "third", NULL, 0}, &err), -1);
    assert_error(&err, ERR_INVALID, "config: no entry \"third\" in contexts");
}
END_TEST

START_TEST(paths_are_relative_to_their_file)
{
    cleanup_free char *sub = path_of("sub");

    mkdir(sub, 0700);
    scratch_write(t.dir, "sub/ca.crt", t.cert[0]);
    scratch_write(t.dir, "sub/client.crt", t.cert[1]);
    scratch_write(t.dir, "sub/client.key", t.key[1]);
    scratch_write(t.dir, "sub/tok", " from-file \n");
    scratch_write(t.dir, "sub/config",
                  CONTEXT CLUSTER("server: 'https://h', certificate-authority: ca.crt")
                      USER("client-certificate: client.crt, client-key: ../sub/client.key, "
                           "tokenFile: tok, token: ignored"));
    cleanup_free char *path = path_of("sub/config");
    struct error err = {0};

    if (load((struct kube_config_options){.kubeconfig = path}, &err))
        ck_abort_msg("%s", err.text);
    ck_assert_str_eq(auth(), "Bearer from-file");
}
END_TEST

START_TEST(data_beats_paths)
{
    cleanup_free char *ca = base64_encode(t.cert[0], strlen(t.cert[0]));
    cleanup_free char *cert = base64_encode(t.cert[1], strlen(t.cert[1]));
    cleanup_free char *key = base64_encode(t.key[1], strlen(t.key[1]));
    cleanup_free char *text =
        xasprintf(CONTEXT CLUSTER("server: 'https://h', certificate-authority: nowhere, "
                                  "certificate-authority-data: %s, tls-server-name: other.name")
                      USER("client-certificate-data: %s, client-key-data: %s, client-key: nowhere"),
                  ca, cert, key);

    must_load(text);
    ck_assert_str_eq(auth(), "");
}
END_TEST

START_TEST(several_files_are_merged_the_first_one_wins)
{
    struct error err = {0};

    scratch_write(t.dir, "a",
                  "contexts:\n- {name: c, context: {cluster: k, user: u, namespace: first}}\n"
                  "users:\n- {name: u, user: {token: a}}\n");
    scratch_write(t.dir, "b", CONTEXT SERVER USER("token: b"));
    cleanup_free char *env = xasprintf("%s/missing:%s/a::%s/b", t.dir, t.dir, t.dir);

    setenv("KUBECONFIG", env, 1);
    if (load((struct kube_config_options){0}, &err))
        ck_abort_msg("%s", err.text);
    ck_assert_str_eq(kube_config_namespace(t.config), "first");
    ck_assert_str_eq(auth(), "Bearer a");
    setenv("KUBECONFIG", "/nowhere/x:/nowhere/y", 1);
    ck_assert_int_eq(load((struct kube_config_options){0}, &err), -1);
    assert_error(&err, ERR_NOT_FOUND, "/nowhere/x does not exist");
    unsetenv("KUBECONFIG");
    ck_assert_int_eq(load((struct kube_config_options){0}, &err), -1);
    assert_error(&err, ERR_NOT_FOUND, "/.kube/config does not exist");
}
END_TEST

START_TEST(bad_files_are_refused_with_file_and_field)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[1]", "config: not a mapping"},
        {"a: b: c", "config: line 1"},
        {"", "config: current-context is not set"},
        {"current-context: ''", "current-context is not set"},
        {"current-context: x", "config: no entry \"x\" in contexts"},
        {"current-context: c\ncontexts: [{name: c}]", "contexts[name=c].context is missing"},
        {"current-context: c\ncontexts: [{name: c, context: {user: u}}]",
         "contexts[name=c].context.cluster is missing"},
        {"current-context: c\ncontexts: [{name: c, context: {cluster: [1]}}]",
         "contexts[name=c].context.cluster must be a string"},
        {CONTEXT, "no entry \"k\" in clusters"},
        {CONTEXT CLUSTER("x: y"), "clusters[name=k].cluster.server is missing"},
        {CONTEXT CLUSTER("server: 'ftp://x'"),
         "clusters[name=k].cluster.server is neither http nor https: ftp://x"},
        {CONTEXT CLUSTER("server: 'https://h', insecure-skip-tls-verify: 'yes'"),
         "cluster.insecure-skip-tls-verify must be true or false"},
        {CONTEXT CLUSTER("server: 'https://h', insecure-skip-tls-verify: true, "
                         "certificate-authority: x"),
         "has both insecure-skip-tls-verify and a certificate authority"},
        {CONTEXT CLUSTER("server: 'https://h', certificate-authority-data: '%%%'"),
         "cluster.certificate-authority-data is not base64"},
        {CONTEXT CLUSTER("server: 'https://h', certificate-authority-data: aGVsbG8=") USER(""),
         "certificate authority holds no certificate in PEM form"},
        {CONTEXT CLUSTER("server: 'https://h', certificate-authority: nowhere.crt") USER(""),
         "nowhere.crt"},
        {CONTEXT SERVER, "no entry \"u\" in users"},
        {CONTEXT SERVER USER("token: [1]"), "users[name=u].user.token must be a string"},
        {CONTEXT SERVER USER("token: 'a b'"), "the bearer token has blanks"},
        {CONTEXT SERVER USER("token: \"a\\nX: y\""), "the bearer token has blanks"},
        {CONTEXT SERVER USER("tokenFile: nowhere"), "token: cannot open"},
        {CONTEXT SERVER USER("client-key: x"),
         "users[name=u].user has only one of client-certificate and client-key"},
        {CONTEXT SERVER USER("token: a, username: b"), "has both a token and a username"},
        {CONTEXT SERVER USER("auth-provider: {name: gcp}"), "user.auth-provider is not supported"},
        {CONTEXT SERVER USER("exec: {}"), "users[name=u].user.exec.command is missing"},
        {CONTEXT SERVER USER("exec: {command: x}"), "user.exec.apiVersion must be"},
        {CONTEXT SERVER USER("exec: {command: x, apiVersion: client.authentication.k8s.io/v1}"),
         "user.exec.interactiveMode is missing"},
        {CONTEXT SERVER USER("exec: {command: x, interactiveMode: Always, apiVersion: "
                             "client.authentication.k8s.io/v1}"),
         "user.exec.interactiveMode is \"Always\""},
        {CONTEXT SERVER USER("exec: {command: x, args: y, apiVersion: "
                             "client.authentication.k8s.io/v1beta1}"),
         "user.exec.args must be a list"},
        {CONTEXT SERVER USER("exec: {command: x, args: [a, 1], apiVersion: "
                             "client.authentication.k8s.io/v1beta1}"),
         "user.exec.args[1] must be a string"},
        {CONTEXT SERVER USER("exec: {command: x, env: [{name: A}], apiVersion: "
                             "client.authentication.k8s.io/v1beta1}"),
         "user.exec.env[0] needs a name and a value"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error err = {0};

        if (!load_text(cases[i].text, &err))
            ck_abort_msg("accepted %s", cases[i].text);
        if (!strstr(err.text, cases[i].words))
            ck_abort_msg("%s, not: %s", err.text, cases[i].words);
        ck_assert(err.code == ERR_INVALID || err.code == ERR_PARSE || err.code == ERR_NOT_FOUND);
    }
    struct error err = {0};

    ck_assert_int_eq(load((struct kube_config_options){.kubeconfig = "/nowhere/c"}, &err), -1);
    assert_error(&err, ERR_NOT_FOUND, "kubeconfig: cannot open /nowhere/c");
}
END_TEST

START_TEST(keys_must_belong_to_their_certificates)
{
    struct error err = {0};

    scratch_write(t.dir, "a.crt", t.cert[0]);
    scratch_write(t.dir, "b.key", t.key[1]);
    ck_assert_int_eq(
        load_text(CONTEXT SERVER USER("client-certificate: a.crt, client-key: b.key"), &err), -1);
    assert_error(&err, ERR_INVALID, "the key does not belong to the certificate");
    ck_assert_int_eq(
        load_text(CONTEXT SERVER USER("client-certificate: b.key, client-key: b.key"), &err), -1);
    assert_error(&err, ERR_INVALID, "no certificate in PEM form");
    ck_assert_int_eq(
        load_text(CONTEXT SERVER USER("client-certificate: a.crt, client-key: a.crt"), &err), -1);
    assert_error(&err, ERR_INVALID, "no private key in PEM form");
}
END_TEST

START_TEST(secrets_are_not_in_errors)
{
    struct error err = {0};

    ck_assert_int_eq(load_text(CONTEXT SERVER USER("token: 'top secret'"), &err), -1);
    ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

START_TEST(servers_without_a_scheme_are_understood)
{
    must_load(CONTEXT CLUSTER("server: 'h:80'") USER("username: me, password: pw"));
    ck_assert_str_eq(kube_config_server(t.config), "http://h:80");
    ck_assert_str_eq(auth(), "Basic bWU6cHc=");
    must_load(CONTEXT CLUSTER("server: 'h:80', insecure-skip-tls-verify: true") USER(""));
    ck_assert_str_eq(kube_config_server(t.config), "https://h:80");
}
END_TEST

START_TEST(base64_is_strict)
{
    static const struct {
        const char *text, *plain;
    } cases[] = {{"", ""},           {"YQ==", "a"},      {"YWI=", "ab"},  {"YWJj", "abc"},
                 {"YW Jj\n", "abc"}, {"YQ=", NULL},      {"YQ", NULL},    {"Y===", NULL},
                 {"====", NULL},     {"YQ==YQ==", NULL}, {"-YWJj", NULL}, {"YW.j", NULL}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t len = 99;
        cleanup_free char *plain = base64_decode(cases[i].text, &len);

        if (!str_eq(plain, cases[i].plain))
            ck_abort_msg("%s gives %s", cases[i].text, str_or(plain, "nothing"));
        ck_assert(!plain || len == strlen(plain));
    }
}
END_TEST

/* ---- in a pod ---- */

START_TEST(a_pod_uses_its_service_account)
{
    struct kube_config_options o = {.service_account_dir = t.dir};
    struct error err = {0};

    scratch_write(t.dir, "token", "tok1");
    scratch_write(t.dir, "ca.crt", t.cert[0]);
    scratch_write(t.dir, "namespace", "mine\n");
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    if (load(o, &err))
        ck_abort_msg("%s", err.text);
    ck_assert(kube_config_in_cluster(t.config));
    ck_assert_str_eq(kube_config_server(t.config), "https://10.0.0.1:443");
    ck_assert_str_eq(kube_config_namespace(t.config), "mine");
    ck_assert_str_eq(auth(), "Bearer tok1");
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    ck_assert_int_eq(load(o, &err), 0);
    ck_assert_str_eq(kube_config_server(t.config), "https://[fd00::1]:443");
    /* an explicit file beats the pod, the pod beats the environment */
    scratch_write(t.dir, "config", CONTEXT SERVER USER("token: abc"));
    cleanup_free char *path = path_of("config");

    setenv("KUBECONFIG", path, 1);
    ck_assert_int_eq(load(o, &err), 0);
    ck_assert(kube_config_in_cluster(t.config));
    o.kubeconfig = path;
    ck_assert_int_eq(load(o, &err), 0);
    ck_assert(!kube_config_in_cluster(t.config));
}
END_TEST

START_TEST(files_are_read_again_when_the_server_refuses)
{
    scratch_write(t.dir, "token", "one");
    scratch_write(t.dir, "ca.crt", t.cert[0]);
    must_load(CONTEXT CLUSTER("server: 'https://h', certificate-authority: ca.crt")
                  USER("tokenFile: token"));
    ck_assert_str_eq(auth(), "Bearer one");
    unsigned first = t.generation;

    scratch_write(t.dir, "token", "two");
    ck_assert_str_eq(auth(), "Bearer one"); /* at most once a minute */
    kube_config_refresh(t.config, first - 1);
    ck_assert_str_eq(auth(), "Bearer one"); /* an old refusal says nothing */
    kube_config_refresh(t.config, first);
    ck_assert_str_eq(auth(), "Bearer two");
    ck_assert_uint_gt(t.generation, first);
    kube_config_refresh(t.config, t.generation);
    unsigned second = t.generation;
    auth();
    ck_assert_uint_eq(t.generation, second); /* nothing changed */
    scratch_write(t.dir, "ca.crt", t.cert[1]);
    kube_config_refresh(t.config, t.generation);
    auth();
    ck_assert_uint_gt(t.generation, second);
    unsigned third = t.generation;
    scratch_write(t.dir, "ca.crt", t.cert[0]);
    kube_config_reread(t.config, second);
    auth();
    ck_assert_uint_eq(t.generation, third); /* of another authority than the one in force */
    kube_config_reread(t.config, third);
    auth();
    ck_assert_uint_gt(t.generation, third);
}
END_TEST

START_TEST(bad_new_files_leave_the_old_credentials)
{
    scratch_write(t.dir, "c.crt", t.cert[0]);
    scratch_write(t.dir, "c.key", t.key[0]);
    scratch_write(t.dir, "token", "one");
    must_load(
        CONTEXT SERVER USER("client-certificate: c.crt, client-key: c.key, tokenFile: token"));
    ck_assert_str_eq(auth(), "Bearer one");
    unsigned first = t.generation;

    scratch_write(t.dir, "c.crt", t.cert[1]); /* the key follows later */
    scratch_write(t.dir, "token", "two");
    kube_config_refresh(t.config, first);
    ck_assert_str_eq(auth(), "Bearer one");
    scratch_write(t.dir, "c.key", t.key[1]);
    kube_config_refresh(t.config, first);
    ck_assert_str_eq(auth(), "Bearer two");
    cleanup_free char *path = path_of("token");

    unlink(path);
    kube_config_refresh(t.config, t.generation);
    ck_assert_str_eq(auth(), "Bearer two");
}
END_TEST

/* ---- exec plugins ---- */

/* A plugin that counts its runs in the file "runs" and does what the script says. */
static void exec_config(const char *script, const char *more)
{
    cleanup_free char *plugin = xasprintf("#!/bin/sh\ncd %s\necho run >>runs\n%s\n", t.dir, script);
    cleanup_free char *path = path_of("plugin");
    cleanup_free char *text = xasprintf(
        CONTEXT CLUSTER("server: 'https://h', extensions: [{name: client.authentication.k8s.io/"
                        "exec, extension: {audience: x}}]")
            USER("exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, "
                 "command: ./plugin, args: [get, 'a b;$(x)'], env: [{name: MORE, value: 'v w'}]%s"
                 "}"),
        more);

    scratch_write(t.dir, "plugin", plugin);
    chmod(path, 0700);
    must_load(text);
}

static int runs(void)
{
    cleanup_free char *path = path_of("runs");
    FILE *f = fopen(path, "r");
    int n = 0, c;

    while (f && (c = fgetc(f)) != EOF)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

#define CREDENTIAL(status)                                      \
    "cat <<'END'\n{\"kind\":\"ExecCredential\",\"apiVersion\":" \
    "\"client.authentication.k8s.io/v1\",\"status\":{" status "}}\nEND\n"

START_TEST(an_exec_plugin_gives_a_token_once)
{
    exec_config(
        "printf '%s|' \"$@\" \"$MORE\" >args; printf '%s' \"$KUBERNETES_EXEC_INFO\" >info\n" CREDENTIAL(
            "\"token\":\"tok\""),
        ", provideClusterInfo: true");
    ck_assert_int_eq(runs(), 0);
    ck_assert_str_eq(auth(), "Bearer tok");
    ck_assert_str_eq(auth(), "Bearer tok");
    ck_assert_int_eq(runs(), 1);
    cleanup_free char *cmp = xasprintf(
        "cd %s && printf 'get|a b;$(x)|v w|' | cmp - args && printf '%%s' "
        "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
        "\"spec\":{\"cluster\":{\"server\":\"https://h\",\"config\":{\"audience\":\"x\"}},"
        "\"interactive\":false}}' | cmp - info",
        t.dir);

    ck_assert_int_eq(system(cmp), 0);
    /* a refusal right after a run does not start another one */
    kube_config_refresh(t.config, t.generation);
    ck_assert_str_eq(auth(), "Bearer tok");
    ck_assert_int_eq(runs(), 1);
}
END_TEST

START_TEST(an_expired_credential_is_renewed)
{
    exec_config("n=$(wc -l <runs)\n[ $n -lt 3 ] && until=2001-01-01T00:00:00Z || "
                "until=2999-01-01T00:00:00Z\n"
                "cat <<END\n{\"kind\":\"ExecCredential\",\"apiVersion\":"
                "\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"t$n\","
                "\"expirationTimestamp\":\"$until\"}}\nEND\n",
                "");
    ck_assert_str_eq(auth(), "Bearer t1"); /* what it gave is used even if it is short-lived */
    ck_assert_str_eq(auth(), "Bearer t2");
    ck_assert_str_eq(auth(), "Bearer t3");
    ck_assert_str_eq(auth(), "Bearer t3");
    ck_assert_int_eq(runs(), 3);
}
END_TEST

START_TEST(an_exec_plugin_may_give_a_certificate)
{
    cleanup_free char *file = xasprintf("%s%s", t.cert[0], t.key[0]);

    scratch_write(t.dir, "pair", file);
    exec_config("j() { awk '{printf \"%s\\\\n\", $0}' \"$1\"; }\n"
                "awk '/BEGIN CERT/,/END CERT/' pair >c; awk '/BEGIN PRIV/,/END PRIV/' pair >k\n"
                "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
                "\"client.authentication.k8s.io/v1\",\"status\":{\"clientCertificateData\":\"'\"$("
                "j c)\"'\",\"clientKeyData\":\"'\"$(j k)\"'\"}}'\n",
                "");
    ck_assert_str_eq(auth(), "");
    ck_assert_str_eq(t.err.text, "");
    ck_assert_str_eq(t.config->exec_result.cert, t.cert[0]);
}
END_TEST

START_TEST(bad_exec_plugins_are_errors_that_say_why)
{
    static const struct {
        const char *script, *words;
        enum errc code;
    } cases[] = {
        {"echo first >&2; echo 'no session: log in' >&2; exit 3",
         "ended with status 3: no session: log in", ERR_INTERNAL},
        {"kill -9 $$", "was ended by signal 9", ERR_INTERNAL},
        {"sleep 30", "did not end within 1000 ms", ERR_TIMEOUT},
        {"sleep 30 & exit 0", "did not end within 1000 ms", ERR_TIMEOUT},
        {"yes", "wrote more than 262144 bytes", ERR_TOO_LARGE},
        {"echo hello", "malformed JSON", ERR_PARSE},
        {"echo '{}'", "its output is no ExecCredential", ERR_INVALID},
        {"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/"
         "v1beta1\"}'",
         "it answered with apiVersion client.authentication.k8s.io/v1beta1", ERR_INVALID},
        {CREDENTIAL(""), "neither a token nor a client certificate", ERR_INVALID},
        {CREDENTIAL("\"clientKeyData\":\"x\",\"token\":\"y\""), "only one of", ERR_INVALID},
        {CREDENTIAL("\"clientKeyData\":\"x\",\"clientCertificateData\":\"y\""),
         "its client certificate: no certificate", ERR_INVALID},
        {CREDENTIAL("\"token\":\"y\",\"expirationTimestamp\":\"soon\""),
         "its expirationTimestamp is not a time", ERR_INVALID},
        {CREDENTIAL("\"token\":\"a b\""), "the bearer token has blanks", ERR_INVALID},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        exec_config(cases[i].script, "");
        int before = runs();

        auth();
        assert_error(&t.err, cases[i].code, cases[i].words);
        assert_error(&t.err, cases[i].code, "users[name=u].user.exec");
        auth(); /* a failure is not tried again at once */
        assert_error(&t.err, cases[i].code, cases[i].words);
        ck_assert_int_eq(runs(), before + 1);
    }
}
END_TEST

START_TEST(a_missing_plugin_gives_its_hint)
{
    must_load(CONTEXT SERVER USER("exec: {apiVersion: client.authentication.k8s.io/v1beta1, "
                                  "command: no-such-plugin, installHint: 'get it there'}"));
    ck_assert_ptr_nonnull(strstr(auth(), "cannot be started: no such file or directory. get it"));
}
END_TEST

static void count(void *arg, const struct kube_auth *a, const struct error *err)
{
    int *n = arg;

    ck_assert_ptr_null(err);
    ck_assert_str_eq(a->authorization, "Bearer tok");
    if (++*n == 3)
        loop_stop(t.loop);
}

START_TEST(all_who_wait_are_served_by_one_run)
{
    int n = 0, dropped = 0;

    exec_config("sleep 0.05\n" CREDENTIAL("\"token\":\"tok\""), "");
    for (int i = 0; i < 3; i++)
        kube_config_auth(t.config, &n, count, &n);
    kube_config_auth(t.config, &dropped, count, &dropped);
    kube_config_auth_drop(t.config, &dropped);
    loop_run(t.loop);
    ck_assert_int_eq(n, 3);
    ck_assert_int_eq(dropped, 0);
    ck_assert_int_eq(runs(), 1);
}
END_TEST

static void free_config(void *arg, const struct kube_auth *a, const struct error *err)
{
    (void)arg;
    (void)a;
    (void)err;
    kube_config_free(t.config);
    t.config = NULL;
    loop_stop(t.loop);
}

START_TEST(a_configuration_may_be_freed_while_others_wait)
{
    exec_config(CREDENTIAL("\"token\":\"tok\""), "");
    for (int i = 0; i < 3; i++)
        kube_config_auth(t.config, &t, free_config, NULL);
    loop_run(t.loop);
    ck_assert_ptr_null(t.config);
    exec_config("sleep 30", "");
    kube_config_auth(t.config, &t, free_config, NULL);
    kube_config_free(TAKE_PTR(t.config)); /* while it runs */
}
END_TEST

void suite_kube_config(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(a_kubeconfig_gives_server_and_token);
    T(contexts_are_chosen);
    T(paths_are_relative_to_their_file);
    T(data_beats_paths);
    T(several_files_are_merged_the_first_one_wins);
    T(bad_files_are_refused_with_file_and_field);
    T(keys_must_belong_to_their_certificates);
    T(secrets_are_not_in_errors);
    T(servers_without_a_scheme_are_understood);
    T(base64_is_strict);
    T(a_pod_uses_its_service_account);
    T(files_are_read_again_when_the_server_refuses);
    T(bad_new_files_leave_the_old_credentials);
    T(an_exec_plugin_gives_a_token_once);
    T(an_expired_credential_is_renewed);
    T(an_exec_plugin_may_give_a_certificate);
    T(bad_exec_plugins_are_errors_that_say_why);
    T(a_missing_plugin_gives_its_hint);
    T(all_who_wait_are_served_by_one_run);
    T(a_configuration_may_be_freed_while_others_wait);
}
