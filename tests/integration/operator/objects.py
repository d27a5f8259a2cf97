"""What the operator makes of a new cluster and of a job, and what it costs."""
import time

from lib.check import check, dig, equal, wait
from lib.manifests import job
from lib.plane import SOON, moment, named
from lib.plane_scene import (cluster_ready, condition, delete, events_of, gone, job_ready, log_has_no, namespace, nothing_left,
                             one_job, operator, pods, session, submit, versions, writes)
from lib.suite import test

MANAGER = "flink-operator"
QUIET = {}


@test("a cluster and a running job are left alone, to be looked at later")
def quiet_begins(run):
    """Of a namespace and with an operator of its own, that the tests between this and `quiet.minute` do not disturb."""
    operator(run)
    session(run)
    submit(run)
    QUIET.update(run=run, since=time.time() + 3)
    run.at_end.clear()  # not yet


def owner(o):
    found = o["metadata"].get("ownerReferences", [])
    check(len(found) == 1, f"owners of {o['metadata']['name']}: {found}")
    return found[0]["kind"], found[0]["name"], found[0]["uid"], found[0].get("blockOwnerDeletion")


@test("a new session cluster: its objects, labels, owners, field managers; 7 requests")
def new_cluster(run):
    op = operator(run)
    ns = run.namespaces[0]
    session(run)
    cr, deployment = run.kube.get("flinkdep", ns, "demo"), run.kube.get("deployment", ns, "demo")
    labels = {"app": "demo", "type": "flink-native-kubernetes"}
    parts = {kind: {o["metadata"]["name"]: o for o in run.kube.list(kind, ns, "app=demo")}
             for kind in ("deployment", "service", "configmap")}
    equal({k: sorted(v) for k, v in parts.items()},
          {"deployment": ["demo"], "service": ["demo", "demo-rest"], "configmap": ["flink-config-demo"]}, "objects")
    for kind, found in parts.items():
        for name, o in found.items():
            of_cr = kind in ("deployment", "configmap")
            more = {"component": "jobmanager"} if kind == "deployment" else {}
            equal(o["metadata"]["labels"], {**labels, **more}, f"labels of {kind} {name}")
            equal(owner(o), ("FlinkDeployment", "demo", cr["metadata"]["uid"], True) if of_cr else
                  ("Deployment", "demo", deployment["metadata"]["uid"], True), f"owner of {kind} {name}")
            ours = [m for m in o["metadata"]["managedFields"] if m["manager"] == MANAGER]
            equal([m["operation"] for m in ours], ["Apply"], f"our field managers of {kind} {name}")
    equal(cr["metadata"]["finalizers"], ["flinkdeployments.flink.apache.org/finalizer"], "finalizers")
    equal(sorted(m.get("subresource", "") for m in cr["metadata"]["managedFields"] if m["manager"] == MANAGER),
          ["", "status"], "our parts of the resource")
    equal(dig(parts, "service.demo.spec.clusterIP"), "None", "the internal Service's address")
    equal(dig(parts, "service.demo.spec.publishNotReadyAddresses"), True, "publishNotReadyAddresses")
    equal([named(e) for e in writes(run)].count("patch flinkdeployments/status demo"), 2, "writes to the status")
    asked = [e for e in run.plane.requests(run.account, run.since)
             if e["verb"] not in ("list", "watch") and dig(e, "objectRef.resource") != "events"]
    equal(len(asked), 7, f"requests, events apart: {[named(e) for e in asked]}")
    log_has_no(op, "forbidden", "failed", "error=")
    run.note(f"{len(asked)} requests and {len(events_of(run, 'demo'))} events")


@test("a job on it and its end: one submission, its TaskManager's owner, nothing left")
def job_and_end(run):
    op = operator(run)
    ns = run.namespaces[0]
    flink = session(run)
    before = len(run.plane.requests(run.account, run.since))
    found = submit(run)
    one_job(flink, found)
    equal(run.kube.get("sessionjob", ns, "first")["metadata"].get("labels"), {"target.session": "demo"}, "labels of the job's resource")
    tms = pods(run, "taskmanager")
    equal(sorted(tms), ["demo-taskmanager-1-1"], "TaskManagers")
    tm = tms["demo-taskmanager-1-1"]
    equal(tm["metadata"]["labels"], {"app": "demo", "component": "taskmanager", "type": "flink-operator-kubernetes"},
          "its labels")
    equal(owner(tm)[:2], ("Deployment", "demo"), "its owner")
    equal(tm["spec"].get("automountServiceAccountToken"), False, "a token in the pod")
    count = len(run.plane.requests(run.account, run.since)) - before
    delete(run, "sessionjob", "first")
    equal(flink.jobmanager.jobs[found]["state"], "CANCELED", "the job in Flink")
    delete(run, "flinkdep", "demo")
    nothing_left(run)
    equal(run.kube.list("pod", ns), [], "pods")
    log_has_no(op, "forbidden", "failed", "error=")
    op.stop()
    run.note(f"{count} requests for the job, events included")


@test("mode standalone: the Deployment of the TaskManagers, its owner; scaled without a restart; nothing left")
def standalone(run):
    op = operator(run)
    ns = run.namespaces[0]
    session(run, mode="standalone", allocator=None, taskManager={"replicas": 1})
    tms = run.kube.get("deployment", ns, "demo-taskmanager")
    equal(tms["metadata"]["labels"], {"app": "demo", "component": "taskmanager", "type": "flink-standalone-kubernetes"}, "labels")
    equal(owner(tms)[:2], ("Deployment", "demo"), "its owner")

    def there(n):
        equal(len(pods(run, "taskmanager")), n, "TaskManagers")
        cr = run.kube.get("flinkdep", ns, "demo")
        equal(dig(cr, "status.allocator.taskManagers.live"), n, "TaskManagers in the status")
        equal(dig(run.kube.json("GET", f"{run.kube.path('flinkdep', ns, 'demo')}/scale"), "status"),
              {"replicas": n, "selector": "component=taskmanager,app=demo"}, "the scale subresource")
        return True
    wait("a TaskManager", lambda: there(1), SOON)
    before, since = sorted(pods(run, "jobmanager")), time.time()
    run.kube.kubectl("scale", "-n", ns, "flinkdep/demo", "--replicas=3")
    wait("three TaskManagers", lambda: there(3), SOON)
    equal(sorted(pods(run, "jobmanager")), before, "JobManagers")
    found = [named(e) for e in writes(run, since)]
    equal(sorted(set(found)), ["patch deployments demo-taskmanager", "patch flinkdeployments/status demo"], "writes")
    delete(run, "flinkdep", "demo")
    nothing_left(run)
    log_has_no(op, "forbidden", "failed", "error=")
    run.note(f"{len(found)} writes")


@test("a restart of the operator with running clusters and jobs writes nothing")
def restart(run):
    first = operator(run)
    for i in range(5):
        flink = session(run, f"c{i}", ready=False)
        run.kube.create("sessionjob", run.namespaces[0], job(run.namespaces[0], f"j{i}", f"c{i}"))
    for i in range(5):
        job_ready(run, f"j{i}")
    time.sleep(1)
    before = versions(run)
    first.stop()
    began = time.time()
    operator(run)
    ready = time.time() - began
    time.sleep(5)
    equal([named(e) for e in writes(run)], [], "writes after the restart")
    equal(versions(run), before, "resourceVersions")
    check(flink.jobmanager.jobs, "the fake has no jobs")
    asked = run.plane.requests(run.account, run.since)
    run.note(f"ready after {ready * 1000:.0f} ms, {len(asked)} requests, the last after "
             f"{moment(asked[-1]) - run.since:.1f} s")


@test("what a job waits for is told in its own status, as it is by now")
def waiting_job(run):
    operator(run)
    ns = run.namespaces[0]
    run.kube.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": ns},
                    "spec": {"hard": {"pods": "0"}}})
    wait("the quota counts", lambda: dig(run.kube.get("resourcequota", ns, "none"), "status.hard"), SOON, 0.05)
    submit(run, ready=False)
    session(run, ready=False)

    def told():
        c = condition(run.kube.get("sessionjob", ns, "first"))
        check("exceeded quota: none" in c.get("message", ""), f"{c}")
        return c
    c = wait("the cause that keeps its cluster from starting", told, SOON)
    equal(c["reason"], "Waiting", "reason")
    run.kube.delete("resourcequota", ns, "none")
    job_ready(run)


@test("twelve namespaces: what happens in each is seen", full=True)
def many_namespaces(run):
    names = [namespace(run, f"-{i}") for i in range(12)]
    operator(run, names)
    for ns in names:
        session(run, ns=ns, ready=False)
    for ns in names:
        cluster_ready(run, ns=ns)
    for ns in names:
        run.kube.delete("flinkdep", ns, "demo")
    for ns in names:
        gone(run, "flinkdep", "demo", ns)


@test("a namespace that may not be read holds up no other one, and is told; it is served when it may be", full=True)
def unreadable_namespace(run):
    mine, theirs = namespace(run), namespace(run, "-theirs")
    run.plane.bound.add((run.account, theirs))  # it is not
    op = operator(run, [mine, theirs], wait_ready=False)
    session(run, ns=theirs, ready=False)
    session(run, ns=mine)
    status, text = op.get("/readyz?verbose")
    check(status == 500 and theirs in text, f"/readyz: {status} {text}")
    check(not run.kube.get("deployment", theirs, "demo"), "it works where it may not")
    run.plane.account(run.account, [theirs])
    cluster_ready(run, ns=theirs)
    wait("the operator is ready", lambda: op.get("/readyz")[0] == 200, SOON)
    for ns in (mine, theirs):
        delete(run, "flinkdep", "demo", ns=ns)
