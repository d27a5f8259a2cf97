"""The operator's webhook on a control plane without a node: deploy/webhook as it is, and a Service whose address leads to
processes of this machine."""
import base64
import json
import os
import socket
import ssl
import threading

from lib.bed import ROOT
from lib.check import dig, wait
from lib.operator import overlay

NAME = "flink-operator"  # of the ValidatingWebhookConfiguration
SERVICE = "flink-operator-webhook"
SECRET = f"{SERVICE}-tls"


def parts(kube, folder, ns):
    """The objects of deploy/base with deploy/webhook for this namespace, as a list."""
    made = overlay(folder, "deploy/base", "flink-operator:test", ns,
                   more=[f"components: [{os.path.relpath(os.path.join(ROOT, 'deploy/webhook'), folder)}]"])
    text = kube.kubectl("kustomize", made)
    return [json.loads(kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=part))
            for part in text.split("\n---\n")]


class Webhook:
    """What deploy/webhook says for the operator in this namespace, with an account of plane that has the rights of deploy/base
    and deploy/webhook; None: one that has them already. policy: another failurePolicy."""

    def __init__(self, plane, folder, ns, account, policy=None):
        self.plane, self.kube, self.ns, self.account = plane, plane.kube, ns, account
        found = parts(self.kube, folder, ns)
        self.manifest = [o for o in found if o["kind"] in ("Service", "ValidatingWebhookConfiguration")]
        self.rules = {o["kind"]: o["rules"] for o in found
                      if o["kind"] in ("Role", "ClusterRole") and o["metadata"]["name"] == "flink-operator-webhook"}
        if policy:
            self.manifest[-1]["webhooks"][0]["failurePolicy"] = policy
        self.apply()
        if account:
            plane.account(account)
            plane.bind(account, f"namespaces/{ns}/", "Role", plane.rules_of("base") + self.rules["Role"])
            plane.bound.add((account, ns))
            plane.bind(account, "", "ClusterRole", self.rules["ClusterRole"])
        self.address = dig(self.kube.get("service", ns, SERVICE), "spec.clusterIP")
        plane.bed("in", "ip", "route", "replace", "local", f"{self.address}/32", "dev", "lo")

    def grant(self, without=None):
        """The rights again, but for one, as (resource, verb)."""
        for kind, where in (("Role", ["-n", self.ns]), ("ClusterRole", [])):
            rules = (self.plane.rules_of("base") if where else []) + [
                {**r, "verbs": [v for v in r["verbs"] if (r["resources"][0], v) != without] or ["deletecollection"]}
                for r in self.rules[kind]]
            self.kube.kubectl("patch", kind, self.account, *where, "--type=merge", "-p", json.dumps({"rules": rules}))

    def apply(self):
        """As users do, and what kubectl says."""
        return self.kube.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": self.manifest}))

    def options(self, *more, port=0):
        """Of the operator, and its environment."""
        return ("--webhook", NAME, "--webhook-port", str(port), *more), {"OPERATOR_NAMESPACE": self.ns}

    def tls(self):
        """For clients, as the API server is told to trust."""
        return ssl.create_default_context(cadata=base64.b64decode(self.bundle()).decode())

    def configuration(self):
        return self.kube.get("webhooks", None, NAME)

    def bundle(self):
        return dig(self.configuration(), "webhooks.0.clientConfig.caBundle")

    def secret(self):
        return self.kube.get("secret", self.ns, SECRET)

    def trusted(self, seconds=30):
        """The API server has been given a CA for the certificate that there is."""
        def same():
            bundle = self.bundle()
            return bundle and bundle == dig(self.secret() or {}, "data", {}).get("ca.crt")
        wait("the caBundle in the configuration", same, seconds, 0.05)

    def remove(self):
        self.kube.delete("webhooks", None, NAME)
        for kind in ("clusterrole", "clusterrolebinding"):
            self.kube.kubectl("delete", kind, self.account)
        self.plane.bed("in", "ip", "route", "del", "local", f"{self.address}/32", "dev", "lo")


class Balancer:
    """What kube-proxy does: connections to the Service's address go to one of the ports, in turn."""

    def __init__(self, netns, address, *ports):
        self.netns, self.ports, self.turn, self.count = netns, list(ports), 0, {}
        self.listener = netns.listen(address, 443)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        self.turn += 1
        try:
            port = self.ports[self.turn % len(self.ports)]
            server = self.netns.connect("127.0.0.1", port)
        except (OSError, ZeroDivisionError):
            client.close()
            return
        self.count[port] = self.count.get(port, 0) + 1
        threading.Thread(target=self.pump, args=(server, client), daemon=True).start()
        self.pump(client, server)

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
