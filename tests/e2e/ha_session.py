"""FlinkSessionJobs with state whose JobManager is killed, with high availability and without. They count as those of ha.py do."""
import time

from lib.check import check, dig, equal, wait
from lib.manifests import cluster, job
import ha
from matrix import each_series
from scene import UP, job_id, job_running, jobmanager, session


def jobmanager_killed(run, series, available):
    """Its JobManager, killed: (Flink, the job's id before that and after it)."""
    ha.prepare(run)
    spec = ha.shared(run)
    if not available:
        spec["conf"] = {k: v for k, v in spec["conf"].items() if not k.startswith("high-availability")}
    flink = session(run, cluster(run.ns, version=series, **spec))
    run.kube.apply(job(run.ns, "counts", args=ha.counts(run), upgradeMode="last-state"))
    first = job_running(run, flink, "counts")
    wait("some numbers", lambda: len(ha.numbers(run)) > 20, 60)
    pod, at, since = jobmanager(run)["metadata"], len(ha.numbers(run)), time.time()
    run.kube.delete("pod", run.ns, pod["name"], now=True)

    def again():
        check(jobmanager(run)["metadata"]["uid"] != pod["uid"], "no other JobManager")
        return (job_id(run, "counts") == first) == available
    wait("another JobManager, and the job that is to run there", again, UP)
    found = job_running(run, flink, "counts")
    run.note(f"RUNNING again after {time.time() - since:.1f} s")
    ha.goes_on(run, at, exactly=False)
    equal([j["jid"] for j in flink.jobs()], [found], "jobs in Flink")
    return flink, first, found


@each_series("the JobManager of a session job is killed: another one takes over, with the same job and its state", full=True)
def takes_over(run, series):
    _, first, after = jobmanager_killed(run, series, available=True)
    equal(after, first, "job id")
    equal(dig(run.kube.get("sessionjob", run.ns, "counts"), "status.jobStatus.upgradeSavepointPath"), None, "where it was to begin")


@each_series("the same without high availability: another run of the job goes on from its last checkpoint", full=True)
def without(run, series):
    flink, _, after = jobmanager_killed(run, series, available=False)
    path = dig(run.kube.get("sessionjob", run.ns, "counts"), "status.jobStatus.upgradeSavepointPath")
    check(path and "/checkpoints/" in path, f"upgradeSavepointPath {path}")
    equal(flink.get(f"/jobs/{after}/checkpoints")["latest"]["restored"]["external_path"], path, "what the job began with")
