"""What is done by itself when a job, or its JobManager, is gone: jobs that have failed are run again, JobManagers of jobs that have
ended are taken away, deleted ones come back or do not."""
import json
import os
import time

from lib.check import check, dig, equal, holds, wait
from lib.manifests import application, merge
from lib.suite import test
from applications import job_id, running, told
from ha import counting, folder, goes_on, kept, numbers
from matrix import each_series
from scene import SOON, UP, cluster_ready, condition, gone, job_running, jobmanager, pods, state
from world import need_bed
import upgrades

OPERATOR = "kubernetes.operator."
RESTARTS = {OPERATOR + "job.restart.failed": "true"}
ONCE = {"restart-strategy.type": "none", "restart-strategy": "none"}  # what fails, fails for good


def events(run, reason):
    return [e["message"] for e in run.kube.list("event", run.ns) if e["reason"] == reason]


class Switch:
    """A file: while it is there, the job fails."""

    def __init__(self, run):
        self.inside = f"{folder(run)}/fail"
        self.path = need_bed(run).state + self.inside

    def on(self):
        with open(self.path, "w", encoding="utf-8"):
            pass

    def off(self):
        os.remove(self.path)


def start(run, mode, series="1.20", conf=None):
    """(the job's id, its switch) of an application with state that counts, and fails for good when it does."""
    bed = need_bed(run)
    os.makedirs(bed.state + folder(run), exist_ok=True)
    os.chmod(bed.state + folder(run), 0o777)
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")
    switch, manifest = Switch(run), counting(run, mode, series)
    manifest["spec"]["job"]["args"] += ["--fail-file", switch.inside]
    run.kube.apply(merge(manifest, {"spec": {"flinkConfiguration": {**ONCE, **(conf or {})}}}))
    _, first = running(run)
    wait("some numbers", lambda: len(numbers(run)) > 30, 60)
    return first, switch


@each_series("a job that fails for good is run again from its last checkpoint, and that is told")
def failed(run, series):
    first, switch = start(run, "last-state", series, RESTARTS)
    at = len(numbers(run))
    switch.on()
    told(run, "FAILED", jobState="FAILED")
    wait("the cause is told", lambda: events(run, "Error"), SOON)
    switch.off()
    running(run, former=first)
    goes_on(run, at, exactly=False)
    messages = events(run, "RestartFailedJob")
    check(messages and all("/chk-" in m for m in messages), f"events RestartFailedJob: {messages}")
    path = dig(run.kube.get("flinkdep", run.ns, "demo"), "status.jobStatus.upgradeSavepointPath")
    check(path and path.split("file:")[1] in messages[-1], f"upgradeSavepointPath {path}")


@test("…with savepoints, too: the last checkpoint is what is left", full=True)
def failed_savepoint(run):
    first, switch = start(run, "savepoint", conf=RESTARTS)
    at = len(numbers(run))
    switch.on()
    told(run, "FAILED", jobState="FAILED")
    switch.off()
    running(run, former=first)
    goes_on(run, at, exactly=False)


@test("a job that fails at once is run again less and less often, and the status says when", full=True)
def loop(run):
    run.kube.apply(application(run.ns, args=["--fail-after", "20"], conf={**RESTARTS, **ONCE}))
    wait("the third run", lambda: "restart 2 in a row" in str(events(run, "RestartFailedJob")), UP)
    since = time.time()
    cr = wait("it waits", lambda: waits(run), UP)
    check("told to fail after 20" in condition(cr)["message"], state(cr))
    equal(condition(cr, "Stalled")["status"], "True", "Stalled")
    wait("the fourth run", lambda: "restart 3 in a row" in str(events(run, "RestartFailedJob")), UP)
    check(time.time() - since > 15, f"it came after {time.time() - since:.1f} s")
    former = job_id(run)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"args": ["--name", "demo"]}}})
    running(run, former=former)
    cr = run.kube.get("flinkdep", run.ns, "demo")
    check(not dig(cr, "status.error"), state(cr))


def waits(run):
    cr = run.kube.get("flinkdep", run.ns, "demo")
    return "It is run again at " in condition(cr)["message"] and cr


@test("a FlinkSessionJob that fails is run again from its last checkpoint", full=True)
def session_job(run):
    flink, _ = upgrades.start(run, "last-state", conf=ONCE)
    os.makedirs(need_bed(run).state + folder(run), exist_ok=True)
    os.chmod(need_bed(run).state + folder(run), 0o777)
    switch = Switch(run)
    manifest = upgrades.counting(run, "last-state", conf=RESTARTS)
    manifest["spec"]["job"]["args"] += ["--fail-file", switch.inside]
    former = upgrades.job_id(run, "counts")
    run.kube.apply(manifest)
    wait("another run", lambda: upgrades.job_id(run, "counts") not in (None, former), UP)
    second = job_running(run, flink, "counts")
    at = len(upgrades.counted(run))
    wait("more numbers", lambda: len(upgrades.counted(run)) > at + 30, 60)
    at = len(upgrades.counted(run))
    switch.on()
    wait("it has failed", lambda: flink.job(second)["state"] == "FAILED", 60)
    switch.off()
    wait("another run", lambda: upgrades.job_id(run, "counts") not in (None, second), UP)
    third = job_running(run, flink, "counts")
    path = dig(run.kube.get("sessionjob", run.ns, "counts"), "status.jobStatus.upgradeSavepointPath")
    equal(flink.get(f"/jobs/{third}/checkpoints")["latest"]["restored"]["external_path"], path, "what the job began with")

    def further():
        found = upgrades.counted(run)
        return len(found) > at + 5 and found[-1] > max(found[:at]) and found
    found = wait("it goes on", further, 60)
    check(max(b - a for a, b in zip(found, found[1:])) <= 100, f"a gap in {found}")
    check(events(run, "RestartFailedJob"), "no event")


@each_series("the JobManager of a job that has ended goes after a while; a change goes on from the state that is recorded", full=True)
def shut_down(run, series):
    first, switch = start(run, "last-state", series, {OPERATOR + "jm-deployment.shutdown-ttl": "20 s"})
    at = len(numbers(run))
    switch.on()
    told(run, "FAILED", jobState="FAILED")
    since = time.time()

    def away():
        check(run.kube.get("deployment", run.ns, "demo") is None, "there is a Deployment")
        equal(run.kube.list("pod", run.ns), [], "pods")
        cr = run.kube.get("flinkdep", run.ns, "demo")
        equal(cr["status"]["jobManagerDeploymentStatus"], "MISSING", "jobManagerDeploymentStatus")
        return cr
    cr = wait("nothing runs", away, 90)
    check(time.time() - since > 15, f"its JobManager went after {time.time() - since:.1f} s")
    check("/chk-" in (dig(cr, "status.jobStatus.endState.location") or ""), f"endState: {cr['status']['jobStatus']}")
    equal(cr["status"]["lifecycleState"], "FAILED", "lifecycleState")
    check("fail" in condition(cr)["message"], state(cr))
    holds("it stays away", lambda: run.kube.get("deployment", run.ns, "demo") is None, 10)
    switch.off()
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": 1}})
    running(run, former=first)
    goes_on(run, at, exactly=False)
    run.kube.delete("flinkdep", run.ns, "demo")
    gone(run, "flinkdep", "demo", seconds=90)
    equal(kept(run), [], "ConfigMaps left")


HEALTH = OPERATOR + "cluster.health-check."


@each_series("a job that restarts too often is taken away and goes on from what high availability keeps; before, its counts are told", full=True)
def unwell(run, series):
    often = {"restart-strategy.type": "fixed-delay", "restart-strategy": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000",
             "restart-strategy.fixed-delay.delay": "1 s"}
    first, switch = start(run, "last-state", series, {
        **often, HEALTH + "enabled": "true", HEALTH + "restarts.threshold": "3", HEALTH + "restarts.window": "1 min"})
    pod, at = jobmanager(run)["metadata"]["uid"], len(numbers(run))
    cr = wait("it is looked at", lambda: health(run), 60)
    check(health(run)["numRestarts"] == 0 and health(run)["healthResult"]["healthy"], f"{cr}")
    switch.on()
    messages = wait("it is taken away", lambda: events(run, "RestartUnhealthyJob"), UP)
    check("restarts.threshold" in messages[0], messages)
    switch.off()
    wait("another JobManager", lambda: jobmanager(run)["metadata"]["uid"] != pod, UP)
    _, second = running(run)
    equal(second, first, "the same job goes on")
    goes_on(run, at, exactly=False)


def health(run):
    text = dig(run.kube.get("flinkdep", run.ns, "demo"), "status.clusterInfo.ClusterHealthInfo")
    return text and json.loads(text)


@test("a job that is done stays Ready without its JobManager, and does not run again", full=True)
def done(run):
    run.kube.apply(application(run.ns, args=["--count", "500", "--rate", "1000"],
                               conf={OPERATOR + "jm-deployment.shutdown-ttl": "5 s"}))
    told(run, "FINISHED", jobState="FINISHED", lifecycleState="STABLE")
    gone(run, "deployment", "demo", seconds=90)
    found = job_id(run)

    def rests():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        return condition(cr)["status"] == "True" and job_id(run) == found and not pods(run, "jobmanager")
    wait("Ready", rests, 60)
    holds("it stays so", rests, 20)


@test("a Deployment that somebody deletes: not made again where that is switched off, and again when it is not",
      full=True)
def recovery(run):
    off = {OPERATOR + "jm-deployment-recovery.enabled": "false"}
    run.kube.apply(application(run.ns, conf=off))
    running(run)
    run.kube.delete("deployment", run.ns, "demo")

    def missing():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        check(cr["status"]["jobManagerDeploymentStatus"] == "MISSING" and condition(cr)["reason"] == "Missing", state(cr))
        return cr
    cr = wait("MISSING", missing, 60)
    check("jm-deployment-recovery.enabled" in condition(cr)["message"], state(cr))
    check("MissingJobManagerException" in cr["status"]["error"], f"error {cr['status']['error']}")
    check(events(run, "Missing"), "no event")
    holds("it is not made again", lambda: run.kube.get("deployment", run.ns, "demo") is None, 10)
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"flinkConfiguration": {k: None for k in off}}})
    running(run)
    run.kube.delete("deployment", run.ns, "demo")
    wait("told", lambda: events(run, "RecoverDeployment"), SOON)
    running(run)
    cluster_ready(run)


def rolled_back(run, since):
    """The resource when the former spec runs again, with no gap in what it counts."""
    cr = told(run, "ROLLED_BACK", jobState="RUNNING", lifecycleState="ROLLED_BACK")
    goes_on(run, since, exactly=False)
    cr = wait("why is told", lambda: (lambda found: condition(found)["reason"] == "RolledBack" and found)(
        run.kube.get("flinkdep", run.ns, "demo")), 60)
    equal((condition(cr)["status"], condition(cr, "Stalled")["status"]), ("False", "True"), "Ready and Stalled")
    check(events(run, "Rollback"), "no event")
    return cr


@each_series("a spec that does not come to run: the one before runs again where it was; asked for, it is only recorded", timeout=600)
def rollback(run, series):
    start(run, "last-state", series, {OPERATOR + "deployment.rollback.enabled": "true",
                                      OPERATOR + "deployment.readiness.timeout": "20 s"})
    at, image = len(numbers(run)), run.kube.get("flinkdep", run.ns, "demo")["spec"]["image"]
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"image": "flink:none-such"}})
    cr = rolled_back(run, at)
    check("none-such" in cr["status"]["reconciliationStatus"]["lastReconciledSpec"], "lastReconciledSpec is not the failed one")
    pod = jobmanager(run)["metadata"]["uid"]
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"image": image}})
    running(run)
    equal(jobmanager(run)["metadata"]["uid"], pod, "the JobManager after the stable spec was asked for")
    equal(dig(run.kube.get("flinkdep", run.ns, "demo"), "status.reconciliationStatus.state"), "DEPLOYED", "state")


@each_series("a spec whose main() throws, so that its JobManager crash-loops: the one before runs again where it was, and why is told", full=True,
             timeout=600)
def rollback_crash_loop(run, series):
    start(run, "last-state", series, {OPERATOR + "deployment.rollback.enabled": "true",
                                      OPERATOR + "deployment.readiness.timeout": "30 s"})
    at, args = len(numbers(run)), run.kube.get("flinkdep", run.ns, "demo")["spec"]["job"]["args"]
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"job": {"args": [*args, "--fail-main", "no way"]}}})
    cr = rolled_back(run, at)
    check("no way" in cr["status"]["reconciliationStatus"]["lastReconciledSpec"], "lastReconciledSpec is not the failed one")
    check([m for m in events(run, "Rollback") if "failed deployment" in m], "no event")
