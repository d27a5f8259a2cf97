/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus' client libraries tell of a process, from /proc (man 5 proc). */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "flinkop/clock.h"
#include "flinkop/error.h"
#include "flinkop/file.h"
#include "flinkop/mem.h"
#include "flinkop/metrics.h"

static struct metric cpu_seconds = METRIC_COUNTER(
    "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", NULL);
static struct metric resident =
    METRIC_GAUGE("process_resident_memory_bytes", "Resident memory size in bytes.", NULL);
static struct metric mapped =
    METRIC_GAUGE("process_virtual_memory_bytes", "Virtual memory size in bytes.", NULL);
static struct metric open_fds =
    METRIC_GAUGE("process_open_fds", "Number of open file descriptors.", NULL);
static struct metric max_fds =
    METRIC_GAUGE("process_max_fds", "Maximum number of open file descriptors.", NULL);
static struct metric start_time = METRIC_GAUGE(
    "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", NULL);

static void count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    if (!dir)
        return;
    while (readdir(dir))
        n++;
    closedir(dir);
    metric_set(&open_fds, n - 3); /* ".", ".." and the one it is read through */
}

static void show_memory(void)
{
    double page = (double)sysconf(_SC_PAGESIZE);
    struct error err;
    cleanup_free char *statm = file_read("/proc/self/statm", 4096, NULL, &err);
    long all = 0, pages = 0;

    if (!statm || sscanf(statm, "%ld %ld", &all, &pages) != 2)
        return;
    metric_set(&mapped, (double)all * page);
    metric_set(&resident, (double)pages * page);
}

/* Field 22 of stat is the time of start in ticks since boot; the name in field 2 may hold blanks
 * and parentheses. */
static void show_start(void)
{
    struct error err;
    cleanup_free char *stat = file_read("/proc/self/stat", 4096, NULL, &err);
    const char *at = stat ? strrchr(stat, ')') : NULL;
    unsigned long long ticks;

    if (!at || sscanf(at + 1,
                      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                      "%*d %llu",
                      &ticks) != 1)
        return;
    double boot = (double)(clock_wall_ms() - clock_boot_ms()) / 1000;

    metric_set(&start_time, boot + (double)ticks / (double)sysconf(_SC_CLK_TCK));
}

static void scrape(void *arg)
{
    struct rlimit limit;

    (void)arg;
    metric_set(&cpu_seconds, (double)clock() / CLOCKS_PER_SEC);
    show_memory();
    count_fds();
    if (!getrlimit(RLIMIT_NOFILE, &limit))
        metric_set(&max_fds, (double)limit.rlim_cur);
}

void metrics_of_process(void)
{
    show_start();
    metrics_on_scrape(scrape, NULL);
}
