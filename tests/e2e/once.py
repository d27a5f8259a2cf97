"""A job runs exactly once, whenever the operator dies."""
import random
import time

from lib.check import check, dig, equal, wait
from lib.manifests import cluster, job
from lib.operator import PROCESS, REPLICAS
from lib.suite import test
from scene import (UP, delete_jobs, job_id, job_running, jobmanager, no_taskmanagers, session, taskmanagers)
from web import Web
from world import need_bed


def recorded(run, name):
    return wait(f"the id of {name} recorded", lambda: job_id(run, name), 60, 0.01)


def one_job(run, flink, name, expected=None):
    """It runs, under the recorded id, and there is no other."""
    found = job_running(run, flink, name)
    equal([j["jid"] for j in flink.jobs() if j["name"] == name], [found], f"jobs in Flink by the name of {name}")
    if expected:
        equal(found, expected, "the job's id")
    return found


@test("the operator's pod is deleted by force when a job's id has just been recorded", full=True)
def recorded_only(run):
    flink = session(run, cluster(run.ns, slots=4))
    for n in range(3):
        run.kube.apply(job(run.ns, f"job-{n}"))
        chosen = recorded(run, f"job-{n}")
        run.operator.kill()
        one_job(run, flink, f"job-{n}", chosen)
    equal(len(flink.jobs()), 3, "jobs in Flink")
    equal(len(taskmanagers(run)), 1, "TaskManagers")


@test("the operator's process is killed while the JAR is on its way, and when Flink has just got the job")
def uploading(run):
    flink = session(run, cluster(run.ns, slots=4))
    web = Web(run)
    web.job_jar(run, jobmanager(run)["metadata"]["name"])
    run.kube.apply(job(run.ns, "upload", jar=web.url("big.jar") + "?rate=20000000"))
    wait("the download begins", lambda: [line for line in web.requests() if "GET /big.jar" in line], 30, 0.02)
    chosen = job_id(run, "upload")
    kill_process(run)
    wait("the download broke off", lambda: [line for line in web.requests() if "broken off" in line], 30)
    one_job(run, flink, "upload", chosen)

    run.kube.apply(job(run.ns, "accepted"))
    chosen = recorded(run, "accepted")
    wait("Flink has the job", lambda: flink.job(chosen), 60, 0.01)
    kill_process(run)
    one_job(run, flink, "accepted", chosen)
    equal(len(flink.jobs()), 2, "jobs in Flink")


def kill_process(run):
    """kill -9 of the one that leads, and of the one that waits; the kubelet starts their containers again."""
    pids = run.bed.pids(PROCESS)
    equal(len(pids), REPLICAS, "processes of the operator")
    run.bed.signal("KILL", pids)


@test("the operator killed at 20 random moments of a job's life: the same end, one job each, no pod left", full=True,
      timeout=1800)
def anywhere(run):
    need_bed(run)
    seed = random.randrange(1 << 30)
    run.note(f"seed {seed}")
    dice = random.Random(seed)
    flink = session(run, cluster(run.ns, slots=2, idle="1s"))
    seen = set()
    for n in range(20):
        name = f"job-{n}"
        moment = dice.uniform(0, 12)
        began = time.monotonic()
        killed = False

        def strike(due=moment, began=began):
            nonlocal killed
            if not killed and time.monotonic() - began >= due:
                run.operator.kill()
                killed = True
            return killed

        def until(what, probe, seconds):
            def either():
                strike()
                return probe()
            wait(f"{name}, killed after {moment:.1f} s: {what}", either, seconds, 0.05)
        run.kube.apply(job(run.ns, name, parallelism=1 + n % 3))
        until("RUNNING", lambda: dig(run.kube.get("sessionjob", run.ns, name), "status.lifecycleState") == "STABLE", UP)
        mine = [j["jid"] for j in flink.jobs() if j["name"] == name]
        equal(mine, [job_id(run, name)], f"jobs in Flink by the name of {name}, the operator killed after {moment:.1f} s")
        seen.update(mine)
        run.kube.delete("sessionjob", run.ns, name)
        until("deleted", lambda: run.kube.get("sessionjob", run.ns, name) is None, 90)
        until("killed", lambda: killed, 20)
        no_taskmanagers(run, seconds=90)
    equal({j["jid"] for j in flink.jobs()}, seen, "all jobs that Flink ever had")
    check(all(j["state"] == "CANCELED" for j in flink.jobs()), "a job was not cancelled")


@test("a restart of the operator writes nothing to what runs")
def restart(run):
    flink = session(run, cluster(run.ns, idle="10min"))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    time.sleep(3)

    def versions():
        kinds = ("flinkdep", "sessionjob", "deployment", "service", "configmap", "pod", "event")
        return {f"{kind}/{o['metadata']['name']}": o["metadata"]["resourceVersion"]
                for kind in kinds for o in run.kube.list(kind, run.ns)}
    before = versions()
    uid = run.operator.ready()["metadata"]["uid"]
    run.operator.kill()
    wait("another operator", lambda: run.operator.ready()["metadata"]["uid"] != uid, 60)
    time.sleep(15)
    after = versions()
    equal({k: v for k, v in after.items() if before.get(k) != v}, {}, "objects written by the operator's restart")
    equal(after, before, "objects")
