"""spec.allocator.type: Flink: the JobManager makes the TaskManagers itself."""
import time

from lib.check import check, dig, equal, wait
from lib.manifests import application, cluster, job
from lib.suite import test
import ha
from applications import again, running, told
from matrix import each_series
from scene import (SOON, UP, condition, delete_jobs, gone, job_running, jobmanager, no_taskmanagers, pods, session, state, taskmanagers)

FLINK = {"type": "Flink", "idleTimeout": "5s"}
# For Flink an argument of a job is an element of a list in its configuration, which Kubernetes and two shells have seen.
HARD = """ it's; [all, "one"]: # $(HOME) $(id) \\ %s\n- text """


def account(run):
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")


@each_series("a job from no TaskManager and back to none, by Flink's own allocator")
def cycle(run, series):
    account(run)
    flink = session(run, cluster(run.ns, version=series, slots=2, serviceAccount="flink", allocator=FLINK,
                                 podTemplate={"metadata": {"labels": {"team": "blue"}}}))
    equal(taskmanagers(run), [], "TaskManagers")
    run.kube.apply(job(run.ns, "first", parallelism=3))
    job_running(run, flink, "first")
    made = pods(run, "taskmanager")
    equal(len(made), 2, "TaskManagers for three slots, two each")
    for name, pod in made.items():
        labels = pod["metadata"]["labels"]
        equal((labels["type"], labels["team"]), ("flink-native-kubernetes", "blue"), f"labels of {name}")
        check(pod["spec"]["automountServiceAccountToken"] is False, f"{name} has an API token")

    def told():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        equal(dig(cr, "status.allocator.type"), "Flink", "status.allocator.type")
        equal(dig(cr, "status.allocator.taskManagers"), {"live": 2, "starting": 0, "desired": 2}, "taskManagers")
        equal(condition(cr, "TaskManagersReady")["status"], "True", "TaskManagersReady")
        return True
    wait("the status counts them", told, SOON)
    delete_jobs(run, "first")
    no_taskmanagers(run, seconds=90)
    equal(jobmanager(run)["status"]["containerStatuses"][0]["restartCount"], 0, "restarts of the JobManager")


@test("from the operator's allocator to Flink's and back with a running job; deleted while its TaskManagers run",
      full=True)
def there_and_back(run):
    account(run)
    flink = session(run, cluster(run.ns, serviceAccount="flink", idle="10min"))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    for kind, label in (("Flink", "flink-native-kubernetes"), ("Operator", "flink-operator-kubernetes")):
        before = dig(run.kube.get("sessionjob", run.ns, "first"), "status.jobStatus.jobId")
        run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"allocator": {"type": kind}}})
        wait("the job has a new id", lambda b=before: dig(run.kube.get("sessionjob", run.ns, "first"),
                                                        "status.jobStatus.jobId") not in (None, b), 90)
        job_running(run, flink, "first")
        equal({p["metadata"]["labels"]["type"] for p in pods(run, "taskmanager").values()}, {label}, f"TaskManagers of {kind}")
        equal(dig(run.kube.get("flinkdep", run.ns, "demo"), "status.allocator.type"), kind, "status.allocator.type")
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"allocator": {"type": "Flink"}}})
    wait("a TaskManager of Flink's", lambda: [p for p in pods(run, "taskmanager").values() if
                                             p["metadata"]["labels"]["type"] == "flink-native-kubernetes"], 90)
    run.kube.delete("sessionjob", run.ns, "first")
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "sessionjob", "first", seconds=90)
    gone(run, "flinkdep", "demo", seconds=90)
    equal(run.kube.list("pod", run.ns), [], "pods left")


@test("a key that only Flink's allocator can serve chooses it, and an event says why", full=True)
def delegated(run):
    account(run)
    session(run, cluster(run.ns, serviceAccount="flink", conf={"execution.batch.speculative.enabled": "true"}))
    cr = run.kube.get("flinkdep", run.ns, "demo")
    equal(dig(cr, "status.allocator.type"), "Flink", "status.allocator.type")
    check("execution.batch.speculative.enabled" in dig(cr, "status.allocator.message"), state(cr))
    wait("the event", lambda: [e for e in run.kube.list("event", run.ns) if e["reason"] == "AllocatorFlink"], SOON)


@test("a service account without rights: the status tells what the API server refused")
def no_rights(run):
    run.kube.apply(cluster(run.ns, allocator=FLINK))

    def told():
        c = condition(run.kube.get("flinkdep", run.ns, "demo"))
        check(c.get("status") == "False" and "forbidden" in c.get("message", "").lower(), lambda: f"Ready: {c}")
        return True
    wait("the status names the missing right", told, 120)


# ---- applications ----

@each_series("an application by Flink's own allocation: its arguments arrive as they are; deleted with nothing left", full=True)
def runs(run, series):
    account(run)
    run.kube.apply(application(run.ns, version=series, slots=2, parallelism=3, args=["--name", HARD], serviceAccount="flink",
                               allocator=FLINK))
    flink, found = running(run)
    equal(flink.job(found)["name"], HARD, "name of the job, an argument of its main()")
    equal({p["metadata"]["labels"]["type"] for p in pods(run, "taskmanager").values()}, {"flink-native-kubernetes"}, "TaskManagers")
    equal(len(taskmanagers(run)), 2, "TaskManagers for three slots, two each")
    cr = run.kube.get("flinkdep", run.ns, "demo")
    equal(dig(cr, "status.allocator.type"), "Flink", "status.allocator.type")
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo")
    equal(run.kube.list("pod", run.ns), [], "pods left")


@each_series("an application by Flink's own allocation: a change with a savepoint goes on exactly where it was stopped", full=True)
def saved(run, series):
    _, first = ha.start(run, "savepoint", series, allocator=FLINK)
    ha.saved(run, first)


@each_series("an application by Flink's own allocation: its JobManager is killed, then it is changed, with the last state", full=True)
def last_state(run, series):
    _, first = ha.start(run, "last-state", series, allocator=FLINK)
    ha.killed(run, first)
    ha.changed(run, first)


@test("a batch application by Flink's own allocation runs to FINISHED, and again on a change", full=True)
def batch(run):
    account(run)
    again(run, serviceAccount="flink", allocator=FLINK)


@test("an application by Flink's own allocation that fails tells why, and its JobManager stays", full=True)
def fails(run):
    account(run)
    run.kube.apply(application(run.ns, args=["--fail-after", "20"], serviceAccount="flink", allocator=FLINK))
    told(run, "FAILED", jobState="FAILED", lifecycleState="FAILED")
    wait("the cause", lambda: "told to fail after 20" in condition(run.kube.get("flinkdep", run.ns, "demo"))["message"], SOON)
    no_taskmanagers(run)
    jobmanager(run)


def leader(run):
    """The pod of the JobManager that leads."""
    lock = run.kube.get("configmap", run.ns, "demo-cluster-config-map")
    address = lock["data"].get("org.apache.flink.k8s.leader.dispatcher", "")
    return next((n for n, p in pods(run, "jobmanager").items() if f"@{p['status'].get('podIP')}:" in address), None)


@test("two JobManagers and Flink's own allocation: when the one that leads is killed the job goes on", full=True)
def two(run):
    _, first = ha.start(run, "last-state", allocator=FLINK, jobManager={"replicas": 2})
    time.sleep(3)
    equal(len(pods(run, "jobmanager")), 2, "JobManagers")
    former, since = wait("one leads", lambda: leader(run), SOON), time.time()
    run.kube.delete("pod", run.ns, former, now=True)
    wait("the other one leads", lambda: leader(run) not in (None, former), UP)
    ha.goes_on(run, len(ha.numbers(run)), exactly=False)
    run.note(f"goes on after {time.time() - since:.1f} s")
    _, second = running(run)
    equal(second, first, "job id")


@test("an application goes from the operator's allocator to Flink's with a savepoint, and back", full=True)
def taken_along(run):
    _, former = ha.start(run, "savepoint")
    for kind, label in (("Flink", "flink-native-kubernetes"), ("Operator", "flink-operator-kubernetes")):
        at = len(ha.numbers(run))
        run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"allocator": {"type": kind}}})
        _, former = running(run, former=former)
        ha.goes_on(run, at, exactly=True)
        equal({p["metadata"]["labels"]["type"] for p in pods(run, "taskmanager").values()}, {label}, f"TaskManagers of {kind}")
