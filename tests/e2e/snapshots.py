"""FlinkStateSnapshots of a real job: what they say is on the disk, and what they delete is not."""
import json
import os
import shutil
import time

from lib.check import check, dig, equal, wait
from lib.manifests import cluster, hold, job, snapshot
from lib.suite import test
from matrix import each_series
from scene import SOON, UP, condition, gone, job_running, session, suspended
from world import need_bed


def folder(run):
    return f"file:///flink-data/{run.ns}"


def on_disk(bed, path):
    """Where the bed's folder for data is from here; None: there is nothing."""
    found = f"{bed.state}/flink-data/" + path.split("/flink-data/", 1)[1]
    return found if os.path.exists(found) else None


def start(run, series="1.20"):
    """A session cluster with a job that has state: its Flink, the job's id."""
    need_bed(run)
    flink = session(run, cluster(run.ns, version=series, podTemplate=hold(), conf={
        "execution.checkpointing.dir": folder(run), "state.checkpoints.dir": folder(run),
        "execution.checkpointing.savepoint-dir": folder(run), "state.savepoints.dir": folder(run)}))
    manifest = job(run.ns, "first", upgradeMode="savepoint")
    manifest["spec"]["flinkConfiguration"] = {"execution.checkpointing.interval": "1 h"}  # it makes none by itself
    run.kube.apply(manifest)
    return flink, job_running(run, flink, "first")


def reaches(run, state, name="backup", seconds=60):
    def probe():
        cr = run.kube.get("flinksnp", run.ns, name)
        check(dig(cr, "status.state") == state, lambda: f"{dig(cr, 'status.state')}: {condition(cr)}")
        return cr
    return wait(f"{name} {state}", probe, seconds, 0.1)


def events(run, name, reason):
    return [e["message"] for e in run.kube.list("event", run.ns)
            if e["involvedObject"]["name"] == name and e["reason"] == reason]


@each_series("a savepoint and a checkpoint: on the disk, in Flink, once; the savepoint goes with its resource, the checkpoint stays")
def taken(run, series):
    flink, first = start(run, series)
    run.kube.apply(snapshot(run.ns))
    cr = reaches(run, "COMPLETED")
    path = cr["status"]["path"]
    check(on_disk(run.bed, path), f"nothing at {path}")
    run.kube.apply(snapshot(run.ns, "check", checkpoint=True))
    kept = reaches(run, "COMPLETED", "check")["status"]["path"]
    check(kept and on_disk(run.bed, kept), f"nothing at {kept}")
    # That is what the operator builds on: asked twice for one id, Flink takes one, of savepoints and of checkpoints.
    for word in ("savepoints", "checkpoints"):
        resource = run.kube.get("flinksnp", run.ns, "backup" if word == "savepoints" else "check")
        flink.post(f"/jobs/{first}/{word}", {"triggerId": resource["status"]["triggerId"]})
    time.sleep(4)  # Flink's answers about checkpoints may be so old
    equal(flink.get(f"/jobs/{first}/checkpoints")["counts"]["total"], 2, "savepoints and checkpoints by Flink's count")
    equal(len([n for n in os.listdir(on_disk(run.bed, folder(run))) if n.startswith("savepoint-")]), 1, "savepoints on the disk")
    shown = run.kube.kubectl("get", "-n", run.ns, "flinksnp", "backup").splitlines()
    equal(shown[0].split(), ["NAME", "PATH", "RESULT", "TIMESTAMP", "SNAPSHOT", "STATE"], "columns")
    since = time.time()
    for name in ("backup", "check"):
        run.kube.delete("flinksnp", run.ns, name)
    gone(run, "flinksnp", "backup", "check", seconds=SOON)
    run.note(f"deleted in {time.time() - since:.1f} s")
    wait("the savepoint gone from the disk", lambda: not on_disk(run.bed, path), SOON)
    equal(events(run, "backup", "CleanupFailed"), [], "CleanupFailed")
    flink.running(first)


@test("a folder that cannot be written to: FAILED with Flink's cause; one that is there already is registered, and stays")
def others(run):
    start(run)
    run.kube.apply(snapshot(run.ns, "fails", path="file:///proc/none", limit=0))
    error = json.loads(reaches(run, "FAILED", "fails")["status"]["error"])
    check("/proc/none" in error["message"], error)
    check(any("/proc/none" in m for m in events(run, "fails", "SavepointError")), "no event SnapshotError with the cause")
    run.kube.apply(snapshot(run.ns))
    path = reaches(run, "COMPLETED")["status"]["path"]
    run.kube.apply(snapshot(run.ns, "old", of=None, alreadyExists=True, path=path))
    equal(reaches(run, "COMPLETED", "old")["status"]["path"], path, "path")
    run.kube.delete("flinksnp", run.ns, "old")
    gone(run, "flinksnp", "old")
    check(on_disk(run.bed, path), "it was deleted")
    # Somebody was faster: nothing is left to delete, and that holds up nobody.
    shutil.rmtree(on_disk(run.bed, path))
    run.kube.delete("flinksnp", run.ns, "backup")
    gone(run, "flinksnp", "backup")
    check(any("any more" in m for m in events(run, "backup", "Cleanup")), "no event Cleanup")


@test("its job is suspended: the savepoint goes all the same; its cluster is gone: the path is told, and the resource goes")
def leftovers(run):
    start(run)
    for name in ("backup", "left"):
        run.kube.apply(snapshot(run.ns, name))
    path, left = (reaches(run, "COMPLETED", n)["status"]["path"] for n in ("backup", "left"))
    run.kube.patch("sessionjob", run.ns, "first", {"spec": {"job": {"state": "suspended"}}})
    suspended(run, "first")
    run.kube.delete("flinksnp", run.ns, "backup")
    gone(run, "flinksnp", "backup")
    check(not on_disk(run.bed, path) and on_disk(run.bed, left), "the wrong one was deleted")
    run.kube.apply(snapshot(run.ns, "late"))
    reaches(run, "ABANDONED", "late")
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/first", "flinkdep/demo", f"--timeout={UP}s")
    run.kube.delete("flinksnp", run.ns, "left")
    gone(run, "flinksnp", "left")
    check(on_disk(run.bed, left), "it was deleted")
    check(any(left in m for m in events(run, "left", "CleanupFailed")), "no event CleanupFailed with the path")


@test("a namespace that is deleted with all that is in it ends", full=True)
def namespace(run):
    start(run)
    for name in ("backup", "second"):
        run.kube.apply(snapshot(run.ns, name))
    reaches(run, "COMPLETED")
    since = time.time()
    run.kube.delete("namespace", None, run.ns)
    wait("the namespace gone", lambda: run.kube.get("namespace", None, run.ns) is None, UP, 0.5)
    run.note(f"{time.time() - since:.1f} s")


# ---- what nonces and intervals ask for ----

PERIODIC = "kubernetes.operator.periodic."


def own(run, why):
    """The FlinkStateSnapshots of the job that somebody has wanted: MANUAL, PERIODIC or UPGRADE."""
    found = [cr for cr in run.kube.list("flinksnp", run.ns) if dig(cr, "spec.jobReference.name") == "first"]
    return [cr for cr in found if cr["metadata"]["labels"]["snapshot.trigger-type"] == why]


def change(run, job=None, **conf):
    run.kube.patch("sessionjob", run.ns, "first", {"spec": {**({"job": job} if job else {}), "flinkConfiguration": conf}})


def one(run, why, seconds=60):
    """The only one of its kind, complete and on the disk: its path."""
    def probe():
        made = own(run, why)
        check(len(made) == 1 and dig(made[0], "status.state") == "COMPLETED", lambda: [s.get("status") for s in made])
        return made[0]
    path = wait(f"one {why} snapshot", probe, seconds, 0.2)["status"]["path"]
    check(on_disk(run.bed, path), f"nothing at {path}")
    return path


@each_series("a nonce: one savepoint on the disk, and the job runs on; a change registers the one that the next run begins with",
             full=True)
def nonce(run, series):
    flink, first = start(run, series)
    change(run, {"savepointTriggerNonce": 7})
    one(run, "MANUAL")
    flink.running(first)
    since = time.time()
    change(run, {"parallelism": 2})
    path = one(run, "UPGRADE", UP)
    wait("another run", lambda: job_running(run, flink, "first") != first, UP, 1)
    equal(dig(run.kube.get("sessionjob", run.ns, "first"), "status.jobStatus.upgradeSavepointPath"), path, "what it began with")
    equal((len(own(run, "MANUAL")), len(own(run, "PERIODIC"))), (1, 0), "others")
    run.note(f"changed in {time.time() - since:.1f} s")


@each_series("periodic savepoints and checkpoints: as many on the disk as are to be kept, and the job runs on", full=True)
def periodic(run, series):
    flink, first = start(run, series)
    seen = {"savepoint": set(), "checkpoint": set()}

    def taken_so_far():
        for cr in own(run, "PERIODIC"):
            seen["checkpoint" if "checkpoint" in cr["spec"] else "savepoint"].add(cr["metadata"]["name"])
        check(all(len(names) >= 5 for names in seen.values()), lambda: {k: len(v) for k, v in seen.items()})
        return True
    change(run, **{PERIODIC + "savepoint.interval": "2 s", PERIODIC + "checkpoint.interval": "0/2 * * ? * *",
                   "kubernetes.operator.savepoint.history.max.count": "2",
                   "kubernetes.operator.savepoint.dispose-on-delete": "true"})
    wait("five of each", taken_so_far, UP, 0.2)
    change(run, **{PERIODIC + "savepoint.interval": None, PERIODIC + "checkpoint.interval": None})

    def kept():
        made = own(run, "PERIODIC")
        savepoints = [cr for cr in made if "savepoint" in cr["spec"]]
        check(all(dig(cr, "status.state") == "COMPLETED" for cr in made), lambda: [dig(cr, "status.state") for cr in made])
        check((len(savepoints), len(made)) == (2, 3), lambda: [cr["metadata"]["name"] for cr in made])
        here = [n for n in os.listdir(on_disk(run.bed, folder(run))) if n.startswith("savepoint-")]
        check(len(here) == 2, lambda: f"savepoints on the disk: {here}")
        check(all(on_disk(run.bed, cr["status"]["path"]) for cr in made), "one of them is not there")
        return True
    wait("two savepoints and Flink's one checkpoint are kept", kept, SOON, 0.5)
    flink.running(first)
