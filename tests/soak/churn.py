"""What happens to the operator in a soak: one thing after the other, drawn by a seed."""
import asyncio
import collections
import http.client
import random
import time

from lib.check import Failure
from lib.manifests import cluster, job

NAMESPACES = ("soak-a", "soak-b", "soak-c")
CLUSTERS, JOBS = 24, 60  # at most, at a time
SILENT_S = (3, 40)  # a JobManager that hangs
AWAY_S = (0.5, 5)  # the API server


class Churn:
    def __init__(self, plane, proxy, jar, seed):
        self.plane, self.kube, self.flinks, self.proxy, self.jar = plane, plane.kube, plane.flinks, proxy, jar
        self.random = random.Random(seed)
        self.n = 0  # names never come twice
        self.clusters, self.jobs = [], []  # (namespace, name), and of jobs the cluster's name
        self.standalone = set()
        self.done = collections.Counter()
        self.later = []  # (when, function): what ends by itself
        self.refused = 0  # of the next calls, with 429

    # ---- what happens ----

    def new_cluster(self):
        if len(self.clusters) >= CLUSTERS:
            self.delete_cluster()
        self.n += 1
        ns, name = self.random.choice(NAMESPACES), f"c{self.n}"
        slots = self.random.choice((1, 2, 4))
        self.flinks.cluster(f"{ns}/{name}", slots=slots)
        made = cluster(ns, name, slots=slots, idle="2s")
        if self.random.random() < 0.15:
            made["spec"].update(mode="standalone", taskManager={**made["spec"]["taskManager"], "replicas": 2})
            del made["spec"]["allocator"]
            self.standalone.add(name)
        self.kube.create("flinkdep", ns, made)
        self.clusters.append((ns, name))

    def new_job(self):
        if not self.clusters:
            return
        if len(self.jobs) >= JOBS:
            self.delete_job()
        self.n += 1
        ns, deployment = self.random.choice(self.clusters)
        jar = {"jar": self.jar} if self.random.random() < 0.4 else {}
        self.kube.create("sessionjob", ns, job(ns, f"j{self.n}", deployment, self.random.randint(1, 3), **jar))
        self.jobs.append((ns, f"j{self.n}", deployment))

    def edit_cluster(self):
        """Half of these restart it."""
        ns, name = self.random.choice(self.clusters)
        n = self.random.randint(1, 3)
        scaled = {"taskManager": {"replicas": n}} if name in self.standalone else {"allocator": {"minTaskManagers": n - 1}}
        self.kube.patch("flinkdep", ns, name, {"spec": self.random.choice((
            scaled, {"flinkConfiguration": {"parallelism.default": str(self.random.randint(1, 9))}}))})

    def edit_job(self):
        ns, name, _ = self.random.choice(self.jobs)
        self.kube.patch("sessionjob", ns, name, {"spec": {"job": self.random.choice((
            {"parallelism": self.random.randint(1, 3)}, {"args": ["--name", name, "--n", str(self.n)]},
            {"state": "suspended"}, {"state": "running"}))}})

    def spoil_cluster(self):
        """A specification that is refused, and taken back."""
        ns, name = self.random.choice(self.clusters)
        self.kube.patch("flinkdep", ns, name, {"spec": {"flinkConfiguration": {"kubernetes.cluster-id": "mine"}}})
        self.at(2, lambda: self.mend(ns, name))

    def mend(self, ns, name):
        self.kube.patch("flinkdep", ns, name, {"spec": {"flinkConfiguration": {"kubernetes.cluster-id": None}}})

    def delete_job(self):
        ns, name, _ = self.jobs.pop(self.random.randrange(len(self.jobs)))
        self.kube.delete("sessionjob", ns, name)

    def delete_cluster(self):
        """Its jobs go first, or wait for one of that name, which will not come: they are deleted, too."""
        ns, name = self.clusters.pop(self.random.randrange(len(self.clusters)))
        self.kube.delete("flinkdep", ns, name)
        for found in [j for j in self.jobs if j[0] == ns and j[2] == name]:
            self.kube.delete("sessionjob", ns, found[1])
            self.jobs.remove(found)

    def kill_pod(self):
        ns = self.random.choice(NAMESPACES)
        pods = self.kube.list("pod", ns, "type=flink-native-kubernetes")
        if pods:
            self.kube.delete("pod", ns, self.random.choice(pods)["metadata"]["name"], now=True)

    def hang(self):
        ns, name = self.random.choice(self.clusters)
        flink = self.flinks.cluster(f"{ns}/{name}")
        word = self.random.choice(("hang", "hang", "before", "after", "500"))
        hook = flink.hook = lambda request: silent if word == "hang" else word

        async def silent(_reader, _writer):
            while flink.hook is hook:
                await asyncio.sleep(0.2)

        def answer():
            if flink.hook is hook:
                flink.hook = None
        self.at(self.random.uniform(*SILENT_S), answer)

    def reset(self):
        self.proxy.reset()

    def away(self):
        self.proxy.down()
        self.at(self.random.uniform(*AWAY_S), self.proxy.up)

    def refuse(self):
        """As priority and fairness does."""
        self.refused = self.random.randint(1, 30)

    def rule(self, call):
        if self.refused and call.verb != "watch":
            self.refused -= 1
            return ("status", (429, 1))
        return None

    KINDS = ((new_cluster, 10), (new_job, 30), (edit_cluster, 10), (edit_job, 15), (spoil_cluster, 2), (delete_job, 20),
             (delete_cluster, 6), (kill_pod, 10), (hang, 5), (reset, 2), (away, 0.3), (refuse, 1))

    # ---- the whole ----

    def at(self, seconds, function):
        self.later.append((time.monotonic() + seconds, function))

    def taskmanagers_come_back(self):
        """As real ones do to a JobManager that has taken the place of theirs."""
        for pod in list(self.plane.kubelet.known.values()):
            jm = self.plane.kubelet.cluster(pod).jobmanager
            if pod["metadata"]["labels"]["component"] == "taskmanager" and jm and pod["metadata"]["name"] not in jm.tms:
                self.plane.kubelet.register(pod)

    def due(self, now):
        self.taskmanagers_come_back()
        for entry in [e for e in self.later if e[0] <= now]:
            self.later.remove(entry)
            self.safely(entry[1])

    def safely(self, function, *arguments):
        """What has gone meanwhile needs nothing, and what is refused is as good as never asked for."""
        try:
            function(*arguments)
            return True
        except (Failure, OSError, http.client.HTTPException):
            return False

    def step(self):
        self.due(time.monotonic())
        kinds, weights = zip(*self.KINDS)
        kind = self.random.choices(kinds, weights)[0]
        needs = self.jobs if kind in (Churn.edit_job, Churn.delete_job) else self.clusters
        if kind not in (Churn.edit_cluster, Churn.edit_job, Churn.spoil_cluster, Churn.delete_job, Churn.delete_cluster,
                        Churn.hang) or needs:
            self.done[kind.__name__] += self.safely(kind, self)

    def settle(self):
        """Nothing is held up any more, and all is to run."""
        self.due(float("inf"))
        self.refused = 0
        for ns, name in self.clusters:
            self.flinks.cluster(f"{ns}/{name}").hook = None
            self.mend(ns, name)
            if name in self.standalone:  # as many slots as its jobs can want
                jobs = sum(j[0] == ns and j[2] == name for j in self.jobs)
                self.kube.patch("flinkdep", ns, name, {"spec": {"taskManager": {"replicas": 1 + 3 * jobs}}})
        for ns, name, _ in self.jobs:
            self.kube.patch("sessionjob", ns, name, {"spec": {"job": {"state": "running"}}})
