"""Application clusters: the job belongs to the FlinkDeployment and runs in its JobManager."""
import time

from lib.check import check, dig, equal, wait
from lib.manifests import application
from lib.suite import test
from matrix import each_series
from scene import SOON, UP, cluster_ready, condition, gone, jobmanager, pods, state, suspended, taskmanagers

VERBATIM = "$(HOME) $(id) -D a=b"  # nobody expands what is the job's


def job_id(run, name="demo"):
    return dig(run.kube.get("flinkdep", run.ns, name), "status.jobStatus.jobId")


def running(run, name="demo", former=None):
    """All tasks RUNNING in Flink and in the status, and records flow: (Flink, the job's id)."""
    if former:
        wait("another job is recorded", lambda: job_id(run, name) not in (None, former), UP)
    flink = cluster_ready(run, name)
    cr = run.kube.get("flinkdep", run.ns, name)
    found = cr["status"]["jobStatus"]["jobId"]
    equal(cr["status"]["jobStatus"]["state"], "RUNNING", "status.jobStatus.state")
    equal(cr["status"]["lifecycleState"], "STABLE", "lifecycleState")
    flink.running(found)
    wait("records", lambda: flink.flowing(found), 60)
    equal([j["jid"] for j in flink.jobs()], [found], "jobs in Flink")
    return flink, found


def told(run, what, seconds=UP, **wanted):
    """The resource when its status says so: jobState="FAILED", lifecycleState="FAILED"."""
    def probe():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        found = {"jobState": dig(cr, "status.jobStatus.state"), "lifecycleState": dig(cr, "status.lifecycleState")}
        check(all(found[k] == v for k, v in wanted.items()), lambda: state(cr))
        return cr
    return wait(what, probe, seconds)


@each_series("an application from apply to RUNNING, its TaskManagers beside the JobManager; deleted with nothing left")
def cycle(run, series):
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    start = time.time()
    run.kube.apply(application(run.ns, version=series, slots=2, parallelism=3, args=["--name", VERBATIM]))
    flink, found = running(run)
    run.note(f"{time.time() - start:.1f} s")
    equal(len(taskmanagers(run)), 2, "TaskManagers for three slots, two each")
    seen = {c: watch.first(lambda e, p, c=c: p["metadata"]["labels"].get("component") == c, c)
            for c in ("jobmanager", "taskmanager")}
    check(seen["taskmanager"] - seen["jobmanager"] < 2, f"TaskManagers came {seen} after the JobManager")
    equal(flink.job(found)["name"], VERBATIM, "name of the job, an argument of its main()")
    cr = run.kube.get("flinkdep", run.ns, "demo")
    equal(cr["status"]["taskManager"], {"labelSelector": "component=taskmanager,app=demo", "replicas": 2}, "status.taskManager")
    equal(condition(cr, "Running")["reason"], "Running", "condition Running")
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo")
    equal(run.kube.list("pod", run.ns), [], "pods left")
    gone(run, "configmap", "flink-config-demo")  # by the garbage collector


@each_series("a JAR on a volume, whose class nobody names: it is found, in TaskManagers, too", full=True)
def elsewhere(run, series):
    mount = [{"name": "jars", "mountPath": "/jars/usrlib"}]
    manifest = application(run.ns, version=series, jar="local:///jars/usrlib/elsewhere.jar", podTemplate={"spec": {
        "initContainers": [{"name": "bring", "image": f"flink:{series}", "volumeMounts": mount,
                            "command": ["cp", "/opt/flink/usrlib/bed-jobs.jar", "/jars/usrlib/elsewhere.jar"]}],
        "containers": [{"name": "flink-main-container", "volumeMounts": mount}],
        "volumes": [{"name": "jars", "emptyDir": {}}]}})
    del manifest["spec"]["job"]["entryClass"]
    run.kube.apply(manifest)
    running(run)


@each_series("a change: the former job ends, then one with the new specification runs, never two")
def change(run, series):
    run.kube.apply(application(run.ns, version=series))
    _, first = running(run)
    pod = jobmanager(run)["metadata"]["uid"]
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"parallelism": 2}}})
    _, second = running(run, former=first)
    check(jobmanager(run)["metadata"]["uid"] != pod, "the JobManager is the former one")
    equal(len(taskmanagers(run)), 2, "TaskManagers")
    # What needs no restart.
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"allocator": {"idleTimeout": "4s"}}})
    wait("recorded", lambda: '"idleTimeout":"4s"' in run.kube.get("flinkdep", run.ns, "demo")["status"][
        "reconciliationStatus"]["lastReconciledSpec"], SOON)
    equal(job_id(run), second, "job after a change in place")


@test("suspended: the job ends and nothing is left but the resource; resumed: it runs again", full=True)
def suspend(run):
    run.kube.apply(application(run.ns))
    _, first = running(run)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"state": "suspended"}}})
    cr = suspended(run, "demo", "flinkdep", UP)
    equal(dig(cr, "status.jobStatus.state"), "CANCELED", "state of the job")

    def nothing():
        left = [p["metadata"]["name"] for p in run.kube.list("pod", run.ns)]
        check(not left, f"there are {left}")
        check(run.kube.get("deployment", run.ns, "demo") is None, "there is a Deployment")
        found = run.kube.get("flinkdep", run.ns, "demo")
        check(condition(found)["status"] == "True" and found["status"]["jobManagerDeploymentStatus"] == "MISSING", state(found))
        return True
    wait("nothing runs", nothing, 60)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"state": "running"}}})
    running(run, former=first)


@test("one that fails tells why, one that ends is FINISHED; a change runs it again")
def ends(run):
    run.kube.apply(application(run.ns, args=["--fail-after", "20"]))
    told(run, "FAILED", jobState="FAILED", lifecycleState="FAILED")
    wait("the cause", lambda: "told to fail after 20" in str(run.kube.get("flinkdep", run.ns, "demo")["status"]), SOON)
    cr = run.kube.get("flinkdep", run.ns, "demo")
    equal(condition(cr, "Stalled")["status"], "True", "Stalled")
    check("told to fail after 20" in condition(cr)["message"], f"Ready: {condition(cr)}")
    former = job_id(run)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"args": ["--name", "demo", "--count", "500", "--rate", "1000"]}}})
    wait("another job is recorded", lambda: job_id(run) != former, UP)
    cr = told(run, "FINISHED", jobState="FINISHED", lifecycleState="STABLE")
    check(not dig(cr, "status.error"), f"error {dig(cr, 'status.error')}")
    equal(condition(cr)["status"], "True", "Ready")
    wait("no TaskManager left", lambda: not taskmanagers(run), 60)
    equal(len(pods(run, "jobmanager")), 1, "JobManagers of a job that has ended")


def again(run, **spec):
    """A batch job that ends, and runs again when its resource changes."""
    run.kube.apply(application(run.ns, slots=2, parallelism=2, entryClass="BedBatchJob", args=["--records", "40"], **spec))
    told(run, "FINISHED", jobState="FINISHED", lifecycleState="STABLE")
    first = job_id(run)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"args": ["--name", "again", "--records", "60"]}}})
    wait("another job is recorded", lambda: job_id(run) not in (None, first), UP)
    cr = told(run, "FINISHED again", jobState="FINISHED", lifecycleState="STABLE")
    equal(dig(cr, "status.jobStatus.jobName"), "again", "name of the job")
    equal(condition(cr)["status"], "True", "Ready")
    wait("no TaskManager left", lambda: not taskmanagers(run), 60)
    equal(len(pods(run, "jobmanager")), 1, "JobManagers of a job that has ended")


@test("a batch job runs to FINISHED, and again on a change", full=True)
def batch(run):
    again(run)


@test("a main() that throws: the cause is in the status, and a change mends it", full=True)
def throws(run):
    run.kube.apply(application(run.ns, entryClass="NoSuchJob"))

    def cause():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        check("NoSuchJob" in str(dig(cr, "status.error")) and condition(cr, "Stalled")["status"] == "True", state(cr))
        return True
    wait("the cause", cause, UP)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"entryClass": "BedJob"}}})
    running(run)


@test("kill -9 of the operator while it deploys and while it changes: one job each time", full=True)
def kills(run):
    run.kube.apply(application(run.ns))
    wait("a Deployment", lambda: run.kube.get("deployment", run.ns, "demo"), SOON)
    run.operator.kill()
    _, first = running(run)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    time.sleep(0.5)
    run.operator.kill()
    running(run, former=first)
    equal(len(run.kube.list("pod", run.ns, "app=demo,component=jobmanager")), 1, "JobManager pods")
