"""What goes wrong is named by `kubectl describe` of the custom resource alone. Each description is kept in
build/describe/ for people to read."""
import os
import re

from lib.bed import ROOT
from lib.check import check, equal, wait
from lib.kube import ApiError
from lib.manifests import cluster, job
from lib.suite import test
from scene import SOON, UP, condition, job_running, session, state
from web import Web

FOLDER = os.path.join(ROOT, "build/describe")


def named(run, kind, name, what, reason, *texts, seconds=UP):
    """The resource is not Ready for this reason; its description has all of the texts, in a condition and as an event."""
    description = ""

    def told():
        nonlocal description
        cr = run.kube.get(kind, run.ns, name)
        conditions = [c for c in (cr or {}).get("status", {}).get("conditions", [])]
        good = [c for c in conditions if re.fullmatch(reason, c["reason"])]
        check(good, lambda: f"no condition has the reason {reason}: {state(cr)}")
        for text in texts:
            check(any(re.search(text, c["message"]) for c in good), lambda: f"no condition says {text!r}: {good}")
        description = run.kube.kubectl("describe", kind, "-n", run.ns, name)
        event = re.search(r"\n\s+Warning\s+\S+(?s:.*)", description)
        for text in texts:
            check(event and re.search(text, event[0]), f"no event says {text!r}: {event and event[0]}")
        return True
    wait(f"{what}: told", told, seconds, 0.5)
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, what + ".txt"), "w", encoding="utf-8") as f:
        f.write(description)
    return run.kube.get(kind, run.ns, name)


def quota(run, **hard):
    run.kube.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": run.ns},
                    "spec": {"hard": hard}})


@test("the image cannot be pulled")
def image(run):
    run.kube.apply(cluster(run.ns, image="registry.invalid/flink:1.20"))
    cr = named(run, "flinkdep", "demo", "image-cannot-be-pulled", "ErrImagePull|ImagePullBackOff", "registry.invalid/flink:1.20")
    equal(cr["status"]["jobManagerDeploymentStatus"], "ERROR", "jobManagerDeploymentStatus")
    equal(condition(cr, "Stalled")["status"], "True", "Stalled")


@test("a CPU quota that does not even hold the JobManager")
def quota_jobmanager(run):
    quota(run, **{"limits.cpu": "1"})
    run.kube.apply(cluster(run.ns))
    named(run, "flinkdep", "demo", "cpu-quota-jobmanager", "FailedCreate|QuotaExceeded", "exceeded quota: small", "limits.cpu")


@test("a CPU quota that holds the JobManager but no TaskManager; it runs as soon as there is room")
def quota_taskmanager(run):
    quota(run, **{"requests.cpu": "150m"})
    flink = session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "first"))
    cr = named(run, "flinkdep", "demo", "cpu-quota-taskmanager", "QuotaExceeded", "exceeded quota: small", "requests.cpu")
    equal(condition(cr, "TaskManagersReady")["status"], "False", "TaskManagersReady")
    equal(condition(cr)["status"], "True", "Ready: the cluster itself is")
    wait("the job says so, too",
         lambda: "exceeded quota: small" in condition(run.kube.get("sessionjob", run.ns, "first"))["message"], SOON)
    quota(run, **{"requests.cpu": "1"})
    job_running(run, flink, "first")


@test("the JobManager takes more memory than its container may")
def memory_kernel(run):
    run.kube.apply(cluster(run.ns, conf={
        "env.java.opts.jobmanager": "-Xms2g -Xmx2g -XX:+AlwaysPreTouch"}))
    named(run, "flinkdep", "demo", "jobmanager-out-of-memory", "OOMKilled|CrashLoopBackOff", "OOMKilled", "more memory than its limit")


@test("the JobManager's heap is too small for Flink itself")
def memory_heap(run):
    # A JVM that goes on after the error dies anywhere, with a stack trace longer than what the kubelet keeps of a log.
    run.kube.apply(cluster(run.ns, conf={"env.java.opts.jobmanager": "-Xms8m -Xmx8m -XX:+ExitOnOutOfMemoryError"}))
    named(run, "flinkdep", "demo", "jobmanager-out-of-heap", "CrashLoopBackOff|Error|OOMKilled", "OutOfMemoryError|heap")


@test("a service account that is not there")
def service_account(run):
    run.kube.apply(cluster(run.ns, serviceAccount="nobody"))
    named(run, "flinkdep", "demo", "service-account", "FailedCreate", "serviceaccount \"nobody\" not found")


@test("a Flink version that is not supported, and one that nobody knows")
def version(run):
    old = cluster(run.ns)
    old["spec"]["flinkVersion"] = "v1_13"
    run.kube.apply(old)
    named(run, "flinkdep", "demo", "flink-version", "UnsupportedFlinkVersion", "v1_13", "spec.flinkVersion")
    unknown = cluster(run.ns, name="unknown")
    unknown["spec"]["flinkVersion"] = "v9_9"
    try:
        run.kube.create("flinkdep", run.ns, unknown)
    except ApiError as e:
        check("spec.flinkVersion" in str(e) and "v1_20" in str(e), f"the API server says: {e}")
    else:
        named(run, "flinkdep", "unknown", "flink-version-unknown", "ValidationError|UnsupportedFlinkVersion", "v9_9")


@test("the JAR is not there: HTTP 404, no such host, not in the image")
def jar(run):
    session(run, cluster(run.ns))
    web = Web(run)
    run.kube.apply(job(run.ns, "missing", jar=web.url("missing.jar")),
                   job(run.ns, "nowhere", jar="http://nowhere.invalid/job.jar"),
                   job(run.ns, "absent", jar="local:///opt/flink/usrlib/absent.jar"))
    named(run, "sessionjob", "missing", "jar-404", "SubmitFailed", "404", "missing.jar")
    named(run, "sessionjob", "nowhere", "jar-no-host", "SubmitFailed", "nowhere.invalid", "resolve")
    named(run, "sessionjob", "absent", "jar-not-in-image", "SubmitFailed", "the image has no such JAR", "absent.jar")


@test("the job's class is missing, or its main() fails")
def job_class(run):
    session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "no-class", entry="com.example.Missing"),
                   job(run.ns, "main-fails", args=["--fail-main", "the database is closed today"]))
    named(run, "sessionjob", "no-class", "job-class-missing", "SubmitFailed", "com.example.Missing")
    named(run, "sessionjob", "main-fails", "job-main-fails", "SubmitFailed", "the database is closed today")


@test("the TaskManager's memory is too small for Flink's own parts")
def memory_taskmanager(run):
    run.kube.apply(cluster(run.ns, taskManager={"resource": {"memory": "400m"}}))
    named(run, "flinkdep", "demo", "taskmanager-memory", "ValidationError", "spec.taskManager", "memory")


@test("TaskManagers that cannot be scheduled, and TaskManagers that die as they start")
def taskmanagers(run):
    session(run, cluster(run.ns, taskManager={"resource": {"cpu": 64}}, conf={"kubernetes.taskmanager.cpu.limit-factor": "1"}))
    session(run, cluster(run.ns, name="dies", conf={"env.java.opts.taskmanager": "-Xss1k"}))
    run.kube.apply(job(run.ns, "first"), job(run.ns, "second", deployment="dies"))
    named(run, "flinkdep", "demo", "taskmanager-unschedulable", "Unschedulable|Starting", "Insufficient cpu")
    named(run, "flinkdep", "dies", "taskmanager-dies", "TaskManagerStartFailed", "stack size specified is too small")
