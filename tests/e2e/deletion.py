"""Everything that was made goes, and soon."""
import re
import time

from lib.check import check, equal, wait
from lib.manifests import application, cluster, hold, job
from lib.suite import test
from matrix import each_series
from scene import SOON, UP, condition, gone, is_ready, job_running, jobmanager, session, state
from world import need_bed


def left(run):
    """Objects in the namespace that are not Kubernetes' own."""
    kinds = ("flinkdep", "sessionjob", "deployment", "pod", "service", "configmap")
    return [f"{kind}/{o['metadata']['name']}" for kind in kinds for o in run.kube.list(kind, run.ns)
            if o["metadata"]["name"] != "kube-root-ca.crt"]


def folder(run):
    return f"file:///flink-data/{run.ns}"


def nothing_left(run, seconds=30):
    def none():
        found = left(run)
        check(not found, f"there are {found}")
        return True
    wait("nothing left in the namespace", none, seconds)


@test("kubectl delete of jobs and cluster returns soon and leaves no object")
def all_of_it(run):
    flink = session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "first"), job(run.ns, "second"))
    job_running(run, flink, "first")
    job_running(run, flink, "second")
    began = time.monotonic()
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob", "first", "--timeout=60s")
    took = time.monotonic() - began
    equal(len(flink.jobs()), 2, "jobs in Flink")
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/second", "flinkdep/demo", "--timeout=60s")
    run.note(f"one job {took:.1f} s, job and cluster {time.monotonic() - began - took:.1f} s")
    nothing_left(run)


@test("a cluster waits for its jobs to be deleted, and says so")
def blocked(run):
    flink = session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    run.kube.delete("flinkdep", run.ns, "demo")

    def told():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        c = condition(cr)
        check(c["reason"] == "DeletionBlocked" and "first" in c["message"], state(cr))
        equal(cr["status"]["lifecycleState"], "DELETING", "lifecycleState")
        return True
    wait("the status names the job", told, SOON)
    check(flink.job(flink.jobs()[0]["jid"])["state"] == "RUNNING", "the job does not run any more")
    run.kube.delete("sessionjob", run.ns, "first")
    gone(run, "flinkdep", "demo")
    nothing_left(run)


@each_series("a job and an application that are deleted end with a savepoint, if that is asked for, and its path is told", timeout=400)
def saved(run, series):
    conf = {"kubernetes.operator.job.savepoint-on-deletion": "true", "execution.checkpointing.savepoint-dir": folder(run),
            "state.savepoints.dir": folder(run)}
    flink = session(run, cluster(run.ns, version=series, podTemplate=hold()))
    asked = job(run.ns, "first")
    asked["spec"]["flinkConfiguration"] = conf
    run.kube.apply(asked, application(run.ns, "alone", version=series, conf=conf, podTemplate=hold()))
    job_running(run, flink, "first")
    wait("the application runs", lambda: is_ready(run.kube.get("flinkdep", run.ns, "alone")), UP)
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/first", "flinkdep/alone", "--timeout=120s")

    def path(name):
        said = " ".join(e["message"] for e in run.kube.list("event", run.ns) if e["involvedObject"]["name"] == name)
        found = re.search(r"ended with the savepoint file:(/\S+)", said)
        check(found, said)
        return found[1]
    for name in ("first", "alone"):
        at = wait(f"the path of {name}'s savepoint", lambda name=name: path(name), SOON)
        run.kube.exec(run.ns, jobmanager(run)["metadata"]["name"], "test", "-f", f"/{at.lstrip('/')}/_metadata")


@each_series("a namespace with a cluster and a running job is gone within a minute")
def namespace(run, series):
    flink = session(run, cluster(run.ns, version=series))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    began = time.monotonic()
    run.kube.delete("namespace", None, run.ns)
    wait("the namespace gone", lambda: run.kube.get("namespace", None, run.ns) is None, 60)
    run.note(f"{time.monotonic() - began:.1f} s")


def hanging(run, series):
    """A cluster with a running job whose JobManager hangs from now on."""
    bed = need_bed(run)
    flink = session(run, cluster(run.ns, version=series, podTemplate={"spec": {"terminationGracePeriodSeconds": 5}}))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    bed.signal("STOP", bed.jvms(jobmanager(run)["metadata"]["name"]))


@each_series("a namespace whose JobManager hangs while a job runs is gone within a minute and a half", full=True)
def namespace_hanging(run, series):
    hanging(run, series)
    began = time.monotonic()
    run.kube.delete("namespace", None, run.ns)
    wait("the namespace gone", lambda: run.kube.get("namespace", None, run.ns) is None, 90)
    run.note(f"{time.monotonic() - began:.1f} s")


@each_series("a cluster with a running job is gone soon after both are deleted", full=True)
def with_job(run, series):
    flink = session(run, cluster(run.ns, version=series))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    began = time.monotonic()
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/first", "flinkdep/demo", "--timeout=60s")
    resources = time.monotonic() - began
    nothing_left(run)
    run.note(f"resources gone after {resources:.1f} s, all objects after {time.monotonic() - began:.1f} s")


@each_series("a JobManager that hangs does not hold up the deletion of its jobs and of the cluster")
def unreachable(run, series):
    hanging(run, series)
    began = time.monotonic()
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/first", "flinkdep/demo", "--timeout=60s")
    run.note(f"{time.monotonic() - began:.1f} s with a time-out of 15 s for cancelling")
    nothing_left(run)


@test("a cluster that never came up is deleted at once, with its jobs")
def never_up(run):
    run.kube.apply(cluster(run.ns, image="flink:none", imagePullPolicy="Never"), job(run.ns, "first"))
    wait("the cause is told", lambda: condition(run.kube.get("flinkdep", run.ns, "demo")).get("status") == "False"
         and "Image" in condition(run.kube.get("flinkdep", run.ns, "demo"))["reason"], 60)
    began = time.monotonic()
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/first", "flinkdep/demo", "--timeout=60s")
    run.note(f"{time.monotonic() - began:.1f} s")
    nothing_left(run)
