"""Mode standalone: a fixed number of TaskManagers in a Deployment, which can be scaled."""
import ha
from lib.check import Failure, check, dig, equal, holds, wait
from lib.kube import ApiError
from lib.manifests import application, cluster, job
from lib.suite import test
from applications import running
from rollout import never_together
from scene import SOON, UP, condition, gone, is_ready, job_running, jobmanager, no_taskmanagers, session, state, suspended, \
    taskmanagers

FIXED = {"mode": "standalone", "allocator": None}


def registered(run, flink, n, name="demo"):
    """So many TaskManagers, each registered under its pod's name, and the status says so."""
    def probe():
        found = taskmanagers(run)
        equal(len(found), n, f"TaskManager pods {found}")
        equal(sorted(t["id"] for t in flink.get("/taskmanagers")["taskmanagers"]), found, "TaskManagers in Flink")
        cr = run.kube.get("flinkdep", run.ns, name)
        equal(dig(cr, "status.taskManager"), {"labelSelector": f"component=taskmanager,app={name}", "replicas": n},
              "status.taskManager")
        equal(condition(cr, "TaskManagersReady")["status"], "True", f"TaskManagersReady: {state(cr)}")
        return found
    return wait(f"{n} TaskManagers", probe, UP)


def scale(run, n):
    run.kube.kubectl("scale", "-n", run.ns, "flinkdep/demo", f"--replicas={n}")


@test("a session cluster: kubectl scale adds and removes TaskManagers, nothing restarts, jobs go on", full=True)
def session_scaled(run):
    flink = session(run, cluster(run.ns, taskManager={"replicas": 1}, **FIXED))
    registered(run, flink, 1)
    run.kube.apply(job(run.ns, "first"))
    first = job_running(run, flink, "first")
    pod, before = jobmanager(run)["metadata"]["uid"], taskmanagers(run)
    scale(run, 3)
    check(set(before) <= set(registered(run, flink, 3)), "the first TaskManager was replaced")
    run.kube.apply(job(run.ns, "wide", parallelism=3))

    def short():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        check("limit of 3 TaskManagers" in condition(cr, "TaskManagersReady").get("message", ""), state(cr))
        return True
    wait("the status tells that four slots are needed", short, SOON)
    scale(run, 4)
    registered(run, flink, 4)
    job_running(run, flink, "wide")
    equal(flink.job(first)["state"], "RUNNING", "the first job")
    run.kube.delete("sessionjob", run.ns, "wide")
    gone(run, "sessionjob", "wide")
    scale(run, 2)
    registered(run, flink, 2)
    job_running(run, flink, "first")
    equal(jobmanager(run)["metadata"]["uid"], pod, "JobManager")
    cr = is_ready(run.kube.get("flinkdep", run.ns, "demo"))
    equal((cr["status"]["lifecycleState"], dig(cr, "spec.taskManager.replicas")), ("STABLE", 2), "lifecycle, replicas")
    # Its minimum it keeps without any metrics.
    run.kube.kubectl("autoscale", "-n", run.ns, "flinkdep/demo", "--min=3", "--max=4", "--cpu-percent=70")
    registered(run, flink, 3)


@test("a session cluster: another image, never two specs side by side; deleted with nothing left", full=True)
def session_rolled_out(run):
    flink = session(run, cluster(run.ns, taskManager={"replicas": 2}, **FIXED))
    registered(run, flink, 2)
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"image": "flink:1.20.5"}})
    wait("Ready with the new spec", lambda: is_ready(run.kube.get("flinkdep", run.ns, "demo")), UP)
    registered(run, flink, 2)
    equal(never_together(watch), 2, "JobManager pods in all")
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo")
    equal(run.kube.list("pod", run.ns), [], "pods left")
    gone(run, "deployment", "demo", "demo-taskmanager")


@test("an application: another parallelism is an upgrade, suspended it has no pods, one that died is replaced", full=True)
def application_upgraded(run):
    run.kube.apply(application(run.ns, parallelism=2, **FIXED))
    flink, first = running(run)
    registered(run, flink, 2)
    run.kube.delete("pod", run.ns, taskmanagers(run)[0], now=True)
    registered(run, flink, 2)
    pod = jobmanager(run)["metadata"]["uid"]
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"parallelism": 1}}})
    flink, second = running(run, former=first)
    registered(run, flink, 1)
    check(jobmanager(run)["metadata"]["uid"] != pod, "the JobManager is the former one")
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"state": "suspended"}}})
    suspended(run, "demo", "flinkdep", UP)
    no_taskmanagers(run)
    gone(run, "deployment", "demo", "demo-taskmanager")
    equal(dig(run.kube.get("flinkdep", run.ns, "demo"), "status.taskManager.replicas"), 0, "replicas of a suspended one")
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"state": "running"}}})
    running(run, former=second)


@test("an application with state and high availability: a change goes on where it was, a JobManager that died, too", full=True)
def last_state(run):
    _, first = ha.start(run, "last-state", **FIXED)
    registered(run, ha.changed(run, first), 1)
    at, found = len(ha.numbers(run)), taskmanagers(run)
    run.kube.delete("pod", run.ns, jobmanager(run)["metadata"]["name"], now=True)
    ha.goes_on(run, at, exactly=False)
    equal(taskmanagers(run), found, "TaskManagers of the next JobManager")
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo", seconds=90)
    equal((ha.kept(run), run.kube.list("pod", run.ns)), ([], []), "ConfigMaps and pods left")


@test("Flink's reactive mode: the job takes what there is, and is scaled without an upgrade", full=True)
def reactive(run):
    def parallelism(flink, found, n):
        vertices = flink.get(f"/jobs/{found}")["vertices"]
        equal(max((v["parallelism"] for v in vertices), default=0), n, "parallelism in Flink")
        return flink.running(found)

    run.kube.apply(application(run.ns, conf={
        "scheduler-mode": "reactive", "execution.checkpointing.interval": "1 s"}, **FIXED))
    flink, found = running(run)
    pod = jobmanager(run)["metadata"]["uid"]
    for change, n in (({"job": {"parallelism": 2}}, 2), ({"taskManager": {"replicas": 3}}, 3), ({"taskManager": {"replicas": 1}}, 1)):
        run.kube.patch("flinkdep", run.ns, "demo", {"spec": change})
        registered(run, flink, n)
        wait(f"parallelism {n}", lambda n=n: parallelism(flink, found, n), UP)
    wait("records", lambda: flink.flowing(found), 60)

    def same():
        return jobmanager(run)["metadata"]["uid"] == pod and [j["jid"] for j in flink.jobs()] == [found]
    holds("the same job in the same JobManager", same, 3)
    equal(is_ready(run.kube.get("flinkdep", run.ns, "demo"))["status"]["lifecycleState"], "STABLE", "lifecycle")


@test("the mode does not change: that is refused, and everything goes on", full=True)
def mode(run):
    flink = session(run, cluster(run.ns, **FIXED))
    found = registered(run, flink, 1)
    try:
        run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"mode": "native"}})
        raise Failure("another mode was taken")
    except ApiError as e:
        check("cannot change between native and standalone" in str(e), str(e))
    holds("the same TaskManager", lambda: taskmanagers(run) == found, 3)
