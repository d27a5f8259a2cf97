"""The validating admission webhook, asked by a real API server: what is not valid is refused when it is written."""
import base64
import concurrent.futures
import json
import os
import threading
import time

from lib.check import Failure, check, dig, equal, wait
from lib.kube import ApiError
from lib.manifests import application, cluster, job, snapshot
from lib.plane import SOON
from lib.plane_scene import answers, cluster_ready, log_has_no, namespace, operator, session, submit
from lib.suite import test
from lib.webhook import NAME, SECRET, SERVICE, Balancer, Webhook
from rbac import rights_of

LEASE = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"]}]


def installed(run, policy="Fail"):
    """deploy/webhook in a namespace of the test's own."""
    hook = Webhook(run.plane, run.dir, namespace(run), run.account, policy)
    run.cleanup(hook.remove)
    return hook


def replica(run, hook, *more, elect=False, **how):
    """An operator that serves the webhook: (it, its port)."""
    options, env = hook.options(*more)
    if elect:
        options += ("--leader-elect", "--lease", f"{hook.ns}/flink-operator")
    op = operator(run, [hook.ns], *options, env=env, wait_ready=False, **how)
    wait("the operator ready", lambda: answers(op), SOON, 0.02)
    return op, int(op.log().split("webhookPort=")[1].split()[0])


def balanced(run, hook, *ports):
    balancer = Balancer(run.plane.netns, hook.address, *ports)
    run.cleanup(balancer.close)
    return balancer


def serving(run, policy="Fail", **how):
    """(operator, webhook) with the API server that asks and trusts it."""
    hook = installed(run, policy)
    op, port = replica(run, hook, **how)
    hook.trusted()
    balanced(run, hook, port)
    wait("the webhook asked", lambda: refused(run, "flinkdep", cluster(hook.ns, "probe", image="no image")), SOON, 0.05)
    return op, hook


def refused(run, kind, body, method="POST"):
    """The API server's message, None: it has taken it. Nothing is kept."""
    ns = run.namespaces[0]
    path = run.kube.path(kind, ns, body["metadata"]["name"] if method != "POST" else None) + "?dryRun=All"
    try:
        run.kube.request(method, path, json.dumps(body).encode())
    except ApiError as e:
        check(e.status == 422 or NAME not in str(e), lambda: f"not an answer of the webhook: {e}")
        return str(e).replace('\\"', '"')
    return None


def says(run, kind, body, *words, method="POST"):
    said = refused(run, kind, body, method) or "nothing"
    for word in words:
        check(word in said, lambda word=word: f"expected {word}, found {said}")


# ---- answers ----

@test("each kind that is not valid is refused with every field; valid ones pass; what is not valid already can be deleted")
def answered(run):
    hook = installed(run)
    ns = hook.ns
    # While nobody serves: not asked yet.
    hook.kube.patch("webhooks", None, NAME, {"webhooks": [{**hook.configuration()["webhooks"][0], "failurePolicy": "Ignore"}]})
    run.kube.create("flinkdep", ns, cluster(ns, "broken", image="no image"))
    run.kube.patch("flinkdep", ns, "broken", {"metadata": {"finalizers": ["example.com/kept"]}})
    hook.apply()
    op, port = replica(run, hook, binary="build/asan/flink-operator")
    hook.trusted()
    balanced(run, hook, port)
    wait("the webhook asked", lambda: refused(run, "flinkdep", cluster(ns, "probe", image="no image")), SOON, 0.05)
    says(run, "flinkdep", cluster(ns, image="no image", serviceAccount="Not a name"),
         "spec.image: must be a container image", "spec.serviceAccount: ")
    says(run, "sessionjob", job(ns, "first", jar="gopher://a/b.jar"), "spec.job.jarURI")
    says(run, "flinksnp", snapshot(ns, of="Not a name"), "spec.jobReference.name: must be at most", '"reason":"Invalid"')
    session(run)
    submit(run)
    for kind, body in (("flinkdep", cluster(ns, "other")), ("sessionjob", job(ns, "second")), ("flinksnp", snapshot(ns))):
        equal(refused(run, kind, body), None, f"a valid {kind}")
    # Beside what is recorded.
    says(run, "flinkdep", {**run.kube.get("flinkdep", ns, "demo"), "spec": application(ns, "demo")["spec"]},
         "spec.job: a session cluster cannot become an application cluster", method="PUT")
    says(run, "sessionjob", {**run.kube.get("sessionjob", ns, "first"), "spec": job(ns, "first", deployment="another")["spec"]},
         "spec.deploymentName: cannot change", method="PUT")
    # What is not valid already.
    wait("the operator tells that it is not valid", lambda: dig(run.kube.get("flinkdep", ns, "broken"), "status.error"), SOON)
    run.kube.patch("flinkdep", ns, "broken", {"metadata": {"labels": {"a": "b"}}})
    says(run, "flinkdep", {**run.kube.get("flinkdep", ns, "broken"), "spec": cluster(ns, image="no image", slots=2)["spec"]},
         "spec.image", method="PUT")
    run.kube.delete("flinkdep", ns, "broken")
    run.kube.patch("flinkdep", ns, "broken", {"metadata": {"finalizers": None}})
    wait("it is gone", lambda: not run.kube.get("flinkdep", ns, "broken"), SOON, 0.05)
    found = op.get("/metrics")[1]
    check('controller_runtime_webhook_requests_total{webhook="/validate",code="200"}' in found, "the metric")
    check("flink_operator_webhook_certificate_expiration_timestamp_seconds" in found, "when the certificate ends")
    log_has_no(op, "PRIVATE KEY", "webhook error")
    op.stop()
