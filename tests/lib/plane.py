"""A control plane without a node, with the operator as a process of this machine: what the integration and the fault
tiers stand on. Pods are played by fake_kubelet.py, Flink by fake_flink.py; the operator logs in with the token of a
service account that may do what deploy/base/role.yaml says, and nothing else."""
import base64
import datetime
import http.client
import json
import os
import re
import shutil
import subprocess
import threading
import time

from lib import fake_flink
from lib.bed import ROOT, Bed
from lib.check import Failure, check, wait
from lib.collect import collect
from lib.fake_kubelet import Kubelet
from lib.kube import ApiError, Kube
from lib.netns import Netns
from lib.operator import Process, sum_metrics

ACCOUNTS = "op"  # namespace of the operators' service accounts; the audit log is about these
SOON = 30  # s for what takes a second or two
AUDIT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:op"]
- level: None
"""
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "%s", certificate-authority-data: "%s"}}]
users: [{name: u, user: {%s}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


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

    def get(self, path, seconds=5):
        """(status, text) of its own server."""
        sock = self.plane.netns.connect("127.0.0.1", self.port())
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


class Plane:
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
        audit = os.path.join(self.folder, "audit")
        shutil.rmtree(audit, ignore_errors=True)
        os.makedirs(audit)
        with open(os.path.join(audit, "policy.yaml"), "w", encoding="utf-8") as f:
            f.write(AUDIT)
        self.audit = os.path.join(audit, "log")
        if self.bed.is_up():
            self.bed.down()
        self.bed.up("--control-plane-only", "--apiserver-args",
                    f"--audit-policy-file={audit}/policy.yaml --audit-log-path={self.audit}", owner="none" if keep else None)
        self.bed("ctl", "stop", "scheduler")  # nothing is to contradict the kubelet that is played
        self.bed("in", "ip", "route", "replace", "local", fake_flink.NETWORK, "dev", "lo")
        self.kube = Kube([self.bed.kubectl], self.bed.kubeconfig)
        self.netns = Netns(self.bed.start)
        self.kube.kubectl("apply", "--server-side", "-k", os.path.join(ROOT, "crds"))
        self.kube.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.bed("ctl", "restart", "kcm")  # its garbage collector looks for new kinds only twice a minute
        role = self.kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", os.path.join(ROOT, "deploy/base/role.yaml"))
        self.role = json.JSONDecoder().raw_decode(role)[0]
        self.kube.namespace(ACCOUNTS)
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

    # ---- namespaces and accounts ----

    def namespace(self, name):
        """A namespace in which pods can be made."""
        self.kube.namespace(name)

        def ready():
            self.kube.json("GET", f"api/v1/namespaces/{name}/serviceaccounts/default")
            return self.kube.get("configmap", name, "kube-root-ca.crt")
        wait(f"namespace {name} ready", ready, SOON, 0.05)
        return name

    def account(self, name, namespaces=(), everywhere=False):
        """A service account with the operator's Role in these namespaces; what it may not do it may not."""
        try:
            self.kube.json("POST", f"api/v1/namespaces/{ACCOUNTS}/serviceaccounts", {"metadata": {"name": name}})
        except ApiError as e:
            if e.status != 409:
                raise
        for ns in namespaces:
            self.bind(name, f"namespaces/{ns}/", "Role")
        if everywhere:
            self.bind(name, "", "ClusterRole")
        return name

    def bind(self, account, where, kind):
        path = f"apis/rbac.authorization.k8s.io/v1/{where}"
        base = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": account}}
        self.kube.json("POST", f"{path}{kind.lower()}s", {**base, "kind": kind, "rules": self.role["rules"]})
        self.kube.json("POST", f"{path}{kind.lower()}bindings", {
            **base, "kind": kind + "Binding", "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": ACCOUNTS}]})

    def token(self, account, seconds=7200):
        path = f"api/v1/namespaces/{ACCOUNTS}/serviceaccounts/{account}/token"
        return self.kube.json("POST", path, {"spec": {"expirationSeconds": seconds}})["status"]["token"]

    def server(self):
        """(URL, CA as PEM) of the API server."""
        with open(self.bed.kubeconfig, encoding="utf-8") as f:
            text = f.read()
        ca = re.search(r"certificate-authority-data: *([A-Za-z0-9+/=]+)", text)[1]
        return re.search(r"server: *\"?(https://[^\s\"},]+)", text)[1], base64.b64decode(ca)

    def kubeconfig(self, folder, account, server=None, ca=None, token_file=None):
        """A kubeconfig for that account."""
        os.makedirs(folder, exist_ok=True)
        url, pem = self.server()
        user = f'tokenFile: "{token_file}"' if token_file else f'token: "{self.token(account)}"'
        path = os.path.join(folder, f"{account}.kubeconfig")
        with open(path, "w", encoding="utf-8") as f:
            f.write(KUBECONFIG % (server or url, base64.b64encode(ca or pem).decode(), user))
        return path

    # ---- one test ----

    def before(self, run):

        run.plane, run.kube, run.bed, run.flinks, run.kubelet = self, self.kube, self.bed, self.flinks, self.kubelet
        run.namespaces, run.operators = [], []
        run.account = re.sub(r"[^a-z0-9]+", "-", run.test.id)
        run.since = time.time()
        self.kubelet.policy = None
        run.cleanup(self.after, run)

    def after(self, run):
        for operator in run.operators:
            if operator.process.poll() is None:
                operator.process.kill()
                operator.process.wait()
        for ns in run.namespaces:
            self.kube.delete("namespace", None, ns)
            for kind in ("sessionjob", "flinkdep"):
                for cr in self.kube.list(kind, ns):
                    self.kube.patch(kind, ns, cr["metadata"]["name"], {"metadata": {"finalizers": None}})

    # ---- the audit log ----

    def requests(self, account, since=0.0, settle=0.3):
        """What this account asked the API server since then, as audit events; watches when they began."""
        time.sleep(settle)
        user, events = f"system:serviceaccount:{ACCOUNTS}:{account}", []
        with open(self.audit, encoding="utf-8") as f:
            for line in f:
                event = json.loads(line)
                stage = "ResponseStarted" if event["verb"] == "watch" else "ResponseComplete"
                if event["user"]["username"] == user and event["stage"] == stage and moment(event) >= since:
                    events.append(event)
        return events


def moment(event):
    """When the request of an audit event came, in seconds since the epoch."""
    text = event["requestReceivedTimestamp"]
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def named(event):
    """An audit event in a few words: "patch flinkdeployments/status demo"."""
    ref = event.get("objectRef", {})
    resource = "/".join(filter(None, [ref.get("resource"), ref.get("subresource")]))
    return f"{event['verb']} {resource} {ref.get('name', '')}".strip()


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
