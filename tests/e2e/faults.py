"""Processes and pods of Flink die."""
import time

from lib.check import check, dig, equal, holds, wait
from lib.manifests import cluster, job
from lib.suite import test
from scene import (SOON, condition, is_ready, job_id, job_ready, job_running, jobmanager, pods, session, state,
                   taskmanagers)
from world import need_bed

RESTARTS = {"execution.checkpointing.interval": "1 s"}


@test("a TaskManager killed by SIGKILL is replaced at once, and its job runs again")
def taskmanager_killed(run):
    bed = need_bed(run)
    flink = session(run, cluster(run.ns, conf=RESTARTS))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    pids = bed.jvms("demo-taskmanager-1-1")
    equal(len(pids), 1, "JVMs of the TaskManager")
    killed = time.time()
    bed.signal("KILL", pids)
    created = wait("a replacement", lambda: watch.first(
        lambda event, pod: pod["metadata"]["name"] == "demo-taskmanager-1-2", "its pod"), SOON)
    check(created - killed < 5, f"the replacement was created {created - killed:.1f} s after the kill")
    runs_again(run, flink, "first", before, killed)
    wait("the dead pod is removed", lambda: taskmanagers(run) == ["demo-taskmanager-1-2"], SOON)
    run.note(f"replacement after {created - killed:.1f} s, all tasks RUNNING after {time.time() - killed:.1f} s")


def runs_again(run, flink, name, job, since):
    """Flink itself may take a while to notice that a TaskManager is gone."""
    def restored():
        flink.running(job)
        entered = flink.get(f"/jobs/{job}")["timestamps"]
        check(entered["RESTARTING"] > since * 1000, f"it has not restarted yet: {entered}")
        return True
    wait(f"{name} restarted and all of its tasks RUNNING", restored, 120)
    job_ready(run, name)
    equal(job_id(run, name), job, "the job's id")


@test("a TaskManager pod that somebody deletes is replaced, and its job runs again", full=True)
def taskmanager_deleted(run):
    flink = session(run, cluster(run.ns, conf=RESTARTS))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    since = time.time()
    run.kube.delete("pod", run.ns, "demo-taskmanager-1-1")
    runs_again(run, flink, "first", before, since)
    wait("one TaskManager", lambda: taskmanagers(run) == ["demo-taskmanager-1-2"], SOON)


@test("the JobManager's pod is lost: ready again, a stateless job runs under a new id, TaskManagers of attempt 2")
def jobmanager_lost(run):
    flink = session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    pod = jobmanager(run)["metadata"]
    run.kube.delete("pod", run.ns, pod["name"], now=True)

    def seen():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        check(condition(cr)["status"] == "False", state(cr))
        return True
    wait("the status says that it is not ready", seen, SOON, 0.05)

    def again():
        is_ready(run.kube.get("flinkdep", run.ns, "demo"))
        return jobmanager(run)["metadata"]["uid"] != pod["uid"]
    wait("ready again", again, 120)

    def new_id():
        found = job_id(run, "first")
        check(found and found != before, f"its id is still {found}")
        return found
    wait("the lost job gets a new id", new_id, 60)
    after = job_running(run, flink, "first")
    equal([j["jid"] for j in flink.jobs()], [after], "jobs in Flink")
    holds("TaskManagers of attempt 1 or 2", lambda: all(
        name.startswith(("demo-taskmanager-1-", "demo-taskmanager-2-")) for name in taskmanagers(run)), 1)
    equal(dig(run.kube.get("flinkdep", run.ns, "demo"), "status.allocator.attempt"), 2, "attempt")


@test("a JobManager that hangs is told, left alone, and served again when it goes on")
def jobmanager_hangs(run):
    bed = need_bed(run)
    flink = session(run, cluster(run.ns, idle="10min"))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    uids = {p["metadata"]["uid"] for c in ("jobmanager", "taskmanager") for p in pods(run, c).values()}
    pids = bed.jvms(jobmanager(run)["metadata"]["name"])
    bed.signal("STOP", pids)
    run.cleanup(lambda: bed("in", "kill", "-s", "CONT", *map(str, pids), fail=False))

    def told():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        c = condition(cr)
        check(c["status"] == "False" and "does not answer" in c["message"], state(cr))
        return True
    wait("the status says that it does not answer", told, 60)
    bed.signal("CONT", pids)
    wait("ready again", lambda: is_ready(run.kube.get("flinkdep", run.ns, "demo")), 60)
    job_ready(run, "first")
    equal(job_id(run, "first"), before, "the job's id")
    now = {p["metadata"]["uid"] for c in ("jobmanager", "taskmanager") for p in pods(run, c).values()}
    equal(now, uids, "pods")
