/* SPDX-License-Identifier: Apache-2.0 */
/* flink-operator run: the daemon. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "flinkop/arena.h"
#include "flinkop/clock.h"
#include "flinkop/controller.h"
#include "flinkop/error.h"
#include "flinkop/file.h"
#include "flinkop/hash.h"
#include "flinkop/health.h"
#include "flinkop/json.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_lease.h"
#include "flinkop/log.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/operator_config.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "flinkop/webhook.h"
#include "settings.h"

#define TRIM_MS 30000
#define SILENCE_MS 900000 /* a watch ends by itself within 10 min; bookmarks come every one */
#define DEFAULT_PORT 8085

struct options {
    const char *kubeconfig, *context, *namespaces, *conf_dir, *flink_tls;
    int flink_access, port, secure_port;
    const char *tls_cert, *tls_key;
    bool local_debug;
    const char *log_level;
    int log_format;
    bool elect;
    const char *lease;
    const char *webhook, *webhook_service;
    int webhook_port;
    int64_t webhook_life;
};

static const char *const accesses[] = {"auto", "direct", "proxy", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};

static const struct option_spec table[] = {
    {"kubeconfig", NULL, "FILE", OPT_STRING, offsetof(struct options, kubeconfig),
     .help =
         "Kubeconfig; without it the pod's service account, else $KUBECONFIG or ~/.kube/config"},
    {"context", NULL, "NAME", OPT_STRING, offsetof(struct options, context),
     .help = "Context of the kubeconfig instead of its current one"},
    {"namespace", "WATCH_NAMESPACES", "NS[,NS...]", OPT_STRING,
     offsetof(struct options, namespaces),
     .help = "Namespaces to serve; empty: kubernetes.operator.watched.namespaces, else all"},
    {"flink-access", "FLINK_OPERATOR_FLINK_ACCESS", NULL, OPT_CHOICE,
     offsetof(struct options, flink_access), "auto", .choices = accesses,
     .help =
         "How JobManagers are reached: at their pods' addresses, or through the API server; auto: "
         "directly in a cluster, else through the API server"},
    {"flink-tls", "FLINK_OPERATOR_FLINK_TLS", "DIR", OPT_STRING,
     offsetof(struct options, flink_tls),
     .help =
         "For JobManagers with security.ssl.rest.enabled: ca.crt, of which their certificates "
         "have to be, and tls.crt and tls.key, which the operator shows; all in PEM, read again "
         "when they change. DIR/NAMESPACE counts for that namespace instead"},
    {"port", "FLINK_OPERATOR_PORT", "PORT", OPT_INT, offsetof(struct options, port), "-1", -1,
     65535,
     .help = "Port of /healthz, /readyz and /metrics; 0: any free one; -1: "
             "kubernetes.operator.health.probe.port, else 8085"},
    {"tls-cert", "FLINK_OPERATOR_TLS_CERT", "FILE", OPT_STRING, offsetof(struct options, tls_cert),
     .help = "Certificate (PEM, the chain behind it), read again when it changes. With it /metrics "
             "and /debug are on --secure-port, by TLS, for who brings a token and may get them"},
    {"tls-key", "FLINK_OPERATOR_TLS_KEY", "FILE", OPT_STRING, offsetof(struct options, tls_key),
     .help = "Its key (PEM)"},
    {"secure-port", "FLINK_OPERATOR_SECURE_PORT", "PORT", OPT_INT,
     offsetof(struct options, secure_port), "8443", 0, 65535, .help = "That port; 0: any free one"},
    {"local-debug", "FLINK_OPERATOR_LOCAL_DEBUG", NULL, OPT_BOOL,
     offsetof(struct options, local_debug),
     .help = "Show /debug on --port, too, to callers of this machine, whoever they are: for "
             "development"},
    {"conf-dir", "FLINK_CONF_DIR", "DIR", OPT_STRING, offsetof(struct options, conf_dir),
     .help = "Operator configuration (config.yaml or flink-conf.yaml): defaults for all clusters"},
    {"leader-elect", "FLINK_OPERATOR_LEADER_ELECT", NULL, OPT_BOOL, offsetof(struct options, elect),
     .help = "Of several processes only the one that holds a Lease works (also: "
             "kubernetes.operator.leader-election.enabled)"},
    {"lease", "FLINK_OPERATOR_LEASE", "[NS/]NAME", OPT_STRING, offsetof(struct options, lease),
     .help = "That Lease, without NS in the operator's own namespace; empty: "
             "kubernetes.operator.leader-election.lease-name, else flink-operator"},
    {"webhook", "FLINK_OPERATOR_WEBHOOK", "NAME", OPT_STRING, offsetof(struct options, webhook),
     .help = "Serve the validating admission webhook, and keep the caBundle of the "
             "ValidatingWebhookConfiguration NAME right; empty: there is none"},
    {"webhook-port", "FLINK_OPERATOR_WEBHOOK_PORT", "PORT", OPT_INT,
     offsetof(struct options, webhook_port), "9443", 0, 65535,
     .help = "Its port, by TLS; 0: any free one"},
    {"webhook-service", "FLINK_OPERATOR_WEBHOOK_SERVICE", "NAME", OPT_STRING,
     offsetof(struct options, webhook_service), "flink-operator-webhook",
     .help = "The Service, in the operator's own namespace, through which the API server asks; its "
             "certificate is in the Secret NAME-tls, which the operator makes"},
    {"webhook-certificate-lifetime", "FLINK_OPERATOR_WEBHOOK_CERTIFICATE_LIFETIME", "DURATION",
     OPT_DURATION, offsetof(struct options, webhook_life), "90 d", 15000,
     INT64_C(10) * 365 * 24 * 3600 * 1000,
     .help = "How long such a certificate counts; it is renewed when two thirds of that are over"},
    {"log-level", "FLINK_OPERATOR_LOG_LEVEL", "LEVEL", OPT_STRING,
     offsetof(struct options, log_level), "info",
     .help = "error, warn, info or debug; SIGUSR1 switches to debug and back"},
    {"log-format", "FLINK_OPERATOR_LOG_FORMAT", NULL, OPT_CHOICE,
     offsetof(struct options, log_format), "auto", .choices = formats,
     .help = "One JSON object a line, or text; auto: text on a terminal"},
};

struct process {
    struct loop *loop;
    struct settings *settings;
    struct kube_config *config;
    struct kube_client *kube;
    struct kube_lease *lease; /* NULL: this process works in any case */
    char identity[320];       /* a pod's name has up to 253 characters */
    struct controller_options work;
    struct controller *controller; /* NULL: another process leads */
    struct health *health;
    struct webhook *webhook; /* NULL: there is none */
    struct timer *sync_timer, *drain_timer, *trim_timer;
    enum log_level log_level; /* to come back to from debug */
    int64_t started;
    bool stopping, lost;
};

/* ---- health ---- */

static bool live(void *arg, struct strbuf *why)
{
    const struct process *p = arg;
    int64_t silence = p->controller ? controller_silence(p->controller) : 0;

    if (silence < SILENCE_MS)
        return true;
    strbuf_addf(why, "a watch has been silent for %lld s", (long long)silence / 1000);
    return false;
}

/* NULL: nothing. */
static const char *waits_for(const struct process *p)
{
    const char *wrong;

    if (p->stopping)
        return "stopping";
    if (p->webhook && webhook_waits(p->webhook))
        return webhook_waits(p->webhook);
    if (!p->controller) {
        wrong = kube_lease_error(p->lease);
        return wrong || kube_lease_holder(p->lease) ? wrong : "waiting for the Lease";
    }
    wrong = controller_blind(p->controller);
    return wrong || controller_synced(p->controller) ? wrong : "waiting for the first lists";
}

static bool ready(void *arg, struct strbuf *why)
{
    const char *wrong = waits_for(arg);

    strbuf_adds(why, str_or_empty(wrong));
    return !wrong;
}

/* ---- debug ---- */

static jv leadership(struct arena *a, const struct process *p)
{
    if (!p->lease)
        return jv_dup(a, OBJ({"elected", BOOL(false)}, {"leads", BOOL(true)}));
    return jv_dup(a,
                  OBJ({"elected", BOOL(true)}, {"leads", BOOL(p->controller != NULL)},
                      {"identity", STR(p->identity)}, {"holder", STR(kube_lease_holder(p->lease))},
                      {"error", STR(kube_lease_error(p->lease))}));
}

static void debug(void *arg, struct strbuf *ret)
{
    struct process *p = arg;
    cleanup_arena struct arena a = {0};
    struct jv_list all = JV_LIST(&a);
    const char *waits = waits_for(p);

    jv_list_put(&all, "version", STR(FLINKOP_VERSION));
    jv_list_put(&all, "upMs", INT(clock_mono_ms() - p->started));
    jv_list_put(&all, "logLevel", STR(log_level_name(log_level())));
    jv_list_put(&all, "ready", BOOL(!waits));
    jv_list_put(&all, "waitsFor", STR(waits));
    jv_list_put(&all, "leader", leadership(&a, p));
    if (p->controller)
        controller_dump(p->controller, &a, &all);
    if (settings_error(p->settings))
        jv_list_put(&all, "configurationError", STR(settings_error(p->settings)));
    json_write(ret, jv_list_obj(&all));
}

static void switch_log_level(void *arg)
{
    const struct process *p = arg;

    log_change_level(log_level() == LOG_DEBUG ? p->log_level : LOG_DEBUG);
}

/* ---- life ---- */

static struct metric build_info = METRIC_GAUGE(
    "flink_operator_build_info", "The version of the operator", "version", "namespace", "pod");

static void stop_now(void *arg)
{
    loop_stop(((struct process *)arg)->loop);
}

static void drained(void *arg)
{
    struct process *p = arg;

    if (p->lease)
        kube_lease_release(p->lease, stop_now, p);
    else
        loop_stop(p->loop);
}

static void on_signal(void *arg)
{
    struct process *p = arg;

    if (p->stopping) { /* a second one: at once */
        loop_stop(p->loop);
        return;
    }
    p->stopping = true;
    log_info("stopping");
    timer_start(p->drain_timer, settings_now(p->settings)->drain_ms);
    if (p->controller)
        controller_drain(p->controller, drained, p);
    else
        drained(p);
}

static void watch_sync(void *arg)
{
    struct process *p = arg;

    if (controller_synced(p->controller))
        log_info("ready", KV_INT("ms", clock_mono_ms() - p->started));
    else
        timer_start(p->sync_timer, 5);
}

static void work(void *arg)
{
    struct process *p = arg;

    p->work.config = settings_now(p->settings);
    p->controller = controller_new(&p->work);
    if (p->webhook)
        webhook_lead(p->webhook);
    timer_start(p->sync_timer, 0);
}

static void configure(void *arg)
{
    struct process *p = arg;
    struct operator_config *config = settings_now(p->settings);

    if (p->controller)
        controller_configure(p->controller, config);
    if (p->webhook)
        webhook_configure(p->webhook, config);
}

/* What it knows may be old by now, and what it has begun is another one's: only a new process is
 * sure to know nothing. */
static void lost(void *arg)
{
    struct process *p = arg;

    p->lost = true;
    loop_stop(p->loop);
}

/* Between objects that stay there is room that only a burst of work has needed: the first lists, a
 * thousand clusters at once. */
static void trim(void *arg)
{
    struct process *p = arg;

    mem_trim();
    timer_start(p->trim_timer, TRIM_MS);
}

static void setup_log(const struct options *o, enum log_level level)
{
    bool text = o->log_format == 2 || (o->log_format == 0 && isatty(STDERR_FILENO));

    log_setup(level, text ? LOG_TEXT : LOG_JSON);
}

/* Where our own pod runs, NULL if it is none: as it was told, else as its token says. */
static const char *operator_ns(struct arena *a)
{
    static const char file[] = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    const char *ns = getenv("OPERATOR_NAMESPACE");
    cleanup_free char *text = NULL;
    struct error err;

    if (!str_empty(ns))
        return ns;
    text = file_read(file, 256, NULL, &err);
    return text ? str_trim(a, text) : NULL;
}

/* A container that starts again in its pod is the only one there, so it need not wait for the Lease
 * of its former process to run out. */
static void identify(struct process *p)
{
    const char *pod = getenv("POD_NAME"), *uid = getenv("POD_UID");
    char host[HOST_NAME_MAX + 1] = "", id[33];

    gethostname(host, sizeof(host) - 1);
    random_hex(id, 16);
    if (str_empty(pod) || str_empty(uid)) {
        pod = host;
        uid = id;
    }
    snprintf(p->identity, sizeof(p->identity), "%s_%s", pod, uid);
}

/* [NS/]NAME */
static int elect(struct process *p, struct arena *a, const struct options *o, struct error *err)
{
    const struct operator_config *config = settings_now(p->settings);
    const char *text = str_empty(o->lease) ? config->lease_name : o->lease;
    const char *name = str_or(text, "flink-operator"), *slash = strchr(name, '/');
    const char *ns = slash ? arena_strndup(a, name, (size_t)(slash - name)) : p->work.operator_ns;

    if (str_empty(ns) || str_empty(slash ? slash + 1 : name))
        return error_set(err, ERR_INVALID,
                         "--lease: \"%s\" names no Lease in a namespace: write NAMESPACE/NAME, or "
                         "set OPERATOR_NAMESPACE",
                         name);
    identify(p);
    p->lease = kube_lease_new(&(struct kube_lease_options){.kube = p->kube,
                                                           .ns = ns,
                                                           .name = slash ? slash + 1 : name,
                                                           .identity = p->identity,
                                                           .times = config->lease,
                                                           .acquired = work,
                                                           .lost = lost,
                                                           .arg = p});
    kube_client_set_fence(p->kube, kube_lease_fence(p->lease));
    return 0;
}

static int begin(struct process *p, struct arena *a, const struct options *o, struct error *err)
{
    if (o->elect || settings_now(p->settings)->elects)
        return elect(p, a, o, err);
    work(p);
    return 0;
}

static int begin_webhook(struct process *p, const struct options *o, struct error *err)
{
    if (str_empty(o->webhook))
        return 0;
    if (str_empty(p->work.operator_ns))
        return error_set(err, ERR_INVALID,
                         "--webhook: in which namespace its Service is has to be known: set "
                         "OPERATOR_NAMESPACE");
    p->webhook = webhook_new(&(struct webhook_options){.kube = p->kube,
                                                       .port = o->webhook_port,
                                                       .configuration = o->webhook,
                                                       .ns = p->work.operator_ns,
                                                       .service = o->webhook_service,
                                                       .life_ms = o->webhook_life,
                                                       .config = settings_now(p->settings)},
                             err);
    return p->webhook ? 0 : -1;
}

static int port(const struct options *o, const struct operator_config *config)
{
    if (o->port >= 0)
        return o->port;
    return config->port >= 0 ? config->port : DEFAULT_PORT;
}

static int serve(struct process *p, struct arena *a, const struct options *o, struct error *err)
{
    const struct operator_config *config = settings_now(p->settings);
    const struct kube_config_options ko = {.kubeconfig = o->kubeconfig, .context = o->context};

    p->config = kube_config_load(p->loop, &ko, err);
    if (!p->config)
        return -1;
    p->kube = kube_client_new(p->loop, p->config);
    p->work = (struct controller_options){.loop = p->loop,
                                          .kube = p->kube,
                                          .operator_ns = operator_ns(a),
                                          .flink_access = o->flink_access,
                                          .flink_tls = o->flink_tls};
    p->drain_timer = timer_new(p->loop, stop_now, p);
    p->sync_timer = timer_new(p->loop, watch_sync, p);
    p->trim_timer = timer_new(p->loop, trim, p);
    if (begin_webhook(p, o, err) || begin(p, a, o, err))
        return -1;
    p->health = health_new(
        p->loop,
        &(struct health_options){.port = port(o, config),
                                 .live = live,
                                 .ready = ready,
                                 .debug = debug,
                                 .arg = p,
                                 .local_debug = o->local_debug,
                                 .cert_file = str_empty(o->tls_cert) ? NULL : o->tls_cert,
                                 .key_file = o->tls_key,
                                 .secure_port = o->secure_port,
                                 .kube = p->kube},
        err);
    if (!p->health)
        return -1;
    settings_follow(p->settings, p->loop, configure, p);
    loop_on_signal(p->loop, SIGTERM, on_signal, p);
    loop_on_signal(p->loop, SIGINT, on_signal, p);
    loop_on_signal(p->loop, SIGUSR1, switch_log_level, p);
    timer_start(p->trim_timer, TRIM_MS);
    metric_set(&build_info, 1, FLINKOP_VERSION, str_or_empty(p->work.operator_ns),
               str_or_empty(getenv("POD_NAME")));
    metrics_of_process();
    log_info(
        "started", KV("version", FLINKOP_VERSION), KV("server", kube_config_server(p->config)),
        KV("namespaces", *config->namespaces ? str_or(o->namespaces, "(configured)") : "(all)"),
        KV("selector", str_or(config->selector_text, "(all)")), KV("identity", p->identity),
        KV_INT("port", health_port(p->health)), KV_INT("securePort", health_secure_port(p->health)),
        KV_INT("webhookPort", p->webhook ? webhook_port(p->webhook) : 0));
    loop_run(p->loop);
    log_info("stopped");
    return 0;
}

static int run(int argc, char **argv)
{
    cleanup_arena struct arena a = {0};
    struct process p = {.started = clock_mono_ms()};
    struct options o = {0};
    const char **args = arena_new_array(&a, const char *, (size_t)argc + 1);
    enum log_level level;
    struct error err;
    int n_args = 0;

    int rc = cli_options(&command_run, argc, argv, &o, args, &n_args);
    if (rc >= 0)
        return rc;
    if (n_args) {
        cli_error("run takes no arguments, found \"%s\"", args[0]);
        return EXIT_USAGE;
    }
    if (!log_level_parse(o.log_level, &level)) {
        cli_error("--log-level: \"%s\" is not one of error, warn, info, debug", o.log_level);
        return EXIT_USAGE;
    }
    if (str_empty(o.tls_cert) != str_empty(o.tls_key)) {
        cli_error("--tls-cert and --tls-key belong together");
        return EXIT_USAGE;
    }
    p.log_level = level;
    setup_log(&o, level);
    mem_init();
    signal(SIGPIPE, SIG_IGN); /* writing to a closed connection is an error, not an end */
    p.settings = settings_read(o.conf_dir, o.namespaces, &err);
    if (p.settings) {
        p.loop = loop_new();
        rc = serve(&p, &a, &o, &err);
    }
    health_free(p.health);
    webhook_free(p.webhook);
    controller_free(p.controller);
    kube_lease_free(p.lease);
    kube_client_free(p.kube);
    kube_config_free(p.config);
    timer_free(p.sync_timer);
    timer_free(p.drain_timer);
    timer_free(p.trim_timer);
    settings_free(p.settings);
    loop_free(p.loop);
    metrics_release();
    if (rc) {
        log_error("cannot start", KV("error", err.text));
        return EXIT_INTERNAL;
    }
    return p.lost ? EXIT_INTERNAL : EXIT_OK;
}

const struct command command_run = {
    .name = "run",
    .args = "",
    .help =
        "Run the operator: serve FlinkDeployments, FlinkSessionJobs and FlinkStateSnapshots until SIGTERM.",
    .run = run,
    .options = table,
    .n_options = ARRAY_SIZE(table),
};
