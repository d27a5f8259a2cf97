"""The operator's rights: with those of deploy/ all of it works and no others are asked for; without any one of them something
does not, and the operator tells which."""
import concurrent.futures
import copy
import datetime
import os
import time

from exposure import NONE, annotations, change, routes, there
from lib.check import SCALE, Failure, check, dig, equal, wait
from lib.manifests import snapshot
from lib.plane import SOON
from lib.plane_scene import (answers, cluster_ready, condition, delete, elected, events_of, gone, log_has_no, namespace,
                             nothing_left, operator, pods, session, submit, taken)
from lib.suite import test

PATIENCE = 10 * SCALE  # s for a step when a right is missing; with all of them each takes two or three
AT_ONCE = 5
RENEWAL = ("coordination.k8s.io", "leases", "patch")  # who cannot renew the Lease ends
SOME = 4  # rights, others each day, in `make test`
ON_DEMAND = ("ingresses", "networkpolicies", "poddisruptionbudgets", "routes")
ROUTES = "route.openshift.io"
PLAIN = {"objects": (("ingress", "demo"), ("networkpolicy", "demo-ui"), ("budget", "demo-jobmanager")),
         "spec": {"ingress": {"template": "{{name}}.example.com"}, "exposure": {"type": "None", "networkPolicy": True},
                  "jobManager": {"podDisruptionBudget": {"maxUnavailable": 0}}}}
ROUTE = {"objects": (("route", "demo-ui"),),
         "spec": {"exposure": {"type": "Route", "auth": NONE, "host": "flink.example.com"}}}
# What OpenShift's API server asks for by itself; its words.
NO_HOST = "you do not have permission to set the host field of the route"
HOST_POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "custom-host"},
    "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [ROUTES], "apiVersions": ["v1"], "operations": ["CREATE"],
                                                     "resources": ["routes"]}]},
             "validations": [{"reason": "Forbidden", "message": NO_HOST, "expression": (
                 '!has(object.spec.host) || object.spec.host == "" || authorizer.group("route.openshift.io").resource("routes")'
                 '.subresource("custom-host").namespace(request.namespace).check("create").allowed()')}]}}
HOST_BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "custom-host"}, "spec": {"policyName": "custom-host", "validationActions": ["Deny"]}}


class Stuck(Exception):
    """A step has used up its time."""


class Patient:
    """A cluster that is asked no more when a step has used up its time."""

    def __init__(self, kube):
        self.kube, self.deadline = kube, float("inf")

    def __getattr__(self, name):
        if time.monotonic() > self.deadline:
            raise Stuck()
        return getattr(self.kube, name)


# ---- a scenario that needs every right ----

def starts(run):
    run.operator = elected(run, binary=run.binary)

    def ready():
        run.kube.list("pod", run.namespaces[0])  # for its patience
        return answers(run.operator)
    wait("the operator ready", ready, SOON, 0.05)


def makes_a_cluster(run):
    session(run, idle="1s", **run.exposed["spec"])


def exposes_it(run):
    for kind, name in run.exposed["objects"]:
        there(run, kind, name)


def mends_it(run):
    """What somebody deletes comes back."""
    for kind, name in (("service", "demo-rest"), ("configmap", "flink-config-demo"), *run.exposed["objects"]):
        uid = there(run, kind, name)["metadata"]["uid"]
        run.kube.delete(kind, run.namespaces[0], name)
        wait(f"{kind} {name} back", lambda kind=kind, name=name, uid=uid: dig(
            run.kube.get(kind, run.namespaces[0], name), "metadata.uid", uid) != uid, SOON, 0.05)
    cluster_ready(run)


def runs_a_job(run):
    submit(run)
    equal(len(pods(run, "taskmanager")), 1, "TaskManagers")


def takes_a_savepoint(run):
    run.kube.create("flinksnp", run.namespaces[0], snapshot(run.namespaces[0], path="file:///savepoints"))
    taken(run)
    delete(run, "flinksnp", "backup")


def keeps_the_last_periodic_one(run):
    run.flinks.cluster(f"{run.namespaces[0]}/demo").savepoints = "file:///savepoints"

    def names():
        return [s["metadata"]["name"] for s in run.kube.list("flinksnp", run.namespaces[0])]

    def every(interval):
        run.kube.patch("sessionjob", run.namespaces[0], "first", {"spec": {"flinkConfiguration": {
            "kubernetes.operator.periodic.savepoint.interval": interval,
            "kubernetes.operator.savepoint.history.max.count": 1}}})
    every("1 s")
    first = wait("a periodic savepoint", names, SOON, 0.05)
    wait("its end", lambda: first[0] not in names(), SOON, 0.05)
    every(None)


def ends_the_job(run):
    delete(run, "sessionjob", "first")


def releases_taskmanagers(run):
    wait("no TaskManagers", lambda: not pods(run, "taskmanager"), SOON, 0.1)


def rolls_out(run):
    before = sorted(pods(run, "jobmanager"))
    change(run, flinkConfiguration={"pipeline.name": "changed", "kubernetes.operator.exposure.controller-namespaces": "edge",
                                    "high-availability.type": "kubernetes", "high-availability.storageDir": "file:///ha"})
    cluster_ready(run)
    check(sorted(pods(run, "jobmanager")) != before, "the same JobManager as before")


def changes_what_exposes_it(run):
    ns = run.namespaces[0]
    change(run, ingress={"template": "other.example.com"} if "ingress" in run.exposed["spec"] else None,
           exposure={"timeout": "1m"},
           **({"jobManager": {"podDisruptionBudget": {"maxUnavailable": 1}}} if "jobManager" in run.exposed["spec"] else {}))
    for probe, kind, name in (
            (lambda o: dig(o, "spec.rules.0.host") == "other.example.com", "ingress", "demo"),
            (lambda o: "edge" in str(o["spec"]), "networkpolicy", "demo-ui"),
            (lambda o: dig(o, "spec.maxUnavailable") == 1, "budget", "demo-jobmanager"),
            (lambda o: annotations(o)["haproxy.router.openshift.io/timeout"] == "1m", "route", "demo-ui")):
        if (kind, name) in run.exposed["objects"]:
            wait(f"the changed {kind}", lambda kind=kind, name=name, probe=probe: probe(run.kube.get(kind, ns, name)), SOON, 0.05)


def removes_what_exposes_it(run):
    change(run, ingress=None, exposure=None, jobManager={"podDisruptionBudget": None})
    for kind, name in run.exposed["objects"]:
        gone(run, kind, name)


def warns_twice(run):
    """The same mistake two times is one event with a count."""
    def stalled(status):
        wait(f"Stalled {status}", lambda: condition(
            run.kube.get("flinkdep", run.namespaces[0], "demo"), "Stalled").get("status") == status, SOON, 0.05)
    for _ in range(2):
        change(run, exposure={"type": "None", "auth": {"type": "OpenShiftOAuth"}})
        stalled("True")
        change(run, exposure=None)
        stalled("False")
    wait("the event with a count", lambda: [
        e for e in events_of(run, "demo") if e["reason"] == "ValidationError" and e.get("count", 1) > 1], SOON, 0.1)


def deletes_it(run):
    """With what Flink's high availability has kept, which has no owner."""
    run.kube.create("configmap", run.namespaces[0], {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "demo-cluster-config-map", "labels": {
            "app": "demo", "type": "flink-native-kubernetes"}}})
    delete(run, "flinkdep", "demo")
    nothing_left(run)


STEPS = (starts, makes_a_cluster, exposes_it, mends_it, runs_a_job, takes_a_savepoint, keeps_the_last_periodic_one,
         ends_the_job, releases_taskmanagers, rolls_out, changes_what_exposes_it, removes_what_exposes_it, warns_twice, deletes_it)


# ---- with these rules ----

def rights_of(rules):
    """(group, resource, verb) of each right in them."""
    return [(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]]


def but(rules, right):
    """The rules without that one right."""
    group, resource, verb = right
    left = [{"apiGroups": [g], "resources": [r], "verbs": [v]} for g, r, v in rights_of(rules) if (g, r, v) != right]
    check(len(left) == len(rights_of(rules)) - 1, f"{verb} {resource} ({group}) is not one of the rights")
    return left


def scene(run, name, rules, exposed, binary="build/flink-operator"):
    """The run with a namespace and an account of its own that has these rights."""
    own = copy.copy(run)
    own.account, own.namespaces, own.operators = f"{run.account}-{name}", [], []
    own.dir, own.kube = os.path.join(run.dir, name), Patient(run.kube)
    own.exposed, own.binary, own.operator = exposed, binary, None
    run.cleanup(run.plane.after, own)
    ns = namespace(own)
    run.plane.account(own.account, [ns], rules=rules)
    run.plane.bound.add((own.account, ns))
    return own


def asked_for(run):
    """The rights that show in what this account was given: those on owners do not."""
    used = set()
    for e in run.plane.requests(run.account):
        ref, code = e["objectRef"], e["responseStatus"]["code"]
        resource = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
        used.add((ref.get("apiGroup", ""), resource, e["verb"]))
        if e["verb"] == "patch" and code == 201:  # a server-side apply that made it
            used.add((ref.get("apiGroup", ""), resource, "create"))
    return used


def whole(run, rules, exposed, unseen):
    """Everything passes, nothing is forbidden, and each right is used."""
    own = scene(run, "whole", rules, exposed, binary="build/asan/flink-operator")
    for step in STEPS:
        step(own)
    log_has_no(own.operator, "forbidden", "cannot watch")
    refused = [m for m in own.operator.get("/metrics")[1].splitlines() if m.startswith("rest_client_") and 'code="403"' in m]
    equal(refused, [], "403 in the operator's metrics")
    equal(run.plane.refusals(own.account), [], "what the API server has forbidden")
    found = set(rights_of(rules)) - asked_for(own)
    equal(sorted(f"{v} {r}" for _, r, v in found), sorted(unseen), "rights that were not used as far as the audit log shows")
    own.operator.stop()


# ---- without one right ----

def words(run, right):
    """(what the API server says when it is missing, what the operator says)."""
    group, resource, verb = right
    text = f'cannot {verb} resource "{resource}" in API group "{group}" in the namespace "{run.namespaces[0]}"'
    if resource.endswith("/finalizers"):
        return "an ownerReference refers to a resource you can't set finalizers on", text
    return (NO_HOST, NO_HOST) if resource == "routes/custom-host" else (text, text)


def places(run, right):
    """Where it must be told."""
    _, resource, verb = right
    if resource == "events" or right == RENEWAL:
        return "log",
    if resource == "leases":
        return "log", "readyz"
    if resource.endswith("/status") or (resource == "flinkstatesnapshots" and verb in ("create", "delete")):
        return "log", "event"
    return "log", "readyz" if verb in ("list", "watch") and resource not in ON_DEMAND else "status"


def told(run, place):
    if place == "log":
        return run.operator.log().replace('\\"', '"')
    if place == "readyz":
        return run.operator.get("/readyz")[1]
    ns = run.namespaces[0]
    if place == "event":
        return "\n".join(e["message"] for e in run.kube.list("event", ns))
    found = [run.kube.get("flinkdep", ns, "demo"), run.kube.get("sessionjob", ns, "first"), run.kube.get("flinksnp", ns, "backup")]
    return "\n".join(c["message"] for cr in found for c in dig(cr or {}, "status.conditions", []))


def stuck_at(run):
    """The name of the step that does not come to its end; None: all do."""
    for step in STEPS:
        run.kube.deadline = time.monotonic() + PATIENCE
        try:
            step(run)
        except (Stuck, Failure):
            return step.__name__
        finally:
            run.kube.deadline = float("inf")
    return None


def cannot_go_on(run):
    """It begins, and ends when its Lease counts as lost, 10 s after it was taken; the steps may be through by then."""
    starts(run)
    equal(run.operator.process.wait(2 * PATIENCE), 3, "its exit code")
    return "goes_on"


def without(run, rules, right, exposed):
    """What breaks without that right: a sentence, with FAILED if it is not what should."""
    group, resource, verb = right
    what = f"{verb} {resource}"
    own = scene(run, what.replace("/", "-").replace(" ", "-"), but(rules, right), exposed)
    try:
        step = cannot_go_on(own) if right == RENEWAL else stuck_at(own)
        check(step, "nothing breaks")
        theirs, ours = words(own, right)
        for place in places(own, right):
            wait(f"{place}: {ours}", lambda place=place: ours in told(own, place), PATIENCE, 0.2)
        said = run.plane.refusals(own.account)
        check(said and all(theirs in s for s in said), lambda: f"the API server has forbidden {said or 'nothing'}")
        if right != RENEWAL:
            own.operator.stop()
        return f"{what}: {step.replace('_', ' ')}"
    except Failure as e:
        return f"FAILED {what}{f' ({group})' if group else ''}: {e}"


def each(run, rules, rights, exposed):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda right: without(run, rules, right, exposed), rights))
    bad = [line for line in found if line.startswith("FAILED")]
    check(not bad, lambda: f"{len(bad)} of {len(found)} rights:\n" + "\n".join(bad))
    return found


ON_OWNERS = ["update deployments/finalizers", "update flinkdeployments/finalizers"]


@test("everything works with exactly the Role of deploy/base; some of its rights taken away, one at a time", timeout=120)
def base(run):
    rules = run.plane.rules_of("base")
    rights = rights_of(rules)
    first = int(os.environ.get("RBAC_FIRST", datetime.date.today().toordinal() * SOME)) % len(rights)
    some = (rights + rights)[first:first + SOME]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        others = pool.submit(each, run, rules, some, PLAIN)
        whole(run, rules, PLAIN, ON_OWNERS)
        run.note(f"without {', '.join(others.result())}; RBAC_FIRST={first}")


@test("each right of deploy/base taken away: what breaks, and that it is told", full=True, timeout=900)
def base_each(run):
    rules = run.plane.rules_of("base")
    found = each(run, rules, rights_of(rules), PLAIN)
    run.file("found.txt", "\n".join(found) + "\n")
    run.note(f"{len(found)} rights")


@test("the same for what deploy/routes adds, with what OpenShift's API server asks for a host", full=True, timeout=400)
def routes_each(run):
    routes(run, True)
    run.kube.apply(HOST_POLICY, HOST_BINDING)
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        run.cleanup(run.kube.kubectl, "delete", kind, "custom-host")
    rules = run.plane.rules_of("openshift")
    found = each(run, rules, [r for r in rights_of(rules) if r[0] == ROUTES], ROUTE)
    run.file("found.txt", "\n".join(found) + "\n")
    run.note(", ".join(found))


@test("the overlays give the Role of deploy/base, and on Routes what deploy/routes says, and nothing else")
def overlays(run):
    base_rights = sorted(rights_of(run.plane.rules_of("base")))
    equal(len(base_rights), len(set(base_rights)), "rights that are named twice")
    check("*" not in str(base_rights), "a wildcard")
    for overlay in ("openshift", "cluster-wide"):
        rights = sorted(rights_of(run.plane.rules_of(overlay)))
        equal([r for r in rights if r[0] != ROUTES], base_rights, f"the rights of {overlay} but those on Routes")
        equal([(r, v) for g, r, v in rights if g == ROUTES],
              [("routes", v) for v in ("create", "delete", "list", "patch", "watch")] + [("routes/custom-host", "create")],
              f"the rights of {overlay} on Routes")


@test("deleted and made again at once, another each time: nothing is forbidden, although what is left has another owner")
def again(run):
    op = operator(run)
    for i in range(3):
        session(run, conf={"pipeline.name": f"n{i}"})
        delete(run, "flinkdep", "demo")
    session(run, conf={"pipeline.name": "last"})
    run.kube.delete("deployment", run.namespaces[0], "demo")
    change(run, flinkConfiguration={"pipeline.name": "another"})
    cluster_ready(run)
    equal(run.plane.refusals(run.account), [], "what the API server has forbidden")
    log_has_no(op, "forbidden")
