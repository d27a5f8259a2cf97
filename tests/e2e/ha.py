"""Applications with state and Kubernetes high availability: whatever happens to them, they go on where they were. The job appends
each hundredth of its count to a file that all of its runs share: a gap or a repetition shows there."""
import os
import re
import shutil
import threading
import time

from lib.check import check, dig, equal, holds, wait
from lib.manifests import application, hold
from lib.suite import test
from applications import job_id, running, told
from matrix import each_series
from scene import SOON, UP, cluster_ready, condition, gone, jobmanager, pods, state, suspended, taskmanagers
from world import need_bed


def folder(run):
    return f"/flink-data/{run.ns}"


def shared(run):
    """spec members of a cluster whose jobs keep what they have there."""
    path = "file://" + folder(run)
    return {"serviceAccount": "flink", "podTemplate": hold(), "conf": {
        "high-availability.type": "kubernetes", "high-availability.storageDir": path + "/ha",
        "execution.checkpointing.interval": "1 s",
        "execution.checkpointing.dir": path + "/checkpoints", "state.checkpoints.dir": path + "/checkpoints",
        "execution.checkpointing.savepoint-dir": path + "/savepoints", "state.savepoints.dir": path + "/savepoints"}}


def counts(run):
    return ["--keys", "1", "--rate", "1000", "--out", folder(run) + "/out"]


def numbers(run):
    with open(need_bed(run).state + folder(run) + "/out", encoding="utf-8") as f:
        return [int(line.partition("=")[2]) for line in f if line.endswith("\n")]


def counting(run, upgrade_mode, series, **spec):
    return application(run.ns, version=series, args=counts(run), job={"upgradeMode": upgrade_mode}, **shared(run), **spec)


def prepare(run):
    bed = need_bed(run)
    shutil.rmtree(bed.state + folder(run), ignore_errors=True)  # of a bed that was kept
    os.makedirs(bed.state + folder(run))
    os.chmod(bed.state + folder(run), 0o777)
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")


def start(run, upgrade_mode, series="1.20", **spec):
    """(Flink, the job's id) of one that runs and counts; further arguments are members of its spec."""
    prepare(run)
    run.kube.apply(counting(run, upgrade_mode, series, **spec))
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
    changed(run, first)
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


def changed(run, first):
    """A change with the last state: the same job goes on; its Flink."""
    at, since = len(numbers(run)), time.time()
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    told(run, "UPGRADING", lifecycleState="UPGRADING")
    flink, second = running(run)
    run.note(f"RUNNING again {time.time() - since:.1f} s after a change")
    equal(second, first, "job id after a change")
    goes_on(run, at, exactly=False)
    return flink


def saved(run, first):
    """A change with a savepoint."""
    at = len(numbers(run))
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    running(run, former=first)
    goes_on(run, at, exactly=True)
    path = dig(run.kube.get("flinkdep", run.ns, "demo"), "status.jobStatus.upgradeSavepointPath")
    check("/savepoints/" in path, f"upgradeSavepointPath {path}")


@each_series("savepoint: a change goes on exactly where the job was stopped", full=True)
def savepoint(run, series):
    _, first = start(run, "savepoint", series)
    saved(run, first)


def killed(run, first):
    """Another JobManager after the one that is killed."""
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


@test("a JobManager that answers slowly for minutes: nothing is touched, and a change with a savepoint is made", full=True, timeout=600)
def slow(run):
    bed = need_bed(run)
    _, first = start(run, "savepoint")
    pids = bed.jvms(jobmanager(run)["metadata"]["name"])
    stop = threading.Event()

    def stutter():
        for _ in range(60):  # 180 s: it stands still for 2.5 of 3 s
            bed("in", "kill", "-s", "STOP", *map(str, pids), fail=False)
            stop.wait(2.5)
            bed("in", "kill", "-s", "CONT", *map(str, pids), fail=False)
            if stop.wait(0.5):
                return
    thread = threading.Thread(target=stutter)
    thread.start()
    run.cleanup(lambda: (stop.set(), thread.join()))
    before = {p["metadata"]["uid"] for c in ("jobmanager", "taskmanager") for p in pods(run, c).values()}
    holds("the same pods", lambda: {p["metadata"]["uid"] for c in ("jobmanager", "taskmanager")
                                    for p in pods(run, c).values()} == before, 90)
    at, since = len(numbers(run)), time.time()
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    wait("another job is recorded", lambda: job_id(run) not in (None, first), 180)
    stop.set()  # the next JobManager is another process
    running(run, former=first)
    run.note(f"the change took {time.time() - since:.1f} s")
    goes_on(run, at, exactly=True)


def wide(flink, job, n):
    """Both of its vertices have this parallelism, for wait(): Flink's answers may be some seconds old."""
    equal([v["parallelism"] for v in flink.get(f"/jobs/{job}")["vertices"]], [n, n], "parallelism of its vertices")
    return True


def rescaled(run, flink, job, n):
    """All of its vertices get this parallelism, and it runs with that."""
    vertices = [v["id"] for v in flink.get(f"/jobs/{job}")["vertices"]]
    at, since = len(numbers(run)), time.time()
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"flinkConfiguration": {
        "pipeline.jobvertex-parallelism-overrides": ",".join(f"{v}:{n}" for v in vertices)}}})
    wait(f"parallelism {n}", lambda: wide(flink, job, n), UP)
    wait(f"{n} TaskManagers", lambda: len(taskmanagers(run)) == n, 60)
    run.note(f"parallelism {n} after {time.time() - since:.1f} s")
    # A source that has nothing left to read may have ended in one of its subtasks.
    cluster_ready(run)
    equal(job_id(run), job, "job id")
    goes_on(run, at, exactly=False)


@each_series("another parallelism of its vertices: the job and its JobManager run on, TaskManagers come and go", full=True)
def in_place(run, series):
    flink, first = start(run, "last-state", series, flinkConfiguration={
        "jobmanager.scheduler": "adaptive", "jobmanager.adaptive-scheduler.scaling-interval.min": "1 s",
        "slot.idle.timeout": "3000"})  # for so long the job keeps a slot that it needs no more
    pod = jobmanager(run)
    rescaled(run, flink, first, 2)
    text = run.kube.get("configmap", run.ns, "flink-config-demo")["data"]
    check(any("jobvertex-parallelism-overrides" in t for t in text.values()), "the ConfigMap does not have it")
    rescaled(run, flink, first, 1)
    events = [e for e in run.kube.list("event", run.ns) if e["reason"] == "Scaling"]
    check(events and all(e["type"] == "Normal" for e in events), f"events {events}")
    now = jobmanager(run)
    equal(now["metadata"]["uid"], pod["metadata"]["uid"], "the JobManager's pod")
    equal(now["status"]["containerStatuses"][0]["restartCount"], 0, "restarts of the JobManager")
    # A JobManager that takes over has it, too.
    rescaled(run, flink, first, 2)
    run.kube.delete("pod", run.ns, pod["metadata"]["name"], now=True)
    wait("another JobManager", lambda: jobmanager(run)["metadata"]["uid"] != pod["metadata"]["uid"], UP)
    cluster_ready(run)
    equal(job_id(run), first, "job id after the JobManager was killed")
    wait("parallelism 2 after that", lambda: wide(flink, first, 2), SOON)


@test("the JobManager is killed: another one takes over with the same job and its state", full=True)
def takes_over(run):
    _, first = start(run, "last-state")
    killed(run, first)


# ---- ZooKeeper: the one that Flink itself brings ----

def zookeeper(run, series):
    labels = {"app": "zookeeper"}
    run.kube.apply({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "zookeeper", "namespace": run.ns, "labels": labels},
        "spec": {"containers": [{"name": "zookeeper", "image": f"flink:{series}",
                                 "command": ["/opt/flink/bin/zookeeper.sh", "start-foreground", "1"]}]}})
    run.kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "zookeeper", "namespace": run.ns},
                    "spec": {"selector": labels, "ports": [{"port": 2181}]}})


def nodes(run, path):
    """Names of what ZooKeeper has there."""
    said = run.kube.kubectl("exec", "-n", run.ns, "zookeeper", "--", "java", "-cp", "/opt/flink/lib/*",
                            "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.ZooKeeperMain",
                            "-server", "localhost:2181", "ls", path)
    found = re.findall(r"^\[(.*)\]$", said, re.M)
    return [n for n in found[-1].split(", ") if n] if found else []


def graphs(run, job):
    """Of the run of this job: Flink 2 calls them plans."""
    place = f"/flink/{run.ns}/demo/{job}"
    return [g for folder in ("jobgraphs", "execution-plans") if folder in nodes(run, place) for g in nodes(run, f"{place}/{folder}")]


@each_series("ZooKeeper's high availability: another JobManager takes over, changes go on from the state, nothing of the job stays there",
             full=True, timeout=600)
def by_zookeeper(run, series):
    zookeeper(run, series)
    flink, first = start(run, "last-state", series, flinkConfiguration={
        "high-availability.type": "zookeeper", "high-availability.zookeeper.quorum": "zookeeper:2181"})
    equal(graphs(run, first), [first], "graphs that it has")
    killed(run, first)
    at = len(numbers(run))
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    flink, second = running(run, former=first)
    path = dig(run.kube.get("flinkdep", run.ns, "demo"), "status.jobStatus.upgradeSavepointPath")
    check("/checkpoints/" in path, f"upgradeSavepointPath {path}")
    equal(flink.get(f"/jobs/{second}/checkpoints")["latest"]["restored"]["external_path"], path, "what the job began with")
    goes_on(run, at, exactly=False)
    equal(graphs(run, first), [], "graphs of the former run")
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 2, "job": {"upgradeMode": "savepoint"}}})
    at = len(numbers(run))
    running(run, former=second)
    goes_on(run, at, exactly=False)  # what a change with the last state has repeated is still in the file
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo", seconds=90)
    equal([g for job in nodes(run, f"/flink/{run.ns}/demo") for g in graphs(run, job)], [], "graphs that are left")


@test("a state that is asked for and cannot be kept is refused", full=True)
def refused(run):
    run.kube.apply(application(run.ns, job={"upgradeMode": "last-state"}))
    cr = told(run, "FAILED", SOON, lifecycleState="FAILED")
    check("high-availability.type" in condition(cr)["message"], state(cr))
    equal(job_id(run), None, "job id")
