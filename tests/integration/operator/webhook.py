"""The validating admission webhook, asked by a real API server: what is not valid is refused when it is written."""
import base64
import json
import threading
import time

from lib.check import Failure, check, dig, equal, wait
from lib.kube import ApiError
from lib.manifests import application, cluster, job, snapshot
from lib.plane import SOON
from lib.plane_scene import answers, log_has_no, namespace, operator, session, submit
from lib.suite import test
from lib.webhook import NAME, SECRET, Balancer, Webhook
from rbac import rights_of

def installed(run, policy="Fail"):
    """deploy/webhook in a namespace of the test's own."""
    hook = Webhook(run.plane, run.dir, (run.namespaces or [namespace(run)])[0], run.account, policy)
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
    ns = namespace(run)
    # Before there is a webhook.
    run.kube.create("flinkdep", ns, cluster(ns, "broken", image="no image"))
    run.kube.patch("flinkdep", ns, "broken", {"metadata": {"finalizers": ["example.com/kept"]}})
    hook = installed(run)
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
         "spec.job: ", "a session cluster cannot become an application cluster", method="PUT")
    says(run, "sessionjob", {**run.kube.get("sessionjob", ns, "first"), "spec": job(ns, "first", deployment="another")["spec"]},
         "spec.deploymentName: ", "cannot change", method="PUT")
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


# ---- life ----

@test("while the operator is away everything is let through, as deploy/webhook says; applied again it changes nothing", full=True)
def away(run):
    op, hook = serving(run, policy=None)
    bundle = hook.bundle()
    equal([line.split()[-1] for line in hook.apply().splitlines()], ["unchanged"] * 2, "applied again")
    equal(hook.bundle(), bundle, "the caBundle after that")
    server_side = run.kube.kubectl("apply", "--server-side", "-f", "-", "--force-conflicts", stdin=json.dumps(hook.manifest[-1]))
    check("serverside-applied" in server_side and hook.bundle() == bundle, lambda: f"{server_side}, {hook.bundle()}")
    op.stop()
    began = time.monotonic()
    run.kube.create("flinkdep", hook.ns, cluster(hook.ns, "unseen", image="no image"))
    check(time.monotonic() - began < 6, "it has taken longer than the webhook's timeoutSeconds")


@test("both replicas answer, the one that leads and the one that waits; one of them goes without a request that fails", full=True)
def replicas(run):
    hook = installed(run)
    (first, one), (second, two) = [replica(run, hook, elect=True) for _ in range(2)]
    hook.trusted()
    balancer = balanced(run, hook, one, two)
    made = [op for op in (first, second) if "webhook: another certificate" in op.log()]
    equal(made, [first], "who has made a certificate")
    for port in (one, two):
        balancer.ports = [port]
        run.kube.kubectl("patch", "validatingwebhookconfiguration", NAME, "--type=json", "-p", json.dumps([  # another connection
            {"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 3 + (port == one)}]))
        says(run, "flinkdep", cluster(hook.ns, image="no image"), "spec.image")
    before = hook.secret()["metadata"]["uid"]
    balancer.ports = [two]
    first.stop()
    wait("the other one leads", lambda: second.metrics().get("leader_election_master_status") == 1 or " ready ms" in second.log(),
         SOON, 0.1)
    says(run, "flinkdep", cluster(hook.ns, image="no image"), "spec.image")
    equal(hook.secret()["metadata"]["uid"], before, "the Secret")
    check("webhook: another certificate" not in second.log(), "the one that leads now has made another certificate")
    second.stop()


@test("added to an operator that runs without it: the new pod is Ready before it leads, so that a roll-out ends", full=True)
def added(run):
    hook = installed(run)
    before = operator(run, [hook.ns], "--leader-elect", "--lease", f"{hook.ns}/flink-operator", wait_ready=False)
    wait("the one without a webhook leads", lambda: " ready ms" in before.log(), SOON, 0.1)
    after, port = replica(run, hook, elect=True)
    balanced(run, hook, port)
    wait("the one with a webhook is ready", lambda: after.get("/readyz")[0] == 200, SOON, 0.1)
    before.stop()
    hook.trusted()
    says(run, "flinkdep", cluster(hook.ns, image="no image"), "spec.image")
    equal(after.get("/readyz")[0], 200, "/readyz of the one that leads now")
    after.stop()


class Load:
    """Valid and invalid resources, without a pause: every one has to be answered by the webhook."""

    def __init__(self, run, threads=3):
        self.run, self.ended, self.done, self.failed = run, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.go, args=(i,), daemon=True) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def go(self, i):
        ns = self.run.namespaces[0]
        while not self.ended.is_set():
            try:
                image = "flink:1.20" if self.done % 2 else "no image"
                said = refused(self.run, "flinkdep", cluster(ns, f"load-{i}", image=image))
                check(bool(said) == (image == "no image"), f"{image}: {said}")
            except (Failure, OSError) as e:
                self.failed.append(f"{time.time():.1f} {e}")
            self.done += 1

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        equal(self.failed, [], "requests that failed")
        return self.done


@test("certificates are renewed again and again under load, by two replicas, without one request that fails; a Secret that is "
      "broken or gone is made anew", full=True)
def rotation(run):
    hook = installed(run)
    life = ("--webhook-certificate-lifetime", "24s")
    (first, one), (second, two) = [replica(run, hook, *life, elect=True, binary=b)
                                   for b in ("build/asan/flink-operator", "build/flink-operator")]
    hook.trusted()
    balanced(run, hook, one, two)
    wait("the webhook asked", lambda: refused(run, "flinkdep", cluster(hook.ns, "probe", image="no image")), SOON, 0.05)
    load = Load(run)
    seen, began = {hook.secret()["data"]["tls.crt"]}, time.monotonic()
    overlapped = False
    while len(seen) < 4:
        check(time.monotonic() - began < 120, lambda: f"{len(seen)} certificates in two minutes")
        seen.add(hook.secret()["data"]["tls.crt"])
        overlapped = overlapped or base64.b64decode(hook.bundle()).count(b"BEGIN CERTIFICATE") == 2
        time.sleep(0.1)
    check(overlapped, "old and new authority were never in the caBundle together")

    def shown():
        return [op.log().count("webhook: certificate secret=") for op in (first, second)]

    def another(what):
        before, told = hook.secret()["data"]["tls.crt"] if hook.secret() else None, shown()
        what()
        wait("another certificate", lambda: dig(hook.secret() or {}, "data", {}).get("tls.crt") not in (None, before, broken), SOON, 0.1)
        # The authorities of two certificates are trusted, not of three.
        wait("both show it", lambda: all(n > was for n, was in zip(shown(), told)), SOON, 0.1)
    broken = base64.b64encode(b"nonsense").decode()
    another(lambda: run.kube.patch("secret", hook.ns, SECRET, {"data": {"tls.crt": broken, "tls.key": broken}}))
    another(lambda: run.kube.delete("secret", hook.ns, SECRET))
    another(lambda: run.kube.patch("secret", hook.ns, SECRET, {"immutable": True, "data": {"tls.crt": broken, "tls.key": broken}}))
    check("immutable" not in hook.secret(), "the Secret in its place can be renewed")
    time.sleep(3)
    count = load.stop()
    wait("an event about it", lambda: [e for e in run.kube.list("event", hook.ns) if e["reason"] == "WebhookCertificate" and
                                       SECRET in e["message"]], SOON)
    key = base64.b64decode(hook.secret()["data"]["tls.key"]).decode().splitlines()[1]
    for op in (first, second):
        check(key not in op.log() and "PRIVATE" not in op.log(), "a key in the log")
        log_has_no(op, " error ")
        op.stop()
    run.note(f"{count} requests, {len(seen) + 2} certificates")


@test("the webhook works with exactly the rights of deploy/webhook; each of them taken away is told, and all else goes on",
      full=True, timeout=400)
def rights(run):
    op, hook = serving(run, policy=None)
    own = rights_of(hook.rules["Role"]) + rights_of(hook.rules["ClusterRole"])
    run.kube.patch("secret", hook.ns, SECRET, {"data": {"tls.key": ""}})
    wait("another certificate", lambda: op.log().count("webhook: another certificate") == 2, 2 * SOON, 0.2)
    wait("it is written", lambda: dig(hook.secret(), "data", {}).get("tls.key"), 2 * SOON, 0.2)
    run.kube.patch("secret", hook.ns, SECRET, {"immutable": True, "data": {"tls.key": ""}})
    wait("one in its place", lambda: "immutable" not in (hook.secret() or {"immutable": True}), 3 * SOON, 0.2)  # by its third look
    used = {(e["objectRef"].get("apiGroup", ""), e["objectRef"]["resource"], e["verb"]) for e in run.plane.requests(run.account)}
    equal(sorted(set(own) - used), [], "rights that were not used")
    equal(run.plane.refusals(run.account), [], "what the API server has forbidden")
    op.stop()
    for n, (group, resource, verb) in enumerate(own):
        run.kube.delete("secret", hook.ns, SECRET)
        if (resource, verb) == ("secrets", "patch"):
            run.kube.create("secret", hook.ns, {"metadata": {"name": SECRET}})
        if (resource, verb) == ("secrets", "delete"):
            run.kube.create("secret", hook.ns, {"metadata": {"name": SECRET}, "immutable": True})
        hook.grant(without=(resource, verb))
        options, env = hook.options()
        op = operator(run, [hook.ns], *options, env=env, binary="build/flink-operator")
        text = f'cannot {verb} resource "{resource}" in API group "{group}"'
        wait(f"told: {text}", lambda op=op, text=text: text in op.log().replace('\\"', '"'), SOON, 0.1)
        session(run, f"demo-{n}")
        op.stop()
