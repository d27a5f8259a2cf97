"""Watches and connections that break; watches that come late, twice, in another order or not at all; an API server that is
away."""
import random
import time

from lib.api_proxy import ApiProxy
from lib.check import check, equal, wait
from lib.manifests import cluster, job, snapshot
from lib.plane import SOON, named
from lib.plane_scene import (cluster_ready, delete, job_ready, namespace, nothing_left, operator, session, submit, taken, versions,
                             writes)
from lib.suite import test

DEAD_S = 155  # kube_watch.c, and what follows
WATCHED = 7  # kinds that are watched in each namespace


def behind_proxy(run, rule=None):
    """(operator, proxy) in a namespace of the test."""
    ns = namespace(run)
    proxy = ApiProxy(run.plane.netns, *run.plane.server(), run.dir)
    run.cleanup(proxy.close)
    proxy.rule = rule
    run.plane.account(run.account, [ns])
    run.plane.bound.add((run.account, ns))
    return operator(run, kubeconfig=run.plane.kubeconfig(run.dir, run.account, proxy.url, proxy.ca)), proxy


def churn(run, names, patience=2 * SOON):
    """Clusters with a job each come, run and go; each job is submitted once, and a savepoint of it taken."""
    ns = run.namespaces[0]
    for n in names:
        run.flinks.cluster(f"{ns}/c{n}")
        run.kube.create("flinkdep", ns, cluster(ns, f"c{n}", idle="1s"))
        run.kube.create("sessionjob", ns, job(ns, f"j{n}", f"c{n}"))
    for n in names:
        found = job_ready(run, f"j{n}", seconds=patience)
        equal([j for _, _, j in run.flinks.cluster(f"{ns}/c{n}").accepted], [found], f"submissions of j{n}")
        run.kube.create("flinksnp", ns, snapshot(ns, f"s{n}", f"j{n}", path="file:///savepoints"))
    for n in names:
        taken(run, f"s{n}", seconds=patience)
    for n in names:
        delete(run, "flinksnp", f"s{n}", seconds=patience)
        delete(run, "sessionjob", f"j{n}", seconds=patience)
    for n in names:
        delete(run, "flinkdep", f"c{n}", seconds=patience)
        nothing_left(run, f"c{n}")


@test("every connection breaks three times a second while clusters and jobs come and go", full=True)
def resets(run):
    op, proxy = behind_proxy(run)
    end = time.monotonic() + 20
    broken = 0

    def rule(_call):
        nonlocal broken, last
        if time.monotonic() < end and time.monotonic() - last > 0.3:
            last, broken = time.monotonic(), broken + 1
            proxy.reset()
    last = 0.0
    proxy.rule = rule
    churn(run, range(8))
    op.alive()
    check(broken >= 5, f"connections broke only {broken} times")
    run.note(f"{broken} times")


def break_each_watch(run, how):
    """Three times, after one event, two and three."""
    broken = {}

    def rule(call):
        if call.verb != "watch" or broken.get(call.resource, 0) >= 3:
            return None
        broken[call.resource] = broken.get(call.resource, 0) + 1
        return (how, broken[call.resource])
    op, _ = behind_proxy(run, rule)
    churn(run, range(8))
    op.alive()
    check(all(n >= 2 for n in broken.values()) and len(broken) == WATCHED, f"{how}: {broken}")


@test("each watch is cut in the middle of an event, again and again")
def cuts(run):
    break_each_watch(run, "cut")


@test("each watch ends as if all were well, and what it had to tell is lost: it is told by the next one", full=True)
def lost_events(run):
    break_each_watch(run, "lose")


@test("every event of every watch comes twice", full=True)
def doubled_events(run):
    op, _ = behind_proxy(run, lambda call: "again" if call.verb == "watch" else None)
    churn(run, range(8))
    op.alive()


def late_events(run, seconds):
    op, _ = behind_proxy(run, lambda call: ("late by", lambda: random.uniform(0, seconds)) if call.verb == "watch" else None)
    churn(run, range(8), 2 * SOON + 10 * seconds)
    op.alive()


@test("every event comes up to a second late, each kind by itself: what is told first may have happened last", full=True)
def late_by_a_second(run):
    late_events(run, 1)


@test("the same with twelve seconds: later than our own writes and all that follows from them", full=True, timeout=900)
def late_by_seconds(run):
    late_events(run, 12)


@test("each watch dies without a word, its connection stays: it is noticed within two and a half minutes", full=True, timeout=900)
def dead_streams(run):
    dead = {}

    def rule(call):
        if call.verb != "watch" or call.resource in dead:
            return None
        dead[call.resource] = time.monotonic()
        return ("dead", 1)
    op, _ = behind_proxy(run, rule)
    ns = run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/demo")
    run.kube.create("flinkdep", ns, cluster(ns, "demo"))
    run.kube.create("sessionjob", ns, job(ns, "first"))
    found = job_ready(run, seconds=DEAD_S + 2 * SOON)
    took = time.monotonic() - min(dead.values())
    equal([j for _, _, j in flink.accepted], [found], "submissions")
    check(len(dead) == WATCHED, f"watches: {dead}")
    equal(op.get("/readyz")[0], 200, "/readyz")
    run.note(f"the job ran {took:.0f} s after the first one was begun")


@test("each watch is answered 410 Gone, 500 and 429: listed again, nothing lost")
def refused_watches(run):
    answers = {}

    def rule(call):
        if call.verb != "watch":
            return None
        n = answers[call.resource] = answers.get(call.resource, 0) + 1
        return {1: ("status", 410), 2: ("status", 500), 3: ("status", (429, 1))}.get(n)
    op, _ = behind_proxy(run, rule)
    churn(run, range(4))
    op.alive()
    check(all(n >= 4 for n in answers.values()) and len(answers) == WATCHED, f"watches: {answers}")


@test("the API server is away for 15 s: what is asked for meanwhile is done after it, what runs goes on")
def away(run):
    op, proxy = behind_proxy(run)
    ns = run.namespaces[0]
    flink = session(run)
    found = submit(run)
    proxy.down()
    run.kube.create("sessionjob", ns, job(ns, "second"))
    time.sleep(15)
    equal(op.get("/healthz")[0], 200, "/healthz while the API server is away")
    proxy.up()
    second = job_ready(run, "second", seconds=2 * SOON)
    equal([j for _, _, j in flink.accepted], [found, second], "submissions")


@test("the API server restarts beside running clusters: the operator writes nothing to them")
def restart(run):
    operator(run)
    flink = session(run)
    found = submit(run)
    time.sleep(2)
    before, since = versions(run), time.time()
    run.bed("ctl", "restart", "apiserver")
    time.sleep(5)
    cluster_ready(run)
    equal(job_ready(run), found, "the job")
    equal([named(e) for e in writes(run, since)], [], "writes of the operator")
    equal(versions(run), before, "objects")
    equal(len(flink.accepted), 1, "submissions")
    submitted = submit(run, "second")
    wait("it serves as before", lambda: submitted in [j for _, _, j in flink.accepted], SOON)
