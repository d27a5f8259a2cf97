"""A combination: a scenario of its own, once, in which one call goes wrong in one way, once.

Many run beside each other under one operator, which so has to do with many faults at a time. Each has to end as if nothing had
happened (scenarios.py says how), all of it can be deleted, nothing is left, and nothing is written once it is calm.
"""
import re
import time

from lib.api_proxy import ApiProxy
from lib.check import SCALE, Failure, check, dig, short
from lib.fake_flink import Reply
from lib.plane import named
from lib.plane_scene import namespace, operator, versions, writes
from scenarios import SCENARIOS

AT_ONCE = max(8, int(48 / SCALE))
SECONDS = 60 * SCALE  # for a step of one combination: back-offs are part of it

# Faults of a call to the API server (lib/api_proxy.py).
FAULTS = ["refuse", "lost", "truncate", "reset", "half", "page", "portal", "twice",
          ("status", 401), ("status", 403), ("status", 404), ("status", 409), ("status", 410), ("status", 422),
          ("status", (429, 1)), ("status", 500), ("status", 503), ("after", 500), ("after", 503)]
SLOW_FAULTS = ["ignore", "hang", ("delay", 5), ("late", 20)]

# Faults of a call to a JobManager (lib/fake_flink.py), or what it is answered instead.
FLINK_FAULTS = {
    "before": "before", "after": "after", "reset": "reset", "500": "500", "hang": "hang", "late": "late",
    **{str(status): Reply(status, {"errors": [text]}) for status, text in (
        (401, "Unauthorized."), (403, "Forbidden."), (404, "Not found."), (409, "Conflict."), (410, "Gone."),
        (422, "Unprocessable."), (503, "Service temporarily unavailable due to an ongoing leader election."))},
    "429": Reply(429, {"errors": ["Too many requests."]}, {"Retry-After": "1"}),
    "HTML": Reply(200, b"<html>proxy error</html>", {"Content-Type": "text/html"}),
    "not JSON": Reply(200, b"<html>proxy error</html>"),
    "half of it": Reply(200, b'{"jobs":[{"jid":"'),
    "another type": Reply(200, ["jobs", 1, None]),
    "empty": Reply(200, b""),
    "redirect": Reply(307, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
}


class Combination:
    """call: of the API server "verb resource", of a JobManager its kind; nth: which one of these, from the scenario's start."""

    def __init__(self, scenario, call, nth, fault, label):
        self.index, self.scenario, self.call, self.nth, self.fault = None, SCENARIOS[scenario], call, nth, fault
        self.text = f"{scenario}: {call} #{nth}: {label}"
        self.armed, self.seen, self.fired, self.calls = False, 0, False, {}
        self.since = None  # of what its scenario waits for

    def strike(self, call):
        """The fault, if this is the call for it."""
        if not self.armed:
            return None
        self.calls[call] = self.calls.get(call, 0) + 1
        if call != self.call or self.fired:
            return None
        self.seen += 1
        self.fired = self.seen == self.nth
        return self.fault if self.fired else None


def combinations(scenario, calls, faults, nth=(1,)):
    """Of each call the first, or those of nth that there are. faults: a list, or by label."""
    labelled = faults.items() if isinstance(faults, dict) else [(fault, fault) for fault in faults]
    # main() may take its time: that call has ten minutes (kubernetes.operator.job.submission.timeout).
    return [Combination(scenario, call, n, fault, label) for call, times in calls.items() for n in nth if n <= times
            for label, fault in labelled if (call, fault) not in (("POST /jars/*/run", "hang"), ("POST /jars/*/run", "late"))]


LATER = ["refuse", "lost", "page", "twice", ("status", 409), ("status", 500)]  # for all but the first call of a kind
FLINK_LATER = {label: FLINK_FAULTS[label] for label in ("before", "after", "404", "503", "HTML")}


def whole(scenario, calls, flink):
    """Every combination of a scenario: its calls to the API server, and to a JobManager."""
    return (combinations(scenario, calls, FAULTS + SLOW_FAULTS) + combinations(scenario, calls, LATER, range(2, 7))
            + combinations(scenario, flink, FLINK_FAULTS) + combinations(scenario, flink, FLINK_LATER, range(2, 7)))


def half(every, other=False):
    """Every other one of each call, so that each fault meets every other call; or those that are left out there."""
    turns = {call: turn for turn, call in enumerate(dict.fromkeys(c.call for c in every))}
    taken = []
    for c in every:
        turns[c.call] += 1
        if turns[c.call] % 2 == other:
            taken.append(c)
    return taken


def number(text):
    """Which combination an object belongs to: c7, c7-rest, flink-config-c7, c7-taskmanager-1-1, j7, c7-cluster-config-map."""
    found = re.search(r"(?:^|-)[cj](\d+)(?:-|$)", text or "")
    return int(found[1]) if found else -1


class Batch:
    """Combinations that run side by side, step by step."""

    def __init__(self, run, ns, members):
        self.run, self.ns, self.members, self.bad = run, ns, members, {}
        self.seen = {}  # objects by kind and name, as the API server has told them in this round

    def each(self, what, probe):
        """Until probe(member) holds for all that are still good; who is late is told."""
        due = [m for m in self.members if m.index not in self.bad]
        begun, last = time.monotonic(), {}
        while due and time.monotonic() < begun + SECONDS * max(m.scenario.patience for m in due):
            self.seen = {}
            for m in list(due):
                try:
                    if probe(m):
                        due.remove(m)
                except (Failure, OSError) as e:
                    last[m.index] = str(e)
            time.sleep(0.1)
        self.seen = {}
        for m in due:
            self.fail(m.index, f"{m.text}: {what}: {last.get(m.index, 'not yet')}")

    def fail(self, index, text):
        self.bad[index] = text
        print(f"            {text}", flush=True)

    def objects(self, kind):
        """All of them by name. One list for all members: a request for each would be most of what the API server does."""
        if kind not in self.seen:
            self.seen[kind] = {o["metadata"]["name"]: o for o in self.run.kube.list(kind, self.ns)}
        return self.seen[kind]

    def get(self, kind, name):
        return self.objects(kind).get(name)

    def snapshots(self, m):
        return [cr for name, cr in self.objects("flinksnp").items() if number(name) == m.index]

    def flink(self, m):
        return self.run.flinks.cluster(f"{self.ns}/c{m.index}")

    def go(self):
        for m in self.members:
            m.armed = not m.scenario.change  # else what there is to change goes well
            m.scenario.create(self, m)
        self.each("it is Ready", lambda m: m.scenario.ready(self, m))
        changing = [m for m in self.members if m.scenario.change and m.index not in self.bad]
        if changing:
            self.each("there is a state to go on from", lambda m: m.scenario.saved(self, m))
        for m in changing:
            m.armed = True
            m.scenario.change(self, m)
        if changing:
            self.each("the change is made", lambda m: m.scenario.changed(self, m))
        self.calm()
        self.each("all went well", lambda m: m.scenario.good(self, m))
        self.end()
        self.each("the fault happened", lambda m: m.fired)
        return self.bad

    def end(self):
        for m in self.members:
            self.run.kube.delete("sessionjob", self.ns, f"j{m.index}")
        self.each("the job is gone", lambda m: self.get("sessionjob", f"j{m.index}") is None)
        for name in self.objects("flinksnp"):
            self.run.kube.delete("flinksnp", self.ns, name)
        self.each("its snapshots are gone", lambda m: not self.snapshots(m))
        self.each("no TaskManager", lambda m: m.scenario.application or not self.of(m, "pod", component="taskmanager"))
        for m in self.members:
            self.run.kube.delete("flinkdep", self.ns, f"c{m.index}")
        self.each("the cluster is gone", lambda m: self.get("flinkdep", f"c{m.index}") is None)
        self.each("nothing is left", self.nothing)

    def of(self, m, kind, **labels):
        """The names of its objects of that kind."""
        wanted = {"app": f"c{m.index}", **labels}.items()
        return [name for name, o in self.objects(kind).items() if wanted <= dig(o, "metadata.labels", {}).items()]

    def nothing(self, m):
        for kind in ("pod", "deployment", "service", "configmap"):
            left = self.of(m, kind)
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


def call_name(call):
    return f"{call.verb} {'/'.join(filter(None, [call.resource, call.subresource]))}"


def all_of(run, every):
    """Runs them in batches, behind the proxy; fails with the text of each that went wrong. Those that went well are returned."""
    ns, bad = namespace(run), {}
    members = dict(enumerate(every))
    for i, m in members.items():
        m.index = i
        run.flinks.cluster(f"{ns}/c{i}").hook = lambda request, m=m: m.strike(request.kind())
    proxy = ApiProxy(run.plane.netns, *run.plane.server(), run.dir)
    run.cleanup(proxy.close)

    def rule(call):
        m = members.get(number(call.about())) if call.resource else None
        return m.strike(call_name(call)) if m else None
    proxy.rule = rule
    run.plane.account(run.account, [ns])
    run.plane.bound.add((run.account, ns))
    op = operator(run, kubeconfig=run.plane.kubeconfig(run.dir, run.account, proxy.url, proxy.ca))
    size = AT_ONCE if len(every) > 1.25 * AT_ONCE else len(every)
    for first in range(0, len(every), size):
        bad.update(Batch(run, ns, every[first:first + size]).go())
        op.alive()
    run.note(f"{len(every)} combinations")
    check(not bad, lambda: f"{len(bad)} of {len(every)} combinations went wrong: {short('; '.join(bad.values()))}")
    op.stop()
