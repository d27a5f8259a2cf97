"""How the web interface is reached from outside: Ingress, Route (with OpenShift's own definition), NetworkPolicy."""
import copy
import time

from lib.check import check, dig, equal, holds, wait
from lib.kube import ApiError
from lib.manifests import cluster
from lib.plane import SOON, named
from lib.plane_scene import (condition, delete, events_of, gone, log_has_no, namespace, nothing_left, operator, pods, session,
                             versions, writes)
from lib.suite import test

CRD = "routes.route.openshift.io"
FOUND = 90  # s until a definition that came later is found: a watch backs off to 60 s
NONE = {"type": "None"}
INGRESS = {
    "template": "{{name}}.{{NAMESPACE}}.example.com/ui/{{name}}(/|$)(.*)",
    "className": "nginx",
    "annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/$2"},
    "labels": {"team": "data"},
    "tls": [{"hosts": ["demo.example.com"], "secretName": "demo-tls"}],
}


def routes(run, served):
    """Brings OpenShift's definition of Routes, or takes it away."""
    if not served:
        run.kube.kubectl("delete", "crd", CRD, "--ignore-not-found")
        return
    path = run.bed("route-crd").strip()
    run.kube.kubectl("apply", "--server-side", "-f", path)
    wait("Routes served", lambda: run.kube.list("route") is not None, SOON)


def there(run, kind, name, seconds=SOON):
    return wait(f"{kind} {name}", lambda: run.kube.get(kind, run.namespaces[0], name), seconds, 0.05)


def change(run, **spec):
    run.kube.patch("flinkdep", run.namespaces[0], "demo", {"spec": spec})


def status(run, **expected):
    """Waits until status.endpoints.ui and the condition Exposed say so."""
    def said():
        cr = run.kube.get("flinkdep", run.namespaces[0], "demo")
        c = condition(cr, "Exposed")
        found = {**dig(cr, "status.endpoints.ui", {}), "exposed": c.get("status"), "reason": c.get("reason"),
                 "message": c.get("message")}
        for key, value in expected.items():
            check(found.get(key) == value, lambda: f"{key}: expected {value}, found {found}")
        equal(condition(cr).get("status"), "True", "the cluster's Ready")
        return cr
    return wait("what the status says", said, FOUND, 0.05)


def nothing_said(run):
    """Neither endpoints nor a condition."""
    def silent():
        cr = run.kube.get("flinkdep", run.namespaces[0], "demo")
        check(not dig(cr, "status.endpoints") and not condition(cr, "Exposed"), lambda: f"status: {cr['status']}")
        return True
    wait("nothing about exposure in the status", silent, SOON, 0.05)


def admit(run, kind, name, body):
    """What a router or an Ingress controller writes into the status."""
    path = run.kube.path(kind, run.namespaces[0], name) + "/status"
    run.kube.json("PATCH", path, {"status": body}, content="application/merge-patch+json")


def routed(host, admitted="True", **why):
    return {"ingress": [{"host": host, "routerName": "default", "wildcardPolicy": "None",
                         "conditions": [{"type": "Admitted", "status": admitted, **why}]}]}


def owned(run, o):
    """It belongs to the FlinkDeployment, and nothing else wrote it."""
    cr = run.kube.get("flinkdep", run.namespaces[0], "demo")
    equal(o["metadata"]["ownerReferences"],
          [{"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "name": "demo", "uid": cr["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}], f"owner of {o['metadata']['name']}")
    ours = [m["operation"] for m in o["metadata"]["managedFields"] if m["manager"] == "flink-operator"]
    equal(ours, ["Apply"], "our field managers")


def annotations(o):
    return {k: v for k, v in o["metadata"]["annotations"].items() if k != "flink-operator/spec-hash"}


def running(run):
    """What a restart of the cluster would change."""
    return sorted(p["metadata"]["uid"] for p in pods(run, "jobmanager").values()), \
        run.kube.get("deployment", run.namespaces[0], "demo")["metadata"]["generation"]


@test("spec.ingress: every field of the Ingress; changed in place, removed, and no restart")
def ingress(run):
    op = operator(run)
    ns = run.namespaces[0]
    session(run, ingress=INGRESS)
    found = there(run, "ingress", "demo")
    before = running(run)
    owned(run, found)
    equal(found["metadata"]["labels"], {"team": "data", "component": "ingress"}, "labels")
    equal(annotations(found), INGRESS["annotations"], "annotations")
    backend = {"service": {"name": "demo-rest", "port": {"number": 8081}}}
    equal(found["spec"], {
        "ingressClassName": "nginx",
        "tls": INGRESS["tls"],
        "rules": [{"host": f"demo.{ns}.example.com", "http": {"paths": [
            {"path": "/ui/demo(/|$)(.*)", "pathType": "ImplementationSpecific", "backend": backend}]}}],
    }, "spec")
    url = f"https://demo.{ns}.example.com/ui/demo/"
    status(run, url=url, admitted=False, exposed="False", reason="NotAdmitted")
    admit(run, "ingress", "demo", {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})
    status(run, url=url, admitted=True, exposed="True", message=url)
    change(run, ingress={"template": "{{name}}.example.com", "className": None, "annotations": None, "labels": {"team": "ops"},
                         "tls": None})
    changed = wait("the changed Ingress", lambda: next(
        (o for o in [run.kube.get("ingress", ns, "demo")] if o["metadata"]["labels"].get("team") == "ops"), None), SOON, 0.05)
    equal(changed["metadata"]["uid"], found["metadata"]["uid"], "uid after the change")
    equal(changed["spec"], {"rules": [{"host": "demo.example.com", "http": {"paths": [
        {"pathType": "ImplementationSpecific", "backend": backend}]}}]}, "changed spec")
    equal(annotations(changed), {}, "changed annotations")
    change(run, ingress=None)
    gone(run, "ingress", "demo")
    nothing_said(run)
    equal(running(run), before, "the cluster after all that")
    log_has_no(op, "forbidden", "cannot watch")


@test("an Ingress whose section leaves the spec while no operator runs, and a restart that writes nothing", full=True)
def forgotten(run):
    first = operator(run)
    session(run, ingress={"template": "{{name}}.example.com"})
    there(run, "ingress", "demo")
    status(run, reason="NotAdmitted")
    time.sleep(1)
    first.stop()
    before = versions(run, kinds=("flinkdep", "ingress", "deployment", "service"))
    second = operator(run)
    time.sleep(3)
    equal([named(e) for e in writes(run)], [], "writes after the restart")
    equal(versions(run, kinds=("flinkdep", "ingress", "deployment", "service")), before, "resourceVersions")
    second.stop()
    change(run, ingress=None)
    operator(run)
    gone(run, "ingress", "demo")
    nothing_said(run)


@test("an Ingress of somebody else is left alone and told; the cluster is Ready")
def foreign(run):
    operator(run)
    ns = run.namespaces[0]
    theirs = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "demo", "namespace": ns},
              "spec": {"defaultBackend": {"service": {"name": "theirs", "port": {"number": 80}}},
                       "rules": [{"host": "theirs.example.com"}]}}
    run.kube.apply(theirs)
    session(run, ingress={"template": "{{name}}.example.com"}, ready=False)
    cr = status(run, exposed="False", reason="ApplyFailed")
    check("conflict" in condition(cr, "Exposed")["message"], lambda: f"the cause: {condition(cr, 'Exposed')}")
    wait("an event about it", lambda: [e for e in events_of(run, "demo") if e["reason"] == "ApplyFailed"], SOON)
    change(run, ingress=None)
    nothing_said(run)
    found = run.kube.get("ingress", ns, "demo")
    equal(dig(found, "spec.rules.0.host"), "theirs.example.com", "their Ingress")
    equal([m["manager"] for m in found["metadata"]["managedFields"] if m["manager"] == "flink-operator"], [], "our fields in it")


@test("spec.exposure without Routes in the API server: told, an Ingress for Auto; a Route once it has them", full=True, timeout=400)
def later(run):
    routes(run, False)
    op = operator(run)
    ns = run.namespaces[0]
    session(run, exposure={"type": "Route", "auth": NONE}, ready=False)
    status(run, exposed="False", reason="NotServed", message="the API server has no Routes (route.openshift.io/v1)")
    change(run, exposure={"type": "Auto"})
    status(run, exposed="False", reason="HostMissing")
    change(run, exposure={"host": "flink.example.com", "className": "nginx", "tls": {"secretName": "flink-tls"}})
    found = there(run, "ingress", "demo-ui")
    owned(run, found)
    equal(found["metadata"]["labels"], {"app": "demo", "component": "ui", "type": "flink-operator-kubernetes"}, "labels")
    equal(found["spec"], {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["flink.example.com"], "secretName": "flink-tls"}],
        "rules": [{"host": "flink.example.com", "http": {"paths": [
            {"path": "/", "pathType": "Prefix",
             "backend": {"service": {"name": "demo-rest", "port": {"number": 8081}}}}]}}],
    }, "spec of the Ingress")
    status(run, reason="NotAdmitted")
    time.sleep(1)
    since = time.time()
    holds("the Ingress stays", lambda: run.kube.get("ingress", ns, "demo-ui"), 20)
    asked = [e for e in run.plane.requests(run.account, since) if e["verb"] != "watch"]
    check(len(asked) <= 8 and {named(e) for e in asked} <= {"list routes"}, lambda: f"requests: {[named(e) for e in asked]}")
    routes(run, True)
    came = time.time()
    there(run, "route", "demo-ui", FOUND)
    run.note(f"{len(asked)} look-ups in 20 s; the Route came {time.time() - came:.1f} s after its definition")
    gone(run, "ingress", "demo-ui")
    status(run, url="https://flink.example.com/", reason="NotAdmitted")
    log_has_no(op, "forbidden")


@test("a Route: every field, admission, rejection, change, another host, removal; no request in quiet", timeout=400)
def route(run):
    routes(run, True)
    op = operator(run)
    ns = run.namespaces[0]
    session(run, exposure={"auth": NONE, "timeout": "90s", "labels": {"shard": "internal"}, "annotations": {"a": "b"},
                           "tls": {"termination": "edge", "insecure": "Allow"}})
    found = there(run, "route", "demo-ui")
    before = running(run)
    owned(run, found)
    equal(found["metadata"]["labels"],
          {"app": "demo", "component": "ui", "type": "flink-operator-kubernetes", "shard": "internal"}, "labels")
    equal(annotations(found), {"haproxy.router.openshift.io/timeout": "90s", "a": "b"}, "annotations")
    equal(found["spec"], {
        "to": {"kind": "Service", "name": "demo-rest", "weight": 100}, "port": {"targetPort": 8081},
        "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Allow"}, "wildcardPolicy": "None",
    }, "spec")
    status(run, admitted=False, exposed="False", reason="NotAdmitted", url=None)
    admit(run, "route", "demo-ui", routed("x", "False", reason="HostAlreadyClaimed", message="route y already exposes x"))
    status(run, admitted=False, exposed="False", reason="HostAlreadyClaimed",
           message="Route/demo-ui: route y already exposes x")
    wait("an event about it", lambda: [e for e in events_of(run, "demo") if e["reason"] == "HostAlreadyClaimed"], SOON)
    admit(run, "route", "demo-ui", routed("demo-ui.apps.example.com"))
    url = "https://demo-ui.apps.example.com/"
    status(run, url=url, admitted=True, exposed="True", message=url)
    since = time.time()
    time.sleep(10)
    equal([named(e) for e in run.plane.requests(run.account, since) if e["verb"] != "watch"], [], "requests in quiet")
    change(run, exposure={"timeout": "1h", "labels": None, "tls": None})
    changed = wait("the changed Route", lambda: next(
        (o for o in [run.kube.get("route", ns, "demo-ui")]
         if annotations(o)["haproxy.router.openshift.io/timeout"] == "1h"), None), SOON, 0.05)
    equal(changed["metadata"]["uid"], found["metadata"]["uid"], "uid after the change")
    equal(changed["spec"]["tls"], {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}, "its TLS")
    change(run, exposure={"host": "flink.example.com"})
    moved = wait("the Route with another host", lambda: next(
        (o for o in [run.kube.get("route", ns, "demo-ui")] if o and o["spec"].get("host") == "flink.example.com"), None),
        SOON, 0.05)
    check(moved["metadata"]["uid"] != found["metadata"]["uid"], "the host of a Route was changed in place")
    status(run, url="https://flink.example.com/", admitted=False)
    run.kube.delete("route", ns, "demo-ui")
    wait("the Route made again", lambda: dig(run.kube.get("route", ns, "demo-ui"), "metadata.uid") not in
         (None, moved["metadata"]["uid"]), SOON, 0.05)
    change(run, exposure=None)
    gone(run, "route", "demo-ui")
    nothing_said(run)
    equal(running(run), before, "the cluster after all that")
    log_has_no(op, "forbidden", "cannot watch")


@test("a NetworkPolicy: every field; removed when not asked for; all of it goes with the cluster", full=True)
def policy(run):
    routes(run, True)
    op = operator(run, env={"OPERATOR_NAMESPACE": "flink-operator"})
    ns = run.namespaces[0]
    session(run, exposure={"auth": NONE, "networkPolicy": True}, ingress={"template": "{{name}}.example.com"})
    found = there(run, "networkpolicy", "demo-ui")
    owned(run, found)
    of_cluster = {"matchLabels": {"app": "demo"},
                  "matchExpressions": [{"key": "component", "operator": "In", "values": ["jobmanager", "taskmanager"]}]}
    equal(found["spec"]["podSelector"], of_cluster, "the pods that it closes")
    equal(found["spec"]["policyTypes"], ["Ingress"], "policyTypes")
    own, ui = found["spec"]["ingress"]
    equal(own, {"from": [{"podSelector": of_cluster}]}, "what the cluster's pods may among themselves")
    equal(ui["ports"], [{"protocol": "TCP", "port": 8081}], "what others may")
    equal([p["namespaceSelector"]["matchLabels"] for p in ui["from"][:2]],
          [{"policy-group.network.openshift.io/ingress": ""}, {"policy-group.network.openshift.io/host-network": ""}], "routers")
    equal(dig(ui, "from.2.namespaceSelector.matchExpressions.0.key"), "kubernetes.io/metadata.name", "controllers")
    check("ingress-nginx" in dig(ui, "from.2.namespaceSelector.matchExpressions.0.values"), "ingress-nginx is not let in")
    equal(ui["from"][3:], [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "flink-operator"}},
                            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "flink-operator"}}}], "the operator")
    cr = wait("all of it recorded", lambda: next(
        (o for o in [run.kube.get("flinkdep", ns, "demo")] if len(dig(o, "status.endpoints.objects", [])) == 3), None), SOON)
    equal(cr["status"]["endpoints"]["objects"], ["Ingress/demo", "Route/demo-ui", "NetworkPolicy/demo-ui"], "the record")
    change(run, exposure={"networkPolicy": False})
    gone(run, "networkpolicy", "demo-ui")
    change(run, exposure={"networkPolicy": True})
    there(run, "networkpolicy", "demo-ui")
    for kind, name in (("ingress", "demo"), ("route", "demo-ui")):
        there(run, kind, name)
    delete(run, "flinkdep", "demo")
    nothing_left(run)
    for kind, name in (("ingress", "demo"), ("route", "demo-ui"), ("networkpolicy", "demo-ui")):
        gone(run, kind, name)
    log_has_no(op, "forbidden", "cannot watch")


@test("what is refused: no login said, a host that is missing, logins that are not there yet")
def refused(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    for exposure, field in (({}, "spec.exposure.auth"), ({"type": "Route"}, "spec.exposure.auth"),
                            ({"type": "Ingress", "auth": NONE}, "spec.exposure.host"),
                            ({"auth": {"type": "Basic"}}, "spec.exposure.auth.type"),
                            ({"type": "Gateway", "auth": NONE}, "spec.exposure.type")):
        try:
            run.kube.create("flinkdep", ns, cluster(ns, "other", exposure=exposure))
        except ApiError as e:
            check(e.status == 422 and field in str(e), f"exposure {exposure}: {e}")
        else:
            check(False, f"exposure {exposure} was taken")
    change(run, exposure={"type": "Route", "auth": {"type": "OpenShiftOAuth"}})

    def told():
        c = condition(run.kube.get("flinkdep", ns, "demo"), "Stalled")
        return c.get("status") == "True" and c["message"].startswith("spec.exposure.auth.type: OpenShiftOAuth is not supported yet")
    wait("the login refused", told, SOON)
    equal(len(pods(run, "jobmanager")), 1, "JobManagers")


@test("rights: each verb on what exposes a cluster is needed, and no others", timeout=400)
def rights(run):
    routes(run, True)
    ns = namespace(run)
    op = operator(run)
    role = f"apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles/{run.account}"
    rules = run.plane.rules
    kinds = {"ingresses": ("ingress", "demo"), "routes": ("route", "demo-ui"), "networkpolicies": ("networkpolicy", "demo-ui")}
    ours = [r for r in rules if set(r["resources"]) & set(kinds)]
    equal(sorted(n for r in ours for n in r["resources"]), sorted(kinds), "resources in the Role")
    for r in ours:
        equal(r["verbs"], ["list", "watch", "create", "patch", "delete"], f"verbs on {r['resources']}")

    def allow(*without):
        """The Role, but for these verbs."""
        changed = copy.deepcopy(rules)
        for r in changed:
            if set(r["resources"]) & set(kinds):
                r["verbs"] = [v for v in r["verbs"] if v not in without]
        run.kube.json("PATCH", role, {"rules": changed}, content="application/merge-patch+json")

    def missed(verb):
        """The operator says of each kind that it lacks the verb."""
        for plural in kinds:
            text = f'cannot {verb} resource \\"{plural}\\"'  # as the log quotes it
            wait(f"the log says: {text}", lambda text=text: text in op.log(), FOUND, 0.2)

    def every(probe):
        for kind, name in kinds.values():
            wait(f"{kind} {name}", lambda kind=kind, name=name: probe(run.kube.get(kind, ns, name)), FOUND, 0.2)

    asked = {"ingress": {"template": "{{name}}.example.com"}, "exposure": {"auth": NONE, "networkPolicy": True}}
    session(run)
    allow("list")
    change(run, **asked)
    missed("list")
    allow("watch", "create")
    missed("watch")
    allow("create")
    missed("create")
    allow()
    every(lambda o: o)
    allow("patch")
    change(run, ingress={"template": "other.example.com"}, exposure={"timeout": "1m"},
           flinkConfiguration={"kubernetes.operator.exposure.controller-namespaces": "edge"})
    missed("patch")
    allow("delete")
    change(run, ingress=None, exposure=None)
    missed("delete")
    allow()
    every(lambda o: o is None)
    nothing_said(run)


@test("a PodDisruptionBudget of the JobManager: made, changed, taken away, and nothing restarts")
def budget(run):
    op = operator(run)
    session(run)
    before = sorted(pods(run, "jobmanager"))

    def asked(section):
        change(run, jobManager={"podDisruptionBudget": section})
    asked({"maxUnavailable": 0})
    found = there(run, "budget", "demo-jobmanager")
    owned(run, found)
    equal(found["spec"], {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "demo", "component": "jobmanager"}}}, "its spec")
    wait("an eviction would be refused", lambda: dig(run.kube.get("budget", run.namespaces[0], "demo-jobmanager"),
                                                     "status.expectedPods") == 1, SOON, 0.1)
    asked({"maxUnavailable": 1})
    wait("it is changed", lambda: there(run, "budget", "demo-jobmanager")["spec"]["maxUnavailable"] == 1, SOON, 0.1)
    asked({"maxUnavailable": None})
    wait("a section without a number is told", lambda: "podDisruptionBudget.maxUnavailable: must be given" in condition(
        run.kube.get("flinkdep", run.namespaces[0], "demo")).get("message", ""), SOON, 0.1)
    asked(None)
    gone(run, "budget", "demo-jobmanager")
    equal(sorted(pods(run, "jobmanager")), before, "JobManager pods")
    asked({"maxUnavailable": 0})
    there(run, "budget", "demo-jobmanager")
    delete(run, "flinkdep", "demo")
    gone(run, "budget", "demo-jobmanager")
    log_has_no(op, "forbidden", "cannot watch")
