/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a watch of many objects costs: makes 5,000 ConfigMaps of 4 kB, then lists and watches them
 * in a process of its own, whole and with metadata_only, keeping of each what a store would keep
 * (here: name and resource version), and prints resident memory, time and CPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/kube_client.h"
#include "flinkop/kube_config.h"
#include "flinkop/kube_watch.h"
#include "flinkop/loop.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"
#include "flinkop/strbuf.h"
#include "flinkop/strmap.h"

#define OBJECTS 5000
#define AT_ONCE 24
#define DATA 4000

static struct loop *loop;
static struct kube_config *config;
static struct kube_client *client;
static int made, done, failed;
static struct strmap kept;

static void connect_to(void)
{
    struct error err = {0};

    loop = loop_new();
    config = kube_config_load(loop, &(struct kube_config_options){0}, &err);
    if (!config) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    client = kube_client_new(loop, config);
}

static void disconnect(void)
{
    kube_client_free(client);
    kube_config_free(config);
    loop_free(loop);
}

static void make_one(void);

static void on_made(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    failed += reply->err->code != 0 && reply->err->code != ERR_EXISTS;
    if (++done == OBJECTS)
        loop_stop(loop);
    else if (made < OBJECTS)
        make_one();
}

static void make_one(void)
{
    char *body = xasprintf("{\"metadata\":{\"name\":\"memory-%d\",\"labels\":{\"memory\":\"yes\"}},"
                           "\"data\":{\"text\":\"%0*d\"}}",
                           made, DATA, made);

    made++;
    kube_send(client,
              &(struct kube_call){.verb = KUBE_CREATE,
                                  .kind = KIND_CONFIGMAP,
                                  .ns = getenv("IT_NS"),
                                  .body = body,
                                  .timeout_ms = 60000},
              on_made, NULL);
    free(body);
}

static int fill(void)
{
    int64_t at = clock_mono_ms();

    connect_to();
    for (int i = 0; i < AT_ONCE; i++)
        make_one();
    loop_run(loop);
    disconnect();
    printf("%d ConfigMaps made in %.1f s, %d failed\n", OBJECTS,
           (double)(clock_mono_ms() - at) / 1000, failed);
    return failed != 0;
}

/* Kilobytes of a line of /proc/self/status. */
static long status_kb(const char *name)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;

    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)))
            kb = atol(line + strlen(name) + 1);
    if (f)
        fclose(f);
    return kb;
}

/* Turns of the loop that took longer than 10 ms, of all. */
static void print_turns(void)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(1 << 20);

    metrics_write(&sb);
    const char *at = strstr(sb.buf, "loop_turn_seconds_bucket{le=\"0.01\"} ");
    const char *all = strstr(sb.buf, "loop_turn_seconds_count ");

    if (at && all)
        printf("  turns of the loop: %ld, over 10 ms: %ld\n", atol(strchr(all, ' ')),
               atol(strchr(all, ' ')) - atol(strchr(at, ' ')));
}

static void on_object(void *arg, jv o, bool initial)
{
    (void)arg;
    (void)initial;
    free(strmap_put(&kept, JV_STRING(o, "metadata", "name"),
                    xstrdup(JV_STRING(o, "metadata", "resourceVersion"))));
}

static void on_deleted(void *arg, jv o)
{
    (void)arg;
    free(strmap_remove(&kept, JV_STRING(o, "metadata", "name")));
}

static void on_list_end(void *arg, const char *resource_version)
{
    (void)arg;
    (void)resource_version;
    loop_stop(loop);
}

static int watch(bool metadata_only)
{
    const struct kube_watch_spec spec = {.kind = KIND_CONFIGMAP,
                                         .ns = getenv("IT_NS"),
                                         .label_selector = "memory=yes",
                                         .metadata_only = metadata_only};
    const struct kube_watch_sink sink = {
        .object = on_object, .deleted = on_deleted, .list_end = on_list_end};
    struct rusage u;

    connect_to();
    long before = status_kb("VmRSS");
    int64_t at = clock_mono_ms();
    struct kube_watch *w = kube_watch_start(client, &spec, &sink);

    loop_run(loop);
    getrusage(RUSAGE_SELF, &u);
    printf("%s: %zu objects in %.2f s, %.2f s CPU; resident %ld kB before, %ld kB after (anonymous "
           "%ld kB), peak %ld kB\n",
           metadata_only ? "metadata only" : "whole objects", kept.count,
           (double)(clock_mono_ms() - at) / 1000,
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
           before, status_kb("VmRSS"), status_kb("RssAnon"), status_kb("VmHWM"));
    print_turns();
    kube_watch_stop(w);
    disconnect();
    return kept.count != OBJECTS;
}

/* Each in a process of its own: memory of one is not to be seen in the other. */
static int in_child(int (*fn)(bool), bool arg)
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        status = fn(arg);
        fflush(stdout);
        _exit(status);
    }
    waitpid(pid, &status, 0);
    return status != 0;
}

static int fill_in_child(bool arg)
{
    (void)arg;
    return fill();
}

int main(void)
{
    return in_child(fill_in_child, false) || in_child(watch, false) || in_child(watch, true);
}
