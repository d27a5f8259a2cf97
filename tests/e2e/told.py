"""What is noticed of a cluster that runs: Secrets that are rotated, exceptions of its job."""
import base64
import os
import time

import ha
import recovery
from applications import running
from lib.check import check, dig, equal, holds, wait
from lib.manifests import hold, merge
from lib.suite import test
from matrix import each_series
from scene import SOON, UP, jobmanager, taskmanagers
from world import need_bed

KEY = "kubernetes.operator.references.on-change"
RIGHT = "flink-operator-e2e-secrets"


def may_watch_secrets(run):
    """As deploy/secrets gives it; the operator looks for the right when it starts."""
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": RIGHT}}
    run.cleanup(run.kube.kubectl, "delete", "clusterrole,clusterrolebinding", RIGHT)
    run.kube.apply(
        {**rbac, "kind": "ClusterRole", "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}]},
        {**rbac, "kind": "ClusterRoleBinding", "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": RIGHT},
         "subjects": [{"kind": "ServiceAccount", "name": "flink-operator", "namespace": run.operator.ns}]})
    run.operator.kill()
    run.operator.wait()


def rotate(run, password):
    run.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": run.ns},
                    "data": {"PASSWORD": base64.b64encode(password.encode()).decode()}})


def passwords(run):
    return {run.kube.exec(run.ns, pod, "printenv", "PASSWORD").strip() for pod in [jobmanager(run)["metadata"]["name"], *taskmanagers(run)]}


@test("a Secret is rotated by kubectl apply: its application restarts once, with its state, and nothing of it is seen in status or events",
      full=True, timeout=600)
def rotated(run):
    bed = need_bed(run)
    may_watch_secrets(run)
    os.makedirs(bed.state + ha.folder(run))
    os.chmod(bed.state + ha.folder(run), 0o777)
    run.kube.kubectl("apply", "-n", run.ns, "-k", "deploy/flink-account")
    rotate(run, "the-first-one")
    template = hold()
    template["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "db"}}]
    run.kube.apply(merge(ha.counting(run, "last-state", "1.20"), {"spec": {"podTemplate": template, "flinkConfiguration": {KEY: "restart"}}}))
    _, first = running(run)
    wait("it is recorded", lambda: "Secret/db" in dig(run.kube.get("flinkdep", run.ns, "demo"), "status.references", {}), SOON)
    wait("some numbers", lambda: len(ha.numbers(run)) > 30, 60)
    at, pod = len(ha.numbers(run)), jobmanager(run)["metadata"]["uid"]
    rotate(run, "the-second-one")
    since = time.time()
    wait("another JobManager", lambda: jobmanager(run)["metadata"]["uid"] != pod, UP)
    _, second = running(run)
    run.note(f"RUNNING again {time.time() - since:.1f} s after the rotation")
    equal(second, first, "job id")
    equal(passwords(run), {"the-second-one"}, "what its pods have")
    ha.goes_on(run, at, exactly=False)
    pod = jobmanager(run)["metadata"]["uid"]
    holds("it is restarted once", lambda: jobmanager(run)["metadata"]["uid"] == pod, 15)
    seen = str(run.kube.get("flinkdep", run.ns, "demo")["status"]) + str(run.kube.list("event", run.ns)) + run.operator.log()
    for secret in ("the-first-one", "the-second-one"):
        check(secret not in seen and base64.b64encode(secret.encode()).decode() not in seen, "the Secret's content is seen")


@each_series("what throws a job back is an event, once each, with its cause", full=True, timeout=400)
def exceptions(run, series):
    first, switch = recovery.start(run, "last-state", series, {
        "restart-strategy.type": "fixed-delay", "restart-strategy": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000",
        "restart-strategy.fixed-delay.delay": "3 s"})
    flink, _ = running(run)

    def history():
        return flink.get(f"/jobs/{first}/exceptions?maxExceptions=100")["exceptionHistory"]["entries"]

    def told():
        return [e for e in run.kube.list("event", run.ns) if e["reason"] == "JobException"]
    for n in (1, 2):
        before = len(history())
        switch.on()
        wait(f"exception {n}", lambda before=before: len(history()) > before, 60)
        switch.off()
        wait("it runs again", lambda: flink.running(first), UP)
        wait("all are told", lambda: sum(e.get("count", 1) for e in told()) >= len(history()), SOON)
    time.sleep(12)  # nothing is told twice
    equal(sum(e.get("count", 1) for e in told()), len(history()), "exceptions told")
    for e in told():
        check(history()[0]["stacktrace"].split("\n")[0].split(": ")[-1] in e["message"].split("\n")[0], e["message"])
