"""A Kubernetes cluster: kubectl for what people do, and one `kubectl proxy` for what is asked again and again (a
kubectl per question would cost more than the answer). The proxy speaks every way to log in that kubectl knows."""
import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

from lib.check import Failure, wait

KINDS = {
    "pod": ("api/v1", "pods"),
    "service": ("api/v1", "services"),
    "configmap": ("api/v1", "configmaps"),
    "secret": ("api/v1", "secrets"),
    "event": ("api/v1", "events"),
    "secret": ("api/v1", "secrets"),
    "webhooks": ("apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
    "resourcequota": ("api/v1", "resourcequotas"),
    "node": ("api/v1", "nodes"),
    "namespace": ("api/v1", "namespaces"),
    "deployment": ("apis/apps/v1", "deployments"),
    "lease": ("apis/coordination.k8s.io/v1", "leases"),
    "ingress": ("apis/networking.k8s.io/v1", "ingresses"),
    "budget": ("apis/policy/v1", "poddisruptionbudgets"),
    "networkpolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "route": ("apis/route.openshift.io/v1", "routes"),
    "flinkdep": ("apis/flink.apache.org/v1beta1", "flinkdeployments"),
    "sessionjob": ("apis/flink.apache.org/v1beta1", "flinksessionjobs"),
    "flinksnp": ("apis/flink.apache.org/v1beta1", "flinkstatesnapshots"),
    "crd": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
}


class ApiError(Failure):
    def __init__(self, status, text):
        super().__init__(f"HTTP {status}: {text.strip()[:500]}")
        self.status = status


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Kube:
    def __init__(self, kubectl=("kubectl",), kubeconfig=None):
        self.command = list(kubectl)
        self.environ = dict(os.environ, **({"KUBECONFIG": kubeconfig} if kubeconfig else {}))
        self.folder = tempfile.TemporaryDirectory(prefix="flinkop-proxy-")
        self.socket = os.path.join(self.folder.name, "api")
        self.proxy = subprocess.Popen(
            [*self.command, "proxy", f"--unix-socket={self.socket}"], env=self.environ, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait("kubectl proxy", lambda: os.path.exists(self.socket), 30, 0.02)

    def close(self):
        self.proxy.kill()
        self.proxy.wait()
        self.folder.cleanup()

    # ---- kubectl ----

    def kubectl(self, *words, stdin=None, timeout=120, fail=True):
        """kubectl's standard output."""
        try:
            done = subprocess.run([*self.command, *words], env=self.environ, input=stdin, timeout=timeout, text=True,
                                  capture_output=True, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"kubectl {' '.join(words[:4])}: not done after {timeout} s") from e
        if fail and done.returncode:
            raise Failure(f"kubectl {' '.join(words[:6])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout if fail else done.stdout + done.stderr

    def exec(self, ns, pod, *words, **options):
        return self.kubectl("exec", "-n", ns, pod, "-c", "flink-main-container", "--", *words, **options)

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    # ---- the API ----

    def request(self, method, path, body=None, content="application/json", timeout=30):
        """The answer's body as bytes."""
        connection = UnixConnection(self.socket, timeout)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, "/" + path, data, {"Content-Type": content} if data else {})
            answer = connection.getresponse()
            found = answer.read()
        except http.client.HTTPException as e:
            raise OSError(f"{method} {path}: {e!r}") from e
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(answer.status, found.decode(errors="replace"))
        return found

    def json(self, method, path, body=None, **options):
        return json.loads(self.request(method, path, body, **options) or b"null")

    @staticmethod
    def path(kind, ns=None, name=None):
        group, plural = KINDS[kind]
        return "/".join(filter(None, [group, ns and f"namespaces/{ns}", plural, name]))

    def get(self, kind, ns, name):
        """The object, or None."""
        try:
            return self.json("GET", self.path(kind, ns, name))
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def list(self, kind, ns=None, labels=""):
        query = f"?labelSelector={labels.replace('=', '%3D').replace(',', '%2C')}" if labels else ""
        return self.json("GET", self.path(kind, ns) + query)["items"]

    def create(self, kind, ns, body):
        return self.json("POST", self.path(kind, ns), body)

    def patch(self, kind, ns, name, body):
        return self.json("PATCH", self.path(kind, ns, name), body, content="application/merge-patch+json")

    def patch_status(self, kind, ns, name, body):
        return self.json("PATCH", self.path(kind, ns, name) + "/status", body, content="application/merge-patch+json")

    def delete(self, kind, ns, name, now=False):
        """Asks for it; does not wait. That it is gone already is fine. now: without a grace period."""
        try:
            self.json("DELETE", self.path(kind, ns, name), {"gracePeriodSeconds": 0} if now else None)
        except ApiError as e:
            if e.status != 404:
                raise

    def namespace(self, name):
        self.create("namespace", None, {"metadata": {"name": name}})

    def watch(self, kind, ns):
        return Watch(self, kind, ns)


class Watch:
    """Everything that happens to the objects of a kind in a namespace, with the time at which it was seen: history is
    a list of (seconds since the epoch, ADDED | MODIFIED | DELETED, object)."""

    def __init__(self, kube, kind, ns):
        self.history = []
        listed = kube.json("GET", kube.path(kind, ns))
        self.version = listed["metadata"]["resourceVersion"]
        self.kube, self.path, self.ended = kube, kube.path(kind, ns), False
        self.history += [(time.time(), "ADDED", o) for o in listed["items"]]
        self.connection = None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while not self.ended:
            try:
                self.connection = UnixConnection(self.kube.socket, 600)
                self.connection.request("GET", f"/{self.path}?watch=1&resourceVersion={self.version}")
                for line in self.connection.getresponse():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return  # too old: tests are shorter than that
                    self.version = event["object"]["metadata"]["resourceVersion"]
                    self.history.append((time.time(), event["type"], event["object"]))
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                time.sleep(0.2)

    def stop(self):
        self.ended = True
        if self.connection and self.connection.sock:
            try:
                self.connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def first(self, wanted, what="it"):
        """When something was first seen of which wanted(type, object) holds."""
        for when, event, seen in list(self.history):
            if wanted(event, seen):
                return when
        raise Failure(f"{what} was never seen")
