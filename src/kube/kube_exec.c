/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec plugins: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
 * #client-go-credential-plugins. The command runs without a shell, in a session of its own, with
 * nothing on standard input, for at most a minute, and its output has a cap.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "flinkop/arena.h"
#include "flinkop/base64.h"
#include "flinkop/clock.h"
#include "flinkop/json.h"
#include "flinkop/jv.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"
#include "kube_config_internal.h"

#define EXEC_TIMEOUT_MS 60000
#define OUTPUT_MAX ((size_t)256 << 10)
#define COMPLAINT_MAX ((size_t)4 << 10) /* kept of standard error */
#define COMPLAINT_SHOWN 200

struct output {
    uv_pipe_t uv;
    struct exec_run *run;
    struct strbuf text;
    bool open, ended;
    char chunk[4096];
};

struct exec_run {
    struct kube_config *config; /* NULL: cancelled */
    exec_done_fn done;
    uv_process_t process;
    bool spawned, exited, timed_out;
    int64_t status;
    int signal, spawn_error;
    struct output out, complaint;
    struct timer *timer;
    int64_t timeout_ms;
    int handles; /* not closed yet */
};

void exec_spec_free(struct exec_spec *s)
{
    if (!s)
        return;
    for (char **p = s->argv; p && *p; p++)
        free(*p);
    for (char **p = s->env; p && *p; p++)
        wipe_free(*p);
    free(s->argv);
    free(s->env);
    free(s->api_version);
    free(s->command);
    free(s->install_hint);
    free(s->where);
    free(s->cluster_config);
    free(s);
}

void exec_result_clear(struct exec_result *r)
{
    wipe_free(r->token);
    free(r->cert);
    wipe_free(r->key);
    *r = (struct exec_result){0};
}

char *exec_info(const struct kube_config *c)
{
    cleanup_arena struct arena a = {0};
    struct error err = {0};
    jv config = ABSENT, cluster = ABSENT;

    if (c->exec->cluster_config &&
        json_parse(&a, c->exec->cluster_config, strlen(c->exec->cluster_config), &config, &err))
        config = ABSENT;
    cleanup_free char *ca = c->ca.text ? base64_encode(c->ca.text, strlen(c->ca.text)) : NULL;

    if (c->exec->provide_cluster_info)
        cluster =
            jv_dup(&a, OBJ({"server", STR(c->server)}, {"tls-server-name", STR(c->server_name)},
                           {"insecure-skip-tls-verify", IF(c->insecure, BOOL(true))},
                           {"certificate-authority-data", STR(ca)}, {"proxy-url", STR(c->proxy)},
                           {"config", config}));
    return xstrdup(json_text(
        &a, OBJ({"kind", STR("ExecCredential")}, {"apiVersion", STR(c->exec->api_version)},
                {"spec", OBJ({"cluster", cluster}, {"interactive", BOOL(false)})})));
}

int exec_result_parse(const struct exec_spec *s, const char *text, size_t len,
                      struct exec_result *ret, struct error *err)
{
    cleanup_arena struct arena a = {0};
    jv v, status;
    int64_t expires = 0;

    if (json_parse(&a, text, len, &v, err))
        return error_wrap(err, "its output");
    if (!str_eq(JV_STRING(v, "kind"), "ExecCredential"))
        return error_set(err, ERR_INVALID, "its output is no ExecCredential");
    if (!str_eq(JV_STRING(v, "apiVersion"), s->api_version))
        return error_set(err, ERR_INVALID, "it answered with apiVersion %s, not %s",
                         str_or(JV_STRING(v, "apiVersion"), "none"), s->api_version);
    status = jv_get(v, "status");
    const char *token = JV_STRING(status, "token"),
               *until = JV_STRING(status, "expirationTimestamp");
    const char *cert = JV_STRING(status, "clientCertificateData");
    const char *key = JV_STRING(status, "clientKeyData");

    if (str_empty(token) && str_empty(cert))
        return error_set(err, ERR_INVALID, "it gave neither a token nor a client certificate");
    if (str_empty(cert) != str_empty(key))
        return error_set(err, ERR_INVALID,
                         "it gave only one of clientCertificateData and clientKeyData");
    if (until && !rfc3339_parse(until, &expires))
        return error_set(err, ERR_INVALID, "its expirationTimestamp is not a time");
    if (!str_empty(cert) && pem_check_pair(cert, key, "its client certificate", err))
        return -1;
    *ret = (struct exec_result){
        .token = str_empty(token) ? NULL : xstrdup(token),
        .cert = str_empty(cert) ? NULL : xstrdup(cert),
        .key = str_empty(cert) ? NULL : xstrdup(key),
        .expires = expires,
    };
    return 0;
}

/* ---- life ---- */

static void run_free(struct exec_run *run)
{
    wipe_free(strbuf_detach(&run->out.text, NULL)); /* held the credential */
    strbuf_release(&run->complaint.text);
    free(run);
}

static void on_closed(uv_handle_t *handle)
{
    struct exec_run *run = handle->data;

    if (!--run->handles)
        run_free(run);
}

static void output_close(struct output *o)
{
    if (o->open)
        uv_close((uv_handle_t *)&o->uv, on_closed);
    o->open = false;
}

static void run_close(struct exec_run *run)
{
    timer_free(run->timer);
    output_close(&run->out);
    output_close(&run->complaint);
    uv_close((uv_handle_t *)&run->process, on_closed);
}

/* The last line of what it wrote to standard error, cleaned: there it says what it lacks. */
static const char *complaint(struct arena *a, const struct exec_run *run)
{
    char *text = str_trim(a, run->complaint.text.buf), *line = strrchr(text, '\n');

    text = str_clean(a, line ? line + 1 : text, COMPLAINT_SHOWN);
    return *text ? arena_printf(a, ": %s", text) : "";
}

static int judge(const struct exec_run *run, struct exec_result *result, struct error *err)
{
    const struct exec_spec *s = run->config->exec;
    cleanup_arena struct arena a = {0};

    if (run->spawn_error)
        error_set(err, ERR_INTERNAL, "cannot be started: %s%s%s", uv_strerror(run->spawn_error),
                  s->install_hint ? ". " : "", str_or_empty(s->install_hint));
    else if (run->timed_out)
        error_set(err, ERR_TIMEOUT, "did not end within %lld ms", (long long)run->timeout_ms);
    else if (run->out.text.overflow)
        error_set(err, ERR_TOO_LARGE, "wrote more than %zu bytes", OUTPUT_MAX);
    else if (run->signal)
        error_set(err, ERR_INTERNAL, "was ended by signal %d%s", run->signal, complaint(&a, run));
    else if (run->status)
        error_set(err, ERR_INTERNAL, "ended with status %d%s", (int)run->status,
                  complaint(&a, run));
    else if (!exec_result_parse(s, run->out.text.buf, run->out.text.len, result, err))
        return 0;
    return error_wrap(err, "%s: %s", s->where, s->command);
}

static void finish(struct exec_run *run)
{
    struct exec_result result = {0};
    struct error err = {0};
    struct kube_config *config = run->config;
    exec_done_fn done = run->done;

    if (!config)
        return;
    judge(run, &result, &err);
    run->config = NULL;
    run_close(run);
    done(config, &result, &err);
}

static void finish_if_over(struct exec_run *run)
{
    bool silent = run->out.ended && run->complaint.ended;

    if (run->exited && (silent || run->timed_out))
        finish(run);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signo)
{
    struct exec_run *run = process->data;

    run->exited = true;
    run->status = status;
    run->signal = signo;
    finish_if_over(run);
}

static void kill_all(const struct exec_run *run)
{
    if (run->spawned && !run->exited)
        kill(-run->process.pid, SIGKILL); /* it leads a session and group of its own */
}

static void on_timer(void *arg)
{
    struct exec_run *run = arg;

    run->timed_out = !run->spawn_error;
    kill_all(run);
    if (!run->spawned || run->exited)
        finish(run);
}

/* ---- output ---- */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct output *o = CONTAINER_OF(handle, struct output, uv);

    (void)size;
    *buf = uv_buf_init(o->chunk, sizeof(o->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct output *o = CONTAINER_OF(stream, struct output, uv);

    if (n > 0)
        strbuf_add(&o->text, buf->base, (size_t)n);
    if (n >= 0 && !(o->text.overflow && o == &o->run->out))
        return;
    if (n >= 0)
        kill_all(o->run); /* more than any credential has */
    o->ended = true;
    uv_read_stop(stream);
    finish_if_over(o->run);
}

static void output_init(struct exec_run *run, struct output *o, size_t cap)
{
    strbuf_init(&o->text, cap);
    o->run = run;
    uv_pipe_init(loop_uv(run->config->loop), &o->uv, 0);
    o->uv.data = run;
    o->open = true;
    run->handles++;
}

/* ---- starting ---- */

static bool is_set_in(char *const *list, const char *entry)
{
    size_t n = strcspn(entry, "=") + 1;

    for (; *list; list++)
        if (!strncmp(*list, entry, n))
            return true;
    return false;
}

/* Our environment, the plugin's own entries on top. The array is malloc'd, the strings borrowed. */
static char **make_env(const struct exec_spec *s, char *info)
{
    size_t n = 0, own = 0;

    for (char **p = environ; *p; p++)
        n++;
    while (s->env[own])
        own++;
    char **env = xcalloc(n + own + 2, sizeof(*env));

    n = 0;
    for (char **p = environ; *p; p++)
        if (!is_set_in(s->env, *p) && !str_has_prefix(*p, "KUBERNETES_EXEC_INFO="))
            env[n++] = *p;
    for (size_t i = 0; i < own; i++)
        env[n++] = s->env[i];
    env[n] = info;
    return env;
}

struct exec_run *exec_start(struct kube_config *c, exec_done_fn done)
{
    struct exec_run *run = xcalloc(1, sizeof(*run));
    cleanup_free char *json = exec_info(c), *info = xasprintf("KUBERNETES_EXEC_INFO=%s", json);
    cleanup_free char **env = make_env(c->exec, info);

    run->config = c;
    run->done = done;
    run->timeout_ms = c->exec_timeout_ms ? c->exec_timeout_ms : EXEC_TIMEOUT_MS;
    run->timer = timer_new(c->loop, on_timer, run);
    output_init(run, &run->out, OUTPUT_MAX);
    output_init(run, &run->complaint, COMPLAINT_MAX);
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->out.uv},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&run->complaint.uv},
    };
    const uv_process_options_t options = {
        .file = c->exec->command,
        .args = c->exec->argv,
        .env = env,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = ARRAY_SIZE(stdio),
        .stdio = stdio,
        .exit_cb = on_process_exit,
    };
    run->process.data = run;
    run->handles++;
    run->spawn_error = uv_spawn(loop_uv(c->loop), &run->process, &options);
    run->spawned = !run->spawn_error;
    if (run->spawned) {
        uv_read_start((uv_stream_t *)&run->out.uv, on_alloc, on_read);
        uv_read_start((uv_stream_t *)&run->complaint.uv, on_alloc, on_read);
    }
    timer_start(run->timer, run->spawned ? run->timeout_ms : 0);
    return run;
}

void exec_cancel(struct exec_run *run)
{
    if (!run)
        return;
    kill_all(run);
    run->config = NULL;
    run_close(run);
}
