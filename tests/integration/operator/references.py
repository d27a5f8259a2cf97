"""Secrets and ConfigMaps that pods refer to, and that change."""
import base64
import json
import os
import time

from lib.accounts import named
from lib.bed import ROOT
from lib.check import check, dig, equal, wait
from lib.manifests import application
from lib.plane import SOON
from lib.plane_scene import cluster_ready, condition, events_of, log_has_no, namespace, operator, pods, session, writes
from lib.suite import test

KEY = "kubernetes.operator.references.on-change"
WATCHES_SECRETS = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}]
SECRET = "not-to-be-seen"


def put(run, kind="secret", name="db", content=SECRET):
    run.kube.create(kind, run.namespaces[0], {
        "apiVersion": "v1", "kind": "Secret" if kind == "secret" else "ConfigMap", "metadata": {"name": name},
        "data": {"key": base64.b64encode(content.encode()).decode() if kind == "secret" else content}})


def alter(run, content, kind="secret", name="db"):
    """Another content: the times of managedFields have whole seconds."""
    time.sleep(1)
    data = base64.b64encode(content.encode()).decode() if kind == "secret" else content
    run.kube.patch(kind, run.namespaces[0], name, {"data": {"key": data}})


def label(run, manager=None):
    """Only a label; without a manager by who has written the content."""
    time.sleep(1)
    run.kube.json("PATCH", run.kube.path("secret", run.namespaces[0], "db") + (f"?fieldManager={manager}" if manager else ""),
                  {"metadata": {"labels": {"a": manager or "b"}}}, content="application/merge-patch+json")


def template(**more):
    return {"spec": {"containers": [{"name": "flink-main-container", "envFrom": [
        {"secretRef": {"name": "db"}}, {"configMapRef": {"name": "levels"}}], **more}]}}


def may_watch(run):
    run.plane.account(run.account)
    run.plane.account(run.account, [namespace(run)], rules=run.plane.rules + WATCHES_SECRETS)
    run.plane.bound.add((run.account, run.namespaces[0]))
    put(run)
    put(run, "configmap", "levels")


def cr(run):
    return run.kube.get("flinkdep", run.namespaces[0], "demo")


def recorded(run, names=("Secret/db", "ConfigMap/levels")):
    def probe():
        found = dig(cr(run), "status.references", {})
        check(sorted(found) == sorted(names), f"status.references is {found}")
        return found
    return wait("what the pods refer to in the status", probe, SOON, 0.05)


def told(run, *words):
    def probe():
        c = condition(cr(run), "ReferencesCurrent")
        check(c.get("status") == "False" and all(w in c["message"] for w in words), f"the condition is {c}")
        return c
    return wait(f"told of {words}", probe, SOON, 0.05)


def restarted(run, before):
    """Another JobManager, ready, with what is there now."""
    def probe():
        found = cr(run)
        check(dig(found, "status.references", before) != before and found["status"]["lifecycleState"] == "STABLE",
              f"{found['status'].get('references')}, {found['status']['lifecycleState']}")
        return found["status"]["references"]
    after = wait("restarted", probe, 2 * SOON, 0.1)
    cluster_ready(run)
    check(not condition(cr(run), "ReferencesCurrent"), "the condition is still there")
    return after


@test("a Secret that pods refer to changes: told, with what to do; labels are no change; its content is seen nowhere")
def reported(run):
    may_watch(run)
    op = operator(run, binary="build/asan/flink-operator")
    session(run, podTemplate=template())
    recorded(run)
    jm, since = sorted(pods(run, "jobmanager")), time.time()
    label(run, "somebody")
    time.sleep(3)
    equal([named(e) for e in writes(run, since)], [], "writes for a label")
    check(not condition(cr(run), "ReferencesCurrent"), "told of a label")
    alter(run, SECRET + "2")
    told(run, "Secret db", "spec.restartNonce")
    equal([named(e) for e in writes(run, since)], ["patch flinkdeployments/status demo"], "writes")
    equal(sorted(pods(run, "jobmanager")), jm, "JobManager pods")
    equal([e["count"] for e in events_of(run, "demo") if e["reason"] == "ReferencesChanged"], [1], "events")
    log_has_no(op, "failed", "forbidden", SECRET, base64.b64encode(SECRET.encode()).decode())
    op.stop()


@test("restart: a change while the operator was away restarts a session cluster once, several changes once, and nothing else does",
      full=True, timeout=150)
def session_restarts(run):
    may_watch(run)
    op = operator(run)
    session(run, podTemplate=template(), conf={KEY: "restart"})
    first, jm = recorded(run), sorted(pods(run, "jobmanager"))
    op.stop()
    alter(run, "2")
    alter(run, "2", "configmap", "levels")
    op = operator(run)
    second = restarted(run, first)
    check(all(second[k] != first[k] for k in first), f"{second}, formerly {first}")
    now = sorted(pods(run, "jobmanager"))
    check(now != jm, "the same JobManager")
    op.stop()
    op = operator(run)
    time.sleep(8)
    equal(sorted(pods(run, "jobmanager")), now, "JobManager pods after a restart of the operator")
    equal([named(e) for e in writes(run)], [], "writes after a restart of the operator")
    label(run)
    time.sleep(7)
    equal(sorted(pods(run, "jobmanager")), now, "JobManager pods after a label of who has written it")
    check(not condition(cr(run), "ReferencesCurrent"), "told of a label of who has written it")
    equal([named(e) for e in writes(run)], [], "writes for it")
    run.kube.delete("secret", run.namespaces[0], "db")
    told(run, "deleted", "Secret db")
    time.sleep(7)
    equal(sorted(pods(run, "jobmanager")), now, "JobManager pods without the Secret")
    put(run, content="3")
    told(run, "changed since", "Secret db")
    run.kube.patch("flinkdep", run.namespaces[0], "demo", {"spec": {"restartNonce": 1}})
    restarted(run, second)
    log_has_no(op, "failed")


@test("restart: what kubectl apply writes, by either side, restarts when it is the content, and its labels do not", full=True)
def applied(run):
    may_watch(run)
    op = operator(run)
    session(run, podTemplate=template(), conf={KEY: "restart"})
    before, jm = recorded(run), sorted(pods(run, "jobmanager"))

    def apply(*how, content=SECRET):
        time.sleep(1)
        run.kube.kubectl("apply", *how, "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": run.namespaces[0], "labels": {"a": content[-1]}},
            "data": {"key": base64.b64encode(content.encode()).decode()}}))
    apply()
    time.sleep(7)
    equal(sorted(pods(run, "jobmanager")), jm, "JobManager pods after the same content")
    check(not condition(cr(run), "ReferencesCurrent"), "told of the same content")
    apply(content=SECRET + "2")
    second = restarted(run, before)
    op.stop()
    op = operator(run)  # which does not know when it was restarted last
    time.sleep(3)
    apply("--server-side", "--force-conflicts", content=SECRET + "3")
    third = restarted(run, second)
    check(before["Secret/db"] != second["Secret/db"] != third["Secret/db"], f"{before}, {second}, {third}")
    log_has_no(op, "failed", SECRET, base64.b64encode(SECRET.encode()).decode())


@test("restart of an application with its upgrade mode: from a savepoint, the same spec, one run at a time", full=True)
def application_restarts(run):
    may_watch(run)
    op = operator(run)
    ns = run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/demo")
    run.kube.create("flinkdep", ns, application(ns, podTemplate=template(), job={"upgradeMode": "savepoint"}, conf={
        KEY: "restart", "execution.checkpointing.savepoint-dir": "file:///savepoints", "high-availability.type": "kubernetes",
        "high-availability.storageDir": "file:///ha", "execution.checkpointing.dir": "file:///checkpoints"}))
    cluster_ready(run)
    before = recorded(run)
    alter(run, "2")
    restarted(run, before)
    runs = flink.runs
    equal(len(runs), 2, "runs")
    check(runs[1].path and runs[1].path.startswith("file:///savepoints"), f"it goes on from {runs[1].path}")
    check(runs[0].ended and runs[0].ended <= runs[1].began, "two at a time")
    time.sleep(7)
    equal(len(flink.runs), 2, "runs later")
    log_has_no(op, "failed")


@test("a definition of a former version, without status.references: no end of writes, nothing is restarted, and restart says why",
      full=True)
def former_definition(run):
    definition = "flinkdeployments.flink.apache.org"

    def back():
        run.kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", os.path.join(ROOT, f"crds/{definition}-v1.yml"))
        time.sleep(2)  # the API server begins to serve it anew, and refuses what comes meanwhile
        wait("served again", lambda: run.kube.list("flinkdep", run.namespaces[0]) is not None, SOON, 0.2)
    run.cleanup(back)
    run.kube.json("PATCH", run.kube.path("crd", None, definition), [
        {"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/references"}],
        content="application/json-patch+json")
    time.sleep(3)  # before it is in force
    may_watch(run)
    op = operator(run)
    session(run, podTemplate=template(), conf={KEY: "restart"})
    told(run, "former version")
    jm, since = sorted(pods(run, "jobmanager")), time.time()
    alter(run, "2")
    time.sleep(7)
    equal([named(e) for e in writes(run, since)], [], "writes")
    equal(sorted(pods(run, "jobmanager")), jm, "JobManager pods")
    check("references" not in cr(run)["status"], "the definition has status.references")
    log_has_no(op, "failed")


@test("without the right to watch Secrets: said once in the log, and in the status of who wants restarts; all else works", full=True)
def not_allowed(run):
    op = operator(run)
    put(run)
    put(run, "configmap", "levels")
    session(run, podTemplate=template())
    recorded(run, ["ConfigMap/levels"])
    alter(run, "2", "configmap", "levels")
    told(run, "ConfigMap levels")
    run.kube.patch("flinkdep", run.namespaces[0], "demo", {"spec": {"flinkConfiguration": {KEY: "restart"}}})
    wait("the changed ConfigMap in force", lambda: "Secrets are not noticed" in condition(
        cr(run), "ReferencesCurrent").get("message", ""), 2 * SOON, 0.1)
    cluster_ready(run)
    time.sleep(3)
    lines = [line for line in op.log().splitlines() if "refer to are not noticed" in line]
    equal(len(lines), 1, f"lines in the log: {lines}")
    check("secrets" in lines[0] and "forbidden" in lines[0], lines[0])
