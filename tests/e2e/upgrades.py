"""A FlinkSessionJob with state is changed, suspended and resumed: it goes on where it was. The job prints every hundredth of its
count, on a TaskManager that all of its runs share: what is printed shows a gap or a repetition."""
import re
import time

from lib.check import check, dig, equal, wait
from lib.manifests import cluster, hold, job
from lib.suite import test
from matrix import each_series
from scene import SOON, UP, condition, job_id, job_ready, job_running, session, state, suspended, taskmanagers
from world import need_bed


def folder(run):
    return f"file:///flink-data/{run.ns}"


def counting(run, mode, rate=1000, conf=None, **more):
    manifest = job(run.ns, "counts", upgradeMode=mode, args=["--keys", "1", "--rate", str(rate)], **more)
    manifest["spec"]["flinkConfiguration"] = {"execution.checkpointing.interval": "1 s", **(conf or {})}
    return manifest


def start(run, mode, series="1.20", idle="10min", conf=None):
    """(Flink, the job's id) of one that runs and counts; conf: more of its cluster's configuration."""
    need_bed(run)
    flink = session(run, cluster(run.ns, version=series, idle=idle, podTemplate=hold(), conf={
        "execution.checkpointing.dir": folder(run), "state.checkpoints.dir": folder(run),
        "execution.checkpointing.savepoint-dir": folder(run), "state.savepoints.dir": folder(run), **(conf or {})}))
    run.kube.apply(counting(run, mode))
    first = job_running(run, flink, "counts")
    wait("a first hundred", lambda: counted(run), 60)
    return flink, first


def counted(run):
    """The numbers that all runs have printed, in order."""
    pod, = taskmanagers(run)
    return [int(n) for n in re.findall(r"^0=(\d+)$", run.kube.kubectl("logs", "-n", run.ns, pod), re.M)]


def goes_on(run, flink, before, mode):
    """Another run of the job goes on from the state of the former one: its id."""
    at = len(counted(run))
    wait("another run is recorded", lambda: job_id(run, "counts") not in (None, before), UP)
    found = job_running(run, flink, "counts")
    status = run.kube.get("sessionjob", run.ns, "counts")["status"]
    path = dig(status, "jobStatus.upgradeSavepointPath")
    check(path and path.startswith("file:/"), f"upgradeSavepointPath {path}")
    equal(flink.get(f"/jobs/{found}/checkpoints")["latest"]["restored"]["external_path"], path, "what the job began with")

    def further():
        """Than the former run came: from the last state it repeats what came after its checkpoint."""
        numbers = counted(run)
        return len(numbers) > at + 5 and numbers[-1] > max(numbers[:at]) and numbers
    numbers = wait("it prints on, and gets further", further, 60)
    steps = [b - a for a, b in zip(numbers, numbers[1:])]
    if mode == "savepoint":
        equal(set(steps), {100}, f"steps between the numbers that were printed: a gap or a repetition in {numbers[-30:]}")
    else:
        check(max(steps) <= 100, f"a gap in {numbers}")
    equal(flink.job(before)["state"], "FINISHED" if mode == "savepoint" else "CANCELED", "the former run")
    return found


@each_series("a change with a savepoint: no record is lost and none is counted twice")
def savepoint(run, series):
    flink, first = start(run, "savepoint", series)
    run.kube.apply(counting(run, "savepoint", rate=900))
    second = goes_on(run, flink, first, "savepoint")
    info = dig(run.kube.get("sessionjob", run.ns, "counts"), "status.jobStatus.savepointInfo")
    check(not info.get("triggerId") and info["lastSavepoint"]["triggerType"] == "UPGRADE", f"savepointInfo {info}")
    run.kube.patch("sessionjob", run.ns, "counts", {"spec": {"job": {"state": "suspended"}}})
    suspended(run, "counts")
    run.kube.patch("sessionjob", run.ns, "counts", {"spec": {"job": {"state": "running"}}})
    goes_on(run, flink, second, "savepoint")


@each_series("a change with the last state: no record is lost")
def last_state(run, series):
    flink, first = start(run, "last-state", series)
    time.sleep(3)  # some checkpoints
    run.kube.apply(counting(run, "last-state", rate=900))
    goes_on(run, flink, first, "last-state")


@test("a savepoint that cannot be written: told, and the job runs on; with another folder the change is made", full=True)
def fails(run):
    flink, first = start(run, "savepoint")
    run.kube.apply(counting(run, "savepoint", rate=900, conf={"execution.checkpointing.savepoint-dir": "file:///proc/none"}))

    def told():
        cr = run.kube.get("sessionjob", run.ns, "counts")
        check(condition(cr).get("reason") == "SavepointError" and "/proc/none" in condition(cr)["message"], state(cr))
        return True
    wait("SavepointError", told, UP)
    flink.running(first)
    run.kube.apply(counting(run, "savepoint", rate=900))
    goes_on(run, flink, first, "savepoint")


@test("the operator is killed again and again during a change with a savepoint", full=True)
def kills(run):
    flink, first = start(run, "savepoint")
    run.kube.apply(counting(run, "savepoint", rate=900))
    for _ in range(4):
        time.sleep(0.3)
        run.operator.kill()
        run.operator.wait()
    goes_on(run, flink, first, "savepoint")


@test("a change that is taken back while the savepoint is being taken: the job goes on all the same", full=True)
def taken_back(run):
    flink, first = start(run, "savepoint")
    run.kube.apply(counting(run, "savepoint", rate=900))
    wait("a savepoint is triggered", lambda: dig(run.kube.get("sessionjob", run.ns, "counts"),
                                                "status.jobStatus.savepointInfo.triggerId"), SOON, 0.02)
    run.kube.apply(counting(run, "savepoint"))
    goes_on(run, flink, first, "savepoint")


@each_series("another parallelism of its vertices: the job runs on with its state, TaskManagers come and go", full=True)
def in_place(run, series):
    flink, first = start(run, "savepoint", series, idle="3s", conf={
        "jobmanager.scheduler": "adaptive", "jobmanager.adaptive-scheduler.scaling-interval.min": "1 s",
        "slot.idle.timeout": "3000"})  # for so long the job keeps a slot that it needs no more
    vertices = [v["id"] for v in flink.get(f"/jobs/{first}")["vertices"]]
    for n in (2, 1):
        since = time.time()
        run.kube.apply(counting(run, "savepoint", conf={
            "pipeline.jobvertex-parallelism-overrides": ",".join(f"{v}:{n}" for v in vertices)}))
        wait(f"parallelism {n}", lambda n=n: {v["parallelism"] for v in flink.get(f"/jobs/{first}")["vertices"]} == {n}, UP)
        wait(f"{n} TaskManagers", lambda n=n: len(taskmanagers(run)) == n, 60)
        run.note(f"parallelism {n} after {time.time() - since:.1f} s")
        # A source that has nothing left to read may have ended in one of its subtasks.
        equal(job_ready(run, "counts")["status"]["jobStatus"]["jobId"], first, "job id")
    check(flink.get(f"/jobs/{first}/checkpoints")["latest"]["restored"], "it began again without its state")
    equal({e["type"] for e in run.kube.list("event", run.ns) if e["reason"] == "Scaling"}, {"Normal"}, "types of events")
    # Taken away: what the vertices had before, only another run of main() knows.
    run.kube.apply(counting(run, "savepoint"))
    wait("another run is recorded", lambda: job_id(run, "counts") not in (None, first), UP)
    second = job_running(run, flink, "counts")
    equal([v["parallelism"] for v in flink.get(f"/jobs/{second}")["vertices"]], [1, 1], "parallelism of its vertices")
