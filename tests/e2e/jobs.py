"""Session jobs on a cluster that starts without TaskManagers."""
import time

from lib.check import check, dig, equal, holds, wait
from lib.flink import Flink
from lib.manifests import cluster, job
from lib.suite import test
from scene import (UP, condition, delete_jobs, gone, is_ready, job_running, no_taskmanagers, pods, session, state, suspended,
                   taskmanagers)

TM = "demo-taskmanager-1-"


def created(run, watch, name):
    """When a TaskManager pod was created, as seen from here."""
    return watch.first(lambda event, pod: pod["metadata"]["name"] == name, f"pod {name}")


@test("from 0 TaskManagers to RUNNING, a second job adds some, both cancelled: back to 0")
def cycle(run):
    flink = session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "first"))
    first = job_running(run, flink, "first")
    equal(taskmanagers(run), [TM + "1"], "TaskManager pods for one slot")
    run.kube.apply(job(run.ns, "second", parallelism=2))
    second = job_running(run, flink, "second")
    equal(taskmanagers(run), [TM + "1", TM + "2", TM + "3"], "TaskManager pods for three slots")
    equal({j["jid"] for j in flink.jobs()}, {first, second}, "jobs in Flink")

    def told():
        allocator = run.kube.get("flinkdep", run.ns, "demo")["status"]["allocator"]
        equal(allocator["taskManagers"], {"live": 3, "starting": 0, "desired": 3}, "allocator.taskManagers")
        equal(allocator["slots"], {"total": 3, "free": 0, "needed": 3}, "allocator.slots")
        return True
    wait("the status tells slots and TaskManagers", told, 30)
    pod = pods(run, "taskmanager")[TM + "1"]
    check(pod["spec"].get("automountServiceAccountToken") is False, "TaskManagers have an API token")
    equal(pod["metadata"]["ownerReferences"][0]["kind"], "Deployment", "owner of a TaskManager")
    delete_jobs(run, "first", "second")
    equal({j["state"] for j in flink.jobs()}, {"CANCELED"}, "jobs after their resources were deleted")
    no_taskmanagers(run)
    run.kube.apply(job(run.ns, "third"))
    job_running(run, flink, "third")
    equal(taskmanagers(run), [TM + "4"], "TaskManager pods of the next job: names are not used twice")


@test("TaskManagers start before Flink asks for them")
def early(run):
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    run.kube.apply(cluster(run.ns, slots=2), job(run.ns, "wide", parallelism=4))
    cr = wait("the job runs", lambda: is_ready(run.kube.get("sessionjob", run.ns, "wide")), UP)
    flink = Flink(run.kube, run.ns, "demo")
    detail = flink.get("/jobs/" + cr["status"]["jobStatus"]["jobId"])
    asked = detail["timestamps"]["INITIALIZING"] / 1000
    when = [created(run, watch, TM + n) for n in "12"]
    check(max(when) < asked, f"pods were created {max(when) - asked:.2f} s after the job came to Flink")
    check(abs(when[0] - when[1]) < 1, f"the pods were created {abs(when[0] - when[1]):.2f} s apart")
    equal(taskmanagers(run), [TM + "1", TM + "2"], "TaskManager pods for four slots, two each")
    run.note(f"{asked - max(when):.1f} s before")


@test("suspending a job ends it and frees its TaskManagers, resuming starts it anew")
def suspend(run):
    flink = session(run, cluster(run.ns, idle="1s"))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    run.kube.patch("sessionjob", run.ns, "first", {"spec": {"job": {"state": "suspended"}}})
    suspended(run, "first")
    equal(flink.job(before)["state"], "CANCELED", "the job in Flink")
    no_taskmanagers(run)
    run.kube.patch("sessionjob", run.ns, "first", {"spec": {"job": {"state": "running"}}})
    after = job_running(run, flink, "first")
    check(after != before, "the resumed job has the id of the former one")


@test("the status follows: a job that ends by itself, one that restarts, one that fails")
def states(run):
    flink = session(run, cluster(run.ns, slots=3, conf={
        "restart-strategy": "fixed-delay", "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "1", "restart-strategy.fixed-delay.delay": "1 s"}))
    run.kube.apply(job(run.ns, "ends", args=["--count", "500", "--rate", "1000"]),
                   job(run.ns, "fails", args=["--fail-after", "20"]))

    def ended(name, wanted, lifecycle):
        def probe():
            cr = run.kube.get("sessionjob", run.ns, name)
            check(dig(cr, "status.jobStatus.state") == wanted and dig(cr, "status.lifecycleState") == lifecycle,
                  state(cr))
            return cr
        return wait(f"job {name} {wanted}", probe, UP)
    ended("ends", "FINISHED", "STABLE")
    cr = ended("fails", "FAILED", "FAILED")
    wait("the cause", lambda: "told to fail after 20" in str(run.kube.get("sessionjob", run.ns, "fails")["status"]), 30)
    cr = run.kube.get("sessionjob", run.ns, "fails")
    equal(condition(cr, "Stalled")["status"], "True", "Stalled of the failed job")
    check("told to fail after 20" in condition(cr)["message"], f"Ready: {condition(cr)}")
    no_taskmanagers(run)
    equal(len(flink.jobs()), 2, "jobs in Flink")


@test("a session cluster that was idle for more than six minutes runs a job from no TaskManager", full=True, timeout=900)
def idle(run):
    flink = session(run, cluster(run.ns))
    holds("no TaskManager", lambda: not taskmanagers(run), 400, 5)
    run.kube.apply(job(run.ns, "late"))
    job_running(run, flink, "late")
    delete_jobs(run, "late")
    gone(run, "sessionjob", "late")
    no_taskmanagers(run)


@test("a limit on TaskManagers holds, and the status says that jobs wait for it")
def limit(run):
    flink = session(run, cluster(run.ns, allocator={"maxTaskManagers": 1}))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    run.kube.apply(job(run.ns, "second"))

    def told():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        c = condition(cr, "TaskManagersReady")
        check(c.get("status") == "False" and c.get("reason") == "MaxTaskManagers", f"{c}")
        return True
    wait("the status says so", told, 60)
    holds("one TaskManager", lambda: taskmanagers(run) == [TM + "1"], 5)
    began = time.monotonic()
    delete_jobs(run, "first")
    job_running(run, flink, "second")
    equal(taskmanagers(run), [TM + "1"], "TaskManagers: the free slot is used")
    run.note(f"second job on the free slot after {time.monotonic() - began:.1f} s")
