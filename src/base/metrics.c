/* SPDX-License-Identifier: Apache-2.0 */
#include "flinkop/metrics.h"

#include <stdarg.h>
#include <stdio.h>

#include "flinkop/mem.h"
#include "flinkop/strbuf.h"

#define MAX_BUCKETS 24
#define MAX_COLLECTORS 8
#define KEY_MAX 8192

struct series {
    double value; /* counter, gauge, sum of a histogram */
    uint64_t count;
    uint64_t bucket[MAX_BUCKETS];
};

const double metric_seconds_buckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                         0.5,   1,      2.5,   5,    10,    30,   60,  0};

static struct metric *first, **last = &first;
static struct {
    void (*fn)(void *arg);
    void *arg;
} collectors[MAX_COLLECTORS];
static size_t n_collectors;

static void add_label_value(struct strbuf *sb, const char *s)
{
    for (; *s; s++) {
        if (*s == '\n')
            strbuf_adds(sb, "\\n");
        else if (*s == '"' || *s == '\\')
            strbuf_addf(sb, "\\%c", *s);
        else
            strbuf_addc(sb, *s);
    }
}

static void series_key(struct strbuf *key, const struct metric *m, va_list ap)
{
    for (size_t i = 0; m->labels[i]; i++) {
        strbuf_addf(key, "%s%s=\"", i ? "," : "", m->labels[i]);
        add_label_value(key, va_arg(ap, const char *));
        strbuf_addc(key, '"');
    }
}

/* The series for these label values; NULL once the metric has too many. */
static struct series *series_get(struct metric *m, va_list ap)
{
    cleanup_strbuf struct strbuf key = STRBUF_INIT(KEY_MAX);

    if (!m->registered) {
        m->registered = 1;
        *last = m;
        last = &m->next;
    }
    series_key(&key, m, ap);
    struct series *s = strmap_get(&m->series, key.buf);
    if (!s && m->series.count < METRIC_MAX_SERIES) {
        s = xcalloc(1, sizeof(*s));
        strmap_put(&m->series, key.buf, s);
    }
    return s;
}

void metric_add(struct metric *m, double by, ...)
{
    va_list ap;

    va_start(ap, by);
    struct series *s = series_get(m, ap);
    va_end(ap);
    if (s)
        s->value += by;
}

void metric_set(struct metric *m, double value, ...)
{
    va_list ap;

    va_start(ap, value);
    struct series *s = series_get(m, ap);
    va_end(ap);
    if (s)
        s->value = value;
}

void metric_observe(struct metric *m, double value, ...)
{
    va_list ap;

    va_start(ap, value);
    struct series *s = series_get(m, ap);
    va_end(ap);
    if (!s)
        return;
    s->value += value;
    s->count++;
    for (size_t i = 0; m->buckets[i] > 0; i++) {
        BUG_ON(i >= MAX_BUCKETS);
        if (value <= m->buckets[i])
            s->bucket[i]++;
    }
}

void metric_drop(struct metric *m, ...)
{
    cleanup_strbuf struct strbuf key = STRBUF_INIT(KEY_MAX);
    va_list ap;

    va_start(ap, m);
    series_key(&key, m, ap);
    va_end(ap);
    free(strmap_remove(&m->series, key.buf));
}

void metric_clear(struct metric *m)
{
    struct strmap_entry *e;

    strmap_foreach (e, &m->series)
        free(e->value);
    strmap_release(&m->series);
}

void metrics_on_scrape(void (*fn)(void *arg), void *arg)
{
    BUG_ON(n_collectors >= MAX_COLLECTORS);
    collectors[n_collectors].fn = fn;
    collectors[n_collectors++].arg = arg;
}

static void write_line(struct strbuf *sb, const char *name, const char *suffix, const char *labels,
                       const char *extra, double value)
{
    bool both = *labels && *extra;

    strbuf_addf(sb, "%s%s", name, suffix);
    if (*labels || *extra)
        strbuf_addf(sb, "{%s%s%s}", labels, both ? "," : "", extra);
    strbuf_addf(sb, " %.15g\n", value);
}

static void write_histogram(struct strbuf *sb, const struct metric *m, const char *labels,
                            const struct series *s)
{
    char le[48];

    for (size_t i = 0; m->buckets[i] > 0; i++) {
        snprintf(le, sizeof(le), "le=\"%g\"", m->buckets[i]);
        write_line(sb, m->name, "_bucket", labels, le, (double)s->bucket[i]);
    }
    write_line(sb, m->name, "_bucket", labels, "le=\"+Inf\"", (double)s->count);
    write_line(sb, m->name, "_sum", labels, "", s->value);
    write_line(sb, m->name, "_count", labels, "", (double)s->count);
}

void metrics_write(struct strbuf *sb)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct strmap_entry *e;

    for (size_t i = 0; i < n_collectors; i++)
        collectors[i].fn(collectors[i].arg);
    for (struct metric *m = first; m; m = m->next) {
        strbuf_addf(sb, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, types[m->type]);
        strmap_foreach (e, &m->series) {
            if (m->type == METRIC_TYPE_HISTOGRAM)
                write_histogram(sb, m, e->key, e->value);
            else
                write_line(sb, m->name, "", e->key, "", ((const struct series *)e->value)->value);
        }
    }
}

void metrics_release(void)
{
    while (first) {
        struct metric *m = first;

        first = m->next;
        metric_clear(m);
        m->next = NULL;
        m->registered = 0;
    }
    last = &first;
    n_collectors = 0;
}
