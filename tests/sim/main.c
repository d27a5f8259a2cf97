/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs worlds, each in a process of its own: a seed fails when its process does. Then kinds of
 * faults are switched off as long as it still fails, and what is left is told with its trace.
 *
 *   SIM_SEED=7        this seed only, or the first of many
 *   SIM_STEPS=100000  passes of the operator in all
 *   SIM_FAULTS=API,CRASH  only these kinds of faults; "none"
 *   SIM_TRACE=1       tell what happens
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "flinkop/log.h"
#include "flinkop/str.h"
#include "scenarios.h"

#define FIXED_SEEDS 12
#define WORKERS 2

/* What the processes have done, for all to see. */
static struct totals *totals;

struct options {
    uint64_t seed, steps;
    unsigned enabled;
    bool one, trace;
};

/* ---- one world ---- */

static int run_world(uint64_t seed, unsigned enabled, bool tell)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (!pid) {
        sim.tracing = tell;
        if (!tell && !freopen("/dev/null", "w", stdout))
            _exit(2);
        world_run(seed, enabled, totals);
        exit(0);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

/* ---- a failure ---- */

static void print_faults(unsigned enabled)
{
    printf("SIM_FAULTS=");
    for (int i = 0, n = 0; i < FAULT_COUNT; i++)
        if (enabled & (1U << i))
            printf("%s%s", n++ ? "," : "", fault_names[i]);
    printf("%s\n", enabled ? "" : "none");
}

static void explain(uint64_t seed, unsigned enabled, bool trace)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if ((enabled & (1U << i)) && run_world(seed, enabled & ~(1U << i), false))
            enabled &= ~(1U << i);
    printf("\nseed %llu fails; to see all of it:\n  SIM_TRACE=1 SIM_SEED=%llu ",
           (unsigned long long)seed, (unsigned long long)seed);
    print_faults(enabled);
    fflush(stdout);
    if (!trace)
        run_world(seed, enabled, true);
}

/* ---- many worlds ---- */

static int many(const struct options *o)
{
    uint64_t next = o->seed, of[WORKERS];
    pid_t pids[WORKERS] = {0};
    bool failed = false;
    int running = 0;

    while (running || (!failed && totals->passes < o->steps)) {
        pid_t ended;
        int status;

        for (int i = 0; i < WORKERS && !failed && totals->passes < o->steps; i++) {
            if (pids[i])
                continue;
            of[i] = next++;
            pids[i] = fork();
            if (!pids[i]) {
                if (!freopen("/dev/null", "w", stdout))
                    _exit(2);
                world_run(of[i], o->enabled, totals);
                exit(0);
            }
            running++;
        }
        if ((ended = wait(&status)) < 0)
            break;
        running--;
        for (int i = 0; i < WORKERS; i++) {
            if (pids[i] != ended)
                continue;
            pids[i] = 0;
            if (!status)
                continue;
            if (!failed)
                explain(of[i], o->enabled, false);
            failed = true;
        }
    }
    return failed;
}

static unsigned parse_faults(const char *text)
{
    cleanup_arena struct arena a = {0};
    char **words = str_split(&a, text, ',', NULL);
    unsigned enabled = 0;

    for (; *words; words++) {
        int i = str_index(fault_names, FAULT_COUNT, *words);

        if (i >= 0)
            enabled |= 1U << i;
        else if (strcmp(*words, "none")) {
            fprintf(stderr, "SIM_FAULTS: \"%s\" is none of the kinds\n", *words);
            exit(2);
        }
    }
    return enabled;
}

static uint64_t number(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : fallback;
}

int main(void)
{
    const char *faults = getenv("SIM_FAULTS");
    struct options o = {.seed = number("SIM_SEED", 1),
                        .steps = number("SIM_STEPS", 30000),
                        .enabled = faults ? parse_faults(faults) : ALL_FAULTS,
                        .one = getenv("SIM_SEED") && !getenv("SIM_STEPS"),
                        .trace = getenv("SIM_TRACE") != NULL};
    struct timespec from, to;
    int failed;

    log_setup(LOG_ERROR, LOG_TEXT);
    totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (o.one)
        failed = run_world(o.seed, o.enabled, o.trace) != 0;
    else
        failed = many(&o);
    if (o.one && failed && !o.trace)
        explain(o.seed, o.enabled, o.trace);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;

    printf("sim: %llu worlds from seed %llu on, %llu passes, %llu events, %.1f hours in %.1f s "
           "(%.0f passes/s), %llu releases, %llu races%s\n",
           (unsigned long long)totals->worlds, (unsigned long long)o.seed,
           (unsigned long long)totals->passes, (unsigned long long)totals->events,
           (double)totals->ms / 3600e3, seconds, (double)totals->passes / seconds,
           (unsigned long long)totals->releases, (unsigned long long)totals->races,
           failed ? ": FAILED" : "");
    return failed;
}
