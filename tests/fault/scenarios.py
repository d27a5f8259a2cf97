"""What a combination does, and how it has to end: the main job; a change of an application, or of a session job, in each upgrade
mode. JobManagers keep the tale of what ran when and what it began with (lib/fake_flink.py)."""
from lib.check import check, dig, equal
from lib.manifests import application, cluster, job
from lib.plane_scene import is_ready

STATE = "file:/flink"
CONF = {"execution.checkpointing.interval": "1 s", "execution.checkpointing.dir": STATE + "/checkpoints",
        "execution.checkpointing.savepoint-dir": STATE + "/savepoints"}
HA = {"high-availability.type": "kubernetes", "high-availability.storageDir": STATE + "/ha"}


class Scenario:
    """mode: how the job is upgraded; None: it is not."""

    def __init__(self, app, mode):
        self.application, self.mode = app, mode
        self.stateful = mode in ("last-state", "savepoint")
        if not mode:
            self.change = None

    def create(self, batch, m):
        kube, ns, name = batch.run.kube, batch.ns, f"c{m.index}"
        batch.flink(m).savepoints = STATE + "/savepoints"
        if self.application:
            kube.create("flinkdep", ns, application(ns, name, conf={**CONF, **HA}, job={"upgradeMode": self.mode}, idle="1s"))
            return
        kube.create("flinkdep", ns, cluster(ns, name, idle="1s", conf=CONF if self.stateful else None))
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


SCENARIOS = {
    "application, nonce": Nonce(True),
    "session job, nonce": Nonce(False),
    "main job": Scenario(False, None),
    **{f"application, {mode}": Scenario(True, mode) for mode in ("stateless", "last-state", "savepoint")},
    **{f"session job, {mode}": Scenario(False, mode) for mode in ("stateless", "last-state", "savepoint")},
}
