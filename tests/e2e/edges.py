"""The edges of allocation: limits, dead-locks, finished batch stages, sidecars, TaskManagers that fail or hang."""
import time

from applications import running as application_running
from lib.check import check, dig, equal, holds, wait
from lib.manifests import application, cluster, job
from lib.suite import test
from matrix import each_series
from scene import (SOON, UP, condition, delete_jobs, job_id, job_ready, job_running, jobmanager, no_taskmanagers, pods,
                   session, state, taskmanagers)
from world import need_bed

TM = "demo-taskmanager-1-"
RESTARTS = {"execution.checkpointing.interval": "1 s"}


def allocation(run, reason, *texts, seconds=60):
    """TaskManagersReady is False for this reason, with these texts, in the condition and as an event."""
    def told():
        c = condition(run.kube.get("flinkdep", run.ns, "demo"), "TaskManagersReady")
        check(c.get("status") == "False" and c["reason"] == reason, lambda: f"TaskManagersReady: {c}")
        for text in texts:
            check(text in c["message"], lambda: f"it does not say {text!r}: {c['message']}")
        return c["message"]
    message = wait(f"the cluster's status says {reason}", told, seconds)
    event(run, reason, *texts)
    return message


def event(run, reason, *texts, seconds=SOON):
    """An event about the cluster with all of these texts: its message."""
    def found():
        events = [e["message"] for e in run.kube.list("event", run.ns)
                  if e["reason"] == reason and e["involvedObject"]["kind"] == "FlinkDeployment"]
        good = [m for m in events if all(text in m for text in texts)]
        check(good, lambda: f"events {reason}: {events}")
        return good[-1]
    return wait(f"an event {reason}", found, seconds)


def enough(run):
    """The cluster says that there are as many TaskManagers as needed."""
    def told():
        c = condition(run.kube.get("flinkdep", run.ns, "demo"), "TaskManagersReady")
        check(c.get("status") == "True", lambda: f"TaskManagersReady: {c}")
        return True
    wait("TaskManagersReady", told, SOON)


def submit(flink, name, **more):
    """By REST, as somebody does whom the operator knows nothing of: the job's id."""
    jar = next(f["id"] for f in flink.get("/jars")["files"] if f["id"].endswith("bed-jobs.jar"))
    return flink.post(f"/jars/{jar}/run", {"entryClass": "BedJob", "programArgsList": ["--name", name], **more})["jobid"]


def restarted(flink, job):
    """When it last did, in seconds since the epoch; 0: never."""
    return flink.get(f"/jobs/{job}")["timestamps"]["RESTARTING"] / 1000


def settled(run, *numbers, seconds=60):
    """TaskManager pods of attempt 1 with these numbers, and no others."""
    wait(f"TaskManagers {numbers}", lambda: equal(taskmanagers(run), [f"{TM}{n}" for n in numbers], "pods") or True, seconds)


# ---- limits ----

@each_series("a job larger than the limit waits with its cause in the status, then fails in Flink's own words")
def larger_than_limit(run, series):
    flink = session(run, cluster(run.ns, version=series, allocator={"maxTaskManagers": 1, "pendingTimeout": "15s"}))
    run.kube.apply(job(run.ns, "large", parallelism=3))

    def waits():
        c = condition(run.kube.get("sessionjob", run.ns, "large"))
        check(c.get("reason") == "WaitingForSlots" and c["status"] == "False", lambda: f"{c}")
        check("need 3 slots" in c["message"] and "limit of 1 TaskManagers" in c["message"], c["message"])
        return True
    wait("the job's status says what it waits for", waits, UP)
    allocation(run, "MaxTaskManagers", "need 3 slots")
    equal(taskmanagers(run), [TM + "1"], "TaskManagers")

    def failed():
        cr = run.kube.get("sessionjob", run.ns, "large")
        check(dig(cr, "status.jobStatus.state") == "FAILED", lambda: state(cr))
        words = "Could not allocate the required slot within slot request timeout"
        check(words in condition(cr)["message"] and words in cr["status"]["error"], lambda: f"{cr['status']}")
        return True
    wait("FAILED in Flink's words", failed, 60)
    enough(run)
    run.kube.apply(job(run.ns, "fits"))
    job_running(run, flink, "fits")


def bucket(job):
    """Where Java's HashMap has this JobID: the slot manager serves jobs in this order."""
    upper, lower = int(job[:16], 16), int(job[16:], 16)
    h = (lower ^ lower >> 32 ^ upper ^ upper >> 32) & 0xffffffff
    return (h ^ h >> 16) & 15


@each_series("two jobs that wait for each other's slots under a limit: told, and solved when one is deleted", full=True)
def deadlock(run, series):
    flink = session(run, cluster(run.ns, version=series, allocator={"maxTaskManagers": 1}))
    # The second one comes first in the slot manager's order, so that it gets the slot that is free next.
    for n in range(20):
        run.kube.apply(job(run.ns, f"first-{n}", parallelism=2))
        first = wait("its id", lambda name=f"first-{n}": job_id(run, name), SOON)
        if bucket(first):
            break
        delete_jobs(run, f"first-{n}")
    second = next(i for i in (f"{k:032x}" for k in range(1, 99)) if bucket(i) < bucket(first))
    wait("the first job holds the slot", lambda: flink.get("/overview")["slots-total"] == 1
         and flink.get("/overview")["slots-available"] == 0, UP)
    submit(flink, "second", parallelism=2, jobId=second)
    allocation(run, "MaxTaskManagers", "need 4 slots")
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"allocator": {"maxTaskManagers": 2}}})
    message = allocation(run, "AllocationDeadlock", f"first-{n} (2 slots)", "second (2 slots)", "maxTaskManagers", seconds=90)
    check(flink.job(first)["tasks"]["running"] == flink.job(second)["tasks"]["running"] == 0, "a job runs")
    check("wait for each other" in condition(run.kube.get("sessionjob", run.ns, f"first-{n}"))["message"], message)
    began = time.monotonic()
    run.kube.delete("sessionjob", run.ns, f"first-{n}")
    wait("the second job runs", lambda: flink.running(second), 60)
    run.note(f"second job RUNNING {time.monotonic() - began:.1f} s after the deletion of the first")
    enough(run)


@each_series("spares are there while jobs run and go with them; the minimum is there without any job")
def spares(run, series):
    flink = session(run, cluster(run.ns, version=series, allocator={"minTaskManagers": 1, "spareTaskManagers": 1}))
    settled(run, 1, seconds=SOON)
    run.kube.apply(job(run.ns, "first"))
    settled(run, 1, 2, seconds=SOON)
    job_running(run, flink, "first")
    wait("both serve", lambda: flink.overview()["slots-total"] == 2, 60)
    holds("the spare one stays", lambda: taskmanagers(run) == [TM + "1", TM + "2"], 8)
    delete_jobs(run, "first")
    wait("one is left", lambda: len(taskmanagers(run)) == 1, 60)
    holds("the minimum stays", lambda: len(taskmanagers(run)) == 1, 8)
    enough(run)


# ---- jobs of other kinds ----

@each_series("a batch job's finished stage: no TaskManager with its partitions goes before the job ends, then all go")
def batch(run, series):
    flink = session(run, cluster(run.ns, version=series, idle="2s", conf={"slot.idle.timeout": "1000"}))
    run.kube.apply(job(run.ns, "batch", entry="BedBatchJob", parallelism=2, args=[
        "--records", "60", "--millis", "400", "--second-parallelism", "1", "--second-millis", "300"]))
    job_ready(run, "batch")
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    found = job_id(run, "batch")

    def stages():
        return {v["name"]: v["status"] for v in flink.get(f"/jobs/{found}")["vertices"]}

    def second_stage():
        now = stages()
        check(any("second" in name and status == "RUNNING" for name, status in now.items()), lambda: f"{now}")
        check(any("first" in name and status == "FINISHED" for name, status in now.items()), lambda: f"{now}")
        return True
    wait("the first stage has ended and the second runs", second_stage, 60)
    equal(len(taskmanagers(run)), 2, "TaskManagers: the two stages do not run at the same time")
    wait("one TaskManager is idle", lambda: sorted(t["freeSlots"] for t in flink.get("/taskmanagers")["taskmanagers"]) == [0, 1],
         30)
    since = time.time()
    wait("FINISHED", lambda: flink.get(f"/jobs/{found}")["state"] == "FINISHED", 60)
    ended = flink.get(f"/jobs/{found}")["timestamps"]["FINISHED"] / 1000
    check(ended - since > 6, f"the job ended {ended - since:.1f} s after one TaskManager was idle: nothing was shown")
    gone = [when for when, _, pod in list(watch.history)
            if pod["metadata"].get("deletionTimestamp") and "taskmanager" in pod["metadata"]["name"]]
    check(not gone or min(gone) > ended, lambda: f"a TaskManager was taken away {ended - min(gone):.1f} s before the end")
    equal(restarted(flink, found), 0, "restarts")
    run.note(f"idle with partitions for {ended - since:.1f} s, with an idleTimeout of 2 s")
    no_taskmanagers(run)
    equal(dig(run.kube.get("sessionjob", run.ns, "batch"), "status.jobStatus.state"), "FINISHED", "state in the status")


@each_series("the adaptive scheduler from no TaskManager gets all that it asks for at once, then gives it back", full=True)
def adaptive(run, series):
    flink = session(run, cluster(run.ns, version=series, conf={"jobmanager.scheduler": "adaptive"}))
    run.kube.apply(job(run.ns, "first", parallelism=2, args=["--slot-groups", "2,1"]))
    found = job_running(run, flink, "first")
    widths = sorted(v["parallelism"] for v in flink.get(f"/jobs/{found}")["vertices"])
    if series == "1.18":  # Flink does not tell the groups, and this scheduler is content with less
        check(len(taskmanagers(run)) in (2, 3), f"{len(taskmanagers(run))} TaskManagers")
        check(widths[-1] in (1, 2), f"largest parallelism {widths[-1]}")
    else:
        equal(len(taskmanagers(run)), 3, "TaskManagers")
        equal(widths[-1], 2, "largest parallelism")
    delete_jobs(run, "first")
    no_taskmanagers(run)


@each_series("slot sharing groups of 2 and 1: as many TaskManagers as they need, told by Flink or not", full=True)
def slot_groups(run, series):
    flink = session(run, cluster(run.ns, version=series))
    began = time.monotonic()
    run.kube.apply(job(run.ns, "first", parallelism=2, args=["--slot-groups", "2,1"]))
    job_running(run, flink, "first")
    run.note(f"RUNNING after {time.monotonic() - began:.1f} s")
    equal(len(taskmanagers(run)), 3, "TaskManagers")
    delete_jobs(run, "first")
    no_taskmanagers(run)


# ---- TaskManagers that end or hang ----

def helper(name, script):
    return {"name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]}


@each_series("sidecars: one that ends is no dead TaskManager, one that goes on does not hide a dead one")
def sidecars(run, series):
    bed = need_bed(run)
    template = {"spec": {"terminationGracePeriodSeconds": 2, "containers": [
        helper("stays", "while :; do sleep 1; done"),
        helper("ends", "trap 'exit 3' TERM; while :; do sleep 1; done")]}}
    flink = session(run, cluster(run.ns, version=series, conf=RESTARTS, taskManager={"podTemplate": template}))
    run.kube.apply(job(run.ns, "first"))
    found = job_running(run, flink, "first")
    run.kube.kubectl("exec", "-n", run.ns, TM + "1", "-c", "ends", "--", "sh", "-c", "kill 1")

    def statuses():
        return {c["name"]: c["state"] for c in pods(run, "taskmanager")[TM + "1"]["status"]["containerStatuses"]}
    wait("the sidecar has ended", lambda: dig(statuses(), "ends.terminated.exitCode") == 3, SOON)
    holds("the TaskManager stays", lambda: taskmanagers(run) == [TM + "1"], 5)
    equal(restarted(flink, found), 0, "restarts of the job")
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    killed = time.time()
    bed.signal("KILL", bed.jvms(TM + "1"))

    def hidden(_, pod):
        main = {c["name"]: c["state"] for c in dig(pod, "status.containerStatuses", [])}
        return (pod["metadata"]["name"] == TM + "1" and dig(pod, "status.phase") == "Running"
                and "terminated" in main["flink-main-container"] and "running" in main["stays"])
    wait("its pod still counts as running", lambda: watch.first(hidden, "that"), SOON)
    created = wait("a replacement", lambda: watch.first(lambda _, pod: pod["metadata"]["name"] == TM + "2", "its pod"), SOON)
    check(created - killed < 5, f"the replacement was created {created - killed:.1f} s after the kill")
    event(run, "TaskManagerFailed", TM + "1", "flink-main-container", "exit code 137")
    wait("the job restarted", lambda: restarted(flink, found) > killed, 60)
    wait("it runs again", lambda: flink.running(found), 60)
    settled(run, 2)
    run.note(f"replacement {created - killed:.1f} s after the kill")


@each_series("a TaskManager that hangs, or whose node is lost: Flink gives it up, it is replaced, the job runs again", full=True)
def hangs(run, series):
    """All that a lost node would show to the JobManager and to the API: no packet says that it is gone, and its pod is still
    said to run. What it does not show: a pod that stays Terminating until its node is deleted."""
    bed = need_bed(run)
    flink = session(run, cluster(run.ns, version=series, conf=RESTARTS))
    run.kube.apply(job(run.ns, "first"))
    found = job_running(run, flink, "first")
    watch = run.kube.watch("pod", run.ns)
    run.cleanup(watch.stop)
    stopped = time.time()
    bed.signal("STOP", bed.jvms(TM + "1"))
    created = wait("a replacement", lambda: watch.first(lambda _, pod: pod["metadata"]["name"] == TM + "2", "its pod"), 60)
    event(run, "TaskManagerFailed", TM + "1", "has lost the connection")
    wait("the job restarted", lambda: restarted(flink, found) > stopped, 60)
    wait("it runs again", lambda: flink.running(found), 60)
    check(run.kube.get("pod", run.ns, TM + "1"), "the frozen pod was gone before the job ran again: less was shown than said")
    run.note(f"replacement after {created - stopped:.1f} s, RUNNING after {time.time() - stopped:.1f} s")
    equal(job_id(run, "first"), found, "the job's id")
    settled(run, 2)


# How a TaskManager can fail: what does it, what the condition tells of it.
FAILURES = {
    "memory": (lambda run: {"flinkConfiguration": {"env.java.opts.taskmanager": "-Xms2g -Xmx2g -XX:+AlwaysPreTouch"}},
               ("OOMKilled", "exit code 137", "more memory than its limit")),
    "heap": (lambda run: {"flinkConfiguration": {"env.java.opts.taskmanager": "-Xms8m -Xmx8m -XX:+ExitOnOutOfMemoryError"}},
             ("exit code 3", "OutOfMemoryError")),
    "option": (lambda run: {"flinkConfiguration": {"env.java.opts.taskmanager": "-XX:+UseSerialGC -XX:+UseParallelGC"}},
               ("exit code 1", "Multiple garbage collectors selected")),
    "unreachable": (lambda run: {
        "allocator": {"startTimeout": "10s"},
        "taskManager": {"podTemplate": {"spec": {"terminationGracePeriodSeconds": 1, "hostAliases": [
            {"ip": "10.99.99.99", "hostnames": [f"demo.{run.ns}"]}]}}}},
                    ("StartTimeout", "did not register", "spec.allocator.startTimeout")),
}


def fails(run, series, how):
    """Three in a row, then creation rests; the status has exit code and log; a new spec is tried at once."""
    broken, texts = FAILURES[how]
    good = cluster(run.ns, version=series)
    bad = cluster(run.ns, version=series, **broken(run))
    flink = session(run, bad)
    run.kube.apply(job(run.ns, "first"))
    allocation(run, "TaskManagerStartFailed", "3 TaskManagers in a row", *texts, seconds=UP)
    event(run, "TaskManagerFailed", TM + "1", *(t for t in texts if t != "StartTimeout"))
    last = dig(run.kube.get("flinkdep", run.ns, "demo"), "status.allocator.lastIndex")
    equal(last, 3, "TaskManagers that were tried")
    holds("creation rests", lambda: all(name in [TM + "1", TM + "2", TM + "3"] for name in taskmanagers(run)), 4)
    began = time.monotonic()
    run.kube.apply(good)
    job_running(run, flink, "first")
    run.note(f"RUNNING {time.monotonic() - began:.1f} s after the spec was mended")
    enough(run)


@each_series("TaskManagers that take more memory than they may: told with exit code, creation rests, a new spec resumes it")
def out_of_memory(run, series):
    fails(run, series, "memory")


@each_series("TaskManagers without heap for Flink itself", full=True)
def out_of_heap(run, series):
    fails(run, series, "heap")


@each_series("TaskManagers with a bad JVM option", full=True)
def bad_option(run, series):
    fails(run, series, "option")


@each_series("TaskManagers that cannot reach their JobManager", full=True)
def unreachable(run, series):
    fails(run, series, "unreachable")


@each_series("TaskManagers that no node has a place for wait, and run as soon as one has", full=True)
def unschedulable(run, series):
    need_bed(run)
    flink = session(run, cluster(run.ns, version=series, conf={"kubernetes.taskmanager.node-selector": "e2e-room:yes"}))
    run.kube.apply(job(run.ns, "first"))
    allocation(run, "Unschedulable", "0/1 nodes are available")
    c = condition(run.kube.get("sessionjob", run.ns, "first"))
    check(c["status"] == "False", lambda: f"Ready: {c}")
    run.cleanup(run.kube.patch, "node", None, "bed-node", {"metadata": {"labels": {"e2e-room": None}}})
    run.kube.patch("node", None, "bed-node", {"metadata": {"labels": {"e2e-room": "yes"}}})
    job_running(run, flink, "first")
    settled(run, 1)


ROOM = "e2e.example/room"


def rooms(run, n):
    """The node has so many places for pods that ask for one. None: as it was."""
    run.kube.json("PATCH", run.kube.path("node", None, "bed-node") + "/status",
                  {"status": {"capacity": {ROOM: n}, "allocatable": {ROOM: n}}}, content="application/merge-patch+json")


@test("TaskManagers give up the place that their JobManager needs", full=True)
def jobmanager_first(run):
    need_bed(run)
    run.cleanup(rooms, run, None)
    rooms(run, "1")
    one = {"requests": {ROOM: "1"}, "limits": {ROOM: "1"}}
    run.kube.apply(application(run.ns, conf={"kubernetes.jobmanager.node-selector": "e2e-room:yes"},
                               podTemplate={"spec": {"containers": [{"name": "flink-main-container", "resources": one}]}}))
    wait("a TaskManager has the place", lambda: [p for p in pods(run, "taskmanager").values() if dig(p, "spec.nodeName")], SOON)
    run.cleanup(run.kube.patch, "node", None, "bed-node", {"metadata": {"labels": {"e2e-room": None}}})
    run.kube.patch("node", None, "bed-node", {"metadata": {"labels": {"e2e-room": "yes"}}})
    event(run, "JobManagerFirst", "before the JobManager has its place", f"Insufficient {ROOM}", seconds=90)
    wait("the JobManager has the place", lambda: dig(jobmanager(run), "spec.nodeName"), SOON)
    rooms(run, "2")
    application_running(run)


# ---- the JobManager's view and ours ----

@each_series("the JobManager's container restarts: attempt 2, and the TaskManager of attempt 1 serves on", full=True)
def jobmanager_restarts(run, series):
    bed = need_bed(run)
    flink = session(run, cluster(run.ns, version=series, idle="10min"))
    run.kube.apply(job(run.ns, "first"))
    before = job_running(run, flink, "first")
    pod, uid = jobmanager(run)["metadata"], pods(run, "taskmanager")[TM + "1"]["metadata"]["uid"]
    bed.signal("KILL", bed.jvms(pod["name"]))
    wait("the lost job gets a new id", lambda: job_id(run, "first") not in (None, before), 120)
    job_running(run, flink, "first")
    equal(jobmanager(run)["metadata"]["uid"], pod["uid"], "the JobManager's pod")
    equal(taskmanagers(run), [TM + "1"], "TaskManagers")
    equal(pods(run, "taskmanager")[TM + "1"]["metadata"]["uid"], uid, "the TaskManager")
    run.kube.apply(job(run.ns, "second"))
    job_running(run, flink, "second")
    equal(taskmanagers(run), [TM + "1", "demo-taskmanager-2-1"], "TaskManagers")
    equal(dig(run.kube.get("flinkdep", run.ns, "demo"), "status.allocator.attempt"), 2, "attempt")


@each_series("a ghost, which Flink lists while its pod is gone, counts for nothing", full=True)
def ghost(run, series):
    bed = need_bed(run)
    flink = session(run, cluster(run.ns, version=series, conf=RESTARTS, allocator={"minTaskManagers": 1}))
    settled(run, 1)
    wait("it has registered", lambda: flink.overview()["slots-available"] == 1, 60)
    bed.signal("STOP", bed.jvms(TM + "1"))
    run.kube.delete("pod", run.ns, TM + "1", now=True)
    settled(run, 2, seconds=5)
    equal([t["id"] for t in flink.get("/taskmanagers")["taskmanagers"]], [TM + "1"], "Flink's TaskManagers")
    run.kube.apply(job(run.ns, "first"))
    job_ready(run, "first")
    flink.running(job_id(run, "first"))  # not its records: Flink asks the ghost, too, before it tells of any
    settled(run, 2)


@each_series("jobs that come to Flink just as the last free TaskManager goes run in the end", full=True, timeout=900)
def release_race(run, series):
    """Nobody can keep Flink from giving a slot away while its TaskManager is being stopped: that costs a restart."""
    flink = session(run, cluster(run.ns, version=series, idle="2s", conf=RESTARTS))
    last, old, restarts, moments = None, [], 0, [0.25 * n for n in range(3, 15)]
    for moment in moments:
        found = submit(flink, f"after-{moment}")
        wait(f"the job submitted {moment} s after the end of another RUNNING", lambda job=found: flink.running(job), UP)
        old.append(taskmanagers(run) == last)
        restarts += restarted(flink, found) > 0
        last = taskmanagers(run)
        flink.cancel(found)
        wait("CANCELED", lambda job=found: flink.job(job)["state"] == "CANCELED", 30, 0.05)
        time.sleep(moment)
    check(any(old) and not all(old[1:]), f"no moment before or none after the release: {old}")
    run.note(f"{len(moments)} jobs: {sum(old)} on the old TaskManager, {restarts} restarted")
    no_taskmanagers(run)


@each_series("jobs of the operator never meet a TaskManager that goes: none restarts, without a restart strategy", full=True,
             timeout=900)
def release_and_submit(run, series):
    flink = session(run, cluster(run.ns, version=series, idle="2s"))
    seen = []
    for n, moment in enumerate(0.25 * n for n in range(4, 14)):
        run.kube.apply(job(run.ns, f"job-{n}"))
        job_ready(run, f"job-{n}")
        seen.append(job_id(run, f"job-{n}"))
        delete_jobs(run, f"job-{n}")
        time.sleep(moment)
    equal({j["jid"]: j["state"] for j in flink.jobs()}, {found: "CANCELED" for found in seen}, "all jobs that Flink ever had")
    no_taskmanagers(run)
