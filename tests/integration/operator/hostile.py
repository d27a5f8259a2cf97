"""Resources that no one should have written: each is refused by name of the field, and nobody else notices. The list is in
hostile_cases.py; offline, `make hostile` checks the same with `flink-operator validate`."""
import time

from hostile_cases import API, CASES, FILE, OPERATOR, as_json, resource
from lib.check import Failure, check, dig, equal, wait
from lib.kube import ApiError
from lib.manifests import cluster, job
from lib.plane import SOON, named
from lib.plane_scene import (cluster_ready, condition, delete, job_ready, nothing_left, operator, session, submit, versions,
                             writes)
from lib.suite import test

GROWTH = 24  # MB: several resources have a MiB each
EVERY = 3  # of the list becomes the spec of a running cluster: one of each sort is enough
REASONS = ("ValidationError", "UnsupportedFlinkVersion")


def kind_of(case):
    return "flinksnp" if case.snapshot else "sessionjob" if case.job else "flinkdep"


def apply(run, number, case):
    """As kubectl does it; the API server's message, or None when it took it."""
    ns = run.namespaces[0]
    try:
        run.kube.request("POST", run.kube.path(kind_of(case), ns) + "?fieldValidation=Strict", as_json(number, case, ns).encode())
    except ApiError as e:
        return str(e).replace('\\"', '"')
    return None


def wrong_answer(case, said):
    """What is wrong with the API server's answer, or None."""
    if case.who != API:
        return said and f"the API server refused it: {said}"
    if not said:
        return "the API server took it"
    return None if case.path in said and case.server in said else f'expected "{case.path}" and "{case.server}", found {said}'


def wrong_status(case, cr):
    """What is wrong with the operator's answer, or None."""
    c = condition(cr)
    if c.get("observedGeneration") != cr["metadata"]["generation"]:
        return "not looked at"
    stalled, error = condition(cr, "Stalled").get("status"), dig(cr, "status.error", "")
    if c["status"] != "False" or stalled != "True" or c["reason"] not in REASONS:
        return f"Ready={c}, Stalled={stalled}"
    if not c["message"].startswith(case.path) or case.words not in c["message"]:
        return f'expected "{case.path}" and "{case.words}", found {c["message"]}'
    return None if case.path in error.replace('\\"', '"') else f"status.error: {error}"


def calm(run):
    """The neighbours, with everything of them that could have been touched."""
    return {k: v for k, v in versions(run).items() if "calm" in k}


@test("hostile resources are each refused with the field and what would be right; neighbours, memory, process untouched")
def refused(run):
    op = operator(run, binary="build/flink-operator")
    ns = run.namespaces[0]
    session(run, "calm-a")
    session(run, "calm-b")
    submit(run, "calm-job", deployment="calm-a")
    time.sleep(1)
    before, memory = calm(run), op.memory()[0]
    cases = {resource(ns, i, c)["metadata"]["name"]: (i, c) for i, c in enumerate(CASES) if c.who != FILE}
    found = {name: wrong_answer(c, apply(run, i, c)) for name, (i, c) in cases.items()}
    equal({cases[n][1].title: text for n, text in found.items() if text}, {}, "answers of the API server")
    taken = {n: c for n, (_, c) in cases.items() if c.who == OPERATOR}

    def told():
        there = {o["metadata"]["name"]: o for kind in ("flinkdep", "sessionjob", "flinksnp")
                 for o in run.kube.list(kind, ns)}
        bad = {c.title: wrong_status(c, there[n]) for n, c in taken.items()}
        equal({title: text for title, text in bad.items() if text}, {}, "what the statuses say")
        return True
    wait("every status tells what is wrong", told, SOON, 0.5)
    since = time.time()
    time.sleep(2)
    equal([named(e) for e in writes(run, since)], [], "writes after that")
    op.alive()
    grown = op.memory()[1] - memory
    check(grown < GROWTH, f"memory grew by {grown:.1f} MB")
    equal(sorted(o["metadata"]["name"] for o in run.kube.list("deployment", ns)), ["calm-a", "calm-b"], "Deployments")
    for name, c in taken.items():
        run.kube.delete(kind_of(c), ns, name)
    wait("all of them gone", lambda: len(run.kube.list("flinkdep", ns)) == 2 and len(run.kube.list("sessionjob", ns)) == 1
         and not run.kube.list("flinksnp", ns), SOON)
    equal(calm(run), before, "the neighbours")
    op.stop()
    run.note(f"{len(cases)} resources, {len(cases) - len(taken)} refused by the API server; memory grew by {grown:.1f} MB")


@test("a member of a pod that only the API server knows to be wrong is told in its words, and not tried for ever",
      full=True)
def unknown_member(run):
    operator(run)
    session(run, ready=False, podTemplate={"spec": {"nodeSelektor": {"disk": "ssd"}}})

    def told():
        c = condition(run.kube.get("flinkdep", run.namespaces[0], "demo"), "Stalled")
        check(c.get("status") == "True" and ".spec.template.spec.nodeSelektor" in c["message"], f"Stalled: {c}")
        return True
    wait("the status tells", told, SOON)
    time.sleep(6)  # the waiting times between attempts double
    since = time.time()
    time.sleep(4)
    tried = [named(e) for e in writes(run, since)]
    check(len(tried) <= 1, f"in 4 s: {tried}")
    delete(run, "flinkdep", "demo")
    nothing_left(run)


# What only the API server knows to be wrong: a template of the JobManager's pod, and words of what it says.
REFUSED = [({"restartPolicy": "Never"}, "spec.template.spec.restartPolicy"),
           ({"nodeSelektor": {"disk": "ssd"}}, ".spec.template.spec.nodeSelektor"),
           ({"securityContext": {"fsGroup": -1}}, "spec.template.spec.securityContext.fsGroup"),
           ({"priorityClassName": "none"}, "no PriorityClass with name none")]  # which only pods are refused for


@test("a change that only the API server knows to be wrong is told in its words and ends nothing; the next one is made")
def refused_change(run):
    operator(run)
    ns, flink = run.namespaces[0], session(run)
    before = flink.jobmanager.uid

    def patch(spec):
        run.kube.patch("flinkdep", ns, "demo", {"spec": {"jobManager": {"podTemplate": spec and {"spec": spec}}}})
    for spec, words in REFUSED:
        patch(spec)

        def told(words=words):
            cr = run.kube.get("flinkdep", ns, "demo")
            c = condition(cr, "Stalled")
            check(c.get("status") == "True" and words in c["message"] and words in dig(cr, "status.error", ""), f"Stalled: {c}")
            return True
        wait("the status tells", told, SOON)
        patch(None)
        cluster_ready(run)
        equal(flink.jobmanager.uid, before, "the JobManager's pod")
    patch({"terminationGracePeriodSeconds": 7})
    wait("another JobManager", lambda: flink.jobmanager and flink.jobmanager.uid != before, SOON)
    cluster_ready(run)


def change(run, kind, name, spec):
    """Replaces the spec, as `kubectl replace` does it; false when the API server does not let it pass."""
    ns = run.namespaces[0]
    now = run.kube.get(kind, ns, name)
    body = {**now, "spec": spec} if spec is not None else {k: v for k, v in now.items() if k != "spec"}
    return run.kube.json("PUT", run.kube.path(kind, ns, name), body)


def becomes(run, case, kind, name, spec):
    change(run, kind, name, spec)

    def told():
        text = wrong_status(case, run.kube.get(kind, run.namespaces[0], name))
        if text:
            raise Failure(text)
        return True
    wait(f"{case.title}: told", told, SOON, 0.02)


@test("a running cluster and its job that are changed into each of them go on untouched")
def changed(run):
    op = operator(run)
    ns = run.namespaces[0]
    flink = session(run)
    found = submit(run)
    time.sleep(1)
    before = {k: v for k, v in versions(run).items() if k not in ("flinkdep/demo", "sessionjob/first")}
    cases = [c for c in CASES if c.who == OPERATOR and not c.name and not c.new and not c.snapshot][::EVERY]
    for i, case in enumerate(cases):
        kind, name = ("sessionjob", "first") if case.job else ("flinkdep", "demo")
        spec = resource(ns, i, case).get("spec")
        becomes(run, case, kind, name, {**spec, "deploymentName": "demo"} if case.job else spec)
    change(run, "flinkdep", "demo", cluster(ns)["spec"])
    change(run, "sessionjob", "first", job(ns, "first")["spec"])
    cluster_ready(run)
    equal(job_ready(run), found, "the job")
    equal({k: v for k, v in versions(run).items() if k in before}, before, "all objects")
    equal(len(flink.accepted), 1, "submissions")
    op.alive()
    op.stop()
    run.note(f"{len(cases)} changes")
