"""Applications with state and Kubernetes high availability: whatever happens to them, they go on where they were. The job appends
each hundredth of its count to a file that all of its runs share: a gap or a repetition shows there."""
import os
import shutil
import time

from lib.check import check, dig, equal, wait
from lib.manifests import application, hold
from lib.suite import test
from applications import job_id, running, told
from matrix import each_series
from scene import SOON, UP, condition, gone, jobmanager, state, suspended
from world import need_bed


def folder(run):
    return f"/flink-data/{run.ns}"


def counting(run, mode, series, spec=None):
    path = "file://" + folder(run)
    return application(
        run.ns, version=series, serviceAccount="flink", podTemplate=hold(),
        args=["--keys", "1", "--rate", "1000", "--out", folder(run) + "/out"], conf={
            "high-availability.type": "kubernetes", "high-availability.storageDir": path + "/ha",
            "execution.checkpointing.interval": "1 s",
            "execution.checkpointing.dir": path + "/checkpoints", "state.checkpoints.dir": path + "/checkpoints",
            "execution.checkpointing.savepoint-dir": path + "/savepoints", "state.savepoints.dir": path + "/savepoints"},
        job={"upgradeMode": mode}, **(spec or {}))


def numbers(run):
    with open(need_bed(run).state + folder(run) + "/out", encoding="utf-8") as f:
        return [int(line.partition("=")[2]) for line in f if line.endswith("\n")]


def start(run, mode, series="1.20", spec=None):
    bed = need_bed(run)
    shutil.rmtree(bed.state + folder(run), ignore_errors=True)  # of a bed that was kept
    os.makedirs(bed.state + folder(run))
    os.chmod(bed.state + folder(run), 0o777)
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")
    run.kube.apply(counting(run, mode, series, spec))
    flink, first = running(run)
    wait("some numbers", lambda: len(numbers(run)) > 5, 60)
    return flink, first


def goes_on(run, at, exactly):
    """More numbers than at the moment `at`, without a gap; exactly: without a repetition, too."""
    def on():
        found = numbers(run)
        return len(found) > at + 10 and found[-1] > max(found[:at]) and found
    found = wait("it counts on", on, UP)
    steps = [b - a for a, b in zip(found, found[1:])]
    check(max(steps) <= 100, f"a gap in {found}")
    if exactly:
        equal(set(steps), {100}, f"steps: a repetition in {found[-40:]}")


def kept(run):
    return [c["metadata"]["name"] for c in run.kube.list("configmap", run.ns) if c["metadata"]["name"].endswith("-config-map")]


@each_series("last-state: a change and a suspension go on from what high availability keeps, with the same job id")
def last_state(run, series):
    _, first = start(run, "last-state", series)
    time.sleep(3)
    at, since = len(numbers(run)), time.time()
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    told(run, "UPGRADING", lifecycleState="UPGRADING")
    _, second = running(run)
    run.note(f"RUNNING again {time.time() - since:.1f} s after a change")
    equal(second, first, "job id after a change")
    goes_on(run, at, exactly=False)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"state": "suspended"}}})
    suspended(run, "demo", "flinkdep", UP)
    wait("Ready", lambda: condition(run.kube.get("flinkdep", run.ns, "demo"))["status"] == "True", 60)
    check(kept(run), "nothing is kept")
    at = len(numbers(run))
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"state": "running"}}})
    _, third = running(run)
    equal(third, first, "job id after a suspension")
    goes_on(run, at, exactly=False)
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo", seconds=90)
    equal(kept(run), [], "ConfigMaps left")


@each_series("savepoint: a change goes on exactly where the job was stopped", full=True)
def savepoint(run, series):
    _, first = start(run, "savepoint", series)
    at = len(numbers(run))
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    running(run, former=first)
    goes_on(run, at, exactly=True)
    path = dig(run.kube.get("flinkdep", run.ns, "demo"), "status.jobStatus.upgradeSavepointPath")
    check("/savepoints/" in path, f"upgradeSavepointPath {path}")


@test("the JobManager is killed: another one takes over with the same job and its state", full=True)
def takes_over(run):
    _, first = start(run, "last-state")
    time.sleep(3)
    pod, at, since = jobmanager(run), len(numbers(run)), time.time()
    run.kube.delete("pod", run.ns, pod["metadata"]["name"], now=True)

    def again():
        flink, found = running(run)
        check(jobmanager(run)["metadata"]["uid"] != pod["metadata"]["uid"] and found == first, f"job {found}")
        return flink
    wait("it runs again", again, UP)
    run.note(f"RUNNING again after {time.time() - since:.1f} s")
    goes_on(run, at, exactly=False)


@test("a state that is asked for and cannot be kept is refused", full=True)
def refused(run):
    run.kube.apply(application(run.ns, job={"upgradeMode": "last-state"}))
    cr = told(run, "FAILED", SOON, lifecycleState="FAILED")
    check("high-availability.type" in condition(cr)["message"], state(cr))
    equal(job_id(run), None, "job id")
