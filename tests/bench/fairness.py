"""What one cluster, or one large piece of work, costs the others: JobManagers that hang, and a relist beside a large JAR."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time

import scale
from lib.accounts import moment
from lib.api_proxy import ApiProxy
from lib.bed import ROOT
from lib.check import Failure, check, dig, wait
from lib.manifests import application, cluster, job
from lib.netns import Netns
from lib.operator import sum_metrics
from lib.plane import Connection, Sampler
from lib.webhook import SERVICE, Webhook
from report import clusters, number

NS = ACCOUNT = scale.NS
EVERY_S = 0.05  # between two changes, and between two questions to /healthz
WEB = "10.200.255.1", 9001
LEASE = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"]}
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"]}
WEBHOOKS = {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"],
            "verbs": ["get", "patch"]}
RENEW_S = 2
GIB = 1 << 30
PREFIX = "kubernetes.operator.user.artifacts."


class Fairness(scale.Scale):
    def start(self):
        super().start()
        self.said = []  # what the responder tells of runs and uploads: (word, when, address, value)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.responder.stdout:
            word, when, address, value = line.split()
            self.said.append((word, float(when), address, value))

    def tell(self, *words):
        self.responder.stdin.write(" ".join(words) + "\n")
        self.responder.stdin.flush()

    # ---- (a) JobManagers that hang ----

    def addresses(self):
        """Name of a cluster → address of its JobManager."""
        return {p["metadata"]["labels"]["app"]: p["status"]["podIP"] for p in self.kube.list("pod", NS, "component=jobmanager")}

    def change(self, name, n):
        """When it was asked for."""
        at = time.time()
        self.kube.patch("flinkdep", NS, name, {"spec": {"allocator": {"idleTimeout": f"{100 + n}s"}}})
        return at

    def submit(self, deployment, n):
        at = time.time()
        self.kube.create("sessionjob", NS, job(NS, f"job-{n}", deployment))
        return at

    def actions(self, asked):
        """Milliseconds from each change to the operator's first write about that cluster, all of which must have come."""
        first = {}

        def found():
            first.clear()
            for e in self.requests(ACCOUNT, min(asked.values()), settle=0.1):
                name = e["objectRef"].get("name", "")
                if e["verb"] in ("patch", "create", "delete") and name in asked and moment(e) >= asked[name]:
                    first.setdefault(name, moment(e))
            return set(first) == set(asked)
        wait("the operator acts on each change", found, 120, 1)
        return [1000 * (first[n] - asked[n]) for n in asked]

    def submitted(self, asked):
        """Milliseconds from each session job to its first run request since then, by the address of its JobManager."""
        def found():
            return {address for word, when, address, _ in self.said if word == "run" and when >= asked.get(address, when)} >= set(asked)
        wait("each job is run", found, 120, 0.5)
        first = {}
        for word, when, address, _ in self.said:
            if word == "run" and when >= asked.get(address, when + 1):
                first.setdefault(address, when)
        return [1000 * (first[a] - asked[a]) for a in asked]

    def load(self, healthy, at, changes, jobs, n, beside=()):
        """Changes and session jobs, one after the other; beside: clusters that have theirs as well, and wait. What was asked for
        when: changes by name, session jobs by address."""
        changed, run = {}, {}
        for i, name in enumerate(healthy[:changes]):
            began = time.monotonic()
            changed[name] = self.change(name, n)
            if i % max(1, changes // jobs) == 0 and len(run) < jobs:
                on = healthy[changes + len(run)]
                run[at[on]] = self.submit(on, f"{n}-{i}")
            if i < len(beside):
                self.change(beside[i], n)
                self.submit(beside[i], f"{n}-beside-{i}")
            time.sleep(max(0, EVERY_S - (time.monotonic() - began)))
        return changed, run

    def hangs(self, count):
        """A tenth of them hang; these have changes and jobs in both halves."""
        at, names = self.addresses(), []
        check(len(at) == count, lambda: f"{len(at)} JobManagers instead of {count}")
        names = sorted(at)
        random.Random(1).shuffle(names)
        silent, healthy = names[:count // 10], names[count // 10:]
        half, jobs = len(healthy) // 2, max(5, count // 20)
        changes = min(count // 4, half - jobs)
        time.sleep(5)
        for words, n, group in (("all answer", 1, healthy[:half]), (f"{len(silent)} hang", 2, healthy[half:])):
            if n == 2:
                hung = time.time()
                self.tell("hang", *[at[name] for name in silent])
                time.sleep(1)
            changed, run = self.load(group, at, changes, jobs, n, silent)
            acted, ran = self.actions(changed), self.submitted(run)
            what = f"{clusters(count)}, {words}: "
            self.report.percentiles(what + "change to action", acted, "ms", worst=round(max(acted), 1))
            self.report.percentiles(what + "session job to run request", ran, "ms", worst=round(max(ran), 1))
        time.sleep(20)  # by now all are left alone
        early = {address for word, when, address, _ in self.said if word == "run" and when > hung}
        answered = time.time()
        self.tell("answer")
        later = self.submitted({at[name]: answered for name in silent[:changes] if at[name] not in early})
        self.report.add(f"{clusters(count)}, {len(silent)} hang: from their first answer to all their jobs", max(later) / 1000, "s")

    # ---- (b) a relist, and a large JAR ----

    def start_elected(self, proxy):
        config = os.path.join(self.folder, "config.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'{PREFIX}allowed-schemes: "http"\n{PREFIX}disallow-restricted-hosts: "false"\n')
        login = self.kubeconfig(self.folder, ACCOUNT, proxy.url, proxy.ca)
        self.webhook = Webhook(self, self.folder, NS, None, policy="Fail")
        options, env = self.webhook.options(port=443)
        self.operator = scale.Operator(self.bed, self.folder, login, "--namespace", NS, "--leader-elect", "--lease",
                                       f"{NS}/flink-operator", "--conf-dir", self.folder, *options, env=env)
        self.webhook.trusted()
        wait("the API server asks the webhook", self.create_nothing, 30)

    def many(self, count):
        """Resources that are suspended from the beginning: nothing runs for them."""
        def apply(i):
            self.kube.create("flinkdep", NS, application(NS, f"quiet-{i:05}", job={"state": "suspended"}))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(apply, range(count)))

        def told():
            found = self.kube.list("flinkdep", NS)
            return sum(cr.get("status", {}).get("observedGeneration", 0) > 0 for cr in found) >= count
        wait(f"{count} suspended resources have a status", told, 1800, 5)

    def port(self):
        return int(re.search(r" port=(\d+)", self.operator.log())[1])

    def ask(self, netns, path):
        """Milliseconds until it has answered 200."""
        began = time.monotonic()
        connection = Connection(netns.connect("127.0.0.1", self.port()))
        try:
            connection.sock.settimeout(30)
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            check(answer.status == 200, f"{path}: {answer.status}")
        finally:
            connection.close()
        return 1000 * (time.monotonic() - began)

    def create_nothing(self):
        """Milliseconds until the API server, which asks the webhook, has said that it would create this."""
        began = time.monotonic()
        self.kube.json("POST", self.kube.path("flinkdep", NS) + "?dryRun=All", cluster(NS, "nothing"))
        return 1000 * (time.monotonic() - began)

    def reviewer(self, netns):
        """A function that posts an AdmissionReview about a changed cluster, on one connection that is kept: milliseconds until it
        is allowed."""
        changed, uid = cluster(NS, "changed", slots=4), "6b1f0f3e-6a0e-4f9c-8f0a-4b7f3f0f0a01"
        review = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": uid, "kind": {"group": "flink.apache.org", "version": "v1beta1", "kind": "FlinkDeployment"}, "operation": "UPDATE",
            "namespace": NS, "name": "changed", "object": changed, "oldObject": cluster(NS, "changed")}})
        sock = netns.connect(self.webhook.address, 443)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPSConnection(SERVICE)
        connection.sock = self.webhook.tls().wrap_socket(sock, server_hostname=f"{SERVICE}.{NS}.svc")
        connection.sock.settimeout(30)

        def post():
            began = time.monotonic()
            connection.request("POST", "/validate", review, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            found = json.loads(answer.read())["response"]
            took = 1000 * (time.monotonic() - began)
            check(answer.status == 200 and found["allowed"] and found["uid"] == uid, f"{answer.status} {found}")
            return took
        return post

    def lateness(self, since):
        """Of each renewal of the Lease, in milliseconds after the two seconds that there are between them."""
        asked = sorted(moment(e) for e in self.requests(ACCOUNT, since) if e["objectRef"]["resource"] == "leases" and
                       e["verb"] == "patch")
        check(len(asked) > 2, "the Lease was not renewed")
        return [1000 * (b - a - RENEW_S) for a, b in zip(asked, asked[1:])]

    def answers(self, netns, what, meanwhile):
        since = time.time()
        samplers = {path: Sampler(lambda path=path: self.ask(netns, path), every)
                    for path, every in (("/healthz", EVERY_S), ("/readyz", EVERY_S), ("/metrics", 1))}
        samplers["admission"] = Sampler(self.reviewer(netns), EVERY_S)
        samplers["create (dry run) by the API server"] = Sampler(self.create_nothing, EVERY_S)
        meanwhile()
        for path, sampler in samplers.items():
            values = sampler.stop()
            wrong = [v for v in values if not isinstance(v, float)]
            check(not wrong, lambda path=path, wrong=wrong: f"{path}, {what}: {wrong[0]}")
            self.report.percentiles(f"{path}, {what}", values, "ms")
            self.report.add(f"{path}, {what}, at most", max(values), "ms")
        self.report.add(f"lease renewal, {what}, late by at most", max(self.lateness(since)), "ms")

    def relists(self, netns):
        with contextlib.closing(Connection(netns.connect("127.0.0.1", self.port()))) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return sum_metrics("\n".join(line for line in text.splitlines() if "FlinkDeployment" in line)).get("watch_relists_total", 0)

    def uploads(self):
        return [int(value) for word, _, _, value in self.said if word == "upload"]

    def relist_beside_upload(self, count, size):
        netns = Netns(self.bed.start)
        proxy = web = None
        try:
            proxy = ApiProxy(netns, *self.server(), os.path.join(self.folder, "proxy"))
            jars = os.path.join(self.folder, "jars")
            os.makedirs(jars)
            with open(os.path.join(jars, "large.jar"), "wb") as f:
                f.truncate(size)
            web = self.bed.start(sys.executable, os.path.join(ROOT, "tests/lib/webserver.py"), jars, str(WEB[1]),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.start_elected(proxy)
            self.kube.create("flinkdep", NS, cluster(NS, "busy", podTemplate=scale.FAKE))
            wait("its cluster is READY", lambda: dig(self.kube.get("flinkdep", NS, "busy"),
                                                      "status.jobManagerDeploymentStatus") == "READY", 120)
            self.many(count)
            self.answers(netns, f"{count:,} resources in quiet", lambda: time.sleep(20))
            self.answers(netns, f"{count:,} relisted beside {size / GIB:g} GiB", lambda: self.both(netns, proxy, size))
            self.report.add(f"resident memory, {count:,} resources, after that", self.operator.status("VmRSS") / 1024, "MiB")
        finally:
            for process in (web, self.operator and self.operator.process):
                if process:
                    process.kill()
                    process.wait()
            if proxy:
                proxy.close()
            netns.close()

    def both(self, netns, proxy, size):
        """JARs one after the other while the watch of FlinkDeployments breaks at its next event, and is told after that that
        it has missed too much; for half a minute at least, and until both were done twice."""
        watches = []

        def rule(call):
            if call.verb != "watch" or call.resource != "flinkdeployments":
                return None
            watches.append(call)
            return ("cut", 1) if len(watches) % 2 == 0 else ("status", 410)
        proxy.log.clear()
        before, submitted, began = self.relists(netns), 0, time.monotonic()
        proxy.rule = rule
        proxy.reset()  # once: from then on the rule counts
        while time.monotonic() - began < 30 or self.relists(netns) - before < 2 or len(self.uploads()) < 2:
            check(time.monotonic() - began < 600, lambda: f"{self.relists(netns) - before:g} relists, {len(self.uploads())} uploads")
            if len(self.uploads()) == submitted:
                self.kube.create("sessionjob", NS, job(NS, f"large-{submitted}", "busy", jar=f"http://{WEB[0]}:{WEB[1]}/large.jar?plain"))
                submitted += 1
            with contextlib.suppress(Failure):
                self.kube.patch("flinkdep", NS, "busy", {"metadata": {"annotations": {"bench": str(time.time())}}})
            time.sleep(1)
        proxy.rule = None
        check(all(n >= size for n in self.uploads()), f"uploads of {self.uploads()} bytes")
        print(f"  {len(self.uploads())} uploads and {number(self.relists(netns) - before)} relists "
              f"in {time.monotonic() - began:.0f} s", flush=True)


def measure(report, options, folder):
    count = max(options.clusters)
    with scale.fresh(report, folder, kind=Fairness) as fair:
        fair.run_operator()
        fair.at_once(count)
        fair.hangs(count)
    with scale.fresh(report, folder, kind=Fairness, rules=(LEASE, SECRETS, WEBHOOKS)) as fair:
        fair.relist_beside_upload(200 if options.quick else 5000, (1 << 26) if options.quick else GIB)
