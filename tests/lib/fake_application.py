"""What a JobManager of an application cluster does by itself: it contends for the lock, runs its one job under the id that its
arguments say, and keeps in ConfigMaps, in the real API server, what Flink's Kubernetes high availability keeps there: who leads
and the graph of a job that has not ended in <cluster>-cluster-config-map, its last checkpoint in <cluster>-<id>-config-map. Where
the real one writes serialised Java objects there are a path and the job's arguments."""
import calendar
import json
import time

from lib.kube import ApiError

LEADER = "control-plane.alpha.kubernetes.io/leader"
LEASE_S = 15  # high-availability.kubernetes.leader-election.*
RENEW_S = 5
MAIN_S = 0.2  # from leading to the job


def after(args, option):
    return args[args.index(option) + 1] if option in args else None


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Application:
    """later(seconds, function, ...): in a thread that may wait for the API server."""

    def __init__(self, jm, pod, kube, later):
        self.jm, self.cluster, self.kube, self.later = jm, jm.cluster, kube, later
        self.ns, self.name = jm.cluster.key.split("/")
        args = pod["spec"]["containers"][0]["args"]
        self.id, self.path, self.args = after(args, "--job-id"), after(args, "--fromSavepoint"), args
        self.ha = any(a.startswith("job-result-store.storage-path=") for a in args)
        self.job_map, self.lock_map = f"{self.name}-{self.id}-config-map", f"{self.name}-cluster-config-map"

    @staticmethod
    def of(jm, pod, kube, later):
        """None: the JobManager of a session cluster."""
        args = pod["spec"]["containers"][0].get("args") or []
        return Application(jm, pod, kube, later) if "--job-id" in args else None

    # ---- ConfigMaps ----

    def patch(self, name, make=False, **members):
        """A merge patch; make: of a ConfigMap that may not be there yet. False: another one was faster, or it is gone."""
        meta = {"labels": {"app": self.name, "configmap-type": "high-availability", "type": "flink-native-kubernetes"}}
        meta.update(members.pop("metadata", {}))
        try:
            self.kube.patch("configmap", self.ns, name, {"metadata": meta, **members})
        except ApiError as e:
            if e.status == 404 and make:
                data = {k: v for k, v in members.get("data", {}).items() if v is not None}
                self.kube.create("configmap", self.ns, {"metadata": {"name": name, **meta}, "data": data})
            elif e.status in (404, 409):
                return False
            else:
                raise
        return True

    def kept(self, name):
        return (self.kube.get("configmap", self.ns, name) or {}).get("data") or {}

    # ---- who leads ----

    def begin(self):
        """The process is up."""
        if self.ha:
            self.contend()
        else:
            self.later(MAIN_S, self.main)

    def contend(self):
        if self.jm.stopped:
            return
        lock = self.kube.get("configmap", self.ns, self.lock_map)
        record = json.loads((lock or {}).get("metadata", {}).get("annotations", {}).get(LEADER) or "{}")
        if record.get("holderIdentity"):
            renewed = calendar.timegm(time.strptime(record["renewTime"], "%Y-%m-%dT%H:%M:%SZ"))
            if time.time() < renewed + LEASE_S:
                self.later(1, self.contend)
                return
        transitions = record.get("leaderTransitions", -1) + 1
        if self.lock(transitions, lock):
            self.later(RENEW_S, self.renew, transitions)
            self.later(MAIN_S, self.main)
        else:
            self.later(0.5, self.contend)

    def lock(self, transitions, seen):
        record = {"holderIdentity": self.jm.uid, "leaseDuration": LEASE_S, "acquireTime": stamp(), "renewTime": stamp(),
                  "leaderTransitions": transitions}
        version = {"resourceVersion": seen["metadata"]["resourceVersion"]} if seen else {}
        return self.patch(self.lock_map, not seen, metadata={"annotations": {LEADER: json.dumps(record)}, **version})

    def renew(self, transitions):
        if self.jm.stopped:
            return
        seen = self.kube.get("configmap", self.ns, self.lock_map)
        record = json.loads((seen or {}).get("metadata", {}).get("annotations", {}).get(LEADER) or "{}")
        if record.get("holderIdentity") != self.jm.uid and not self.jm.stopped:
            self.cluster.wrong.append(f"the lock was taken from JobManager {self.jm.uid}, which runs: {record}")
            return
        self.lock(transitions, seen)
        self.later(RENEW_S, self.renew, transitions)

    # ---- its job ----

    def main(self):
        if self.jm.stopped or self.id in self.cluster.results:
            return
        path = self.recover() if self.ha else self.path
        with self.jm.lock:
            if self.jm.stopped or self.id in self.jm.jobs:
                return
            if path and path not in self.cluster.states:
                self.cluster.wrong.append(f"job {self.id} is to begin with {path}, which there is not")
                return
            parallelism = int(after(self.args, "--parallelism") or 1)
            self.jm.run(self.id, after(self.args, "--name") or "job", parallelism, path)

    def recover(self):
        """Where it begins: with the last checkpoint that is kept. A graph that is kept must be its own."""
        graph = f"jobGraph-{self.id}"
        text = json.dumps(self.args[self.args.index("--job-id"):])
        if self.kept(self.lock_map).get(graph, text) != text:
            self.cluster.wrong.append(f"JobManager {self.jm.uid} runs the graph of another specification")
        last = sorted((k, v) for k, v in self.kept(self.job_map).items() if k.startswith("checkpointID-"))
        self.patch(self.lock_map, data={graph: text})
        self.patch(self.job_map, True, data={"counter": str(len(last) + 1)})
        return last[-1][1] if last else self.path

    def keep(self, job, snapshot):
        """A checkpoint is complete when it is kept; there is no other one before."""
        if self.ha:
            job["writing"] = True
            self.later(0, self.write, job, snapshot)
        else:
            self.jm.completed(job, snapshot)

    def write(self, job, snapshot):
        try:
            if self.jm.stopped or job["state"] != "RUNNING":
                return
            former = {k: None for k in self.kept(self.job_map) if k.startswith("checkpointID-")}
            if self.patch(self.job_map, data={**former, f"checkpointID-{snapshot.id:019}": snapshot.path}):
                self.jm.completed(job, snapshot)
        finally:
            job["writing"] = False

    def ended(self, job_id):
        if self.ha:
            self.cluster.results.add(job_id)
            self.later(0, self.clean, job_id)

    def clean(self, job_id):
        """Nothing is kept of a job that has ended."""
        self.kube.delete("configmap", self.ns, self.job_map)
        self.patch(self.lock_map, data={f"jobGraph-{job_id}": None})
