"""What a deletion waits for, for how long, and who ends the wait."""
import os
import time

from lib.check import check, equal, holds, wait
from lib.manifests import job
from lib.plane import SOON
from lib.plane_scene import condition, delete, events_of, gone, nothing_left, operator, session, state, submit
from lib.suite import test

SAVES = {"kubernetes.operator.job.savepoint-on-deletion": "true", "execution.checkpointing.savepoint-dir": "s3://bucket/saved"}
FORCE = "flink-operator/force-delete"


def told(run, name, reason):
    """What events say of it."""
    return " | ".join(e["message"] for e in events_of(run, name) if e["reason"] == reason)


def saved_job(run, name):
    asked = job(run.namespaces[0], name)
    asked["spec"]["flinkConfiguration"] = SAVES
    run.kube.create("sessionjob", run.namespaces[0], asked)
    return wait(f"{name} runs", lambda: condition(run.kube.get("sessionjob", run.namespaces[0], name)).get("status") == "True",
                SOON, 0.05)


def hangs(request):
    return "hang" if "/stop" in request.path or "/savepoints/" in request.path else None


@test("what was handed back waits for the other operator when it is deleted; where there is none, the user ends that, of its job, too")
def handed_back(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    submit(run)
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"annotations": {"flink-operator/release": "done"}}})
    time.sleep(1)
    mine = {"sessionjob": "first", "flinkdep": "demo"}
    for kind, name in mine.items():
        run.kube.delete(kind, ns, name)
    holds("they stay", lambda: all(run.kube.get(kind, ns, name) for kind, name in mine.items()), 3)
    for kind, name in mine.items():
        run.kube.patch(kind, ns, name, {"metadata": {"annotations": {FORCE: "true"}}})
        gone(run, kind, name)
    nothing_left(run)


@test("a job that is deleted ends with a savepoint, if that is asked for: its path is told; one that cannot be taken has a deadline",
      full=True)
def savepoint(run):
    conf = run.file("config.yaml", "kubernetes.operator.resource.cleanup.timeout: 6 s\n")
    operator(run, None, "--conf-dir", os.path.dirname(conf))
    flink = session(run, slots=2)
    saved_job(run, "first")
    delete(run, "sessionjob", "first")
    run_of = flink.runs[-1]
    path = run_of.snapshots[-1].path
    check(run_of.snapshots[-1].savepoint and path.startswith("s3://bucket/saved"), path)
    equal(run_of.state, "FINISHED", "the job in Flink")
    wait("the path is told", lambda: path in told(run, "first", "Cleanup"), SOON, 0.1)
    saved_job(run, "second")
    flink.hook = hangs
    began = time.monotonic()
    delete(run, "sessionjob", "second", seconds=40)
    took = time.monotonic() - began
    check(5 < took, f"gone after {took:.1f} s, before the deadline of its savepoint")
    wait("that it was not is told", lambda: "without a savepoint" in told(run, "second", "CleanupFailed"), SOON, 0.1)
    flink.hook = None
    delete(run, "flinkdep", "demo")
    nothing_left(run)


@test("a cluster that its jobs hold up goes when the user says so, or after a time that is told; so does a job whose JobManager hangs",
      full=True)
def forced(run):
    operator(run)
    ns = run.namespaces[0]
    flink = session(run, conf={"kubernetes.operator.session.deletion.block-timeout": "8 s"})
    submit(run)

    def blocked():
        run.kube.delete("flinkdep", ns, "demo")

        def says():
            cr = run.kube.get("flinkdep", ns, "demo")
            c = condition(cr)
            check(c["reason"] == "DeletionBlocked" and "FlinkSessionJob to be deleted: first" in c["message"]
                  and "8 s at most" in c["message"] and FORCE in c["message"], state(cr))
            return True
        wait("the status tells what is waited for, and for how long", says, SOON, 0.1)
    blocked()
    began = time.monotonic()
    holds("the cluster waits", lambda: run.kube.get("flinkdep", ns, "demo") is not None, 4, 0.5)
    gone(run, "flinkdep", "demo")
    took = time.monotonic() - began
    check(4 < took < 14, f"gone after {took:.1f} s")
    check("deleted without more waiting for 1 FlinkSessionJob" in told(run, "demo", "CleanupFailed"), told(run, "demo", "CleanupFailed"))
    delete(run, "sessionjob", "first")
    nothing_left(run)
    flink = session(run, conf={"kubernetes.operator.session.deletion.block-timeout": "8 s"})
    submit(run)
    blocked()
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"annotations": {FORCE: "true"}}})
    gone(run, "flinkdep", "demo", seconds=4)
    delete(run, "sessionjob", "first")
    nothing_left(run)
    flink = session(run)
    submit(run)
    flink.hook = lambda request: "hang"
    run.kube.delete("sessionjob", ns, "first")
    holds("the job waits", lambda: run.kube.get("sessionjob", ns, "first") is not None, 3, 0.5)
    run.kube.patch("sessionjob", ns, "first", {"metadata": {"annotations": {FORCE: "true"}}})
    gone(run, "sessionjob", "first", seconds=4)
    flink.hook = None
    run.kube.delete("flinkdep", ns, "demo")
    wait("its job, which nobody owns now, holds the cluster up",
         lambda: "no FlinkSessionJob owns" in condition(run.kube.get("flinkdep", ns, "demo"))["message"], SOON, 0.1)
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"annotations": {FORCE: "true"}}})
    gone(run, "flinkdep", "demo", seconds=4)


@test("jobs that nobody owns hold up a cluster also when the operator is new, or one answer of the JobManager was not had", full=True)
def unmanaged(run):
    op = operator(run)
    ns = run.namespaces[0]
    flink = session(run)
    flink.jobmanager.run("0" * 31 + "9", "mine", 1)
    wait("the operator sees it", lambda: run.kube.get("flinkdep", ns, "demo")["status"]["allocator"]["slots"]["needed"] == 1, SOON, 0.1)
    run.kube.delete("flinkdep", ns, "demo")
    wait("its deletion waits", lambda: condition(run.kube.get("flinkdep", ns, "demo"))["reason"] == "DeletionBlocked", SOON, 0.1)
    op.stop()
    operator(run)
    failed = []

    def once(request):
        if request.kind() == "GET /jobs/overview" and len(failed) < 2:
            failed.append(request)
            return "500"
        return None
    holds("it waits on", lambda: run.kube.get("flinkdep", ns, "demo") is not None, 2, 0.2)
    flink.hook = once
    holds("it waits on", lambda: run.kube.get("flinkdep", ns, "demo") is not None, 4, 0.2)
    equal((len(failed), flink.runs[-1].state), (2, "RUNNING"), "answers that failed, and the job")
    flink.hook = None
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"annotations": {FORCE: "true"}}})
    gone(run, "flinkdep", "demo", seconds=4)


@test("sixteen jobs that are to go at once are all told to end")
def forced_many(run):
    operator(run)
    ns = run.namespaces[0]
    flink = session(run, slots=16)
    names = [f"j{i}" for i in range(16)]
    for name in names:
        submit(run, name, ready=False)
    for name in names:
        wait(f"{name} runs", lambda name=name: condition(run.kube.get("sessionjob", ns, name)).get("status") == "True", SOON, 0.05)
    for name in names:
        run.kube.patch("sessionjob", ns, name, {"metadata": {"annotations": {FORCE: "true"}}})
        run.kube.delete("sessionjob", ns, name)
    for name in names:
        gone(run, "sessionjob", name)
    wait("all jobs end", lambda: {r.state for r in flink.runs} == {"CANCELED"}, SOON, 0.1)
    delete(run, "flinkdep", "demo")
