"""What a combination does, and how it has to end: the main job; a change of an application, or of a session job, in each upgrade
mode. JobManagers keep the tale of what ran when and what it began with (lib/fake_flink.py)."""
import time

from lib.check import check, dig, equal
from lib.manifests import application, cluster, job, snapshot
from lib.plane_scene import condition, is_ready

STATE = "file:/flink"
CONF = {"execution.checkpointing.interval": "1 s", "execution.checkpointing.dir": STATE + "/checkpoints",
        "execution.checkpointing.savepoint-dir": STATE + "/savepoints"}
HA = {"high-availability.type": "kubernetes", "high-availability.storageDir": STATE + "/ha"}


class Scenario:
    """mode: how the job is upgraded; None: it is not."""
    conf = {}  # of the cluster, beside what the mode needs
    patience = 1  # how many times as long as others it may take

    def __init__(self, app, mode):
        self.application, self.mode = app, mode
        self.stateful = mode in ("last-state", "savepoint")
        if not mode:
            self.change = None

    def create(self, batch, m):
        kube, ns, name = batch.run.kube, batch.ns, f"c{m.index}"
        batch.flink(m).savepoints = STATE + "/savepoints"
        if self.application:
            kube.create("flinkdep", ns, application(ns, name, conf={**CONF, **HA, **self.conf},
                                                       job={"upgradeMode": self.mode}, idle="1s"))
            return
        kube.create("flinkdep", ns, cluster(ns, name, idle="1s", conf={**(CONF if self.stateful else {}), **self.conf}))
        kube.create("sessionjob", ns, job(ns, f"j{m.index}", name, upgradeMode=self.mode or "stateless"))

    def cr(self, batch, m):
        return batch.get(*("flinkdep", f"c{m.index}") if self.application else ("sessionjob", f"j{m.index}"))

    def ready(self, batch, m):
        return is_ready(batch.get("flinkdep", f"c{m.index}")) and is_ready(self.cr(batch, m))

    def saved(self, batch, m):
        """The first run has a checkpoint of its own."""
        runs = batch.flink(m).runs
        return not self.mode or (runs and runs[-1].snapshots)

    def change(self, batch, m):
        kind, name = ("flinkdep", f"c{m.index}") if self.application else ("sessionjob", f"j{m.index}")
        batch.run.kube.patch(kind, batch.ns, name, {"spec": {"job": {"args": ["--name", name, "--changed", "yes"]}}})

    def changed(self, batch, m):
        if not self.mode:
            return True
        runs = batch.flink(m).runs
        check(len(runs) > 1, "no second run yet")
        for cr in batch.snapshots(m):  # of an upgrade's savepoint it may be written while the job is Ready already
            equal(dig(cr, "status.state"), "COMPLETED", cr["metadata"]["name"])
        return self.ready(batch, m)

    def good(self, batch, m):
        """It has run as often as was asked for, never twice at a time, and went on from where it was."""
        flink = batch.flink(m)
        equal(flink.wrong, [], "what JobManagers had to see")
        check(len(flink.runs) == (2 if self.mode else 1), lambda: f"runs: {[vars(r) for r in flink.runs]}")
        last, status = flink.runs[-1], self.cr(batch, m)["status"]["jobStatus"]
        equal((last.state, last.id), ("RUNNING", status["jobId"]), "what runs")
        if self.mode:
            self.good_change(*flink.runs, dig(status, "upgradeSavepointPath"))
        return True

    def good_change(self, first, second, told):
        check(first.ended and first.ended <= second.began, lambda: f"two runs at a time: {vars(first)} {vars(second)}")
        if self.mode == "stateless":
            equal((second.path, second.base), (None, 0), "what the second run began with")
            return
        snapshot = first.snapshots[-1]
        if self.mode == "savepoint":
            equal((first.state, snapshot.savepoint), ("FINISHED", True), "the end of the first run")
        check(second.path == snapshot.path or second.path == first.attempt.path,
              lambda: f"the second run began with {second.path}, the first one ended with {snapshot.path}")
        if self.mode == "savepoint" or not self.application:
            equal(told, second.path, "upgradeSavepointPath")


class Nonce(Scenario):
    """One savepoint of a job that runs on."""

    def __init__(self, app):
        super().__init__(app, "stateless")

    def saved(self, batch, m):
        return True

    def change(self, batch, m):
        kind, name = ("flinkdep", f"c{m.index}") if self.application else ("sessionjob", f"j{m.index}")
        batch.run.kube.patch(kind, batch.ns, name, {"spec": {"job": {"savepointTriggerNonce": 7}}})

    def changed(self, batch, m):
        record = dig(self.cr(batch, m), "status.reconciliationStatus.lastReconciledSpec")
        check('"savepointTriggerNonce":7' in record, "it is not recorded")
        states = [dig(cr, "status.state") for cr in batch.snapshots(m)]
        check(states and "COMPLETED" in states, lambda: states)
        return self.ready(batch, m)

    def good(self, batch, m):
        """Flink was asked for one, by one resource, and the job has not noticed."""
        flink = batch.flink(m)
        equal(flink.wrong, [], "what JobManagers had to see")
        equal([r.state for r in flink.runs], ["RUNNING"], "runs")
        made = batch.snapshots(m)
        equal([dig(cr, "status.state") for cr in made], ["COMPLETED"], "its FlinkStateSnapshots")
        equal([what for what, _, _ in flink.asked], ["savepoint"], "what Flink has taken")
        check(made[0]["status"]["path"] in flink.states, made[0]["status"])
        return True


class Rotation(Scenario):
    """A ConfigMap that the pods refer to gets another content, by a writer that owns its labels, too: only the content tells."""

    def __init__(self):
        super().__init__(True, "last-state")

    def create(self, batch, m):
        kube, ns, name = batch.run.kube, batch.ns, f"c{m.index}"
        batch.flink(m).savepoints = STATE + "/savepoints"
        kube.create("configmap", ns, {"metadata": {"name": f"{name}-levels", "labels": {"a": "1"}}, "data": {"level": "1"}})
        kube.create("flinkdep", ns, application(
            ns, name, conf={**CONF, **HA, "kubernetes.operator.references.on-change": "restart"}, job={"upgradeMode": self.mode},
            idle="1s", podTemplate={"spec": {"containers": [{"name": "flink-main-container", "envFrom": [
                {"configMapRef": {"name": f"{name}-levels"}}]}]}}))

    def saved(self, batch, m):
        """…and what it was is known."""
        if not super().saved(batch, m) or not dig(self.cr(batch, m), "status.references"):
            return False
        m.since = m.since or time.monotonic()
        return time.monotonic() > m.since + 3

    def change(self, batch, m):
        batch.run.kube.patch("configmap", batch.ns, f"c{m.index}-levels", {"metadata": {"labels": {"a": "2"}}, "data": {"level": "2"}})

    def good(self, batch, m):
        kinds = [c["type"] for c in self.cr(batch, m)["status"]["conditions"]]
        check("ReferencesCurrent" not in kinds, "something is still to be told")
        return super().good(batch, m)


FINAL = [("status", status) for status in (401, 403, 404, 422)]  # an event that is refused so is not tried again


class Thrown(Nonce):
    """A job that an exception throws back: told once, or not at all where that was refused."""

    def may_be_lost(self, m):
        return m.call == "create events" and m.fault in FINAL and m.fired

    def change(self, batch, m):
        batch.flink(m).jobmanager.throw(batch.flink(m).runs[-1].id)

    def told(self, batch, m):
        name = f"c{m.index}" if self.application else f"j{m.index}"
        return sum(e.get("count", 1) for e in batch.objects("event").values()
                   if e["reason"] == "JobException" and e["involvedObject"]["name"] == name)

    def changed(self, batch, m):
        check(self.told(batch, m) or self.may_be_lost(m), "it is not told")
        return self.ready(batch, m)

    def good(self, batch, m):
        flink = batch.flink(m)
        equal(flink.wrong, [], "what JobManagers had to see")
        equal([r.state for r in flink.runs], ["RUNNING"], "runs")
        times = self.told(batch, m)
        check(times == 1 or (times == 0 and self.may_be_lost(m)), lambda: f"it was told {times} times")
        return True


PERIODIC = "kubernetes.operator.periodic.savepoint.interval"


class Periodic(Nonce):
    """Periodic savepoints until there were more than are to be kept; then the interval is taken away."""
    KEPT, ENOUGH = 2, 4
    patience = 2

    def change(self, batch, m):
        self.configure(batch, m, "2 s")

    def configure(self, batch, m, interval):
        batch.run.kube.patch("sessionjob", batch.ns, f"j{m.index}", {"spec": {"flinkConfiguration": {
            PERIODIC: interval, "kubernetes.operator.savepoint.history.max.count": str(self.KEPT),
            "kubernetes.operator.savepoint.dispose-on-delete": "true"}}})

    def changed(self, batch, m):
        taken = len(batch.flink(m).asked)
        check(taken >= self.ENOUGH and m.fired, lambda: f"{taken} were taken")
        if not m.since:
            m.since = time.monotonic()
            self.configure(batch, m, None)
        states = [dig(cr, "status.state") for cr in batch.snapshots(m)]
        check(states == ["COMPLETED"] * self.KEPT, lambda: states)
        return self.ready(batch, m)

    def good(self, batch, m):
        """The files of those that are kept are there, and no others."""
        flink = batch.flink(m)
        equal(flink.wrong, [], "what JobManagers had to see")
        equal([r.state for r in flink.runs], ["RUNNING"], "runs")
        equal(sorted(p for p in flink.states if "/savepoint-" in p),
              sorted(cr["status"]["path"] for cr in batch.snapshots(m)), "savepoints on the disk")
        return True


class Disposal(Nonce):
    """A savepoint that is deleted with its resource, while the job runs on."""

    def saved(self, batch, m):
        name = f"c{m.index}-backup"
        if not m.since:
            m.since = time.monotonic()
            batch.run.kube.create("flinksnp", batch.ns, snapshot(batch.ns, name, f"j{m.index}"))
        return dig(batch.get("flinksnp", name), "status.state") == "COMPLETED"

    def change(self, batch, m):
        batch.run.kube.delete("flinksnp", batch.ns, f"c{m.index}-backup")

    def changed(self, batch, m):
        check(not batch.snapshots(m), "the resource is still there")
        return self.ready(batch, m)

    def good(self, batch, m):
        flink = batch.flink(m)
        equal(flink.wrong, [], "what JobManagers had to see")
        equal([r.state for r in flink.runs], ["RUNNING"], "runs")
        equal((len(flink.asked), len(flink.disposed)), (1, 1), "savepoints taken, and deleted")
        equal([p for p in flink.states if "/savepoint-" in p], [], "savepoints on the disk")
        return True


NO_IMAGE = "flink:none"


def without_image(pod):
    """What the kubelet says of a pod whose image cannot be had."""
    if pod["spec"]["containers"][0]["image"] != NO_IMAGE:
        return None
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    return {"phase": "Pending", "containerStatuses": [
        {"name": c["name"], "image": c["image"], "imageID": "", "restartCount": 0, "ready": False, "started": False,
         "state": waiting} for c in pod["spec"]["containers"]]}


class Rollback(Scenario):
    """A change with which nothing runs: what ran before runs again, from where it was."""
    conf = {"kubernetes.operator.deployment.rollback.enabled": "true", "kubernetes.operator.deployment.readiness.timeout": "15 s"}
    patience = 2

    def __init__(self, mode):
        super().__init__(True, mode)

    def create(self, batch, m):
        batch.run.kubelet.policy = without_image
        super().create(batch, m)

    def saved(self, batch, m):
        return super().saved(batch, m) and dig(self.cr(batch, m), "status.reconciliationStatus.lastStableSpec")

    def change(self, batch, m):
        batch.run.kube.patch("flinkdep", batch.ns, f"c{m.index}", {"spec": {"image": NO_IMAGE}})

    def changed(self, batch, m):
        """Its job runs, and the status says that this is not what was asked for."""
        cr = self.cr(batch, m)
        status, ready = cr["status"], condition(cr)
        equal((dig(status, "reconciliationStatus.state"), dig(status, "jobStatus.state")), ("ROLLED_BACK", "RUNNING"), "what runs")
        equal((ready.get("status"), ready.get("observedGeneration")), ("False", cr["metadata"]["generation"]), "Ready")
        return True

    def good(self, batch, m):
        image = batch.get("deployment", f"c{m.index}")["spec"]["template"]["spec"]["containers"][0]["image"]
        check(image != NO_IMAGE, image)
        return super().good(batch, m)


class Failed(Scenario):
    """A job that fails for good, and is to be run again."""
    conf = {"kubernetes.operator.job.restart.failed": "true"}
    ends = "FAILED"

    def __init__(self, app):
        super().__init__(app, "last-state")

    def change(self, batch, m):
        batch.flink(m).jobmanager.end(batch.flink(m).runs[-1].id, self.ends)

    def good_change(self, first, second, told):
        equal(first.state, self.ends, "the end of the first run")
        super().good_change(first, second, told)


HEALTH = "kubernetes.operator.cluster.health-check."


class Unwell(Failed):
    """A job that restarts more often than it may: its JobManager goes, and it goes on in another one."""
    conf = {HEALTH + "enabled": "true", HEALTH + "restarts.threshold": "0"}
    ends = "KILLED"
    patience = 2  # it is looked at four times a minute

    def __init__(self):
        super().__init__(True)

    def saved(self, batch, m):
        return super().saved(batch, m) and dig(self.cr(batch, m), "status.clusterInfo.ClusterHealthInfo")

    def change(self, batch, m):
        batch.flink(m).jobmanager.throw(batch.flink(m).runs[-1].id)


SCENARIOS = {
    "application, rollback, last-state": Rollback("last-state"),
    "application, rollback, savepoint": Rollback("savepoint"),
    "application, failed": Failed(True),
    "session job, failed": Failed(False),
    "application, unwell": Unwell(),
    "application, rotation": Rotation(),
    "application, exception": Thrown(True),
    "session job, exception": Thrown(False),
    "session job, periodic": Periodic(False),
    "session job, disposal": Disposal(False),
    "application, nonce": Nonce(True),
    "session job, nonce": Nonce(False),
    "main job": Scenario(False, None),
    **{f"application, {mode}": Scenario(True, mode) for mode in ("stateless", "last-state", "savepoint")},
    **{f"session job, {mode}": Scenario(False, mode) for mode in ("stateless", "last-state", "savepoint")},
}
