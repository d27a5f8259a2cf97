"""What the incumbent has deployed is taken over as it runs: the same pods, the same job; the next change goes on from its state."""
import os
import shutil

import ha
import upgrades
from lib import incumbent
from lib.check import check, dig, equal, holds, wait
from lib.manifests import cluster, hold, job
from lib.operator import NAMESPACE, REPLICAS
from lib.suite import test
from applications import running
from scene import UP, cluster_ready, condition, job_running, jobmanager, pods, state
from web import Web
from world import need_bed

JOB = "00000000000000000000000000c0ffee"
OURS = "flink-operator-kubernetes"


def without_operator(run):
    """Nobody controls anything until comes()."""
    run.operator.scale(0)
    run.cleanup(comes, run)
    wait("no operator", lambda: not run.kube.list("pod", NAMESPACE), 60)


def comes(run):
    run.operator.scale(REPLICAS)
    run.operator.wait()


def uids(run):
    return {name: p["metadata"]["uid"] for role in ("jobmanager", "taskmanager") for name, p in pods(run, role).items()}


def versions(run):
    """What must not be written: versions of all but what is renewed by Flink itself."""
    found = {}
    for kind in ("service", "configmap"):
        for o in run.kube.list(kind, run.ns, "app=demo"):
            if "configmap-type" not in o["metadata"].get("labels", {}):
                found[kind, o["metadata"]["name"]] = o["metadata"]["resourceVersion"]
    for o in run.kube.list("deployment", run.ns):
        found["deployment", o["metadata"]["name"]] = o["metadata"]["generation"], sorted(o["metadata"]["annotations"])
    return found


def folder(run):
    bed = need_bed(run)
    shutil.rmtree(bed.state + ha.folder(run), ignore_errors=True)
    os.makedirs(bed.state + ha.folder(run))
    os.chmod(bed.state + ha.folder(run), 0o777)
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")


def application(run, upgrade_mode, **spec):
    """An application of the incumbent that counts: (its pods, its objects)."""
    without_operator(run)
    folder(run)
    manifest = ha.counting(run, upgrade_mode, "1.20", **spec)
    del manifest["spec"]["allocator"]
    incumbent.Cluster(run.kube, manifest, JOB).run()
    wait("some numbers", lambda: len(ha.numbers(run)) > 5, 60)
    return uids(run), versions(run)


def adopted(run, before, kind="Flink"):
    """Taken over, and nothing has happened to what runs."""
    pods_before, objects = before
    at = len(ha.numbers(run)) if os.path.exists(need_bed(run).state + ha.folder(run) + "/out") else None
    comes(run)
    flink = cluster_ready(run)
    cr = run.kube.get("flinkdep", run.ns, "demo")
    equal(dig(cr, "status.allocator.type"), kind, "status.allocator.type")
    equal((cr["status"]["lifecycleState"], cr["status"]["jobManagerDeploymentStatus"]), ("STABLE", "READY"), "status")
    equal(condition(cr, "TaskManagersReady")["status"], "True", f"TaskManagersReady: {state(cr)}")

    def same():
        equal(uids(run), pods_before, "pods")
        equal(versions(run), objects, "objects")
        return True
    holds("the same pods, nothing written", same, 5)
    if at is not None:
        ha.goes_on(run, at, exactly=True)
    return flink


@test("a native application of the incumbent with the last state: the same pods and job; its next change goes on, by our allocator")
def last_state(run):
    before = application(run, "last-state")
    adopted(run, before)
    ha.changed(run, JOB)
    equal({p["metadata"]["labels"]["type"] for p in pods(run, "taskmanager").values()}, {OURS}, "TaskManagers")
    check(not set(uids(run).values()) & set(before[0].values()), "a pod of the incumbent's is left")


@test("a native application of the incumbent: another parallelism, with a savepoint", full=True)
def savepoint(run):
    before = application(run, "savepoint")
    adopted(run, before)
    at = len(ha.numbers(run))
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"parallelism": 2}}})
    running(run, former=JOB)
    ha.goes_on(run, at, exactly=True)
    path = dig(run.kube.get("flinkdep", run.ns, "demo"), "status.jobStatus.upgradeSavepointPath")
    check("/savepoints/" in path, f"upgradeSavepointPath {path}")
    equal(len(pods(run, "taskmanager")), 2, "TaskManagers")


@test("a standalone application of the incumbent with the last state: the same pods and job, and then changed", full=True)
def standalone(run):
    before = application(run, "last-state", mode="standalone")
    adopted(run, before, "None")
    ha.changed(run, JOB)
    check(not set(uids(run).values()) & set(before[0].values()), "a pod of the incumbent's is left")


def session(run, **spec):
    without_operator(run)
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")
    manifest = cluster(run.ns, serviceAccount="flink", **spec)
    del manifest["spec"]["allocator"]
    flink = incumbent.Cluster(run.kube, manifest).run()
    incumbent.session_job(run.kube, job(run.ns, "first"), flink, JOB)
    return uids(run), versions(run)


def job_goes_on(run, flink, before):
    equal(job_running(run, flink, "first"), JOB, "job id")
    equal(uids(run), before[0], "pods")


@test("a native session cluster of the incumbent with a session job: both go on; then the cluster is changed", full=True)
def native_session(run):
    before = session(run)
    flink = adopted(run, before)
    job_goes_on(run, flink, before)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    wait("another JobManager", lambda: pods(run, "jobmanager") and not set(pods(run, "jobmanager")) & set(before[0]), UP)
    job_running(run, cluster_ready(run), "first")
    equal({p["metadata"]["labels"]["type"] for p in pods(run, "taskmanager").values()}, {OURS}, "TaskManagers")


@test("a session job of the incumbent, its JAR from a web server: it goes on, and so does its next change, with a savepoint", full=True)
def session_job(run):
    without_operator(run)
    web = Web(run)
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")
    manifest = cluster(run.ns, serviceAccount="flink", podTemplate=hold(), conf={
        "resourcemanager.taskmanager-timeout": "10 min", "execution.checkpointing.dir": upgrades.folder(run),
        "execution.checkpointing.savepoint-dir": upgrades.folder(run)})
    del manifest["spec"]["allocator"]
    flink = incumbent.Cluster(run.kube, manifest).run()
    web.job_jar(run, jobmanager(run)["metadata"]["name"])
    counts = upgrades.counting(run, "savepoint", jar=web.url("job.jar"))
    incumbent.session_job(run.kube, counts, flink, JOB)
    wait("a first hundred", lambda: upgrades.counted(run), 60)
    before = uids(run), versions(run)
    adopted(run, before)
    equal(job_running(run, flink, "counts"), JOB, "job id")
    equal([line for line in web.requests() if "job.jar" in line], [], "requests for the JAR of what runs")
    run.kube.apply(upgrades.counting(run, "savepoint", rate=900, jar=web.url("job.jar")))
    upgrades.goes_on(run, flink, JOB, "savepoint")
    equal(uids(run), before[0], "pods")


@test("a standalone session cluster of the incumbent with a session job: both go on; TaskManagers are added", full=True)
def standalone_session(run):
    before = session(run, mode="standalone", taskManager={"replicas": 1})
    flink = adopted(run, before, "None")
    job_goes_on(run, flink, before)
    run.kube.kubectl("scale", "-n", run.ns, "flinkdep/demo", "--replicas=2")
    wait("two TaskManagers", lambda: len(flink.get("/taskmanagers")["taskmanagers"]) == 2, UP)
    check(set(before[0].items()) <= set(uids(run).items()), "a pod was replaced")


@test("an application by our allocator is handed back: one redeployment with its last state, then nobody touches it", full=True)
def handed_back(run):
    _, first = ha.start(run, "last-state")
    at = len(ha.numbers(run))
    run.kube.kubectl("annotate", "-n", run.ns, "flinkdep/demo", "flink-operator/release=true")
    run.cleanup(run.kube.kubectl, "annotate", "-n", run.ns, "flinkdep/demo", "flink-operator/release-")
    run.kube.kubectl("wait", "-n", run.ns, "flinkdep/demo", "--timeout=120s",
                     "--for=jsonpath={.metadata.annotations.flink-operator/release}=done")
    ha.goes_on(run, at, exactly=False)
    equal({p["metadata"]["labels"]["type"] for p in pods(run, "taskmanager").values()}, {"flink-native-kubernetes"}, "TaskManagers")
    cr = run.kube.get("flinkdep", run.ns, "demo")
    equal((dig(cr, "status.jobStatus.jobId"), cr["status"]["lifecycleState"]), (first, "STABLE"), "job, lifecycle")
    before = uids(run)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})

    def same():
        equal(uids(run), before, "pods")
        now = run.kube.get("flinkdep", run.ns, "demo")
        equal(now["status"], cr["status"], "status")
        return True
    holds("a change is left to others", same, 5)
