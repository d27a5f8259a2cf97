"""Every day: what the definitions refuse, applying again and by others, definitions of a former version, backup and restore, taking
the operator away."""
import copy
import json
import os
import time

from lib.bed import ROOT
from lib.check import check, dig, equal, wait
from lib.kube import ApiError
from lib.manifests import application, cluster, job, merge, snapshot
from lib.plane import SOON
from lib.plane_scene import (cluster_ready, condition, delete, events_of, gone, job_ready, namespace, nothing_left, operator, pods,
                             session, state, submit, taken)
from lib.suite import test

DEFINITIONS = {kind: f"{plural}.flink.apache.org" for kind, plural in
               (("flinkdep", "flinkdeployments"), ("sessionjob", "flinksessionjobs"), ("flinksnp", "flinkstatesnapshots"))}
NAME = "must be at most 45 lower-case letters, digits and '-', starting with a letter and not ending with '-'"
HA = {"high-availability.type": "kubernetes", "high-availability.storageDir": "file:///ha",
      "execution.checkpointing.dir": "file:///checkpoints", "execution.checkpointing.savepoint-dir": "file:///savepoints"}


def definition(run, kind):
    """As it is in force."""
    found = run.kube.get("crd", None, DEFINITIONS[kind])
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": {"name": DEFINITIONS[kind]}, "spec": found["spec"]}


def schema(crd):
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def define(run, crd):
    run.kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(crd))


def served(run):
    """A definition that has changed is served anew, and what comes meanwhile may be refused."""
    time.sleep(2)
    wait("served again", lambda: run.kube.list("flinkdep", run.namespaces[0]) is not None, SOON, 0.2)


def defined(run):
    """The definitions as they are in crds/."""
    run.kube.kubectl("apply", "--server-side", "--force-conflicts", "-k", os.path.join(ROOT, "crds"))
    served(run)


def said(call, *arguments, **more):
    """What the API server says when it refuses, None: it has taken it."""
    try:
        call(*arguments, **more)
    except ApiError as e:
        check(e.status == 422, lambda: f"not the definition's answer: {e}")
        return str(e).replace('\\"', '"')
    return None


def says(words, call, *arguments, **more):
    text = said(call, *arguments, **more) or "nothing"
    check(words in text, lambda: f"expected {words}, found {text[:600]}")


# ---- the definitions ----

def without(value, *keys):
    return merge(copy.deepcopy(value), {"spec": {k: None for k in keys}})


def lax(run, kind):
    """The definition without any of its rules."""
    def strip(node):
        if isinstance(node, dict):
            return {k: strip(v) for k, v in node.items() if k not in ("x-kubernetes-validations", "minimum")}
        return [strip(v) for v in node] if isinstance(node, list) else node
    return strip(definition(run, kind))


def bad(ns):
    """(kind, a resource that the definition refuses, in which words)"""
    return [
        ("flinkdep", cluster(ns, "1bad"), "metadata.name: " + NAME),
        ("flinkdep", cluster(ns, "h" * 46), NAME),
        ("flinkdep", cluster(ns, "bad-jm", jobManager={"replicas": 0}), "spec.jobManager.replicas in body should be greater than or"),
        ("flinkdep", cluster(ns, "bad-tm", taskManager={"replicas": 0}), "spec.taskManager.replicas in body should be greater than or"),
        ("flinkdep", cluster(ns, "bad-ingress", ingress={"className": "a"}), "must be given, such as"),
        ("sessionjob", without(job(ns, "bad-job"), "job"), 'spec.job: Invalid value: "object": must be given'),
        ("sessionjob", without(job(ns, "bad-none"), "deploymentName"), NAME),
        ("sessionjob", job(ns, "bad-cluster", deployment="No_Name"), NAME),
        ("flinksnp", without(snapshot(ns, "bad-neither"), "savepoint"), "exactly one of savepoint and checkpoint must be given"),
        ("flinksnp", without(snapshot(ns, "bad-of"), "jobReference"), "must be given with kind and name"),
    ]


@test("each rule of the definitions refuses in its words; what was there before can be written to, mended and deleted", full=True)
def definitions(run):
    ns = namespace(run)
    for kind, body, words in bad(ns):
        says(words, run.kube.create, kind, ns, body)
    canary = {**job(ns, "canary"), "spec": {"restartNonce": 1}}  # as the Apache operator writes to its own
    run.kube.create("sessionjob", ns, merge(canary, {"metadata": {"labels": {"flink.apache.org/canary": "true"}}}))
    run.kube.delete("sessionjob", ns, "canary")
    run.cleanup(defined, run)
    for kind in DEFINITIONS:
        define(run, lax(run, kind))
    served(run)
    for kind, body, _ in bad(ns):
        wait("rules not in force", lambda kind=kind, body=body: not said(run.kube.create, kind, ns, {**body, "metadata": {
            **body["metadata"], "finalizers": ["example.com/kept"]}}), SOON, 0.2)
    defined(run)
    wait("rules in force", lambda: said(run.kube.create, "flinkdep", ns, cluster(ns, "2bad")), SOON, 0.2)
    for kind, body, _ in bad(ns):
        name = body["metadata"]["name"]
        path = run.kube.path(kind, ns, name)
        run.kube.request("PATCH", path + "/status", json.dumps({"status": {"error": "not taken"}}).encode(),
                         content="application/merge-patch+json")
        run.kube.patch(kind, ns, name, {"metadata": {"labels": {"a": "b"}}})
        run.kube.delete(kind, ns, name)
        run.kube.patch(kind, ns, name, {"metadata": {"finalizers": None}})
        gone(run, kind, name)


@test("what cannot change is refused once it is deployed, and can be put right as long as the status says that it is not taken")
def immutable(run):
    ns = namespace(run)
    demo, app, first = cluster(ns), application(ns, "app"), job(ns, "first")
    rows = [("flinkdep", demo, {"job": app["spec"]["job"]}, "a session cluster cannot become an application cluster"),
            ("flinkdep", demo, {"mode": "standalone", "allocator": None}, "cannot change between native and standalone"),
            ("flinkdep", app, {"job": None}, "an application cluster cannot become a session cluster"),
            ("flinkdep", app, {"job": {"savepointRedeployNonce": 2}}, "needs initialSavepointPath"),
            ("sessionjob", first, {"deploymentName": "other"}, 'spec.deploymentName: Invalid value: "object": cannot change'),
            ("sessionjob", first, {"job": {"savepointRedeployNonce": 2}}, "needs initialSavepointPath")]

    def put(kind, name, **status):
        run.kube.request("PATCH", run.kube.path(kind, ns, name) + "/status", json.dumps({"status": status}).encode(),
                         content="application/merge-patch+json")
    for kind, body in (("flinkdep", demo), ("flinkdep", app), ("sessionjob", first)):
        run.kube.create(kind, ns, body)
        put(kind, body["metadata"]["name"], reconciliationStatus={"lastReconciledSpec": "{}"})
    for kind, body, change, words in rows:
        says(words, run.kube.patch, kind, ns, body["metadata"]["name"], {"spec": change})
    # As where no rule was when that was written.
    put("flinkdep", "demo", error="spec.mode: cannot change")
    run.kube.patch("flinkdep", ns, "demo", {"spec": {"mode": "standalone", "allocator": None}})
    run.kube.patch("flinkdep", ns, "demo", {"spec": {"mode": "native"}})
    run.kube.patch("flinkdep", ns, "app", {"spec": {"job": {"savepointRedeployNonce": 2, "initialSavepointPath": "s3://a/b"}}})


# ---- who applies ----

def as_written(value):
    """Numbers as they stand in the text."""
    return json.loads(value if isinstance(value, (str, bytes)) else json.dumps(value), parse_float=str, parse_int=str)


def ours(cr):
    """What the operator's field manager has in a resource, by paths of at most three members."""
    found = set()
    for entry in cr["metadata"]["managedFields"]:
        if entry["manager"] == "flink-operator":
            for top, inner in entry["fieldsV1"].items():
                found |= {f"{top}.{key}" for key in inner} if top == "f:metadata" else {top}
    return found


@test("applied twice, by client and by server, and by a second manager, after the operator has acted: no difference, no conflict, "
      "no field of the spec is the operator's; each spec comes back as it was written")
def applied(run):
    operator(run)
    ns = run.namespaces[0]
    run.flinks.cluster(f"{ns}/demo").savepoints = "file:///savepoints"
    demo = cluster(ns, conf={"a.number": 2, "a.flag": True, "a.text": "2", "a": {"nested": {"list": [1, "b"]}}, "a.factor": 0.25},
                   podTemplate={"spec": {"containers": [{"name": "flink-main-container", "env": [{"name": "A", "value": "1"}]}]}},
                   restartNonce=7)
    documents = {"flinkdep": demo, "sessionjob": job(ns, "first", savepointTriggerNonce=1), "flinksnp": snapshot(ns)}
    files = {kind: run.file(f"{kind}.json", json.dumps(body)) for kind, body in documents.items()}
    how = {"flinkdep": (), "sessionjob": ("--server-side", "--field-manager=gitops"),
           "flinksnp": ("--server-side", "--field-manager=gitops")}
    for kind, path in files.items():
        run.kube.kubectl("apply", *how[kind], "-f", path)
    cluster_ready(run)
    job_ready(run)
    taken(run)
    time.sleep(1)
    before = {kind: run.kube.get(kind, ns, body["metadata"]["name"]) for kind, body in documents.items()}
    for kind, body in documents.items():
        path = run.kube.path(kind, ns, body["metadata"]["name"])
        equal(as_written(run.kube.request("GET", path))["spec"], as_written(body)["spec"], f"the spec of a {kind}")
        check(ours(before[kind]) <= {"f:metadata.f:finalizers", "f:metadata.f:labels", "f:status"}, lambda kind=kind: ours(before[kind]))
        check("f:status" in ours(before[kind]), f"{kind}: nothing is the operator's")
        equal(run.kube.kubectl("diff", *how[kind], "-f", files[kind]), "", f"kubectl diff of a {kind}")
        text = run.kube.kubectl("apply", *how[kind], "-f", files[kind])
        check("unchanged" in text or "serverside-applied" in text, text)
        now = run.kube.get(kind, ns, body["metadata"]["name"])
        equal(now["metadata"]["resourceVersion"], before[kind]["metadata"]["resourceVersion"], f"the version of a {kind} applied again")
    # Another manager with a field of its own.
    more = {"flinkdep": {"allocator": {"spareTaskManagers": 0}}, "sessionjob": {"job": {"allowNonRestoredState": True}},
            "flinksnp": {"backoffLimit": 3}}
    for kind, spec in more.items():
        body = {**{k: documents[kind][k] for k in ("apiVersion", "kind", "metadata")}, "spec": spec}
        run.kube.kubectl("apply", "--server-side", "--field-manager=second", "-f", "-", stdin=json.dumps(body))
        run.kube.kubectl("apply", *how[kind], "-f", files[kind])
        equal(run.kube.kubectl("diff", *how[kind], "-f", files[kind]), "", f"kubectl diff of a {kind} beside a second manager")
        now = run.kube.get(kind, ns, body["metadata"]["name"])
        equal(as_written(now)["spec"], as_written(merge(documents[kind], {"spec": spec}))["spec"], f"the spec of a {kind} of two")
    cluster_ready(run)
    job_ready(run)
    equal(len(run.flinks.cluster(f"{ns}/demo").accepted), 1, "runs of the job")


@test("a spec that is seldom meant is told by an event, of a cluster when it is taken, of a job when it runs", full=True)
def advice(run):
    operator(run)
    session(run, image="flink:1.18")
    submit(run, upgradeMode="savepoint")
    submit(run, "second", upgradeMode="last-state")

    def told(name, words):
        return wait(f"the event about {name}", lambda: [e for e in events_of(run, name) if e["reason"] == "SpecWarning" and
                                                        words in e["message"]], SOON, 0.1)
    told("demo", "does not fit spec.image, flink:1.18")
    told("first", "nothing says where to, neither here nor in the cluster's configuration")
    told("second", "nothing asks for checkpoints, neither here")


# ---- definitions of a former version ----

# What the status of this operator has beside that of the Apache operator's definition.
ADDITIONS = {"flinkdep": ["allocator", "endpoints", "references", "runningImage", "runningSpecHash", "startedJobId", "startedSpecHash"],
             "sessionjob": ["submittedTo", "conditions"]}
JOB_ADDITIONS = ["exceptionTime", "lastCheckpoint", "endState", "shutDown", "cancelRequested", "requestedParallelism", "snapshotRequests"]


def former(run, kind):
    """Like the definition of the Apache operator: without our additions to status and spec."""
    crd = lax(run, kind)
    properties = schema(crd)["properties"]
    for name in ADDITIONS[kind]:
        del properties["status"]["properties"][name]
    for name in JOB_ADDITIONS:
        del properties["status"]["properties"]["jobStatus"]["properties"][name]
    for name in ("allocator", "exposure"):
        properties["spec"]["properties"].pop(name, None)
    return crd


@test("definitions of a former version, and back: pods and jobs go on; a change that cannot be recorded is told, and goes on from the "
      "state as soon as it can; nothing is written for ever", full=True)
def rollback(run):
    operator(run)
    ns = run.namespaces[0]
    flink = session(run)
    submit(run)
    app = run.flinks.cluster(f"{ns}/app")
    app.savepoints = "file:///savepoints"
    run.kube.create("flinkdep", ns, application(ns, "app", serviceAccount="default", job={"upgradeMode": "savepoint"}, conf=HA))
    cluster_ready(run, "app")
    time.sleep(1)
    before = {name: sorted(pods(run, "jobmanager", name)) for name in ("demo", "app")}
    run.cleanup(defined, run)
    for kind in ("flinkdep", "sessionjob"):
        define(run, former(run, kind))
    served(run)
    wait("pruned", lambda: "allocator" not in run.kube.get("flinkdep", ns, "demo")["spec"], SOON, 0.2)
    time.sleep(8)
    for name, found in before.items():
        equal(sorted(pods(run, "jobmanager", name)), found, f"JobManagers of {name} with the former definition")
    versions = [run.kube.get("flinkdep", ns, n)["metadata"]["resourceVersion"] for n in before]
    time.sleep(4)
    equal([run.kube.get("flinkdep", ns, n)["metadata"]["resourceVersion"] for n in before], versions, "writes without an end")
    run.kube.patch("flinkdep", ns, "app", {"spec": {"job": {"args": ["--name", "changed"]}}})
    stalled = wait("told that the next run cannot be recorded", lambda: [c for c in [condition(run.kube.get(
        "flinkdep", ns, "app"), "Stalled")] if "does not keep status.startedJobId" in c.get("message", "")], SOON, 0.1)[0]
    equal(stalled["status"], "True", "Stalled")
    version = run.kube.get("flinkdep", ns, "app")["metadata"]["resourceVersion"]
    time.sleep(5)
    equal(run.kube.get("flinkdep", ns, "app")["metadata"]["resourceVersion"], version, "writes without an end")
    run.kube.patch("sessionjob", ns, "first", {"spec": {"job": {"args": ["--name", "changed"]}}})
    wait("a job of the session cluster is changed", lambda: len(flink.accepted) == 2, SOON, 0.1)
    defined(run)
    wait("the change runs", lambda: len(app.runs) == 2 and app.runs[1].state == "RUNNING", 2 * SOON, 0.1)
    check(app.runs[1].path and app.runs[1].path.startswith("file:///savepoints"), f"it goes on from {app.runs[1].path}")
    run.kube.patch("flinkdep", ns, "demo", {"spec": {"allocator": {"idleTimeout": "3s"}}})
    cluster_ready(run, "app")
    cluster_ready(run)
    job_ready(run)
    equal((len(flink.accepted), len(app.runs)), (2, 2), "runs after all that")
    equal(app.wrong, [], "what no JobManager may see")


# ---- backup and restore ----

SERVERS = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")


def backup(run):
    """As deploy/README.md says: without what the API server has set."""
    found = json.loads(run.kube.kubectl("get", "flinkdep,sessionjob,flinksnp", "-n", run.namespaces[0], "-o", "json"))
    for item in found["items"]:
        for name in SERVERS:
            item["metadata"].pop(name, None)
    return json.dumps(found)


def lose(run):
    """Everything that there was, as with a cluster that is lost."""
    ns = run.namespaces[0]
    for kind in DEFINITIONS:
        for cr in run.kube.list(kind, ns):
            run.kube.patch(kind, ns, cr["metadata"]["name"], {"metadata": {"finalizers": None}})
            delete(run, kind, cr["metadata"]["name"])
    for name in ("demo", "app"):
        for kept in run.kube.list("configmap", ns, f"app={name}"):
            run.kube.delete("configmap", ns, kept["metadata"]["name"])
        nothing_left(run, name)
    wait("nothing runs", lambda: not run.kube.list("pod", ns) and not run.kube.list("deployment", ns), SOON, 0.1)


def suspend(run, kind, name):
    run.kube.patch(kind, run.namespaces[0], name, {"spec": {"job": {"state": "suspended"}}})

    def done():
        cr = run.kube.get(kind, run.namespaces[0], name)
        check(dig(cr, "status.lifecycleState") == "SUSPENDED", state(cr))
        return dig(cr, "status.jobStatus.upgradeSavepointPath")
    return wait(f"{name} suspended", done, SOON, 0.1)


def resume(run, kind, name):
    run.kube.patch(kind, run.namespaces[0], name, {"spec": {"job": {"state": "running"}}})


def scene(run):
    """(operator, Flink of the session cluster, of the application); jobs first, kept, and that of the application."""
    op = operator(run)
    ns = run.namespaces[0]
    flink, app = session(run), run.flinks.cluster(f"{ns}/app")
    flink.savepoints = app.savepoints = "file:///savepoints"
    submit(run)
    submit(run, "kept", upgradeMode="savepoint")
    run.kube.create("flinkdep", ns, application(ns, "app", serviceAccount="default", job={"upgradeMode": "savepoint"}, conf=HA))
    cluster_ready(run, "app")
    return op, flink, app


@test("resources restored on an empty cluster, with their status: what was suspended goes on from its state, what was not is told and "
      "does not begin anew, unless high availability has kept its state; jobs without state run", full=True)
def restored(run):
    op, flink, app = scene(run)
    ns = run.namespaces[0]
    run.kube.create("sessionjob", ns, job(ns, "running", upgradeMode="savepoint"))
    job_ready(run, "running")
    lives = run.flinks.cluster(f"{ns}/lives")  # what high availability keeps of it will be there
    run.kube.create("flinkdep", ns, application(ns, "lives", serviceAccount="default", job={"upgradeMode": "last-state"},
                                                conf={**HA, "execution.checkpointing.interval": "1 s"}))
    cluster_ready(run, "lives")
    wait("a checkpoint", lambda: lives.runs[-1].snapshots, SOON, 0.1)
    paths = {"kept": suspend(run, "sessionjob", "kept"), "app": suspend(run, "flinkdep", "app")}
    saved = backup(run)
    op.stop()
    lose(run)
    runs = len(flink.runs)
    run.kube.kubectl("create", "-f", "-", stdin=saved)
    run.kube.kubectl("replace", "--subresource=status", "-f", "-", stdin=saved)
    operator(run, [ns])
    cluster_ready(run)
    wait("the job without state runs", lambda: len(flink.runs) > runs, 2 * SOON, 0.1)
    job_ready(run)
    lost = wait("told that the state of the job that ran is not known",
                lambda: [c for c in [condition(run.kube.get("sessionjob", ns, "running"))] if "initialSavepointPath" in c["message"]],
                SOON, 0.1)[0]
    equal([r.path for r in flink.runs[runs:]], [None], "runs before somebody asks for more")
    equal(len(app.runs), 1, "runs of the application, which is suspended")
    wait("the application of which something is kept", lambda: len(lives.runs) > 1, 2 * SOON, 0.1)
    equal(lives.runs[1].path, lives.runs[0].snapshots[-1].path, "what it goes on from")
    resume(run, "flinkdep", "app")
    resume(run, "sessionjob", "kept")
    cluster_ready(run, "app")
    job_ready(run, "kept")
    equal(app.runs[-1].path, paths["app"], "what the application goes on from")
    equal(flink.runs[-1].path, paths["kept"], "what the job goes on from")
    equal(app.wrong + flink.wrong + lives.wrong, [], "what no JobManager may see")
    run.note(lost["message"][:120])


@test("resources restored on an empty cluster, the status lost: jobs begin anew, or with the state in spec.job.initialSavepointPath",
      full=True)
def restored_without_status(run):
    op, flink, app = scene(run)
    ns = run.namespaces[0]
    paths = {"kept": suspend(run, "sessionjob", "kept"), "app": suspend(run, "flinkdep", "app")}
    saved = json.loads(backup(run))
    op.stop()
    lose(run)
    for item in saved["items"]:
        if item["metadata"]["name"] in paths:
            item["spec"]["job"].update(initialSavepointPath=paths[item["metadata"]["name"]], state="running")
    runs = len(flink.runs)
    run.kube.kubectl("create", "-f", "-", stdin=json.dumps(saved))
    operator(run, [ns])
    for name in ("first", "kept"):
        job_ready(run, name, seconds=2 * SOON)
    cluster_ready(run, "app")
    equal(sorted(str(r.path) for r in flink.runs[runs:]), sorted(["None", paths["kept"]]), "what the jobs have begun with")
    equal(app.runs[-1].path, paths["app"], "what the application has begun with")


# ---- taking the operator away ----

@test("the operator taken away first: resources that are deleted stay, and what they own; without their finalizers all goes but what high "
      "availability keeps", full=True)
def taken_away(run):
    op, _, _ = scene(run)
    ns = run.namespaces[0]
    op.stop()
    for kind, name in (("sessionjob", "first"), ("sessionjob", "kept"), ("flinkdep", "demo"), ("flinkdep", "app")):
        run.kube.delete(kind, ns, name)
    time.sleep(2)
    for name in ("demo", "app"):
        check(run.kube.get("flinkdep", ns, name) and pods(run, "jobmanager", name), f"{name} is gone without an operator")
    for kind, name in (("sessionjob", "first"), ("sessionjob", "kept"), ("flinkdep", "demo"), ("flinkdep", "app")):
        run.kube.kubectl("patch", f"{kind}/{name}", "-n", ns, "--type", "merge", "-p", '{"metadata":{"finalizers":null}}')
        gone(run, kind, name)
    nothing_left(run, "demo")
    wait("the application's pods gone", lambda: not pods(run, "jobmanager", "app"), SOON, 0.1)
    wait("its Deployment gone", lambda: not run.kube.list("deployment", ns), SOON, 0.1)
    kept = [o["metadata"]["name"] for o in run.kube.list("configmap", ns, "app=app,configmap-type=high-availability")]
    check(kept, "nothing is kept of the application")
