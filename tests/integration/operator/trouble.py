"""Faults of Flink and of servers of JARs that last: within 30 s the status says what it is, and when they end all goes on by itself."""
import os
import time

from downloads import PREFIX, Server
from lib.check import SCALE, check, dig, wait
from lib.fake_flink import Reply
from lib.manifests import job, snapshot
from lib.plane import SOON
from lib.plane_scene import cluster_ready, condition, is_ready, job_ready, log_has_no, operator, session, submit, taken
from lib.suite import test

TOLD_S = 30 * SCALE
JAR = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\njar"
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def told(run, kind, name, *words, no="nothing like that"):
    """Ready is False, and its message has these words."""
    def probe():
        c = condition(run.kube.get(kind, run.namespaces[0], name))
        check(c.get("status") == "False" and all(w in c["message"] for w in words) and no not in c["message"], f"it says {c}")
        return c["message"]
    began = time.monotonic()
    message = wait(f"{kind} {name} tells of {words}", probe, TOLD_S, 0.1)
    run.note(f"{kind} {name} after {time.monotonic() - began:.1f} s: {message[:160]}")
    return message


@test("a JobManager that answers with 503, then one that hangs: told in its words; Ready again by itself, the job is the same", full=True,
      timeout=180)
def silent(run):
    operator(run)
    flink = session(run)
    found = submit(run)
    for fault, words in ((Reply(503, b""), "http 503"), ("hang", "no complete answer")):
        flink.hook = lambda r, fault=fault: fault
        message = told(run, "flinkdep", "demo", "does not answer")
        check(words in message.lower(), message)
        told(run, "sessionjob", "first", "does not answer")
        flink.hook = None
        cluster_ready(run, seconds=TOLD_S)
        check(job_ready(run, seconds=TOLD_S) == found, "another job")
        check(len(flink.accepted) == 1, f"submissions: {flink.accepted}")


@test("a savepoint for a change that fails: told with Flink's cause, the job runs on; taken when it can be, and the change is made", full=True,
      timeout=240)
def savepoint(run):
    op = operator(run)
    flink = session(run, conf={"execution.checkpointing.savepoint-dir": "file:///savepoints"})
    flink.unwritable = "file:///savepoints"
    ns = run.namespaces[0]
    resource = job(ns, "first", upgradeMode="savepoint")
    resource["spec"]["flinkConfiguration"] = {"execution.checkpointing.savepoint-dir": "file:///savepoints",
                                              "state.savepoints.dir": "file:///savepoints",
                                              "kubernetes.operator.job.upgrade.last-state-fallback.enabled": "false",
                                              "state.checkpoints.dir": "file:///checkpoints"}
    run.kube.create("sessionjob", ns, resource)
    found = job_ready(run)
    run.kube.patch("sessionjob", ns, "first", {"spec": {"job": {"args": ["--name", "changed"]}}})
    told(run, "sessionjob", "first", "Failed to create savepoint directory")
    check(flink.jobmanager.jobs[found]["state"] == "RUNNING", "the job does not run any more")
    flink.unwritable = "file:/proc/"

    def changed():
        cr = is_ready(run.kube.get("sessionjob", ns, "first"))
        check(dig(cr, "status.jobStatus.jobId") != found, "the same run")
        return cr
    wait("the change is made", changed, 120 * SCALE, 0.2)
    check(flink.runs[1].path and flink.runs[1].path.startswith("file:///savepoints"), f"it goes on from {flink.runs[1].path}")
    log_has_no(op, "crit")


@test("a checkpoint that fails: told with Flink's cause; taken when it can be", full=True, timeout=180)
def checkpoint(run):
    operator(run)
    flink = session(run)
    submit(run)
    flink.hook = lambda r: Reply(200, flink.jobmanager.shaped("savepoint-failed")) if r.kind() == "GET /jobs/*/checkpoints/*" else None
    run.kube.create("flinksnp", run.namespaces[0], snapshot(run.namespaces[0], checkpoint=True))

    def failed():
        cr = run.kube.get("flinksnp", run.namespaces[0], "backup")
        check(dig(cr, "status.error") and dig(cr, "status.failures", 0) >= 1, f"its status is {cr.get('status')}")
        return cr["status"]["error"]
    run.note(f"flinksnp: {wait('its failure told', failed, TOLD_S, 0.1)[:160]}")
    told(run, "flinksnp", "backup")
    flink.hook = None
    taken(run, seconds=60 * SCALE)


@test("a JAR that cannot be had: 404, refused, without an end; told with the address; submitted once when it can be", full=True, timeout=300)
def jar(run):
    path = run.file("config.yaml", f"{PREFIX}allowed-schemes: http\n{PREFIX}disallow-restricted-hosts: false\n")
    operator(run, None, "--conf-dir", os.path.dirname(path))
    ns = run.namespaces[0]
    flink = session(run)
    server = Server(run, ("10.250.200.1", 9011), MISSING)
    run.kube.create("sessionjob", ns, job(ns, "first", jar="http://10.250.200.1:9011/a.jar"))
    told(run, "sessionjob", "first", "404")
    server.answer = JAR
    job_ready(run, seconds=60 * SCALE)
    server.stop()
    run.kube.create("sessionjob", ns, job(ns, "second", jar="http://10.250.200.1:9011/b.jar"))
    told(run, "sessionjob", "second", "10.250.200.1")
    server = Server(run, ("10.250.200.1", 9011), JAR[:-1])
    told(run, "sessionjob", "second", "10.250.200.1", no="refused")
    server.answer = JAR
    job_ready(run, "second", seconds=90 * SCALE)
    check(len(flink.accepted) == 2, f"submissions: {flink.accepted}")
    wait("the cluster Ready", lambda: is_ready(run.kube.get("flinkdep", ns, "demo")), SOON)
