"""Service accounts that may do what the Role in deploy/openshift says and nothing else, and what they asked the API server,
from its audit log."""
import base64
import datetime
import json
import os
import re
import shutil
import time

from lib.bed import ROOT
from lib.kube import ApiError

ACCOUNTS = "op"  # namespace of the accounts; the audit log is about these
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


class Accounts:
    """What a set-up with a bed, self.bed, and its cluster, self.kube, becomes by them."""

    def audit_arguments(self, folder):
        """The API server's, for an audit log in that folder; each bed has its own."""
        folder = os.path.join(folder, "audit", self.bed.name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        with open(os.path.join(folder, "policy.yaml"), "w", encoding="utf-8") as f:
            f.write(AUDIT)
        self.audit = os.path.join(folder, "log")
        return f"--audit-policy-file={folder}/policy.yaml --audit-log-path={self.audit}"

    def start_accounts(self):
        self.rules = self.rules_of("openshift")
        self.kube.namespace(ACCOUNTS)

    def rules_of(self, overlay):
        """The rules of the operator's Roles or ClusterRole as a folder of deploy/ gives them."""
        made = self.kube.kubectl("kustomize", os.path.join(ROOT, "deploy", overlay))
        roles = [part for part in made.split("\n---\n") if re.search(r"^kind: (Cluster)?Role$", part, re.M)]
        read = [json.loads(self.kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=r)) for r in roles]
        return [rule for role in read for rule in role["rules"]]

    def account(self, name, namespaces=(), everywhere=False, rules=None):
        """A service account with the operator's Role (or other rules) in these namespaces; what it may not do it may not."""
        try:
            self.kube.json("POST", f"api/v1/namespaces/{ACCOUNTS}/serviceaccounts", {"metadata": {"name": name}})
        except ApiError as e:
            if e.status != 409:
                raise
        for ns in namespaces:
            self.bind(name, f"namespaces/{ns}/", "Role", rules or self.rules)
        if everywhere:
            self.bind(name, "", "ClusterRole", rules or self.rules)
        return name

    def bind(self, account, where, kind, rules):
        path = f"apis/rbac.authorization.k8s.io/v1/{where}"
        base = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": account}}
        self.kube.json("POST", f"{path}{kind.lower()}s", {**base, "kind": kind, "rules": rules})
        self.kube.json("POST", f"{path}{kind.lower()}bindings", {
            **base, "kind": kind + "Binding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": ACCOUNTS}]})

    def token(self, account, lasts=7200):
        path = f"api/v1/namespaces/{ACCOUNTS}/serviceaccounts/{account}/token"
        return self.kube.json("POST", path, {"spec": {"expirationSeconds": lasts}})["status"]["token"]

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

    def audited(self, account, settle=0.3):
        """All audit events of this account."""
        time.sleep(settle)
        user, events = f"system:serviceaccount:{ACCOUNTS}:{account}", []
        with open(self.audit, encoding="utf-8") as f:
            for line in f:
                event = json.loads(line) if user in line else None
                if event and event["user"]["username"] == user:
                    events.append(event)
        return events

    def requests(self, account, since=0.0, settle=0.3):
        """What this account asked the API server since then, as audit events; watches when they began."""
        return [e for e in self.audited(account, settle) if moment(e) >= since and
                e["stage"] == ("ResponseStarted" if e["verb"] == "watch" else "ResponseComplete")]

    def refusals(self, account):
        """What the API server said to this account when it forbade something."""
        return [e["responseStatus"].get("message", named(e)) for e in self.audited(account)
                if e.get("responseStatus", {}).get("code") == 403]


def seconds(text):
    """A time such as audit events and logs have, in seconds since the epoch."""
    when = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return when.replace(tzinfo=datetime.timezone.utc).timestamp()


def moment(event):
    """When the request of an audit event came."""
    return seconds(event["requestReceivedTimestamp"])


def answered(event):
    """When it was answered: what it asked for was done before that."""
    return seconds(event["stageTimestamp"])


def named(event):
    """An audit event in a few words: "patch flinkdeployments/status demo"."""
    ref = event.get("objectRef", {})
    resource = "/".join(filter(None, [ref.get("resource"), ref.get("subresource")]))
    return f"{event['verb']} {resource} {ref.get('name', '')}".strip()
