"""`flink-operator migrate --check` against a real API server: what is in the way, what becomes of each resource, and that nothing is written."""
import json
import subprocess

from lib.check import check, dig, equal, holds, wait
from lib.manifests import cluster, job, snapshot
from lib.plane import SOON
from lib.plane_scene import namespace, operator, session, submit
from lib.suite import test

PROGRAM = "build/asan/flink-operator"
WEBHOOK = {"apiVersion": "admissionregistration.k8s.io/v1", "webhooks": [{
    "name": "validator.flink.apache.org", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
    "clientConfig": {"service": {"name": "flink-operator-webhook-service", "namespace": "gone", "path": "/validate"}},
    "rules": [{"apiGroups": ["none.flink.apache.org"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["nothing"]}]}]}


def migrate(run, kubeconfig, ns, code):
    done = subprocess.run([PROGRAM, "migrate", "--check", "-o", "json", "--kubeconfig", kubeconfig, "--namespace", ns],
                          text=True, capture_output=True, timeout=60, check=False)
    equal(done.returncode, code, f"exit code: {done.stdout[-1500:]} {done.stderr[-1500:]}")
    return json.loads(done.stdout)


@test("migrate names the other operator while it is there, tells what becomes of each resource, and writes nothing")
def tells(run):
    ns = namespace(run)
    kube, kubeconfig = run.kube, run.plane.bed.kubeconfig
    kube.create("flinkdep", ns, cluster(ns))
    kube.create("sessionjob", ns, job(ns, "first"))
    bad = cluster(ns, "bad")
    bad["spec"]["image"] = "no image"
    kube.create("flinkdep", ns, bad)
    before = {n: kube.get("flinkdep", ns, n) for n in ("demo", "bad")}
    found = migrate(run, kubeconfig, ns, 1)
    equal(found["obstacles"], [], "in the way")
    equal({r["name"]: r["verdict"] for r in found["resources"]}, {"demo": "new", "bad": "refused", "first": "new"}, "verdicts")
    check("spec.image" in json.dumps(found["resources"]), found)
    kube.delete("flinkdep", ns, "bad")
    equal(kube.get("flinkdep", ns, "demo"), before["demo"], "the resource")

    name = f"flink-operator-{ns}"
    run.kube.apply({**WEBHOOK, "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name}})
    run.cleanup(kube.delete, "webhooks", None, name)
    run.kube.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "flink-kubernetes-operator", "namespace": ns},
                    "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
                        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "none"}]}}}})
    found = migrate(run, kubeconfig, ns, 1)
    text = "\n".join(found["obstacles"])
    check(f"Deployment {ns}/flink-kubernetes-operator controls the same resources" in text, text)
    check(f"failurePolicy Fail): kubectl delete validatingwebhookconfiguration {name}" in text, text)
    kube.delete("deployment", ns, "flink-kubernetes-operator")
    kube.delete("webhooks", None, name)
    migrate(run, kubeconfig, ns, 0)


@test("migrate by who may see only one namespace: what it could not look at is told")
def of_one_namespace(run):
    ns = namespace(run)
    run.plane.account(run.account)
    run.plane.account(run.account, [ns])
    run.kube.create("flinkdep", ns, cluster(ns))
    found = migrate(run, run.plane.kubeconfig(run.dir, run.account), ns, 0)
    equal([r["verdict"] for r in found["resources"]], ["new"], "verdicts")
    text = "\n".join(found["notLookedAt"])
    check("forbidden" in text and "leases" in text and "mutatingwebhookconfigurations" in text, text)


@test("what has been handed back is left alone, its jobs and their snapshots too, until the annotation is taken away", full=True)
def left_alone(run):
    operator(run)
    ns = run.namespaces[0]
    session(run)
    submit(run)

    def release(value):
        run.kube.patch("flinkdep", ns, "demo", {"metadata": {"annotations": {"flink-operator/release": value}}})
    release("done")
    before = {kind: run.kube.get(kind, ns, name)["status"] for kind, name in (("flinkdep", "demo"), ("sessionjob", "first"))}
    run.kube.patch("flinkdep", ns, "demo", {"spec": {"restartNonce": 1}})
    run.kube.patch("sessionjob", ns, "first", {"spec": {"job": {"args": ["--name", "other"]}}})
    run.kube.create("flinksnp", ns, snapshot(ns))

    def untouched():
        for kind, name in (("flinkdep", "demo"), ("sessionjob", "first")):
            equal(run.kube.get(kind, ns, name)["status"], before[kind], f"status of {kind} {name}")
        found = run.kube.get("flinksnp", ns, "backup")
        check("status" not in found and "finalizers" not in found["metadata"], found)
        return True
    holds("nothing is written", untouched, 3)
    release(None)
    for kind, name in (("flinkdep", "demo"), ("sessionjob", "first")):
        wait(f"{kind} {name} is looked at again", lambda k=kind, n=name: dig(run.kube.get(k, ns, n), "status.observedGeneration") == 2, SOON)
