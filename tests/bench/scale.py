"""How the operator grows: session clusters on fake nodes, their JobManagers all played by responder.py."""
import collections
import concurrent.futures
import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
import time

from lib.accounts import Accounts, seconds
from lib.bed import ROOT, Bed
from lib.check import check, dig, wait
from lib.kube import Kube
from lib.manifests import cluster
from lib.operator import Process, build_image
from report import clusters

NS = ACCOUNT = "bench"
FAKE = {"spec": {"nodeSelector": {"type": "kwok"}, "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]}}
REPLIES = os.path.join(ROOT, "tests/golden/flink/replies/1.20.5")
# Where the pods of fake nodes have their addresses: all of these are made the bed's own.
NETWORKS = ("10.200.0.0/16", "10.244.0.0/16")
MIB = 1 << 20
# What the operator makes for a cluster; CLUSTER stands for its name.
MADE = (("configmap", "flink-config-CLUSTER"), ("deployment", "CLUSTER"), ("service", "CLUSTER"), ("service", "CLUSTER-rest"))


class Operator(Process):
    """The release build. The first line of its log is the time at which the process became the operator."""

    def __init__(self, bed, folder, kubeconfig, *options, env=None):
        super().__init__(bed, folder, "--kubeconfig", kubeconfig, "--flink-access", "direct", "--port", "0", *options,
                         binary="build/flink-operator", env=env, under=("bash", "-c", 'echo "$EPOCHREALTIME"; exec "$@"', "bash"))
        self.wait()

    def ready_ms(self):
        log = self.log()
        ready = re.search(r"^(\S+) \S+ +ready ", log, re.M)[1]
        return 1000 * (seconds(ready) - float(log.split("\n", 1)[0]))

    def proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}", encoding="utf-8") as f:
            return f.read()

    def status(self, key):
        return int(re.search(rf"^{key}:\s+(\d+)", self.proc("status"), re.M)[1])

    def cpu(self):
        """Seconds so far."""
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Scale(Accounts):
    def __init__(self, report, folder, rules=()):
        """rules: what the operator's account may do beside what its Role says."""
        self.report, self.folder, self.more = report, folder, list(rules)
        self.bed, self.kube, self.responder, self.operator = Bed("bench"), None, None, None
        self.n = 0  # clusters so far

    def start(self):
        if self.bed.is_up():
            self.bed.down()
        self.bed.up("--control-plane-only", "--apiserver-args", self.audit_arguments(self.folder))
        self.kube = Kube([self.bed.kubectl], self.bed.kubeconfig)
        self.kube.kubectl("apply", "--server-side", "-k", os.path.join(ROOT, "crds"))
        self.kube.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.bed("ctl", "restart", "kcm")  # its garbage collector looks for new kinds only twice a minute
        self.kube.namespace(NS)
        self.start_accounts()
        self.login = self.kubeconfig(self.folder, self.account(ACCOUNT, everywhere=True, rules=self.rules + self.more))
        self.bed("kwok", "10")
        for network in NETWORKS:
            self.bed("in", "ip", "route", "replace", "local", network, "dev", "lo")
        self.responder = self.bed.start(sys.executable, os.path.join(ROOT, "tests/bench/responder.py"), REPLIES, "8081",
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(self.responder.stdout.readline().strip() == "ready", "the responder did not start")

    def stop(self):
        for process in (self.operator and self.operator.process, self.responder):
            if process:
                process.kill()
                process.wait()
        if self.kube:
            self.kube.close()
        self.bed.down()

    def run_operator(self):
        if self.operator:
            self.operator.stop()
        self.operator = Operator(self.bed, self.folder, self.login)
        return self.operator

    def asked(self, since):
        """What the operator has asked the API server since then, as audit events, watches and events apart."""
        return [e for e in self.requests(ACCOUNT, since) if e["verb"] != "watch" and e["objectRef"]["resource"] != "events"]

    # ---- clusters ----

    def apply(self, i):
        """The i-th: its name."""
        name = f"bench-{i:05}"
        self.kube.create("flinkdep", NS, cluster(NS, name, slots=2, podTemplate=FAKE))
        return name

    @staticmethod
    def ready(watch):
        """Name → when it was first seen READY."""
        first = {}
        for when, _, cr in list(watch.history):
            if dig(cr, "status.jobManagerDeploymentStatus") == "READY":
                first.setdefault(cr["metadata"]["name"], when)
        return first

    def at_once(self, count):
        """So many, as fast as the API server takes them."""
        watch, start = self.kube.watch("flinkdep", NS), time.time()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(self.apply, range(count)))
        self.n, applied = count, time.time() - start
        wait(f"{count} clusters READY", lambda: len(self.ready(watch)) == count, 900, 0.5)
        took = max(self.ready(watch).values()) - start
        self.report.add(f"{clusters(count)}, from the first apply to all READY", took, "s", applied=round(applied, 2))
        self.report.add(f"{clusters(count)}, CPU time of the operator until then", self.operator.cpu(), "s")

    def objects(self, name):
        """What the operator has made for this cluster: kind, name and JSON of each, with CLUSTER for the cluster's name."""
        def bare(kind, named):
            found = self.kube.get(kind, NS, named)
            about = {k: v for k, v in found["metadata"].items() if k in ("name", "labels", "annotations")}
            kept = {k: v for k, v in found.items() if k in ("apiVersion", "kind", "data", "spec")}
            if kept.get("spec", {}).get("clusterIP", "None") != "None":  # each Service has its own
                del kept["spec"]["clusterIP"], kept["spec"]["clusterIPs"]
            return json.dumps(dict(kept, metadata=about)).replace(name, "CLUSTER")
        return [(kind, named, bare(kind, named.replace("CLUSTER", name))) for kind, named in MADE]

    def by_hand(self, count, objects):
        """The same objects for so many clusters, applied by clients that do nothing else: what API server, controllers and
        scheduler take for themselves, with any operator."""
        watch, start = self.kube.watch("pod", NS), time.time()

        def apply(i):
            name = f"bench-{i:05}"
            for kind, named, text in objects:
                self.kube.request("PATCH", self.kube.path(kind, NS, named.replace("CLUSTER", name)) + "?fieldManager=bench&force=true",
                                  text.replace("CLUSTER", name).encode(), content="application/apply-patch+yaml")

        def ready():
            return {o["metadata"]["name"] for _, _, o in list(watch.history)
                    if any(c["type"] == "Ready" and c["status"] == "True" for c in dig(o, "status.conditions") or [])}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(apply, range(count)))
        wait(f"{count} pods ready", lambda: len(ready()) >= count, 900, 0.5)
        self.report.add(f"{clusters(count)}, the same objects by hand to all pods ready", time.time() - start, "s")

    def one_by_one(self, count):
        """So many, each when the one before is READY."""
        watch, since, applied = self.kube.watch("flinkdep", NS), time.time(), {}
        for i in range(count):
            at = time.time()
            name = self.apply(i)
            applied[name] = at
            wait(f"{name} READY", lambda n=name: n in self.ready(watch), 60, 0.05)
        self.n = count
        events = self.asked(since)
        exists = {}
        for e in events:
            if e["verb"] == "patch" and e["objectRef"]["resource"] == "deployments":
                exists.setdefault(e["objectRef"]["name"], seconds(e["stageTimestamp"]))
        check(set(exists) == set(applied), lambda: f"Deployments of {sorted(exists)} instead of {sorted(applied)}")
        took, seen = [1000 * (exists[n] - applied[n]) for n in applied], self.ready(watch)
        self.report.percentiles("apply to JobManager Deployment exists", took, "ms")
        self.report.percentiles("apply to READY, the pod is ready at once", [seen[n] - applied[n] for n in applied], "s")
        by = collections.Counter(kind(e) for e in events)
        self.report.add("API requests for a new cluster, events apart", len(events) / count,
                        by={k: n / count for k, n in sorted(by.items())})
        self.report.add("status writes for a new cluster", by["patch flinkdeployments/status"] / count)

    # ---- what it takes ----

    def sizes(self):
        archive, _ = build_image(os.path.join(self.folder, "image"))
        binary = os.path.join(self.folder, "image/rootfs/usr/bin/flink-operator")
        with open(archive, "rb") as f:
            packed = len(gzip.compress(f.read(), 6))
        self.report.add("stripped binary", os.path.getsize(binary) / MIB, "MiB")
        self.report.add("compressed container image", packed / MIB, "MiB")

    def starts(self, count):
        self.report.median("start to ready, no clusters", [self.run_operator().ready_ms() for _ in range(count)], "ms")

    def resident(self, after=""):
        self.report.add(f"resident memory, {clusters(self.n)}{after}", self.operator.status("VmRSS") / 1024, "MiB")

    def quiet(self, length):
        """Nothing happens for so many seconds."""
        time.sleep(10)
        since, before = time.time(), self.operator.cpu()
        time.sleep(length)
        used = self.operator.cpu() - before
        events = self.asked(since)
        self.resident()
        self.report.add(f"threads, {clusters(self.n)}", self.operator.status("Threads"))
        self.report.add(f"descriptors, {clusters(self.n)}", len(os.listdir(f"/proc/{self.operator.process.pid}/fd")))
        self.report.add(f"CPU in quiet, {clusters(self.n)}", 100 * used / length, "% of a core")
        self.report.add(f"API reads and writes in a minute of quiet, {clusters(self.n)}", len(events) * 60 / length,
                        by=collections.Counter(map(kind, events)))

    def restart(self, length):
        since, name = time.time(), f"restart with {clusters(self.n)}"
        operator = self.run_operator()
        self.report.add(f"{name}, start to ready", operator.ready_ms(), "ms")
        time.sleep(length)
        self.report.add(f"{name}, CPU in the first {length} s", operator.cpu(), "s")
        writes = [e for e in self.asked(since) if e["verb"] not in ("get", "list")]
        self.report.add(f"{name}, writes", len(writes), by=collections.Counter(map(kind, writes)))
        self.resident(" after a restart")


def kind(event):
    ref = event["objectRef"]
    return " ".join((event["verb"], "/".join(filter(None, (ref["resource"], ref.get("subresource"))))))


@contextlib.contextmanager
def fresh(*arguments, kind=Scale, **more):
    scale = kind(*arguments, **more)
    try:
        scale.start()
        yield scale
    finally:
        scale.stop()


def measure(report, options, folder):
    quiet, first = (10, 10) if options.quick else (60, 45)
    few, *many = options.clusters
    with fresh(report, folder) as scale:
        scale.sizes()
        scale.starts(3 if options.quick else 11)
        scale.quiet(quiet)
        scale.one_by_one(few)
        scale.quiet(quiet)
        objects = scale.objects("bench-00000")
    for count in many:
        with fresh(report, folder) as scale:
            scale.by_hand(count, objects)
        with fresh(report, folder) as scale:
            scale.run_operator()
            scale.at_once(count)
            scale.quiet(quiet)
            scale.restart(first)
