"""Changes of a FlinkDeployment's spec."""
import json

from lib.check import Failure, check, dig, equal, holds, wait
from lib.manifests import cluster, job
from lib.suite import test
from scene import SOON, UP, condition, is_ready, job_running, jobmanager, pods, session, state, taskmanagers


def lives(watch):
    """Of every pod: (component, spec hash, position of its first and of its last event in the history)."""
    found = {}
    for i, (_, event, pod) in enumerate(list(watch.history)):
        labels, meta = pod["metadata"]["labels"], pod["metadata"]
        entry = found.setdefault(meta["uid"], [labels["component"], meta["annotations"]["flink-operator/spec-hash"], i, None])
        if event == "DELETED":
            entry[3] = i
    return found.values()


def never_together(watch):
    """No two JobManager pod objects, no TaskManager of another spec beside a JobManager, at any time."""
    everything = list(lives(watch))
    for role, spec, begin, end in everything:
        for other_role, other_spec, other_begin, _ in everything:
            overlap = begin < other_begin and (end is None or end > other_begin)
            if overlap and role == other_role == "jobmanager":
                raise Failure("two JobManager pods existed at the same time")
            if overlap and spec != other_spec and "jobmanager" in (role, other_role):
                raise Failure(f"a {other_role} of the new spec beside a {role} of the old one")
    return sum(role == "jobmanager" for role, *_ in everything)


@test("another image rolls out with a running job: never two JobManagers, never two specs side by side")
def image(run):
    flink = session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    old = jobmanager(run)["metadata"]["uid"]
    changed = cluster(run.ns, image="flink:1.20.5", conf={"rest.flamegraph.enabled": "true"})
    run.kube.apply(changed)
    wait("Ready with the new spec", lambda: is_ready(run.kube.get("flinkdep", run.ns, "demo")), UP)
    check(jobmanager(run)["metadata"]["uid"] != old, "the JobManager is still the old one")
    equal(jobmanager(run)["spec"]["containers"][0]["image"], "flink:1.20.5", "image of the JobManager")
    cr = run.kube.get("flinkdep", run.ns, "demo")
    equal(json.loads(dig(cr, "status.reconciliationStatus.lastReconciledSpec"))["spec"], changed["spec"], "recorded spec")
    wait("the job has a new id", lambda: dig(run.kube.get("sessionjob", run.ns, "first"), "status.jobStatus.jobId") != before,
         60)
    job_running(run, flink, "first")
    for pod in pods(run, "taskmanager").values():
        equal(pod["spec"]["containers"][0]["image"], "flink:1.20.5", "image of a TaskManager")
    equal(never_together(watch), 2, "JobManager pods in all")


@test("a change that is not valid leaves every pod alone and names the field; taking it back needs no restart")
def invalid(run):
    flink = session(run, cluster(run.ns, idle="10min"))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    everything = {p["metadata"]["uid"] for c in ("jobmanager", "taskmanager") for p in pods(run, c).values()}
    for field, bad in {"spec.taskManager.resource.memory": {"taskManager": {"resource": {"memory": "lots"}}},
                       "spec.jobManager.replicas": {"jobManager": {"replicas": 2}}}.items():
        run.kube.patch("flinkdep", run.ns, "demo", {"spec": bad})

        def told(field=field):
            cr = run.kube.get("flinkdep", run.ns, "demo")
            c = condition(cr)
            check(c["reason"] == "ValidationError" and field in c["message"] and field in cr["status"]["error"], state(cr))
            equal(cr["status"]["jobManagerDeploymentStatus"], "READY", "jobManagerDeploymentStatus")
            return True
        wait(f"the status names {field}", told, SOON)
        run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"taskManager": {"resource": {"memory": "1024m"}},
                                                             "jobManager": {"replicas": None}}})
        wait("Ready again", lambda: is_ready(run.kube.get("flinkdep", run.ns, "demo")), SOON)

    def untouched():
        found = {p["metadata"]["uid"] for c in ("jobmanager", "taskmanager") for p in pods(run, c).values()}
        return found == everything
    holds("every pod as before", untouched, 3)


@test("a change of a job's spec ends it and starts it under a new id; the cluster is left alone")
def job_spec(run):
    flink = session(run, cluster(run.ns, idle="10min"))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    uid = jobmanager(run)["metadata"]["uid"]
    run.kube.apply(job(run.ns, "first", parallelism=2))
    wait("a new id", lambda: dig(run.kube.get("sessionjob", run.ns, "first"), "status.jobStatus.jobId") not in (None, before),
         60)
    after = job_running(run, flink, "first")
    equal(flink.job(before)["state"], "CANCELED", "the former job")
    equal(flink.job(after)["tasks"]["total"] > 2, True, "more tasks")
    equal(jobmanager(run)["metadata"]["uid"], uid, "the JobManager")
    equal(len(taskmanagers(run)), 2, "TaskManagers")
