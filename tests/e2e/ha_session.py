"""FlinkSessionJobs with state whose JobManager is killed, with high availability and without. They count as those of ha.py do."""
import re
import time

from lib.check import check, dig, equal, wait
from lib.manifests import cluster, job
import ha
from matrix import each_series
from scene import UP, condition, job_id, job_running, jobmanager, session, state

# The operator looks for a checkpoint each ten seconds: so many are kept that what it has seen last is there.
RETAINED = {"execution.checkpointing.num-retained": "20", "state.checkpoints.num-retained": "20"}


def start(run, series, available=True):
    """(Flink, the job's id) of one that runs and counts; available: with high availability."""
    ha.prepare(run)
    spec = ha.shared(run)
    if not available:
        spec["conf"] = {**{k: v for k, v in spec["conf"].items() if not k.startswith("high-availability")}, **RETAINED}
    flink = session(run, cluster(run.ns, version=series, **spec))
    run.kube.apply(job(run.ns, "counts", args=ha.counts(run), upgradeMode="last-state"))
    first = job_running(run, flink, "counts")
    wait("some numbers", lambda: len(ha.numbers(run)) > 20, 60)
    return flink, first


def kill(run):
    """Its JobManager: back as soon as there is another one."""
    pod = jobmanager(run)["metadata"]
    run.kube.delete("pod", run.ns, pod["name"], now=True)
    wait("another JobManager", lambda: jobmanager(run)["metadata"]["uid"] != pod["uid"], UP)


def goes_on(run, flink, at):
    """Another run, or the same one: its id."""
    found = job_running(run, flink, "counts")
    ha.goes_on(run, at, exactly=False)
    equal([j["jid"] for j in flink.jobs()], [found], "jobs in Flink")
    return found


@each_series("the JobManager of a session job is killed: another one takes over, with the same job and its state", full=True)
def takes_over(run, series):
    flink, first = start(run, series)
    at, since = len(ha.numbers(run)), time.time()
    kill(run)
    equal(goes_on(run, flink, at), first, "job id")
    run.note(f"RUNNING again after {time.time() - since:.1f} s")
    equal(dig(run.kube.get("sessionjob", run.ns, "counts"), "status.jobStatus.upgradeSavepointPath"), None, "where it was to begin")


@each_series("the same without high availability: told, with the newest checkpoint that was seen; from there it goes on", full=True)
def without(run, series):
    flink, first = start(run, series, available=False)
    time.sleep(12)  # until the operator has looked for a checkpoint
    at, since = len(ha.numbers(run)), time.time()
    kill(run)

    def told():
        cr = run.kube.get("sessionjob", run.ns, "counts")
        found = re.search(r"The newest checkpoint that was seen: (file:/\S+/chk-\d+)", condition(cr)["message"])
        check(condition(cr)["status"] == "False" and found, state(cr))
        return found[1]
    path = wait("told, with a checkpoint", told, UP)
    run.note(f"told after {time.time() - since:.1f} s")
    equal(job_id(run, "counts"), first, "job id until somebody says where to go on")
    run.kube.patch("sessionjob", run.ns, "counts", {"spec": {"job": {"initialSavepointPath": path, "savepointRedeployNonce": 1}}})
    wait("another run is recorded", lambda: job_id(run, "counts") != first, UP)
    after = goes_on(run, flink, at)
    equal(flink.get(f"/jobs/{after}/checkpoints")["latest"]["restored"]["external_path"], path, "what the job began with")
