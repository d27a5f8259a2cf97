"""Two namespaces with the same names in them: what is done in one is nothing to the other, and each job has its own state."""
import copy

import ha
import upgrades
from applications import running
from deletion import nothing_left
from lib.check import check, dig, equal, wait
from lib.manifests import merge
from matrix import each_series
from scene import gone, job_running, jobmanager, taskmanagers


def twin(run):
    """The same test in another namespace."""
    other = copy.copy(run)
    other.ns = run.ns + "-too"
    run.kube.namespace(other.ns)
    run.cleanup(run.kube.delete, "namespace", None, other.ns)
    return other


def whole(run, kind, name):
    """What changes with anything that is done to it."""
    cr, pod = run.kube.get(kind, run.ns, name), jobmanager(run)
    return {"job": cr["status"]["jobStatus"]["jobId"], "spec": cr["status"]["reconciliationStatus"]["lastReconciledSpec"],
            "state": cr["status"]["lifecycleState"], "JobManager": pod["metadata"]["uid"],
            "restarts": pod["status"]["containerStatuses"][0]["restartCount"], "TaskManagers": taskmanagers(run)}


def counts_on(run, numbers):
    """The job has not noticed: no number is missing, and none came twice."""
    at = len(numbers(run))
    found = wait("it counts on", lambda: len(numbers(run)) > at + 10 and numbers(run), 60)
    equal({b - a for a, b in zip(found, found[1:])}, {100}, f"steps of what nobody has changed: {found[-30:]}")


def began_with(run, kind, name):
    path = dig(run.kube.get(kind, run.ns, name), "status.jobStatus.upgradeSavepointPath")
    check(f"/{run.ns}/" in path, f"it went on from {path}")


@each_series("session clusters and jobs of the same names in two namespaces: changed and deleted in one, the other does not notice",
             full=True, timeout=900)
def session_job(run, series):
    other = twin(run)
    flink, first = upgrades.start(run, "savepoint", series)
    others, its = upgrades.start(other, "savepoint", series)
    check(first != its, f"one job id for both: {its}")
    before = whole(other, "sessionjob", "counts")
    run.kube.apply(upgrades.counting(run, "savepoint", rate=900))
    upgrades.goes_on(run, flink, first, "savepoint")
    began_with(run, "sessionjob", "counts")
    equal(whole(other, "sessionjob", "counts"), before, "the other one after a change")
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/counts", "flinkdep/demo", "--timeout=120s")
    nothing_left(run)
    counts_on(other, upgrades.counted)
    equal(whole(other, "sessionjob", "counts"), before, "the other one after a deletion")
    equal(job_running(other, others, "counts"), its, "the other job")
    run.kube.apply(upgrades.counting(other, "savepoint", rate=900))
    upgrades.goes_on(other, others, its, "savepoint")
    began_with(other, "sessionjob", "counts")


@each_series("applications of the same name in two namespaces: changed and deleted in one, the other does not notice",
             full=True, timeout=900)
def application(run, series):
    other = twin(run)
    _, first = ha.start(run, "last-state", series)
    _, its = ha.start(other, "last-state", series)
    check(first != its, f"one job id for both: {its}")
    before, kept = whole(other, "flinkdep", "demo"), ha.kept(other)
    ha.changed(run, first)
    equal(whole(other, "flinkdep", "demo"), before, "the other one after a change")
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo", seconds=90)
    equal(ha.kept(run), [], "ConfigMaps left")
    counts_on(other, ha.numbers)
    equal(whole(other, "flinkdep", "demo"), before, "the other one after a deletion")
    equal(ha.kept(other), kept, "what high availability keeps of the other one")
    equal(running(other)[1], its, "the other job")
    ha.changed(other, its)
    # With a savepoint, whose path says whose it is.
    at = len(ha.numbers(other))
    run.kube.apply(merge(ha.counting(other, "savepoint", series), {"spec": {"restartNonce": 2}}))
    running(other, former=its)
    ha.goes_on(other, at, exactly=False)
    began_with(other, "flinkdep", "demo")
