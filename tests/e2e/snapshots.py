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
