"""The operator under test: as its own container image in a Deployment, or as a process of this machine."""
import hashlib
import os
import signal
import subprocess
import time

from lib.bed import ROOT
from lib.check import Failure, check, dig, equal, wait

NAMESPACE = "flink-operator"
REPLICAS = 2  # in deploy/


def build_image(folder, binary="build/flink-operator"):
    """(archive, name) of the operator's image, made without a daemon; the name changes with the contents."""
    os.makedirs(folder, exist_ok=True)
    root, archive = os.path.join(folder, "rootfs"), os.path.join(folder, "flink-operator.tar")
    subprocess.run([os.path.join(ROOT, "deploy/rootfs"), os.path.join(ROOT, binary), root], check=True)
    digest = hashlib.sha256()
    for at, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(at, name)
            with open(path, "rb") as f:
                digest.update(path[len(root):].encode() + hashlib.sha256(f.read()).digest())
    name = f"flink-operator:{digest.hexdigest()[:12]}"
    subprocess.run([os.path.join(ROOT, "tests/bed/bed"), "image", archive, name, "--layer", root, "--user", "65532:65532",
                    "--entrypoint", "/usr/bin/flink-operator", "--cmd", "run"], check=True)
    return archive, name


def overlay(folder, base, image, namespace=None, resources=(), more=()):
    """Writes a kustomization that puts this image into deploy/<base>, and returns its folder, for `apply -k`. more:
    further lines of it."""
    os.makedirs(folder, exist_ok=True)
    name, _, tag = image.rpartition(":")
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "resources:",
             *[f"- {os.path.relpath(os.path.join(ROOT, r), folder)}" for r in (base, *resources)],
             *([f"namespace: {namespace}"] if namespace else []),
             f"images: [{{name: flink-operator, newName: {name}, newTag: \"{tag}\"}}]",
             *more]
    with open(os.path.join(folder, "kustomization.yaml"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    return folder


LABEL = "app.kubernetes.io/name=flink-operator"
PROCESS = "^/usr/bin/flink-operator run"


class Deployed:
    """The operator's Deployment in a namespace, and its pods: who leads and who waits. bed: if there is one, for kill()."""

    def __init__(self, kube, ns=NAMESPACE, bed=None):
        self.kube, self.ns, self.bed = kube, ns, bed

    def pods(self):
        return [p for p in self.kube.list("pod", self.ns, LABEL) if not p["metadata"].get("deletionTimestamp")]

    def ready(self):
        """The pod that leads, for wait(), when all of them are ready."""
        pods = self.pods()
        equal(len(pods), dig(self.kube.get("deployment", self.ns, "flink-operator"), "spec.replicas"), "pods of the operator")
        for pod in pods:
            conditions = {c["type"]: c["status"] for c in dig(pod, "status.conditions", [])}
            check(conditions.get("Ready") == "True", lambda pod=pod: f"a pod of the operator is not ready: {pod.get('status')}")
        holder = dig(self.kube.get("lease", self.ns, "flink-operator") or {}, "spec.holderIdentity")
        leads = [p for p in pods if holder == f"{p['metadata']['name']}_{p['metadata']['uid']}"]
        check(leads, f"the Lease is held by {holder}")
        return leads[0]

    def wait(self, seconds=60):
        return wait("the operator ready", self.ready, seconds)

    def kill(self):
        """As kill -9 would end all of it, with its nodes: the pods are gone without a grace period. So is the Lease, which others
        would have to wait for."""
        if pids := self.bed and self.bed.pids(PROCESS):
            self.bed.signal("KILL", pids)
        for pod in self.kube.list("pod", self.ns, LABEL):
            self.kube.delete("pod", self.ns, pod["metadata"]["name"], now=True)
        self.kube.delete("lease", self.ns, "flink-operator")

    def scale(self, replicas):
        self.kube.patch("deployment", self.ns, "flink-operator", {"spec": {"replicas": replicas}})

    def log(self):
        return self.kube.kubectl("logs", "-n", self.ns, "-l", LABEL, "--prefix", "--tail=-1", fail=False)

    def metrics(self):
        """Metrics without their labels: name → sum."""
        pod = self.ready()["metadata"]["name"]
        text = self.kube.request("GET", f"api/v1/namespaces/{self.ns}/pods/{pod}:8085/proxy/metrics").decode()
        return sum_metrics(text)

    def rss(self):
        return self.metrics()["process_resident_memory_bytes"]


def sum_metrics(text):
    sums = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            sums[name] = sums.get(name, 0) + float(value)
    return sums


class Process:
    """The operator as a process of this machine, in a bed's network. Its log goes to a file. under: words of a command that
    runs what follows it in its own place."""

    def __init__(self, bed, folder, *options, binary="build/asan/flink-operator", under=(), env=None):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, f"operator-{time.time():.3f}.log")
        asan = "abort_on_error=0:exitcode=99:detect_stack_use_after_return=1"
        with open(self.path, "wb") as log:
            self.process = bed.start(
                *under, os.path.join(ROOT, binary), "run", "--kubeconfig", bed.kubeconfig, "--log-format", "text", *options,
                stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "ASAN_OPTIONS": asan, **(env or {})})

    def log(self):
        with open(self.path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait(self, seconds=60):
        def ready():
            if self.process.poll() is not None:
                raise SystemError(f"the operator ended: {self.log()[-1500:]}")
            return " ready" in self.log()
        wait("the operator ready", ready, seconds, 0.02)

    def stop(self, seconds=30):
        """SIGTERM; fails when it does not end cleanly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired as e:
            self.process.kill()
            raise Failure(f"the operator did not end within {seconds} s of SIGTERM") from e
        check(code == 0, f"the operator ended with exit code {code}; the end of its log:\n{self.log()[-3000:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()
