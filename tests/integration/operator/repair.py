"""Other people's hands in it."""
import itertools
import threading
import time

from lib.check import Failure, check, dig, equal, holds, wait
from lib.manifests import application, job
from lib.plane import SOON, named
from lib.plane_scene import (cluster_ready, condition, delete, events_of, gone, job_ready, log_has_no, namespace, nothing_left,
                             operator, pods, session, state, submit, versions, writes)
from lib.suite import test


@test("Services and ConfigMap that somebody deletes come back, and nothing restarts")
def deleted_parts(run):
    op = operator(run)
    ns = run.namespaces[0]
    flink = session(run)
    found = submit(run)
    jm = sorted(pods(run, "jobmanager"))
    for kind, name in (("service", "demo"), ("service", "demo-rest"), ("configmap", "flink-config-demo")):
        before = run.kube.get(kind, ns, name)
        run.kube.delete(kind, ns, name)

        def back(kind=kind, name=name, uid=before["metadata"]["uid"]):
            o = run.kube.get(kind, ns, name)
            return o and o["metadata"]["uid"] != uid and o
        after = wait(f"{kind} {name} back", back, SOON, 0.05)
        equal(after["metadata"]["labels"], before["metadata"]["labels"], f"labels of {kind} {name}")
        equal(after.get("data"), before.get("data"), f"data of {kind} {name}")
    equal(job_ready(run), found, "the job")
    equal(sorted(pods(run, "jobmanager")), jm, "JobManager pods")
    equal(len(flink.accepted), 1, "submissions")
    log_has_no(op, "failed")


@test("a Deployment that somebody deletes comes back with all that belongs to it; the stateless job runs again")
def deleted_deployment(run):
    operator(run)
    ns = run.namespaces[0]
    flink = session(run)
    found = submit(run)
    uid, before = run.kube.get("deployment", ns, "demo")["metadata"]["uid"], sorted(pods(run, "taskmanager"))
    run.kube.delete("deployment", ns, "demo")
    wait("the Deployment back", lambda: dig(run.kube.get("deployment", ns, "demo"), "metadata.uid", uid) != uid, SOON, 0.05)

    def again():
        cr = run.kube.get("sessionjob", ns, "first")
        new = dig(cr, "status.jobStatus.jobId")
        check(new and new != found, f"its id is {new}")
        return job_ready(run, seconds=1)
    new = wait("the job runs again under a new id", again, SOON)
    cluster_ready(run)
    equal([j for _, _, j in flink.accepted], [found, new], "submissions")
    owners = {o["metadata"]["ownerReferences"][0]["uid"] for o in run.kube.list("service", ns, "app=demo")}
    equal(owners, {run.kube.get("deployment", ns, "demo")["metadata"]["uid"]}, "owner of the Services")
    after = sorted(pods(run, "taskmanager"))
    check(len(after) == 1 and after != before, f"TaskManagers: {after}, formerly {before}")


@test("somebody else writes to the status all the time: nothing is lost, nothing doubled")
def status_conflicts(run):
    operator(run)
    ns = run.namespaces[0]
    stop = threading.Event()

    def meddle():
        n = 0
        while not stop.wait(0.01):
            n += 1
            for kind, name in (("flinkdep", "demo"), ("sessionjob", "first")):
                try:
                    run.kube.json("PATCH", run.kube.path(kind, ns, name) + "/status",
                                  {"status": {"jobStatus": {"savepointInfo": {"lastPeriodicSavepointTimestamp": n}}}},
                                  content="application/merge-patch+json")
                except (Failure, OSError):
                    pass
    thread = threading.Thread(target=meddle, daemon=True)
    thread.start()
    run.cleanup(stop.set)
    flink = session(run)
    found = submit(run, ready=False)
    found = job_ready(run)
    equal([j for _, _, j in flink.accepted], [found], "submissions")
    limits = itertools.count(50)

    def conflicts():  # in a status that is written for each change of the spec
        run.kube.patch("flinkdep", ns, "demo", {"spec": {"allocator": {"maxTaskManagers": next(limits)}}})
        return [e for e in writes(run) if dig(e, "responseStatus.code") == 409]
    found = wait("a conflict, without which nothing is tested", conflicts, SOON, 0.3)
    delete(run, "sessionjob", "first")
    delete(run, "flinkdep", "demo")
    stop.set()
    thread.join()
    nothing_left(run)
    run.note(f"{len(found)} conflicts")


LOST = {"all": {"labels": None}, "type": {"labels": {"type": None}}, "app": {"labels": {"app": None}},
        "another component": {"labels": {"component": "taskmanager"}}}


@test("a JobManager's Deployment that loses labels by which it is watched, at rest and stopped for a change: they come back, and nothing "
      "restarts for it; one that loses its owner, too, is told", full=True, timeout=120)
def lost_labels(run):
    operator(run)
    ns = run.namespaces[0]
    names = {f"c{i}": lost for i, lost in enumerate(LOST.values())}
    for c in names:
        session(run, c, ready=False)
    for c in names:
        cluster_ready(run, c)
    found = submit(run, deployment="c0")
    labels = {c: run.kube.get("deployment", ns, c)["metadata"]["labels"] for c in names}
    owners = run.kube.get("deployment", ns, "c0")["metadata"]["ownerReferences"]
    jms = {c: sorted(pods(run, "jobmanager", c)) for c in names}

    def lose():
        for c, lost in names.items():
            run.kube.patch("deployment", ns, c, {"metadata": lost})

    def back():
        for c in names:
            equal(run.kube.get("deployment", ns, c)["metadata"].get("labels"), labels[c], f"labels of {c}")
        return True
    lose()
    wait("the labels back", back, SOON, 0.1)
    for c in names:
        cluster_ready(run, c)
    equal({c: sorted(pods(run, "jobmanager", c)) for c in names}, jms, "JobManager pods")
    equal(job_ready(run), found, "the job")

    run.kube.patch("deployment", ns, "c0", {"metadata": {"labels": None, "ownerReferences": None}})
    wait("it is told", lambda: condition(run.kube.get("flinkdep", ns, "c0"))["message"] ==
         "Deployment c0 is in the way, which belongs to nobody", 2 * SOON, 0.2)
    run.kube.patch("deployment", ns, "c0", {"metadata": {"ownerReferences": owners}})
    wait("the labels back again", back, 2 * SOON, 0.2)
    cluster_ready(run, "c0")
    equal(sorted(pods(run, "jobmanager", "c0")), jms["c0"], "JobManager pods of c0")
    equal(job_ready(run), found, "the job, still")

    for pod in itertools.chain(*jms.values()):
        run.kube.patch("pod", ns, pod, {"metadata": {"finalizers": ["test.example/hold"]}})
    for c in names:
        run.kube.patch("flinkdep", ns, c, {"spec": {"restartNonce": 1}})
    for c in names:
        wait(f"{c} stopped", lambda c=c: run.kube.get("deployment", ns, c)["spec"]["replicas"] == 0, SOON, 0.1)
    lose()
    for pod in itertools.chain(*jms.values()):
        run.kube.patch("pod", ns, pod, {"metadata": {"finalizers": None}})
    wait("the labels back, stopped", back, SOON, 0.1)
    for c in names:
        cluster_ready(run, c)
        after = sorted(pods(run, "jobmanager", c))
        check(len(after) == 1 and after != jms[c], f"JobManager pods of {c}: {after}, formerly {jms[c]}")


GARBAGE = {
    "not JSON": {"reconciliationStatus": {"lastReconciledSpec": "{not json", "state": "DEPLOYED"}},
    "another type": {"reconciliationStatus": {"lastReconciledSpec": "[1, 2]", "state": "DEPLOYED"}},
    "empty": {"reconciliationStatus": {"lastReconciledSpec": "", "state": "UPGRADING"}},
    "an impossible spec": {"reconciliationStatus": {"lastReconciledSpec": '{"spec": {"image": 7}, "resource_metadata": {}}'}},
    "deep": {"reconciliationStatus": {"lastReconciledSpec": '{"spec":' * 20000 + "1" + "}" * 20000}},
    "1 MiB": {"reconciliationStatus": {"lastReconciledSpec": '{"spec": {"image": "' + "x" * (1 << 20) + '"}}'}},
    "a negative attempt": {"allocator": {"attempt": -5, "lastIndex": -7, "jobManager": "nobody/9"}},
    "a huge attempt": {"allocator": {"attempt": 9007199254740993, "lastIndex": 9007199254740993}},
    "another error": {"error": "{\"type\":\"x\"", "lifecycleState": "FAILED", "jobManagerDeploymentStatus": "ERROR"},
    "other conditions": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 99, "reason": "Lies",
                                         "message": "all is well", "lastTransitionTime": "yesterday"}]},
}


@test("a status written by hand with garbage does not harm: the cluster comes back to READY by itself", timeout=240,
      full=True)
def garbage_status(run):
    op = operator(run)
    ns = run.namespaces[0]
    session(run, "calm")
    submit(run, "calm-job", deployment="calm")
    before = versions(run)
    for i, (what, status) in enumerate(GARBAGE.items()):
        name = f"c{i}"
        session(run, name, ready=False)
    for i, what in enumerate(GARBAGE):
        cluster_ready(run, f"c{i}")
    for i, status in enumerate(GARBAGE.values()):
        # twice: the first may be overwritten before anybody has read it
        for _ in range(2):
            run.kube.json("PATCH", run.kube.path("flinkdep", ns, f"c{i}") + "/status", {"status": status},
                          content="application/merge-patch+json")
    time.sleep(1)
    for i, what in enumerate(GARBAGE):
        wait(f"{what}: right again", lambda i=i: healed(run, f"c{i}"), SOON, 0.1)
    op.alive()
    equal({k: v for k, v in versions(run).items() if "/calm" in k or "-calm" in k},
          {k: v for k, v in before.items() if "/calm" in k or "-calm" in k}, "the cluster beside them")
    for i, what in enumerate(GARBAGE):
        delete(run, "flinkdep", f"c{i}")


def healed(run, name):
    cluster_ready(run, name, seconds=0)
    cr = run.kube.get("flinkdep", run.namespaces[0], name)
    status = cr["status"]
    equal((status["lifecycleState"], status["jobManagerDeploymentStatus"]), ("STABLE", "READY"), state(cr))
    check("image" in status["reconciliationStatus"]["lastReconciledSpec"], state(cr))
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    check(ready["reason"] != "Lies" and ready["observedGeneration"] == cr["metadata"]["generation"], str(ready))
    return True


@test("finalizers of others: ours goes, all objects go, theirs stays, and nobody spins", full=True)
def finalizers(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    submit(run)
    for kind, name in (("flinkdep", "demo"), ("sessionjob", "first")):
        found = run.kube.get(kind, ns, name)["metadata"]["finalizers"]
        run.kube.patch(kind, ns, name, {"metadata": {"finalizers": ["example.com/first", *found, "example.com/last"]}})
    for kind, name in (("sessionjob", "first"), ("flinkdep", "demo")):
        run.kube.delete(kind, ns, name)

        def only_theirs(kind=kind, name=name):
            found = run.kube.get(kind, ns, name)["metadata"]["finalizers"]
            equal(found, ["example.com/first", "example.com/last"], f"finalizers of {name}")
            return True
        if kind == "flinkdep":  # it waits for its FlinkSessionJob, which is still there
            wait("it tells what it waits for", lambda: "first" in condition_text(run, "flinkdep", "demo"), SOON)
            run.kube.patch("sessionjob", ns, "first", {"metadata": {"finalizers": None}})
            gone(run, "sessionjob", "first")
        wait(f"only the others' finalizers on {name}", only_theirs, SOON)
    for kind in ("pod", "deployment", "service"):
        wait(f"{kind}s gone", lambda kind=kind: not run.kube.list(kind, ns), SOON)
    time.sleep(1)
    since = time.time()
    time.sleep(4)
    equal([named(e) for e in writes(run, since)], [], "writes while others hold it")
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"finalizers": None}})
    gone(run, "flinkdep", "demo")
    nothing_left(run)


def condition_text(run, kind, name):
    found = dig(run.kube.get(kind, run.namespaces[0], name), "status.conditions", [])
    return next((c["message"] for c in found if c["type"] == "Ready"), "")


@test("our finalizer taken away by hand: it comes back while the resource lives, and its deletion ends anyway")
def finalizer_games(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"finalizers": None}})
    wait("it is back", lambda: dig(run.kube.get("flinkdep", ns, "demo"), "metadata.finalizers"), SOON)
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"finalizers": ["example.com/a"]}})
    wait("it is back beside another", lambda: len(
        dig(run.kube.get("flinkdep", ns, "demo"), "metadata.finalizers", [])) == 2, SOON)
    cluster_ready(run)
    run.kube.delete("flinkdep", ns, "demo")
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"finalizers": None}})
    gone(run, "flinkdep", "demo")
    nothing_left(run)
    session(run)  # the same name again, at once
    delete(run, "flinkdep", "demo")


@test("objects of others with the names of ours are left alone and told; the cluster comes when they are gone")
def collisions(run):
    operator(run)
    ns = run.namespaces[0]
    theirs = (("service", "demo", {"spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}),
              ("configmap", "flink-config-demo", {"data": {"mine": "yes"}}))
    for kind, name, body in theirs:
        run.kube.create(kind, ns, {"metadata": {"name": name, "labels": {"app": "web"}}, **body})
    session(run, ready=False)
    for kind, name, body in reversed(theirs):
        def told(what=f"{kind.lower()} {ns}/{name}"):
            c = next((c for c in dig(run.kube.get("flinkdep", ns, "demo"), "status.conditions", []) if c["type"] == "Stalled"), {})
            check(c.get("status") == "True" and what in c["message"].lower(), f"Stalled: {c}")
            return True
        wait(f"the status names {kind} {name}", told, SOON)
        found = run.kube.get(kind, ns, name)
        equal(found["metadata"]["labels"], {"app": "web"}, f"labels of {kind} {name}")
        equal(found["metadata"].get("ownerReferences"), None, f"owners of {kind} {name}")
        check(kind == "service" or found["data"] == body["data"], f"{kind} {name} was changed: {found}")
        run.kube.delete(kind, ns, name)
    cluster_ready(run)


@test("the same trouble again and again is one event with a count", timeout=120, full=True)
def events(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    run.kube.create("sessionjob", ns, job(ns, "first", jar="local:///opt/flink/usrlib/none.jar"))
    wait("it is told", lambda: [e for e in events_of(run, "first") if e["reason"] == "SubmitFailed"], SOON)
    for n in range(5):
        run.kube.patch("sessionjob", ns, "first", {"spec": {"job": {"args": [str(n)]}}})
        time.sleep(1.5)
    holds("one event", lambda: True, 2)
    found = [e for e in events_of(run, "first") if e["reason"] == "SubmitFailed"]
    equal(len(found), 1, f"events: {[(e['reason'], e['message'], e.get('count')) for e in found]}")
    check(found[0].get("count", 1) >= 3, f"its count is {found[0].get('count')}")


@test("what others made is neither taken over nor deleted, and told: Services, a Deployment of TaskManagers; of two clusters, too")
def of_others(run):
    operator(run)
    ns = run.namespaces[0]
    shop = {"metadata": {"name": "demo-rest", "namespace": ns, "labels": {"app": "shop", "type": "backend"}},
            "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}}
    workers = {"metadata": {"name": "fixed-taskmanager", "namespace": ns,
                            "labels": {"app": "fixed", "component": "taskmanager", "type": "theirs"}},
               "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
                        "template": {"metadata": {"labels": {"a": "b"}},
                                     "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
    run.kube.create("service", ns, {"apiVersion": "v1", "kind": "Service", **shop})
    run.kube.create("deployment", ns, {"apiVersion": "apps/v1", "kind": "Deployment", **workers})
    run.kube.create("pod", ns, {"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": "demo-worker", "namespace": ns, "labels": {"app": "demo", "component": "taskmanager", "type": "theirs"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}})
    before = {"service": run.kube.get("service", ns, "demo-rest"), "deployment": run.kube.get("deployment", ns, "fixed-taskmanager")}
    session(run, ready=False)
    session(run, "fixed", ready=False, mode="standalone", allocator=None, taskManager={"replicas": 1})
    session(run, "x")
    session(run, "x-rest", ready=False)
    wait("x-rest: its JobManager answers", lambda: dig(run.kube.get("flinkdep", ns, "x-rest"), "status.jobManagerDeploymentStatus")
         == "READY", SOON)
    for name, words in (("demo", "demo-rest"), ("fixed", "fixed-taskmanager"), ("x-rest", "Service x-rest")):
        wait(f"{name}: told", lambda name=name, words=words: words in condition_text(run, "flinkdep", name), SOON)
        check(condition(run.kube.get("flinkdep", ns, name)).get("status") == "False", f"{name} is Ready")
    for name in ("demo", "fixed", "x-rest", "x"):
        delete(run, "flinkdep", name)
    check(not dig(run.kube.get("pod", ns, "demo-worker"), "metadata.deletionTimestamp"), "their pod is deleted")
    for kind, o in before.items():
        after = run.kube.get(kind, ns, o["metadata"]["name"])
        check(after, f"the {kind} is gone")
        equal((after["spec"], after["metadata"]["labels"], after["metadata"].get("ownerReferences")),
              (o["spec"], o["metadata"]["labels"], None), f"the {kind} of others")


def nobody_deletes_taskmanagers(run, ns):
    name = f"keep-{ns}"
    run.kube.apply(
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
         "spec": {"matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}, "resourceRules": [
             {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}]},
             "validations": [{"reason": "Forbidden", "message": "they are kept",
                              "expression": "oldObject.metadata.?labels.component.orValue('') != 'taskmanager'"}]}},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
         "spec": {"policyName": name, "validationActions": ["Deny"]}})

    def again():
        run.kube.kubectl("delete", "--ignore-not-found", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)
    run.cleanup(again)
    return again


@test("a JobManager without a place under the quota, and TaskManagers that nobody may delete: tried less and less often",
      full=True)
def no_way_to_make_room(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    submit(run)
    again = nobody_deletes_taskmanagers(run, ns)
    run.kube.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": ns},
                    "spec": {"hard": {"pods": "1"}}})
    wait("the quota counts", lambda: dig(run.kube.get("resourcequota", ns, "small"), "status.used.pods") == "2", SOON, 0.05)
    before = sorted(pods(run, "jobmanager")), sorted(pods(run, "taskmanager"))
    run.kube.delete("pod", ns, before[0][0])

    def first():
        c = condition(run.kube.get("flinkdep", ns, "demo"), "TaskManagersReady")
        check(c.get("reason") == "JobManagerFirst" and "exceeded quota: small" in c["message"], f"{c}")
        return time.time()
    since = wait("the JobManager comes first", first, 60, 0.2)
    time.sleep(10)
    tries = [e for e in writes(run, since) if e["verb"] == "delete"]
    check(2 <= len(tries) <= 15, lambda: f"{len(tries)} deletions tried in 10 s")
    run.note(f"{len(tries)} deletions tried in 10 s")
    c = condition(run.kube.get("flinkdep", ns, "demo"), "TaskManagersReady")
    check("cannot be taken away" in c["message"] and "they are kept" in c["message"], f"{c}")
    again()
    wait("the TaskManager gone", lambda: not set(before[1]) & set(pods(run, "taskmanager")), SOON, 0.1)
    run.kube.delete("resourcequota", ns, "small")
    wait("another JobManager", lambda: set(pods(run, "jobmanager")) - set(before[0]), 200, 0.5)  # the ReplicaSet's back-off
    cluster_ready(run)
    job_ready(run)


@test("a status that somebody wipes, or gives another id, takes down nothing that runs, and doubles nothing", full=True)
def wiped_status(run):
    op = operator(run)
    ns = run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/demo")
    conf = {"execution.checkpointing.interval": "1 s", "execution.checkpointing.dir": "file:/flink/checkpoints",
            "high-availability.type": "kubernetes", "high-availability.storageDir": "file:/flink/ha"}
    run.kube.create("flinkdep", ns, application(ns, conf=conf, job={"upgradeMode": "last-state"}, idle="1s"))
    cluster_ready(run)
    jm, ident = sorted(pods(run, "jobmanager")), flink.runs[-1].id

    def again():
        equal(dig(run.kube.get("flinkdep", ns, "demo"), "status.jobStatus.jobId"), ident, "the id that is recorded")
        return cluster_ready(run, seconds=0)
    for what, status in (("wiped", None), ("without the job", {"jobStatus": None}), ("another id", {"jobStatus": {"jobId": "a" * 32}}),
                         ("no id", {"jobStatus": {"jobId": "../../x"}})):
        run.kube.patch_status("flinkdep", ns, "demo", {"status": status})
        time.sleep(1)
        wait(f"{what}: right again", again, SOON, 0.1)
    equal((sorted(pods(run, "jobmanager")), len(flink.runs)), (jm, 1), "JobManager pods, runs")
    session(run, "other")
    found = submit(run, "job", deployment="other")
    for id in (None, "a" * 32):
        run.kube.patch_status("sessionjob", ns, "job", {"status": {"jobStatus": id and {"jobId": id}}})
        wait("its id", lambda: dig(run.kube.get("sessionjob", ns, "job"), "status.jobStatus.jobId") == found, SOON, 0.1)
    op.stop()  # and what was in memory is gone
    run.kube.patch_status("sessionjob", ns, "job", {"status": None})
    operator(run)
    wait("that it is told", lambda: "lastReconciledSpec: is missing" in state(run.kube.get("sessionjob", ns, "job")), SOON, 0.1)
    time.sleep(2)
    jobs = run.flinks.cluster(f"{ns}/other").jobmanager.jobs
    equal([(j, x["state"]) for j, x in jobs.items()], [(found, "RUNNING")], "jobs")
    delete(run, "sessionjob", "job")
    equal([x["state"] for x in jobs.values()], ["CANCELED"], "jobs when it is deleted")


@test("an application is changed while no operator runs: the next one takes the savepoint that is asked for", full=True)
def changed_while_away(run):
    op = operator(run)
    ns = run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/demo")
    flink.savepoints = "file:/flink/savepoints"
    conf = {"execution.checkpointing.interval": "1 s", "execution.checkpointing.dir": "file:/flink/checkpoints",
            "execution.checkpointing.savepoint-dir": flink.savepoints, "high-availability.type": "kubernetes",
            "high-availability.storageDir": "file:/flink/ha"}
    run.kube.create("flinkdep", ns, application(ns, conf=conf, job={"upgradeMode": "savepoint"}, idle="1s"))
    cluster_ready(run)
    wait("a checkpoint", lambda: flink.runs[-1].snapshots, SOON, 0.1)
    op.stop()
    run.kube.patch("flinkdep", ns, "demo", {"spec": {"job": {"args": ["--name", "demo", "--changed", "yes"]}}})
    operator(run)
    wait("the second run", lambda: len(flink.runs) > 1, SOON, 0.1)
    first, second = flink.runs
    check(first.state == "FINISHED" and first.snapshots[-1].savepoint, f"the first run: {vars(first)}")
    equal(second.path, first.snapshots[-1].path, "what the second run began with")
    delete(run, "flinkdep", "demo", seconds=40)


@test("a namespace whose writes all take long (a webhook that does not answer) does not hold up another one", full=True)
def slow_namespace(run):
    slow, mine = namespace(run, "-slow"), namespace(run)
    deaf = run.plane.netns.listen("127.0.0.1")  # connections are made, and nobody takes them
    run.kube.apply(
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": slow},
         "webhooks": [{"name": "slow.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 8,
                       "failurePolicy": "Fail", "clientConfig": {"url": f"https://127.0.0.1:{deaf.getsockname()[1]}/"},
                       "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": slow}},
                       "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                  "resources": ["configmaps"]}]}]})
    run.cleanup(deaf.close)
    run.cleanup(lambda: run.kube.kubectl("delete", "--ignore-not-found", "validatingwebhookconfiguration", slow))
    operator(run, [slow, mine])
    for n in range(100):
        session(run, f"slow-{n}", ns=slow, ready=False)
    time.sleep(2)
    began = time.time()
    session(run, ns=mine)
    run.note(f"Ready after {time.time() - began:.1f} s")
    check(time.time() - began < 6, "it was held up")
    wait("what holds up the others is told", lambda: [
        n for n in range(100) if "webhook" in condition(run.kube.get("flinkdep", slow, f"slow-{n}")).get("message", "")], 60)
    run.kube.kubectl("delete", "validatingwebhookconfiguration", slow)
    for n in range(100):
        run.kube.delete("flinkdep", slow, f"slow-{n}")
    for n in range(100):
        gone(run, "flinkdep", f"slow-{n}", slow, 60)
