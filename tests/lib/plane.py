"""A control plane without a node, with the operator as a process of this machine: what the integration and the fault
tiers stand on. Pods are played by fake_kubelet.py, Flink by fake_flink.py; the operator logs in with the token of a
service account that may do what the Role in deploy/openshift says, and nothing else; the API server asks for rights on
owners, as OpenShift's does."""
import http.client
import os
import re
import subprocess
import threading
import time

from lib import fake_flink
from lib.accounts import Accounts, moment, named  # noqa: F401  (tests have the last two from here)
from lib.bed import ROOT, Bed
from lib.check import Failure, check, wait
from lib.collect import collect
from lib.fake_kubelet import Kubelet
from lib.kube import Kube
from lib.netns import Netns
from lib.operator import Process, sum_metrics

SOON = 30  # s for what takes a second or two
LIKE_OPENSHIFT = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"


class Connection(http.client.HTTPConnection):
    """HTTP over a socket that is connected already."""

    def __init__(self, sock):
        super().__init__("localhost")
        self.sock = sock


class Operator(Process):
    """The daemon in the bed's network."""

    def __init__(self, plane, folder, kubeconfig, namespaces, *options, **more):
        self.plane = plane
        super().__init__(plane.bed, folder, "--kubeconfig", kubeconfig, "--flink-access", "direct", "--port", "0",
                         "--namespace", ",".join(namespaces), *options, **more)

    def port(self):
        return int(re.search(r" port=(\d+)", self.log())[1])

    def get(self, path, seconds=5, address="127.0.0.1"):
        """(status, text) of its own server."""
        sock = self.plane.netns.connect(address, self.port())
        sock.settimeout(seconds)
        connection = Connection(sock)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        return sum_metrics(self.get("/metrics")[1])

    def memory(self):
        """(resident, the most so far) in MB."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as f:
            text = f.read()
        return tuple(int(re.search(rf"{key}:\s+(\d+)", text)[1]) / 1024 for key in ("VmRSS", "VmHWM"))

    def alive(self):
        check(self.process.poll() is None,
              lambda: f"the operator ended with {self.process.poll()}; the end of its log:\n{self.log()[-4000:]}")


class Plane(Accounts):
    def __init__(self, name, folder):
        self.bed, self.folder = Bed(name), folder
        self.kube = self.netns = self.flinks = self.kubelet = None
        self.bound = set()  # (account, namespace) that have a Role

    # ---- the whole ----

    def start(self, keep=False):
        if os.geteuid():
            raise Failure("a bed needs root")
        make = ["nice", "make", "--no-print-directory", "-s", "-j2", "-C", ROOT]
        subprocess.run([*make, "BUILD=asan", "build/asan/flink-operator"], check=True)
        subprocess.run(make, check=True)
        if self.bed.is_up():
            self.bed.down()
        self.bed.up("--control-plane-only", "--apiserver-args", f"{self.audit_arguments(self.folder)} {LIKE_OPENSHIFT}",
                    owner="none" if keep else None)
        self.bed("ctl", "stop", "scheduler")  # nothing is to contradict the kubelet that is played
        for network in (fake_flink.NETWORK, fake_flink.NETWORK6):
            self.bed("in", "ip", "-6" if ":" in network else "-4", "route", "replace", "local", network, "dev", "lo")
        self.kube = Kube([self.bed.kubectl], self.bed.kubeconfig)
        self.netns = Netns(self.bed.start)
        self.kube.kubectl("apply", "--server-side", "-k", os.path.join(ROOT, "crds"))
        self.kube.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.bed("ctl", "restart", "kcm")  # its garbage collector looks for new kinds only twice a minute
        self.start_accounts()
        self.flinks = fake_flink.Flinks(self.netns)
        self.kubelet = Kubelet(self.kube, self.flinks)

    def stop(self, keep=False):
        if self.kubelet:
            self.kubelet.stop()
            self.flinks.close()
        if self.netns:
            self.netns.close()
        if self.kube:
            self.kube.close()
        if not keep:
            self.bed.down()

    def failed(self, run):
        """What there is to know after a test has failed: objects in files, the ends of logs on the terminal too."""
        for operator in run.operators:
            tail = operator.log()[-20000:].splitlines()[-12:]
            print("\n".join(f"            | {line[:400]}" for line in tail), flush=True)
        collect(self.kube, run.dir, run.namespaces)

    # ---- namespaces ----

    def namespace(self, name):
        """A namespace in which pods can be made."""
        self.kube.namespace(name)

        def ready():
            self.kube.json("GET", f"api/v1/namespaces/{name}/serviceaccounts/default")
            return self.kube.get("configmap", name, "kube-root-ca.crt")
        wait(f"namespace {name} ready", ready, SOON, 0.05)
        return name

    # ---- one test ----

    def before(self, run):

        run.plane, run.kube, run.bed, run.flinks, run.kubelet = self, self.kube, self.bed, self.flinks, self.kubelet
        run.namespaces, run.operators = [], []
        run.account = re.sub(r"[^a-z0-9]+", "-", run.test.id)
        run.since = time.time()
        self.kubelet.policy = None
        self.flinks.ipv6 = False
        run.cleanup(self.after, run)

    def after(self, run):
        for operator in run.operators:
            if operator.process.poll() is None:
                operator.process.kill()
                operator.process.wait()
        for ns in run.namespaces:
            for kind in ("flinksnp", "sessionjob", "flinkdep"):  # what has none goes with the namespace while it is looked at
                for cr in self.kube.list(kind, ns):
                    self.kube.patch(kind, ns, cr["metadata"]["name"], {"metadata": {"finalizers": None}})
            self.kube.delete("namespace", None, ns)


class Sampler:
    """Calls something again and again in a thread until stopped: sampler.values."""

    def __init__(self, function, every=0.05):
        self.function, self.every, self.values, self.ended = function, every, [], False
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self):
        while not self.ended:
            try:
                self.values.append(self.function())
            except (OSError, Failure, http.client.HTTPException) as e:
                self.values.append(e)
            time.sleep(self.every)

    def stop(self):
        self.ended = True
        self.thread.join()
        return self.values
