"""The main job, once for each call that it makes and each way in which that call can go wrong, once.

A combination is a cluster and a job of its own; many run beside each other under one operator, which so has to do with many
faults at a time. Each has to end as if nothing had happened: the job runs, submitted once; all of it can be deleted; nothing
is left; nothing is written once it is calm.
"""
import re
import time

from lib.api_proxy import ApiProxy
from lib.check import Failure, check, equal, wait
from lib.fake_flink import Reply
from lib.manifests import cluster, job
from lib.plane import named
from lib.plane_scene import is_ready, namespace, operator, versions, writes
from lib.suite import test

AT_ONCE = 36
SECONDS = 60  # for the way of one combination: back-offs are part of it

# Calls of the main job to the API server, and how many of each are worth breaking.
CALLS = {"patch flinkdeployments": 2, "patch flinkdeployments/status": 3, "patch flinksessionjobs": 2,
         "patch flinksessionjobs/status": 3, "apply configmaps": 1, "apply deployments": 1, "apply services": 2,
         "create pods": 1, "delete pods": 1, "create events": 1}
FAULTS = ["refuse", "lost", "truncate", "twice", ("status", 401), ("status", 403), ("status", 404), ("status", 409),
          ("status", 410), ("status", 422), ("status", (429, 1)), ("status", 500), ("status", 503), ("after", 500), ("after", 503)]
SLOW_FAULTS = ["hang", ("delay", 5), ("late", 20)]

FLINK_CALLS = {"GET /overview": 1, "GET /jobs/overview": 2, "GET /taskmanagers": 1, "GET /jobs/*": 2, "POST /jars/*/run": 1,
               "PATCH /jobs/*": 1}
FLINK_FAULTS = {
    "before": "before", "after": "after", "500": "500", "hang": "hang",
    "404": Reply(404, {"errors": ["Not found."]}),
    "503": Reply(503, {"errors": ["Service temporarily unavailable due to an ongoing leader election."]}),
    "not JSON": Reply(200, b"<html>proxy error</html>"),
    "half of it": Reply(200, b'{"jobs":[{"jid":"'),
    "another type": Reply(200, ["jobs", 1, None]),
    "empty": Reply(200, b""),
    "redirect": Reply(307, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
}


class Combination:
    def __init__(self, call, nth, fault, label):
        self.index, self.call, self.nth, self.fault = None, call, nth, fault
        self.text = f"{call} #{nth}: {label}"
        self.seen, self.fired = 0, False

    def strike(self, call):
        """The fault, if this is the call for it."""
        if call != self.call or self.fired:
            return None
        self.seen += 1
        self.fired = self.seen == self.nth
        return self.fault if self.fired else None


def combinations(calls, faults, labels=None, nth=(1,)):
    """Of each call the first, or those of nth that there are."""
    return [Combination(call, n, fault, label) for call, times in calls.items() for n in nth if n <= times
            for fault, label in zip(faults, labels or faults)]


def number(text):
    """Which combination an object belongs to: c7, c7-rest, flink-config-c7, c7-taskmanager-1-1, j7."""
    found = re.search(r"(?:^|-)[cj](\d+)(?:-|$)", text or "")
    return int(found[1]) if found else -1


class Batch:
    """Combinations that run side by side, step by step."""

    def __init__(self, run, ns, members):
        self.run, self.ns, self.members, self.bad = run, ns, members, {}

    def each(self, what, probe):
        """Until probe(member) holds for all that are still good; who is late is told."""
        due = [m for m in self.members if m.index not in self.bad]
        end, last = time.monotonic() + SECONDS, {}
        while due and time.monotonic() < end:
            for m in list(due):
                try:
                    if probe(m):
                        due.remove(m)
                except (Failure, OSError) as e:
                    last[m.index] = str(e)
            time.sleep(0.1)
        for m in due:
            self.fail(m.index, f"{m.text}: {what}: {last.get(m.index, 'not yet')}")

    def fail(self, index, text):
        self.bad[index] = text
        print(f"            {text}", flush=True)

    def get(self, kind, name):
        return self.run.kube.get(kind, self.ns, name)

    def flink(self, m):
        return self.run.flinks.cluster(f"{self.ns}/c{m.index}")

    def go(self):
        kube = self.run.kube
        for m in self.members:
            self.flink(m)
            kube.create("flinkdep", self.ns, cluster(self.ns, f"c{m.index}", idle="1s"))
            kube.create("sessionjob", self.ns, job(self.ns, f"j{m.index}", f"c{m.index}"))
        self.each("the cluster is Ready", lambda m: is_ready(self.get("flinkdep", f"c{m.index}")))
        self.each("the job is Ready", lambda m: is_ready(self.get("sessionjob", f"j{m.index}")))
        self.calm()
        self.each("submitted once", lambda m: check(
            [j for _, _, j in self.flink(m).accepted] == [self.get("sessionjob", f"j{m.index}")["status"]["jobStatus"]["jobId"]],
            lambda: f"Flink has begun {self.flink(m).accepted}"))
        for m in self.members:
            kube.delete("sessionjob", self.ns, f"j{m.index}")
        self.each("the job is gone", lambda m: self.get("sessionjob", f"j{m.index}") is None)
        self.each("no TaskManager", lambda m: not self.pods(m))
        for m in self.members:
            kube.delete("flinkdep", self.ns, f"c{m.index}")
        self.each("the cluster is gone", lambda m: self.get("flinkdep", f"c{m.index}") is None)
        self.each("nothing is left", self.nothing)
        self.each("the fault happened", lambda m: m.fired)
        return self.bad

    def pods(self, m):
        return self.run.kube.list("pod", self.ns, f"app=c{m.index},component=taskmanager")

    def nothing(self, m):
        for kind in ("pod", "deployment", "service", "configmap"):
            left = [o["metadata"]["name"] for o in self.run.kube.list(kind, self.ns, f"app=c{m.index}")]
            check(not left, f"{kind}s left: {left}")
        return True

    def calm(self):
        """Nothing is written any more while everybody runs."""
        time.sleep(2)
        before, since = versions(self.run, self.ns), time.time()
        time.sleep(2)
        late = [named(e) for e in writes(self.run, since)]
        changed = [k for k, v in versions(self.run, self.ns).items() if before.get(k) != v]
        if late or changed:
            self.fail(-1, f"written after everybody was Ready: {late or changed}")


def all_of(run, every, prepare):
    """Runs them in batches; fails with the text of each that went wrong."""
    ns, bad = namespace(run), []
    for i, m in enumerate(every):
        m.index = i
    op = prepare(ns, {m.index: m for m in every})
    for first in range(0, len(every), AT_ONCE):
        bad += Batch(run, ns, every[first:first + AT_ONCE]).go().values()
        op.alive()
    run.note(f"{len(every)} combinations")
    check(not bad, lambda: f"{len(bad)} of {len(every)} combinations went wrong: {'; '.join(bad)}")
    op.stop()


def break_kubernetes(run, every):
    def prepare(ns, members):
        proxy = ApiProxy(run.plane.netns, *run.plane.server(), run.dir)
        run.cleanup(proxy.close)

        def rule(call):
            m = members.get(number(call.about()))
            resource = "/".join(filter(None, [call.resource, call.subresource]))
            return m.strike(f"{call.verb} {resource}") if m else None
        proxy.rule = rule
        run.plane.account(run.account, [ns])
        run.plane.bound.add((run.account, ns))
        return operator(run, kubeconfig=run.plane.kubeconfig(run.dir, run.account, proxy.url, proxy.ca))
    all_of(run, every, prepare)


def break_flink(run, every):
    def prepare(ns, members):
        for m in members.values():
            run.flinks.cluster(f"{ns}/c{m.index}").hook = lambda request, m=m: m.strike(request.kind())
        return operator(run)
    # main() may take its time: that call has ten minutes (kubernetes.operator.job.submission.timeout).
    all_of(run, [m for m in every if (m.call, m.fault) != ("POST /jars/*/run", "hang")], prepare)


def lies(nth):
    return combinations(FLINK_CALLS, list(FLINK_FAULTS.values()), list(FLINK_FAULTS), nth)


@test("each call to the API server × each fault: converged, submitted once, nothing left, calm", timeout=600)
def kubernetes(run):
    break_kubernetes(run, combinations(CALLS, FAULTS))


@test("the same for every later call, and faults that take their time", full=True, timeout=1800)
def kubernetes_more(run):
    break_kubernetes(run, combinations(CALLS, FAULTS, nth=(2, 3)) + combinations(CALLS, SLOW_FAULTS, nth=(1, 2, 3)))


@test("each call to a JobManager × each fault and lie: converged, submitted once, nothing left, calm", timeout=600)
def flink(run):
    break_flink(run, lies((1,)))


@test("the same for every later call", full=True, timeout=900)
def flink_more(run):
    break_flink(run, lies((2,)))
