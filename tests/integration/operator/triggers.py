"""Snapshots that a nonce or an interval asks for: one each, as a FlinkStateSnapshot, and the job does not notice."""
import re
import time

from lib.check import check, dig, equal, wait
from lib.manifests import application, merge
from lib.plane import SOON, named
from lib.plane_scene import cluster_ready, condition, events_of, job_ready, log_has_no, operator, session, submit, taken, writes
from lib.suite import test

FOLDER = "file:///savepoints"
PERIODIC = "kubernetes.operator.periodic.savepoint.interval"
HISTORY = "kubernetes.operator.savepoint.history.max.count"
ASKS = {"sessionjob": "first", "flinkdep": "app"}


def own(run, name="first"):
    """The FlinkStateSnapshots of a job, in the order of their creation."""
    found = [cr for cr in run.kube.list("flinksnp", run.namespaces[0]) if dig(cr, "spec.jobReference.name") == name]
    return sorted(found, key=lambda cr: (cr["metadata"]["creationTimestamp"], cr["metadata"]["name"]))


def change(run, job=None, conf=None, kind="sessionjob"):
    run.kube.patch(kind, run.namespaces[0], ASKS[kind], {"spec": {**({"job": job} if job else {}),
                                                               **({"flinkConfiguration": conf} if conf else {})}})


def handled(run, what, nonce, kind="sessionjob"):
    """The nonce is in the recorded spec."""
    def probe():
        cr = run.kube.get(kind, run.namespaces[0], ASKS[kind])
        text = dig(cr, "status.reconciliationStatus.lastReconciledSpec")
        check(f'"{what}TriggerNonce":{nonce}' in text and "snapshotRequests" not in cr["status"]["jobStatus"], text)
        return cr
    return wait(f"{what}TriggerNonce {nonce} recorded", probe, SOON, 0.05)


def several(run, n, name="first"):
    return wait(f"{n} FlinkStateSnapshots of {name}", lambda: len(own(run, name)) >= n and own(run, name), SOON, 0.05)


@test("a new nonce: one FlinkStateSnapshot, with its name and labels, by three writes; the job does not notice")
def nonce(run):
    op = operator(run, binary="build/asan/flink-operator")
    flink = session(run)
    flink.savepoints = FOLDER
    job = submit(run, savepointTriggerNonce=1)
    time.sleep(0.5)
    equal(own(run), [], "of a nonce that was there from the beginning")
    since = time.time()
    change(run, {"savepointTriggerNonce": 7})
    cr = handled(run, "savepoint", 7)
    made, = own(run)
    name = made["metadata"]["name"]
    check(re.fullmatch(r"first-savepoint-manual-\d{13}", name), name)
    equal(dig(made, "spec.savepoint"), {"formatType": "CANONICAL", "disposeOnDelete": False}, "what is asked for")
    equal(taken(run, name)["metadata"]["labels"]["snapshot.trigger-type"], "MANUAL", "its label")
    wrote = [named(e) for e in writes(run, since) if "flinksessionjobs" in named(e) or e["verb"] == "create"]
    equal(len([w for w in wrote if "events" not in w]), 3, f"writes: {wrote}")
    change(run, {"savepointTriggerNonce": None, "checkpointTriggerNonce": 1})
    handled(run, "checkpoint", 1)
    of_checkpoint, = {o["metadata"]["name"] for o in several(run, 2)} - {name}
    check(re.fullmatch(r"first-checkpoint-manual-\d{13}", of_checkpoint), of_checkpoint)
    taken(run, of_checkpoint)
    equal([w for w, _, _ in flink.asked], ["savepoint", "checkpoint"], "what Flink was asked for")
    equal((job_ready(run), len(flink.accepted)), (job, 1), "the job")
    equal(cr["metadata"]["uid"], run.kube.get("sessionjob", run.namespaces[0], "first")["metadata"]["uid"], "its resource")
    log_has_no(op, "failed")


@test("a nonce that comes while the job is suspended waits, and that is told; of an application, with a change", full=True)
def nonce_waits(run):
    operator(run)
    ns = run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/app")
    flink.savepoints = FOLDER
    run.kube.create("flinkdep", ns, merge(application(ns, "app"), {"spec": {"flinkConfiguration": {
        "execution.checkpointing.savepoint-dir": FOLDER}}}))
    cluster_ready(run, "app")
    change(run, {"state": "suspended", "savepointTriggerNonce": 3}, kind="flinkdep")
    wait("suspended", lambda: dig(run.kube.get("flinkdep", ns, "app"), "status.lifecycleState") == "SUSPENDED", SOON, 0.05)

    def waits():
        request = dig(run.kube.get("flinkdep", ns, "app"), "status.jobStatus.snapshotRequests.savepoint")
        equal(request, {"triggerType": "MANUAL", "triggerNonce": 3, "message": "the job is suspended"}, "the request")
        return True
    wait("it is told", waits, SOON, 0.1)
    wait("the event", lambda: [e for e in events_of(run, "app") if e["reason"] == "SnapshotPending"], SOON, 0.1)
    equal(own(run, "app"), [], "snapshots of a job that is suspended")
    change(run, {"state": "running"}, kind="flinkdep")
    cluster_ready(run, "app")
    handled(run, "savepoint", 3, "flinkdep")
    made, = own(run, "app")
    taken(run, made["metadata"]["name"])
    change(run, {"args": ["--name", "other"], "savepointTriggerNonce": 4}, kind="flinkdep")
    handled(run, "savepoint", 4, "flinkdep")
    taken(run, several(run, 2, "app")[-1]["metadata"]["name"])
    equal(len(flink.asked), 2, f"what was asked for: {flink.asked}")


@test("an operator that is killed at any moment, and answers that get lost: one savepoint for each nonce", timeout=240, full=True)
def nonce_crashes(run):
    op = operator(run)
    flink = session(run)
    flink.savepoints = FOLDER
    submit(run)
    for i in range(8):
        change(run, {"savepointTriggerNonce": i + 1})
        time.sleep(i * 0.03)
        op.process.kill()
        op.process.wait()
        op = operator(run)
        handled(run, "savepoint", i + 1)
        equal(len(own(run)), i + 1, f"killed after {i * 0.03:.2f} s: FlinkStateSnapshots")
    for cr in own(run):
        taken(run, cr["metadata"]["name"])
    equal(len(flink.asked), 8, "savepoints that Flink was asked for")


@test("every second a savepoint, and no more of them than are to be kept; a restart of the operator takes none more", timeout=120, full=True)
def periodic(run):
    op = operator(run)
    flink = session(run)
    flink.savepoints = FOLDER
    job = submit(run)
    change(run, conf={PERIODIC: "1 s", HISTORY: "1"})
    first = several(run, 1)[0]["metadata"]["name"]
    check(re.fullmatch(r"first-savepoint-periodic-\d{13}", first), first)
    wait("the first one gone", lambda: first not in [cr["metadata"]["name"] for cr in own(run)], SOON, 0.05)
    change(run, conf={PERIODIC: "0 0 0 1 1 ? 2099"})

    def settled():
        cr, made = run.kube.get("sessionjob", run.namespaces[0], "first"), own(run)
        check(dig(cr, "status.observedGeneration") == cr["metadata"]["generation"], "the change is still to be seen")
        check("snapshotRequests" not in cr["status"]["jobStatus"], "one is about to be made")
        check([dig(s, "status.state") for s in made] == ["COMPLETED"], lambda: [s.get("status") for s in made])
        return True
    wait("all settled", settled, SOON, 0.1)
    asked = len(flink.asked)
    op.stop()
    operator(run)
    time.sleep(1)
    equal((len(flink.asked), len(flink.disposed)), (asked, 0), "what was asked for, and deleted, after a restart of the operator")
    equal(job_ready(run), job, "the job")


@test("an interval that is none: told with its key, and the job goes on; after an outage one savepoint, not all that were missed", full=True)
def intervals(run):
    op = operator(run)
    flink = session(run)
    flink.savepoints = FOLDER
    submit(run)
    change(run, conf={PERIODIC: "0 3 * * *"})

    def told():
        c = condition(run.kube.get("sessionjob", run.namespaces[0], "first"), "Stalled")
        check(c.get("status") == "True" and PERIODIC in c["message"] and "6 or 7 fields" in c["message"], c)
        return True
    wait("it is told", told, SOON, 0.1)
    change(run, conf={PERIODIC: "2 s"})
    several(run, 1)
    op.stop()
    time.sleep(7)
    before = len(own(run))
    operator(run)
    several(run, before + 1)
    time.sleep(1)
    equal(len(own(run)), before + 1, "savepoints one second after an outage of seven")


@test("the savepoint that a job is stopped with is registered", full=True)
def upgrades(run):
    operator(run)
    flink = session(run)
    flink.savepoints = FOLDER
    submit(run, upgradeMode="savepoint")
    run.kube.patch("sessionjob", run.namespaces[0], "first", {"spec": {
        "flinkConfiguration": {"execution.checkpointing.savepoint-dir": FOLDER}, "job": {"args": ["--name", "other"]}}})
    cr, = several(run, 1)
    name = cr["metadata"]["name"]
    check(re.fullmatch(r"first-savepoint-upgrade-\d{13}", name), name)
    cr = taken(run, name)
    equal(cr["spec"]["savepoint"]["alreadyExists"], True, "it exists already")
    equal(cr["metadata"]["labels"]["snapshot.trigger-type"], "UPGRADE", "its label")
    job_ready(run)
    status = run.kube.get("sessionjob", run.namespaces[0], "first")["status"]["jobStatus"]
    equal(status["upgradeSavepointPath"], cr["status"]["path"], "where it is")
    check("snapshotRequests" not in status, status)


OFF = {"kubernetes.operator.snapshot.resource.enabled": "false"}


def info(run, what="savepoint"):
    return dig(run.kube.get("sessionjob", run.namespaces[0], "first"), f"status.jobStatus.{what}Info", {})


@test("without FlinkStateSnapshots: told in the job's status, one for each nonce although the operator is killed; its history", timeout=240,
      full=True)
def direct(run):
    op = operator(run)
    flink = session(run)
    flink.savepoints = FOLDER
    job = submit(run)
    change(run, conf=OFF)
    change(run, {"savepointTriggerNonce": 7, "checkpointTriggerNonce": 3})
    handled(run, "savepoint", 7)
    handled(run, "checkpoint", 3)
    last = info(run)["lastSavepoint"]
    equal((last["triggerType"], last["triggerNonce"], last["location"] in flink.states), ("MANUAL", 7, True), "the savepoint")
    check("triggerId" not in info(run), info(run))
    equal(info(run, "checkpoint")["lastCheckpoint"]["triggerNonce"], 3, "the checkpoint")
    for i in range(4):
        change(run, {"savepointTriggerNonce": 10 + i})
        time.sleep(i * 0.12)
        op.process.kill()
        op.process.wait()
        op = operator(run)
        handled(run, "savepoint", 10 + i)
        equal(info(run)["lastSavepoint"]["triggerNonce"], 10 + i, "the last savepoint")
    equal([w for w, _, _ in flink.asked].count("savepoint"), 5, f"what was asked for: {flink.asked}")
    equal([s["triggerNonce"] for s in info(run)["savepointHistory"]], [7, 10, 11, 12, 13], "the history")
    change(run, conf={PERIODIC: "1 s", HISTORY: "1"})
    wait("periodic ones are deleted", lambda: flink.disposed, SOON, 0.1)
    change(run, conf={PERIODIC: None})
    wait("one of each kind is told", lambda: sorted(s["triggerType"] for s in info(run)["savepointHistory"]) == ["MANUAL", "PERIODIC"],
         SOON, 0.1)
    equal(own(run), [], "FlinkStateSnapshots")
    equal((job_ready(run), len(flink.accepted)), (job, 1), "the job")


@test("without FlinkStateSnapshots: one that fails is told and given up in time; a change waits for one that is under way", timeout=120,
      full=True)
def direct_fails(run):
    operator(run)
    flink = session(run)
    flink.savepoints = "file:/proc/none"
    submit(run)
    change(run, conf={**OFF, "kubernetes.operator.savepoint.trigger.grace-period": "3 s"})
    change(run, {"savepointTriggerNonce": 7})
    handled(run, "savepoint", 7)
    wait("it is told", lambda: any("not tried again" in e["message"] for e in events_of(run, "first")), SOON, 0.1)
    check("lastSavepoint" not in info(run), info(run))
    flink.savepoints = FOLDER
    change(run, {"savepointTriggerNonce": 8})
    wait("it is under way", lambda: flink.asked and flink.asked[-1][0] == "savepoint" and info(run).get("triggerId"), SOON, 0.01)
    change(run, {"args": ["--name", "other"]})
    handled(run, "savepoint", 8)
    equal(info(run)["lastSavepoint"]["triggerNonce"], 8, "the last savepoint")
    wait("another run", lambda: len(flink.accepted) == 2, SOON, 0.1)
    job_ready(run)
