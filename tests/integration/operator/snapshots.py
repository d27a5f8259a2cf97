"""FlinkStateSnapshots: taken once, told truly, and their files deleted with them."""
import json
import os
import time

from lib.bed import ROOT
from lib.check import check, dig, equal, wait
from lib.manifests import application, merge, snapshot
from lib.plane import SOON, named
from lib.plane_scene import (condition, delete, events_of, gone, job_ready, log_has_no, nothing_left, operator, session,
                             snapshot_state, submit, taken, versions, writes)
from lib.suite import test

FOLDER = "file:///savepoints"
DEFINITION = "flinkstatesnapshots.flink.apache.org"


def create(run, name="backup", **more):
    ns = run.namespaces[0]
    return run.kube.create("flinksnp", ns, snapshot(ns, name, **more))


def reaches(run, state, name="backup", seconds=SOON):
    def probe():
        cr = run.kube.get("flinksnp", run.namespaces[0], name)
        check(dig(cr, "status.state") == state, lambda: snapshot_state(cr))
        return cr
    return wait(f"{name} {state}", probe, seconds, 0.02)


def reasons(run, name="backup"):
    return [e["reason"] for e in events_of(run, name)]


def labels(run, name="backup"):
    return run.kube.get("flinksnp", run.namespaces[0], name)["metadata"]["labels"]


@test("a savepoint: asked for once, five writes, none after a restart; its labels; deleted with its files; the job does not notice")
def savepoint(run):
    op = operator(run, binary="build/asan/flink-operator")
    flink = session(run)
    job = submit(run)
    time.sleep(1)
    since = time.time()
    create(run, path=FOLDER)
    cr = taken(run)
    wait("its labels", lambda: labels(run) == {
        "snapshot.type": "SAVEPOINT", "snapshot.trigger-type": "MANUAL", "snapshot.state": "COMPLETED",
        "job-reference.kind": "FlinkSessionJob", "job-reference.name": "first"}, SOON, 0.05)
    path = cr["status"]["path"]
    check(path.startswith(FOLDER) and path in flink.states, f"path {path}")
    equal(flink.asked, [("savepoint", job, cr["status"]["triggerId"])], "savepoints that Flink was asked for")
    equal((cr["status"]["jobId"], cr["status"]["clusterName"]), (job, "demo"), "of what it is")
    time.sleep(1)
    found = [named(e) for e in writes(run, since)]
    equal(len(found), 5, f"writes: {found}")
    op.stop()
    op = operator(run, binary="build/asan/flink-operator")
    time.sleep(2)
    equal([named(e) for e in writes(run)], [], "writes after a restart of the operator")
    before = versions(run)
    delete(run, "flinksnp", "backup")
    equal(flink.disposed, [path], "savepoints that were deleted")
    equal(versions(run), before, "all other objects")
    equal(job_ready(run), job, "the job")
    log_has_no(op, "failed")
    op.stop()


@test("a checkpoint, with its path; one whose path Flink does not tell is complete without; their files stay", full=True)
def checkpoint(run):
    operator(run)
    flink = session(run)
    job = submit(run)
    create(run, checkpoint=True)
    cr = taken(run)
    check(job in cr["status"]["path"] and cr["status"]["path"] in flink.states, f"path {cr['status'].get('path')}")
    flink.hook = lambda r: flink.jobmanager.recorded("checkpoint-details-unknown.404") if "/details/" in r.path else None
    create(run, "forgotten", checkpoint=True)
    cr = taken(run, "forgotten")
    check("path" not in cr["status"], f"path {cr['status'].get('path')}")
    wait("the event", lambda: "CheckpointError" in reasons(run, "forgotten"), SOON, 0.1)
    equal([w for w, _, _ in flink.asked], ["checkpoint"] * 2, "what was asked for")
    for name in ("backup", "forgotten"):
        delete(run, "flinksnp", name)
    equal(flink.disposed, [], "what was deleted")


@test("one that exists already is registered, and stays when its resource goes, unless that is asked for")
def exists(run):
    operator(run)
    flink = session(run)
    submit(run)
    flink.states["file:/old"] = 7
    create(run, "alone", of=None, alreadyExists=True, path="file:/old")
    create(run, alreadyExists=True, path="file:/old")
    create(run, "goes", alreadyExists=True, path="file:/old", disposeOnDelete=True)
    for name in ("alone", "backup", "goes"):
        equal(taken(run, name)["status"]["path"], "file:/old", "path")
    for name in ("alone", "backup"):
        delete(run, "flinksnp", name)
        equal(flink.disposed, [], "what was deleted")
    delete(run, "flinksnp", "goes")
    equal(flink.disposed, ["file:/old"], "what was deleted")
    equal(flink.asked, [], "what was asked for")


@test("a folder that cannot be written to: Flink's cause, tried again as often as is allowed", full=True)
def fails(run):
    operator(run)
    flink = session(run)
    submit(run)
    create(run, "once", path="file:/proc/none", limit=0)
    cr = reaches(run, "FAILED", "once")
    error = json.loads(cr["status"]["error"])
    check("Failed to create savepoint directory at file:/proc/nothing" in error["message"], error)
    equal((error["type"].rsplit(".", 1)[1], cr["status"]["failures"]), ("ReconciliationException", 1), "error and failures")
    equal((condition(cr, "Stalled")["status"], condition(cr)["reason"]), ("True", "Failed"), "Stalled, and why")
    wait("the event", lambda: "SavepointError" in reasons(run, "once"), SOON, 0.1)
    create(run, "twice", path="file:/proc/none", limit=1)
    cr = reaches(run, "TRIGGER_PENDING", "twice")
    wait("a failure", lambda: dig(run.kube.get("flinksnp", run.namespaces[0], "twice"), "status.failures") == 1, SOON, 0.1)
    since = time.time()
    cr = reaches(run, "FAILED", "twice")
    check(8 < time.time() - since < 20, f"the second attempt came after {time.time() - since:.1f} s")
    equal(cr["status"]["failures"], 2, "failures")
    equal(len({t for _, _, t in flink.asked}), 3, "ids that Flink was asked for")
    for name in ("once", "twice"):
        delete(run, "flinksnp", name)


@test("several of one job: one at a time; a checkpoint need not wait for savepoints")
def queue(run):
    operator(run)
    flink = session(run)
    submit(run)
    running, most = set(), []

    def watch(request):
        kind = request.kind()
        if kind == "POST /jobs/*/savepoints":
            running.clear()
            running.update(t for (_, t), v in flink.jobmanager.triggers.items() if v["what"] == "savepoint" and not v["done"])
            most.append(len(running))
    flink.hook = watch
    for i in range(4):
        create(run, f"number-{i}", path=FOLDER)
    create(run, "check", checkpoint=True)
    for i in range(4):
        taken(run, f"number-{i}")
    taken(run, "check")
    equal(most, [0] * 4, "savepoints that were under way when another one was asked for")
    equal(len(flink.asked), 5, "what was asked for")


@test("answers that get lost, and an operator that is killed at any moment: one savepoint each", timeout=240, full=True)
def crashes(run):
    op = operator(run)
    flink = session(run)
    job = submit(run)
    for i, fault in enumerate(("after", "before", "500")):
        faults = [fault]

        def hook(request, left=faults):
            return left.pop() if left and request.kind() == "POST /jobs/*/savepoints" else None
        flink.hook = hook
        create(run, f"lost-{i}", path=FOLDER)
        taken(run, f"lost-{i}")
    flink.hook = None
    expected = 3 if len(flink.asked) == 3 else 4  # Flink's own 500 counts as a failure, and is tried again
    equal(len(flink.asked), expected, f"what was asked for: {flink.asked}")
    for i in range(6):
        before = len(flink.asked)
        create(run, f"killed-{i}", path=FOLDER)
        time.sleep(i * 0.08)
        op.process.kill()
        op.process.wait()
        op = operator(run)
        cr = taken(run, f"killed-{i}")
        equal(flink.asked[before:], [("savepoint", job, cr["status"]["triggerId"])], f"killed after {i * 0.08:.2f} s: asked for")
    for cr in run.kube.list("flinksnp", run.namespaces[0]):
        delete(run, "flinksnp", cr["metadata"]["name"])
    equal(len(flink.disposed), 9, "what was deleted")
    run.note(f"{len(flink.asked)} savepoints")


@test("a job that does not run yet is waited for, one that is suspended abandons it; a missing one is named", full=True)
def jobs(run):
    operator(run)
    flink = session(run)
    create(run, path=FOLDER)

    def told():
        c = condition(run.kube.get("flinksnp", run.namespaces[0], "backup"), "Stalled")
        check(c.get("status") == "True" and 'no FlinkSessionJob "first"' in c["message"], f"Stalled {c}")
        return True
    wait("it is named", told, SOON, 0.1)
    flink.run_seconds = 2
    submit(run)
    taken(run)
    check("ValidationError" in reasons(run), "no event")
    run.kube.patch("sessionjob", run.namespaces[0], "first", {"spec": {"job": {"state": "suspended"}}})
    wait("suspended", lambda: dig(run.kube.get("sessionjob", run.namespaces[0], "first"), "status.lifecycleState") == "SUSPENDED",
         SOON, 0.05)
    create(run, "late", path=FOLDER)
    cr = reaches(run, "ABANDONED", "late")
    check("the job is suspended" in cr["status"]["error"], cr["status"]["error"])
    wait("the event", lambda: "SnapshotAbandoned" in reasons(run, "late"), SOON, 0.1)
    delete(run, "flinksnp", "backup")  # the job does not run: its cluster's JobManager can do it
    equal(len(flink.disposed), 1, "what was deleted")


@test("of an application; when its cluster is gone the savepoint's path is told, and the resource goes")
def applications(run):
    operator(run)
    ns = run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/app")
    run.kube.create("flinkdep", ns, merge(application(ns, "app"), {"spec": {"job": {"args": ["--name", "app"]}}}))
    create(run, of="app", kind="FlinkDeployment", path=FOLDER)  # together with it
    path = taken(run)["status"]["path"]
    delete(run, "flinkdep", "app")
    delete(run, "flinksnp", "backup")
    equal(flink.disposed, [], "what was deleted")
    e, = [e for e in events_of(run, "backup") if e["reason"] == "CleanupFailed"]
    check(path in e["message"] and "app is gone" in e["message"], e["message"])


@test("all of it deleted at once, with a savepoint under way: all of it goes", timeout=120)
def at_once(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    submit(run)
    create(run, path=FOLDER)
    taken(run)
    create(run, "second", path=FOLDER)
    reaches(run, "IN_PROGRESS", "second")
    since = time.time()
    everything = (("flinkdep", "demo"), ("sessionjob", "first"), ("flinksnp", "backup"), ("flinksnp", "second"))
    for kind, name in everything:
        run.kube.delete(kind, ns, name)
    for kind, name in everything:
        gone(run, kind, name)
    nothing_left(run)
    run.note(f"{time.time() - since:.1f} s")


@test("without its definition the operator is ready and works; one that comes later is found", timeout=240, full=True)
def definition_later(run):
    def there():
        run.kube.kubectl("apply", "--server-side", "-f", os.path.join(ROOT, f"crds/{DEFINITION}-v1.yml"))
        run.kube.kubectl("wait", "--for=condition=Established", f"crd/{DEFINITION}", "--timeout=30s")
    run.cleanup(there)
    run.kube.delete("crd", None, DEFINITION)
    wait("no such kind", lambda: run.kube.get("crd", None, DEFINITION) is None, SOON, 0.1)
    op = operator(run)
    equal(op.get("/readyz")[0], 200, "/readyz")
    flink = session(run)
    job = submit(run)
    there()
    since = time.time()
    create(run, path=FOLDER)
    taken(run, seconds=90)
    equal(flink.asked[0][1], job, "the job")
    delete(run, "flinksnp", "backup")
    op.alive()
    run.note(f"found after {time.time() - since:.0f} s")
